"""Which route a path is on: the first glob that covers it whole."""

import pytest

from edge.policy.streams.pipeline import find_route
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
