"""An answer of the origin, read strictly: its head, and where its body ends. Pure.

llhttp (through httptools) reads heads in its strict mode. It refuses bare LF, obs-fold,
control characters in fields, a second Content-Length, Content-Length beside
Transfer-Encoding, and lengths that are no numbers. This module refuses what llhttp lets
pass: another version than HTTP/1.1 or 1.0, lengths above 2^63-1, blank lines before the
status line, control characters in the reason phrase, statuses outside 100 to 599, every
transfer coding but a single ``chunked`` (and that in HTTP/1.0), a switch of protocols,
too many interim answers, heads without end. An origin that speaks HTTP/1.0 is asked
over a new connection each time. Chunks are read by ``chunked_coding``.

The head ends at the first CRLF CRLF (the parser confirms it). Every byte after that
belongs to the body or to no message. The head chooses one of three bodies by RFC 9112
section 6.3. A body is fed what arrives and returns the part that is body. Bytes after
its end make it unclean: its connection is not used again.

An origin's heads are mostly alike. ``HeadMemo`` keeps the last one of each shape: its
lines, and what became of them. A head with the same lines, but for the values of fields
that concern no connection and frame nothing, needs no parser. Each value that differs
must be plain, visible ASCII; a length must be a number. All else is for the parser, and
``tests/origin_adapter/http/test_head_memo.py`` checks that both agree.

``call`` feeds both. This module reads no socket.
"""

import re
from dataclasses import dataclass
from typing import Protocol

from httptools import (
    HttpParserError,
    HttpParserUpgrade,
    HttpResponseParser,
)

from edge.core.errors import OriginBodyCut, OriginGarbage
from edge.core.reasons import Reason
from edge.core.values import Framing, Headers
from edge.protocol.http_grammar import (
    BODILESS_STATUSES,
    HOP_BY_HOP,
    connection_options,
    length_of,
)
from origin_adapter.http.chunked_coding import ChunkDecoder

MAX_INTERIM = 8
"""Interim answers (1xx) before one final answer."""

_VERSIONS = (b"HTTP/1.1 ", b"HTTP/1.0 ")
_VERSION_LENGTH = len(_VERSIONS[0])
_END = b"\r\n\r\n"
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


# The body.


class BodyReader(Protocol):
    """Where the body of an answer ends.

    ``done`` once its framing says that it has ended; ``clean`` while the connection may
    be used again.
    """

    done: bool
    clean: bool

    def feed(self, data: bytes) -> bytes:
        """The part of ``data`` that is body; not called once done. Raises
        OriginGarbage."""

    def eof(self) -> None:
        """The connection ended. Raises OriginBodyCut unless the body ends so."""


class ParserEvents:
    """What httptools calls back while it reads one head."""

    def __init__(self) -> None:
        self.fields: list[tuple[bytes, bytes]] = []
        self.head_complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def on_headers_complete(self) -> None:
        self.head_complete = True


class LengthBody:
    """A body of a declared length; also the empty one of HEAD, 204 and 304."""

    __slots__ = ("_left", "clean", "done")

    def __init__(self, length: int) -> None:
        self.done = length == 0
        self.clean = True
        self._left = length

    def feed(self, data: bytes) -> bytes:
        """See Body."""
        if len(data) > self._left:
            self.clean = False
            data = data[: self._left]
        self._left -= len(data)
        self.done = self._left == 0
        return data

    def eof(self) -> None:
        """See Body."""
        self.clean = False
        if self._left:
            raise OriginBodyCut(f"the origin's body ended {self._left} bytes early")


class CloseBody:
    """A body that ends with the connection: nothing proves that it is whole."""

    def __init__(self) -> None:
        self.done = False
        self.clean = False

    def feed(self, data: bytes) -> bytes:
        """See Body."""
        return data

    def eof(self) -> None:
        """See Body."""
        self.done = True


class ChunkedBody:
    """A body in chunks.

    The connection is used again only if the message ended with a bare last chunk and
    nothing after it. Trailers are dropped, and the connection with them.
    """

    def __init__(self) -> None:
        self.done = False
        self.clean = True
        self._chunks = ChunkDecoder()

    def feed(self, data: bytes) -> bytes:
        """See Body."""
        body = self._chunks.feed(data)
        self.done = self._chunks.done
        if self.done and not self._chunks.ended_bare:
            self.clean = False
        return body

    def eof(self) -> None:
        """See Body."""
        self.clean = False
        if not self.done:
            raise OriginBodyCut("the origin's body ended before its last chunk")


# The head.


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """The final head of an answer; hop-by-hop fields are taken out.

    ``content_length`` is the declared length: of the body, or of the
    representation where ``framing`` is NONE (HEAD and 304). ``tells_urls``: the address
    of the origin may be in it; in most answers no URL is.
    """

    status: int
    headers: Headers
    framing: Framing
    content_length: int | None
    keep_alive: bool
    tells_urls: bool


class ResponseHeadReader:
    """Reads the head of the answer to one request, past interim answers."""

    __slots__ = (
        "_buffer",
        "_events",
        "_fed",
        "_interim",
        "_memo",
        "_method",
        "_parser",
        "_room",
        "received",
    )

    def __init__(self, method: str, max_head: int, memo: "HeadMemo") -> None:
        self.received = 0
        self._method = method
        self._room = max_head
        self._memo = memo
        self._interim = 0
        self._buffer = b""
        self._parser: HttpResponseParser | None = None

    def _fresh(self) -> None:
        self._fed = 0
        self._events = ParserEvents()
        self._parser = HttpResponseParser(self._events)

    def feed(self, data: bytes) -> "tuple[ResponseHead, BodyReader] | None":
        """Take bytes. Returns the final head and its body once the head is whole.

        Bytes beyond the head stay in ``rest()``. Raises OriginGarbage.
        """
        if not self.received:
            end = data.find(_END) + len(_END)
            if len(_END) <= end <= self._room:
                head = self._memo.recall(self._method, data[:end])
                if head is not None:
                    self.received = len(data)
                    self._buffer = data[end:]
                    return head, _body_of(head)
        if self._parser is None:
            self._fresh()
        self.received += len(data)
        self._buffer += data
        while (end_found := self._scan()) is not None:
            status = self._status()
            if status >= 200:
                return self._finish(status, end_found)
            self._skip(status, end_found)
        return None

    def _status(self) -> int:
        assert self._parser is not None
        status: int = self._parser.get_status_code()
        return status

    def rest(self) -> bytes:
        """The bytes after the final head."""
        return self._buffer

    def _scan(self) -> int | None:
        """Parse the new part of the head; where the head ends, if it does."""
        if not self._buffer:
            return None
        begun = self._buffer[:_VERSION_LENGTH]
        if not any(version.startswith(begun) for version in _VERSIONS):
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
        assert self._parser is not None
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            raise OriginGarbage("the origin switched protocols") from upgrade
        except HttpParserError as error:
            detail = "the answer's head is malformed"
            raise OriginGarbage(detail, cause=str(error)) from error

    def _skip(self, status: int, end: int) -> None:
        """Leave an interim answer behind (RFC 9110 section 15.2)."""
        self._interim += 1
        if status < 100 or status == 101 or self._interim > MAX_INTERIM:
            raise OriginGarbage(f"an interim answer too many, or of status {status}")
        self._room -= end
        self._buffer = self._buffer[end:]
        self._fresh()

    def _finish(self, status: int, end: int) -> "tuple[ResponseHead, BodyReader]":
        if status > 599:
            raise OriginGarbage(f"{status} is no status")
        lines, self._buffer = self._buffer[:end], self._buffer[end:]
        fields = tuple(
            (name.decode("latin-1").lower(), value.decode("latin-1").strip(" \t"))
            for name, value in self._events.fields
        )
        head = self._framed(status, fields)
        self._memo.learn(self._method, lines, head)
        return head, _body_of(head)

    def _framed(self, status: int, fields: Headers) -> ResponseHead:
        """RFC 9112 section 6.3, without its tolerances."""
        length = _content_length(fields)
        if _is_chunked(fields):
            if not self._is_http11():
                # RFC 9112 section 6.1: such a framing is faulty.
                raise OriginGarbage("a transfer coding in an answer of HTTP/1.0")
            framing = Framing.CHUNKED
        else:
            framing = Framing.CLOSE if length is None else Framing.LENGTH
        if self._method == "HEAD" or status in BODILESS_STATUSES:
            framing = Framing.NONE
            length = None if status == 204 else length
        named = connection_options(v for name, v in fields if name == "connection")
        kept = tuple(f for f in fields if f[0] not in HOP_BY_HOP | named)
        keep_alive = self._is_http11() and "close" not in named
        tells = any(_tells_url(name, value) for name, value in kept)
        return ResponseHead(status, kept, framing, length, keep_alive, tells)

    def _is_http11(self) -> bool:
        assert self._parser is not None
        version: str = self._parser.get_http_version()
        return version == "1.1"


def _body_of(head: ResponseHead) -> BodyReader:
    if head.framing is Framing.LENGTH:
        return LengthBody(head.content_length or 0)
    if head.framing is Framing.CHUNKED:
        return ChunkedBody()
    return CloseBody() if head.framing is Framing.CLOSE else LengthBody(0)


def _tells_url(name: str, value: str) -> bool:
    return "//" in value or name == "set-cookie"


def _content_length(fields: Headers) -> int | None:
    """The declared length; llhttp has refused lists, signs and second ones."""
    for name, value in fields:
        if name == "content-length":
            length = length_of(value)
            if length is None:
                raise OriginGarbage("the answer's Content-Length is too large")
            return length
    return None


def _is_chunked(fields: Headers) -> bool:
    codings = [value.lower() for name, value in fields if name == "transfer-encoding"]
    if codings and codings != ["chunked"]:
        detail = "the answer has a transfer coding that was not asked for"
        raise OriginGarbage(detail, cause=ascii(codings))
    return bool(codings)


# The heads that are alike.

MAX_REMEMBERED = 16
MAX_REMEMBERED_HEAD = 4096
"""Heads that an origin's memo keeps for one purpose, and how large one may be."""

_BEFORE_VALUE = re.compile(rb"([!-9;-~]+):[ \t]*")
_PLAIN = re.compile(rb"[!-~](?:[ -~]*[!-~])?")
_LENGTH = re.compile(rb"[0-9]{1,15}")


@dataclass(frozen=True, slots=True)
class _Remembered:
    """``fields`` has for each line its field's place in the head, and the bytes before
    its value. None: the line must be the same."""

    lines: list[bytes]
    fields: list[tuple[int, bytes] | None]
    head: ResponseHead


class HeadMemo:
    """The last heads of one origin for one purpose, by status line and number of lines.

    See the module.
    """

    __slots__ = ("_heads",)

    def __init__(self) -> None:
        self._heads: dict[tuple[bool, bytes, int], _Remembered] = {}

    def recall(self, method: str, head: bytes) -> ResponseHead | None:
        """What the parser would make of a whole head; None: ask it."""
        lines = head.split(b"\r\n")
        known = self._heads.get((method == "HEAD", lines[0], len(lines)))
        if known is None:
            return None
        was = known.head
        headers, length, tells = list(was.headers), was.content_length, False
        for line, old, field in zip(lines, known.lines, known.fields, strict=True):
            if line == old:
                continue
            if field is None or not line.startswith(field[1]):
                return None
            if _PLAIN.fullmatch(line, len(field[1])) is None:
                return None
            name, value = headers[field[0]][0], line[len(field[1]) :].decode("ascii")
            if name == "content-length":
                if _LENGTH.fullmatch(line, len(field[1])) is None:
                    return None
                length = None if was.status == 204 else int(value)
            tells = tells or _tells_url(name, value)
            headers[field[0]] = (name, value)
        if was.tells_urls and not tells:
            tells = any(_tells_url(name, value) for name, value in headers)
        return ResponseHead(
            was.status, tuple(headers), was.framing, length, was.keep_alive, tells
        )

    def learn(self, method: str, head: bytes, parsed: ResponseHead) -> None:
        """Remember what the parser made of a head."""
        lines = head.split(b"\r\n")
        fields: list[tuple[int, bytes] | None] = []
        place = 0
        for line in lines:
            before = _BEFORE_VALUE.match(line)
            name = "" if before is None else before[1].decode("ascii").lower()
            if before is not None and (
                place < len(parsed.headers) and parsed.headers[place][0] == name
            ):
                fields.append((place, before[0]))
                place += 1
            else:
                fields.append(None)
        if place != len(parsed.headers) or len(head) > MAX_REMEMBERED_HEAD:
            return
        if len(self._heads) >= MAX_REMEMBERED:
            self._heads.clear()
        known = _Remembered(lines, fields, parsed)
        self._heads[method == "HEAD", lines[0], len(lines)] = known
