"""Which streams an order to purge means, and which orders mean none (L27)."""

import pytest

from edge.core.errors import ClientFault
from edge.core.purges import Purge, PurgeBy
from edge.policy.streams.purge_selection import PurgeSelection, check
from edge.policy.streams.routes import Route
from edge.policy.streams.tags import stream_tag

ROOMS = Route("/v1/stream/rooms/{room}/**", tags=("room-{room}",))
ROUTES = (ROOMS, Route("/v1/stream/**"))
A = "/v1/stream/rooms/blue/a"


def means(by: PurgeBy, text: str, path: str, *kept: tuple[str, str]) -> bool:
    route = ROOMS if path.startswith("/v1/stream/rooms/") else ROUTES[1]
    selection = PurgeSelection(Purge(by, text), ROUTES)
    return selection.chooses(route.match, path, kept)


def test_a_path_means_itself_to_the_letter() -> None:
    """Another spelling is another stream to this edge, as everywhere (L26)."""
    assert means(PurgeBy.PATH, A, A)
    assert not means(PurgeBy.PATH, A, A + "/")
    assert not means(PurgeBy.PATH, A, "/v1/stream/rooms/blue/%61")
    selection = PurgeSelection(Purge(PurgeBy.PATH, A), ROUTES)
    assert selection.path == (ROOMS.match, A)


@pytest.mark.parametrize(
    ("glob", "meant"),
    [
        ("/v1/stream/rooms/*/a", True),
        ("/v1/stream/**", True),
        ("/**", True),
        ("/v1/stream/*", False),
        ("/v1/stream/rooms/blue", False),
        ("/v1/stream/rooms/b*/a", True),
    ],
)
def test_a_glob_means_what_a_routes_would(glob: str, meant: bool) -> None:
    assert means(PurgeBy.GLOB, glob, A) is meant


def test_a_tag_means_all_streams_that_have_it() -> None:
    """And no other whose tag begins like it."""
    assert means(PurgeBy.TAG, "room-blue", A)
    assert not means(PurgeBy.TAG, "room-blu", A)
    assert means(PurgeBy.TAG, "x", A, ("surrogate-key", "w x"))
    assert means(PurgeBy.TAG, stream_tag(A), "/v1/stream/rooms/blue/%61")


def test_a_stream_of_a_route_that_is_gone_has_its_own_tag() -> None:
    """On a disk there may be some of old settings."""
    selection = PurgeSelection(Purge(PurgeBy.TAG, stream_tag("/old/a")), ROUTES)

    assert selection.chooses("/old/**", "/old/a", ())


@pytest.mark.parametrize(
    ("by", "text", "reason", "status"),
    [
        (PurgeBy.PATH, "/elsewhere/a", "not-found", 404),
        (PurgeBy.PATH, "v1/stream/a", "bad-path", 400),
        (PurgeBy.PATH, "/v1/stream/a b", "bad-path", 400),
        (PurgeBy.PATH, "/v1/stream/../a", "bad-path", 400),
        (PurgeBy.PATH, "/v1/stream/a?offset=-1", "bad-order", 400),
        (PurgeBy.PATH, "/v1/stream/\ud800", "bad-path", 400),
        (PurgeBy.GLOB, "v1/**", "bad-order", 400),
        (PurgeBy.GLOB, "/v1/a b", "bad-order", 400),
        (PurgeBy.GLOB, "/v1/{room}", "bad-order", 400),
        (PurgeBy.GLOB, "/v1/%zz", "bad-order", 400),
        (PurgeBy.GLOB, "/" + "*" * 1024, "bad-order", 400),
        (PurgeBy.TAG, "a b", "bad-order", 400),
        (PurgeBy.TAG, "a,b", "bad-order", 400),
        (PurgeBy.TAG, 'a"b', "bad-order", 400),
        (PurgeBy.TAG, "x" * 129, "bad-order", 400),
        (PurgeBy.TAG, "\u00e9", "bad-order", 400),
    ],
)
def test_an_order_that_can_mean_no_stream_is_refused(
    by: PurgeBy, text: str, reason: str, status: int
) -> None:
    with pytest.raises(ClientFault) as refused:
        check(Purge(by, text), ROUTES)

    assert (refused.value.reason.value, refused.value.status) == (reason, status)


@pytest.mark.parametrize(
    ("by", "text"),
    [
        (PurgeBy.PATH, "/v1/stream/never-read"),
        (PurgeBy.PATH, "/v1/stream/a%20b"),
        (PurgeBy.GLOB, "/nothing/**"),
        (PurgeBy.GLOB, "/v1/stream/***"),
        (PurgeBy.TAG, "nobody-has-it"),
    ],
)
def test_one_that_means_none_at_the_moment_is_none_of_those(
    by: PurgeBy, text: str
) -> None:
    check(Purge(by, text), ROUTES)
    assert not means(by, text, A) or text.startswith("/v1/stream/***")
