"""PassThrough: requests that go to the origin one to one.

Writes, control paths, unknown methods and what is no stream. Neither shared
nor stored; bodies stream both ways in pieces, so a 2 GiB append takes constant
memory. A write is never sent twice here (the adapter's one retry is for GETs),
and the hub hears of every write before its client does (L4, L5). What comes
back is ``edge.front.app.pass_response``'s to answer with.
"""

from dataclasses import dataclass

import falcon

from edge.core.errors import ClientFault, OriginFault
from edge.core.ports import Exchange
from edge.core.reasons import Reason
from edge.core.values import CacheStatus, Header, Headers, OriginRequest, Purpose
from edge.front.app.pass_response import PassResponse
from edge.front.app.request_body import RequestBody
from edge.front.dependencies import Dependencies
from edge.front.request_context import PASS, RequestContext
from edge.policy.http import forwarding
from edge.policy.streams import upstream_requests
from edge.policy.streams.classify import PassRequest

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class PassThrough:
    """Carries requests to the origin; one instance serves them all."""

    def __init__(self, parts: Dependencies) -> None:
        self._parts = parts
        self._relay = PassResponse(parts)

    def serve(
        self, ctx: RequestContext, resp: falcon.Response, passing: PassRequest
    ) -> None:
        """Answer with what the origin says. Raises ClientFault, OriginFault."""
        _note(ctx, passing, None)
        self._parts.counters.passes[passing.reason.value] += 1
        exchange = self._open(ctx, passing)
        ctx.defer(exchange.close)
        _note(ctx, passing, exchange.status)
        self._tell(ctx, passing, exchange.status, exchange.headers)
        self._relay.answer(ctx, resp, passing, exchange)

    def _open(self, ctx: RequestContext, passing: PassRequest) -> Exchange:
        body = self._body(ctx)
        request = self._request(ctx, passing, body)
        sent = _Sent(body)
        self._parts.counters.origin_requests[request.purpose.value] += 1
        try:
            return self._parts.origin.open(request, sent.is_whole)
        except OriginFault as fault:
            self._parts.counters.origin_faults[fault.reason.value] += 1
            self._perhaps_written(ctx, passing, sent)
            raise
        except ClientFault:
            self._perhaps_written(ctx, passing, sent)
            raise

    def _body(self, ctx: RequestContext) -> RequestBody | None:
        if not ctx.body_left and "CONTENT_LENGTH" not in ctx.environ:
            return None
        return RequestBody(ctx, self._parts.options.limits.max_body)

    def _request(
        self, ctx: RequestContext, passing: PassRequest, body: RequestBody | None
    ) -> OriginRequest:
        node_id = self._parts.options.node_id
        if passing.reason is Reason.UNKNOWN_LIVE and ctx.route is not None:
            return upstream_requests.relay_request(passing, ctx.route, node_id=node_id)
        safe = ctx.method in _SAFE_METHODS
        return OriginRequest(
            ctx.method,
            passing.target,
            _forwarded(ctx, node_id),
            Purpose.RELAY if safe else Purpose.WRITE,
            None if body is None else iter(body),
            None if body is None else body.length,
        )

    # What the hub must hear of writes.

    def _perhaps_written(
        self, ctx: RequestContext, passing: PassRequest, sent: "_Sent"
    ) -> None:
        """Nobody knows whether the origin acted; it must be assumed (L4, L5)."""
        if sent.anything:
            self._tell(ctx, passing, None, ())

    def _tell(
        self,
        ctx: RequestContext,
        passing: PassRequest,
        status: int | None,
        headers: Headers,
    ) -> None:
        """Tell of a write's end. Control paths and reads are no writes."""
        if ctx.method in _SAFE_METHODS:
            return
        label = "lost" if status is None else f"{status // 100}xx"
        self._parts.counters.writes[label] += 1
        if passing.reason is Reason.METHOD and ctx.route is not None:
            path = passing.target.partition("?")[0]
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


def _note(ctx: RequestContext, passing: PassRequest, status: int | None) -> None:
    ctx.mode = PASS
    ctx.reason = passing.reason
    ctx.cache = CacheStatus(
        fwd="method" if passing.reason is Reason.METHOD else "bypass",
        fwd_status=status,
        detail=passing.reason,
    )


def _forwarded(ctx: RequestContext, node_id: str) -> Headers:
    """The client's end-to-end fields, and what the edge says of the client."""
    mine: list[Header] = [("x-request-id", ctx.request_id)]
    if client := ctx.environ.get("REMOTE_ADDR"):
        mine.append(("x-forwarded-for", client))
    fields = (pair for pair in ctx.fields() if pair[0] != "x-request-id")
    return forwarding.request_headers(fields, node_id=node_id, forwarded=tuple(mine))
