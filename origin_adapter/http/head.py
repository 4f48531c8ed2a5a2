"""The head of an answer, read strictly. Pure.

llhttp (through httptools) reads heads and chunks in its strict mode, which
refuses bare LF, obs-fold, control characters in fields, a second
Content-Length, Content-Length beside Transfer-Encoding, and sizes that are no
numbers. What it lets pass is refused here: another version than HTTP/1.1,
blank lines before the status line, control characters in the reason phrase,
statuses outside 100 to 599, every transfer coding but a single ``chunked``, a
switch of protocols, more than a few interim answers, heads and trailers
without end.

The head ends where the first CRLF CRLF stands (the parser confirms it), so
every byte after it is known to belong to the body or to nobody.
"""

import re
from dataclasses import dataclass

from httptools import (
    HttpParserError,
    HttpParserUpgrade,
    HttpResponseParser,
)

from edge.core.errors import OriginGarbage
from edge.core.reasons import Reason
from edge.core.values import Framing, Headers
from origin_adapter.http.body import (
    Body,
    ChunkedBody,
    CloseBody,
    Events,
    LengthBody,
)

MAX_INTERIM = 8
"""Interim answers (1xx) before one final answer."""

_VERSION = b"HTTP/1.1 "
_END = b"\r\n\r\n"
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_BODYLESS = frozenset({204, 304})
# Fields that end with this hop (RFC 9110 section 7.6.1), with what Connection names.
_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


@dataclass(frozen=True, slots=True)
class Head:
    """The final head of an answer; hop-by-hop fields are taken out.

    ``content_length`` is the declared length: of the body, or of the
    representation where ``framing`` is NONE (HEAD and 304).
    """

    status: int
    headers: Headers
    framing: Framing
    content_length: int | None
    keep_alive: bool


class HeadReader:
    """Reads the head of the answer to one request, past interim answers."""

    def __init__(self, method: str, max_head: int) -> None:
        self.received = 0
        self._method = method
        self._room = max_head
        self._interim = 0
        self._buffer = b""
        self._fresh()

    def _fresh(self) -> None:
        self._fed = 0
        self._events = Events()
        self._parser = HttpResponseParser(self._events)

    def feed(self, data: bytes) -> "tuple[Head, Body] | None":
        """Take bytes; the final head and its body, once it is whole.

        Bytes beyond the head stay in ``rest()``. Raises OriginGarbage.
        """
        self.received += len(data)
        self._buffer += data
        while (end := self._scan()) is not None:
            status = self._parser.get_status_code()
            if status >= 200:
                return self._finish(status, end)
            self._skip(status, end)
        return None

    def rest(self) -> bytes:
        """The bytes after the final head."""
        return self._buffer

    def _scan(self) -> int | None:
        """Parse what is new of the head; where it ends, if it does."""
        if not self._buffer:
            return None
        if not _VERSION.startswith(self._buffer[: len(_VERSION)]):
            raise OriginGarbage("the answer does not begin as HTTP/1.1 does")
        found = self._buffer.find(_END, max(0, self._fed - len(_END)))
        end = found + len(_END) if found >= 0 else len(self._buffer)
        if end > self._room:
            raise OriginGarbage(
                "the answer's head is too large", reason=Reason.ORIGIN_HEAD_TOO_LARGE
            )
        self._parse(self._buffer[self._fed : end])
        self._fed = end
        if found < 0:
            return None
        if not self._events.head_complete or _CONTROL.search(self._buffer, 0, end):
            raise OriginGarbage("the answer's head holds what no head may hold")
        return end

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            raise OriginGarbage("the origin switched protocols") from upgrade
        except HttpParserError as error:
            raise OriginGarbage(f"the answer's head: {error}") from error

    def _skip(self, status: int, end: int) -> None:
        """Leave an interim answer behind (RFC 9110 section 15.2)."""
        self._interim += 1
        if status < 100 or status == 101 or self._interim > MAX_INTERIM:
            raise OriginGarbage(f"an interim answer too many, or of status {status}")
        self._room -= end
        self._buffer = self._buffer[end:]
        self._fresh()

    def _finish(self, status: int, end: int) -> "tuple[Head, Body]":
        if status > 599:
            raise OriginGarbage(f"{status} is no status")
        self._buffer = self._buffer[end:]
        fields = tuple(
            (name.decode("latin-1").lower(), value.decode("latin-1").strip(" \t"))
            for name, value in self._events.fields
        )
        return self._framed(status, fields)

    def _framed(self, status: int, fields: Headers) -> "tuple[Head, Body]":
        """RFC 9112 section 6.3, without its tolerances."""
        length = _content_length(fields)
        body: Body
        if _is_chunked(fields):
            framing, body = Framing.CHUNKED, ChunkedBody(self._parser, self._events)
        elif length is not None:
            framing, body = Framing.LENGTH, LengthBody(length)
        else:
            framing, body = Framing.CLOSE, CloseBody()
        if self._method == "HEAD" or status in _BODYLESS:
            framing, body = Framing.NONE, LengthBody(0)
            length = None if status == 204 else length
        named = _connection_options(fields)
        kept = tuple(f for f in fields if f[0] not in _HOP_BY_HOP | named)
        return Head(status, kept, framing, length, "close" not in named), body


def _content_length(fields: Headers) -> int | None:
    """The declared length; llhttp has refused lists, signs and second ones."""
    for name, value in fields:
        if name == "content-length":
            return int(value)
    return None


def _is_chunked(fields: Headers) -> bool:
    codings = [value.lower() for name, value in fields if name == "transfer-encoding"]
    if codings and codings != ["chunked"]:
        raise OriginGarbage(f"transfer codings {codings} were not asked for")
    return bool(codings)


def _connection_options(fields: Headers) -> frozenset[str]:
    lists = ",".join(value for name, value in fields if name == "connection")
    return frozenset(option.strip(" \t").lower() for option in lists.split(","))
