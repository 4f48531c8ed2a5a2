"""JSON cut into its messages as it arrives, without parsing it (section 9.1).

``ArrayMessages`` cuts the array of an answer into lines. ``JsonValues`` cuts a sequence
of values, as programs print them, into single ones. Both only follow brackets and
strings; the server judges whether a value is valid. White space around messages is
dropped. So are line ends inside: in JSON they can only stand between tokens.
"""

import re
from collections.abc import Iterator

MAX_VALUE = 16 * 1024 * 1024
"""Most bytes of one value that are held before it is complete."""

_SPACE = b" \t\r\n"
_MARK = re.compile(rb'["\[\]{},]')
_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_FLAT = re.compile(rb'(?:[^"\[\]{},\r\n]++|%b)++' % _STRING, re.DOTALL)
_DEEP = re.compile(rb'(?:[^"\[\]{}\r\n]++|%b)++' % _STRING, re.DOTALL)
"""Runs of bytes, with their whole strings, in which no single mark matters: between
the messages of an array, and inside a message. They match possessively: a string that
is not whole costs one pass and no more."""
_IN_STRING = re.compile(rb'["\\]')
_TOKEN = re.compile(rb'["\[\]{}]|[ \t\r\n]+|[^"\[\]{} \t\r\n]+')


class NotOneArray(ValueError):
    """The bytes are not one JSON array, or end before it does."""


class ArrayMessages:
    """Takes one array in pieces; gives its messages' bytes, a line feed after each.

    It holds no more than the piece at hand: a message of any size passes.
    """

    def __init__(self) -> None:
        self._depth = 0
        self._string = _String()
        self._ended = False
        self._in_message = False

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The lines, or parts of them, in ``piece``. Raises NotOneArray."""
        position = 0
        while position < len(piece):
            if self._string.is_open():
                end = self._string.end(piece, position)
                yield piece[position:end]
                position = end
                continue
            if run := self._run(piece, position):
                yield from self._between(run.group())
                position = run.end()
                continue
            mark = _MARK.search(piece, position)
            stop = mark.start() if mark else len(piece)
            yield from self._between(piece[position:stop])
            if mark:
                yield from self._at(mark.group())
            position = mark.end() if mark else stop

    def _run(self, piece: bytes, position: int) -> re.Match[bytes] | None:
        if not self._depth:
            return None
        return (_FLAT if self._depth == 1 else _DEEP).match(piece, position)

    def finish(self) -> None:
        """The bytes have ended. Raises NotOneArray if the array has not."""
        if not self._ended:
            raise NotOneArray("the array of messages ends too early")

    def _between(self, text: bytes) -> Iterator[bytes]:
        bare = text.translate(None, b"\r\n")
        if not self._in_message:
            bare = bare.lstrip(_SPACE)
        if not bare:
            return
        if not self._depth:
            raise NotOneArray("a JSON stream answered with no array")
        self._in_message = True
        yield bare

    def _at(self, mark: bytes) -> Iterator[bytes]:
        if not self._depth:
            self._open(mark)
        elif self._depth == 1 and mark in b",]":
            if self._in_message:
                yield b"\n"
            self._in_message = False
            self._close(mark)
        else:
            self._in_message = True
            self._deeper(mark)
            yield mark

    def _open(self, mark: bytes) -> None:
        if mark != b"[" or self._ended:
            raise NotOneArray("a JSON stream answered with no array")
        self._depth = 1

    def _close(self, mark: bytes) -> None:
        if mark == b"]":
            self._depth, self._ended = 0, True

    def _deeper(self, mark: bytes) -> None:
        if mark == b'"':
            self._string.begin()
        else:
            self._depth += (mark in b"[{") - (mark in b"]}")


class JsonValues:
    """Takes a sequence of values in pieces; gives each one when it is complete.

    A number or a word is complete when something follows it, or at ``finish``.
    """

    def __init__(self, limit: int = MAX_VALUE) -> None:
        self._limit = limit
        self._depth = 0
        self._string = _String()
        self._held = bytearray()

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The values that ``piece`` completes. Raises ValueError past the limit."""
        position = 0
        while position < len(piece):
            if self._string.is_open():
                end = self._string.end(piece, position)
                self._hold(piece[position:end])
                position = end
                if not (self._string.is_open() or self._depth):
                    yield from self._whole()
                continue
            if self._depth and (run := _DEEP.match(piece, position)):
                self._hold(run.group())
                position = run.end()
                continue
            token = _TOKEN.match(piece, position)
            assert token is not None, "every byte begins a token"
            position = token.end()
            yield from self._token(token.group())

    def finish(self) -> Iterator[bytes]:
        """What is left: a last number or word, or a value that was cut."""
        yield from self._whole()

    def _token(self, token: bytes) -> Iterator[bytes]:
        first = token[:1]
        if first in b"[{" or first == b'"':
            if not self._depth:
                yield from self._whole()
            self._hold(token)
            if first == b'"':
                self._string.begin()
            self._depth += first in b"[{"
        elif first in b"]}":
            self._hold(token)
            self._depth -= 1
            if self._depth <= 0:
                self._depth = 0
                yield from self._whole()
        elif first in _SPACE and not self._depth:
            yield from self._whole()
        else:
            self._hold(token.translate(None, b"\r\n"))

    def _whole(self) -> Iterator[bytes]:
        if self._held:
            value, self._held = bytes(self._held), bytearray()
            yield value

    def _hold(self, part: bytes) -> None:
        self._held += part
        if len(self._held) > self._limit:
            raise ValueError(f"a value is larger than {self._limit} bytes")


class _String:
    """Whether a string is open, and where it ends; escapes may be cut anywhere."""

    def __init__(self) -> None:
        self._open = False
        self._escaped = False

    def is_open(self) -> bool:
        """Whether the next byte is inside the string."""
        return self._open

    def begin(self) -> None:
        """An opening quote was read."""
        self._open = True

    def end(self, piece: bytes, position: int) -> int:
        """Behind the closing quote, or the end of ``piece``."""
        while position < len(piece):
            if self._escaped:
                self._escaped = False
                position += 1
                continue
            found = _IN_STRING.search(piece, position)
            if found is None:
                return len(piece)
            position = found.end()
            if found.group() == b'"':
                self._open = False
                return position
            self._escaped = True
        return position
