"""Parts with behaviour for the front's tests: a hub that does what a path says.

The last segment of a stream's path tells ``FakeReadService`` how to answer its reads::

    hit        at once, whole                 large     at once, 1 MiB
    park       when the stream is written     fail      OriginTimeout
    two-step   later, from another greenlet   events    three events, then the end
    cut        two events, then an error      endless   events until the client leaves
    broken     raises                         bad-field an answer with a bad header
    lasting    an event, and the end when the grace of a drain is over
    client     at once, the client's address
    ended      at once, unless the lease has ended: then it is refused, as by a hub
    trace      at once, the fields of the request's trace

What happens to pending reads and writes is told to ``tell``, one line each, in order,
so that a test can wait for it.
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import gevent
from gevent.event import Event

from edge.core.counters import Counters
from edge.core.errors import (
    ClientFault,
    OriginBodyCut,
    OriginTimeout,
    OriginUnreachable,
    Refusal,
)
from edge.core.node_counters import CounterSet
from edge.core.ports import Exchange, Look, Origin, Sink
from edge.core.purges import Purge, PurgeReport
from edge.core.stream_snapshot import (
    BY_VIEWERS,
    StreamDetail,
    StreamFilter,
    StreamSnapshot,
)
from edge.core.timer_wheel import GRAIN
from edge.core.values import (
    UNLIMITED,
    Answer,
    CacheStatus,
    Headers,
    Lease,
    Mode,
    OriginRequest,
    PerResponse,
    Read,
    WriteOutcome,
)
from edge.front.dependencies import Dependencies
from edge.front.options import FrontOptions
from edge.policy.http import request_target
from edge.policy.streams.routes import Route
from origin_adapter.blocking import BeginsByOpen, body_of, pieces_of
from origin_adapter.scripted import LivingOrigin, PlayedExchange

TEXT: Headers = (("Content-Type", "text/plain"), ("Stream-Next-Offset", "7"))
HIT = PerResponse(CacheStatus(hit=True, ttl=60), age=3)
TRACE = frozenset({"traceparent", "x-request-id"})
LARGE = b"x" * (1 << 20)

Tell = Callable[[str], None]


class RealClock:
    """Both clocks as they are."""

    def wall(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


class LoopTicks:
    """Implements ``edge.core.ports.Ticks`` with a timer of the event loop."""

    def __init__(self) -> None:
        self._looks: list[Look] = []
        self._timer: Any = None

    def register(self, look: Look) -> None:
        self._looks.append(look)

    def start(self) -> None:
        self._timer = gevent.get_hub().loop.timer(GRAIN, repeat=GRAIN)
        self._timer.start(self._tick)

    def stop(self) -> None:
        self._timer.stop()

    def _tick(self) -> None:
        for look in self._looks:
            look(time.monotonic())


@dataclass(eq=False)
class FakePendingRead:
    """A reader that waits; ``on_drained`` is what comes next for it."""

    path: str
    sink: Sink
    tell: Tell
    on_drained: Callable[[], None] = lambda: None
    over: bool = False
    brought_by: None = None

    def drained(self) -> None:
        self.tell(f"drained {self.path}")
        self.on_drained()

    def gone(self) -> None:
        if not self.over:
            self.over = True
            self.tell(f"gone {self.path}")


@dataclass(eq=False)
class FakeReadService:
    """Implements ``edge.core.ports.ReadService``; see the module."""

    tell: Tell = lambda line: None
    reads: list[Read] = field(default_factory=list)
    parked: list[FakePendingRead] = field(default_factory=list)
    lasting: list[Sink] = field(default_factory=list)
    leases: list[Lease] = field(default_factory=list)

    def ask(
        self, read: Read, sink: Sink, now: float, lease: Lease = UNLIMITED
    ) -> FakePendingRead | None:
        self.reads.append(read)
        self.leases.append(lease)
        word = read.key.path.rpartition("/")[2].replace("-", "_")
        behave = getattr(self, f"_{word}", self._hit)
        return behave(read, sink)

    def wrote(self, write: WriteOutcome) -> None:
        target = request_target.join(write.path, write.extension)
        self.tell(f"wrote {write.route} {target} {write.method} {write.status}")
        self.release(write.path)

    def release(self, path: str | None = None) -> None:
        """Answer the parked readers of a path, or all of them."""
        for pending in [t for t in self.parked if path in (None, t.path)]:
            self.parked.remove(pending)
            if not pending.over:
                pending.over = True
                whole(pending.sink, Answer(204, TEXT[1:], b""))

    # How paths behave.

    def _hit(self, read: Read, sink: Sink) -> None:
        body = b"" if read.mode is Mode.HEAD else b"hello\n"
        whole(sink, Answer(200, TEXT, body))

    def _ended(self, read: Read, sink: Sink) -> None:
        lease = self.leases[-1]
        if time.monotonic() >= lease.ends_at:
            sink.abort(Refusal("It has ended.", reason=lease.why))
        else:
            self._hit(read, sink)

    def _client(self, read: Read, sink: Sink) -> None:
        whole(sink, Answer(200, TEXT, sink.client.encode()))

    def _trace(self, read: Read, sink: Sink) -> None:
        whole(sink, Answer(200, TEXT, json.dumps(sink.trace).encode()))

    def _large(self, read: Read, sink: Sink) -> None:
        whole(sink, Answer(200, TEXT, LARGE))

    def _bad_field(self, read: Read, sink: Sink) -> None:
        whole(sink, Answer(200, (("X-Bad", "a\r\nb"),), b""))

    def _broken(self, read: Read, sink: Sink) -> None:
        raise ZeroDivisionError("as the test asked")

    def _fail(self, read: Read, sink: Sink) -> None:
        sink.abort(OriginTimeout("The origin did not answer in time."))

    def _park(self, read: Read, sink: Sink) -> FakePendingRead:
        pending = FakePendingRead(read.key.path, sink, self.tell)
        self.parked.append(pending)
        self.tell(f"parked {read.key.path}")
        return pending

    def _two_step(self, read: Read, sink: Sink) -> FakePendingRead:
        pending = FakePendingRead(read.key.path, sink, self.tell)
        gevent.spawn(whole, sink, Answer(200, TEXT, b"later\n"))
        return pending

    def _events(self, read: Read, sink: Sink) -> FakePendingRead:
        return self._stream(read, sink, 3, sink.finish)

    def _cut(self, read: Read, sink: Sink) -> FakePendingRead:
        fault = OriginTimeout("The origin went away.")
        return self._stream(read, sink, 2, lambda: sink.abort(fault))

    def _lasting(self, read: Read, sink: Sink) -> FakePendingRead:
        self.lasting.append(sink)
        return self._stream(read, sink, 1, lambda: None)

    def _endless(self, read: Read, sink: Sink) -> FakePendingRead:
        return self._stream(read, sink, 1_000_000, sink.finish, size=1 << 16)

    def _stream(
        self,
        read: Read,
        sink: Sink,
        count: int,
        end: Callable[[], None],
        size: int = 0,
    ) -> FakePendingRead:
        """Writes until the sink is full, goes on when it has drained, then ``end``."""
        pending = FakePendingRead(read.key.path, sink, self.tell)
        left = iter(range(count))

        def more() -> None:
            room = True
            while room and not pending.over:
                number = next(left, None)
                if number is None:
                    pending.over = True
                    end()
                else:
                    room = sink.write([b"data:%d" % number, b"\n\n", b"." * size])
            if not room:
                self.tell(f"full {read.key.path}")

        pending.on_drained = more
        head = (("Content-Type", "text/event-stream"), ("Cache-Control", "no-cache"))
        how = CacheStatus(fwd="miss", upstream="ds-edge/above; hit")
        sink.begin(Answer(200, head, None), PerResponse(how))
        more()
        return pending


@dataclass(eq=False)
class FakeOrigin(BeginsByOpen):
    """Implements ``edge.core.ports.Origin``: a living one, but for some paths.

    ========= ==================================================================
    swallow   reads the body piece by piece and answers with what it counted
    away      is never reached
    lost      takes the whole request and dies before it answers
    half      answers with half a body, then dies
    forever   answers with a piece, then nothing until it is given up
    fields    answers with the fields that it was asked with
    forwarded the same, in their order of names, without those of its trace
    chunks    answers with two pieces and no length
    moved     answers with addresses of its own, and a cookie
    taken     answers 409 without a body
    full      answers 413, which has had more than one reason phrase
    odd       answers with a field that cannot be sent
    held      answers once somebody asks for release, which is answered at once
    ========= ==================================================================
    """

    tell: Tell
    living: LivingOrigin = field(default_factory=LivingOrigin)
    released: Event = field(default_factory=Event)

    def open(
        self, request: OriginRequest, on_sent: Callable[[], None] | None = None
    ) -> Exchange:
        word = request.target.partition("?")[0].rpartition("/")[2]
        behave = getattr(self, f"_{word}", None)
        if behave is None:
            return self.living.open(request, on_sent)
        exchange: Exchange = behave(request, on_sent or (lambda: None))
        return exchange

    def _swallow(
        self, request: OriginRequest, on_sent: Callable[[], None]
    ) -> PlayedExchange:
        count = largest = 0
        try:
            for piece in pieces_of(request):
                count += len(piece)
                largest = max(largest, len(piece))
        except ClientFault as fault:
            self.tell(f"aborted {fault.reason.value} after {count}")
            raise
        on_sent()
        return _played(200, f"{count} bytes, {largest} at most".encode())

    def _fields(
        self, request: OriginRequest, on_sent: Callable[[], None]
    ) -> PlayedExchange:
        body_of(request)
        return _played(200, json.dumps(request.headers).encode())

    def _forwarded(
        self, request: OriginRequest, on_sent: Callable[[], None]
    ) -> PlayedExchange:
        body_of(request)
        told = sorted(pair for pair in request.headers if pair[0] not in TRACE)
        return _played(200, json.dumps(told).encode())

    def _chunks(
        self, request: OriginRequest, on_sent: Callable[[], None]
    ) -> PlayedExchange:
        body_of(request)
        exchange = PlayedExchange(200, (("content-type", "text/plain"),))
        exchange.put(b"one")
        exchange.put(b"two")
        exchange.end()
        return exchange

    def _moved(
        self, request: OriginRequest, on_sent: Callable[[], None]
    ) -> PlayedExchange:
        body_of(request)
        return _played(
            *(303, b"over there", ("location", "elsewhere?a=1")),
            *(("content-location", "/v1/stream/here"), ("set-cookie", "a=1")),
            *(("set-cookie", "b=2"), ("cache-status", "inner; hit"), ("etag", '"e"')),
        )

    def _taken(
        self, request: OriginRequest, on_sent: Callable[[], None]
    ) -> PlayedExchange:
        body_of(request)
        return _played(409, b"", ("stream-closed", "true"))

    def _full(
        self, request: OriginRequest, on_sent: Callable[[], None]
    ) -> PlayedExchange:
        body_of(request)
        return _played(413, b"too much")

    def _odd(
        self, request: OriginRequest, on_sent: Callable[[], None]
    ) -> PlayedExchange:
        body_of(request)
        return _played(200, b"odd", ("x-odd", "a\x01b"))

    def _held(
        self, request: OriginRequest, on_sent: Callable[[], None]
    ) -> PlayedExchange:
        body_of(request)
        on_sent()
        self.released.clear()
        self.tell(f"held {request.target}")
        self.released.wait()
        return _played(200, b"released")

    def _release(
        self, request: OriginRequest, on_sent: Callable[[], None]
    ) -> PlayedExchange:
        self.released.set()
        return _played(200, b"releasing")

    def _away(self, request: OriginRequest, on_sent: Callable[[], None]) -> Exchange:
        # As a real one: what cannot even begin costs no connection.
        next(iter(pieces_of(request)), b"")
        fault = OriginUnreachable("Nobody listens there.")
        fault.unsent = True
        raise fault

    def _lost(self, request: OriginRequest, on_sent: Callable[[], None]) -> Exchange:
        for _ in pieces_of(request):
            pass
        on_sent()
        raise OriginTimeout("The origin did not answer.")

    def _half(
        self, request: OriginRequest, on_sent: Callable[[], None]
    ) -> PlayedExchange:
        body_of(request)
        exchange = PlayedExchange(200, (("content-type", "text/plain"),))
        exchange.put(b"half")
        exchange.end(OriginBodyCut("The body ended early."))
        return exchange

    def _forever(
        self, request: OriginRequest, on_sent: Callable[[], None]
    ) -> PlayedExchange:
        exchange = PlayedExchange(200, (("content-type", "text/event-stream"),))
        exchange.put(b"data:first\n\n")
        gevent.spawn(self._tell_when_closed, exchange)
        return exchange

    def _tell_when_closed(self, exchange: PlayedExchange) -> None:
        exchange.closed.wait()
        self.tell("exchange closed")


def _played(status: int, body: bytes, *fields: tuple[str, str]) -> PlayedExchange:
    head = (("content-type", "text/plain"), *fields)
    exchange = PlayedExchange(status, head, content_length=len(body))
    exchange.put(body)
    exchange.end()
    return exchange


def whole(sink: Sink, answer: Answer) -> None:
    """An answer at once."""
    sink.begin(answer, HIT)
    sink.finish()


def parts(
    read_service: FakeReadService | None = None,
    origin: Origin | None = None,
    routes: tuple[Route, ...] = (Route(),),
    options: FrontOptions | None = None,
) -> Dependencies:
    """Dependencies with fakes wherever nothing is given."""
    if options is None:
        # A process that is given its options needs no settings.
        from tests.support.options import front_options

        options = front_options()
    return Dependencies(
        read_service or FakeReadService(),
        origin or LivingOrigin(),
        routes,
        Counters(),
        RealClock(),
        options,
        ticks=LoopTicks(),
    )


@dataclass(eq=False)
class FakeControl:
    """Implements ``edge.core.ports.Control``: knows who is parked, holds nothing."""

    read_service: FakeReadService

    def snapshot(
        self, limit: int, wanted: StreamFilter = BY_VIEWERS
    ) -> list[StreamSnapshot]:
        return []

    def details(self, route: str, path: str) -> list[StreamDetail]:
        return []

    def of_path(self, route: str, path: str) -> list[StreamSnapshot]:
        return []

    def purge(self, purge: Purge, patience: float = 0.0) -> PurgeReport:
        return PurgeReport()

    def gauges(self) -> Mapping[str, float]:
        return {"viewers": float(len(self.read_service.parked))}


@dataclass(eq=False)
class FakeRuntime:
    """Implements ``edge.front.dependencies.Runtime`` around FakeReadService."""

    read_service: FakeReadService
    parts: Dependencies
    state: str = "new"
    revoker: None = None
    name: str = ""

    def end_hand_over(self) -> None:
        """It asks no keeper."""

    def start(self) -> None:
        self.state = "started"
        ticks = self.parts.ticks
        assert isinstance(ticks, LoopTicks)
        ticks.start()
        self._say(f"started {os.getpid()}")

    def ready(self) -> bool:
        return self.state == "started"

    @property
    def counter_set(self) -> CounterSet:
        return CounterSet(self.parts.counters)

    @property
    def control(self) -> "FakeControl":
        return FakeControl(self.read_service)

    def drain(self, grace: float) -> None:
        self.state = "draining"
        self._say("draining")
        self.read_service.release()

    def let_go(self) -> None:
        for sink in self.read_service.lasting:
            sink.finish()

    def stop(self) -> None:
        self.state = "stopped"
        self._say("stopped")

    def _say(self, line: str) -> None:
        self.read_service.tell(f"{line} {self.name}".rstrip())
