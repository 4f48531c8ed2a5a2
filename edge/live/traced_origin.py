"""TracedOrigin: an origin, and a span for each call to it (``edge.core.tracing``).

The request says by ``traceparent`` for whom it is asked. It goes out with the id of the
call's own span in its place: what the next hop does is below it. Whoever is told the
head of the answer is told the span, so that readers can be linked to the call that
served them. A call that nobody asked for, as a follower's poll, begins a trace. That of
an event stream makes a span for each batch, too.

It changes nothing else of a call. Made by wiring, around all that a process asks, and
only where traces are made.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from edge.core.errors import EdgeError
from edge.core.forwarded_call import ForwardedCall
from edge.core.forwarded_exchange import ForwardedExchange
from edge.core.histograms import Exemplar, Histogram, Timings
from edge.core.ports import Exchange, Origin, Receiver, UpstreamCall
from edge.core.tracing import (
    TRACEPARENT,
    EventsSpan,
    SpanKind,
    Tracer,
    TraceSpan,
    UpstreamSpan,
    Value,
)
from edge.core.values import Headers, OriginAnswerHead, OriginRequest, Purpose

_BEGIN_TRACES = frozenset({Purpose.FOLLOW, Purpose.EVENTS})
_MIN_ERROR = 400
"""Statuses by which a call has failed, to its caller (HTTP semantic conventions)."""


AskToRecord = Callable[[str, str], None]


class TracedOrigin:
    """``origin``, with spans (an ``edge.core.ports.Origin``). ``called`` are attributes
    that tell of it; ``base`` is its URL without a path, "" where it has none.
    ``timings`` keep exemplars of its heads; None: they are not observed. ``ask`` has
    who pushes a stream record a span of its own, by the stream's path and the span's
    ``traceparent``; None: nobody of this node does."""

    def __init__(
        self,
        origin: Origin,
        tracer: Tracer,
        called: Mapping[str, Value],
        base: str = "",
        timings: Timings | None = None,
        ask: AskToRecord | None = None,
    ) -> None:
        self._ask = ask
        self._origin = origin
        self._tracer = tracer
        self._called = called
        self._base = base
        self._heads = {} if timings is None else timings.origin_head

    def begin(self, request: OriginRequest, receiver: Receiver) -> UpstreamCall:
        """See ``edge.core.ports.Origin``."""
        request, span = self._begun(request)
        heads = self._heads.get((request.purpose.value,))
        call = _TracedCall(span, receiver, self._tracer.now, heads)
        try:
            call.inner = self._origin.begin(request, call)
        except Exception:
            _failed(span, "internal", self._tracer.now)
            raise
        return call

    def open(
        self, request: OriginRequest, on_sent: Callable[[], None] | None = None
    ) -> Exchange:
        """See ``edge.core.ports.Origin``."""
        request, span = self._begun(request)
        try:
            exchange = self._origin.open(request, on_sent)
        except EdgeError as error:
            _failed(span, error.reason.value, self._tracer.now)
            raise
        except BaseException:
            # As a greenlet that is killed while it waits.
            _give_up(span, self._tracer.now)
            raise
        _answered(span, exchange.status)
        heads = self._heads.get((request.purpose.value,))
        if heads is not None:
            _note(heads, span, self._tracer.now())
        return _TracedExchange(exchange, span, self._tracer.now)

    def _begun(self, request: OriginRequest) -> tuple[OriginRequest, UpstreamSpan]:
        tracer, purpose = self._tracer, request.purpose
        told = next((v for name, v in request.headers if name == TRACEPARENT), None)
        context, parent = tracer.call(told, begins=purpose in _BEGIN_TRACES)
        # Without the query, which may hold a credential.
        path = request.target.partition("?")[0]
        url = f"{self._base}{path}" if self._base else None
        attributes: dict[str, Value] = {
            "http.request.method": request.method,
            **({"url.path": path} if url is None else {"url.full": url}),
            **self._called,
            "ds_edge.purpose": purpose.value,
        }
        name = f"{request.method} {purpose.value}"
        kind, now = SpanKind.CLIENT, tracer.now()
        span = TraceSpan(name, kind, context, parent, now, attributes=attributes)
        headers = _named(request.headers, context.traceparent)
        return replace(request, headers=headers), self._upstream(purpose, path, span)

    def _upstream(self, purpose: Purpose, path: str, span: TraceSpan) -> UpstreamSpan:
        if purpose is not Purpose.EVENTS:
            return UpstreamSpan(span, self._tracer.put, self._tracer.late)
        ask = None if self._ask is None else partial(self._ask, path)
        return EventsSpan(span, self._tracer, ask)


def _named(headers: Headers, traceparent: str) -> Headers:
    """The fields with this ``traceparent``, where the last one stood."""
    named = (TRACEPARENT, traceparent)
    if not any(name == TRACEPARENT for name, _ in headers):
        return (*headers, named)
    return tuple(named if one[0] == TRACEPARENT else one for one in headers)


def _answered(span: UpstreamSpan, status: int) -> None:
    span.span.attributes["http.response.status_code"] = status
    if status >= _MIN_ERROR:
        span.span.error = str(status)


def _note(heads: Histogram, span: UpstreamSpan, now: float) -> None:
    """Keep it as an exemplar, if it is sampled."""
    context = span.span.context
    if context.sampled:
        took = max(0.0, now - span.span.started)
        heads.note(Exemplar(context.trace_id, took, now))


def _give_up(span: UpstreamSpan, now: Callable[[], float]) -> None:
    """Nobody waits for it any more; without effect once it is over."""
    if not span.over:
        span.span.attributes["ds_edge.given_up"] = True
        span.end(now())


def _failed(span: UpstreamSpan, why: str, now: Callable[[], float]) -> None:
    span.span.error = why
    span.end(now())


class _TracedCall(ForwardedCall):
    """A call: it hands on what it is told to its receiver, and to the origin what its
    caller wants. Whoever it tells takes the blame for what it raises."""

    __slots__ = ("_heads", "_now", "_receiver", "_span", "data", "sent")

    def __init__(
        self,
        span: UpstreamSpan,
        receiver: Receiver,
        now: Callable[[], float],
        heads: Histogram | None,
    ) -> None:
        super().__init__()
        self._span = span
        self._receiver = receiver
        self._now = now
        self._heads = heads
        self.sent = receiver.sent
        self.data = receiver.data

    # For the origin: ``ports.Receiver``.

    def head(self, head: OriginAnswerHead) -> None:
        _answered(self._span, head.status)
        if self._heads is not None:
            _note(self._heads, self._span, self._now())
        self._receiver.head(head._replace(span=self._span))

    def ended(self) -> None:
        self._span.end(self._now())
        self._receiver.ended()

    def failed(self, fault: EdgeError) -> None:
        _failed(self._span, fault.reason.value, self._now)
        self._receiver.failed(fault)

    # For who began it: ``ports.UpstreamCall``.

    def cancel(self) -> None:
        _give_up(self._span, self._now)
        super().cancel()


class _TracedExchange(ForwardedExchange):
    """The answer; its span ends with it."""

    def __init__(
        self, exchange: Exchange, span: UpstreamSpan, now: Callable[[], float]
    ) -> None:
        super().__init__(exchange)
        self._span = span
        self._now = now

    def read(self) -> bytes:
        try:
            piece = super().read()
        except EdgeError as error:
            _failed(self._span, error.reason.value, self._now)
            raise
        if not piece:
            self._span.end(self._now())
        return piece

    def close(self) -> None:
        _give_up(self._span, self._now)
        super().close()
