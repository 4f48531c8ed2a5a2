"""GreenletConnection: one client's connection, one request after another.

Reads heads with gunicorn's parser, has each request answered in a RequestCycle, and
closes the stream as the last one's Disposition says. Its greenlet blocks on this
client and on what the application waits for, on nothing else.
"""

import logging
from typing import Any

from gunicorn import http
from gunicorn.http import Request
from gunicorn.http.errors import NoMoreData, ParseException

from edge.core import head_rules
from edge.core.errors import EdgeError
from edge.front.http1.context import ServerContext
from edge.front.http1.parser_errors import fault_of
from edge.front.http1.request_cycle import Disposition, RequestCycle
from edge.front.http1.timed_reader import Phase, TimedReader
from edge.front.request_context import RequestContext, request_id
from edge.front.transport import BlockingStream

_log = logging.getLogger("edge.front")


class GreenletConnection:
    """Serves one accepted client; ``listener`` and ``peer`` are addresses."""

    def __init__(
        self,
        server_context: ServerContext,
        stream: BlockingStream,
        listener: Any,
        peer: Any,
    ) -> None:
        self._server_context = server_context
        self._limits = server_context.options.limits
        self._stream = stream
        self._listener = listener
        self._peer = peer
        self._reader = TimedReader(stream, self._limits)
        # Without a source of its own: it reads through the TimedReader alone.
        self._parser = http.get_parser(server_context.cfg, (), peer)
        self._parser.unreader = self._reader

    @property
    def idle(self) -> bool:
        """Whether it waits for a request of which nothing has come."""
        return self._reader.phase is Phase.IDLE

    def dismiss(self) -> None:
        """Have an idle connection end. What was sent before is still answered."""
        try:
            self._stream.transport.shutdown_reading()
        except OSError as error:
            _log.debug("connection already lost: %s", error)

    def serve(self) -> None:
        """Serve all requests, then close the stream."""
        after = Disposition.CLOSE
        try:
            while (after := self._guarded()) is Disposition.KEEP:
                pass
        finally:
            self._close(after)

    def serve_one(self, held: bytes) -> bytes | None:
        """Serve one request, of which ``held`` was read already.

        What was read beyond it, when the connection may be kept: the body has
        been read to its end then. None when the stream is closed.
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
        """The outermost guard of a connection: what went wrong ends it alone."""
        try:
            self._stream.settimeout(self._limits.send_timeout)
            return self._next()
        except OSError as error:
            # The client's end failed or is too slow; there is nobody to tell.
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
        except (StopIteration, NoMoreData):
            return Disposition.CLOSE
        except (ParseException, TimeoutError, EdgeError) as error:
            return self._refused(request, error)
        self._reader.await_body()
        if not keep:
            request.force_close()
        return RequestCycle(self._server_context, request, self._stream).take(
            self._listener, self._peer
        )

    def _refused(self, request: Request | None, error: Exception) -> Disposition:
        """A head that no application should see."""
        if isinstance(error, TimeoutError) and self.idle:
            return Disposition.CLOSE
        fault = error if isinstance(error, EdgeError) else fault_of(error)
        self._send_problem(request, fault)
        return Disposition.LINGER

    def _send_problem(self, request: Request | None, error: EdgeError) -> None:
        method, target = (request.method, request.uri) if request else ("", "")
        now = self._server_context.clock.monotonic()
        ctx = RequestContext(method or "", target or "", request_id(None), now)
        response = self._server_context.problem(ctx, error)
        body = response.partition(b"\r\n\r\n")[2]
        self._server_context.log(ctx, error.status, len(body))
        self._stream.sendall(response)

    def _close(self, after: Disposition) -> None:
        if after is Disposition.CLOSE and self._stream.peek():
            # Closing with something unread would reset the answer away.
            after = Disposition.LINGER
        if after is Disposition.LINGER:
            limits = self._limits
            self._stream.close_gracefully(limits.linger_timeout, limits.linger_bytes)
        elif after is Disposition.CUT:
            self._stream.abort()
        else:
            self._stream.close()
