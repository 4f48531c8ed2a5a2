"""A crowd before the reference server, with real processes on both sides.

What the hub's own tests show with barriers, shown once more on the wire: long-poll
and SSE viewers, joining and leaving, and what each event costs the origin.
"""

import contextlib
from collections.abc import Iterator

import pytest
import requests

from edge.cli.bench.crowd import Crowd
from edge.cli.bench.metrics import origin_reads
from edge.cli.bench.reception import Marks
from edge.cli.bench.requests import target
from edge.cli.streams.address import address
from tests.support.processes import Edge, edge, node_origin

VIEWERS = 60
EVENTS = 5
PATIENCE = 20.0
PATH = "/v1/stream/crowd"
MARKS = Marks("whole")
TEXT = {"Content-Type": "text/plain"}


@pytest.fixture
def served() -> Iterator[Edge]:
    """An edge before the Node server, whose polls outlast the test."""
    with node_origin(long_poll_ms=30_000) as origin, edge(origin.url) as running:
        yield running


def stream(running: Edge) -> str:
    """A stream with something in it; its end."""
    requests.put(running.url + PATH, headers=TEXT).raise_for_status()
    answer = requests.post(running.url + PATH, b"<begin>", headers=TEXT)
    return answer.headers["Stream-Next-Offset"]


def joined(running: Edge, mode: str, offset: str) -> Crowd:
    """Viewers who have asked for what comes."""
    at = target(address(running.url + PATH), ())
    crowd = Crowd(at, mode, MARKS, piece=4096)
    crowd.join(VIEWERS, offset)
    while crowd.live < VIEWERS:
        crowd.turn(PATIENCE)
    return crowd


def append(running: Edge, number: int, *crowds: Crowd) -> None:
    """An event, until everybody has it."""
    for crowd in crowds:
        crowd.expect(number)
    body = MARKS.body(number, 100)
    requests.post(running.url + PATH, body, headers=TEXT).raise_for_status()
    for crowd in crowds:
        while crowd.delivered(number) < VIEWERS:
            crowd.turn(PATIENCE)


def asked(running: Edge) -> float:
    """Reads that the edge has sent to its origin."""
    return origin_reads(address(f"{running.admin}/metrics"))


def test_one_upstream_request_per_event_whoever_waits(served: Edge) -> None:
    """DESIGN section 6, L20, L22: polls and event streams share one follower."""
    offset = stream(served)
    with contextlib.ExitStack() as leaving:
        polls = joined(served, "long-poll", offset)
        leaving.callback(polls.close)
        streams = joined(served, "sse", offset)
        leaving.callback(streams.close)
        append(served, 0, polls, streams)
        before = asked(served)

        for number in range(1, EVENTS + 1):
            append(served, number, polls, streams)

        assert asked(served) - before == EVENTS


def test_who_leaves_takes_nothing_from_those_who_stay(served: Edge) -> None:
    """E42: the follower belongs to nobody; a crowd that leaves is not missed."""
    offset = stream(served)
    staying = joined(served, "sse", offset)
    leaving = joined(served, "long-poll", offset)
    append(served, 0, staying, leaving)
    before = asked(served)

    leaving.close()
    append(served, 1, staying)

    assert asked(served) - before == 1
    staying.close()
