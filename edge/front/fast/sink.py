"""SocketSink: one plain read's answer, from the hub onto a non-blocking socket.

Whole answers go out with one send. Streamed ones go out as chunks, one for each
write; what the socket does not take, its connection keeps, and the hub is told
``full`` until it is gone. The head of a stream waits for what is written with it
in the same turn of the event loop. Nothing here blocks or switches greenlets,
and nothing is called back from within a call of the hub's.
"""

from collections.abc import Sequence
from typing import Protocol

from edge.core.errors import EdgeError
from edge.core.ports import Ready, Ticket
from edge.core.reasons import Reason
from edge.core.values import Answer, CacheStatus, Stamp
from edge.front import problems
from edge.front.app.error_handlers import note
from edge.front.fast.context import Floor
from edge.front.fast.request_memo import Plain
from edge.front.fast.response_encoder import Wire
from edge.front.request_context import Record

_LAST_CHUNK = b"0\r\n\r\n"


class Carrier(Protocol):
    """The connection, as its sink sees it."""

    def send(self, head: bytes, body: bytes = b"") -> bool:
        """Send both; False when some of it has to wait for the socket."""

    def complete(self, close: bool, hold: bool = False) -> None:
        """The answer is over; close the connection behind it, or go on: at once,
        or when ``go_on`` is called (``hold``)."""

    def go_on(self) -> None:
        """Read on, if that was held."""


class SocketSink:
    """Implements ``edge.core.ports.Sink`` for one request; use once."""

    __slots__ = (
        "_carrier",
        "_floor",
        "_head",
        "_plain",
        "_started",
        "_wire",
        "ended",
        "error",
        "request_id",
        "sent",
        "ticket",
    )

    def __init__(
        self, floor: Floor, carrier: Carrier, plain: Plain, started: float
    ) -> None:
        self._floor = floor
        self._carrier = carrier
        self._plain = plain
        self._started = started
        self.request_id = plain.request_id or floor.next_id()
        self._wire: Wire | None = None
        self._head = b""
        self.ticket: Ticket | None = None
        self.ended = False
        self.error: EdgeError | None = None
        self.sent = 0

    # What the hub calls.

    def give(self, ready: Ready, hold: bool = False) -> None:
        """See ``ports.Sink``."""
        floor, plain = self._floor, self._plain
        if plain.close or floor.serving.draining:
            self.begin(ready.answer, ready.stamp)
            self.finish()
            return
        try:
            wire = floor.ready(ready, plain.line.route, floor.monotonic())
        except ValueError as error:
            self._unsendable(error, ready.stamp)
            return
        self._wire = wire
        self.sent = wire.size
        self.ended = True
        self._carrier.send(wire.before + self.request_id + wire.after, wire.body)
        self._carrier.complete(False, hold)

    def go_on(self) -> None:
        """See ``ports.Sink``."""
        self._carrier.go_on()

    def begin(self, answer: Answer, stamp: Stamp) -> None:
        """See ``ports.Sink``."""
        close = self._plain.close or self._floor.serving.draining
        try:
            wire = self._floor.wire(answer, stamp, self._plain.line.route, close)
        except ValueError as error:
            self._unsendable(error, stamp)
            return
        self._wire = wire
        head = wire.before + self.request_id + wire.after
        self.sent = wire.size
        if answer.body is None:
            # What is written in this turn goes out with the head.
            self._head = head
            self._floor.soon(self._send_head)
        else:
            self._carrier.send(head, wire.body)

    def write(self, buffers: Sequence[bytes]) -> bool:
        """See ``ports.Sink``. One write is one chunk."""
        wire = self._wire
        if self.ended or wire is None or wire.answer.status in (204, 304):
            return True
        data = self._floor.gathered(buffers, wire.chunked)
        if not data:
            return True
        self.sent += len(data)
        if self._head:
            data, self._head = self._head + data, b""
        return self._carrier.send(data)

    def finish(self) -> None:
        """See ``ports.Sink``."""
        if self.ended:
            return
        self.ended = True
        wire = self._wire
        last = _LAST_CHUNK if wire is not None and wire.chunked else b""
        if self._head or last:
            self._carrier.send(self._head + last)
            self._head = b""
        self._carrier.complete(wire is None or wire.close)

    def abort(self, error: EdgeError) -> None:
        """See ``ports.Sink``: a problem, or a body that does not look complete."""
        if self.ended:
            return
        if self._wire is None:
            close = self._plain.close or self._floor.serving.draining
            self._problem(error, None, close=close)
            return
        self.ended = True
        self.error = error
        self._send_head()
        self._carrier.complete(True)

    # What the connection calls.

    def served(self, wire: Wire, request_id: bytes) -> None:
        """The whole answer was sent, or is being sent, without the hub."""
        self._wire = wire
        self.request_id = request_id
        self.sent = wire.size
        self.ended = True

    def over(self) -> None:
        """The answer is out. The last call."""
        self._log(lost=False)
        # Sink and ticket hold each other: thousands of them after each wake-up
        # would be garbage that only a collection finds.
        self.ticket = None

    def client_left(self) -> None:
        """The client left before its answer was out. The last call."""
        self._log(lost=True)
        ticket, self.ticket = self.ticket, None
        if ticket is not None and not self.ended:
            ticket.gone()

    # Its own.

    def _log(self, lost: bool) -> None:
        """Write the request's line, if one is wanted."""
        wire = self._wire
        status = wire.answer.status if wire is not None else 0
        lost = lost or self.error is not None
        if self._floor.serving.access_log.wants(status, lost):
            record = self._record(None if wire is None else wire.stamp.status)
            record.lost = lost
            if record.cache is not None:
                record.reason = record.cache.detail
            if self.error is not None:
                record.reason = self.error.reason
            elif lost:
                record.reason = Reason.CLIENT_GONE
            self._floor.serving.put_line(record, status, self.sent)

    # Its own.

    def _unsendable(self, error: ValueError, stamp: Stamp) -> None:
        self._floor.report(error, self.request_id)
        self._problem(problems.INTERNAL, stamp.status, close=True)

    def _send_head(self) -> None:
        head, self._head = self._head, b""
        if head:
            self._carrier.send(head)

    def _problem(
        self, error: EdgeError, cache: CacheStatus | None, *, close: bool
    ) -> None:
        """Answer with the error's own problem document."""
        record = self._record(cache)
        note(record, error, self._floor.serving.counters)
        answer = problems.answer_of(error, record.request_id)
        stamp = Stamp(record.cache or CacheStatus())
        route = self._plain.line.route
        self._wire = wire = self._floor.wire(answer, stamp, route, close)
        self.sent = wire.size
        self._carrier.send(wire.before + self.request_id + wire.after)
        self.ended = True
        self._carrier.complete(close)

    def _record(self, cache: CacheStatus | None) -> Record:
        plain = self._plain
        return Record(
            {},
            "GET",
            plain.line.target,
            self.request_id.decode("ascii"),
            self._started,
            plain.line.route,
            plain.read.mode.value,
            cache,
        )
