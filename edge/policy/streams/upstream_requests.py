"""What goes upstream for reads: built, never forwarded (L13).

The target is canonical, the coding is identity, and the headers are those of
the key's partition, the route's own for shared partitions, Via and CDN-Loop. No client
conditional, range, preference or forwarding field can reach the origin on a read that
is shared, so none can choose an answer that others will get (E25, E26, E28, E30, E31,
P1).

The parameters go out as ``offset``, ``live``, ``cursor``, then the extension in its
canonical order. That is the TypeScript client's order: a cache between edge and origin
sees one URL from both. An origin that takes the first of two parameters can only see
the edge's own.

``traceparent`` and ``X-Request-Id`` are put on when a read is sent
(``edge.live.upstream``): they tell for which request it is, and are in no key.

Where a node has keepers, a request that one of them may be asked instead of the origin
is ``linked``: it brings the terms (W10). It is built for the origin all the same, whom
it may go to (W7). What passes is not linked, unless only its size is the reason (W11).

Called by the hub (flights, followers, HEADs, and reads whose key must not be joined,
L15), and by the front for reads whose ``live`` the edge does not know, and for what a
way let in (``granted_fields``).
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from urllib.parse import quote

from edge.core.values import (
    NO_END,
    UNLIMITED,
    Header,
    Headers,
    Lease,
    LentCredential,
    LinkTerms,
    Mode,
    Node,
    OriginRequest,
    Partition,
    PartitionKind,
    Purpose,
    Read,
    StreamKey,
)
from edge.policy.http import request_target
from edge.policy.http.forwarding import UNFIT_ON_READS, cdn_loop
from edge.policy.streams.classify import PassRequest
from edge.policy.streams.routes import Route, UpstreamCredential
from edge.policy.streams.ways import ForwardWay, JwtWay, OriginWay, TokenPlace
from edge.protocol import names

NAMELESS = Node("ds-edge", "0")
"""A node that was told neither its name nor its id."""

Hops = tuple[str, ...]
"""Ids of the nodes by which the read came that makes this one necessary (U10)."""


def read_request(
    key: StreamKey,
    offset: str | None,
    route: Route,
    *,
    live_cursor: str | None = None,
    live: bool = False,
    node: Node = NAMELESS,
    hops: Hops = (),
    lent: LentCredential | None = None,
    fields: Headers | None = None,
    linked: bool = False,
) -> OriginRequest:
    """A GET from ``offset`` on; None leaves the parameter out.

    ``live`` makes it the follower's long-poll, which echoes the origin's last
    cursor (``live_cursor``); the pool and its time-outs follow from that (L24).
    ``fields``: what ``read_fields`` gave before, for who asks often.
    """
    if fields is None:
        fields = read_fields(key.partition, route, node=node, hops=hops, lent=lent)
    mode = names.LIVE_LONG_POLL if live else None
    return OriginRequest(
        method="GET",
        target=_target(key, lent, offset, mode, live_cursor),
        headers=fields,
        purpose=Purpose.FOLLOW if live else Purpose.CATCH_UP,
        link=_terms(key, lent, hops) if linked else None,
    )


def events_request(
    key: StreamKey,
    offset: str,
    route: Route,
    *,
    node: Node = NAMELESS,
    cursor: str | None = None,
    linked: bool = False,
) -> OriginRequest:
    """A follower's request for an event stream (section 5.8). ``cursor``: the origin's
    last one."""
    fields = read_fields(key.partition, route, node=node)
    return OriginRequest(
        method="GET",
        target=_target(key, None, offset, names.LIVE_SSE, cursor),
        headers=(*fields, ("accept", "text/event-stream")),
        purpose=Purpose.EVENTS,
        link=_terms(key) if linked else None,
    )


def head_request(
    key: StreamKey,
    route: Route,
    *,
    node: Node = NAMELESS,
    hops: Hops = (),
    lent: LentCredential | None = None,
    linked: bool = False,
    opens: bool = False,
) -> OriginRequest:
    """A HEAD of the stream: type, tail, closed, TTL (PROTOCOL.md section 5.5).
    ``opens``: for readers by GET alone (U12)."""
    terms = replace(_terms(key, lent, hops), opens=opens) if linked else None
    return OriginRequest(
        method="HEAD",
        target=_target(key, lent),
        headers=read_fields(key.partition, route, node=node, hops=hops, lent=lent),
        link=terms,
    )


def relay_read(
    read: Read,
    route: Route,
    *,
    node: Node = NAMELESS,
    lent: LentCredential | None = None,
    linked: bool = False,
    until: float = NO_END,
) -> OriginRequest:
    """One reader's own request, for a key whose answers are not joined (L15).

    It asks what the client asked, including its cursor, by the same canonical URL and
    the same few headers as a shared read. ``lent`` is then the reader's own. Nobody
    shares the answer, so the client's If-None-Match may choose it (O9); live reads
    ignore it, as everywhere (L17). ``until``: when the reader's grant ends.
    """
    headers = read_fields(
        read.key.partition, route, node=node, hops=read.hops, lent=lent
    )
    if read.if_none_match is not None and not read.mode.live:
        headers += (("if-none-match", read.if_none_match),)
    link = _terms(read.key, lent, read.hops, until) if linked else None
    if read.mode is Mode.HEAD:
        target = _target(read.key, lent)
        return OriginRequest("HEAD", target, headers, Purpose.RELAY, link=link)
    mode = read.mode.value if read.mode.live else None
    cursor = None if read.cursor is None else str(read.cursor)
    target = _target(read.key, lent, read.offset, mode, cursor)
    return OriginRequest("GET", target, headers, Purpose.RELAY, link=link)


def pass_request(
    passed: PassRequest,
    route: Route,
    *,
    node: Node = NAMELESS,
    lease: Lease = UNLIMITED,
) -> OriginRequest:
    """A GET with a ``live`` that this edge does not know, as it was asked.

    Only for Reason.UNKNOWN_LIVE; other requests that pass are forwarded. Where
    credentials are lent, that of the ``lease`` goes with it, which is the client's own.
    """
    lent = lease.lends if route.upstream is UpstreamCredential.LENT else None
    target = passed.target
    if lent is not None:
        path, _, query = target.partition("?")
        target = request_target.join(path, "&".join((query, *lent.parameters)))
    headers = read_fields(
        passed.partition, route, node=node, hops=passed.hops, lent=lent
    )
    return OriginRequest("GET", target, headers, Purpose.RELAY)


def granted_fields(fields: Iterable[Header], route: Route) -> Headers:
    """What is forwarded of a request that a way of ``route`` let in, and is no read
    (B9): without what the ways look at, and what the edge itself sets (``own_fields``).

    Of cookies, only those that a way names are left out; all of them, where somebody
    is asked about them as a whole.
    """
    own = {name for name, _ in own_fields(route)}
    judged = {*route.credential_headers, *own}
    asked = (way for way in route.ways if isinstance(way, ForwardWay | OriginWay))
    if "cookie" not in own and not any("cookie" in way.headers for way in asked):
        judged.discard("cookie")
    kept = ((name, value) for name, value in fields if name.lower() not in judged)
    return without_cookies(kept, route)


def without_cookies(fields: Iterable[Header], route: Route) -> Headers:
    """The fields without the cookies in which the ways of ``route`` look: nobody else
    is to see these, also of a request that no way judged (B5, B8)."""
    cookies = frozenset(
        source.name
        for way in route.ways
        if isinstance(way, JwtWay)
        for source in way.sources
        if source.place is TokenPlace.COOKIE
    )
    if not cookies:
        return tuple(fields)
    kept = (_without_cookies(pair, cookies) for pair in fields)
    return tuple(pair for pair in kept if pair[1] or pair[0] != "cookie")


def own_fields(route: Route) -> Headers:
    """The edge's own fields on this route, names in lower case."""
    return tuple((name.lower(), value) for name, value in route.origin_headers)


def identity_fields(route: Route, subject: str) -> Headers:
    """Who was let in, as the origin is told (B9): percent-encoded as in a path, so that
    any subject fits. None for one without a name."""
    told = quote(subject, safe=_UNESCAPED, errors="replace")
    return tuple((name, told) for name in route.identity if told)


_UNESCAPED = "-_.!~*'()@"

_UNRESERVED = re.compile("[0-9A-Za-z_.~-]+")
"""What is never escaped (RFC 3986 section 2.3)."""

_COOKIE_ENDS = re.compile("[;,]")
"""Two Cookie fields that were joined are parted by a comma."""


def _without_cookies(field: Header, cookies: frozenset[str]) -> Header:
    name, value = field
    if name.lower() != "cookie":
        return field
    pairs = (pair.strip(" \t") for pair in _COOKIE_ENDS.split(value))
    return "cookie", "; ".join(p for p in pairs if _cookie_name(p) not in cookies)


def _cookie_name(pair: str) -> str:
    # Many parsers leave out spaces before the "=", though none may be there.
    return pair.partition("=")[0].rstrip(" \t")


def _terms(
    key: StreamKey,
    lent: LentCredential | None = None,
    hops: Hops = (),
    until: float = NO_END,
) -> LinkTerms:
    """What a keeper must know to answer a read of this key (W10)."""
    return LinkTerms(key.route, key.partition, lent, hops, until)


def _target(
    key: StreamKey,
    lent: LentCredential | None = None,
    offset: str | None = None,
    live: str | None = None,
    cursor: str | None = None,
) -> str:
    """The canonical origin-form target: the same read always gives the same one."""
    asked = (
        (names.PARAM_OFFSET, offset),
        (names.PARAM_LIVE, live),
        (names.PARAM_CURSOR, cursor),
    )
    pieces = [f"{name}={_quoted(v)}" for name, v in asked if v is not None]
    extension = key.extension
    if lent is not None and lent.parameters:
        query = "&".join((*lent.parameters, extension))
        extension = request_target.extension(request_target.parameters(query))
    if extension:
        pieces.append(extension)
    return request_target.join(key.path, "&".join(pieces))


def _quoted(value: str) -> str:
    """A parameter's value. Most offsets need no escape, and are not looked through
    byte by byte."""
    return value if _UNRESERVED.fullmatch(value) else quote(value, safe="")


def read_fields(
    partition: Partition,
    route: Route,
    *,
    node: Node = NAMELESS,
    hops: Hops = (),
    lent: LentCredential | None = None,
) -> Headers:
    """The fields of a built read: the allow-list.

    The route's own credential never joins a client's (L13), lent or not. Where the
    route and the client name one header, the route's stands.
    """
    sent = partition.headers
    clients = partition.kind is PartitionKind.CREDENTIAL
    if lent is None and not (hops or sent or clients):
        return _fields_alone(route, node)
    own: Headers = ()
    if lent is not None:
        sent = (*lent.headers, *sent)
    elif not clients:
        own = own_fields(route)
    taken = UNFIT_ON_READS.union(name for name, _ in own)
    kept = tuple(pair for pair in sent if pair[0] not in taken)
    marks = (("via", node.via), ("cdn-loop", cdn_loop(node, hops)))
    return (*kept, *own, ("accept-encoding", "identity"), *marks)


@lru_cache(maxsize=256)
def _fields_alone(route: Route, node: Node) -> Headers:
    """The same of a read with which nothing of a client goes upstream."""
    marks = (("via", node.via), ("cdn-loop", cdn_loop(node)))
    return (*own_fields(route), ("accept-encoding", "identity"), *marks)
