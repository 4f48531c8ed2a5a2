"""Event streams as an origin sends them: bytes in, whole events out (section 5.8).

The counterpart of ``edge.protocol.sse``, strict where a client's parser is lenient:
what comes out goes into a log that everybody is served from. ``EventReader`` finds the
events (WHATWG HTML section 9.2.6). ``json_fragment`` and ``base64_bytes`` say which
bytes of the stream one carries, exactly (U16); anything that could also be the trace of
other bytes is ``Inexact``. Events made of text are never read back: there CR, CRLF and
LF are one.

Values stay bytes. An event that the end of the stream cut off is never given out. What
the events mean together is judged by ``edge.policy.streams.followed_events``.
"""

import binascii
import enum
import json
import re
from typing import NamedTuple

from edge.protocol.json_arrays import fragment
from edge.protocol.offsets import SAFE, SENTINELS, is_position

MAX_CURSOR = 64
"""The longest cursor that is taken from a control event, in characters."""

_REPLACED = "\ufffd".encode()


class Inexact(ValueError):
    """An event does not say for certain which bytes of the stream it carries."""


class DataEvent(NamedTuple):
    """A ``data`` event: its ``data`` lines, without line ends; at least one."""

    lines: tuple[bytes, ...]


class ControlEvent(NamedTuple):
    """A ``control`` event: where the stream stands behind the data before it."""

    next: str
    cursor: str | None
    up_to_date: bool
    closed: bool


class OddEvent(enum.Enum):
    """What comes in an event stream and is neither data nor a control."""

    SKIPPED = "skipped"  # a comment, an unknown event, a blank line too many
    MALFORMED = "malformed"  # a control event that says nothing for certain
    TOO_LONG = "too-long"  # nothing behind it can be read


Event = DataEvent | ControlEvent | OddEvent


class EventReader:
    """Finds the events of one event stream in pieces that are cut anywhere.

    ``max_event``: bytes of one event, all its lines and their names together.
    """

    __slots__ = ("_after_cr", "_held", "_max")

    def __init__(self, max_event: int) -> None:
        self._max = max_event
        self._held = bytearray()
        self._after_cr = False

    @property
    def is_within(self) -> bool:
        """Whether an event has begun that is not whole yet. A comment is none."""
        return bool(self._held) and not self._held.startswith(b":")

    def feed(self, piece: bytes) -> list[Event]:
        """What ``piece`` completes, in order. Nothing may follow TOO_LONG."""
        if self._after_cr or b"\r" in piece:
            piece = self._with_line_feeds(piece)
        if self._held:
            # An event of many pieces is looked through once, not once for each.
            seen = len(self._held)
            self._held += piece
            if self._held.find(b"\n\n", seen - 1) < 0:
                return self._hold(piece)
            piece = bytes(self._held)
            self._held.clear()
        *blocks, rest = piece.split(b"\n\n")
        events: list[Event] = []
        for block in blocks:
            if len(block) > self._max:
                return [*events, OddEvent.TOO_LONG]
            events.append(_event(block))
        self._held += rest
        return events + self._hold(rest) if rest else events

    def _with_line_feeds(self, piece: bytes) -> bytes:
        """The same with LF for CRLF and CR. A CR ends its line at once: whether an LF
        follows is seen in the next piece."""
        if self._after_cr and piece.startswith(b"\n"):
            piece = piece[1:]
        self._after_cr = piece.endswith(b"\r")
        return piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _hold(self, piece: bytes) -> list[Event]:
        """What is held now ends with ``piece``, and is not whole. Comments need no
        blank line behind them, so they must not pile up."""
        skipped = 0
        if b"\n" in piece and self._held.startswith((b":", b"\n")):
            before = _COMMENTS.match(bytes(self._held))
            if before is not None:
                skipped = before[0].count(b"\n")
                del self._held[: before.end()]
        events: list[Event] = [OddEvent.SKIPPED] * skipped
        if len(self._held) > self._max:
            events.append(OddEvent.TOO_LONG)
        return events


_COMMENTS = re.compile(rb"(?:(?::[^\n]*)?\n)+")


_DATA = frozenset({b"event: data", b"event:data"})
_NAMED = _DATA | {b"event: control", b"event:control"}


def _event(block: bytes) -> Event:
    """The event that these lines are."""
    first, _, rest = block.partition(b"\n")
    if first in _NAMED and rest.startswith(b"data:") and b"\n" not in rest:
        # As nearly all of them are written.
        value = rest[5:].removeprefix(b" ")
        return DataEvent((value,)) if first in _DATA else _control(value)
    kind = b""
    data: list[bytes] = []
    for line in block.split(b"\n"):
        name, _, value = line.partition(b":")
        if name == b"data":
            data.append(value.removeprefix(b" "))
        elif name == b"event":
            kind = value.removeprefix(b" ")
    if kind == b"data" and data:
        return DataEvent(tuple(data))
    if kind == b"control":
        return _control(b"\n".join(data))
    return OddEvent.SKIPPED


_PLAIN = re.compile(
    rb'\{"streamNextOffset":"(' + SAFE.encode("ascii") + rb"{1,256})\""
    rb'(?:,"streamCursor":"([0-9]{1,64})")?(,"upToDate":true)?\}'
)
"""A control event as most servers write it: no value has an escape in it, and no name
comes twice, so it says what it would as JSON."""


def _control(text: bytes) -> ControlEvent | OddEvent:
    plain = _PLAIN.fullmatch(text)
    if plain is not None:
        offset, cursor = plain[1].decode("ascii"), plain[2]
        if offset not in SENTINELS:
            told = None if cursor is None else cursor.decode("ascii")
            return ControlEvent(offset, told, plain[3] is not None, False)
    return _control_of_json(text)


def _control_of_json(text: bytes) -> ControlEvent | OddEvent:
    try:
        said = json.loads(text.decode())
    except (ValueError, RecursionError):
        return OddEvent.MALFORMED
    offset = said.get("streamNextOffset") if isinstance(said, dict) else None
    if not isinstance(offset, str) or not is_position(offset):
        return OddEvent.MALFORMED
    cursor = said.get("streamCursor")
    if not isinstance(cursor, str) or len(cursor) > MAX_CURSOR:
        cursor = None
    closed = said.get("streamClosed") is True
    return ControlEvent(offset, cursor, closed or said.get("upToDate") is True, closed)


def json_fragment(lines: tuple[bytes, ...]) -> bytes:
    """What the log keeps of a data event of a JSON stream (``json_arrays``).

    Raises Inexact unless the event is one line, of UTF-8 that nobody has mended, and an
    array: where a line ended, there may have been other white space (section 9.1).
    """
    if len(lines) != 1:
        raise Inexact("messages on several lines")
    text = lines[0]
    if not text.isascii() and (_REPLACED in text or not _is_utf8(text)):
        raise Inexact("characters that were replaced")
    try:
        return fragment(text)
    except ValueError as error:
        raise Inexact("no array") from error


def base64_bytes(lines: tuple[bytes, ...]) -> bytes:
    """The bytes of a data event of a stream that travels in base64 (RFC 4648 section
    4). Its lines are one text (section 5.8). Raises Inexact for anything else."""
    text = b"".join(lines)
    if len(text) % 4:
        raise Inexact("half of a base64 text")
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:
        raise Inexact("no base64") from error


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
