"""FastConnection over a socket pair, with the turns of the loop in the test's hand."""

import gc
import re
import socket
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import gevent
import pytest
from gunicorn.config import Config

from edge.core.ports import Clock, Look, Ready
from edge.core.values import Answer, Mode, PerResponse, Read
from edge.front.fast.connection import FastConnection
from edge.front.fast.context import FastContext, NextIteration
from edge.front.fast.stages import BATCH_SIZE, READ_SIZE, Stage
from edge.front.http1.context import ServerContext
from edge.front.log import AccessLog
from edge.front.transport import PlainTransport
from edge.policy.http.client_address import Peer
from edge.policy.streams.authorize import Authorizer, authorize
from edge.policy.streams.routes import Route
from tests.front.fake_edge import (
    HIT,
    TEXT,
    FakePendingRead,
    FakeReadService,
    RealClock,
    parts,
)
from tests.support.options import log_options


@dataclass(eq=False)
class Kept:
    """Implements ``edge.core.ports.Ready``."""

    answer: Answer
    per_response: PerResponse
    encoded: object = None


@dataclass(eq=False)
class Bench:
    """A context whose callbacks run when the test says so, and one client."""

    read_service: FakeReadService = field(default_factory=FakeReadService)
    authorizer: Authorizer = authorize
    clock: Clock = field(default_factory=RealClock)
    routes: tuple[Route, ...] = (Route(),)
    peeked: list[Read] = field(default_factory=list)
    later: list[tuple[Any, ...]] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    leaving: bool = False

    def __post_init__(self) -> None:
        made = self.made = replace(
            parts(self.read_service),
            peek=self._peek,
            ticks=self,
            authorizer=self.authorizer,
            clock=self.clock,
            routes=self.routes,
            draining=lambda: self.leaving,
        )
        log = AccessLog(log_options(access=0), lambda line: None, made.clock)
        made_of = (made.options, made.counters, made.clock, log)
        self.server_context = ServerContext(
            lambda environ, start: (), Config(), *made_of
        )
        self.context = FastContext(made, self.server_context)
        self.context.soon = self.context.call_next_iteration = self._put_off
        self.connect()

    def connect(self) -> None:
        """The one client."""
        ours, self.client = socket.socketpair()
        self.client.settimeout(5.0)
        transport = PlainTransport.of(self.context.loop, ours)
        self.connection = FastConnection(
            self.context, transport, Peer(), None, lambda ended: None
        )

    def register(self, look: Look) -> None:
        """See ``edge.core.ports.Ticks``: the test has them tick."""
        self.looks.append(look)

    def _peek(self, read: Read, now: float) -> Ready | None:
        self.peeked.append(read)
        return Kept(Answer(200, TEXT, b"kept\n"), HIT) if "kept" in repr(read) else None

    def close(self) -> None:
        self.connection.cut()
        self.client.close()

    def _put_off(self, *call: Any) -> None:
        self.later.append(call)

    def turn(self) -> None:
        """Let the sockets be looked at, but nothing that was put off be done."""
        for _ in range(3):
            gevent.sleep(0)
            gevent.idle()

    def catch_up(self) -> None:
        """Do what was put off."""
        while self.later:
            act, *values = self.later.pop(0)
            act(*values)

    def catch_up_once(self) -> None:
        """Do what was put off, but for what is put off by that."""
        later, self.later = self.later, []
        for act, *values in later:
            act(*values)

    def get(self, path: str, *fields: str) -> None:
        lines = [f"GET /v1/stream/{path} HTTP/1.1", "Host: edge.test", *fields]
        self.client.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.turn()


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


def test_a_refusal_tells_the_time_as_every_answer_does(bench: Bench) -> None:
    """Though it is the first that is written, or the first in an hour."""
    bench.get("fail")
    said = bench.client.recv(READ_SIZE)
    [date] = re.findall(rb"\r\nDate: (.*?)\r\n", said)

    assert parsedate_to_datetime(date.decode()).utcoffset() == timedelta(0)


def test_what_came_first_is_answered_first_though_a_known_head_comes_after_it(
    bench: Bench,
) -> None:
    """Between an answer's end and the next request in hand the loop may turn."""
    for _ in range(3):
        bench.get("kept", "X-Request-Id: last")
        bench.client.recv(READ_SIZE)
    bench.get("park?offset=7&live=long-poll")
    bench.get("kept", "X-Request-Id: first")
    bench.read_service.release()
    bench.client.recv(READ_SIZE)
    assert bench.connection.stage is Stage.IDLE
    assert bench.connection.idle_since is None
    bench.get("kept", "X-Request-Id: last")
    bench.catch_up()
    said = bench.client.recv(READ_SIZE)

    assert 0 < said.find(b": first") < said.find(b": last")


def test_a_read_that_cannot_be_repeated_is_not_peeked(bench: Bench) -> None:
    """A peek counts an answer, and the whole way counts it too."""
    bench.server_context.draining = True
    bench.get("kept")
    assert b"hello" in bench.client.recv(READ_SIZE)

    assert not bench.peeked and len(bench.read_service.reads) == 1


def test_a_client_that_sends_ahead_of_a_stream_is_not_kept_without_bound(
    bench: Bench,
) -> None:
    """However often its socket drains meanwhile."""
    bench.get("park?offset=7&live=sse")
    [pending] = bench.read_service.parked
    pending.sink.begin(Answer(200, TEXT, None), HIT)
    bench.client.setblocking(False)
    for _ in range(20):
        assert not pending.sink.write([b"." * (1 << 20)])
        while bench.connection.stage is Stage.SENDING:
            with suppress(BlockingIOError):
                bench.client.recv(1 << 20)
            bench.turn()
        with suppress(BlockingIOError):
            bench.client.send(b"x" * READ_SIZE)
        bench.turn()
    ahead = int(repr(bench.connection).split()[-2])

    assert READ_SIZE <= ahead < 2 * READ_SIZE


def test_an_empty_write_does_not_end_a_chunked_body(bench: Bench) -> None:
    """A chunk of no bytes is the last one (RFC 9112 section 7.1)."""
    bench.get("park?offset=7&live=sse")
    [pending] = bench.read_service.parked
    pending.sink.begin(Answer(200, TEXT, None), HIT)
    for pieces in ([], [b""], [b"data"], [b"", b""]):
        assert pending.sink.write(pieces)
    pending.sink.finish()
    body = bench.client.recv(READ_SIZE).partition(b"\r\n\r\n")[2]

    assert body == b"4\r\ndata\r\n0\r\n\r\n"


def test_a_head_is_answered_without_a_body_and_without_a_greenlet(
    bench: Bench,
) -> None:
    """U28: the hub is asked what the whole way would ask; what it gives has no body."""
    for path in ("hit", "large", "events", "fail"):
        bench.client.sendall(
            f"HEAD /v1/stream/{path} HTTP/1.1\r\nHost: edge.test\r\n\r\n".encode()
        )
        bench.turn()
        assert bench.connection.stage is Stage.IDLE
        head, end, body = bench.client.recv(READ_SIZE).partition(b"\r\n\r\n")
        assert end and not body
        assert (b"\r\ncontent-length: " in head) is (path in ("large", "fail"))

    assert {read.mode for read in bench.read_service.reads} == {Mode.HEAD}
    assert bench.server_context.counters.internal_errors == 0


def test_a_defect_at_one_deadline_leaves_the_others_theirs(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wheel tells many at once."""

    def broken(pending: FakePendingRead) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(FakePendingRead, "gone", broken)
    bench.get("park?offset=7&live=sse")
    [pending] = bench.read_service.parked
    pending.sink.begin(Answer(200, TEXT, None), HIT)
    assert not pending.sink.write([b"." * (1 << 24)])
    bench.connection.expire()

    assert bench.connection.stage is Stage.CLOSED
    assert bench.server_context.counters.internal_errors == 1


def test_who_waits_is_not_ended_by_the_front_and_has_its_time_again_afterwards(
    bench: Bench,
) -> None:
    """How long a viewer waits is the hub's to say."""
    bench.get("park?offset=7&live=long-poll")
    before = bench.connection.due_at
    bench.connection.expire()
    assert len(bench.read_service.parked) == 1
    assert bench.connection.due_at > before

    bench.read_service.release()
    bench.connection.expire()
    assert bench.connection.stage is Stage.CLOSED


def given_in_a_crowd(bench: Bench) -> FakePendingRead:
    """The client has its answer, and others of its crowd wait for theirs."""
    bench.get("park?offset=7&live=long-poll")
    [pending] = bench.read_service.parked
    pending.sink.send_whole(Kept(Answer(200, TEXT, b"news\n"), HIT), pause_reads=True)
    assert b"news" in bench.client.recv(READ_SIZE)
    return pending


def test_what_one_of_a_crowd_asks_next_is_read_when_all_of_it_was_served(
    bench: Bench,
) -> None:
    pending = given_in_a_crowd(bench)
    bench.get("kept")
    assert len(bench.peeked) == 1
    pending.sink.resume()
    bench.turn()

    assert b"kept" in bench.client.recv(READ_SIZE)


def test_one_of_a_crowd_that_left_meanwhile_is_found_gone(bench: Bench) -> None:
    pending = given_in_a_crowd(bench)
    bench.client.close()
    bench.turn()
    pending.sink.resume()
    bench.turn()
    assert bench.connection.stage is Stage.CLOSED

    pending.sink.resume()
    bench.connection.cut()
    assert bench.server_context.counters.internal_errors == 0


def test_what_one_of_a_crowd_had_sent_ahead_is_served_and_more_is_read(
    bench: Bench,
) -> None:
    """Held back is only what comes; the next poll may be in hand already."""
    bench.get("park?offset=7&live=long-poll")
    bench.get("park?offset=8&live=long-poll")
    [pending] = bench.read_service.parked
    pending.sink.send_whole(Kept(Answer(200, TEXT, b"news\n"), HIT), pause_reads=True)
    bench.catch_up()
    assert len(bench.read_service.parked) == 2
    pending.sink.resume()
    bench.client.close()
    bench.turn()

    assert bench.connection.stage is Stage.CLOSED


def test_a_thousand_requests_in_one_go_are_answered_in_several_turns(
    bench: Bench,
) -> None:
    """And all of them, though more is sent than is kept ahead."""
    head = b"GET /v1/stream/kept HTTP/1.1\r\nHost: edge.test\r\n\r\n"
    many = 2 * READ_SIZE // len(head)
    bench.client.setblocking(False)
    left, said = head * many, b""
    while said.count(b"kept\n") < many:
        with suppress(BlockingIOError):
            left = left[bench.client.send(left) :] if left else left
        before = len(bench.peeked)
        bench.turn()
        bench.catch_up_once()
        assert len(bench.peeked) - before <= 8 * BATCH_SIZE
        with suppress(BlockingIOError):
            said += bench.client.recv(1 << 20)

    assert len(bench.peeked) == many


def test_between_two_of_these_turns_others_are_read(bench: Bench) -> None:
    """What is only put off comes before any socket is looked at."""
    loop = bench.context.loop
    bench.context.soon, bench.context.call_next_iteration = (
        loop.run_callback,
        NextIteration(loop).put,
    )
    ours, theirs = socket.socketpair()
    other = FastConnection(
        bench.context, PlainTransport.of(loop, ours), Peer(), None, lambda ended: None
    )
    read_service = bench.context.peek

    def ask_meanwhile(read: Read, now: float) -> Ready | None:
        if not bench.peeked:
            theirs.sendall(b"GET /v1/stream/other HTTP/1.1\r\nHost: edge.test\r\n\r\n")
        with suppress(BlockingIOError):
            bench.client.recv(READ_SIZE)
        return read_service(read, now)

    bench.context.peek = ask_meanwhile
    head = b"GET /v1/stream/kept HTTP/1.1\r\nHost: edge.test\r\n\r\n"
    bench.client.sendall(head * 10 * BATCH_SIZE)
    bench.client.setblocking(False)
    while len(bench.peeked) <= 10 * BATCH_SIZE:
        gevent.idle()
    order = ["other" in repr(read) for read in bench.peeked]
    other.cut()
    theirs.close()

    assert order.index(True) <= 3 * BATCH_SIZE


@pytest.mark.parametrize(
    "end",
    [lambda bench: bench.read_service.release(), lambda bench: bench.connection.cut()],
    ids=["answered", "left"],
)
def test_what_waited_for_an_answer_is_gone_with_it(
    bench: Bench, end: Callable[[Bench], None]
) -> None:
    """Not left to the garbage collector: a crowd's worth of it would stop the loop."""
    bench.get("park?offset=7&live=long-poll")
    gone = weakref.ref(bench.read_service.parked[0])
    gc.disable()
    try:
        end(bench)
        bench.read_service.parked.clear()
        assert gone() is None
    finally:
        gc.enable()


def test_a_client_by_a_socket_of_this_machine_has_no_address(bench: Bench) -> None:
    """Nor has one that left; relays are then not counted for it (L15)."""
    bench.get("park?offset=7&live=long-poll")
    (pending,) = bench.read_service.parked

    assert pending.sink.client == ""
    bench.connection.cut()
    assert pending.sink.client == ""
