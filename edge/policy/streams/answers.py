"""Answers: the head and body of what is served, made once for all who get it.

``prepare`` turns a ``Serve`` into an ``Answer`` by the table of docs/rules.md: the
protocol's headers, the edge's own ETag (L17) and Cache-Control (L16), and of the
origin's only the content type and the fields that the route keeps (L18). It takes what
it needs as values; it reads no clock and holds nothing.

A tag covers what a 304 cannot take back: content type, both ends of the range,
its bytes, the content coding, and both claims (L17, E3). An origin's tag goes out only
on an answer that its reader gets alone: real ones are the same across codings, closure
and recreation. The bytes are digested once per range (``body_digest``); a tag is then
made per variant from the digest.
"""

from base64 import urlsafe_b64encode
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from edge.core.values import (
    Answer,
    Header,
    Headers,
    Mode,
    PartitionKind,
    Read,
)
from edge.policy.http import codings
from edge.policy.http.forwarding import link_response, response_headers
from edge.policy.streams import tags
from edge.policy.streams.admission import LargeRange
from edge.policy.streams.decisions import Kind, Serve
from edge.policy.streams.routes import Recreate, Route
from edge.protocol import json_arrays, names, sse
from edge.protocol.http_grammar import cache_directives
from edge.protocol.names import media_type
from edge.protocol.offsets import NOW
from edge.streamlog.stream_log import StreamLog

_DIGEST_SIZE = 24
_TAG_SIZE = 18
"""A multiple of three, so that the tag's base64 has no padding."""

_TAGGED = frozenset({Kind.CLOSED_RANGE, Kind.TAIL, Kind.LIVE, Kind.EMPTY})
_NOT_MODIFIED_KEEPS = frozenset(
    {"etag", "cache-control", "vary", "stream-next-offset"}
    | {"stream-up-to-date", "stream-closed", "surrogate-key", "cache-tag"}
)


# How fresh it is downstream. Freshness is the edge's own, never the origin's (L16).


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshnessOptions:
    """Seconds of freshness downstream."""

    closed_max_age: int
    stale_while_revalidate: int
    immutable_max_age: int
    live_max_age: int


PUBLIC_KINDS = frozenset({PartitionKind.ANONYMOUS, PartitionKind.PUBLIC})
"""Partitions whose answers everybody may see."""

MAX_GRANTED_AGE = 60
"""Seconds that an answer to a granted read may live at most downstream (B17)."""

_NO_STORE = "no-store"
_NEVER_KEPT = frozenset({Kind.EMPTY, Kind.STALE})


class Freshness(NamedTuple):
    """A Cache-Control value, and the seconds of freshness that it gives: 0 for none."""

    cache_control: str
    max_age: int = 0


def freshness_of(
    kind: Kind,
    partition_kind: PartitionKind,
    route: Route,
    *,
    cap: int | None = None,
    options: FreshnessOptions,
) -> Freshness:
    """How fresh an answer of this kind is downstream (L12, L16).

    ``cap`` is how many seconds the answer may live at most, None without a limit.
    Nothing outlives it, not even as stale (E7). A cap of 0 or less means
    ``no-store``. ``public`` are only partitions that everybody may see (L12), and what
    the operator calls so (A6). What was granted is never immutable or stale downstream
    (B17). A live read's data is given to a whole crowd at once, and some of their
    grants end soon: whoever keeps it must ask before it is used. ``no-store`` would
    keep an edge below from joining it (L15).
    """
    if kind in _NEVER_KEPT or (cap is not None and cap <= 0):
        return Freshness(_NO_STORE)
    granted = partition_kind is PartitionKind.GRANTED
    public = partition_kind in PUBLIC_KINDS or (granted and route.is_public)
    who = "public" if public else "private"
    if kind is Kind.TAIL or (granted and kind is Kind.LIVE):
        return Freshness(f"{who}, max-age=0, must-revalidate")
    if granted:
        max_age = _least(options.closed_max_age, cap)
        return Freshness(f"{who}, max-age={max_age}", max_age)
    if kind is Kind.LIVE:
        max_age = _least(options.live_max_age, cap)
        return Freshness(f"{who}, max-age={max_age}", max_age)
    if route.recreate is Recreate.NEVER:
        max_age = _least(options.immutable_max_age, cap)
        return Freshness(f"{who}, max-age={max_age}, immutable", max_age)
    return _closed_range(who, options, cap)


@lru_cache(maxsize=256)
def vary(route: Route, partition: PartitionKind) -> str:
    """The Vary value of a read's answer on this route.

    The edge chooses by coding, and by the client headers that the route sends upstream.
    Those headers are in the partition here, so caches downstream must tell them apart
    too. Whom it lets in it chooses by the fields that hold credentials (A6), or by the
    URL alone.
    """
    chosen_by: tuple[str, ...] = ("Accept-Encoding",)
    if partition is PartitionKind.GRANTED:
        usual = ("authorization", "cookie")
        other = (name for name in route.credential_headers if name not in usual)
        chosen_by = () if route.is_public else ("Authorization", "Cookie", *other)
    return ", ".join(dict.fromkeys((*chosen_by, *route.request_headers)))


def _closed_range(who: str, options: FreshnessOptions, cap: int | None) -> Freshness:
    max_age = _least(options.closed_max_age, cap)
    left = None if cap is None else cap - max_age
    stale = _least(options.stale_while_revalidate, left)
    value = f"{who}, max-age={max_age}"
    if stale > 0:
        value += f", stale-while-revalidate={stale}"
    return Freshness(value, max_age)


def _least(seconds: int, cap: int | None) -> int:
    return seconds if cap is None else min(seconds, cap)


# The answer.


@dataclass(frozen=True, slots=True)
class Prepared:
    """An Answer with what a delivery must know of it.

    ``etag`` is None where conditionals do not apply; Age stays below ``max_age``.
    """

    answer: Answer
    etag: str | None
    max_age: int

    def expired(self) -> "Prepared":
        """The same, for who must not keep it: Age has reached ``max_age`` (L16).

        So old is what a tier repeats, or what a live read finds behind the end. It is
        still right to give, as an answer at the tail is.
        """
        headers = tuple(
            (name, _expired(value) if name == "Cache-Control" else value)
            for name, value in self.answer.headers
        )
        return replace(self, answer=replace(self.answer, headers=headers), max_age=0)

    def not_modified(self) -> Answer:
        """The 304 for this answer (RFC 9110 section 15.4.5, L17)."""
        return not_modified(self.answer.headers)


def not_modified(headers: Headers) -> Answer:
    """The 304 for an answer with these fields."""
    kept = (field for field in headers if field[0].lower() in _NOT_MODIFIED_KEEPS)
    return Answer(304, tuple(kept), b"")


def _expired(cache_control: str) -> str:
    who = cache_control.partition(",")[0]
    return f"{who}, max-age=0, must-revalidate"


def cap(
    log: StreamLog, kind: PartitionKind, read: Read, wall: float, trust: float
) -> int | None:
    """Seconds that an answer may live at most downstream (L14, L16), or None.

    A sliding TTL was renewed no longer ago than a third of itself (L23). An expiry
    beyond every freshness is no limit: the answer then stays the same from one second
    to the next.
    """
    limits = [] if log.ttl is None else [int(log.ttl * 2 / 3)]
    for expires_at in (log.expires_at, read.expires_at):
        if expires_at is not None:
            limits.append(max(0, int(expires_at - wall)))
    if kind is PartitionKind.CREDENTIAL:
        limits.append(int(trust))
    elif kind is PartitionKind.GRANTED:
        limits.append(0 if read.ends_soon else min(MAX_GRANTED_AGE, int(trust)))
    return min(limits) if limits else None


def body_of(log: StreamLog, serve: Serve, max_page: int) -> bytes:
    """The bytes of ``[start, next)`` as they go out, before coding."""
    page = log.page(serve.start, max_page) if serve.kind is not Kind.EMPTY else None
    data = b"" if page is None else page.data
    return json_arrays.whole(data) if log.is_json else data


def prepare(
    log: StreamLog,
    serve: Serve,
    read: Read,
    route: Route,
    body: bytes,
    limit: int | None,
    options: FreshnessOptions,
    coding: str = "",
) -> Prepared:
    """The answer for ``serve`` with ``body``, coded when ``coding`` names one."""
    kind = read.key.partition.kind
    if route.lean:
        return _lean(log, serve, read, body)
    fresh = freshness_of(serve.kind, kind, route, cap=limit, options=options)
    headers = [*_stream_headers(log, serve), ("Cache-Control", fresh.cache_control)]
    headers += _variance(serve.kind, kind, route, coding)
    # What ``now`` stands for is another range each time (section 10.1).
    etag = None if read.offset == NOW else _etag(log, serve, body, coding)
    if etag is not None:
        headers.append(("ETag", etag))
    headers = tagged(headers, read, route, fresh.cache_control)
    if read.mode is Mode.LONG_POLL and serve.kind is Kind.EMPTY:
        return Prepared(Answer(204, _without_type(headers), b""), None, 0)
    conditional = None if read.mode.live else etag
    sent = codings.compress(coding, body) if coding else body
    return Prepared(Answer(200, tuple(headers), sent), conditional, fresh.max_age)


def spooled(
    log: StreamLog,
    told: LargeRange,
    read: Read,
    route: Route,
    up_to_date: bool,
    limit: int | None,
    options: FreshnessOptions,
    length: int | None,
) -> Answer:
    """The head of an answer whose body comes by a spool (S1).

    It has no entity tag: what its bytes will be, nobody knows yet. So nobody may use
    it again without asking.
    """
    partition = read.key.partition.kind
    kind = Kind.LIVE if read.mode.live else Kind.TAIL
    fresh = freshness_of(Kind.TAIL, partition, route, cap=limit, options=options)
    headers: list[Header] = []
    if told.content_type is not None:
        headers.append(("Content-Type", told.content_type))
    headers.append((names.NEXT_OFFSET, told.next))
    if up_to_date:
        headers.append((names.UP_TO_DATE, names.TRUE))
    if told.closed:
        headers.append((names.CLOSED, names.TRUE))
    headers += route.kept(told.headers)
    if not route.lean:
        headers.append(("Cache-Control", fresh.cache_control))
        headers += _variance(kind, partition, route, "")
        headers = tagged(headers, read, route, fresh.cache_control)
    return Answer(200, tuple(headers), None, length)


def tagged(
    headers: list[Header], read: Read, route: Route, cache_control: str
) -> list[Header]:
    """The same with the tags by which caches below may purge it, where they may keep
    it (L28)."""
    if not tags.are_handled(route):
        return headers
    shared = cache_control.startswith("public")
    return list(tags.told(route, read.key.path, headers, shared))


def _lean(log: StreamLog, serve: Serve, read: Read, body: bytes) -> Prepared:
    """The answer of a keeper: the stream's own fields, and of its origin's words for
    caches the one that its front keeps to, too (U4)."""
    headers = _stream_headers(log, serve)
    if log.stale_limit is not None:
        headers.append(("Cache-Control", f"stale-if-error={int(log.stale_limit)}"))
    if read.mode is Mode.LONG_POLL and serve.kind is Kind.EMPTY:
        return Prepared(Answer(204, _without_type(headers), b""), None, 0)
    return Prepared(Answer(200, tuple(headers), body), None, 0)


def may_code(serve: Serve, kind: PartitionKind, route: Route) -> bool:
    """Whether this answer may be compressed (L19): pages that everybody may see. In
    others a coded length could tell what is in them."""
    return (
        route.compress
        and kind in PUBLIC_KINDS
        and serve.kind in (Kind.CLOSED_RANGE, Kind.TAIL)
    )


def sse_encoding(log: StreamLog) -> sse.Encoding:
    """How data of this stream travels in events."""
    return sse.Encoding.JSON if log.is_json else sse.encoding_for(log.content_type)


def sse_head(log: StreamLog, partition: PartitionKind) -> Answer:
    """The head of an SSE response (section 5.8); the same object for all that are the
    same."""
    granted = partition is PartitionKind.GRANTED
    return _sse_head(sse_encoding(log), granted, log.kept_headers)


@lru_cache
def _sse_head(encoding: sse.Encoding, granted: bool, kept: Headers) -> Answer:
    headers: list[Header] = [
        ("Content-Type", "text/event-stream"),
        ("Cache-Control", "no-cache, no-store" if granted else "no-cache"),
        UNBUFFERED,
        *tags.without(kept),
    ]
    if encoding is sse.Encoding.BASE64:
        headers.append((names.SSE_ENCODING, names.SSE_BASE64))
    return Answer(200, tuple(headers), None)


UNBUFFERED: Header = ("X-Accel-Buffering", "no")
"""Tells proxies of nginx's kind to hand an event on as soon as it comes."""


def is_endless(headers: Headers, length: int | None) -> bool:
    """Whether this is the head of an event stream."""
    kinds = [value for name, value in headers if name == "content-type"]
    return length is None and list(map(media_type, kinds)) == ["text/event-stream"]


def unbuffered(headers: Headers) -> Headers:
    """The head of an event stream of the origin, as proxies below must see it."""
    if any(name == "x-accel-buffering" for name, _ in headers):
        return headers
    return (*headers, UNBUFFERED)


def unshared_headers(
    headers: Headers, partition: PartitionKind, route: Route, own: bool = False
) -> Headers:
    """The origin's headers for a reader that gets its answer alone (L15). ``own``: it
    was asked for with the reader's own credential.

    The edge cannot vouch for the answer (L12). A Cache-Control that lets shared caches
    keep it becomes ``no-store``, and what CDNs obey before that is dropped. The entity
    tag is the origin's word, and who gets its answer alone may ask it again by that
    (O9). What was granted is not kept at all, and the origin's cookie is the edge's
    own, or another reader's (B6, B17). A front is told all of it, and does the same.
    """
    if route.lean:
        return link_response(headers)
    granted = partition is PartitionKind.GRANTED
    dropped = {"set-cookie"} if granted and not own else frozenset[str]()
    return tuple(
        (name, "no-store" if _is_keepable(name, value, granted) else value)
        for name, value in response_headers(headers)
        if name not in dropped and not _is_targeted(name)
    )


def granted_headers(headers: Headers) -> Headers:
    """The origin's headers of an answer to what a way let in and was passed on: nobody
    keeps it, and a cookie would be the edge's own (B6, B17)."""
    kept = unkept_headers(headers)
    return tuple(pair for pair in kept if pair[0] != "set-cookie")


def unkept_headers(headers: Headers) -> Headers:
    """The same of what was passed on with its client's own credential: a cookie is that
    client's."""
    return tuple(
        (name, "no-store" if name == "cache-control" else value)
        for name, value in headers
        if not _is_targeted(name)
    )


def _is_targeted(name: str) -> bool:
    """Whether some caches obey this field, and not Cache-Control (RFC 9213)."""
    return name in _TARGETED or name.endswith("-cache-control")


_TARGETED = frozenset({"edge-control", "surrogate-control", "x-accel-expires"})


def _is_keepable(name: str, value: str, granted: bool) -> bool:
    return name == "cache-control" and (granted or _keepable(value))


def _keepable(cache_control: str) -> bool:
    directives = cache_directives(cache_control)
    return "private" not in directives and "no-store" not in directives


def _stream_headers(log: StreamLog, serve: Serve) -> list[Header]:
    headers: list[Header] = []
    if log.content_type is not None:
        headers.append(("Content-Type", log.content_type))
    headers.append((names.NEXT_OFFSET, serve.next))
    if serve.up_to_date:
        headers.append((names.UP_TO_DATE, names.TRUE))
    if serve.closed:
        headers.append((names.CLOSED, names.TRUE))
    return headers + list(log.kept_headers)


def _variance(
    kind: Kind, partition: PartitionKind, route: Route, coding: str
) -> list[Header]:
    """Vary, the same on every variant of a URL, and the coding of this one."""
    headers: list[Header] = []
    codable = route.compress and partition in PUBLIC_KINDS
    varies = kind is not Kind.LIVE and (codable or route.request_headers)
    if varies or partition is PartitionKind.GRANTED:
        value = vary(route, partition)
        headers += [("Vary", value)] * bool(value)
    if coding:
        headers.append(("Content-Encoding", coding))
    return headers


def _etag(log: StreamLog, serve: Serve, body: bytes, coding: str) -> str | None:
    if serve.kind not in _TAGGED:
        return None
    return entity_tag(
        log.content_type or "",
        serve.start,
        serve.next,
        body_digest(body),
        coding,
        serve.up_to_date,
        serve.closed,
    )


def _without_type(headers: list[Header]) -> Headers:
    """A 204 has no content, so no field names its type."""
    drop = ("content-type", "etag", "vary")
    return tuple((name, value) for name, value in headers if name.lower() not in drop)


# Entity tags.


def body_digest(body: bytes) -> bytes:
    """The digest that stands for ``body`` in its tags; kept beside the bytes."""
    return blake2b(body, digest_size=_DIGEST_SIZE).digest()


def entity_tag(
    content_type: str,
    start: str,
    next_offset: str,
    digest: bytes,
    coding: str,
    up_to_date: bool,
    closed: bool,
) -> str:
    """The strong entity tag, with its quotes, of one variant of one range.

    ``digest`` is ``body_digest`` of the bytes before coding; ``coding`` is ""
    for identity. Equal inputs give equal tags on every node.
    """
    # Lengths go first: no two different inputs give the same text.
    parts = (
        content_type.encode("utf-8", "surrogatepass"),
        start.encode("ascii", "backslashreplace"),
        next_offset.encode("ascii", "backslashreplace"),
        digest,
        coding.encode("ascii", "backslashreplace"),
        b"%d%d" % (up_to_date, closed),
    )
    text = b"".join(b"%d:%b" % (len(part), part) for part in parts)
    tag = blake2b(text, digest_size=_TAG_SIZE).digest()
    return f'"{urlsafe_b64encode(tag).decode("ascii")}"'
