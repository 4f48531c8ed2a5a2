"""The chunked coding of a request's body, undone (RFC 9112 section 7.1).

``BodyInput`` reads a body by it. Strict, because this server may stand behind another
one: it refuses a size that is missing or more than hexadecimal digits, a line with a
bare LF or another control character, data without its CRLF, and trailers that are no
fields or that frame. Extensions and trailers mean nothing here; there may be few.

Never here: what comes behind the body. The source keeps it for the next request.
"""

import re
from typing import Protocol

from edge.protocol.http_grammar import FIELD_VALUE_CHARS, TOKEN_CHARS

MAX_LINE = 8 * 1024
MAX_EXTRA = 64 * 1024
"""Bytes of a body's extensions and trailers together."""

_CRLF = b"\r\n"
_VALUE = FIELD_VALUE_CHARS.encode("ascii")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})([ \t]*;[" + _VALUE + rb"]*)?")
_TRAILER = re.compile(b"([" + TOKEN_CHARS.encode("ascii") + b"]+):[" + _VALUE + b"]*")
# RFC 9110 section 6.5.1. Whoever takes them for the head's reads another body.
_NO_TRAILERS = frozenset({b"content-length", b"transfer-encoding"})


class MalformedChunks(OSError):
    """A body that no two readers need to read alike, or one that was cut."""


class ChunkSource(Protocol):
    """What chunks are read from."""

    def read(self, size: int) -> bytes:
        """So many bytes; fewer when the client sends no more."""

    def line(self, most: int) -> bytes:
        """The bytes before the next CRLF, which is skipped.

        Raises EOFError when there is none, or none within ``most`` bytes.
        """


class ChunkReader:
    """One body. ``done``: it was read to its end, trailers included."""

    __slots__ = ("_extra", "_left", "_source", "done")

    def __init__(self, source: ChunkSource) -> None:
        self.done = False
        self._source = source
        self._left = 0
        self._extra = 0

    def read(self, size: int) -> bytes:
        """At most so many bytes; b"" at the end. Raises MalformedChunks, EOFError."""
        pieces: list[bytes] = []
        while size > 0 and not self.done:
            if not self._left:
                self._begin_chunk()
                continue
            wanted = min(size, self._left)
            piece = self._source.read(wanted)
            if len(piece) < wanted:
                raise MalformedChunks("the body ended in a chunk")
            pieces.append(piece)
            size -= wanted
            self._left -= wanted
            if not self._left and self._source.read(len(_CRLF)) != _CRLF:
                raise MalformedChunks("a chunk is longer than its size")
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _begin_chunk(self) -> None:
        found = _SIZE.fullmatch(self._source.line(MAX_LINE))
        if found is None:
            raise MalformedChunks("a size is malformed")
        self._count(found[2] or b"")
        self._left = int(found[1], 16)
        if not self._left:
            self._skip_trailers()

    def _skip_trailers(self) -> None:
        while line := self._source.line(MAX_LINE):
            self._count(line)
            found = _TRAILER.fullmatch(line)
            if found is None or found[1].lower() in _NO_TRAILERS:
                raise MalformedChunks("a trailer is malformed")
        self.done = True

    def _count(self, extra: bytes) -> None:
        self._extra += len(extra)
        if self._extra > MAX_EXTRA:
            raise MalformedChunks("extensions or trailers without end")
