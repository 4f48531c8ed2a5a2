"""Frames: what goes over a channel, the one connection of a front and a keeper (W15).

A *channel* carries what a keeper pushes of all the streams that one front follows
there. The front begins it with ``GREETING``, with which no request of HTTP can begin.
Then each side sends frames: the length of what follows, the number of the followed
stream on this channel, a kind, and that many octets. Integers are in network order.

======== ========== ===========================================================
kind     sent by    what follows
======== ========== ===========================================================
OPEN     the front  the head of the request for an event stream, as for HTTP
CLOSE    the front  nothing: it follows that one no longer
HEAD     the keeper the head of the answer, as for HTTP: it will be pushed
PUSH     the keeper one range of the stream, or none, and where it ends (``Push``)
END      the keeper nothing: nothing more is pushed of that one
LEAVING  the keeper nothing: its process is about to end (W12)
RECORD   the front  the ``trace`` of a push whose span the keeper is to record
======== ========== ===========================================================

A number is used once on a channel. Whatever comes for one that has ended is dropped. A
frame that is longer than its reader allows, or that makes no sense, ends the channel.

Pure: bytes in, values out.
"""

import enum
import struct
from typing import NamedTuple

GREETING = b"\x00ds-channel/1\r\n"

_HEAD = struct.Struct("!IIB")
_PUSH = struct.Struct("!BHHH")

_UP_TO_DATE = 1
_CLOSED = 2
_STALE = 4
_TRACED = 8

MAX_NUMBER = 0xFFFFFFFF

TRACE_OCTETS = 55
"""Of a ``traceparent`` (W3C Trace Context, version 00)."""


class FrameKind(enum.IntEnum):
    """See the module."""

    OPEN = 1
    CLOSE = 2
    HEAD = 3
    PUSH = 4
    END = 5
    LEAVING = 6
    RECORD = 7


class BadFrame(Exception):
    """What came is no frame of a channel, or too long."""


class Frame(NamedTuple):
    """One frame as it came."""

    kind: FrameKind
    number: int
    payload: bytes


class Push(NamedTuple):
    """A range of a stream, or none (``data`` is empty), and what its keeper says of its
    end. ``data`` is a fragment in JSON streams. ``cursor`` is empty where the stream is
    closed. ``stale``: it is what is held while the origin is away. ``trace``: the span
    of the call that brought it to the keeper, as a ``traceparent``; empty where no
    traces are made."""

    start: str
    next: str
    cursor: str
    up_to_date: bool
    closed: bool
    data: bytes
    stale: bool = False
    trace: str = ""


_KINDS = {int(kind): kind for kind in FrameKind}


def frame(kind: FrameKind, number: int, payload: bytes = b"") -> bytes:
    """A frame as it is sent."""
    return _HEAD.pack(len(payload), number, kind) + payload


def push_payload(push: Push) -> bytes:
    """What a PUSH carries; the same for all fronts. Raises BadFrame for an offset that
    is too long to be told."""
    start, to, cursor = push.start.encode(), push.next.encode(), push.cursor.encode()
    trace = push.trace.encode()
    assert not trace or len(trace) == TRACE_OCTETS, "it is of version 00"
    flags = _UP_TO_DATE * push.up_to_date | _CLOSED * push.closed
    flags |= _STALE * push.stale | _TRACED * bool(trace)
    try:
        head = _PUSH.pack(flags, len(start), len(to), len(cursor))
    except struct.error:
        raise BadFrame("an offset is too long") from None
    return b"".join((head, start, to, cursor, trace, push.data))


def push_of(payload: bytes) -> Push:
    """What a PUSH carried. Raises BadFrame."""
    try:
        flags, start, to, cursor = _PUSH.unpack_from(payload)
        to_at = _PUSH.size + start
        cursor_at = to_at + to
        trace_at = cursor_at + cursor
        data_at = trace_at + TRACE_OCTETS * bool(flags & _TRACED)
        if data_at > len(payload):
            raise BadFrame("a push ends within its offsets")
        return Push(
            payload[_PUSH.size : to_at].decode(),
            payload[to_at:cursor_at].decode(),
            payload[cursor_at:trace_at].decode(),
            bool(flags & _UP_TO_DATE),
            bool(flags & _CLOSED),
            payload[data_at:],
            bool(flags & _STALE),
            payload[trace_at:data_at].decode(),
        )
    except (struct.error, UnicodeDecodeError):
        raise BadFrame("a push that cannot be read") from None


class FrameReader:
    """Parts what is received into frames of at most ``limit`` octets each."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = b""

    @property
    def is_within(self) -> bool:
        """Whether a frame has begun that is not whole yet."""
        return bool(self._held)

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that ``data`` completes. Raises BadFrame: then nothing more can be
        told apart."""
        held = self._held + data if self._held else data
        out: list[Frame] = []
        at, size = 0, len(held)
        while size - at >= _HEAD.size:
            length, number, kind = _HEAD.unpack_from(held, at)
            known = _KINDS.get(kind)
            if known is None or length > self._limit:
                raise BadFrame(f"a frame of kind {kind} and {length} octets")
            begins = at + _HEAD.size
            if size - begins < length:
                break
            at = begins + length
            out.append(Frame(known, number, held[begins:at]))
        self._held = held[at:]
        return out
