"""Cache-Control is read to its end, whatever stands in it."""

import pytest

from edge.policy.http.cache_control import directives_of


@pytest.mark.parametrize(
    ("field", "directives"),
    [
        ("", {}),
        (", ,", {}),
        ("max-age=60", {"max-age": "60"}),
        ("Max-Age = 60 ,\tPUBLIC", {"max-age": "60", "public": None}),
        ('max-age="60"', {"max-age": "60"}),
        ('private="set-cookie, x"', {"private": "set-cookie, x"}),
        (r'x="a\"b\\", y', {"x": 'a"b\\', "y": None}),
        ("x=", {"x": ""}),
        ("a=1, a=2", {"a": "2"}),
    ],
)
def test_directives_are_read_with_their_arguments(
    field: str, directives: dict[str, str | None]
) -> None:
    """RFC 9111 section 5.2: without case, token and quoted form alike."""
    assert directives_of(field) == directives


@pytest.mark.parametrize("unit", ['a="', 'a="\\', ",", "a", "a=", " ", '"', "\\"])
def test_a_hostile_cache_control_is_read_to_its_end(unit: str) -> None:
    field = unit * (65536 // len(unit)) + ", no-store"

    assert isinstance(directives_of(field), dict)
