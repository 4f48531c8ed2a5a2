"""Whatever comes in whatever order: every request is answered, in its turn, and no
connection is left unread.

A client sends requests of every kind in pieces of any size and takes what it is
sent when it likes; the loop's turns, what was put off and the end of a crowd's pass
come at any time in between. The same acts in another order are another test.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.core.values import Answer
from edge.front.app.app import Environ
from edge.front.fast.stages import READ_SIZE, Stage
from tests.front.fake_edge import HIT, TEXT, FakePendingRead
from tests.front.fast.test_connection import Bench, Kept
from tests.front.fast.writer_table import UpstreamByHand

KINDS = {
    "peeked": ("kept", ""),
    "answered": ("hit", ""),
    "parked": ("park?offset=7&live=long-poll", ""),
    "large": ("large", ""),
    "the whole way": ("hit", "Range: bytes=0-\r\n"),
    "written": ("written", "Content-Length: 4\r\n"),
    "a head": ("hit", ""),
}
METHODS = {"written": "POST", "a head": "HEAD"}
_UNWATCHED = frozenset({Stage.SENDING, Stage.HANDED, Stage.CLOSED, Stage.WRITING})
_ID = re.compile(rb"x-request-id: number-(\d+)", re.IGNORECASE)


def whole_way(environ: Environ, start: Any) -> list[bytes]:
    """What stands where Falcon does."""
    own_id = environ["HTTP_X_REQUEST_ID"]
    start("200 OK", [("Content-Length", "3"), ("X-Request-Id", own_id)])
    return [b"way"]


@dataclass(eq=False)
class Story:
    """One client and its connection."""

    bench: Bench = field(default_factory=Bench)
    to_send: bytes = b""
    asked: int = 0
    heard: bytes = b""
    held: list[FakePendingRead] = field(default_factory=list)
    origin: UpstreamByHand = field(default_factory=UpstreamByHand)

    def __post_init__(self) -> None:
        self.bench.server_context.app = whole_way
        self.bench.client.setblocking(False)
        self.bench.connection._listener = ("127.0.0.1", 80)
        parts = self.bench.context.parts
        self.bench.context.parts = replace(parts, origin=self.origin)

    @property
    def answered(self) -> list[int]:
        """The numbers of the requests that were answered, in order."""
        return [int(number) for number in _ID.findall(self.heard)]

    # Acts

    def ask(self, kind: str, times: int) -> None:
        target, more = KINDS[kind]
        for _ in range(times):
            self.asked += 1
            method = METHODS.get(kind, "GET")
            line = f"{method} /v1/stream/{target} HTTP/1.1\r\nHost: edge.test\r\n"
            own_id = f"X-Request-Id: number-{self.asked:06d}\r\n"
            body = "body" if method == "POST" else ""
            self.to_send += f"{line}{own_id}{more}\r\n{body}".encode()

    def send(self, most: int) -> None:
        with suppress(BlockingIOError):
            if self.to_send:
                sent = self.bench.client.send(self.to_send[:most])
                self.to_send = self.to_send[sent:]

    def take(self, most: int) -> None:
        with suppress(BlockingIOError):
            data = self.bench.client.recv(most)
            assert data, f"the end, at {self.bench.connection!r}"
            self.heard += data

    def turn(self) -> None:
        self.bench.turn()

    def catch_up(self) -> None:
        self.bench.catch_up_once()

    def news(self, pause_reads: bool) -> None:
        """One of those who wait is given something, perhaps in a long pass."""
        if self.bench.read_service.parked:
            pending = self.bench.read_service.parked.pop(0)
            pending.over = True
            given = Kept(Answer(200, TEXT, b"news\n"), HIT)
            pending.sink.send_whole(given, pause_reads=pause_reads)
            self.held += [pending] if pause_reads else []

    def answer(self) -> None:
        """A write that is upstream is answered."""
        if self.origin.calls:
            self.origin.calls.pop(0).answer(200, body=b"done")

    def resume(self) -> None:
        """The pass is over."""
        held, self.held = self.held, []
        for pending in held:
            pending.sink.resume()

    # What must hold

    def is_read(self) -> bool:
        """Whether the connection hears of what comes, or has a reason not to."""
        connection = self.bench.connection
        if self.bench.later or self.held or connection.stage in _UNWATCHED:
            return True
        full = len(connection._held) >= READ_SIZE
        return full or connection._transport.reading.active

    def to_the_end(self) -> None:
        """Let everybody do what he can, for as long as anything comes of it."""
        before: tuple[int, int] | None = None
        while before != (before := (len(self.heard), len(self.to_send))):
            for _ in range(8):
                self.send(READ_SIZE)
                self.turn()
                self.catch_up()
                self.news(pause_reads=True)
                self.answer()
                self.turn()
                self.resume()
                assert self.is_read()
                self.take(1 << 22)


@contextmanager
def story() -> Iterator[Story]:
    made = Story()
    try:
        yield made
    finally:
        made.bench.close()


KIND = st.sampled_from([kind for kind in KINDS if kind != "large"])
ACTS = st.one_of(
    st.tuples(st.just("ask"), KIND, st.sampled_from([1, 1, 2, 3, 40, 700])),
    st.tuples(st.just("ask"), st.just("large"), st.just(1)),
    st.tuples(st.just("send"), st.sampled_from([1, 7, 50, 200, 5000, READ_SIZE])),
    st.tuples(st.just("take"), st.sampled_from([1000, 1 << 20])),
    st.tuples(
        st.sampled_from(["turn", "turn", "turn", "catch_up", "resume", "answer"])
    ),
    st.tuples(st.just("news"), st.booleans()),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(ACTS, max_size=30))
def test_every_request_is_answered_in_its_turn(
    acts: Iterable[tuple[object, ...]],
) -> None:
    """And the end is heard of afterwards."""
    with story() as told:
        for name, *values in acts:
            getattr(told, str(name))(*values)
            assert told.is_read(), told.bench.connection
        told.to_the_end()
        assert told.answered == list(range(1, told.asked + 1))

        told.bench.client.close()
        told.turn()
        told.bench.catch_up()
        told.turn()
        assert told.bench.connection.stage is Stage.CLOSED
        assert told.bench.server_context.counters.internal_errors == 0
