"""The grammar of targets: one form for each path, no cloaked parameters."""

from random import Random
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.errors import ClientFault
from edge.core.reasons import Reason
from edge.policy.http import request_target

PATH = "/v1/stream/a"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1/stream/a",
        "/v1/stream/a%2Fb",
        "/v1/stream/a%2fb",
        "/v1/stream/%C3%A9t%C3%A9",
        "/v1/stream/a/",
        "/v1/stream/a//b",
        "/v1/stream/users:created@x;v=1,2",
        "/v1/stream/a|b^c[d]~!$&'()*+",
        "/v1/stream/...",
        "/v1/stream/.hidden",
        "/v1/stream/a..b",
        "/v1/stream/..a",
        "/v1/stream/a.",
        "/v1/stream/a%2e%2e",
        "/v1/stream/%252e%252e",
    ],
)
def test_a_path_stays_as_received(path: str) -> None:
    """L26: Node takes a%2Fb and a%2fb for two streams."""
    assert request_target.split(path) == (path, "")
    assert request_target.split(f"{path}?x=1") == (path, "x=1")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "*",
        "v1/stream/a",
        "http://edge/v1/stream/a",
        "//elsewhere/v1/stream/a",
        "/v1/stream/./a",
        "/v1/stream/../a",
        "/v1/stream/..",
        "/v1/stream/.",
        "/v1/stream/%2e%2E/a",
        "/v1/stream/.%2e",
        "/v1/stream/%2e",
        "/v1/stream/a%2F..%2fb",
        "/v1/stream/a%2f.",
        "/v1/stream/..;/a",
        "/v1/stream/..%3Bx/a",
        "/v1/stream/a\\b",
        "/v1/stream/a%5Cb",
        "/v1/stream/a%5cb",
        "/v1/stream/a\0",
        "/v1/stream/a%00",
        "/v1/stream/a%0Ab",
        "/v1/stream/a%1fb",
        "/v1/stream/a%7Fb",
        "/v1/stream/a\r\nb",
        "/v1/stream/a\n",
        "/v1/stream/a b",
        "/v1/stream/a\x7f",
        "/v1/stream/caf\xe9",
        "/v1/stream/a#b",
        "/v1/stream/a%",
        "/v1/stream/a%2",
        "/v1/stream/a%zz",
        '/v1/stream/"a"',
        "/v1/stream/<a>",
        "/v1/stream/{a}",
        "/v1/stream/`a`",
    ],
)
def test_a_path_that_an_origin_could_read_in_another_way_is_refused(path: str) -> None:
    """L26, P3."""
    with pytest.raises(ClientFault) as refused:
        request_target.split(path)

    assert refused.value.reason is Reason.BAD_PATH
    assert refused.value.status == 400


@pytest.mark.parametrize(
    "query",
    [
        "a=b#c",
        "a=%",
        "a=%g0",
        "a=%0",
        "a=\0",
        "a=%00",
        "a=b c",
        "a=b\r\nc",
        "a=b\n",
        "a=\x7f",
        "a=caf\xe9",
    ],
)
def test_a_query_of_other_bytes_is_refused(query: str) -> None:
    """E25: control bytes, NUL, raw non-ASCII and broken encoding are no query."""
    with pytest.raises(ClientFault) as refused:
        request_target.split(f"{PATH}?{query}")

    assert refused.value.reason is Reason.BAD_QUERY


def test_only_the_first_question_mark_divides() -> None:
    assert request_target.split(f"{PATH}?a=b?c") == (PATH, "a=b?c")
    assert request_target.split(f"{PATH}?") == (PATH, "")


@pytest.mark.parametrize(
    ("path", "control"),
    [
        ("/v1/stream/__ds/jwks.json", True),
        ("/v1/stream/__ds", True),
        ("/__ds/subscriptions/a", True),
        ("/v1/stream/%5F%5fds/jwks.json", True),
        ("/v1/stream/__%64%73", True),
        ("/v1/stream/a%2F__ds/b", True),
        ("/v1/stream/__ds;v=1/b", True),
        ("/v1/stream/__dsx", False),
        ("/v1/stream/x__ds", False),
        ("/v1/stream/__DS", False),
        ("/v1/stream/_ds", False),
    ],
)
def test_control_paths_have_a_segment_of_their_own(path: str, control: bool) -> None:
    """PROTOCOL.md section 6; to pass one too many costs a cached answer at most."""
    assert request_target.is_control(path) is control


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", []),
        ("&&", []),
        ("a", ["a"]),
        ("a=", ["a"]),
        ("=a", [""]),
        ("%6fffset=1", ["offset"]),
        ("a+b=1", ["a b"]),
        ("a%2Bb=1", ["a+b"]),
        ("a=1;offset=2", ["a"]),
        ("a%26b=1", ["a&b"]),
        ("%C3%A9=1", ["é"]),
        ("%ff=1", ["\ufffd"]),
    ],
)
def test_names_are_decoded_as_an_origin_decodes_them(
    query: str, names: list[str]
) -> None:
    """P4: ``;`` never separates, and no spelling hides a name."""
    assert [parameter.name for parameter in request_target.parameters(query)] == names


def test_a_value_decodes_but_keeps_its_octets() -> None:
    (parameter,) = request_target.parameters("where=a%3D1+b%2b=c")

    assert parameter.value() == "a=1 b+=c"
    assert parameter.raw == "where=a%3D1+b%2b=c"


@pytest.mark.parametrize(
    ("query", "canonical"),
    [
        ("", ""),
        ("offset=1&live=sse&cursor=2", ""),
        ("%6Fffset=1&a=b", "a=b"),
        ("b=2&a=1", "a=1&b=2"),
        ("b=2&a=2&b=1&a=1", "a=2&a=1&b=2&b=1"),
        ("a=x%2dy", "a=x%2dy"),
        ("a&a=", "a&a="),
        ("b=1&%61=1", "%61=1&b=1"),
        ("&a=1&&", "a=1"),
    ],
)
def test_extensions_are_sorted_by_name_alone(query: str, canonical: str) -> None:
    """L26, E24, E25: sorted stably, octets kept."""
    assert request_target.extension(request_target.parameters(query)) == canonical


def test_two_spellings_of_a_name_keep_their_order() -> None:
    """An origin that takes the first of the two must see the same first."""
    one = request_target.extension(request_target.parameters("a=1&%61=2"))
    other = request_target.extension(request_target.parameters("%61=2&a=1"))

    assert one == "a=1&%61=2"
    assert other == "%61=2&a=1"


NAMES = st.text(st.sampled_from("abz+%"), min_size=1, max_size=4).map(
    lambda text: text.replace("%", "%61")
)
VALUES = st.text(st.sampled_from("01aA-.~=?;+/|"), max_size=6)
PIECES = st.lists(st.tuples(NAMES, VALUES), max_size=6)


def canonical(pairs: list[tuple[str, str]]) -> str:
    query = "&".join(f"{name}={value}" for name, value in pairs)
    return request_target.extension(request_target.parameters(query))


def decoded(query: str) -> dict[str, list[str]]:
    """What an origin sees: the values of each name, in order."""
    seen: dict[str, list[str]] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        seen.setdefault(name, []).append(value)
    return seen


@given(PIECES, st.randoms(use_true_random=False))
def test_every_order_of_distinct_parameters_has_one_form(
    pairs: list[tuple[str, str]], random: Random
) -> None:
    by_name = {request_target.parameters(f"{n}=")[0].name: (n, v) for n, v in pairs}
    distinct = list(by_name.values())
    shuffled = list(distinct)
    random.shuffle(shuffled)

    assert canonical(shuffled) == canonical(distinct)


@given(PIECES)
def test_the_canonical_form_asks_an_origin_the_same(
    pairs: list[tuple[str, str]],
) -> None:
    query = "&".join(f"{name}={value}" for name, value in pairs)

    assert decoded(canonical(pairs)) == decoded(query)


@given(PIECES, PIECES)
def test_queries_that_say_different_things_have_different_forms(
    one: list[tuple[str, str]], other: list[tuple[str, str]]
) -> None:
    """E24: the key has full octets, so unlike parameters never share one."""
    if sorted(one) != sorted(other):
        assert canonical(one) != canonical(other)


@given(PIECES)
def test_the_canonical_form_is_its_own_canonical_form(
    pairs: list[tuple[str, str]],
) -> None:
    once = canonical(pairs)

    assert request_target.extension(request_target.parameters(once)) == once
