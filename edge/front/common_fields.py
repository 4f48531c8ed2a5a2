"""FixedFields: what every answer carries, whoever made it, errors included.

The browser's security fields and CORS (L18), Via, the request's id and
Cache-Status. ``Date``, ``Server`` and ``Connection`` are the worker's.
"""

from functools import lru_cache

import falcon

from edge.core.values import Headers
from edge.front import cache_status
from edge.front.options import FrontOptions
from edge.front.request_context import RequestContext
from edge.policy.http import cors
from edge.policy.streams.routes import Route
from edge.protocol.http_grammar import via_member

OFF_ROUTE = Route()
"""Stands for the route where no route is known."""


@lru_cache(maxsize=256)
def route_fields(route: Route | None) -> Headers:
    """The fields that depend on the route alone."""
    route = route or OFF_ROUTE
    shared = cors.answer_headers(route.cors_origin, route.response_headers)
    return cors.SECURITY_HEADERS + shared


def path_fields(ctx: RequestContext, name: str) -> Headers:
    """What each intermediary adds a member to: its own comes last."""
    fields: Headers = (("Via", via_member(name)),)
    if ctx.cache is not None:
        fields += (("Cache-Status", cache_status.member(name, ctx.cache)),)
    return fields


def common_fields(ctx: RequestContext, name: str) -> Headers:
    """All of them, for an answer that is written without Falcon."""
    own = (("X-Request-Id", ctx.request_id),)
    return route_fields(ctx.route) + own + path_fields(ctx, name)


class FixedFields:
    """Falcon middleware that puts the common fields on every response."""

    def __init__(self, options: FrontOptions) -> None:
        self._name = options.name

    def process_response(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        resource: object,
        req_succeeded: bool,
    ) -> None:
        """Called by Falcon last, for answers and errors alike."""
        ctx = RequestContext.of(req.env)
        resp.set_headers(route_fields(ctx.route))
        resp.set_header("X-Request-Id", ctx.request_id)
        for name, value in path_fields(ctx, self._name):
            resp.append_header(name, value)
