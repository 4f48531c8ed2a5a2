"""Answers: status and fields of what the origin says about a stream.

ETags name the incarnation, the range and both claims: a 304 can never hide growth,
closure or another stream at the same URL. The last page of an open stream is not cached
(it grows under the same URL). A page whose answer can never change is cached as section
10.1 proposes.
"""

import json
from dataclasses import dataclass

from edge.core.values import Headers
from edge.protocol import names, sse
from edge.protocol.http_grammar import list_members
from edge.protocol.names import is_json
from origin_adapter.embedded.http.exchange import ServerResponse
from origin_adapter.embedded.rules import lifetimes, offsets
from origin_adapter.embedded.rules.refusals import Refused
from origin_adapter.embedded.rules.values import StoredStream
from origin_adapter.embedded.store.pages import Extent, StoredPage

NO_STORE = "no-store"
MAX_AGE = 60
STALE_WHILE_REVALIDATE = 300

COMMON: Headers = (
    ("Access-Control-Allow-Origin", "*"),
    (
        "Access-Control-Expose-Headers",
        "Stream-Next-Offset, Stream-Cursor, Stream-Up-To-Date, Stream-Closed, "
        "Stream-TTL, Stream-Expires-At, stream-sse-data-encoding, Producer-Epoch, "
        "Producer-Seq, Producer-Expected-Seq, Producer-Received-Seq, ETag, "
        "Location, Retry-After, Content-Type",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Cross-Origin-Resource-Policy", "cross-origin"),
)
PREFLIGHT: Headers = (
    ("Access-Control-Allow-Methods", "GET, POST, PUT, DELETE, HEAD, OPTIONS"),
    (
        "Access-Control-Allow-Headers",
        "Content-Type, Authorization, If-None-Match, Stream-Seq, Stream-TTL, "
        "Stream-Expires-At, Stream-Closed, Stream-Forked-From, Stream-Fork-Offset, "
        "Stream-Fork-Sub-Offset, Producer-Id, Producer-Epoch, Producer-Seq, "
        "Last-Event-ID, Cache-Control",
    ),
    ("Access-Control-Max-Age", "86400"),
)


@dataclass(frozen=True, slots=True)
class TailClaims:
    """What a page says of the stream's end."""

    up_to_date: bool
    closed: bool


def claims(stream: StoredStream, end: int) -> TailClaims:
    """The claims that are true for a reader at ``end``."""
    at_tail = end == stream.tail
    return TailClaims(at_tail, at_tail and stream.closed)


def position(resp: ServerResponse, end: int, said: TailClaims) -> None:
    """Say where the reader or writer stands after this answer."""
    resp.fields[names.NEXT_OFFSET] = offsets.to_text(end)
    if said.up_to_date:
        resp.fields[names.UP_TO_DATE] = names.TRUE
    if said.closed:
        resp.fields[names.CLOSED] = names.TRUE


def etag(stream: StoredStream, held: StoredPage | Extent) -> str:
    """The strong validator of an answer that holds these bytes."""
    said = claims(stream, held.end)
    flags = ("u" if said.up_to_date else "") + ("c" if said.closed else "")
    return f'"{stream.tag}-{held.start}-{held.end}{flags and "-" + flags}"'


def matches(if_none_match: str | None, tag: str) -> bool:
    """Whether a client holds this page (RFC 9110 section 13.1.2, weak compare)."""
    if if_none_match is None:
        return False
    listed = [member.removeprefix("W/") for member in list_members(if_none_match)]
    return tag in listed or listed == ["*"]


def freshness(stream: StoredStream, end: int, shared: bool, now: float) -> str:
    """``Cache-Control`` of a catch-up answer that goes to ``end``."""
    scope = "public" if shared else "private"
    said = claims(stream, end)
    if said.up_to_date and not said.closed:
        return f"{scope}, max-age=0, must-revalidate"
    over = lifetimes.deadline(stream.lifetime, now)
    age = MAX_AGE if over is None else max(0, min(MAX_AGE, int(over - now)))
    if age < MAX_AGE:
        return f"{scope}, max-age={age}"
    return f"{scope}, max-age={age}, stale-while-revalidate={STALE_WHILE_REVALIDATE}"


def metadata(resp: ServerResponse, stream: StoredStream) -> None:
    """The fields of a stream's HEAD (section 5.5)."""
    resp.content_type = stream.content_type
    resp.fields["Cache-Control"] = NO_STORE
    resp.fields[names.NEXT_OFFSET] = offsets.to_text(stream.tail)
    if stream.closed:
        resp.fields[names.CLOSED] = names.TRUE
    if stream.lifetime.ttl is not None:
        resp.fields[names.TTL] = str(stream.lifetime.ttl)
    if stream.lifetime.at is not None:
        resp.fields[names.EXPIRES_AT] = stream.lifetime.at


def problem(refusal: Refused) -> ServerResponse:
    """A refusal as an RFC 9457 problem; nothing of it may be cached."""
    said = {
        "status": refusal.status,
        "title": refusal.detail,
        "reason": refusal.reason.value,
    }
    fields = {"Cache-Control": NO_STORE, **dict(refusal.headers)}
    body = json.dumps(said).encode()
    return ServerResponse(refusal.status, "application/problem+json", fields, body)


def defect() -> ServerResponse:
    """The answer where this program failed; the connection ends with it."""
    said = {"status": 500, "title": "the server failed", "reason": "internal"}
    fields = {"Cache-Control": NO_STORE, "Connection": "close"}
    return ServerResponse(
        500, "application/problem+json", fields, json.dumps(said).encode()
    )


def is_base64(stream: StoredStream) -> bool:
    """Whether SSE carries this stream's bytes in base64."""
    return sse.encoding_for(stream.content_type) is sse.Encoding.BASE64


def empty_body(stream: StoredStream) -> bytes:
    """No messages, in the stream's type."""
    return b"[]" if is_json(stream.content_type) else b""
