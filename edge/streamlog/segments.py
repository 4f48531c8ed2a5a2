"""Segments: the bytes that a log holds, in ordered pieces that never overlap.

A ``Segment`` is a run of adjoining closed ranges, held as one piece of bytes. It knows
the offsets at which its ranges meet (*boundaries*) and where in its bytes each of them
lies. It decides where a page may be cut (L9) and which boundaries may be forgotten
(L10). ``Segments`` finds offsets and neighbours, makes the changes that
``edge.streamlog.joining`` decided on, and keeps count of the cost. Neither class
judges whether bytes may be joined, and neither looks into them.

Boundaries are of two kinds. The origin returned the *minted* ones. A client asked for
the *guessed* ones, and the origin answered (L1). A reader may start at a guessed
offset, but is never given one as its next offset. The end is always minted. Two
offsets may lie at one position: an empty answer makes aliases (L8).

Neighbours are *adjoining* when one ends at the offset where the next begins. Small
adjoining segments are merged: a page then need not end where two answers met. Large
ones stay apart, because eviction takes whole segments.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Container, Iterator
from typing import NamedTuple

from edge.core import costs
from edge.protocol.offsets import BEGIN, order

SEGMENT_SIZE = 4 * 1024 * 1024
"""A segment that holds this much is not appended to."""

MAX_OPEN_SEGMENTS = 4
"""Limit of empty segments at the end. Each is a tail that a HEAD told."""

THIN_RECENT = 256 * 1024
THIN_STRIDE = 16 * 1024
THIN_EVERY = 1024
"""L10: boundaries older than the last 256 KiB are thinned to one per 16 KiB. The log is
looked through each time so many boundaries were added."""


class Segment:
    """Bytes from ``start`` to ``end``, with every boundary known between them.

    ``cost`` is its share of the byte budget: data, boundaries and the object itself.
    """

    __slots__ = ("_data", "_guessed", "_orders", "_positions", "cost")

    def __init__(self, start: str, minted: bool = True) -> None:
        self._data = bytearray()
        # Parallel and ascending: sort key and position of the n-th boundary.
        self._orders = [order(start)]
        self._positions = array("Q", (0,))
        self._guessed: set[str] = set() if minted else {order(start)}
        self.cost = costs.SEGMENT + _cost(order(start))

    def __repr__(self) -> str:
        return f"<Segment {self.start}..{self.end} {len(self._data)} B>"

    @property
    def start(self) -> str:
        return self._orders[0] or BEGIN

    @property
    def end(self) -> str:
        return self._orders[-1] or BEGIN

    @property
    def length(self) -> int:
        """Bytes of data held."""
        return len(self._data)

    @property
    def boundaries(self) -> tuple[tuple[str, int], ...]:
        """Every boundary with its position, in order."""
        offsets = (key or BEGIN for key in self._orders)
        return tuple(zip(offsets, self._positions, strict=True))

    # Asking

    def position(self, offset: str) -> int | None:
        """Where ``offset`` lies, None when it is no boundary here."""
        return self.position_of(order(offset))

    def position_of(self, key: str) -> int | None:
        """The same of an offset's sort key."""
        orders = self._orders
        index = bisect_left(orders, key)
        found = index < len(orders) and orders[index] == key
        return self._positions[index] if found else None

    def is_minted(self, offset: str) -> bool:
        """Whether ``offset`` is a boundary here that the origin returned."""
        key = order(offset)
        return key not in self._guessed and self._index(key) is not None

    def copy(self, start: int, end: int | None = None) -> bytes:
        """A copy of the data between two positions, and of nothing else."""
        return bytes(memoryview(self._data)[start:end])

    def matches(self, position: int, piece: bytes | memoryview) -> bool:
        """Whether ``piece`` stands at ``position``. Copies nothing."""
        return self._data.startswith(piece, position)

    def cut(self, position: int, max_page: int) -> tuple[str, int] | None:
        """Where a page from ``position`` ends: (offset, position); L9.

        The last minted boundary within ``max_page`` bytes, else the first one
        beyond. None at the end.
        """
        length = len(self._data)
        if position < length <= position + max_page:
            # The end is minted, and nothing is further.
            return self.end, length
        beyond = bisect_right(self._positions, position)
        within = bisect_right(self._positions, position + max_page)
        return self._last_minted(beyond, within) or self._first_minted(within)

    def last_boundary_before_end(self) -> tuple[str, int] | None:
        """The last minted boundary that lies before the end's position, if any."""
        return self._last_minted(0, bisect_left(self._positions, self.length))

    def _index(self, key: str) -> int | None:
        index = bisect_left(self._orders, key)
        found = index < len(self._orders) and self._orders[index] == key
        return index if found else None

    def _last_minted(self, first: int, beyond: int) -> tuple[str, int] | None:
        for index in range(beyond - 1, first - 1, -1):
            if self._orders[index] not in self._guessed:
                return self._orders[index] or BEGIN, self._positions[index]
        return None

    def _first_minted(self, first: int) -> tuple[str, int] | None:
        for index in range(first, len(self._orders)):
            if self._orders[index] not in self._guessed:
                # The last of its aliases: that is the furthest offset.
                beyond = bisect_right(self._positions, self._positions[index])
                return self._last_minted(index, beyond)
        return None

    # Growing

    def extend(self, data: bytes | memoryview, end: str) -> None:
        """Append one closed range up to ``end``, which sorts after the present end."""
        key = order(end)
        self._data += data
        self._orders.append(key)
        self._positions.append(len(self._data))
        self.cost += len(data) + _cost(key)

    def prepend(self, start: str, data: bytes | memoryview, minted: bool) -> None:
        """Put one closed range in front. ``start`` sorts before the present start."""
        self._data[:0] = data
        moved = (position + len(data) for position in self._positions)
        self._positions = array("Q", (0, *moved))
        self._orders.insert(0, order(start))
        if not minted:
            self._guessed.add(order(start))
        self.cost += len(data) + _cost(order(start))

    def mark(self, offset: str, position: int, minted: bool = True) -> bool:
        """Add a boundary at ``position``. A guessed one may become minted, never back.

        Returns False and changes nothing on a contradiction: the offset is known at
        another position, or the positions would not ascend as the offsets do.
        """
        key = order(offset)
        index = bisect_left(self._orders, key)
        if index < len(self._orders) and self._orders[index] == key:
            return self._mark_again(index, position, minted)
        before = self._positions[index - 1] if index else 0
        after = self._positions[index] if index < len(self._positions) else -1
        if not before <= position <= after:
            return False
        self._orders.insert(index, key)
        self._positions.insert(index, position)
        self.cost += _cost(key)
        if not minted:
            self._guessed.add(key)
        return True

    def _mark_again(self, index: int, position: int, minted: bool) -> bool:
        if self._positions[index] != position:
            return False
        if minted:
            self._guessed.discard(self._orders[index])
        return True

    def absorb(self, between: bytes | memoryview, later: "Segment") -> None:
        """Take over the segment ``later``, and the bytes ``between`` the two."""
        self._data += between
        shift = len(self._data)
        self._data += later._data
        self._orders += later._orders
        self._positions.extend(place + shift for place in later._positions)
        self._guessed |= later._guessed
        self.cost += len(between) + later.cost - costs.SEGMENT

    # Shrinking

    def thin(self, before: int, stride: int, keep: Container[str]) -> None:
        """Forget boundaries before position ``before``; keep one per ``stride`` (L10).

        The first and its minted aliases, the last, and those in ``keep`` stay.
        Costs nothing when there is nothing to forget, so calling it often is cheap.
        """
        old = min(bisect_left(self._positions, before), len(self._orders) - 1)
        if old <= 2 + before // stride:
            return
        kept = self._worth_keeping(old, stride, keep)
        forgotten = set(range(old)).difference(kept)
        for index in forgotten:
            self.cost -= _cost(self._orders[index])
            self._guessed.discard(self._orders[index])
        self._orders[:old] = [self._orders[index] for index in kept]
        self._positions[:old] = array("Q", (self._positions[index] for index in kept))

    def _worth_keeping(self, old: int, stride: int, keep: Container[str]) -> list[int]:
        """Which of the first ``old`` boundaries stay.

        Only minted ones count for the stride: a page cannot end at a guess.
        """
        kept, last = [0], 0
        for index in range(1, old):
            key, position = self._orders[index], self._positions[index]
            useful = position == 0 or position - last >= stride
            if useful and key not in self._guessed:
                kept.append(index)
                last = position
            elif key in keep:
                kept.append(index)
        return kept


class SegmentPosition(NamedTuple):
    """A boundary: the segment that holds it, and where in its bytes."""

    segment: Segment
    position: int


class Segments:
    """The segments of one log, ascending. ``cost`` is the sum of theirs."""

    __slots__ = ("_added", "_segments", "_starts", "cost")

    def __init__(self) -> None:
        self._segments: list[Segment] = []
        # Parallel to the segments: the sort key of each one's start.
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

    def find(self, offset: str) -> SegmentPosition | None:
        """Where ``offset`` is a boundary, None when it is none."""
        key, starts = order(offset), self._starts
        # Most that is asked for lies in the last one.
        index = len(starts) - 1
        if index < 0 or key < starts[index]:
            index = bisect_right(starts, key) - 1
            if index < 0:
                return None
        segment = self._segments[index]
        position = segment.position_of(key)
        return None if position is None else SegmentPosition(segment, position)

    def ahead(self, place: SegmentPosition) -> SegmentPosition:
        """The same place, in the segment that holds the bytes after it: the end of a
        segment becomes the start of the adjoining one."""
        if place.position < place.segment.length:
            return place
        following = self.after(place.segment)
        return place if following is None else self.ahead(SegmentPosition(following, 0))

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
        """The segments that an answer ``[start, end)`` overlaps, and the one that
        begins at ``end``."""
        first = bisect_right(self._starts, order(start)) - 1
        if first < 0 or order(self._segments[first].end) <= order(start):
            first += 1
        return self._segments[first : bisect_right(self._starts, order(end))]

    def distance(self, place: SegmentPosition) -> int | None:
        """Bytes from a place to the end of the log; None when a hole lies between."""
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
        """Add an empty segment at ``offset``, behind all others.

        A stream that is only asked for its tail would pile them up, so the oldest
        goes once there are MAX_OPEN_SEGMENTS. A reader at its offset pays one fetch.
        """
        waiting = self._segments[-MAX_OPEN_SEGMENTS:]
        if len(waiting) == MAX_OPEN_SEGMENTS and not any(s.length for s in waiting):
            self.remove(waiting[:1])
        self._insert(Segment(offset))

    def add(self, start: str, end: str, data: memoryview, minted: bool) -> None:
        """Add an answer that meets no segment: to the segment that ends at its start,
        if that one is small, or as a segment of its own."""
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
        """Fill the hole from ``start`` to where ``segment`` begins."""
        index = self._index(segment)
        previous = self._segments[index - 1] if index else None
        if previous is not None and previous.end != start:
            previous = None
        size = len(data) + segment.length
        # No two segments begin at one offset, so an empty one before the hole is
        # always merged. No page may end at a guess, so a guessed seam is merged too.
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
        """Drop segments that are next to each other."""
        if adjacent:
            first = self._index(adjacent[0])
            del self._segments[first : first + len(adjacent)]
            del self._starts[first : first + len(adjacent)]
            self.cost -= sum(segment.cost for segment in adjacent)

    def evict_first(self) -> int:
        """Drop the oldest segment unless it is the only one; bytes freed, 0 if none."""
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


def _cost(key: str) -> int:
    return costs.BOUNDARY + len(key)
