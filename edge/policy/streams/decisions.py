"""Decisions: what ``decide`` is told of a reader, and what it may return.

Values alone. ``edge.policy.streams.decide`` and ``above_end`` make decisions, and
``edge.live`` executes them.
"""

import enum
from dataclasses import dataclass
from typing import NamedTuple

from edge.core.errors import OriginFault
from edge.core.reasons import Reason
from edge.streamlog.barriers import ReadBarrier


class Kind(enum.Enum):
    """What is served; it says how fresh the answer is downstream (docs/rules.md)."""

    CLOSED_RANGE = "closed-range"  # data beyond it is known, or none can follow
    TAIL = "tail"  # it reaches the end that is known now
    LIVE = "live"  # it answers a live read
    EMPTY = "empty"  # nothing, at the end
    STALE = "stale"  # held data, while the origin is away


class Serve(NamedTuple):
    """Answer from the log: ``[start, next)``, or nothing when they are equal."""

    kind: Kind
    start: str
    next: str
    up_to_date: bool = False
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Park:
    """Wait at ``offset`` until the log grows.

    ``minted``: the origin minted it. Otherwise it is a guess above the end, where an
    origin that echoes has put the reader (U14).
    """

    offset: str
    minted: bool = True


@dataclass(frozen=True, slots=True)
class Fetch:
    """Ask the origin from ``start`` on, or by HEAD when it is None.

    ``fresh``: only a request that begins after this reader arrived will do. ``paced``:
    it is shared by all readers of this stream that are above its end, and there is one
    a second at most (U14).
    """

    start: str | None
    reason: Reason
    fresh: bool = False
    paced: bool = False


@dataclass(frozen=True, slots=True)
class Pass:
    """Pass the read through alone: not shared, not stored."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Refuse:
    """The origin failed, and no held data can stand in for it."""

    fault: OriginFault


@dataclass(frozen=True, slots=True)
class NoHead:
    """Tell a front that HEAD tells nothing of this stream (U12, W9)."""


Decision = Serve | Park | Fetch | Pass | Refuse | NoHead


class ReadState(NamedTuple):
    """The moment of the decision, and what the reader has met since it arrived.

    ``now`` is monotonic, ``wall`` Unix seconds. ``offset`` is where the reader
    stands: its own offset, or the offset that ``now`` stood for. ``fault`` says how
    the last upstream request that it waited for failed, None if it did not.
    ``asked`` counts those requests since it was last served or parked. ``head_tells``
    says whether HEAD may be asked of this stream (U12), ``arrives`` whether the reader
    is decided for the first time. ``is_front``: a front of this node asks (W9), which
    is an edge that polls, too (U8).
    """

    now: float
    wall: float
    offset: str
    barrier: ReadBarrier
    fault: OriginFault | None = None
    asked: int = 0
    head_tells: bool = True
    arrives: bool = False
    is_front: bool = False
