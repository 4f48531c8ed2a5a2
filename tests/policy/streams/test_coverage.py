"""Which routes are never met: decided for all paths, checked against the routes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.policy.streams import coverage
from edge.policy.streams.coverage import Undecided, covering, path_beyond
from edge.policy.streams.pipeline import find_route
from edge.policy.streams.routes import Route

PARTS = ["/", "/", "a", "b", "ab", "*", "**", "/*", "/**", "/{name}", "*a", "a*"]
GLOBS = st.lists(st.sampled_from(PARTS), max_size=6).map(lambda p: "/" + "".join(p))
PATHS = st.lists(st.sampled_from("//aabbc"), max_size=9).map(lambda p: "/" + "".join(p))


def covers(match: str, path: str) -> bool:
    return find_route([Route(match=match)], path) is not None


@pytest.mark.parametrize(
    ("match", "earlier"),
    [
        ("/v1/stream/live/**", ["/v1/stream/**"]),
        ("/v1/stream/**", ["/**"]),
        ("/a/*", ["/a/**"]),
        ("/a/{name}", ["/a/*"]),
        ("/a/x*", ["/a/*"]),
        ("/a/b", ["/*/b"]),
        ("/**a", ["/**"]),
        ("/a/*/c", ["/a/**/c"]),
        ("/a/**/b/**", ["/**/b/*", "/a/**"]),
    ],
)
def test_a_route_behind_a_wider_one_is_never_met(
    match: str, earlier: list[str]
) -> None:
    assert covering(match, earlier)


@pytest.mark.parametrize(
    ("match", "earlier"),
    [
        ("/v1/stream/**", ["/v1/stream/live/**"]),
        ("/a/**", ["/a/*"]),
        ("/a/*", ["/a/{name}"]),  # not the empty segment
        ("/a/*", ["/a/b*", "/a/c*"]),
        ("/ab", ["/a*c"]),
        ("/a/**/c", ["/a/*/c"]),
        ("/a", []),
    ],
)
def test_a_route_with_a_path_of_its_own_is_met(match: str, earlier: list[str]) -> None:
    assert covering(match, earlier) == ()


def test_one_that_covers_all_is_named_alone() -> None:
    assert covering("/a/b", ["/x", "/a/*", "/**"]) == (1,)


def test_several_that_cover_only_together_are_named_and_no_other() -> None:
    """The empty segment, and every other one."""
    assert covering("/a/*", ["/a/{name}", "/x/**", "/a/"]) == (0, 2)


@given(match=GLOBS, earlier=st.lists(GLOBS, max_size=3), path=PATHS)
def test_what_is_called_covered_has_no_path_of_its_own(
    match: str, earlier: list[str], path: str
) -> None:
    """And what is not shows one, which the routes themselves agree to."""
    own = path_beyond(match, earlier)
    if own is not None:
        assert covers(match, own)
        assert not any(covers(one, own) for one in earlier)
    elif covers(match, path):
        assert any(covers(one, path) for one in earlier)


@given(match=GLOBS, earlier=st.lists(GLOBS, min_size=1, max_size=3))
def test_those_that_are_named_cover_it_and_none_can_be_left_out(
    match: str, earlier: list[str]
) -> None:
    named = covering(match, earlier)
    if not named:
        assert path_beyond(match, earlier) is not None
        return
    assert path_beyond(match, [earlier[n] for n in named]) is None
    for left_out in named:
        rest = [earlier[n] for n in named if n != left_out]
        assert path_beyond(match, rest) is not None


def test_what_takes_too_long_is_given_up_and_not_called_covered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(coverage, "MAX_PAIRS", 4)

    with pytest.raises(Undecided):
        path_beyond("/a/**/b/c*", ["/**"])
    assert covering("/a/**/b/c*", ["/**"]) == ()


def test_hundreds_of_routes_are_judged_within_the_bound() -> None:
    """As many as a large file has, the last behind all of them."""
    routes = [f"/v1/*/tenant-{n}/**/part-{n}*" for n in range(200)]

    assert covering("/v1/x/tenant-7/a/part-70", routes) == (7,)
    assert covering("/v1/x/tenant-7/a/part-8", routes) == ()
    assert covering("/**", routes) == ()
