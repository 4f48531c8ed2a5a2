"""Upstream: reads of the origin, counted, guarded by the breaker, and never waited for.

All reads of the hub go through it, and so past the breaker of the origin (U6). Writes,
and what else the front passes on, do not: they are always tried, and open and close
nothing. What an answer means is judged elsewhere. There are three ways:

========== ===========================================================================
``begin``  a whole answer of at most ``max_object`` bytes: one callable hears how it
           ended. For flights, followers and lent fetches.
``stream`` an answer piece by piece, for a ``ports.Receiver`` of the caller's own.
``open``   the same for a greenlet that waits: a relay.
========== ===========================================================================

A call that was begun is data. Its callbacks run on the event loop and never switch
greenlets. Each is guarded here: one that raises is counted and reported, the call is
given up, and its receiver is told so. Whoever began a call hears of its end exactly
once, and not before ``begin`` has returned; whoever cancels it hears nothing more.

Each read says for which request it is asked (``traceparent``, ``X-Request-Id``): for
that of the reader who began it, or for none. Neither field is in a key.
"""

import random
from collections.abc import Callable
from typing import Any, Protocol

import gevent

from edge.core.errors import EdgeError, LendersRefused, NotAsked, OriginFault
from edge.core.ports import Exchange, Origin, Receiver, UpstreamCall
from edge.core.reasons import Reason
from edge.core.values import (
    DIRECT,
    Framing,
    Headers,
    OriginAnswer,
    OriginAnswerHead,
    OriginRequest,
    Provenance,
)
from edge.live.context import Guard, HubContext
from edge.policy.http.breaker import (
    Breaker,
    CallOutcome,
    outcome_of_fault,
    outcome_of_status,
)
from edge.policy.http.origin_health import OriginHealth
from edge.policy.streams.contact import REFUSES_WORK


class BodyReceiver(Protocol):
    """Whoever is told the rest of an answer, as a ``ports.Receiver`` is."""

    def data(self, piece: bytes) -> None: ...
    def ended(self) -> None: ...
    def failed(self, fault: EdgeError) -> None: ...


class TooLarge(Exception):
    """The answer is larger than ``max_object`` (L11). Its call is given up, unless it
    is taken over by whoever is told this, in the same turn; ``head`` is None where it
    cannot be."""

    def __init__(self, whole: "_Whole | None" = None) -> None:
        super().__init__()
        self._whole = whole
        self.head = None if whole is None else whole.told
        self.provenance = DIRECT if whole is None else whole.provenance
        self.span = None if whole is None else whole.told.span

    def take_over(self, heir: BodyReceiver) -> UpstreamCall:
        """Have ``heir`` told what has come of the body, at once, and then the rest."""
        assert self._whole is not None
        return self._whole.hand_over(heir)


Outcome = OriginAnswer | OriginFault | TooLarge
"""How a fetch ended."""

Done = Callable[[Outcome], None]
"""Called once, on the event loop, with how a fetch ended. It never switches."""

OnSent = Callable[[], None]
"""Called at most once, when the whole request is on the wire."""


def next_turn(act: Callable[..., None], *args: Any) -> Any:
    """Call ``act`` in a later turn of the event loop, soon. What is returned has
    ``stop()``: then it is not called.

    No greenlet is made for it, so ``act`` must never switch.
    """
    return gevent.get_hub().loop.run_callback(act, *args)


def after(seconds: float, act: Callable[..., None], *args: Any) -> Any:
    """The same, once so many seconds have passed."""
    timer = gevent.get_hub().loop.timer(seconds)
    timer.start(act, *args)
    return timer


class Upstream:
    """The reads of one hub.

    ``from_an_edge`` tells from its fields whether an answer was made by another edge,
    and not by the next hop itself (U11). ``may_take_over``: what is too large may be
    taken over (S1).
    """

    def __init__(
        self,
        origin: Origin,
        context: HubContext,
        from_an_edge: Callable[[Headers], bool],
        may_take_over: bool = False,
    ) -> None:
        self.may_take_over = may_take_over
        self.breaker = Breaker()
        self.max_object = context.options.max_object
        self.counters = context.counters
        self.health = OriginHealth()
        self.guard = context.guard
        self._origin = origin
        self._failed = context.origin_failed
        self._clock = context.clock
        self._may_break = context.options.breaker
        self._from_an_edge = from_an_edge
        self._traces = _Traces()

    def begin(
        self,
        request: OriginRequest,
        done: Done,
        on_sent: OnSent | None = None,
        trace: Headers = (),
    ) -> UpstreamCall:
        """Fetch a whole answer. ``done`` hears how that ended: NotAsked if nothing was
        sent, for a limit of this edge or while the breaker is open; TooLarge as soon as
        that is known.

        ``trace``: the fields that tell for which request it is asked, if for one.
        """
        whole = _Whole(self, done, on_sent)
        whole.call = call = self.stream(request, whole, trace)
        return call

    def stream(
        self, request: OriginRequest, receiver: Receiver, trace: Headers = ()
    ) -> UpstreamCall:
        """Send a read, and tell ``receiver`` as ``ports.Origin.begin`` does, but that
        ``failed`` brings an OriginFault in any case."""
        call = _GuardedCall(self, request, receiver)
        try:
            call.number = self._let_through()
        except NotAsked as fault:
            call.give_up(fault)
            return call
        try:
            call.begun(self._origin.begin(self._traced(request, trace), call))
        except Exception:
            self.guard.report(self._origin)
            call.give_up(_defect())
        return call

    def open(
        self,
        request: OriginRequest,
        on_sent: OnSent | None = None,
        trace: Headers = (),
    ) -> Exchange:
        """The answer as it arrives, for a greenlet that waits. Raises OriginFault;
        NotAsked as above."""
        call = self._let_through()
        request = self._traced(request, trace)
        try:
            exchange = self._origin.open(request, on_sent)
        except OriginFault as fault:
            self.failed(call, request, fault)
            raise
        self.answered(call, request, exchange.status, exchange.headers)
        return exchange

    # What became of a call

    def answered(
        self, call: int, request: OriginRequest, status: int, headers: Headers
    ) -> None:
        """The head of its answer is here."""
        if status >= 500 or status in REFUSES_WORK:
            self.counters.origin_statuses[str(status)] += 1
        if status >= 500 or not (self.breaker.calm and self.health.well):
            by_edge = self._from_an_edge(headers)
            self._heard(call, request, outcome_of_status(status, from_an_edge=by_edge))

    def failed(self, call: int, request: OriginRequest, fault: OriginFault) -> None:
        """It ended without the head of an answer. What a keeper tells is no refusal."""
        if isinstance(fault, NotAsked):
            if not isinstance(fault, LendersRefused):
                self.counters.refusals[fault.reason.value] += 1
        else:
            self.broke_off(request, fault)
            self._heard(call, request, outcome_of_fault(fault))

    def broke_off(self, request: OriginRequest, fault: OriginFault) -> None:
        """It failed, maybe in the middle of its answer."""
        self._failed(_path_of(request), fault.reason)

    def _heard(self, call: int, request: OriginRequest, outcome: CallOutcome) -> None:
        self.health.heard(outcome, self._clock.wall())
        if self._may_break:
            stream = _path_of(request)
            now, chance = self._clock.monotonic(), random.random()
            opened = self.breaker.heard(call, stream, outcome, now, chance)
            self.counters.breaker_opened += opened

    def _let_through(self) -> int:
        """The number of a call that may be made. Raises NotAsked (origin-down)."""
        if self.breaker.calm:
            # Nothing to ask and nothing to tell while all is well.
            return self.breaker.latest
        now = self._clock.monotonic()
        call = self.breaker.let_through(now, random.random())
        if call is None:
            self.counters.refusals[Reason.ORIGIN_DOWN.value] += 1
            raise NotAsked(
                "the origin is down; it is tried again in a moment",
                retry_after=self.breaker.retry_after(now),
            )
        return call

    def _traced(self, request: OriginRequest, trace: Headers) -> OriginRequest:
        """The request as it is sent. What differs from one poll of a stream to the next
        goes last: an encoding of all fields before that can be used again."""
        self.counters.origin_requests[request.purpose.value] += 1
        headers = (*request.headers, *(trace or self._traces.next()))
        how = request.target, headers, request.purpose
        return OriginRequest(request.method, *how, link=request.link)


def _path_of(request: OriginRequest) -> str:
    """One stream, whoever reads it and with whatever parameters."""
    return request.target.partition("?")[0]


class _Traces:
    """Makes the fields of what is asked for no reader: a follower's poll. It is not
    sampled.

    One large random number, and a count that walks through all 64-bit numbers in an
    order that looks like chance (a Weyl sequence): unique in a process, and spread
    evenly for whoever samples by the id (W3C Trace Context section 5.1).
    """

    _STEP = 0x9E3779B97F4A7C15
    _MASK = (1 << 64) - 1

    def __init__(self) -> None:
        # Made after the fork, so that no two workers have the same.
        self._of_process = f"{random.getrandbits(64) or 1:016x}"
        self._count = random.getrandbits(64)

    def next(self) -> Headers:
        self._count = count = (self._count + self._STEP) & self._MASK
        one, process = f"{count or 1:016x}", self._of_process
        return (
            ("traceparent", f"00-{process}{one}-{one}-00"),
            ("x-request-id", process[:8] + one),
        )


class _GuardedCall:
    """One call: a Receiver for the origin, an UpstreamCall for who began it.

    It counts, tells the breaker, and hands everything on, for as long as it was neither
    cancelled nor ended. Then it lets go of its receiver, which may hold this call: else
    each poll would leave a cycle behind, for full collections that stop the loop.
    """

    __slots__ = ("_has_head", "_inner", "_receiver", "_request", "_upstream", "number")

    def __init__(
        self, upstream: Upstream, request: OriginRequest, receiver: Receiver
    ) -> None:
        # By which the breaker knows it.
        self.number = 0
        self._upstream = upstream
        self._request = request
        self._receiver: Receiver | None = receiver  # None once it is over
        self._has_head = False
        self._inner: UpstreamCall | None = None

    # For who began it: ``ports.UpstreamCall``.

    def cancel(self) -> None:
        """See ``ports.UpstreamCall``."""
        self._receiver = None
        inner, self._inner = self._inner, None
        if inner is not None:
            inner.cancel()

    def pause(self) -> None:
        """See ``ports.UpstreamCall``."""
        if self._inner is not None:
            self._inner.pause()

    def resume(self) -> None:
        """See ``ports.UpstreamCall``."""
        if self._inner is not None:
            self._inner.resume()

    # For Upstream

    def begun(self, inner: UpstreamCall) -> None:
        """The origin knows it.

        1: it is begun; 2: ``sent`` is told; 3: whoever hears that cancels the call; 4:
        this. So what was cancelled at 3 is cancelled at the origin now.
        """
        if self._receiver is None:
            inner.cancel()
        else:
            self._inner = inner

    def give_up(self, fault: OriginFault) -> None:
        """End it here, by ``fault``. Its receiver is told in a later turn, for it may
        not know this call yet, unless it has cancelled it."""
        receiver = self._receiver
        self.cancel()
        if receiver is not None:
            self._inner = _Told(self._upstream.guard, receiver, fault)

    # For the origin: ``ports.Receiver``.

    def sent(self) -> None:
        """See ``ports.Receiver``."""
        if self._receiver is not None:
            self._tell(self._receiver.sent)

    def head(self, head: OriginAnswerHead) -> None:
        """See ``ports.Receiver``."""
        if self._receiver is not None:
            self._has_head = True
            told = self.number, self._request, head.status, head.headers
            self._upstream.answered(*told)
            self._tell(self._receiver.head, head)

    def data(self, piece: bytes) -> None:
        """See ``ports.Receiver``."""
        if self._receiver is not None:
            self._tell(self._receiver.data, piece)

    def ended(self) -> None:
        """See ``ports.Receiver``."""
        if (receiver := self._over()) is not None:
            try:
                receiver.ended()
            except Exception:
                self._upstream.guard.report(receiver)

    def failed(self, fault: EdgeError) -> None:
        """See ``ports.Receiver``."""
        if (receiver := self._over()) is None:
            return
        upstream = self._upstream
        if not isinstance(fault, OriginFault) or fault.reason is Reason.INTERNAL:
            # Not the origin's: what was built cannot be sent, or there is a defect.
            upstream.counters.internal_errors += 1
            fault = _defect(fault.detail)
        elif self._has_head:
            upstream.broke_off(self._request, fault)
        else:
            upstream.failed(self.number, self._request, fault)
        upstream.guard.call(receiver.failed, fault)

    def _over(self) -> Receiver | None:
        """It has ended: who is to be told so, if anybody."""
        receiver, self._receiver = self._receiver, None
        self._inner = None if receiver is not None else self._inner
        return receiver

    def _tell(self, act: Callable[..., None], *args: object) -> None:
        receiver = self._receiver
        try:
            act(*args)
        except Exception:
            self._upstream.guard.report(receiver)
            self.give_up(_defect())


class _Told:
    """An UpstreamCall that has failed already: its receiver hears so in a later turn,
    unless it is cancelled before that."""

    __slots__ = ("_turn",)

    def __init__(self, guard: Guard, receiver: Receiver, fault: OriginFault) -> None:
        self._turn = next_turn(guard.call, receiver.failed, fault)

    def cancel(self) -> None:
        """See ``ports.UpstreamCall``."""
        self._turn.stop()

    def pause(self) -> None:
        """See ``ports.UpstreamCall``: there is nothing to read."""

    def resume(self) -> None:
        """See ``ports.UpstreamCall``: there is nothing to read."""


class _Whole:
    """A Receiver that collects a whole answer."""

    __slots__ = (
        *("call", "_done", "_heir", "_on_sent"),
        *("_pieces", "_size", "_upstream", "provenance", "told"),
    )

    call: UpstreamCall
    told: OriginAnswerHead
    provenance: Provenance

    def __init__(self, upstream: Upstream, done: Done, on_sent: OnSent | None) -> None:
        self._upstream = upstream
        self._heir: BodyReceiver | None = None
        self._done = done
        self._on_sent = on_sent
        self._pieces: list[bytes] = []
        self._size = 0

    def sent(self) -> None:
        """See ``ports.Receiver``."""
        if self._on_sent is not None:
            self._on_sent()

    def head(self, head: OriginAnswerHead) -> None:
        """See ``ports.Receiver``."""
        self.told = head
        told = head.provenance is not DIRECT
        self.provenance = head.provenance if told else Provenance.told_by(head.headers)
        # A HEAD announces the length of a body that does not come.
        comes = head.framing is Framing.LENGTH
        if comes and (head.content_length or 0) > self._upstream.max_object:
            self._stop()

    def data(self, piece: bytes) -> None:
        """See ``ports.Receiver``."""
        if self._heir is not None:
            self._heir.data(piece)
            return
        self._size += len(piece)
        self._pieces.append(piece)
        if self._size > self._upstream.max_object:
            self._stop()

    def ended(self) -> None:
        """See ``ports.Receiver``."""
        if self._heir is not None:
            self._heir.ended()
            return
        self._upstream.counters.bytes_from_origin += self._size
        head, pieces = self.told, self._pieces
        # Most bodies come in one piece, and need no copy.
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        how = (head.framing, self.provenance, head.span)
        self._done(OriginAnswer(head.status, head.headers, body, *how))

    def failed(self, fault: EdgeError) -> None:
        """See ``ports.Receiver``."""
        assert isinstance(fault, OriginFault)
        if self._heir is not None:
            self._heir.failed(fault)
            return
        self._done(fault)

    def _stop(self) -> None:
        """It is too large: nothing of it is kept, and the rest is not read, unless it
        is taken over."""
        if not self._upstream.may_take_over:
            self._pieces.clear()
            self.call.cancel()
            self._upstream.guard.call(self._done, TooLarge())
            return
        self._upstream.guard.call(self._done, TooLarge(self))
        if self._heir is None:
            self._pieces.clear()
            self.call.cancel()

    def hand_over(self, heir: BodyReceiver) -> UpstreamCall:
        """See ``TooLarge.take_over``."""
        pieces, self._pieces = self._pieces, []
        self._heir = heir
        for piece in pieces:
            heir.data(piece)
        return self.call


def _defect(detail: str = "") -> OriginFault:
    return OriginFault(detail or "the call broke", reason=Reason.INTERNAL)
