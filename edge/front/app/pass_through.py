"""PassThrough: requests that go to the origin one to one.

Writes, control paths, unknown methods and what is no stream. Neither shared
nor stored; bodies stream both ways in pieces, so a 2 GiB append takes constant
memory. A write is never sent twice here (the adapter's one retry is for GETs),
and the hub hears of every write before its client does (L4, L5). The origin's
answer goes back through ``edge.front.app.pass_response``.
"""

from dataclasses import dataclass

from edge.core.errors import ClientFault, OriginFault
from edge.core.ports import Exchange
from edge.core.reasons import Reason
from edge.core.values import CacheStatus, Header, Headers, OriginRequest, Purpose
from edge.front.app.pass_response import PassResponse
from edge.front.dependencies import Dependencies
from edge.front.exchange import PASS, Request, RequestBody, RequestContext, Response
from edge.policy.http import forwarding
from edge.policy.streams import upstream_requests
from edge.policy.streams.classify import PassRequest

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class PassThrough:
    """Carries requests to the origin; one instance serves them all."""

    def __init__(self, parts: Dependencies) -> None:
        self._parts = parts
        self._responses = PassResponse(parts)

    def respond(
        self, request: Request, ctx: RequestContext, passed: PassRequest
    ) -> Response:
        """Answer with what the origin says. Raises ClientFault, OriginFault."""
        _describe(ctx, passed, None)
        self._parts.counters.passes[passed.reason.value] += 1
        exchange = self._open(request, ctx, passed)
        ctx.defer(exchange.close)
        _describe(ctx, passed, exchange.status)
        self._tell(ctx, passed, exchange.status, exchange.headers)
        return self._responses.respond(request, ctx, passed, exchange)

    def _open(
        self, request: Request, ctx: RequestContext, passed: PassRequest
    ) -> Exchange:
        upstream = self._upstream(request, ctx, passed)
        sent = _Sent(request.body)
        self._parts.counters.origin_requests[upstream.purpose.value] += 1
        try:
            return self._parts.origin.open(upstream, sent.is_whole)
        except (ClientFault, OriginFault) as fault:
            if isinstance(fault, OriginFault):
                self._parts.counters.origin_faults[fault.reason.value] += 1
            # Nobody knows whether the origin acted; it must be assumed (L4, L5).
            if sent.anything:
                self._tell(ctx, passed, None, ())
            raise

    def _upstream(
        self, request: Request, ctx: RequestContext, passed: PassRequest
    ) -> OriginRequest:
        body = request.body
        pieces = None
        if body is not None:
            pieces = body.pieces(self._parts.options.limits.max_body)
        node_id = self._parts.options.node_id
        if passed.reason is Reason.UNKNOWN_LIVE and ctx.route is not None:
            return upstream_requests.pass_request(passed, ctx.route, node_id=node_id)
        safe = request.method in _SAFE_METHODS
        return OriginRequest(
            request.method,
            passed.target,
            _forwarded(request, ctx, node_id),
            Purpose.RELAY if safe else Purpose.WRITE,
            pieces,
            None if body is None else body.length,
        )

    def _tell(
        self,
        ctx: RequestContext,
        passed: PassRequest,
        status: int | None,
        headers: Headers,
    ) -> None:
        """Tell the hub of a write's end. Control paths and reads are no writes."""
        if ctx.method in _SAFE_METHODS:
            return
        label = "lost" if status is None else f"{status // 100}xx"
        self._parts.counters.writes[label] += 1
        if passed.reason is Reason.METHOD and ctx.route is not None:
            path = passed.target.partition("?")[0]
            name = ctx.route.match
            self._parts.read_service.wrote(name, path, ctx.method, status, headers)


@dataclass(slots=True)
class _Sent:
    """How much of a request may have reached the origin."""

    body: RequestBody | None
    whole: bool = False

    def is_whole(self) -> None:
        """Called by the adapter once all of it is on the wire."""
        self.whole = True

    @property
    def anything(self) -> bool:
        """Whether an origin could have acted on what it got.

        Without a body only a whole head can be acted upon. With one, some
        origins take what came before the cut for all of it.
        """
        return self.whole or (self.body is not None and self.body.begun)


def _describe(ctx: RequestContext, passed: PassRequest, status: int | None) -> None:
    """Say in ``ctx`` that the request passes, and what the origin answered."""
    ctx.mode = PASS
    ctx.reason = passed.reason
    ctx.cache = CacheStatus(
        fwd="method" if passed.reason is Reason.METHOD else "bypass",
        fwd_status=status,
        detail=passed.reason,
    )


def _forwarded(request: Request, ctx: RequestContext, node_id: str) -> Headers:
    """The client's end-to-end fields, and what the edge says of the client."""
    own: list[Header] = [("x-request-id", ctx.request_id)]
    if request.client:
        own.append(("x-forwarded-for", request.client))
    fields = (pair for pair in request.fields.items() if _is_forwarded(*pair))
    return forwarding.request_headers(fields, node_id=node_id, forwarded=tuple(own))


def _is_forwarded(name: str, value: str) -> bool:
    # An empty Content-Type is how WSGI says that there is none.
    return name != "x-request-id" and (name != "content-type" or value != "")
