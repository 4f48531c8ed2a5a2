"""GreenletConnection: one client's connection, one request after another.

It reads heads in bounded time with gunicorn's parser, has each request answered in a
RequestCycle, and closes the stream as the last one's Disposition says. It refuses a
head that no application should see. Its greenlet blocks on this client and on what the
application waits for, on nothing else.

``GreenletServer`` has a client served from accept to close. The fast way lends one out
for a single request, with a ``Handoff``.
"""

import enum
import logging
import time
from collections.abc import Callable
from typing import Any, cast

import gevent
from gunicorn import http
from gunicorn.http import Request, errors
from gunicorn.http.unreader import SocketUnreader

from edge.core import head_rules
from edge.core.errors import ClientFault, EdgeError
from edge.core.reasons import Reason
from edge.front.exchange import RequestContext, request_id
from edge.front.http1.context import ServerContext
from edge.front.http1.request_cycle import Disposition, RequestCycle, closing_problem
from edge.front.options import Limits
from edge.front.transport import BlockingStream, Transport
from edge.policy.http.client_address import Peer

_log = logging.getLogger("edge.front")

_READ = 8 * 1024
_READ_AHEAD = 256 * 1024


class GreenletConnection:
    """Serves one accepted client; ``listener`` is an address."""

    def __init__(
        self,
        server_context: ServerContext,
        stream: BlockingStream,
        listener: Any,
        peer: Peer,
    ) -> None:
        self._server_context = server_context
        self._limits = server_context.options.limits
        self._stream = stream
        self._listener = listener
        self._peer = peer
        self._reader = TimedReader(stream, self._limits)
        # Without a source of its own: it reads through the TimedReader alone.
        address = (peer.address, 0)
        self._parser = http.get_parser(server_context.cfg, (), address)
        self._parser.unreader = self._reader

    @property
    def idle_since(self) -> float | None:
        """Since when it waits for a request of which no byte was read (monotonic
        seconds); None: it does not."""
        reader = self._reader
        return reader.idle_since if reader.phase is Phase.IDLE else None

    def dismiss(self) -> None:
        """Close an idle connection. A request that has come already is answered."""
        if self._stream.peek():
            # The end of what comes would look like a client that left.
            return
        try:
            self._stream.transport.shutdown_reading()
        except OSError as error:
            _log.debug("connection already lost: %s", error)

    def serve(self, held: bytes = b"") -> None:
        """Serve all requests, then close the stream. ``held`` was read already."""
        self._reader.unread(held)
        after = Disposition.CLOSE
        try:
            while (after := self._guarded()) is Disposition.KEEP:
                pass
        finally:
            self._close(after)

    def serve_one(self, held: bytes) -> bytes | None:
        """Serve one request, of which ``held`` was read already.

        Returns the bytes read beyond it if the connection may be kept: its body was
        then read to the end. None when the stream is closed.
        """
        self._reader.unread(held)
        after = Disposition.CLOSE
        try:
            after = self._guarded()
        finally:
            if after is not Disposition.KEEP:
                self._close(after)
        return self._reader.take_buffered() if after is Disposition.KEEP else None

    def linger(self) -> None:
        """Close so that the client can read what it was sent."""
        self._close(Disposition.LINGER)

    def _guarded(self) -> Disposition:
        """The outermost guard of a connection: a defect ends it alone."""
        try:
            self._stream.settimeout(self._limits.send_timeout)
            return self._next()
        except OSError as error:
            # The client's end failed or is too slow: there is no one to answer.
            _log.debug("connection lost: %s", error)
            return Disposition.CLOSE
        except Exception as error:
            self._server_context.counters.internal_errors += 1
            _log.error("unexpected error on a connection", exc_info=error)
            return Disposition.CUT

    def refuse(self, error: EdgeError) -> None:
        """Answer ``error`` without reading a request, and close."""
        try:
            self._stream.settimeout(self._limits.send_timeout)
            self._send_problem(None, error)
        except OSError as lost:
            _log.debug("connection lost: %s", lost)
        finally:
            self._close(Disposition.LINGER)

    def _next(self) -> Disposition:
        """The next request, if there is one."""
        self._reader.await_head()
        request: Request | None = None
        try:
            request = next(self._parser)
            keep = head_rules.validate(request.version, request.headers)
        except (StopIteration, errors.NoMoreData):
            return Disposition.CLOSE
        except (errors.ParseException, TimeoutError, EdgeError) as error:
            return self._refused(request, error)
        self._reader.await_body()
        if not keep:
            request.force_close()
        return RequestCycle(self._server_context, request, self._stream).take(
            self._listener, self._peer
        )

    def _refused(self, request: Request | None, error: Exception) -> Disposition:
        """A head that no application should see."""
        if isinstance(error, TimeoutError) and self.idle_since is not None:
            return Disposition.CLOSE
        fault = error if isinstance(error, EdgeError) else fault_of(error)
        self._send_problem(request, fault)
        return Disposition.LINGER

    def _send_problem(self, request: Request | None, error: EdgeError) -> None:
        method, target = (request.method, request.uri) if request else ("", "")
        now = self._server_context.clock.monotonic()
        ctx = RequestContext(
            method or "",
            target or "",
            request_id(None),
            now,
            client=self._peer.address,
        )
        response = closing_problem(self._server_context, ctx, error)
        body = response.partition(b"\r\n\r\n")[2]
        self._server_context.access_log.write(ctx, error.status, len(body))
        self._stream.sendall(response)

    def _close(self, after: Disposition) -> None:
        if after is Disposition.CLOSE and self._stream.peek():
            # Closing with unread bytes would reset the connection, and the answer.
            after = Disposition.LINGER
        if after is Disposition.LINGER:
            limits = self._limits
            self._stream.close_gracefully(limits.linger_timeout, limits.linger_bytes)
        elif after is Disposition.CUT:
            self._stream.abort()
        else:
            self._stream.close()


# Heads and bodies, in bounded time.


class Phase(enum.Enum):
    """What the connection waits for.

    ======= ============================ =====================================
    phase   ends with                    waits at most
    ======= ============================ =====================================
    IDLE    the first byte of a head     ``idle_timeout``
    HEAD    a whole head                 ``head_timeout`` from the first byte on
    BODY    the next request             ``body_timeout`` for each piece
    ======= ============================ =====================================
    """

    IDLE = "idle"
    HEAD = "head"
    BODY = "body"


class TimedReader(SocketUnreader):
    """Replaces a gunicorn parser's ``unreader``, and knows what is waited for.

    gunicorn's own reader waits as long as its socket does, and bounds lines and fields,
    not the head. Here a time-out raises TimeoutError, and only the whole head has a
    bound: beyond it, what gunicorn raises for its own limits is raised.
    """

    def __init__(self, stream: BlockingStream, limits: Limits) -> None:
        super().__init__(cast(Any, stream))
        self._limits = limits
        self._deadline = 0.0
        self._head_size = 0
        # Whether the request line has not ended yet.
        self._in_line = True
        self.phase = Phase.IDLE
        self.idle_since = time.monotonic()

    def await_head(self) -> None:
        """The next bytes begin a head. Some may have come already."""
        self.phase = Phase.IDLE
        self.idle_since = time.monotonic()
        held = self.buf.getvalue()
        self._head_size = len(held)
        self._in_line = b"\n" not in held
        if held:
            self._begin_head()

    def await_body(self) -> None:
        """The head is complete; what follows is the application's to read."""
        self.phase = Phase.BODY

    def chunk(self, size_hint: int | None = None) -> bytes:
        """The next bytes, b"" at the end; at most what may still be consumed.

        ``size_hint`` is how much of a body is still wanted.
        """
        if self.phase is Phase.BODY:
            return self._receive(size_hint, self._limits.body_timeout)
        if self._head_size > self._limits.head:
            if self._in_line:
                raise errors.LimitRequestLine(self._head_size, self._limits.head)
            raise errors.LimitRequestHeaders("the head is too large")
        data = self._receive(None, self._patience())
        self._head_size += len(data)
        self._in_line = self._in_line and b"\n" not in data
        if self.phase is Phase.IDLE and data:
            self._begin_head()
        return data

    def _begin_head(self) -> None:
        self.phase = Phase.HEAD
        self._deadline = time.monotonic() + self._limits.head_timeout

    def _patience(self) -> float:
        if self.phase is Phase.IDLE:
            return self._limits.idle_timeout
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the head did not come in time")
        return left

    def _receive(self, size_hint: int | None, patience: float) -> bytes:
        before = self.sock.gettimeout()
        self.sock.settimeout(patience)
        try:
            return self.sock.recv(max(_READ, min(size_hint or 0, _READ_AHEAD)))
        finally:
            self.sock.settimeout(before)


# What the parser refuses.

_FAULTS: tuple[tuple[type[Exception], int, Reason, str], ...] = (
    (
        errors.LimitRequestLine,
        414,
        Reason.HEAD_TOO_LARGE,
        "The request line is too long.",
    ),
    (
        errors.LimitRequestHeaders,
        431,
        Reason.HEAD_TOO_LARGE,
        "The request's fields are too many or too large.",
    ),
    (
        errors.UnsupportedTransferCoding,
        400,
        Reason.UNSUPPORTED_FRAMING,
        "The only transfer coding understood here is chunked.",
    ),
    (
        errors.ExpectationFailed,
        417,
        Reason.BAD_HEAD,
        "The only expectation understood here is 100-continue.",
    ),
    (TimeoutError, 408, Reason.BAD_HEAD, "The request's head did not come in time."),
)

_FRAMING = frozenset({"TRANSFER-ENCODING", "CONTENT-LENGTH"})


def fault_of(error: Exception) -> ClientFault:
    """The fault by which to answer a head that the parser refused.

    The one place where gunicorn's exceptions are known by name. A table, so that a new
    release's new exception falls through to the plain 400 and not to a 500.
    """
    for kind, status, reason, detail in _FAULTS:
        if isinstance(error, kind):
            return ClientFault(detail, reason=reason, status=status)
    if isinstance(error, errors.InvalidHeader):
        return _field_fault(str(error.hdr))
    return ClientFault("The request's head is malformed.", reason=Reason.BAD_HEAD)


def _field_fault(name: str) -> ClientFault:
    if name == "HOST":
        detail = "More than one Host field, or one that is malformed."
        return ClientFault(detail, reason=Reason.BAD_HOST)
    if name in _FRAMING:
        detail = "The body's length cannot be told from the head."
        return ClientFault(detail, reason=Reason.UNSUPPORTED_FRAMING)
    detail = "A field of the request is malformed."
    return ClientFault(detail, reason=Reason.BAD_HEAD)


# For one request of the fast way.

Back = Callable[[bytes | None], None]
"""Called once: with the bytes read ahead, or None when the transport is closed."""


class Handoff:
    """A connection that a greenlet serves for one request, the whole way.

    The greenlet has the transport to itself meanwhile, as a blocking stream: it serves,
    refuses or lingers. Then it gives the transport back to the fast way, or reports
    that it is closed. ``listener`` is an address.
    """

    def __init__(
        self,
        server_context: ServerContext,
        transport: Transport,
        listener: Any,
        peer: Peer,
        back: Back,
    ) -> None:
        self._server_context = server_context
        self._transport = transport
        self._listener = listener
        self._peer = peer
        self._back = back
        self._greenlet: gevent.Greenlet[..., None] | None = None

    def serve(self, held: bytes) -> None:
        """Serve one request, of which ``held`` has come."""
        self._spawn(lambda connection: connection.serve_one(held))

    def refuse(self, error: EdgeError) -> None:
        """Answer ``error`` and close."""
        self._spawn(lambda connection: connection.refuse(error))

    def linger(self) -> None:
        """Close, once the client has read what it was sent."""
        self._spawn(lambda connection: connection.linger())

    def cut(self) -> None:
        """End now."""
        if self._greenlet is not None:
            self._greenlet.kill(block=False)

    def _spawn(self, act: Callable[[GreenletConnection], bytes | None]) -> None:
        self._greenlet = gevent.spawn(self._run, act)
        # A greenlet that is killed before it began must give back, too.
        self._greenlet.link(self._ended)

    def _run(self, act: Callable[[GreenletConnection], bytes | None]) -> None:
        stream = BlockingStream(self._transport)
        connection = GreenletConnection(
            self._server_context, stream, self._listener, self._peer
        )
        held = act(connection)
        if held is not None:
            self._give_back(held)

    def _ended(self, _greenlet: object) -> None:
        """However the greenlet ended: unless it gave back, the transport is gone."""
        if self._back is not _nobody:
            self._transport.close()
            self._give_back(None)

    def _give_back(self, held: bytes | None) -> None:
        back, self._back = self._back, _nobody
        back(held)


def _nobody(_held: bytes | None) -> None:
    """For a Handoff that has been called already."""
