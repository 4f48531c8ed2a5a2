"""FastSink: one plain request's answer, from the hub onto a connection.

A whole answer goes out with one send. A streamed one goes out as chunks, one for each
write. The connection keeps what the transport does not take, and the hub is told
``full`` until it is gone. The head of a stream waits for what is written in the same
iteration of the event loop, and goes out with it. The sink never blocks or switches
greenlets, and never calls back from within a call of the hub.
"""

import re
from collections.abc import Sequence
from typing import Protocol

from edge.core.errors import EdgeError
from edge.core.ports import PendingRead, Ready
from edge.core.reasons import Reason
from edge.core.tracing import TRACEPARENT, TRACESTATE, RequestTrace
from edge.core.values import Answer, CacheStatus, Headers, PerResponse
from edge.front import problems
from edge.front.exchange import PASS, RequestContext, redirected, trace_fields
from edge.front.fast.context import FastContext
from edge.front.fast.plain_requests import PlainRead, PlainWrite, RequestLine
from edge.front.fast.request_memo import HeaderBlock
from edge.front.fast.response_encoder import EncodedResponse
from edge.front.spans import Ended, ServerSpans
from edge.policy.http.client_address import Caller, Peer
from edge.policy.http.url_rewrite import public_base
from edge.protocol.http_grammar import LAST_CHUNK, REDIRECT_STATUSES

_TRACE_FIELDS = {
    name: re.compile(rb"^%b:([^\r\n]*)\r$" % name.encode(), re.I | re.M)
    for name in (TRACEPARENT, TRACESTATE)
}


class ResponseWriter(Protocol):
    """The connection, as its sink sees it."""

    @property
    def peer(self) -> Peer:
        """Its other end."""

    def send(self, head: bytes, body: bytes = b"") -> bool:
        """Send both; False when some of it has to wait."""

    def complete(self, close: bool, pause_reads: bool = False) -> None:
        """The answer is over: close the connection behind it, or continue.

        ``pause_reads``: continue only when ``resume`` is called.
        """

    def resume(self) -> None:
        """Read on, if that was paused."""

    def judge_again(self, head: bytes) -> None:
        """Have the request of this head judged and answered as if it came now."""


class FastSink:
    """Implements ``edge.core.ports.Sink`` for one request; use once. ``raw`` has the
    lines of its fields."""

    __slots__ = (
        "_cause",
        "_context",
        "_encoded",
        "_head",
        "_plain",
        "_raw",
        "_started",
        "_trace",
        "_writer",
        "ended",
        "error",
        "pending",
        "request_id",
        "sent",
    )

    def __init__(
        self,
        context: FastContext,
        writer: ResponseWriter,
        plain: PlainRead | PlainWrite,
        started: float,
        raw: bytes,
    ) -> None:
        self._raw = raw
        self._context = context
        self._writer = writer
        self._plain = plain
        self._started = started
        self.request_id = plain.request_id or context.next_id()
        self._encoded: EncodedResponse | None = None
        self._cause = ""
        self._head = b""
        self._trace: RequestTrace | None = None
        self.pending: PendingRead | None = None
        self.ended = False
        self.error: EdgeError | None = None
        self.sent = 0

    # What the hub calls.

    @property
    def client(self) -> str:
        """See ``ports.Sink``."""
        return self._client().address

    @property
    def trace(self) -> Headers:
        """See ``ports.Sink``."""
        own_id, spans = self.request_id.decode("ascii"), self._context.spans
        if spans is None:
            return trace_fields(self._trace_field(TRACEPARENT), own_id)
        return self._traced(spans).fields(own_id)

    def send_whole(self, ready: Ready, pause_reads: bool = False) -> None:
        """See ``ports.Sink``."""
        context, plain = self._context, self._plain
        if context.spans is not None:
            self._hear(context.spans, ready.per_response)
        redirects = ready.answer.status in REDIRECT_STATUSES
        draining = context.server_context.draining
        if redirects or plain.close or draining or plain.line.method == "HEAD":
            self.begin(ready.answer, ready.per_response)
            self.finish()
            return
        try:
            encoded = context.encoder.ready(
                ready, plain.line.route, context.monotonic()
            )
        except ValueError as error:
            self.unsendable(error, ready.per_response)
            return
        self._encoded = encoded
        self.sent = encoded.size
        self.ended = True
        head = encoded.before + self.request_id + plain.by_origin + encoded.after
        self._writer.send(head, encoded.body)
        self._writer.complete(False, pause_reads)

    def resume(self) -> None:
        """See ``ports.Sink``."""
        self._writer.resume()

    def begin(self, answer: Answer, per_response: PerResponse) -> None:
        """See ``ports.Sink``."""
        context = self._context
        if context.spans is not None:
            self._hear(context.spans, per_response)
        close = self._plain.close or context.server_context.draining
        if answer.status in REDIRECT_STATUSES:
            answer = self._redirected(answer)
        try:
            encoded = self._encode(answer, per_response, close)
        except ValueError as error:
            self.unsendable(error, per_response)
            return
        self.begin_with(encoded, encoded.before)

    def begin_with(self, encoded: EncodedResponse, before: bytes) -> None:
        """The same for an answer that is encoded, with ``before`` in place of what
        comes before the request's id there."""
        self._encoded = encoded
        head = before + self.request_id + self._plain.by_origin + encoded.after
        self.sent = encoded.size
        if encoded.answer.body is None and not encoded.bodiless:
            # Whatever is written in this iteration goes out with the head.
            self._head = head
            self._context.soon(self._send_head)
        else:
            self._writer.send(head, encoded.body)

    def write(self, buffers: Sequence[bytes]) -> bool:
        """See ``ports.Sink``. One write is one chunk."""
        encoded, encoder = self._encoded, self._context.encoder
        if self.ended or encoded is None:
            return True
        if self._trace is not None and self.pending is not None:
            self._trace.heard(self.pending.brought_by)
        if encoded.chunked:
            # All viewers of one wake-up are given the same pieces, one after another.
            same = buffers is encoder.pieces
            data = encoder.chunk if same else encoder.chunk_of(buffers)
        elif encoded.bodiless:
            return True
        else:
            data = b"".join(buffers)
        if not data:
            return True
        self.sent += len(data)
        if self._head:
            data, self._head = self._head + data, b""
        return self._writer.send(data)

    def finish(self) -> None:
        """See ``ports.Sink``."""
        if self.ended:
            return
        self.ended = True
        encoded = self._encoded
        last = LAST_CHUNK if encoded is not None and encoded.chunked else b""
        if self._head or last:
            self._writer.send(self._head + last)
            self._head = b""
        self._writer.complete(encoded is None or encoded.close)

    def abort(self, error: EdgeError) -> None:
        """See ``ports.Sink``: a problem, or a body that does not look complete."""
        if self.ended:
            return
        if self._encoded is None:
            self._unanswered(error)
            return
        self.ended = True
        self.error = error
        self._cause = error.cause
        self._send_head()
        self._writer.complete(True)

    def problem(
        self, error: EdgeError, cache: CacheStatus | None, *, close: bool
    ) -> None:
        """Answer with the error's own problem document. ``cache`` says how far the
        request had come."""
        self._cause = error.cause
        counters = self._context.server_context.counters
        response = problems.respond(self._ctx(cache), error, counters)
        assert response.per_response is not None
        self._encoded = encoded = self._encode(
            response.answer, response.per_response, close
        )
        self.sent = encoded.size
        own = self.request_id + self._plain.by_origin
        self._writer.send(encoded.before + own + encoded.after)
        self.ended = True
        self._writer.complete(close)

    def unsendable(self, error: ValueError, per_response: PerResponse) -> None:
        """An answer cannot go out as it is: a defect, and a problem in its place."""
        self._context.report(error, self.request_id)
        self.problem(problems.INTERNAL, per_response.status, close=True)

    # What the connection calls.

    def served(self, encoded: EncodedResponse, request_id: bytes) -> None:
        """The whole answer was sent, or is being sent, without the hub."""
        self._encoded = encoded
        self.request_id = request_id
        self.sent = encoded.size
        self.ended = True

    def over(self) -> None:
        """The answer is out. The last call."""
        self._log(lost=False)
        # Sink and pending read hold each other: after each wake-up, thousands of
        # them would be garbage that only a collection finds.
        self.pending = None

    def client_left(self) -> None:
        """The client left before its answer was out. The last call."""
        self._log(lost=True)
        pending, self.pending = self.pending, None
        if pending is not None and not self.ended:
            pending.gone()

    def _log(self, lost: bool) -> None:
        """Write the request's line, if one is wanted, and end its span."""
        encoded = self._encoded
        status = encoded.answer.status if encoded is not None else 0
        lost = lost or self.error is not None
        context = self._context
        log, spans = context.server_context.access_log, context.spans
        trace = None if spans is None else self._traced(spans)
        wanted = log.wants(status, lost)
        if wanted or (trace is not None and trace.context.sampled):
            ctx = self._ctx(None if encoded is None else encoded.per_response.status)
            ctx.lost = lost
            if ctx.cache is not None:
                ctx.reason = ctx.cache.detail
            ctx.cause = self._cause
            if self.error is not None:
                ctx.reason = self.error.reason
            elif lost:
                ctx.reason = Reason.CLIENT_GONE
            ctx.trace = trace
            if wanted:
                log.put(ctx, status, self.sent)
            if spans is not None:
                spans.end(ctx, Ended(status, self.sent, *self.called_by()))

    # Its own.

    def _traced(self, spans: ServerSpans) -> RequestTrace:
        """Its trace, decided once."""
        if self._trace is None:
            self._trace = spans.begin(self._trace_field)
        return self._trace

    def _trace_field(self, name: str) -> str | None:
        found = _TRACE_FIELDS[name].search(self._raw)
        return None if found is None else found[1].strip(b" \t").decode("ascii")

    def _hear(self, spans: ServerSpans, per_response: PerResponse) -> None:
        """It is served by what an upstream call brought, unless that was held."""
        trace = self._traced(spans)
        if trace.answered_at is None and trace.context.sampled:
            trace.answered_at = self._context.monotonic()
        if not per_response.status.hit:
            trace.heard(per_response.span)

    def _unanswered(self, error: EdgeError) -> None:
        """Nothing was answered yet: a problem, unless what let the request in ended
        meanwhile and may let it in again (B12)."""
        plain = self._plain
        if error.reason is Reason.GRANT_ENDED and plain.grant.renewable:
            self.ended = True
            self.pending = None
            self._writer.judge_again(_head_of(plain.line, self._raw))
            return
        close = plain.close or self._context.server_context.draining
        self.problem(error, None, close=close)

    def _encode(
        self, answer: Answer, per_response: PerResponse, close: bool
    ) -> EncodedResponse:
        """Raises ValueError."""
        encoder, line = self._context.encoder, self._plain.line
        if line.method == "HEAD":
            return encoder.once(answer, per_response, line.route, close, head=True)
        return encoder.encoded(answer, per_response, line.route, close)

    def called_by(self) -> tuple[str, str]:
        """The scheme and the host by which the client called."""
        scheme, host = self._writer.peer.scheme or "http", self._plain.host
        if self._writer.peer.believed:
            told = self._client()
            scheme, host = told.scheme or scheme, told.host or host
        return scheme, host

    def _redirected(self, answer: Answer) -> Answer:
        options, target = self._context.server_context.options, self._plain.line.target
        base = public_base(*self.called_by(), options.public_url)
        return redirected(answer, target, base)

    def _send_head(self) -> None:
        head, self._head = self._head, b""
        if head:
            self._writer.send(head)

    def _client(self) -> Caller:
        return self._context.client(self._writer.peer, self._raw)

    def _ctx(self, cache: CacheStatus | None) -> RequestContext:
        plain, raw, address = self._plain, self._raw, self._writer.peer.address
        said = self._context.said.get(raw) or self._context.what_log_says(raw)
        if self._writer.peer.believed:
            address, _, host = self._client()
            said = said._replace(host=host or said.host)
        return RequestContext(
            plain.line.method,
            plain.line.target,
            self.request_id.decode("ascii"),
            self._started,
            plain.line.route,
            plain.read.mode.value if isinstance(plain, PlainRead) else PASS,
            cache,
            way=plain.grant.way,
            subject=plain.grant.subject,
            client=address,
            certificate=self._writer.peer.certificate,
            said=said,
        )


def _head_of(line: RequestLine, raw: bytes) -> bytes:
    """The head of a plain read; ``raw`` has its fields, or was remembered whole."""
    first = f"{line.method} {line.target} HTTP/1.1\r\n".encode("ascii")
    return raw if raw.startswith(first) else first + raw + b"\r\n"


def lines_of(held: bytes, end: int, block: HeaderBlock | None) -> bytes:
    """The lines of the head that ends at ``end``; the block's own if they are equal,
    so that a parked viewer holds no second copy."""
    raw = held[held.find(b"\r\n") + 2 : end + 2]
    return block.raw if block is not None and block.raw == raw else raw
