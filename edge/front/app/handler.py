"""RequestHandler: the application. It takes every request and tells the kinds apart.

======================== ==================================================
CONNECT, TRACE           refused: one is no proxy, the other would show the
                         edge's own credential to its client
OPTIONS                  answered here, with CORS; off the routes only ``*``
                         is, any other one passes, a preflight too
a read of a stream       to the hub (``reads``)
everything else          to the origin, one to one (``pass_through``)
======================== ==================================================

It takes a Request and returns a Response (``edge.front.exchange``), both the same for
every version of HTTP. The pipeline (``edge.policy.streams.pipeline``) says what a
request is and whether it may go on; no decision is made twice.
"""

from dataclasses import replace

from edge.core.errors import AccessDenied, ClientFault, Refusal
from edge.core.head_rules import origin_form
from edge.core.reasons import Reason
from edge.core.values import Answer, Headers, Read
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
from edge.policy.http.link_fields import KeeperEnd
from edge.policy.streams import pass_fields
from edge.policy.streams.authorize import Ask, Denied, RequestHead
from edge.policy.streams.pipeline import Resolved

ALLOW = "GET, HEAD, POST, PUT, DELETE, OPTIONS"
_REFUSED = frozenset({"CONNECT", "TRACE"})


class RequestHandler:
    """Answers requests. One instance serves all of them, each in its greenlet."""

    def __init__(self, parts: Dependencies) -> None:
        self._pipeline = parts.pipeline
        self._node = parts.options.node
        self._link = parts.options.link
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
        if self._link is None:
            self._check(request)
        authority, target = origin_form(request.target)
        if authority is not None:
            request.fields["host"] = authority
        ctx.route = self._pipeline.find_route(target)
        if self._link is not None:
            _check_link(self._link, request, ctx)
        elif request.method == "OPTIONS" and (ctx.route is not None or target == "*"):
            return _options(request, ctx)
        resolved = self._resolved(request, ctx, target)
        if ctx.route is not None and request.method in ("GET", "HEAD"):
            # It may have to wait for the client: not for one that is not let in.
            _check_no_body(request)
        try:
            return self._answer(request, ctx, resolved)
        except Refusal as refusal:
            if not _comes_anew(request, resolved, refusal):
                raise
        return self._answer(request, ctx, self._resolved(request, ctx, target))

    def _answer(
        self, request: Request, ctx: RequestContext, resolved: Resolved
    ) -> Response:
        asked, grant = resolved.request, resolved.grant
        if isinstance(asked, Read):
            response = self._reads.respond(request, ctx, asked, grant.lease)
        else:
            response = self._passes.respond(request, ctx, asked, grant.lease)
        return _with_fields(response, grant.fields)

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
                fields=resolved.fields,
                body=resolved.body,
            )
        return resolved


def _check_link(link: KeeperEnd, request: Request, ctx: RequestContext) -> None:
    """A keeper answers the fronts of its node, for whom it reads and writes streams.
    Raises ClientFault."""
    if not link.knows(request.lookup):
        raise ClientFault(
            "No front of this node asks.", reason=Reason.NOT_LINKED, status=403
        )
    if ctx.route is None and request.method not in pass_fields.LINKED_WRITES:
        detail = "This keeper has no such route."
        raise ClientFault(detail, reason=Reason.LINK_MISFIT, status=421)


def _comes_anew(request: Request, resolved: Resolved, refusal: Refusal) -> bool:
    """Whether the request is judged once more, as if it came now (B12): it was let in
    by a verdict that ended before there was an answer. A write that was sent is told
    what became of it, so this is of one that was not."""
    ended = refusal.reason is Reason.GRANT_ENDED and resolved.grant.renewable
    return ended and (request.body is None or not request.body.begun)


def _with_fields(response: Response, fields: Headers) -> Response:
    """The response with what is for this one client alone."""
    if not fields:
        return response
    answer = replace(response.answer, headers=response.answer.headers + fields)
    return replace(response, answer=answer)


def _check_no_body(request: Request) -> None:
    """A read takes no content. An empty body that was announced as chunked is none
    (RFC 9112 section 7.1): some clients send it with a GET."""
    if request.body is None:
        return
    if not request.body.ends_at_once():
        raise ClientFault("A read takes no body.", reason=Reason.BODY_ON_READ)
    request.body = None


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
