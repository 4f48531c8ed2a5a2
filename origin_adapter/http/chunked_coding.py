"""The chunked coding of an origin's body, undone (RFC 9112 section 7.1). Pure.

``ChunkDecoder`` is fed what arrives and returns the part that is body. It takes what
the grammar allows, white space around ``;`` and ``=`` of extensions too, and two habits
of old servers: sizes padded with zeros before them or white space behind them. It
refuses everything by which two readers could see two bodies: a line that does not end
with CRLF, signs, prefixes or white space before a size, a size that no integer of 64
bits holds, data without its CRLF, trailers that are no fields or that frame. Extensions
and trailers are not looked into, and go nowhere.

``response_parser`` chooses it by the head. It never reads what follows the last line:
``ended_bare`` says whether anything but a plain last chunk was there.
"""

import re

from edge.core.errors import OriginGarbage
from edge.protocol.http_grammar import FIELD_VALUE_CHARS, TOKEN_CHARS, length_of

MAX_OVERHEAD = 64 * 1024
"""Bytes of chunk heads or trailers in a row, without any of the body."""

_CRLF = b"\r\n"
_VALUE = FIELD_VALUE_CHARS.encode("ascii")
_SIZE = re.compile(rb"([0-9A-Fa-f]+)[ \t]*(?:;[" + _VALUE + rb"]*)?")
_TRAILER = re.compile(b"([" + TOKEN_CHARS.encode("ascii") + b"]+):[" + _VALUE + b"]*")
# RFC 9110 section 6.5.1. Whoever takes them for the head's reads another body.
_NO_TRAILERS = frozenset({b"content-length", b"transfer-encoding"})


class ChunkDecoder:
    """One body. ``done``: its last line was read."""

    def __init__(self) -> None:
        self.done = False
        self.ended_bare = False
        self._held = b""
        # Bytes that are left of a chunk, with the CRLF behind it; 0: a line comes.
        self._left = 0
        self._in_trailers = False
        self._overhead = 0
        self._begun = False

    def feed(self, data: bytes) -> bytes:
        """The part of ``data`` that is body. Raises OriginGarbage. Not called once
        done."""
        if not self._begun:
            self._begun = True
            whole = _in_one_chunk(data)
            if whole is not None:
                self.done = self.ended_bare = True
                return whole
        data, self._held = self._held + data, b""
        pieces: list[bytes] = []
        at = 0
        while not self.done and at < len(data):
            if not self._left and not self._in_trailers:
                whole_until = _take_whole(data, at, pieces)
                if whole_until > at:
                    at, self._overhead = whole_until, 0
                    continue
            if self._left:
                at = self._take_data(data, at, pieces)
                continue
            end = data.find(_CRLF, at)
            if end < 0:
                break
            self._count(end - at)
            self._take_line(data[at:end])
            at = end + len(_CRLF)
        self._keep(data[at:])
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _take_data(self, data: bytes, at: int, pieces: list[bytes]) -> int:
        """Take what there is of a chunk, and of the CRLF behind it; where that ends."""
        end = min(len(data), at + self._left)
        body = min(end, at + self._left - len(_CRLF))
        if body > at:
            pieces.append(data[at:body])
            self._overhead = 0
        after = max(at, body)
        self._left -= end - at
        # Of the two bytes behind a chunk as many as have come: its last ones.
        expected = _CRLF[len(_CRLF) - self._left - (end - after) :][: end - after]
        if data[after:end] != expected:
            raise OriginGarbage("the answer's chunks: one is longer than its size")
        return end

    def _take_line(self, line: bytes) -> None:
        if not self._in_trailers:
            self._begin_chunk(line)
        elif not line:
            self.done = True
        else:
            found = _TRAILER.fullmatch(line)
            if found is None or found[1].lower() in _NO_TRAILERS:
                raise OriginGarbage("the answer's chunks: a malformed trailer")
            self.ended_bare = False

    def _begin_chunk(self, line: bytes) -> None:
        found = _SIZE.fullmatch(line)
        size = None if found is None else _size(found[1])
        if size is None:
            raise OriginGarbage("the answer's chunks: a size is malformed")
        if size:
            self._left = size + len(_CRLF)
        else:
            self._in_trailers = True
            self.ended_bare = line == b"0"

    def _keep(self, rest: bytes) -> None:
        """Keep the beginning of a line, or notice what is no part of the body."""
        if self.done:
            self.ended_bare = self.ended_bare and not rest
            return
        if b"\n" in rest or self._overhead + len(rest) > MAX_OVERHEAD:
            raise OriginGarbage("the answer's chunks: a line has no end")
        self._held = rest

    def _count(self, size: int) -> None:
        self._overhead += size + len(_CRLF)
        if self._overhead > MAX_OVERHEAD:
            raise OriginGarbage("chunk heads or trailers without end")


_ONE = re.compile(rb"([0-9A-Fa-f]{1,7})\r\n")


def _take_whole(data: bytes, at: int, pieces: list[bytes]) -> int:
    """Take the bare chunks that are whole, as servers write them; where the last one
    ends. What is there then is read line by line."""
    while (found := _ONE.match(data, at)) is not None:
        begin = found.end()
        end = begin + int(found[1], 16)
        if end == begin or data[end : end + 2] != _CRLF:
            break
        pieces.append(data[begin:end])
        at = end + 2
    return at


_END = b"\r\n0\r\n\r\n"


def _in_one_chunk(data: bytes) -> bytes | None:
    """The body, if ``data`` is all of it in one bare chunk, as small ones come; None:
    it has to be read line by line."""
    found = _ONE.match(data)
    if found is None or not data.endswith(_END):
        return None
    begin, size = found.end(), int(found[1], 16)
    fits = size > 0 and begin + size + len(_END) == len(data)
    return data[begin : begin + size] if fits else None


_MAX_DIGITS = 16


def _size(digits: bytes) -> int | None:
    significant = digits.lstrip(b"0")
    if len(significant) > _MAX_DIGITS:
        return None
    return length_of(str(int(significant or b"0", 16)))
