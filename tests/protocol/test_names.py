"""The words on the wire: names in both cases, flags, media types."""

import pytest

from edge.protocol import names


def test_every_incoming_name_is_its_outgoing_one_in_lower_case() -> None:
    """Names in Headers are lower-case, so that a look-up is one comparison."""
    incoming = [name for name in vars(names) if name.startswith("IN_")]

    assert len(incoming) == 16
    for name in incoming:
        outgoing = getattr(names, name.removeprefix("IN_"))
        assert getattr(names, name) == outgoing.lower()


@pytest.mark.parametrize("value", ["true", "TRUE", "True", "tRuE"])
def test_a_flag_is_set_by_true_in_any_case(value: str) -> None:
    """PROTOCOL.md section 4.1."""
    assert names.is_true(value)


@pytest.mark.parametrize(
    "value",
    [None, "", "false", "yes", "1", "true, true", "true;", " true", "tru\u0435"],
)
def test_any_other_value_counts_as_absent(value: str | None) -> None:
    """PROTOCOL.md section 4.1: neither an error nor a flag. The last is Cyrillic."""
    assert not names.is_true(value)


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("text/plain", "text/plain"),
        ("Text/PLAIN; charset=UTF-8", "text/plain"),
        ("application/json ;a=b", "application/json"),
        (";charset=utf-8", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_a_media_type_is_compared_without_case_and_parameters(
    content_type: str | None, expected: str
) -> None:
    """RFC 9110 section 8.3.1."""
    assert names.media_type(content_type) == expected
