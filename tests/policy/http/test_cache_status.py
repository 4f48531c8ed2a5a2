"""What the caches before this edge tell, and what may be taken for this product's."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.reasons import Reason
from edge.core.values import Headers
from edge.policy.http.cache_status import (
    MAX_MEMBERS,
    is_from_an_edge,
    is_stale,
    members,
)


def told(*lines: str) -> Headers:
    """The fields of an answer with these lines of Cache-Status."""
    another = ("x-cache-status", "ds-edge; detail=stale")
    return (another, *(("cache-status", line) for line in lines))


@pytest.mark.parametrize(
    "line",
    [
        "ds-edge; hit; detail=stale",
        "ds-edge/pop-1; fwd=stale; collapsed; detail=stale",
        "ds-edge/a;detail=stale",
        'ds-edge/a; detail="stale"',
        "ds-edge/a; detail=miss; detail=stale",
        "ds-edge/a; detail=stale, ds-edge/b; hit",
        "ds-edge/a; hit, ds-edge/b; detail=stale, Other; hit",
        'Other; key="a, b; c", ds-edge/a; hit; detail=stale',
        "not a token, ds-edge/a; detail=stale",
    ],
)
def test_any_member_of_an_edge_that_served_stale_makes_an_answer_stale(
    line: str,
) -> None:
    """U9: not only the last one."""
    assert is_stale(told(line)) and is_from_an_edge(told(line))
    assert is_stale(told('"open', line)) and is_stale(told(line, '"open'))


@pytest.mark.parametrize(
    "line",
    [
        "ds-edge/a; hit; ttl=60",
        "ds-edge; fwd=miss; detail=unconfirmed",
        "ds-edge/a; detail=stale; detail=miss",
        "ds-edge/a; key=stale; hit, Other; detail=stale",
        'ds-edge/a; key="x; detail=stale"',
        "ds-edge/a; detail=origin-stale",
    ],
)
def test_an_edge_that_served_it_fresh_is_seen_too(line: str) -> None:
    """U11."""
    assert is_from_an_edge(told(line)) and not is_stale(told(line))


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("",),
        ("Other; detail=stale",),
        ("ds-edges; detail=stale",),
        ("ds-edge-2; detail=stale",),
        ("DS-Edge; detail=stale",),
        ('"ds-edge"; detail=stale',),
        ('"x, ds-edge; detail=stale"; hit',),
        ('Other; key=", ds-edge/a; detail=stale"',),
        ('Other; key=", ds-edge/a; detail=stale',),
        ("(ds-edge/a ds-edge/b); detail=stale",),
        ("Other ds-edge; detail=stale",),
        ("Other; x=ds-edge; detail=stale",),
        ('ds-edge"x"; detail=stale',),
    ],
)
def test_what_another_cache_says_is_not_taken_for_ours(lines: tuple[str, ...]) -> None:
    assert not is_from_an_edge(told(*lines))
    assert not is_stale(told(*lines))


@pytest.mark.parametrize(
    "line",
    [
        "ds-edge/a; hit; ttl=-3; detail=stale",
        'ExampleCache; fwd=uri-miss; fwd-status=304; key="a\\"b, c;\\\\"',
        '"Other Cache"; hit, x; y=1.5; z=?1; w=:AAA=:; *v',
        "HIT",
        "a,b ,  c",
    ],
)
def test_what_other_caches_told_is_handed_on(line: str) -> None:
    assert members(told(line)) == line
    assert members(told(f" {line}\t", "", "Last; hit")) == f"{line}, Last; hit"


@pytest.mark.parametrize(
    "line",
    [
        "",
        ", ,",
        "two words",
        'a; key="open',
        "a; key=é",
        "a; Key=b",
        "a; =b",
        "(a b); hit",
        "7; hit",
        "a\x00b",
        "a; b=" + "x" * MAX_MEMBERS,
    ],
)
def test_what_would_spoil_our_own_member_is_left_out(line: str) -> None:
    assert members(told(line)) == ""
    assert members(told("Fine; hit", line)) in ("", "Fine; hit")


token = st.from_regex(r"[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]{0,8}", fullmatch=True)
key = st.from_regex(r"[a-z*][a-z0-9_.*-]{0,6}", fullmatch=True)
string = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8).map(
    lambda text: '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'
)
argument = st.one_of(token, string, st.integers(-9, 9).map(str), st.just("?1"))
parameter = st.tuples(key, st.one_of(st.none(), argument))


@st.composite
def lists(draw: st.DrawFn) -> str:
    """Fields as RFC 8941 has them."""
    found = []
    for name in draw(st.lists(st.one_of(token, string), min_size=1, max_size=4)):
        given = draw(st.lists(parameter, max_size=4))
        pieces = [k if value is None else f"{k}={value}" for k, value in given]
        found.append("; ".join([name, *pieces]))
    return ", ".join(found)


@given(lists(), st.booleans())
def test_our_member_is_found_in_any_list_and_in_none_that_lacks_it(
    other: str, stale: bool
) -> None:
    ours = f"ds-edge/pop; hit; detail={Reason.STALE.value if stale else 'miss'}"

    assert not is_from_an_edge(told(other)) or "ds-edge" in other
    assert members(told(other)) == other
    for line in (f"{ours}, {other}", f"{other}, {ours}"):
        assert is_from_an_edge(told(line))
        assert is_stale(told(line)) is stale or "stale" in other
        assert members(told(line)) == line


@given(st.lists(st.text(max_size=40), max_size=3))
def test_nothing_that_an_origin_sends_is_an_error(lines: list[str]) -> None:
    fields = told(*lines)
    is_stale(fields)
    is_from_an_edge(fields)

    assert re.fullmatch("[ -~]*", members(fields))
