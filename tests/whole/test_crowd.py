"""A crowd before the reference server, with real processes on both sides.

What the hub's own tests show with barriers, shown once more on the wire: long-poll
and SSE viewers, joining and leaving, and what each event costs the origin.
"""

import contextlib
from collections.abc import Iterator

import pytest

from tests.support.processes import Edge, edge, node_origin
from tests.whole.crowd import PATH, Crowd, call, origin_requests

VIEWERS = 60
EVENTS = 5
PATIENCE = 60.0


@pytest.fixture
def served() -> Iterator[Edge]:
    """An edge before the Node server, whose polls outlast the test."""
    with node_origin(long_poll_ms=30_000) as origin, edge(origin.url) as running:
        yield running


def append(running: Edge, number: int) -> None:
    call("POST", f"{running.url}{PATH}", b"<%d>" % number)


def test_one_upstream_request_per_event_whoever_waits(served: Edge) -> None:
    """L20, L22: polls and event streams share one follower."""
    url = f"{served.url}{PATH}"
    call("PUT", url)
    offset = call("POST", url, b"<begin>")["stream-next-offset"]
    with contextlib.ExitStack() as leaving:
        polls = Crowd(served.url, VIEWERS, "long-poll", offset)
        leaving.callback(polls.close)
        streams = Crowd(served.url, VIEWERS, "sse", offset)
        leaving.callback(streams.close)
        append(served, 0)
        polls.await_event(0, PATIENCE)
        streams.await_event(0, PATIENCE)
        asked = origin_requests(served.admin)

        for number in range(1, EVENTS + 1):
            append(served, number)
            polls.await_event(number, PATIENCE)
            streams.await_event(number, PATIENCE)

        assert origin_requests(served.admin) - asked == EVENTS


def test_who_leaves_takes_nothing_from_those_who_stay(served: Edge) -> None:
    """E42: the follower belongs to nobody; a crowd that leaves is not missed."""
    url = f"{served.url}{PATH}"
    call("PUT", url)
    offset = call("POST", url, b"<begin>")["stream-next-offset"]
    staying = Crowd(served.url, VIEWERS, "sse", offset)
    leaving = Crowd(served.url, VIEWERS, "long-poll", offset)
    append(served, 0)
    staying.await_event(0, PATIENCE)
    leaving.await_event(0, PATIENCE)
    asked = origin_requests(served.admin)

    leaving.close()
    append(served, 1)
    staying.await_event(1, PATIENCE)

    assert origin_requests(served.admin) - asked == 1
    staying.close()
