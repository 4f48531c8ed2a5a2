"""What the board tells a row: ``SlotWatch`` and ``News`` (W4 to W6).

Where a node has many processes, each learns by shared memory, the *board*, what passed
through the others. The board is cut into *slots*, a path belongs to one of them, and
whoever heard the origin's answer to a write stores in the path's slot before the writer
hears it. A row keeps a ``SlotWatch``: what it last saw of its slot. Before it claims
anything, it asks for the ``News`` since then (``edge.core.ports.Board``).

These are values: nothing here knows where the board lies. ``edge.board`` makes them.
"""

from dataclasses import dataclass
from typing import NamedTuple

COVERS_NOBODY = 0
"""The end digest of what no end covers: a write that named no offset, or several of
which one may lie further than the last."""


class BoardEpoch(NamedTuple):
    """What all rows of one keeper's streams have to think of. Both only ever grow.

    ``doubts``: how often a process died that may have written without saying so.
    ``gaps``: how often this process, or that keeper, was without a beat for too long.
    """

    doubts: int = 0
    gaps: int = 0


@dataclass(slots=True, eq=False)
class Pulse:
    """What one process knows of one keeper's beats, and of its own.

    Before ``fresh_until`` (monotonic seconds) neither is too old. ``epoch`` is replaced
    as a whole: rows know by identity that it is still the one that they saw.
    """

    fresh_until: float
    epoch: BoardEpoch


@dataclass(slots=True, eq=False)
class SlotWatch:
    """What one row last saw of its slot, and of its keeper's pulse.

    ``slot`` is the slot itself, in words; ``seen`` is what stood there. ``life`` is the
    path's digest by which other lives are told.
    """

    path: str
    life: int
    slot: memoryview
    seen: bytes
    pulse: Pulse
    epoch: BoardEpoch


class News(NamedTuple):
    """What has happened since a row last looked. At least one of the four holds.

    ``writes``: somebody's write to a path of this slot was acknowledged or lost; only
    an answer that is sent after now shows it, unless the row's end covers it
    (``Board.covers``, by ``ends``: for each process that stored, the digest of an end
    that has all that it stored).
    ``lives``: a path of this slot may have begun another life.
    ``doubt``: somebody died who may have written: confirm once.
    ``silent``: this process or the keeper has no fresh beat, or had none for a while
    since the row last looked: nothing that was known may be claimed.
    """

    writes: bool
    lives: bool
    doubt: bool
    silent: bool
    ends: tuple[int, ...] = ()
