"""What every answer carries, whichever part of the edge made it, errors included.

The browser's security fields and CORS (L18), Via, the request's id and Cache-Status.
``Date``, ``Server`` and ``Connection`` are the server's. Falcon's way and the fast way
both take them from here.

``Cache-Status`` is one member, this cache's own (RFC 9211). ``hit`` and ``fwd`` exclude
each other (section 2.1); ``collapsed`` and ``stored`` go with ``fwd`` only. ``detail``
is the reason word, which is a token.
"""

from functools import lru_cache

from edge.core.values import CacheStatus, Headers
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
        fields += (("Cache-Status", cache_status(name, ctx.cache)),)
    return fields


def common_fields(ctx: RequestContext, name: str) -> Headers:
    """All of them."""
    own = (("X-Request-Id", ctx.request_id),)
    return route_fields(ctx.route) + own + path_fields(ctx, name)


@lru_cache(maxsize=1024)
def cache_status(name: str, status: CacheStatus) -> str:
    """The member that says what the cache ``name`` did; the access log has it too."""
    words = [name]
    if status.hit:
        words.append("hit")
    elif status.fwd is not None:
        words.append(f"fwd={status.fwd}")
        if status.fwd_status is not None:
            words.append(f"fwd-status={status.fwd_status}")
        if status.stored:
            words.append("stored")
        if status.collapsed:
            words.append("collapsed")
    if status.ttl is not None:
        words.append(f"ttl={status.ttl}")
    if status.detail is not None:
        words.append(f"detail={status.detail.value}")
    return "; ".join(words)
