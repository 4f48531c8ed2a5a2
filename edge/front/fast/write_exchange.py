"""WriteExchange: one plain write, from its head to the end of its answer.

It is data on the event loop. Its connection gathers the body, then it goes upstream by
``Origin.begin``, and this object is told what becomes of it. It has the hub told before
the client hears anything (L4, L5), also of an answer that was lost. It gives the answer
to a ``FastSink``, piece by piece, no faster than the client takes it.

Once a byte has gone upstream the write is never sent again and never handed over (U26):
whatever answer comes is brought to its end here. A client that leaves does not end it
before it is answered (U27): nobody else would know what became of the write. Afterwards
it does, as everywhere.

======== ======================================================================
step     what may come next
======== ======================================================================
made     ``send``, or ``refuse``: its body is no whole one
sent     the head of an answer, a fault, or ``gone``: the worker ends
heard    pieces, the end, a fault, or ``gone``: its client has left
over     nothing
======== ======================================================================

What is sent, answered and told are the whole way's
(``edge.policy.streams.pass_fields``); the corpus of both ways holds that.
"""

from collections.abc import Callable
from typing import Any, Protocol

from edge.core.errors import EdgeError, OriginFault
from edge.core.ports import UpstreamCall
from edge.core.reasons import Reason
from edge.core.values import (
    DIRECT,
    Headers,
    LinkTerms,
    OriginAnswerHead,
    OriginRequest,
    PerResponse,
    Provenance,
    Purpose,
)
from edge.front import problems
from edge.front.exchange import trace_fields
from edge.front.fast.context import FastContext
from edge.front.fast.plain_requests import PlainWrite
from edge.front.fast.sink import FastSink, ResponseWriter
from edge.front.fast.written_events import WrittenEvents
from edge.front.spans import without_state
from edge.policy.streams.answers import is_endless
from edge.policy.streams.pass_fields import (
    link_terms,
    passed_status,
    write_label,
    write_outcome,
)


class WriteConnection(ResponseWriter, Protocol):
    """The connection, as its write sees it."""

    def answering(self) -> None:
        """The write was answered: from now on its client may leave."""


class WriteExchange:
    """Implements ``Receiver`` and ``PendingRead`` of ``edge.core.ports``; use once.

    In what the connection has read, the body of ``size`` bytes begins at ``body_at``
    and ends at ``ends_at``. It is among ``FastContext.bodies`` until ``let_go``.
    """

    __slots__ = (
        "_begun_at",
        "_call",
        "_connection",
        "_context",
        "_events",
        "_heard",
        "_holds",
        "_is_sent",
        "_over",
        "_plain",
        "_received",
        "body_at",
        "ends_at",
        "sink",
        "size",
    )

    def __init__(
        self,
        context: FastContext,
        connection: WriteConnection,
        plain: PlainWrite,
        now: float,
        body_at: int,
    ) -> None:
        self._context = context
        self._connection = connection
        self._plain = plain
        self.body_at = body_at
        self.size = plain.block.length or 0
        self.ends_at = body_at + self.size
        self.sink = FastSink(context, connection, plain, now, plain.block.raw)
        self._call: UpstreamCall | None = None
        self._begun_at = 0.0
        self._is_sent = self._heard = self._over = False
        self._holds = True
        self._received = 0
        self._events: WrittenEvents | None = None

    brought_by = None  # its call is below its own span

    # What the connection calls.

    @property
    def may_begin(self) -> bool:
        """Whether it is still let in. It may end after its grant, but does not begin
        once that was revoked (B13)."""
        return self._plain.grant.lease.why is not Reason.REVOKED

    def let_go(self) -> None:
        """Its body is held no longer. May be called again."""
        if self._holds:
            self._holds = False
            self._context.bodies -= self.size

    def send(self, body: bytes) -> None:
        """Send it upstream. What becomes of it is told later."""
        plain, parts = self._plain, self._context.parts
        self._pass()
        parts.counters.origin_requests[Purpose.WRITE.value] += 1
        self._begun_at = self._context.monotonic()
        block = plain.block
        request = OriginRequest(
            plain.line.method,
            plain.passed.target,
            self._forwarded(),
            Purpose.WRITE,
            None if block.length is None else body,
            block.length,
            self._link_terms(),
        )
        self.sink.pending = self
        try:
            self._call = parts.origin.begin(request, self)
        except Exception as error:
            self._broken(error)

    def refuse(self, error: EdgeError) -> None:
        """Answer with a problem, unsent, and close: the body is no whole one."""
        self._pass()
        self._over = True
        self.let_go()
        self._problem(error, close=True)

    def abandon(self) -> FastSink:
        """Nobody can be answered, and nothing was sent: the worker ends, or a defect
        met the connection. Returns the sink, which logs it."""
        self._pass()
        self._over = True
        self.let_go()
        return self.sink

    # What the origin adapter calls.

    def sent(self) -> None:
        """See ``Receiver``."""
        self._is_sent = True
        self.let_go()

    def head(self, head: OriginAnswerHead) -> None:
        """See ``Receiver``."""
        self._guarded(self._head, head)

    def data(self, piece: bytes) -> None:
        """See ``Receiver``."""
        self._guarded(self._data, piece)

    def ended(self) -> None:
        """See ``Receiver``."""
        self._guarded(self._ended)

    def failed(self, fault: EdgeError) -> None:
        """See ``Receiver``."""
        self._guarded(self._failed, fault)

    # What the connection calls while the answer goes out.

    def drained(self) -> None:
        """See ``PendingRead``."""
        if self._call is not None and not self._over:
            self._call.resume()

    def gone(self) -> None:
        """See ``PendingRead``. Before it was answered, only a worker that ends calls
        this: the connection does not look for its client until then."""
        if not self._over:
            self._give_up()
            if not self._heard:
                self._lost(unsent=False)

    # Its own.

    def _guarded(self, act: Callable[..., None], *told: Any) -> None:
        """Nothing that is told may leave a client without an answer (U25)."""
        if self._over:
            return
        try:
            act(*told)
        except Exception as error:
            self._broken(error)

    def _broken(self, error: Exception) -> None:
        """A defect met this write."""
        self._give_up()
        self._context.report(error, self.sink.request_id)
        self.sink.abort(problems.INTERNAL)

    def _give_up(self) -> None:
        self._end()
        self.let_go()
        if self._call is not None:
            self._call.cancel()

    def _end(self) -> None:
        """Nothing more is heard of it."""
        self._over = True
        if self._events is not None:
            self._events.stop()

    def _link_terms(self) -> LinkTerms | None:
        line = self._plain.line
        if not self._context.parts.options.asks_keepers:
            return None
        return link_terms(line.method, self._plain.passed, line.route)

    def _forwarded(self) -> Headers:
        """The client's fields, and those that tell for which request is asked."""
        block = self._plain.block
        if self._context.spans is not None:
            return without_state(block.forwarded) + self.sink.trace
        own_id = self.sink.request_id.decode("ascii")
        told = block.fields.get("traceparent")
        return block.forwarded + trace_fields(told, own_id)

    def _pass(self) -> None:
        self._context.parts.counters.passes[self._plain.passed.reason.value] += 1

    def _head(self, head: OriginAnswerHead) -> None:
        self._heard = True
        self.let_go()
        self._tell(head.status, head.headers, head.provenance)
        context, sink, plain = self._context, self.sink, self._plain
        close = plain.close or context.server_context.draining
        self._connection.answering()
        try:
            answers, called = context.write_answers, sink.called_by()
            encoded, before = answers.encode(head, plain, called, close)
        except ValueError as error:
            how = passed_status(plain.passed, head.status, head.headers)
            sink.unsendable(error, PerResponse(how))
            self._give_up()
            return
        sink.begin_with(encoded, before)
        if is_endless(head.headers, head.content_length) and encoded.chunked:
            self._events = WrittenEvents(context.passed_events, self._let_go)

    def _data(self, piece: bytes) -> None:
        self._received += len(piece)
        self._context.parts.counters.bytes_from_origin += len(piece)
        if not self.sink.write([piece]) and self._call is not None:
            self._call.pause()
        if self._events is not None:
            self._events.sent(piece)

    def _let_go(self) -> None:
        """The edge drains, and the event stream may end where it is (E54)."""
        if self._call is not None:
            self._call.cancel()
        self._guarded(self._ended)

    def _ended(self) -> None:
        self._end()
        self._context.parts.counters.bytes_out += self._received
        self.sink.sent = self._received
        self.sink.finish()

    def _failed(self, fault: EdgeError) -> None:
        self._end()
        self.let_go()
        if self._heard:
            self.sink.sent = self._received
            self.sink.abort(fault)
            return
        unsent = not isinstance(fault, OriginFault) or fault.unsent
        if isinstance(fault, OriginFault):
            counters = self._context.parts.counters
            counters.origin_faults[fault.reason.value] += 1
        self._lost(unsent)
        # The body was read whole: the connection may be kept.
        close = self._plain.close or self._context.server_context.draining
        self._problem(fault, close)

    def _problem(self, error: EdgeError, close: bool) -> None:
        self.sink.problem(error, passed_status(self._plain.passed), close=close)
        self._context.parts.counters.bytes_out += self.sink.sent

    def _lost(self, unsent: bool) -> None:
        """No answer came. It is unknown whether the origin acted; assume that it did,
        unless it cannot have (L4, L5). Without a body only a whole head can be acted
        upon; with one, some origins take the part before a cut for all of it."""
        if self._is_sent or (self.size and not unsent):
            self._tell(None, ())

    def _tell(
        self, status: int | None, headers: Headers, provenance: Provenance = DIRECT
    ) -> None:
        line, passed, parts = self._plain.line, self._plain.passed, self._context.parts
        parts.counters.writes[write_label(status)] += 1
        outcome = passed, status, headers, self._begun_at, provenance
        write = write_outcome(line.route, line.method, *outcome)
        if write is not None:
            parts.read_service.wrote(write)
