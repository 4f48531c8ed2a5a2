"""Which route a path is on: the first glob that covers it whole."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.policy.streams.pipeline import captured, find_route, misplaced_name
from edge.policy.streams.routes import Access, Route


@pytest.mark.parametrize(
    ("match", "path", "covered"),
    [
        ("/v1/stream/**", "/v1/stream/a", True),
        ("/v1/stream/**", "/v1/stream/a/b/c", True),
        ("/v1/stream/**", "/v1/stream/", True),
        ("/v1/stream/**", "/v1/stream", False),
        ("/v1/stream/**", "/v2/v1/stream/a", False),
        ("/v1/stream/*", "/v1/stream/a", True),
        ("/v1/stream/*", "/v1/stream/a/b", False),
        ("/v1/stream/*", "/v1/stream/a%2Fb", True),
        ("/*/live", "/scores/live", True),
        ("/*/live", "/scores/live/", False),
        ("/**/events", "/a/b/events", True),
        ("/a.b", "/a.b", True),
        ("/a.b", "/axb", False),
        ("/a+(b)", "/a+(b)", True),
    ],
)
def test_a_star_stays_in_its_segment_and_two_cross_segments(
    match: str, path: str, covered: bool
) -> None:
    route = Route(match=match)

    assert find_route([route], path) == (route if covered else None)


_GLOBS = st.lists(
    st.sampled_from(["a", "b", "/", "*", "**", "/*/", "/**/"]), max_size=8
).map(lambda pieces: "/" + "".join(pieces))
_PATHS = st.text("ab/", max_size=10).map(lambda rest: "/" + rest)


@given(_GLOBS, _PATHS)
def test_every_way_to_lay_a_glob_over_a_path_counts(match: str, path: str) -> None:
    """As if all of them were tried, which is not done: see below."""
    words = {"**": ".*", "*": "[^/]*"}
    pieces = re.split(r"(\*\*|\*)", match)
    tried = "".join(words.get(piece, re.escape(piece)) for piece in pieces)

    assert (captured(match, path) is not None) == (
        re.fullmatch(tried, path) is not None
    )


@pytest.mark.parametrize(
    "match", ["/v1/**/b/**/b/**/b/**/c", "/v1/*b*b*b*b*c", "/v1/**b/*b*b/**/b/**c"]
)
def test_a_path_is_tried_in_one_way_only(match: str) -> None:
    """Whoever chose the path could keep the edge busy for hours otherwise."""
    path = "/v1/" + ("b/" if "/b/" in match else "b") * 4000

    assert find_route([Route(match)], path) is None


def test_the_first_route_that_covers_a_path_wins() -> None:
    public = Route(match="/v1/stream/public/**", access=Access.PUBLIC)
    rest = Route(match="/v1/stream/**")

    assert find_route([public, rest], "/v1/stream/public/a") is public
    assert find_route([public, rest], "/v1/stream/a") is rest
    assert find_route([rest, public], "/v1/stream/public/a") is rest


def test_a_path_on_no_route_has_none() -> None:
    assert find_route([], "/v1/stream/a") is None
    assert find_route([Route()], "/favicon.ico") is None


def test_a_path_is_matched_as_received_not_as_it_decodes() -> None:
    """L26: another spelling is another path; it may only lose caching by that."""
    assert find_route([Route()], "/v1/%73tream/a") is None
    assert find_route([Route()], "/V1/stream/a") is None


def test_a_route_keeps_its_credential_out_of_its_repr() -> None:
    route = Route(origin_headers=(("authorization", "Bearer s3cret"),))

    assert "s3cret" not in repr(route)


@pytest.mark.parametrize(
    ("match", "path", "names"),
    [
        ("/u/{sub}/**", "/u/alice/x/y", (("sub", "alice"),)),
        ("/u/{sub}/**", "/u/a%2Fb/x", (("sub", "a%2Fb"),)),
        ("/u/{sub}/**", "/u//x", None),
        ("/u/{sub}", "/u/a/b", None),
        ("/*/{org.id}/{sub}", "/x/acme/a", (("org.id", "acme"), ("sub", "a"))),
        ("/u/*", "/u/alice", ()),
    ],
)
def test_a_name_stands_for_one_segment_that_is_not_empty(
    match: str, path: str, names: tuple[tuple[str, str], ...] | None
) -> None:
    """B20; and the route covers just the paths in which it does."""
    assert captured(match, path) == names
    assert (find_route([Route(match)], path) is None) is (names is None)


@pytest.mark.parametrize(
    ("match", "fault"),
    [
        ("/u/{sub}/**", None),
        ("/*/{org}/x*/{sub}/**", None),
        ("/u/**", None),
        ("/u/x{sub}", "a {name} is a whole segment"),
        ("/u/{a}{b}", "a {name} is a whole segment"),
        ("/u/{}", "a {name} is a whole segment"),
        ("/u/{sub", "a {name} is a whole segment"),
        ("/u/{*}", "a {name} is a whole segment"),
        ("/u/{sub}/{sub}", "a {name} stands once"),
        ("/**/{sub}/x", "a {name} stands before every **"),
        ("/u**/{sub}", "a {name} stands before every **"),
    ],
)
def test_a_name_must_stand_where_no_client_can_move_it(
    match: str, fault: str | None
) -> None:
    """After a ``**`` a path could be written so that a name falls on another part."""
    assert misplaced_name(match) == fault
