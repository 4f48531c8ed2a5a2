"""Header rules for what passes through: writes, control paths, odd methods.

A read of a stream is built (``edge.policy.streams.upstream_requests``). Everything else
is forwarded, and this module says which header fields go along in each direction. It
decides nothing about bodies: framing belongs to the adapter and the front. Called by
``front.app.pass_through`` and, for the loop check, by both ways into the edge.

Sources: RFC 9110 sections 7.6.1 (Connection) and 7.6.3 (Via), RFC 8586
(CDN-Loop); P1, P9, L18, L26.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from edge.core.values import PRODUCT, Header, Headers, Node, loop_member
from edge.policy.http import cache_status, link_fields
from edge.protocol.http_grammar import (
    HOP_BY_HOP,
    connection_options,
    list_items,
)

UNFIT_ON_READS = HOP_BY_HOP | {
    "accept-encoding",
    "cdn-loop",
    "content-length",
    "expect",
    "host",
    link_fields.FIELD,
    link_fields.LENT,
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "range",
    "traceparent",
    "via",
    "x-request-id",
}
"""Fields that a route cannot add to built reads: the edge answers or makes them itself.

Client conditionals and ranges would make an answer useless to the readers that
share it (E20, E31).
"""

MAX_NAMES = 512
"""Names of fields of which is remembered what becomes of them."""

MAX_HOPS = 16
"""Nodes of which a built read tells; a longer chain is a loop, or a lie."""

_NODE_ID = re.compile(r"[0-9a-f]{1,32}")

_MADE_HERE = frozenset(
    {"accept-encoding", "cdn-loop", "content-length", "expect", "host", "via"}
)

# With these a client could speak as if it were a proxy. Or it could make an origin
# read another method, host or path than the one that this edge saw.
_SPOOFABLE = frozenset(
    {
        "forwarded",
        "front-end-https",
        "true-client-ip",
        "x-forwarded",
        "x-host",
        "x-http-host-override",
        "x-http-method",
        "x-http-method-override",
        "x-method-override",
        "x-original-host",
        "x-original-uri",
        "x-original-url",
        "x-real-ip",
        "x-rewrite-url",
    }
)

# The edge puts these on every answer itself, or they concern one connection.
_NOT_RETURNED = frozenset(
    {
        "alt-svc",
        "cache-status",
        "content-length",
        "date",
        "server",
        "x-content-type-options",
    }
)
_RESOURCE_POLICY = "cross-origin-resource-policy"


def request_headers(
    headers: Iterable[Header], *, node: Node, forwarded: Headers = ()
) -> Headers:
    """What goes to the origin with a forwarded request, names in lower case.

    All end-to-end fields of the client, without those that the adapter frames
    (Host, Content-Length) and those that speak for a proxy. ``node`` adds its members
    to Via and CDN-Loop. ``forwarded`` are the fields in which the edge tells
    of the client (``x-forwarded-for``, for instance).
    """
    received = [(name.lower(), value) for name, value in headers]
    dropped = _named_by_connection(received) | _MADE_HERE
    kept = [
        (name, value)
        for name, value in received
        if name not in dropped and not _ends_here(name) and not _is_spoofable(name)
    ]
    kept += forwarded
    kept.append(("accept-encoding", "identity"))
    kept.append(("via", _with_member(received, "via", node.via)))
    kept.append(("cdn-loop", _with_member(received, "cdn-loop", node.cdn_loop)))
    return tuple(kept)


def response_headers(
    headers: Iterable[Header],
    *,
    cache_control: str = "no-store",
    keeps_browser_fields: bool = False,
) -> Headers:
    """What of the origin's answer goes back to the client, names in lower case.

    Without hop-by-hop fields, framing, Date, Server, and what the edge sets
    for itself on every answer (CORS, the security fields, Cache-Status, in which
    ``cache_members`` go before its own). Set-Cookie, Location
    and all fields of the protocol stay. ``cache_control`` is added when the
    origin says nothing: an answer to a write must not become cacheable by
    heuristics downstream (RFC 9111 section 4.2.2). ``keeps_browser_fields``: CORS and
    Cross-Origin-Resource-Policy are the origin's, for no route says anything.
    """
    received = [(name.lower(), value) for name, value in headers]
    named = _named_by_connection(received)
    kept = {
        name: _is_returned(name, keeps_browser_fields) and name not in named
        for name, _ in received
    }
    fields = [field for field in received if kept[field[0]]]
    if not kept.get("cache-control"):
        fields.append(("cache-control", cache_control))
    return tuple(fields)


def link_response(headers: Iterable[Header]) -> Headers:
    """What of the origin's answer goes on to a front: all that ``response_headers`` may
    need there, as the origin said it. Cache-Status goes beside it."""
    received = [(name.lower(), value) for name, value in headers]
    named = _named_by_connection(received)
    return tuple(
        (name, value)
        for name, value in received
        if name not in _NOT_RETURNED and name not in named and not _ends_here(name)
    )


@lru_cache(maxsize=MAX_NAMES)
def _is_returned(name: str, keeps_browser_fields: bool) -> bool:
    """Whether an origin's field of this name is returned where no Connection names it.
    Origins send the same few names."""
    if name in _NOT_RETURNED or _ends_here(name):
        return False
    return keeps_browser_fields or not _is_for_browsers(name)


def _is_for_browsers(name: str) -> bool:
    return name == _RESOURCE_POLICY or name.startswith("access-control-")


def cache_members(headers: Headers) -> str:
    """The members of Cache-Status that go back before this edge's own, "" for none
    (RFC 9211 section 2)."""
    told = any(name == cache_status.FIELD for name, _ in headers)
    return cache_status.members(headers) if told else ""


def is_loop(headers: Iterable[Header], node: Node) -> bool:
    """Whether this request has been at this very node before (L26, U10).

    The node's id tells, in a CDN-Loop member of this product. Its name is not looked
    at, neither here nor in Via: two nodes of one name may stand one behind the other.
    """
    fields = (value for name, value in headers if name.lower() == "cdn-loop")
    return any(node.id in _node_ids(field) for field in fields)


def hops(cdn_loop: str | None) -> tuple[str, ...]:
    """The ids of this product's nodes in a CDN-Loop field, the nearest last (U10).

    A built read takes them along, since a loop may go through two nodes. Only ids that
    this product could have made, and no more than MAX_HOPS: a client must not be able
    to send anything else upstream by them.
    """
    if cdn_loop is None:
        return ()
    found = [one for one in _node_ids(cdn_loop) if _NODE_ID.fullmatch(one)]
    return tuple(found[-MAX_HOPS:])


def link_request(headers: Iterable[Header]) -> Headers:
    """What goes on to the origin of a request that came by the link: all that its front
    made of it, but for what was told to this process alone, and for the two fields that
    name the request (W2)."""
    dropped = {"content-length", "expect", "host", "traceparent", "x-request-id"}
    return tuple(
        (name, value)
        for name, value in headers
        if name not in dropped and not _ends_here(name)
    )


def cdn_loop(node: Node, before: Sequence[str] = ()) -> str:
    """CDN-Loop of a built request: ``hops``, and this node last."""
    return ", ".join([*map(loop_member, before), node.cdn_loop])


def _node_ids(cdn_loop: str) -> list[str]:
    """The ids of all members of this product, as they stand there."""
    items = list_items(cdn_loop)
    return [i.parameters.get("node", "") for i in items if i.value == PRODUCT]


def _named_by_connection(headers: Iterable[Header]) -> frozenset[str]:
    """The fields that Connection lists (RFC 9110 section 7.6.1)."""
    return connection_options(v for name, v in headers if name == "connection")


def _ends_here(name: str) -> bool:
    # Every proxy-* field is between one client and one proxy, and those of the link
    # between two processes of one node.
    if name in HOP_BY_HOP or name.startswith("proxy-"):
        return True
    return link_fields.is_internal(name)


def _is_spoofable(name: str) -> bool:
    # CGI-like origins read X_Forwarded_For as X-Forwarded-For.
    plain = name.replace("_", "-")
    return plain in _SPOOFABLE or plain.startswith("x-forwarded-")


def _with_member(headers: Iterable[Header], name: str, member: str) -> str:
    # Taken from the fields as received: a Connection field that lists Via or CDN-Loop
    # must not be able to hide a loop (RFC 8586 section 2.1).
    values = [value for field, value in headers if field == name and value.strip()]
    return ", ".join([*values, member])
