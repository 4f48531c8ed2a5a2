"""Segments: what a log holds, in order: pieces of bytes that never overlap.

It finds offsets and neighbours, makes the changes that ``edge.streamlog.joining``
decided on, and keeps count of the cost. It never judges an answer, and never
looks at what the bytes are.

Neighbours are *adjoining* when one ends at the offset where the next begins.
Adjoining ones are made one while they stay small, so that pages need not end
where answers happened to meet; large ones stay apart, because eviction takes
whole segments.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Container, Iterator
from typing import NamedTuple

from edge.protocol.offsets import order
from edge.streamlog.segment import Segment

SEGMENT_SIZE = 4 * 1024 * 1024
"""A segment that holds this much is not appended to."""

OPEN_PLACES = 4
"""How many segments without bytes may stand at the end: tails that HEADs told."""

THIN_RECENT = 256 * 1024
THIN_STRIDE = 16 * 1024
THIN_EVERY = 1024
"""L10: boundaries older than the last 256 KiB are thinned to one per 16 KiB,
looked after each time this many were added."""


class Place(NamedTuple):
    """A boundary: the segment that holds it, and where in its bytes."""

    segment: Segment
    position: int


class Segments:
    """The segments of one log, ascending. ``cost`` is the sum of theirs."""

    __slots__ = ("_added", "_segments", "_starts", "cost")

    def __init__(self) -> None:
        self._segments: list[Segment] = []
        # In step with the segments: the sort key of each one's start.
        self._starts: list[str] = []
        self._added = 0
        self.cost = 0

    def __iter__(self) -> Iterator[Segment]:
        return iter(self._segments)

    def __len__(self) -> int:
        return len(self._segments)

    @property
    def last(self) -> Segment | None:
        return self._segments[-1] if self._segments else None

    # Finding

    def find(self, offset: str) -> Place | None:
        """Where ``offset`` is a boundary, None when it is none."""
        index = bisect_right(self._starts, order(offset)) - 1
        if index < 0:
            return None
        segment = self._segments[index]
        position = segment.position(offset)
        return None if position is None else Place(segment, position)

    def ahead(self, place: Place) -> Place:
        """The same place, where the bytes that follow it are: the start of an
        adjoining segment rather than the end of the one before."""
        following = self.after(place.segment)
        if place.position < place.segment.length or following is None:
            return place
        return self.ahead(Place(following, 0))

    def after(self, segment: Segment) -> Segment | None:
        """The segment that begins at the offset where this one ends."""
        index = self._index(segment) + 1
        if index < len(self._starts) and self._starts[index] == order(segment.end):
            return self._segments[index]
        return None

    def before(self, segment: Segment) -> Segment | None:
        """The segment that ends at the offset where this one begins."""
        index = self._index(segment) - 1
        if index >= 0 and self._segments[index].end == segment.start:
            return self._segments[index]
        return None

    def met(self, start: str, end: str) -> list[Segment]:
        """The segments that an answer ``[start, end)`` overlaps, or begins before
        and reaches."""
        first = bisect_right(self._starts, order(start)) - 1
        if first < 0 or order(self._segments[first].end) <= order(start):
            first += 1
        return self._segments[first : bisect_right(self._starts, order(end))]

    def distance(self, place: Place) -> int | None:
        """Bytes from a place to the end of all; None when a hole lies between."""
        segment, total = place.segment, -place.position
        while True:
            total += segment.length
            following = self.after(segment)
            if following is None:
                return total if segment is self.last else None
            segment = following

    def _index(self, segment: Segment) -> int:
        return bisect_left(self._starts, order(segment.start))

    # Growing

    def open(self, offset: str) -> None:
        """Hold the place after everything else, and nothing in it.

        A stream that is only asked for its tail would pile such places up, so
        the oldest of them go: whoever stands there pays one fetch.
        """
        waiting = self._segments[-OPEN_PLACES:]
        if len(waiting) == OPEN_PLACES and not any(s.length for s in waiting):
            self.remove(waiting[:1])
        self._insert(Segment(offset))

    def add(self, start: str, end: str, data: memoryview, minted: bool) -> None:
        """Hold an answer that meets no segment: behind the one that ends there."""
        index = bisect_right(self._starts, order(start)) - 1
        segment = self._segments[index] if index >= 0 else None
        if (
            segment is None
            or segment.end != start
            or (segment.length >= SEGMENT_SIZE and data)
        ):
            self._insert(_piece(start, end, data, minted))
        else:
            self.cost -= segment.cost
            segment.extend(data, end)
            self.cost += segment.cost
            self._added += 1

    def fill(
        self, segment: Segment, start: str, data: memoryview, minted: bool
    ) -> None:
        """Hold the bytes of the hole from ``start`` to where ``segment`` begins."""
        index = self._index(segment)
        previous = self._segments[index - 1] if index else None
        if previous is not None and previous.end != start:
            previous = None
        size = len(data) + segment.length
        # Two segments never begin at one offset, so a place kept open goes in any
        # case; and no page may end at a guess, so a seam that is one goes too.
        if previous and (not previous.length or previous.length + size <= SEGMENT_SIZE):
            self._absorb(previous, data, segment)
        elif size <= SEGMENT_SIZE or not data or not segment.is_minted(segment.start):
            self._prepend(segment, start, data, minted)
        else:
            self.add(start, segment.start, data, minted)

    def mark(self, segment: Segment, offset: str, position: int, minted: bool) -> bool:
        """``Segment.mark``, counted. Not for an offset before the segment's start."""
        before = segment.cost
        agreed = segment.mark(offset, position, minted)
        if segment.cost != before:
            self.cost += segment.cost - before
            self._added += 1
        return agreed

    def _prepend(
        self, segment: Segment, start: str, data: memoryview, minted: bool
    ) -> None:
        index = self._index(segment)
        self.cost -= segment.cost
        if data:
            segment.prepend(start, data, minted)
        else:
            segment.mark(start, 0, minted)
        self.cost += segment.cost
        self._starts[index] = order(start)
        self._added += 1

    def _absorb(self, previous: Segment, data: memoryview, segment: Segment) -> None:
        self.remove([segment])
        self.cost -= previous.cost
        previous.absorb(data, segment)
        self.cost += previous.cost
        self._added += 1

    def _insert(self, segment: Segment) -> None:
        index = self._index(segment)
        self._segments.insert(index, segment)
        self._starts.insert(index, order(segment.start))
        self.cost += segment.cost
        self._added += 2

    # Shrinking

    def remove(self, adjacent: list[Segment]) -> None:
        """Drop segments that stand next to each other."""
        if adjacent:
            first = self._index(adjacent[0])
            del self._segments[first : first + len(adjacent)]
            del self._starts[first : first + len(adjacent)]
            self.cost -= sum(segment.cost for segment in adjacent)

    def evict_first(self) -> int:
        """Drop the oldest segment but not the last one; bytes freed, 0 if none."""
        if len(self._segments) < 2:
            return 0
        oldest = self._segments[0]
        self.remove([oldest])
        return oldest.cost

    def thin(self, keep: Container[str]) -> None:
        """Thin old boundaries if enough were added to look (L10)."""
        if self._added < THIN_EVERY:
            return
        self._added = 0
        beyond = 0
        for segment in reversed(self._segments):
            old = segment.length - max(0, THIN_RECENT - beyond)
            if old > 0:
                self.cost -= segment.cost
                segment.thin(old, THIN_STRIDE, keep)
                self.cost += segment.cost
            beyond += segment.length


def _piece(start: str, end: str, data: memoryview, minted: bool) -> Segment:
    piece = Segment(start, minted)
    piece.extend(data, end)
    return piece
