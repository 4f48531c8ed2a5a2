"""RequestHandler: the application. It takes every request and tells the kinds apart.

======================== ==================================================
CONNECT, TRACE           refused: one is no proxy, the other would show the
                         edge's own credential to its client
OPTIONS                  answered here, with CORS; off the routes only a
                         preflight and ``*`` are, any other one passes
a read of a stream       to the hub (``reads``)
everything else          to the origin, one to one (``pass_through``)
======================== ==================================================

It takes a Request and returns a Response (``edge.front.exchange``), both the same for
every version of HTTP. The pipeline (``edge.policy.streams.pipeline``) says what a
request is and whether it may go on; no decision is made twice.
"""

from edge.core.errors import AccessDenied, ClientFault, Refusal
from edge.core.head_rules import origin_form
from edge.core.reasons import Reason
from edge.core.values import Answer, Read
from edge.front import problems
from edge.front.app.pass_through import PassThrough
from edge.front.app.reads import ReadHandler
from edge.front.dependencies import Dependencies
from edge.front.exchange import (
    OFF_ROUTE,
    ClientGone,
    Request,
    RequestContext,
    Response,
    cors_policy,
)
from edge.policy.http import cors, forwarding
from edge.policy.streams.authorize import Ask, Denied, RequestHead
from edge.policy.streams.pipeline import Resolved

ALLOW = "GET, HEAD, POST, PUT, DELETE, OPTIONS"
_REFUSED = frozenset({"CONNECT", "TRACE"})


class RequestHandler:
    """Answers requests. One instance serves all of them, each in its greenlet."""

    def __init__(self, parts: Dependencies) -> None:
        self._pipeline = parts.pipeline
        self._node = parts.options.node
        self._clock = parts.clock
        self._counters = parts.counters
        self._reads = ReadHandler(parts)
        self._passes = PassThrough(parts)

    def respond(self, request: Request, ctx: RequestContext) -> Response:
        """The answer, which may be a problem. Raises ClientGone, nothing else."""
        try:
            return self._respond(request, ctx)
        except ClientGone:
            raise
        except Exception as error:
            return self.problem(ctx, error)

    def problem(self, ctx: RequestContext, error: Exception) -> Response:
        """The answer to a request that ended with ``error``. Counts it."""
        return problems.respond(ctx, error, self._counters)

    def _respond(self, request: Request, ctx: RequestContext) -> Response:
        self._check(request)
        authority, target = origin_form(request.target)
        if authority is not None:
            request.fields["host"] = authority
        ctx.route = self._pipeline.find_route(target)
        if request.method == "OPTIONS" and _answered_here(request, ctx, target):
            return _options(request, ctx)
        resolved = self._resolved(request, ctx, target)
        asked, grant = resolved.request, resolved.grant
        if isinstance(asked, Read):
            return self._reads.respond(request, ctx, asked, grant.lease)
        return self._passes.respond(request, ctx, asked, grant.lease)

    def _check(self, request: Request) -> None:
        if request.method in _REFUSED:
            raise ClientFault("This method is not served here.", status=501)
        if request.lookup("cdn-loop") is None:
            return
        if forwarding.is_loop(tuple(request.fields.items()), self._node):
            detail = "The request has been at this node before."
            raise Refusal(detail, reason=Reason.LOOP, status=508, retry_after=None)

    def _resolved(self, request: Request, ctx: RequestContext, target: str) -> Resolved:
        """What is asked for, if that is allowed. Waits for the verdict of an Ask."""
        route = ctx.route
        is_read = request.method in ("GET", "HEAD")
        if route is not None and is_read and request.body_left:
            detail = "A read takes no body."
            raise ClientFault(detail, reason=Reason.BODY_ON_READ)
        head = RequestHead.of(
            request.method, target, request.lookup, lambda: request.client
        )
        resolved = self._pipeline.resolve(head, route, self._clock.wall())
        if isinstance(resolved, Ask):
            assert route is not None
            resolved = self._pipeline.settle(head, route, resolved.verdict())
        judged = resolved if isinstance(resolved, Denied) else resolved.grant
        ctx.way, ctx.subject = judged.way, judged.subject
        if isinstance(resolved, Denied):
            raise AccessDenied(
                resolved.detail,
                reason=resolved.reason,
                status=resolved.status,
                challenge=resolved.challenge,
            )
        return resolved


def _answered_here(request: Request, ctx: RequestContext, target: str) -> bool:
    """Preflights always; other OPTIONS where the edge knows what is allowed."""
    asked = request.lookup("access-control-request-method")
    return target == "*" or ctx.route is not None or asked is not None


def _options(request: Request, ctx: RequestContext) -> Response:
    ctx.mode = "options"
    route = ctx.route or OFF_ROUTE
    headers = cors.preflight(
        cors_policy(ctx.route),
        route.request_headers,
        ctx.origin,
        request.lookup("access-control-request-method"),
        request.lookup("access-control-request-headers"),
    )
    return Response(Answer(204, (("Allow", ALLOW), *headers), b""))
