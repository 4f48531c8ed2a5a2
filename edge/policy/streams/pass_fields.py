"""What passes one to one: its header fields in both directions, and what came of it.

A write, or anything else that is no read of a stream, is forwarded. Here it is decided
which fields go to the origin with it, which of the origin's fields go back, and what
the hub is told of a write. Both
ways through the front call this module (``edge.front.app.pass_through`` and
``edge.front.fast.plain_writes``), so a write is sent and answered alike whichever way
it comes. The module decides nothing about bodies or framing, and asks nobody.

What goes to the origin has two parts. One is the same whenever a client sends the same
fields (``request_fields``); a front keeps it from one write to the next. The other one
names this request (``edge.front.exchange.trace_fields``), and comes behind it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edge.core.reasons import Reason
from edge.core.values import (
    DIRECT,
    CacheStatus,
    Header,
    Headers,
    LinkTerms,
    Node,
    PartitionKind,
    Provenance,
    WriteOutcome,
)
from edge.policy.http import forwarding, url_rewrite
from edge.policy.http.client_address import Caller
from edge.policy.streams import answers, upstream_requests
from edge.policy.streams.classify import PassRequest
from edge.policy.streams.routes import Route
from edge.protocol.http_grammar import trace_id

LINKED_WRITES = frozenset({"POST", "PUT", "DELETE"})
"""The methods of writes that go the way that reads go (W3)."""

_MADE_ANEW = frozenset({"traceparent", "x-request-id"})
_WITHOUT_TRACE = _MADE_ANEW | {"tracestate"}


@dataclass(frozen=True, slots=True)
class ClientTold:
    """What the origin is told of who sent a request (P2). ``names``: also by what it
    was called; without trusted proxies the edge knows that only where it speaks TLS."""

    client: Caller
    scheme: str
    host: str
    names: bool


def identity_names(routes: Sequence[Route]) -> frozenset[str]:
    """The fields in which an origin is told who was let in. What it believes of these
    comes from the edge, on every route (B9)."""
    return frozenset(name for route in routes for name in route.identity)


def is_granted(passed: PassRequest) -> bool:
    """Whether a way of its route has let it in."""
    return passed.partition.kind is PartitionKind.GRANTED


def request_fields(
    fields: Iterable[Header],
    route: Route | None,
    passed: PassRequest,
    *,
    told: ClientTold,
    subject: str,
    identity: frozenset[str],
    node: Node,
) -> Headers:
    """The client's end-to-end fields, and those in which the edge tells of it: all but
    ``trace_fields``. Of what a way let in, without what the way judged (B9).

    ``fields`` have their names in lower case, each once. ``subject`` is whom the way
    named, ``identity`` as ``identity_names`` has it.
    """
    fields = tuple(fields)
    traceparent = next((v for name, v in fields if name == "traceparent"), None)
    # The state of a trace goes with it alone.
    dropped = _MADE_ANEW if trace_id(traceparent) else _WITHOUT_TRACE
    kept: Headers = tuple(
        (name, value)
        for name, value in fields
        if name not in dropped
        # WSGI has an empty Content-Type where there is none.
        and (value or name != "content-type")
        # CGI-like origins read X_User as X-User.
        and name.replace("_", "-") not in identity
    )
    own = _of_client(told)
    if route is not None and is_granted(passed):
        kept = upstream_requests.granted_fields(kept, route)
        # Beside the client's: its Connection must not name them, and take them off.
        own += upstream_requests.own_fields(route)
        own += upstream_requests.identity_fields(route, subject)
    elif route is not None:
        kept = upstream_requests.without_cookies(kept, route)
    return forwarding.request_headers(kept, node=node, forwarded=own)


def link_terms(
    method: str, passed: PassRequest, route: Route | None
) -> LinkTerms | None:
    """What a keeper must know of a write to a stream; None of anything else, which
    passes to the origin (W11)."""
    if route is None or passed.reason is not Reason.METHOD:
        return None
    if method not in LINKED_WRITES:
        return None
    return LinkTerms(route.match, passed.partition)


def _of_client(told: ClientTold) -> Headers:
    own: Headers = ()
    if told.client.address:
        own += (("x-forwarded-for", told.client.address),)
    if told.names:
        own += (("x-forwarded-proto", told.scheme),)
        if told.host:
            own += (("x-forwarded-host", told.host),)
    return own


@dataclass(frozen=True, slots=True)
class AskedAt:
    """Where a client believes to be: what addresses in its answer are made of."""

    path: str
    public_base: str
    origin_bases: Sequence[str]


def response_fields(
    headers: Headers,
    status: int,
    length: int | None,
    asked_at: AskedAt,
    route: Route | None,
    passed: PassRequest,
    *,
    judged: bool,
) -> Headers:
    """What goes back of the fields of the origin's answer, with its addresses as this
    client knows them. ``length`` is its body's; ``judged``: a way looked at it."""
    if route is not None and route.lean:
        return forwarding.link_response(headers)
    kept = forwarding.response_headers(headers, keeps_browser_fields=route is None)
    if any(name in url_rewrite.ADDRESS_FIELDS for name, _ in kept):
        kept = tuple(_rewritten(header, status, asked_at) for header in kept)
    if is_granted(passed):
        kept = answers.granted_headers(kept)
    elif judged:
        kept = answers.unkept_headers(kept)
    if answers.is_endless(headers, length):
        kept = answers.unbuffered(kept)
    return kept


def _rewritten(header: Header, status: int, asked_at: AskedAt) -> Header:
    name, value = header
    if name not in url_rewrite.ADDRESS_FIELDS:
        return header
    moved = url_rewrite.rewrite_location(
        value,
        asked_at.path,
        asked_at.public_base,
        asked_at.origin_bases,
        created=status == 201,
    )
    return name, moved


def passed_status(
    passed: PassRequest, status: int | None = None, headers: Headers = ()
) -> CacheStatus:
    """How the answer to what passes came about. ``status`` None: there is none."""
    return CacheStatus(
        fwd="method" if passed.reason is Reason.METHOD else "bypass",
        fwd_status=status,
        detail=passed.reason,
        upstream=forwarding.cache_members(headers),
    )


def write_label(status: int | None) -> str:
    """The word by which a write is counted. ``status`` None: its answer was lost."""
    return "lost" if status is None else f"{status // 100}xx"


def write_outcome(
    route: Route | None,
    method: str,
    passed: PassRequest,
    status: int | None,
    headers: Headers,
    begun_at: float,
    provenance: Provenance = DIRECT,
) -> WriteOutcome | None:
    """What the hub is told of a write's end (L4, L5); nothing of a control path, which
    is no stream."""
    if passed.reason is not Reason.METHOD or route is None:
        return None
    path = passed.target.partition("?")[0]
    return WriteOutcome(
        *(route.match, path, passed.extension, method, status, headers, begun_at),
        by_keeper=provenance.by_keeper,
    )
