"""Server-sent events, read as they arrive, as WHATWG HTML tells (section 9.2.6).

Bytes in, events out. A line may end in LF, CR or CRLF, and pieces may be cut anywhere.
Values stay bytes: text that is not UTF-8 passes unchanged. An event that the end of the
stream cut off is never given out. Offsets are for ``following``.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

MAX_EVENT = 16 * 1024 * 1024
"""Most bytes of one event that are held before it is complete."""

_END = re.compile(rb"\r\n|\r|\n")
_BOM = b"\xef\xbb\xbf"


class EventTooLarge(Exception):
    """An event passed MAX_EVENT; its stream cannot be read on."""


@dataclass(frozen=True, slots=True)
class SseEvent:
    """One event: its type (``message`` when unnamed) and its joined data lines."""

    type: str
    data: bytes


class SseParser:
    """The parser: feed it pieces, take the events that they complete."""

    def __init__(self, limit: int = MAX_EVENT) -> None:
        self.retry: float | None = None
        """Seconds that the server asked to wait before a reconnection."""
        self._limit = limit
        self._start = b""
        self._begun = False
        self._line: list[bytes] = []
        self._after_cr = False
        self._type = ""
        self._data: list[bytes] = []
        self._held = 0

    def feed(self, piece: bytes) -> Iterator[SseEvent]:
        """The events that ``piece`` completes. Raises EventTooLarge."""
        for line in self._lines(self._without_mark(piece)):
            event = self._take(line)
            if event is not None:
                yield event

    def _without_mark(self, piece: bytes) -> bytes:
        """``piece`` without a byte order mark at the very beginning of all."""
        if self._begun:
            return piece
        self._start += piece
        if len(self._start) < len(_BOM) and _BOM.startswith(self._start):
            return b""
        self._begun = True
        start, self._start = self._start, b""
        return start.removeprefix(_BOM)

    def _lines(self, piece: bytes) -> Iterator[bytes]:
        """Complete lines. A CR ends its line at once: the LF may never come."""
        if not piece:
            return
        position = 1 if self._after_cr and piece.startswith(b"\n") else 0
        for end in _END.finditer(piece, position):
            yield b"".join((*self._line, piece[position : end.start()]))
            self._line.clear()
            position = end.end()
        self._after_cr = piece.endswith(b"\r")
        self._hold(piece[position:])

    def _hold(self, rest: bytes) -> None:
        if rest:
            self._line.append(rest)
            self._count(len(rest))

    def _take(self, line: bytes) -> SseEvent | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._count(len(value) + 1)
        elif name == b"event":
            self._type = value.decode("utf-8", "replace")
        elif name == b"retry" and value.isdigit():
            self.retry = int(value) / 1000
        return None

    def _dispatch(self) -> SseEvent | None:
        data, kind = self._data, self._type or "message"
        self._data, self._type, self._held = [], "", 0
        return SseEvent(kind, b"\n".join(data)) if data else None

    def _count(self, size: int) -> None:
        self._held += size
        if self._held > self._limit:
            raise EventTooLarge
