"""RequestCycle: one request, from a parsed head to the end of its answer.

gunicorn makes environ and response, the application answers, this module writes the
answer and says what happens to the connection::

    KEEP    the next request may follow
    CLOSE   close now: both sides have said what they had to say
    LINGER  close, but first read a little of what the client is still
            sending, so that it can read its answer (RFC 9112 section 9.6)
    CUT     reset: the end must not look like the end of the body

It is also the last guard: what the application lets through is logged, counted, and
ends this one request. ``closing_problem`` writes a problem where no application can:
there is no request for it yet, or the request can no longer be trusted.
"""

import enum
import logging
from collections.abc import Iterable
from email.utils import formatdate
from typing import Any, cast

from gunicorn.http import Request, wsgi
from gunicorn.http.wsgi import Response

from edge.core.errors import EdgeError
from edge.core.reasons import Reason
from edge.core.values import Headers
from edge.front import problems
from edge.front.app.app import Environ, WsgiExchange, begin
from edge.front.exchange import (
    PASS,
    AnswerCut,
    RequestContext,
    common_fields,
    lean_fields,
)
from edge.front.http1.context import ServerContext
from edge.front.spans import Ended, ServerSpans
from edge.front.transport import BlockingStream
from edge.policy.http.client_address import Peer
from edge.protocol.http_grammar import LAST_CHUNK, reason_phrase

_log = logging.getLogger("edge.front")


class Disposition(enum.Enum):
    """What happens to the connection after a request."""

    KEEP = "keep"
    CLOSE = "close"
    LINGER = "linger"
    CUT = "cut"


class RequestCycle:
    """One request of a connection. Use once: ``take``."""

    def __init__(
        self, server_context: ServerContext, request: Request, stream: BlockingStream
    ) -> None:
        self._server_context = server_context
        self._request = request
        self._stream = stream

    def take(self, listener: Any, peer: Peer) -> Disposition:
        """Answer the request. Raises OSError when the client cannot be told.

        ``listener`` is an address, as gunicorn takes it.
        """
        options = self._server_context.options
        response, environ = wsgi.create(
            self._request,
            cast(Any, self._stream),
            peer.address,
            listener,
            self._server_context.cfg,
            EdgeResponse,
        )
        response.version = options.name
        now = self._server_context.clock.monotonic()
        exchange = begin(environ, now, peer, options.trusted_proxies)
        try:
            return self._guarded(environ, response, exchange)
        finally:
            exchange.ctx.release()
            status = response.status_code if response.headers_sent else 0
            if self._server_context.spans is not None:
                ended = status or 0, response.sent
                self._end_span(self._server_context.spans, exchange, *ended)
            log = self._server_context.access_log
            log.write(exchange.ctx, status or 0, response.sent)
            # It holds the exchange, and that its environ: with what was read of a body
            # they would be garbage that only a collection finds.
            environ.clear()

    def _end_span(
        self,
        spans: ServerSpans,
        exchange: WsgiExchange,
        status: int,
        sent: int,
    ) -> None:
        request, version = exchange.request, self._request.version or (1, 1)
        spans.of(exchange.ctx, request.lookup)
        called = request.scheme, request.host, ".".join(map(str, version))
        spans.end(exchange.ctx, Ended(status, sent, *called))

    def _guarded(
        self, environ: Environ, response: Response, exchange: WsgiExchange
    ) -> Disposition:
        ctx = exchange.ctx
        try:
            self._run(environ, response, exchange)
        except AnswerCut as cut:
            ctx.lost = True
            ctx.reason, ctx.cause = cut.error.reason, cut.error.cause
            return self._after_cut(response)
        except OSError:
            ctx.lost = True
            ctx.reason = Reason.CLIENT_GONE
            raise
        except Exception as error:
            return self._failed(error, response, ctx)
        return _after(response, exchange)

    def _run(
        self, environ: Environ, response: Response, exchange: WsgiExchange
    ) -> None:
        body = self._server_context.app(environ, response.start_response)
        try:
            if exchange.request.body_left or self._server_context.draining:
                response.force_close()
            for piece in body:
                response.write(piece)
            response.close()
            self._count(exchange.ctx, response)
        finally:
            _close(body)

    def _count(self, ctx: RequestContext, response: Response) -> None:
        """Bytes of what passed through; the hub counts those of reads."""
        if ctx.mode == PASS:
            self._server_context.counters.bytes_out += response.sent

    def _failed(
        self, error: Exception, response: Response, ctx: RequestContext
    ) -> Disposition:
        """The application let an error through: a defect of it or of Falcon."""
        self._server_context.counters.internal_errors += 1
        said = "unexpected error serving request %s of %s"
        _log.error(said, ctx.request_id, ctx.client or "-", exc_info=error)
        if response.headers_sent:
            ctx.lost = True
            ctx.reason = Reason.INTERNAL
            return self._after_cut(response)
        self._stream.sendall(
            closing_problem(self._server_context, ctx, problems.INTERNAL)
        )
        response.headers_sent = True
        response.status_code = 500
        return Disposition.LINGER

    def _after_cut(self, response: Response) -> Disposition:
        """Only a reset cuts a body that is framed by the connection's end."""
        framed = response.chunked or response.response_length is not None
        return Disposition.CLOSE if framed else Disposition.CUT


def _after(response: Response, exchange: WsgiExchange) -> Disposition:
    if not response.should_close():
        return Disposition.KEEP
    body_left = exchange.request.body_left
    return Disposition.LINGER if body_left else Disposition.CLOSE


def _close(body: Iterable[bytes]) -> None:
    close = getattr(body, "close", None)
    if close is not None:
        close()


# Answers on the wire.


class EdgeResponse(Response):
    """gunicorn's response, with head and first piece in one send.

    gunicorn sends the head by itself; for a small answer that is a second system call
    and often a second packet. Here the head waits for the piece that is written with
    it. An empty piece sends the head alone. Streamed bodies begin with an empty piece:
    the client need not wait for the head until there is data. ``sock`` is a
    BlockingStream.
    """

    _head = b""

    def send_headers(self) -> None:
        """Make the head; it goes out with the piece that is being written."""
        if self.headers_sent:
            return
        lines = self.default_headers()
        # gunicorn answers in the version of the request, also in one that this server
        # does not speak, or that does not exist (RFC 9110 section 6.2).
        lines[0] = f"HTTP/1.1 {self.status}\r\n"
        lines.extend([f"{name}: {value}\r\n" for name, value in self.headers])
        lines.append("\r\n")
        self._head = "".join(lines).encode("latin-1")
        self.headers_sent = True

    def write(self, arg: bytes) -> None:
        """See gunicorn; sends at once, an empty piece too."""
        super().write(arg)
        self._send(b"")

    def close(self) -> None:
        """The body is complete."""
        self.send_headers()
        self._send(LAST_CHUNK if self.chunked else b"")

    def _emit_body(self, data: bytes) -> None:
        if self.chunked:
            data = b"%X\r\n%b\r\n" % (len(data), data)
        self._send(data)

    def _send(self, data: bytes) -> None:
        head, self._head = self._head, b""
        if head or data:
            self.sock.sendall(head + data if head else data)


def closing_problem(
    server_context: ServerContext, ctx: RequestContext, error: EdgeError
) -> bytes:
    """The whole response for ``error``, behind which the connection closes. Counts."""
    options = server_context.options
    response = problems.respond(ctx, error, server_context.counters)
    answer = response.answer
    body = answer.body or b""
    framing: Headers = (
        ("Server", options.name),
        ("Date", formatdate(usegmt=True)),
        ("Connection", "close"),
        ("Content-Length", str(len(body))),
    )
    own = common_fields(ctx, options.node)
    if options.link is not None:
        own = lean_fields(ctx, ctx.told, options.link)
    fields = framing + answer.headers + own
    lines = [f"HTTP/1.1 {answer.status} {reason_phrase(answer.status)}"]
    lines += [f"{name}: {value}" for name, value in fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body
