"""The exchange between the wire and the application, whatever the version of HTTP.

A front makes a ``Request`` of what a client sent, the application
(``edge.front.app.handler``) makes a ``Response`` of it, and the front puts that on
the wire. A ``RequestContext`` goes with the request: what is known of it while it is
served. The exchange knows no HTTP/1.1, WSGI, Falcon or socket: Falcon's way is one
front, an HTTP/2 front could be another. These are the events of an answer, in order:

========= ==================================================================
head      ``answer`` and ``per_response``: status, fields, and the whole body or
          its length where they are known
piece     one item of ``body``; it goes out as soon as it is there, and an empty
          one makes the head go out alone
end       ``body`` is exhausted, or there is none: the answer is complete
cut       ``body`` raises AnswerCut: what was sent must not look complete
========= ==================================================================

Instead of any of them ClientGone may be raised: the client has left. The fast way
gets the same events from the hub without waiting, through
``edge.core.ports.Sink``: begin, write, finish, abort. Either way the head is an Answer
and its PerResponse. The front adds what every answer carries, errors included,
whichever part of the edge made it: ``browser_fields``, the request's id,
``path_fields``, and under a ``cors_list`` a member of ``Vary`` and the fields for the
page that asks. ``common_fields`` has all of them. ``Date``, ``Server`` and
``Connection`` are the server's own.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from random import getrandbits
from typing import NamedTuple, Protocol

from edge.core.errors import ClientBodyCut, ClientFault, EdgeError
from edge.core.reasons import Reason
from edge.core.tracing import RequestTrace
from edge.core.values import (
    Answer,
    CacheStatus,
    FaultWord,
    Headers,
    Node,
    PerResponse,
    RowWord,
)
from edge.policy.http import cache_status as cache_status_of
from edge.policy.http import cors, link_fields, url_rewrite
from edge.policy.http.client_address import Caller
from edge.policy.http.cors import CorsPolicy
from edge.policy.http.link_fields import KeeperEnd
from edge.policy.streams.routes import Access, Route
from edge.protocol.http_grammar import trace_id

PIECE = 64 * 1024
"""Bytes of a body that are read or sent at once, at most."""

PASS = "pass"
"""The mode of requests that pass to the origin one to one."""

NO_CALLER = Caller()
"""Of whom nothing is known."""

_ORIGIN = re.compile(r"https?://[^/?#@\s]+(?=[/?#]|\Z)", re.IGNORECASE)

_SAFE_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")

OFF_ROUTE = Route()
"""Used where no route is known."""


class ClientGone(ConnectionResetError):
    """The client left before its answer was complete. It is nobody's fault."""


class AnswerCut(ConnectionAbortedError):
    """An answer that had begun cannot be completed.

    The connection must end in a way by which the body cannot look complete.
    """

    def __init__(self, error: EdgeError) -> None:
        super().__init__(error.detail)
        self.error = error


# The request.


class ClientWatch(Protocol):
    """Notices that the client left while no answer is being sent to it."""

    def start(self) -> None:
        """Watch, unless the watch is closed."""

    def pause(self) -> None:
        """Do not watch; ``start`` goes on."""

    def close(self) -> None:
        """Never watch again. May be called twice."""


class _Blind:
    """Implements ClientWatch where a client's leaving cannot be seen."""

    def start(self) -> None:
        """See ClientWatch."""

    def pause(self) -> None:
        """See ClientWatch."""

    def close(self) -> None:
        """See ClientWatch."""


BLIND = _Blind()


def no_watch(_gone: Callable[[], None]) -> ClientWatch:
    """The ``watch`` of a front that cannot tell."""
    return BLIND


def _stays() -> bool:
    """The ``has_left`` of a front that cannot tell."""
    return False


class RequestBody:
    """The content of one request, counted: ``pieces`` gives it, once.

    ``length`` is the announced length, None without one. ``read`` takes a size and
    blocks; b"" is the end. It raises ClientFault if the body is too slow or malformed,
    and ClientBodyCut if it ends before its length. The upstream request is then broken
    off, and nothing is appended. Never holds more than one piece.
    """

    def __init__(self, read: Callable[[int], bytes], length: int | None) -> None:
        self.length = length
        self.left = length != 0
        self._read = read
        self._received = 0

    @property
    def begun(self) -> bool:
        """Whether any of it was read."""
        return self._received > 0

    def ends_at_once(self) -> bool:
        """Whether it is empty after all: an announced length says so, a chunked body
        only by its first chunk, for which this waits.

        If it is not, its first bytes are lost. Raises ClientFault, as ``read`` does.
        """
        if self.length is None and self.left:
            self.left = bool(self._read(1))
        return not self.left

    def pieces(self, limit: int | None) -> Iterator[bytes]:
        """Its pieces. Raises ClientFault if it is larger than ``limit`` bytes: at once
        if its length says so."""
        if self.length is not None:
            _check_size(self.length, limit)
        return self._pieces(limit)

    def _pieces(self, limit: int | None) -> Iterator[bytes]:
        while piece := self._read(self._wanted()):
            self._received += len(piece)
            _check_size(self._received, limit)
            # An upstream call that fails asks for no more.
            self.left = self._received != self.length
            yield piece
        if self.length is not None and self._received < self.length:
            raise ClientBodyCut("The body ended before its announced end.")
        self.left = False

    def _wanted(self) -> int:
        if self.length is None:
            return PIECE
        return min(PIECE, self.length - self._received)


def _check_size(size: int, limit: int | None) -> None:
    if limit is not None and size > limit:
        detail = f"The body is larger than {limit} bytes."
        raise ClientFault(detail, reason=Reason.BODY_TOO_LARGE, status=413)


@dataclass(slots=True, eq=False)
class Request:
    """One request. ``target`` is as received; ``fields`` by lower-case name, values
    of repeated ones joined by commas.

    ``client`` is who sent it; ``scheme`` is by what it was called. ``body`` None: no
    content was announced. ``watch`` takes what to call once the client has left, and
    ``has_left`` looks whether it has by now.
    """

    method: str
    target: str
    fields: dict[str, str] = field(default_factory=dict)
    scheme: str = "http"
    client: Caller = NO_CALLER
    body: RequestBody | None = None
    watch: Callable[[Callable[[], None]], ClientWatch] = no_watch
    has_left: Callable[[], bool] = _stays

    def lookup(self, name: str) -> str | None:
        """A field by lower-case name; None when it is absent."""
        return self.fields.get(name)

    @property
    def host(self) -> str:
        """The host by which it was called, "" without one: what a trusted proxy told,
        or else the Host field."""
        return self.client.host or self.fields.get("host", "")

    @property
    def body_left(self) -> bool:
        """Whether some content was left unread. The bytes that follow on the connection
        are then no request, and the connection cannot be kept."""
        return self.body is not None and self.body.left


@dataclass(slots=True, eq=False)
class RequestContext:
    """What is known of one request while it is served.

    A front makes one per request. The application and its parts write into it what they
    find out; the access log reads it at the end. ``started`` is monotonic seconds;
    ``target`` is as received, and so is ``origin``, which names the page that asks.
    ``reason`` is the word for an answer that is not simply a success, ``mode`` how a
    stream is read (or ``pass``). ``way`` and ``subject``: what judged the request, and
    whom that named. ``cause``: what the system said, for the log alone
    (``EdgeError.cause``). ``of_origin``: the origin's own answer goes through, one to
    one. ``told``: what of it only a front is told. ``lost``: the answer did not reach
    the client whole. ``client`` is an address, ``certificate`` whom its certificate
    names ("" without one), ``said`` what the log tells of its fields. ``trace`` is None
    where it is in none, or where that is not decided yet.

    It also releases everything that a request holds. A part that takes a pending read
    or an exchange calls ``defer``, and ``release`` runs on every exit.
    """

    method: str
    target: str
    request_id: str
    started: float = 0.0
    route: Route | None = None
    mode: str = ""
    cache: CacheStatus | None = None
    reason: Reason | None = None
    way: str = ""
    subject: str = ""
    cause: str = ""
    of_origin: bool = False
    told: RowWord | FaultWord | None = None
    lost: bool = False
    client: str = ""
    certificate: str = ""
    said: "LoggedFields | None" = None
    origin: str | None = None
    trace: RequestTrace | None = None
    _held: list[Callable[[], None]] = field(default_factory=list)

    def defer(self, let_go: Callable[[], None]) -> None:
        """Run ``let_go`` when this request is over, however it ends."""
        self._held.append(let_go)

    def release(self) -> None:
        """Let go of everything held, last taken first. May be called twice."""
        while self._held:
            self._held.pop()()


class LoggedFields(NamedTuple):
    """What the log tells of a request's fields, "" for what was not sent.

    ``referer`` is its origin alone: the path of a page is its reader's business.
    ``trace`` is the trace id of ``traceparent`` (W3C Trace Context).
    """

    host: str = ""
    agent: str = ""
    referer: str = ""
    trace: str = ""

    @classmethod
    def of(cls, lookup: Callable[[str], str | None], host: str = "") -> "LoggedFields":
        """From the fields; ``host`` is what a trusted proxy told."""
        referer = _ORIGIN.match(lookup("referer") or "")
        return cls(
            host or lookup("host") or "",
            lookup("user-agent") or "",
            referer[0] if referer is not None else "",
            trace_id(lookup("traceparent")),
        )


def is_safe_id(offered: str) -> bool:
    """Whether a client's own id is safe to log and to send back."""
    return _SAFE_ID.fullmatch(offered) is not None


def request_id(offered: str | None) -> str:
    """The client's own id if it is safe, or a new one."""
    if offered is not None and is_safe_id(offered):
        return offered
    return os.urandom(12).hex()


def trace_fields(traceparent: str | None, own_id: str) -> Headers:
    """The fields that tell the origin for which request it is asked.

    A traceparent that is absent or malformed is made new, unsampled (W3C Trace Context
    section 4).
    """
    if traceparent is None or not trace_id(traceparent):
        # No secret, and one for each request: without asking the system.
        made = f"{getrandbits(192):048x}"
        traceparent = f"00-{made[:32]}-{made[32:]}-00"
    return (("traceparent", traceparent), ("x-request-id", own_id))


class Spans(Protocol):
    """Traces requests (``edge.front.spans.ServerSpans``)."""

    def of(
        self, ctx: RequestContext, lookup: Callable[[str], str | None]
    ) -> RequestTrace:
        """The trace of this request, decided once."""


def next_hop_fields(
    spans: Spans | None, ctx: RequestContext, lookup: Callable[[str], str | None]
) -> Headers:
    """The fields that tell the origin for which request it is asked. ``spans`` None:
    no traces are made here, and the client's goes on."""
    if spans is None:
        return trace_fields(lookup("traceparent"), ctx.request_id)
    return spans.of(ctx, lookup).fields(ctx.request_id)


# The response, and what each one carries.


@dataclass(frozen=True, slots=True, eq=False)
class Response:
    """The answer to one request; see the events above.

    ``per_response`` None: the head is the same in every delivery. ``body`` is a
    streamed one, for an Answer whose body is None.
    """

    answer: Answer
    per_response: PerResponse | None = None
    body: Iterable[bytes] | None = None


def redirected(answer: Answer, target: str, public_base: str) -> Answer:
    """The answer to who asked for ``target`` at this base (O18)."""
    path = target.partition("?")[0]
    headers = url_rewrite.redirected(answer.headers, path, public_base)
    return replace(answer, headers=headers)


def in_pieces(data: bytes) -> Iterator[bytes]:
    """``data`` cut up: the send time-out is then one of progress, not of size."""
    if len(data) <= PIECE:
        return iter((data,))
    starts = range(0, len(data), PIECE)
    return (data[start : start + PIECE] for start in starts)


def browser_fields(ctx: RequestContext) -> Headers:
    """The fields for browsers, and CORS (L18): the route's, or the origin's own where
    its answer went through and no route says anything."""
    if ctx.route is None and ctx.of_origin:
        return cors.NO_SNIFFING
    return route_fields(ctx.route)


@lru_cache(maxsize=256)
def cors_policy(route: Route | None) -> CorsPolicy:
    """Which pages may read the answers of a route, and what of them.

    Where the edge judges, a page may read why it was refused (A19). Where it judges by
    cookies, no page that is not listed may embed an answer (B10).
    """
    route = route or OFF_ROUTE
    kept = route.response_headers
    granted = route.access is Access.GRANTED
    if granted:
        kept = (*kept, "WWW-Authenticate")
    by_cookie = granted and "cookie" in route.credential_headers
    return CorsPolicy(route.cors_origins, route.cors_credentials, kept, not by_cookie)


@lru_cache(maxsize=256)
def route_fields(route: Route | None) -> Headers:
    """The fields that depend on the route alone: for browsers, and CORS (L18)."""
    if route is not None and route.lean:
        return ()
    return cors.route_fields(cors_policy(route))


@lru_cache(maxsize=256)
def cors_list(route: Route | None) -> CorsPolicy | None:
    """The policy of a route on which some fields depend on the page that asks
    (``cors.request_fields``): those are in no shared bytes (B23). None: on this route
    none does."""
    policy = cors_policy(route)
    return policy if policy.by_list else None


def path_fields(ctx: RequestContext, node: Node) -> Headers:
    """The fields to which each intermediary adds a member, its own last."""
    fields: Headers = (("Via", node.via),)
    if ctx.cache is not None:
        fields += (("Cache-Status", cache_status_field(node.cache, ctx.cache)),)
    return fields


def common_fields(ctx: RequestContext, node: Node) -> Headers:
    """All fields that an answer carries besides its own ones."""
    own: Headers = (("X-Request-Id", ctx.request_id),)
    policy = cors_list(ctx.route)
    if policy is not None:
        own = (cors.VARY, *own, *cors.request_fields(policy, ctx.origin))
    return browser_fields(ctx) + own + path_fields(ctx, node)


def lean_fields(
    ctx: RequestContext, told: RowWord | FaultWord | None, link: KeeperEnd
) -> Headers:
    """The same of a keeper, to a front (W8). Without a route only a fault is told: of
    what passes, nobody here has stored anything (W4)."""
    fields: Headers = (("X-Request-Id", ctx.request_id),)
    if ctx.route is not None or isinstance(told, FaultWord):
        fields += ((link_fields.FIELD, link.tell(told)),)
    if ctx.cache is not None:
        own = cache_status_field(cache_status_of.OF_KEEPER, ctx.cache)
        fields += (("Cache-Status", own),)
    return fields


def cache_status_field(name: str, status: CacheStatus) -> str:
    """Cache-Status of an answer: the other caches' members, and this one's last."""
    # What other caches told is not remembered: it may be long.
    told = cache_status.__wrapped__ if status.upstream else cache_status
    own = told(name, status)
    return f"{status.upstream}, {own}" if status.upstream else own


@lru_cache(maxsize=1024)
def cache_status(name: str, status: CacheStatus) -> str:
    """The member of Cache-Status that says what the cache ``name`` did (RFC 9211).

    ``hit`` and ``fwd`` exclude each other (section 2.1); ``collapsed`` and ``stored``
    go with ``fwd`` only. ``detail`` is the reason word, which is a token. The access
    log has it too.
    """
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
