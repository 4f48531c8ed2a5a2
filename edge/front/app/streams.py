"""StreamResource: the one Falcon sink. Every request comes by here and is told apart.

======================== ==================================================
OPTIONS                  answered here, with CORS; off the routes it passes
CONNECT, TRACE           refused: one is no proxy, the other would show the
                         edge's own credential to whoever asks
a read of a stream       to the hub (``reads``)
everything else          to the origin, one to one (``edge.front.app.pass_through``)
======================== ==================================================

What a request is, ``edge.policy.streams.classify`` says; nothing is decided twice.
"""

import falcon

from edge.core.errors import ClientFault, Refusal
from edge.core.head_rules import origin_form
from edge.core.reasons import Reason
from edge.core.values import Answer, Read
from edge.front.app.falcon_response import fill
from edge.front.app.pass_through import PassThrough
from edge.front.app.reads import ReadResource
from edge.front.common_fields import OFF_ROUTE
from edge.front.dependencies import Dependencies
from edge.front.request_context import RequestContext
from edge.policy.http import cors, forwarding, request_target
from edge.policy.streams import classify, routes
from edge.policy.streams.classify import PassRequest

ALLOW = "GET, HEAD, POST, PUT, DELETE, OPTIONS"
_REFUSED = frozenset({"CONNECT", "TRACE"})


class StreamResource:
    """Answers every request with a part of the edge made for it."""

    def __init__(self, parts: Dependencies) -> None:
        self._routes = parts.routes
        self._node_id = parts.options.node_id
        self._reads = ReadResource(parts)
        self._passing = PassThrough(parts)

    def __call__(
        self, req: falcon.Request, resp: falcon.Response, **_named: object
    ) -> None:
        """Raises EdgeError, ClientGone."""
        ctx = RequestContext.of(req.env)
        self._check(ctx)
        authority, target = origin_form(ctx.target)
        if authority is not None:
            ctx.environ["HTTP_HOST"] = authority
        ctx.route = routes.find(self._routes, target.partition("?")[0])
        if ctx.method == "OPTIONS" and _answered_here(ctx, target):
            _options(ctx, resp)
            return
        self._serve(ctx, resp, self._classified(ctx, target))

    def _check(self, ctx: RequestContext) -> None:
        if ctx.method in _REFUSED:
            raise ClientFault("This method is not served here.", status=501)
        if ctx.lookup("via") is None and ctx.lookup("cdn-loop") is None:
            return
        if forwarding.is_loop(ctx.fields(), self._node_id):
            detail = "The request has been at this node before."
            raise Refusal(detail, reason=Reason.LOOP, status=508, retry_after=None)

    def _classified(self, ctx: RequestContext, target: str) -> Read | PassRequest:
        if ctx.route is None:
            request_target.split(target)
            return PassRequest(Reason.NOT_A_STREAM, target)
        if ctx.body_left and ctx.method in ("GET", "HEAD"):
            detail = "A read takes no body."
            raise ClientFault(detail, reason=Reason.BODY_ON_READ)
        return classify.classify(ctx.method, target, ctx.lookup, ctx.route)

    def _serve(
        self, ctx: RequestContext, resp: falcon.Response, what: Read | PassRequest
    ) -> None:
        if isinstance(what, Read):
            self._reads.serve(ctx, resp, what)
        else:
            self._passing.serve(ctx, resp, what)


def _answered_here(ctx: RequestContext, target: str) -> bool:
    """Preflights always; other OPTIONS where the edge knows what is allowed."""
    asked = ctx.lookup("access-control-request-method")
    return target == "*" or ctx.route is not None or asked is not None


def _options(ctx: RequestContext, resp: falcon.Response) -> None:
    ctx.mode = "options"
    route = ctx.route or OFF_ROUTE
    headers = cors.preflight(
        route.cors_origin,
        route.request_headers,
        ctx.lookup("access-control-request-method"),
        ctx.lookup("access-control-request-headers"),
    )
    fill(ctx, resp, Answer(204, (("Allow", ALLOW), *headers), b""))
