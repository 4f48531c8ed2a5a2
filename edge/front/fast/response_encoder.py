"""ResponseEncoder: answers as bytes, with the fields that Falcon's way sends.

An Answer with equal PerResponses is the same for many clients, and is encoded once: two
runs of bytes (``EncodedResponse``) with room between them for the request's id, and for
the fields that depend on the page that asks (``on_wire``). That lasts a second, because
``Date`` is in it. Names, joining and order of fields follow ``edge.front.app.app``,
``edge.front.exchange`` and Falcon; a corpus of requests that is sent both ways holds
them together.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from itertools import count

from edge.core import costs
from edge.core.ports import Clock, Ready
from edge.core.values import Answer, Headers, PerResponse
from edge.front.exchange import cache_status_field, cors_list, route_fields
from edge.front.options import FrontOptions
from edge.policy.http import cors, link_fields
from edge.policy.http.cache_status import OF_KEEPER
from edge.policy.streams.routes import Route
from edge.protocol import names
from edge.protocol.http_grammar import (
    BODILESS_STATUSES,
    FIELD_VALUE,
    HOP_BY_HOP,
    PROXY_AUTHENTICATION,
    TOKEN,
    reason_phrase,
)

MAX_COPIED = costs.MAX_ENCODED_BODY
"""Bytes of a body up to which it is copied into one buffer with its head."""

MAX_NAMES = 512
"""Names of fields that are remembered."""

_MAX_RECENT = 256
_LENGTHLESS = 204
_WRITTEN_HERE = HOP_BY_HOP | PROXY_AUTHENTICATION | {"content-length", "date", "server"}
"""Fields that no answer brings: gunicorn drops the same ones on the whole way."""
_ID_HERE = "\0"


@dataclass(frozen=True, slots=True, eq=False)
class EncodedResponse:
    """A response with room for the request's id and for ``on_wire``.

    ``before`` and ``after`` surround them. ``body`` is set if it was too large to be in
    ``after``. ``size`` are bytes of the whole body, ``chunked`` its framing.
    ``bodiless``: there never is one.
    """

    answer: Answer
    per_response: PerResponse
    close: bool
    second: int
    before: bytes
    after: bytes
    body: bytes
    size: int
    chunked: bool
    bodiless: bool


class ResponseEncoder:
    """Encodes responses for one worker.

    What is encoded is good for one second of the wall clock, ``_second``; ``_until`` is
    when that ends, in monotonic seconds.
    """

    def __init__(self, options: FrontOptions, clock: Clock) -> None:
        self._name = options.name
        self._via, self._cache = options.node.via, options.node.cache
        self._link = options.link
        self._clock = clock
        self._recent: dict[tuple[int, int], EncodedResponse] = {}
        self._date = ""
        self._second = 0
        self._until = 0.0
        self.pieces: Sequence[bytes] | None = None
        self.chunk = b""

    def encoded(
        self, answer: Answer, per_response: PerResponse, route: Route, close: bool
    ) -> EncodedResponse:
        """The answer's bytes as of now, shared with an equal one where there was one.

        Raises ValueError when a field could not go out as it is.
        """
        now = self._clock.monotonic()
        if now >= self._until:
            self._look_at_clock(now)
        return self._shared(answer, per_response, route, close)

    def second(self) -> int:
        """The second of the wall clock for which answers are encoded now."""
        now = self._clock.monotonic()
        if now >= self._until:
            self._look_at_clock(now)
        return self._second

    def once(
        self,
        answer: Answer,
        per_response: PerResponse,
        route: Route,
        close: bool,
        head: bool = False,
    ) -> EncodedResponse:
        """The same for an answer that nobody shares. ``head``: to a HEAD, so without a
        body. Raises ValueError."""
        self.second()
        return self._encode(answer, per_response, route, close, head)

    def ready(self, ready: Ready, route: Route, now: float) -> EncodedResponse:
        """The bytes of an answer that many are given, as of ``now``. They are made once
        a second and kept with the answer. Raises ValueError, as ``encoded`` does."""
        if now >= self._until:
            self._look_at_clock(now)
        encoded = ready.encoded
        if not isinstance(encoded, EncodedResponse) or encoded.second != self._second:
            encoded = self._shared(ready.answer, ready.per_response, route, False)
            ready.encoded = encoded
        return encoded

    def chunk_of(self, pieces: Sequence[bytes]) -> bytes:
        """One write's bytes, as a chunk; b"" if there are none.

        The last ones are kept: ``chunk`` is what ``pieces`` came to.
        """
        data = b"".join(pieces)
        # An empty chunk would be the last one.
        chunk = b"%X\r\n%b\r\n" % (len(data), data) if data else b""
        if isinstance(pieces, tuple):
            self.pieces, self.chunk = pieces, chunk
        return chunk

    def _look_at_clock(self, now: float) -> None:
        """A new second has begun."""
        wall = self._clock.wall()
        self._second = int(wall)
        self._until = now + 1.0 - wall % 1.0
        self._date = formatdate(self._second, usegmt=True)
        self._recent.clear()

    def _shared(
        self, answer: Answer, per_response: PerResponse, route: Route, close: bool
    ) -> EncodedResponse:
        """The bytes of this answer within this second. Raises ValueError."""
        # Some answers are one object on all routes, though the fields differ (L18).
        key = (id(answer), id(route))
        encoded = self._recent.get(key)
        if (
            encoded is not None
            and encoded.close is close
            and encoded.per_response == per_response
        ):
            return encoded
        encoded = self._encode(answer, per_response, route, close)
        if len(self._recent) >= _MAX_RECENT:
            self._recent.clear()
        # Ids are not used anew meanwhile: ``encoded`` holds the answer, and the table
        # its routes.
        self._recent[key] = encoded
        return encoded

    def _encode(
        self,
        answer: Answer,
        per_response: PerResponse,
        route: Route,
        close: bool,
        head: bool = False,
    ) -> EncodedResponse:
        """A new EncodedResponse. Raises ValueError."""
        bodiless = head or answer.status in BODILESS_STATUSES
        chunked = answer.body is None and answer.content_length is None and not bodiless
        fields = self._fields(answer, per_response, route, head)
        lines = [
            f"HTTP/1.1 {answer.status} {reason_phrase(answer.status)}",
            f"Server: {self._name}",
            f"Date: {self._date}",
            "Connection: close" if close else "Connection: keep-alive",
        ]
        if chunked:
            lines.append("Transfer-Encoding: chunked")
        lines += [f"{name}: {value}" for name, value in fields]
        text = "\r\n".join(lines) + "\r\n\r\n"
        before, _, after = text.partition(_ID_HERE)
        body = b"" if bodiless else answer.body or b""
        copied = len(body) <= MAX_COPIED
        return EncodedResponse(
            answer,
            per_response,
            close,
            self._second,
            before.encode("latin-1"),
            after.encode("latin-1") + (body if copied else b""),
            b"" if copied else body,
            len(body),
            chunked,
            bodiless,
        )

    def _fields(
        self, answer: Answer, per_response: PerResponse, route: Route, head: bool
    ) -> list[tuple[str, str]]:
        """All fields but the first four, as Falcon joins and orders them."""
        if self._link is not None:
            return self._lean_fields(answer, per_response, head)
        fields: dict[str, str] = {}
        if per_response.age is not None:
            fields["age"] = str(per_response.age)
        if per_response.cursor is not None:
            fields[names.CURSOR.lower()] = per_response.cursor
        apart = _put(fields, answer)
        fields.update(_fields_of(route))
        if cors_list(route) is not None:
            name, value = cors.VARY
            _append(fields, name.lower(), value)
        fields["x-request-id"] = _ID_HERE
        _append(fields, "via", self._via)
        told = cache_status_field(self._cache, per_response.status)
        _append(fields, "cache-status", told)
        _put_length(fields, answer, head)
        return [*fields.items(), *apart]

    def _lean_fields(
        self, answer: Answer, per_response: PerResponse, head: bool
    ) -> list[tuple[str, str]]:
        """The same to a front (W8)."""
        assert self._link is not None
        fields: dict[str, str] = {}
        if per_response.cursor is not None:
            fields[names.CURSOR.lower()] = per_response.cursor
        apart = _put(fields, answer)
        fields["x-request-id"] = _ID_HERE
        fields[link_fields.FIELD] = self._link.tell(per_response.told)
        told = cache_status_field(OF_KEEPER, per_response.status)
        _append(fields, "cache-status", told)
        _put_length(fields, answer, head)
        return [*fields.items(), *apart]


def on_wire(fields: Headers) -> bytes:
    """Fields as they stand behind the request's id: each after its own CRLF."""
    lines = (f"\r\n{name.lower()}: {value}" for name, value in fields)
    return "".join(lines).encode("latin-1")


def _put(fields: dict[str, str], answer: Answer) -> list[tuple[str, str]]:
    """Put the answer's own fields in; those that are never joined are returned."""
    apart = []
    for given, value in answer.headers:
        name = _name(given)
        # Most values are printable: to see that costs less than an expression.
        plain = value.isascii() and value.isprintable()
        if name is None or not (plain or FIELD_VALUE.fullmatch(value)):
            raise ValueError(f"a field that cannot be sent: {given!r}")
        if name in _WRITTEN_HERE:
            continue
        if name == "set-cookie":
            apart.append((name, value))
        else:
            _append(fields, name, value.strip(" \t"))
    if answer.content_length is not None and answer.status != _LENGTHLESS:
        fields["content-length"] = str(answer.content_length)
    return apart


def _put_length(fields: dict[str, str], answer: Answer, head: bool) -> None:
    """The length of a whole body. Of a HEAD nobody has made a body: an empty one tells
    no length."""
    length = -1 if answer.body is None else len(answer.body)
    if length >= head and answer.status not in BODILESS_STATUSES:
        fields["content-length"] = str(length)


@lru_cache(maxsize=MAX_NAMES)
def _name(given: str) -> str | None:
    """A field's name in lower case; None for what is no name."""
    name = given.lower()
    return name if TOKEN.fullmatch(name) else None


@lru_cache(maxsize=256)
def _fields_of(route: Route) -> Headers:
    """The route's fields, names in lower case."""
    return tuple((name.lower(), value) for name, value in route_fields(route))


def _append(fields: dict[str, str], name: str, value: str) -> None:
    before = fields.get(name)
    fields[name] = value if before is None else f"{before}, {value}"


def request_ids() -> Iterator[bytes]:
    """Ids of new requests, in the shape of ``exchange.request_id``, one after another.

    A generator, and most of each is made for 256 at once: every answer has one.
    """
    prefix = os.urandom(8).hex().encode()
    lasts = [b"%02x" % last for last in range(256)]
    for number in count():
        first = b"%s%06x" % (prefix, number & 0xFFFFFF)
        for last in lasts:
            yield first + last
