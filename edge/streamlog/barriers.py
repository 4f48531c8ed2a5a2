"""Barriers: what a reader, and what an upstream read, knew of a stream (L4, L5).

Made by the ``Tail``, which says what follows from them. Here stands when an offset is
as far as all writes that a barrier knows of. Pure.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from edge.protocol.offsets import BEGIN, order


@dataclass(slots=True, eq=False)
class WriteMark:
    """A write of which another process of this node told (W5). Its offset is known by
    sight alone: ``matches`` says whether one is as far as that write. ``offset`` is
    that offset, once the tail has come to it. ``unplaced``: see ``Tail``, before it.
    """

    matches: Callable[[str], bool]
    unplaced: int
    offset: str | None = None

    def is_within(self, end: str) -> bool:
        """Whether what ends at ``end`` shows the write."""
        if self.offset is not None:
            return order(end) >= order(self.offset)
        return self.matches(end)


@dataclass(slots=True, eq=False)
class ReadBarrier:
    """What was known when a reader arrived: it must not be shown less (L4).

    Readers share one barrier if nothing was sent or heard between their arrivals.
    ``seq`` orders it among what was heard. ``writes`` counts the acknowledged writes
    seen by then. ``ack`` is the furthest offset that they named, None if any of them
    has no known offset. ``mark``: the last of them is known by sight alone, and those
    before it are within ``ack`` where there is one (W5).
    """

    seq: int
    writes: int
    ack: str | None
    mark: WriteMark | None = None

    def is_met_by(self, sent: "RequestSnapshot", end: str) -> bool:
        """Whether an answer that ends at ``end`` shows all of that: it was sent after
        those writes, or it reaches them."""
        return sent.writes >= self.writes or reaches(self, end)


class RequestSnapshot(NamedTuple):
    """What an upstream read carried when it was sent (L4, L5)."""

    at: float
    seq: int
    writes: int
    incarnation: int


def reaches(barrier: ReadBarrier, end: str) -> bool:
    """Whether ``end`` is at or beyond every write that is known to the barrier; False
    if nobody can tell."""
    ack, mark = barrier.ack, barrier.mark
    if mark is None:
        return ack is not None and order(end) >= order(ack)
    return mark.is_within(end) and order(end) >= order(ack or BEGIN)
