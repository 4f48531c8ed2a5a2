"""One call to the origin as data on the event loop: the machine of all upstream calls.

A call goes through these states, in this order, and may skip to OVER from each:

=========== ===================================== ==============================
state       what is under way                     what ends it too late
=========== ===================================== ==============================
QUEUED      all slots of its purpose are taken    the queue's time-out (pool)
CONNECTING  a greenlet makes a connection         the connect time-out (dialing)
SENDING     the socket takes the request; an      ``send`` without progress; none
            answer may already come               while the request's body is
                                                  what is waited for
AWAITING    the request is out, or as much of it  ``head``, from the sending on
            as the origin took
READING     the head was told; the body comes     ``body`` without a byte of the
                                                  body; none while it is paused
OVER        the receiver was told, or gave up
=========== ===================================== ==============================

``total`` ends the last three. What a connection that is lost means:

=========== =====================================================================
SENDING     nothing yet: what the origin said before it hung up may still be
            here, so the sending ends and the call goes on as AWAITING
AWAITING    nothing of the answer had come: OriginUnreachable, but a GET or HEAD
            over a kept connection is sent again, once, over a new one.
            Something had come: OriginGarbage
READING     OriginBodyCut, unless the body ends with its connection
=========== =====================================================================

Reading goes on while a body is sent: a final answer that comes before the end of the
request ends the sending (413, 409). Its connection is closed behind it, because the
origin still expects the rest, and ``sent`` is not told then.

Nothing here blocks or switches greenlets, except ``_dial`` in its own. Each callback of
the loop is guarded (U25): an exception, be it of this module or of the receiver, ends
the call with the reason ``internal`` and is reported to gevent's hub, as the death of a
greenlet is. However a call ends, ``_end`` is passed exactly once. It gives slot and
connection back, and a connection whose answer is not over is closed.

``origin`` makes calls, and waits for some.
"""

import enum
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import gevent
from gevent.hub import get_hub

from edge.core.errors import (
    EdgeError,
    OriginBodyCut,
    OriginFault,
    OriginGarbage,
    OriginTimeout,
)
from edge.core.ports import Receiver
from edge.core.reasons import Reason
from edge.core.values import Headers, OriginAnswerHead
from origin_adapter.http.connection import ConnectionLost, UpstreamConnection
from origin_adapter.http.options import CallTimeouts
from origin_adapter.http.pool import PurposePool
from origin_adapter.http.request_encoder import EncodedRequest
from origin_adapter.http.response_parser import BodyReader, ResponseHeadReader

MAX_SENT = 1024 * 1024
"""Bytes that a call sends in one turn of the loop, to a peer that takes them all."""


class CallState(enum.Enum):
    """See the module."""

    QUEUED = "queued"
    CONNECTING = "connecting"
    SENDING = "sending"
    AWAITING = "awaiting"
    READING = "reading"
    OVER = "over"


_QUEUED, _CONNECTING, _SENDING, _AWAITING, _READING, _OVER = CallState


@dataclass(frozen=True, slots=True)
class CallRules:
    """What holds for all calls of one purpose to one origin.

    ``reader`` makes what reads the head of the answer to a method. ``shown`` makes of
    its fields those that may be told, where they may have the origin's address. Each
    fault goes to ``on_fault`` before the receiver, and whether nothing was sent.
    """

    pool: PurposePool
    timeouts: CallTimeouts
    reader: Callable[[str], ResponseHeadReader]
    shown: Callable[[Headers], Headers]
    on_fault: Callable[[OriginFault, bool], None]


class HttpCall:
    """Implements ``edge.core.ports.UpstreamCall``; see the module.

    ``on_drained`` is called each time all that was given is out, unless that was the
    last piece. None: nobody will ``write``.
    """

    __slots__ = (
        "_body",
        "_connection",
        "_dialing",
        "_end_by",
        "_fit",
        "_left",
        "_method",
        "_more",
        "_on_drained",
        "_paused",
        "_pool",
        "_reader",
        "_receiver",
        "_request",
        "_rules",
        "_sent_told",
        "_sent_whole",
        "_state",
    )

    def __init__(
        self,
        rules: CallRules,
        method: str,
        encoded: EncodedRequest,
        receiver: Receiver,
        on_drained: Callable[[], None] | None = None,
    ) -> None:
        self._rules = rules
        self._pool = rules.pool
        self._method = method
        self._request = encoded
        self._receiver: Receiver | None = receiver
        self._on_drained = on_drained
        self._more = not encoded.whole
        self._left: bytes | memoryview = b""
        total = rules.timeouts.total
        self._end_by = None if total is None else time.monotonic() + total
        self._state = _QUEUED
        self._connection: UpstreamConnection | None = None
        self._dialing: gevent.Greenlet[[], None] | None = None
        self._reader: ResponseHeadReader | None = None
        self._body: BodyReader | None = None
        self._fit = False
        self._paused = False
        self._sent_told = False
        self._sent_whole = False

    @property
    def sending(self) -> bool:
        """Whether the origin still wants more of the request."""
        return self._state in (_QUEUED, _CONNECTING, _SENDING)

    @property
    def drained(self) -> bool:
        """Whether all that was given is out, and the origin still wants more."""
        return self._state is _SENDING and not self._left and self._more

    @property
    def _to(self) -> Receiver:
        assert self._receiver is not None, "it gave up, and so the call was over"
        return self._receiver

    # Getting a connection.

    def start(self) -> None:
        """Begin. Called once. All but ``sent`` is told later."""
        try:
            entered = self._pool.enter(self)
        except OriginFault as fault:
            get_hub().loop.run_callback(self._fail, fault)
            return
        if entered:
            self._connect()

    def granted(self) -> None:
        """See ``pool.PooledCall``."""
        if self._state is _QUEUED:
            self._connect()

    def refused(self, fault: OriginFault) -> None:
        """See ``pool.PooledCall``."""
        if self._state is _READING:
            fault = OriginBodyCut("the connection was closed here")
        self._fail(fault)

    def _connect(self, *, fresh: bool = False) -> None:
        """Go on over a kept connection, or have one made. Guarded."""
        try:
            connection = None if fresh else self._pool.idle_connection()
            if connection is None:
                self._state = _CONNECTING
                self._dialing = gevent.spawn(self._dial)
            else:
                self._use(connection)
        except BaseException:
            self._break()

    def _dial(self) -> None:
        """Runs in its own greenlet, which is killed when the call ends meanwhile."""
        try:
            connection = self._pool.connect()
        except EdgeError as fault:
            self._dialing = None
            self._fail(fault)
            return
        except Exception:
            self._dialing = None
            self._break()
            return
        self._dialing = None
        if self._state is not _CONNECTING:
            # Ended between the last wait in there and the kill that was to come.
            connection.close()
            return
        try:
            self._use(connection)
        except BaseException:
            self._break()

    # Sending.

    def _use(self, connection: UpstreamConnection) -> None:
        self._connection = connection
        connection.holder = self
        if self._paused:
            connection.rest()
        self._reader = self._rules.reader(self._method)
        self._sent_whole, self._left = False, b""
        self._state = _SENDING
        self._push(self._request.first)

    def write(self, piece: bytes, *, last: bool) -> None:
        """Send the next piece of the body, all before it being out.

        An answer that is here by now is heard first: nothing more is sent then.
        """
        if self._state is _SENDING and self._connection is not None:
            self.readable(self._connection)
        self._more = self._more and not last
        self._give(piece)

    def _give(self, piece: bytes | memoryview) -> None:
        if self._state is _SENDING:
            try:
                self._push(piece)
            except BaseException:
                self._break()

    def writable(self, connection: UpstreamConnection) -> None:
        """See ``connection.ConnectionHolder``."""
        if connection is self._connection and self._left:
            self._give(self._left)

    def _push(self, data: bytes | memoryview) -> None:
        """Send ``data`` as far as the socket takes it."""
        connection, sent = self._connection, 0
        assert connection is not None
        size = len(data)
        try:
            while sent < size:
                taken = connection.send(memoryview(data)[sent:] if sent else data)
                sent += taken
                if (taken == 0 or sent >= MAX_SENT) and sent < size:
                    if sent or not self._left:
                        # A try that brought nothing earns no more time.
                        self._due(self._rules.timeouts.send)
                    self._left = memoryview(data)[sent:]
                    connection.await_room()
                    return
        except ConnectionLost:
            # What the origin sent before it hung up may still be here.
            self._await_head()
            return
        self._left = b""
        if self._more and self._on_drained is not None:
            self._due(None)
            self._on_drained()
            return
        self._sent_whole = True
        self._await_head()
        if not self._sent_told:
            self._sent_told = True
            self._to.sent()

    def _await_head(self) -> None:
        self._left = b""
        self._state = _AWAITING
        self._due(None if self._paused else self._rules.timeouts.head)

    # The answer.

    def readable(self, connection: UpstreamConnection) -> None:
        """See ``connection.ConnectionHolder``."""
        if connection is not self._connection:
            return
        try:
            data = connection.receive()
            if data is None:
                return
            hear = self._hear_head if self._body is None else self._hear_body
            heard = hear(data)
        except ConnectionLost as lost:
            self._lose(connection, lost)
            return
        except OriginFault as fault:
            self._fail(fault)
            return
        except BaseException:
            self._break()
            return
        if heard is not None:
            self._tell(*heard)

    def _hear_head(self, data: bytes) -> "_Heard | None":
        reader = self._reader
        assert reader is not None
        if not data:
            raise ConnectionLost("the origin closed the connection")
        answer = reader.feed(data)
        if answer is None:
            return None
        head, body = answer
        piece = body.feed(reader.rest())
        if self._state is _SENDING:
            self._stop_sending()
        self._fit = head.keep_alive and self._sent_whole
        self._reader, self._body = None, body
        self._state = _READING
        headers = head.headers
        if head.tells_urls:
            headers = self._rules.shown(headers)
        told = OriginAnswerHead(head.status, headers, head.framing, head.content_length)
        return told, piece

    def _stop_sending(self) -> None:
        self._left = b""
        self._more = False
        assert self._connection is not None
        self._connection.stop_sending()

    def _hear_body(self, data: bytes) -> "_Heard | None":
        body = self._body
        assert body is not None
        if data:
            piece = body.feed(data)
        else:
            body.eof()
            piece = b""
        return (None, piece) if piece or body.done else None

    def _tell(self, head: OriginAnswerHead | None, piece: bytes) -> None:
        body = self._body
        assert body is not None
        try:
            if not body.done and not self._paused:
                self._due(self._rules.timeouts.body)
            if head is not None:
                self._to.head(head)
            if piece and self._state is _READING:
                self._to.data(piece)
            if body.done and self._state is _READING:
                receiver, self._receiver = self._to, None
                self._end(reusable=body.clean and self._fit)
                receiver.ended()
        except BaseException:
            self._break()

    # Ends.

    def _lose(self, connection: UpstreamConnection, lost: ConnectionLost) -> None:
        if self._state is _READING:
            self._fail(OriginBodyCut("the connection died within the body"))
        elif self._reader is not None and self._reader.received:
            self._fail(OriginGarbage("the answer ended within its head"))
        elif connection.reused and self._request.resendable:
            self._pool.counts.retries += 1
            self._connection = None
            self._pool.discard(connection)
            self._connect(fresh=True)
        else:
            self._fail(lost)

    def late(self, connection: UpstreamConnection) -> None:
        """See ``connection.ConnectionHolder``."""
        if connection is self._connection:
            self._fail(OriginTimeout("the origin took too long"))

    def _fail(self, fault: EdgeError) -> None:
        """The call ends with a fault. Guarded: it raises nothing."""
        if self._state is _OVER:
            return
        self._end()
        self._tell_failed(fault)

    def _tell_failed(self, fault: EdgeError) -> None:
        receiver, self._receiver = self._receiver, None
        if receiver is None:
            return
        try:
            if isinstance(fault, OriginFault):
                unsent = self._reader is None and self._body is None
                self._rules.on_fault(fault, unsent)
            receiver.failed(fault)
        except BaseException:
            _report(self)

    def _break(self) -> None:
        """A defect, here or of the receiver, ends the call. Called where it was caught.

        The receiver is told later: it may be in the middle of what it raised from.
        """
        _report(self)
        if self._state is not _OVER:
            self._end()
            detail = "a defect of this edge ended the call"
            fault = OriginFault(detail, status=500, reason=Reason.INTERNAL)
            get_hub().loop.run_callback(self._tell_failed, fault)

    def _end(self, *, reusable: bool = False) -> None:
        """Give slot and connection back. Exactly once, in every case. Guarded."""
        self._state = _OVER
        connection, self._connection = self._connection, None
        dialing, self._dialing = self._dialing, None
        if dialing is not None:
            dialing.kill(block=False)
        try:
            if connection is not None:
                if reusable:
                    self._pool.keep(connection)
                else:
                    self._pool.discard(connection)
            self._pool.leave(self)
        except BaseException:
            _report(self)

    # What the receiver may do.

    def cancel(self) -> None:
        """See ``ports.UpstreamCall``."""
        self._receiver = None
        if self._state is not _OVER:
            self._end()

    def pause(self) -> None:
        """See ``ports.UpstreamCall``."""
        self._paused = True
        if self._connection is not None:
            self._connection.rest()
            if self._state is not _SENDING:
                self._due(None)

    def resume(self) -> None:
        """See ``ports.UpstreamCall``."""
        self._paused = False
        if self._connection is not None:
            self._connection.watch()
            if self._state is _AWAITING:
                self._due(self._rules.timeouts.head)
            elif self._state is _READING:
                self._due(self._rules.timeouts.body)

    def _due(self, seconds: float | None) -> None:
        """When this call is too late, from now on; None: only by its ``total``."""
        connection, end_by = self._connection, self._end_by
        assert connection is not None
        when = end_by
        if seconds is not None:
            when = time.monotonic() + seconds
            if end_by is not None and end_by < when:
                when = end_by
        if when is None:
            self._pool.deadlines.drop(connection)
        else:
            self._pool.deadlines.set(connection, when)

    def __repr__(self) -> str:
        return f"<HttpCall {self._state.value}>"


_Heard = tuple[OriginAnswerHead | None, bytes]
"""A head that is to be told, if any, and a piece of the body, which may be empty."""


def _report(call: HttpCall) -> None:
    """Tell the hub of the exception that is being handled."""
    get_hub().handle_error(call, *sys.exc_info())
