"""U14: a stream that the origin has lost, and that is made again below its viewers.

Real processes: the reference server in memory, killed and begun anew empty; a proxy
that counts what it is asked; the edge; and a crowd of viewers at an offset that nobody
has minted any more. Counts are asserted, and no times.
"""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from threading import Event
from urllib.parse import urlsplit

import pytest

from tests.chaos.reader import call
from tests.front.edge_process import Client
from tests.support.processes import Edge, NodeOrigin, edge, node_origin
from tests.support.talk import ask
from tests.whole.counting_proxy import CountingProxy, counting_proxy

PATH = "/v1/stream/lost"
VIEWERS = 60
"""In each mode."""

BEFORE = 20
PATIENCE = 60.0
FEW = 50
"""Requests that all of this may cost the origin."""


class Stage:
    """An edge before an origin that can be lost, or an edge before that edge."""

    def __init__(self, stack: ExitStack, tiers: int) -> None:
        self._stack = stack
        self.proxy: CountingProxy = stack.enter_context(counting_proxy())
        self.origin = self._begin()
        origin, quiet = self.proxy.url, {"access": "off"}
        for _ in range(tiers):
            self.edge: Edge = stack.enter_context(edge(origin, log=quiet))
            origin = self.edge.url

    def _begin(self) -> NodeOrigin:
        origin = self._stack.enter_context(node_origin(long_poll_ms=30_000))
        self.proxy.lead_to(origin.url)
        return origin

    def lose(self) -> None:
        """The origin dies, and comes back with nothing."""
        os.killpg(self.origin.process.pid, signal.SIGKILL)
        assert self.origin.process.ended(PATIENCE)
        self.origin = self._begin()

    def write(self, method: str, body: bytes = b"") -> str:
        """Behind the edge's back; the stream's end then."""
        status, offset, _ = call(method, self.origin.url, PATH, body)
        assert status in (200, 201, 204)
        return offset

    def until_parked(self, viewers: int) -> None:
        """Wait until so many wait, for a poll that waits at the origin."""
        for _ in range(int(PATIENCE / 0.05)):
            shown = json.loads(ask(f"{self.edge.admin}/streams?limit=1")[2])
            (stream,) = shown["streams"] or [{}]
            if stream.get("parked") == viewers and stream.get("armed"):
                return
            Event().wait(0.05)
        raise AssertionError(f"they never waited: {shown!r}")


class Viewer:
    """A connection, and where it stands."""

    def __init__(self, stage: Stage, mode: str, offset: str) -> None:
        parts = urlsplit(stage.edge.url)
        self._address = (parts.hostname, parts.port)
        self._client: Client | None = None
        self.mode = mode
        self.offset = offset

    def ask(self) -> None:
        """Ask from where it stands, on a connection of its own."""
        self.part()
        self._client = Client(self._address)
        self._client.get(f"{PATH}?offset={self.offset}&live={self.mode}")

    def part(self) -> None:
        if self._client is not None:
            self._client.close()

    def hear(self) -> tuple[int, bytes]:
        """The whole answer: its status, and the bytes of the stream in it."""
        assert self._client is not None
        if self.mode == "sse":
            return self._hear_events(self._client)
        answered = self._client.read()
        assert answered.complete
        if answered.status < 300:
            self.offset = answered["stream-next-offset"]
        return answered.status, answered.body

    def _hear_events(self, client: Client) -> tuple[int, bytes]:
        head = client.head()
        if head.status != 200:
            return head.status, b""
        text = b""
        while (piece := client.chunk()) != b"":
            assert piece is not None, "the event stream was cut"
            text += piece
            if b"event: data" in text and text.endswith(b"\n\n"):
                # It goes on; this is what there was to be heard.
                break
        found = b""
        for frame in text.split(b"\n\n"):
            kind, _, lines = frame.partition(b"\n")
            if kind == b"event: data":
                found += lines.removeprefix(b"data:")
            elif kind == b"event: control":
                self.offset = json.loads(lines[5:])["streamNextOffset"]
        return 200, found


@pytest.fixture(params=[1, 2], ids=["one edge", "a shield and a PoP"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    with ExitStack() as stack:
        yield Stage(stack, request.param)


def hear_all(crowd: list[Viewer]) -> set[tuple[str, int, bytes, str]]:
    """What they all hear, and where they stand then."""
    return {(v.mode, *v.hear(), v.offset) for v in crowd}


def test_viewers_of_a_stream_that_was_lost_and_made_again(stage: Stage) -> None:
    """They hear that it is gone, then where the new one ends, then its bytes."""
    stage.write("PUT")
    for number in range(BEFORE):
        high = stage.write("POST", b"<%d>" % number)
    crowd = [
        Viewer(stage, m, high) for m in ("long-poll", "sse") for _ in range(VIEWERS)
    ]
    for viewer in crowd:
        viewer.ask()
    stage.until_parked(len(crowd))
    stage.proxy.asked.clear()

    stage.lose()
    assert hear_all(crowd) == {
        ("long-poll", 404, b"Stream not found", high),
        ("sse", 200, b"", high),
    }
    for viewer in crowd:
        viewer.ask()
    assert {viewer.hear()[0] for viewer in crowd} == {404}

    stage.write("PUT")
    low = stage.write("POST", b"<new>")
    assert low < high
    for viewer in crowd:
        viewer.ask()
    assert hear_all(crowd) == {("long-poll", 204, b"", low), ("sse", 200, b"", low)}
    for viewer in crowd:
        viewer.ask()
    stage.until_parked(len(crowd))
    end = stage.write("POST", b"<and more>")
    assert hear_all(crowd) == {
        ("long-poll", 200, b"<and more>", end),
        ("sse", 200, b"<and more>", end),
    }

    for viewer in crowd:
        viewer.part()
    assert sum(stage.proxy.asked.values()) < FEW, stage.proxy.asked


def test_a_crowd_at_many_made_up_offsets_is_no_crowd_to_the_origin(
    stage: Stage,
) -> None:
    """Each at its own, in every mode; and what passes is not starved by them."""
    stage.write("PUT")
    tail = stage.write("POST", b"<begin>")
    ask(f"{stage.edge.url}{PATH}?offset=-1")
    stage.proxy.asked.clear()
    made_up = f"{tail[:-4]}9%03d"
    crowd = [
        Viewer(stage, mode, made_up % number)
        for number in range(VIEWERS)
        for mode in ("long-poll", "sse")
    ]
    for viewer in crowd:
        viewer.ask()
    passed, fields, _ = ask(f"{stage.edge.url}/elsewhere", connection="close")

    assert passed == 404 and "bypass" in fields["cache-status"]
    assert hear_all(crowd) == {("long-poll", 204, b"", tail), ("sse", 200, b"", tail)}
    for viewer in crowd:
        viewer.part()
    reads = stage.proxy.asked["GET"] - 1
    assert reads + stage.proxy.asked["HEAD"] <= FEW / 5, stage.proxy.asked
