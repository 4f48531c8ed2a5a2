"""HTTP/1.1 answers out of bytes: a state machine that touches no socket.

Feed it bytes; it returns the heads, pieces of bodies and ends that they complete. It
understands lengths, chunks, and bodies that end with the connection. It serves a load
generator: it trusts the server, and keeps of a head only what a viewer needs.

``whole`` is the short way for an answer that came in one piece, as nearly all do.
httptools calls back for each field and costs three times as much.
"""

import enum
from typing import Final, NamedTuple

from edge.protocol.http_grammar import BODILESS_STATUSES

CHUNKED: Final = -1
TO_THE_END: Final = -2
"""Lengths of bodies that are given by no number."""

MAX_HEAD = 64 * 1024
_LINE = b"\r\n"
_BLANK = b"\r\n\r\n"


class BadAnswer(Exception):
    """Bytes that are no answer of HTTP/1.1."""


# A NamedTuple is made four times as fast as a frozen dataclass, and one is made for
# each answer of servers whose answers all differ.
class AnswerHead(NamedTuple):
    """What a viewer needs of a head. Offsets and cursors are empty where none came."""

    status: int
    length: int
    """Bytes of the body, or CHUNKED, or TO_THE_END."""
    offset: bytes
    cursor: bytes
    events: bool
    """Whether the body is an event stream."""
    last: bool
    """Whether the connection ends with this answer."""
    closed: bool
    """Whether the stream is closed."""


class AnswerEnd(NamedTuple):
    """The answer is complete."""


Part = AnswerHead | bytes | AnswerEnd


def head_of(text: bytes) -> AnswerHead:
    """The head that ``text`` is, with its empty line. Raises BadAnswer."""
    lower = text.lower()
    if not (lower.startswith(b"http/1.") and lower[9:12].isdigit()):
        raise BadAnswer("no status line of HTTP/1.1")
    status = int(lower[9:12])
    return AnswerHead(
        status,
        _length(status, lower),
        _value(text, lower, b"\r\nstream-next-offset:"),
        _value(text, lower, b"\r\nstream-cursor:"),
        _value(lower, lower, b"\r\ncontent-type:").startswith(b"text/event-stream"),
        _is_last(lower),
        _value(lower, lower, b"\r\nstream-closed:") == b"true",
    )


def _value(text: bytes, lower: bytes, name: bytes) -> bytes:
    at = lower.find(name)
    if at < 0:
        return b""
    at += len(name)
    return text[at : lower.index(_LINE, at)].strip()


def _length(status: int, lower: bytes) -> int:
    """How the body is framed (RFC 9112 section 6.3; nobody here asks HEAD)."""
    if status < 200 or status in BODILESS_STATUSES:
        return 0
    if b"chunked" in _value(lower, lower, b"\r\ntransfer-encoding:"):
        return CHUNKED
    length = _value(lower, lower, b"\r\ncontent-length:")
    if not length:
        return TO_THE_END
    if not length.isdigit():
        raise BadAnswer("a Content-Length that is no number")
    return int(length)


def _is_last(lower: bytes) -> bool:
    connection = _value(lower, lower, b"\r\nconnection:")
    if lower.startswith(b"http/1.0"):
        return b"keep-alive" not in connection
    return b"close" in connection


def whole(data: bytes) -> tuple[AnswerHead, bytes] | None:
    """Head and body, where ``data`` is one answer with a length and nothing else."""
    end = data.find(_BLANK) + len(_BLANK)
    if end < len(_BLANK):
        return None
    head = head_of(data[:end])
    if head.length != len(data) - end or head.status < 200:
        return None
    return head, data[end:]


class _At(enum.Enum):
    """What comes next on the connection."""

    HEAD = "a head"
    BODY = "bytes of a body whose length is known"
    CHUNK = "the line that opens a chunk"
    CHUNK_BODY = "bytes of a chunk"
    CHUNK_END = "the line end behind a chunk"
    TRAILERS = "fields behind the last chunk"
    REST = "everything up to the end of the connection"


class AnswerFraming:
    """The answers of one connection, in order."""

    def __init__(self) -> None:
        self._at = _At.HEAD
        self._held = b""
        self._left = 0

    @property
    def resting(self) -> bool:
        """Whether nothing is begun: the next byte begins an answer."""
        return self._at is _At.HEAD and not self._held

    @property
    def between_chunks(self) -> bool:
        """Whether the next byte begins a chunk."""
        return self._at is _At.CHUNK and not self._held

    def feed(self, data: bytes) -> list[Part]:
        """What ``data`` completes. Raises BadAnswer."""
        self._held += data
        parts: list[Part] = []
        while _STEPS[self._at](self, parts):
            pass
        return parts

    def end(self) -> bool:
        """The connection ended: whether that was the proper end of an answer."""
        return self._at is _At.REST

    def _head(self, parts: list[Part]) -> bool:
        end = self._held.find(_BLANK)
        if end < 0:
            if len(self._held) > MAX_HEAD:
                raise BadAnswer("a head without an end")
            return False
        head = head_of(self._take(end + len(_BLANK)))
        if head.status >= 200:  # an interim answer is followed by the real one
            parts.append(head)
            self._open(head.length, parts)
        return True

    def _open(self, length: int, parts: list[Part]) -> None:
        if length == CHUNKED:
            self._at = _At.CHUNK
        elif length == TO_THE_END:
            self._at = _At.REST
        elif length:
            self._at, self._left = _At.BODY, length
        else:
            parts.append(AnswerEnd())

    def _body(self, parts: list[Part]) -> bool:
        if not self._pass_on(parts):
            return False
        self._at = _At.HEAD
        parts.append(AnswerEnd())
        return True

    def _chunk(self, parts: list[Part]) -> bool:
        line = self._line()
        if line is None:
            return False
        size = line.partition(b";")[0].strip()
        try:
            self._left = int(size, 16)
        except ValueError:
            raise BadAnswer("a chunk without a size") from None
        self._at = _At.CHUNK_BODY if self._left else _At.TRAILERS
        return True

    def _chunk_body(self, parts: list[Part]) -> bool:
        if not self._pass_on(parts):
            return False
        self._at = _At.CHUNK_END
        return True

    def _chunk_end(self, parts: list[Part]) -> bool:
        line = self._line()
        if line:
            raise BadAnswer("a chunk longer than its size")
        self._at = _At.CHUNK_END if line is None else _At.CHUNK
        return line is not None

    def _trailers(self, parts: list[Part]) -> bool:
        line = self._line()
        if line == b"":
            self._at = _At.HEAD
            parts.append(AnswerEnd())
        return line is not None

    def _rest(self, parts: list[Part]) -> bool:
        if self._held:
            parts.append(self._take(len(self._held)))
        return False

    def _pass_on(self, parts: list[Part]) -> bool:
        """Hand on what is there of the body; whether that was all of it."""
        piece = self._take(self._left)
        self._left -= len(piece)
        if piece:
            parts.append(piece)
        return not self._left

    def _take(self, size: int) -> bytes:
        taken, self._held = self._held[:size], self._held[size:]
        return taken

    def _line(self) -> bytes | None:
        end = self._held.find(_LINE)
        if end < 0:
            if len(self._held) > MAX_HEAD:
                raise BadAnswer("a line without an end")
            return None
        return self._take(end + len(_LINE))[:end]


_STEPS = {
    _At.HEAD: AnswerFraming._head,
    _At.BODY: AnswerFraming._body,
    _At.CHUNK: AnswerFraming._chunk,
    _At.CHUNK_BODY: AnswerFraming._chunk_body,
    _At.CHUNK_END: AnswerFraming._chunk_end,
    _At.TRAILERS: AnswerFraming._trailers,
    _At.REST: AnswerFraming._rest,
}
"""Each takes one step and says whether another may follow at once."""
