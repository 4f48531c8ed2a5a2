"""ServerSpans: a span for each request of a client (``edge.core.tracing``).

A request is traced only where it has to be: once it asks somebody else, or when it is
over. The span is made then, from what the access log is told, and goes from when the
request was read until its last byte was taken by the kernel. So a request that is not
sampled costs little more than a look at its ``traceparent``.

The attributes are those of OpenTelemetry's conventions for HTTP servers, as far as they
are stable, and the edge's own (``ds_edge.*``). Of the target it has the path and the
offset and nothing else of the query: that may hold credentials.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from edge.core.histograms import Exemplar, Timings
from edge.core.reasons import Reason
from edge.core.tracing import (
    TRACEPARENT,
    TRACESTATE,
    RequestTrace,
    SpanKind,
    Tracer,
    TraceSpan,
    Trust,
    Value,
)
from edge.core.values import Headers, Mode, Result
from edge.front.exchange import PASS, RequestContext

_METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE"}
)
OTHER_METHOD = "_OTHER"
"""Of the conventions: any method that is not well known."""

MAX_PATH = 1024
MAX_TEXT = 256
"""Characters of an attribute."""

_AUTHORITY = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://[^/?#]*")
_OFFSET = re.compile(r"[?&]offset=([^&#]*)")
_HOST = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(?::(\d{1,5}))?")
_MIN_ERROR = 500


class Ended(NamedTuple):
    """How a request ended. ``status`` is 0 when no answer began; ``sent`` are bytes of
    the body. ``scheme`` and ``host``: by what the client called."""

    status: int
    sent: int
    scheme: str
    host: str
    version: str = "1.1"


class ServerSpans:
    """Traces the requests of one process. ``timings`` keep exemplars of them."""

    def __init__(
        self, tracer: Tracer, trust: Trust, timings: Timings | None = None
    ) -> None:
        self._tracer = tracer
        self._trust = trust
        self._timings = timings

    def begin(self, lookup: Callable[[str], str | None]) -> RequestTrace:
        """The trace of a request with such fields, decided now."""
        told = lookup(TRACEPARENT), lookup(TRACESTATE)
        return self._tracer.request(*told, self._trust)

    def of(
        self, ctx: RequestContext, lookup: Callable[[str], str | None]
    ) -> RequestTrace:
        """The trace of this request, decided once."""
        if ctx.trace is None:
            ctx.trace = self.begin(lookup)
        return ctx.trace

    def record(self, traceparent: str) -> None:
        """Another process of the node wants a span recorded that it was told of."""
        self._tracer.late.record(traceparent)

    def end(self, ctx: RequestContext, ended: Ended) -> None:
        """The request is over: its span is recorded, if it is sampled."""
        trace = ctx.trace
        if trace is None or not trace.context.sampled:
            return
        if self._timings is not None:
            self._note(self._timings, ctx, trace, ended.status)
        name = ctx.method if ctx.method in _METHODS else "HTTP"
        if ctx.route is not None:
            name = f"{name} {ctx.route.match}"
        tracer = self._tracer
        self._tracer.put(
            TraceSpan(
                name,
                SpanKind.SERVER,
                trace.context,
                trace.parent,
                tracer.unix(ctx.started),
                tracer.now(),
                _attributes(ctx, ended, trace),
                trace.links,
                _error(ctx, ended),
            )
        )

    def _note(
        self, timings: Timings, ctx: RequestContext, trace: RequestTrace, status: int
    ) -> None:
        """Keep it as an exemplar of what is observed of reads."""
        result = ctx.cache.result(status) if ctx.cache is not None else Result.ERROR
        histogram = timings.first_byte.get((ctx.mode, result))
        # Of a poll that was parked the time says nothing.
        waited = ctx.mode == Mode.LONG_POLL and result in (Result.PASS, Result.EMPTY)
        if histogram is None or waited or ctx.reason is Reason.FOLLOWED or not status:
            return
        at = trace.answered_at
        took = 0.0 if at is None else max(0.0, at - ctx.started)
        trace_id, now = trace.context.trace_id, self._tracer.now()
        histogram.note(Exemplar(trace_id, took, now))


def without_state(headers: Headers) -> Headers:
    """Without a client's ``tracestate``, which goes with its ``traceparent`` or not at
    all."""
    return tuple(one for one in headers if one[0].lower() != TRACESTATE)


def _error(ctx: RequestContext, ended: Ended) -> str:
    """What went wrong here, "" for nothing. That a client was at fault, or left, is no
    error of the server."""
    if ended.status >= _MIN_ERROR or (
        ctx.lost and ctx.reason is not Reason.CLIENT_GONE
    ):
        return ctx.reason.value if ctx.reason else str(ended.status)
    return ""


def _attributes(
    ctx: RequestContext, ended: Ended, trace: RequestTrace
) -> dict[str, Value]:
    known = ctx.method in _METHODS
    found: dict[str, Value | None] = {
        "http.request.method": ctx.method if known else OTHER_METHOD,
        "http.request.method_original": None if known else ctx.method[:MAX_TEXT],
        "url.scheme": ended.scheme,
        "url.path": path_of(ctx.target),
        "http.route": ctx.route.match if ctx.route is not None else None,
        "http.response.status_code": ended.status or None,
        "network.protocol.version": ended.version,
        **_server(ended.host),
        "client.address": ctx.client or None,
        "user_agent.original": ctx.said.agent[:MAX_TEXT] if ctx.said else None,
        "ds_edge.mode": ctx.mode or None,
        "ds_edge.result": _result(ctx, ended.status),
        "ds_edge.reason": ctx.reason.value if ctx.reason else None,
        "ds_edge.offset": _offset_of(ctx.target),
        "ds_edge.bytes": ended.sent,
        "ds_edge.request_id": ctx.request_id,
        "ds_edge.lost": ctx.lost or None,
        "ds_edge.links_left_out": trace.unlinked or None,
    }
    return {
        name: str(value) if isinstance(value, str) else value
        for name, value in found.items()
        if value is not None and value != ""
    }


def _result(ctx: RequestContext, status: int) -> str | None:
    """How the answer came about: as the metrics say of reads."""
    if ctx.cache is None:
        return None
    return PASS if ctx.mode == PASS else ctx.cache.result(status).value


def path_of(target: str) -> str:
    """The path of a target in any form: no authority, which may hold a password, and no
    query."""
    return _AUTHORITY.sub("", target.partition("?")[0], count=1)[:MAX_PATH] or "/"


def _offset_of(target: str) -> str | None:
    found = _OFFSET.search(target)
    return None if found is None else found[1][:MAX_TEXT]


def _server(host: str) -> dict[str, Value]:
    match = _HOST.fullmatch(host)
    if match is None or not match[1]:
        return {}
    address = match[1].strip("[]")[:MAX_TEXT]
    port: dict[str, Value] = {} if match[2] is None else {"server.port": int(match[2])}
    return {"server.address": address, **port}
