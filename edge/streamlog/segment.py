"""Segment: a run of adjoining closed ranges, held as one piece of bytes.

A segment knows the offsets at which its ranges meet (*boundaries*) and where
in its bytes each of them lies. It decides where a page may be cut (L9)
and which boundaries may be forgotten (L10). It never judges whether bytes may
be joined (``edge.streamlog.joining`` does) and never sees another segment but to
absorb it. ``edge.streamlog.segments`` is the only one that changes it.

Two kinds of boundary: *minted* ones, which the origin returned, and *guessed*
ones, which a client asked for and the origin answered (L1). A guessed offset
can be read from, and is never handed out as anybody's next offset. The end is
always minted.

Two offsets may lie at one position: an empty answer makes aliases (L8).
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Container

from edge.protocol.offsets import BEGIN, order

BOUNDARY_COST = 80
"""Bytes that a boundary costs beside its offset's characters (L10): the str's
own head, its slot and its position's, and what lists keep in reserve."""

SEGMENT_COST = 512
"""Bytes that a segment costs before it holds anything."""


class Segment:
    """Bytes from ``start`` to ``end``, with every boundary known between them.

    ``cost`` is what it counts in the byte budget: data, boundaries, itself.
    """

    __slots__ = ("_data", "_guessed", "_orders", "_positions", "cost")

    def __init__(self, start: str, minted: bool = True) -> None:
        self._data = bytearray()
        # Ascending and in step: the n-th boundary's sort key and position.
        self._orders = [order(start)]
        self._positions = array("Q", (0,))
        self._guessed: set[str] = set() if minted else {order(start)}
        self.cost = SEGMENT_COST + _cost(order(start))

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
        index = self._index(order(offset))
        return None if index is None else self._positions[index]

    def is_minted(self, offset: str) -> bool:
        """Whether ``offset`` is a boundary here that the origin returned."""
        key = order(offset)
        return key not in self._guessed and self._index(key) is not None

    def copy(self, start: int, end: int | None = None) -> bytes:
        """A copy of the data between two positions, and of nothing else."""
        with memoryview(self._data) as view:
            return bytes(view[start:end])

    def matches(self, position: int, piece: bytes | memoryview) -> bool:
        """Whether ``piece`` stands at ``position``. Copies nothing."""
        return self._data.startswith(piece, position)

    def cut(self, position: int, max_page: int) -> tuple[str, int] | None:
        """Where a page from ``position`` ends: (offset, position); L9.

        The last minted boundary within ``max_page`` bytes, else the first one
        beyond. None at the end.
        """
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
                # Of aliases the last one: it is the furthest.
                beyond = bisect_right(self._positions, self._positions[index])
                return self._last_minted(index, beyond)
        return None

    # Growing

    def extend(self, data: bytes | memoryview, end: str) -> None:
        """Append one closed range ending at ``end``, which sorts after ours."""
        self._data += data
        self._orders.append(order(end))
        self._positions.append(len(self._data))
        self.cost += len(data) + _cost(order(end))

    def prepend(self, start: str, data: bytes | memoryview, minted: bool) -> None:
        """Put one closed range before, beginning at ``start``, which sorts before."""
        self._data[:0] = data
        moved = (position + len(data) for position in self._positions)
        self._positions = array("Q", (0, *moved))
        self._orders.insert(0, order(start))
        if not minted:
            self._guessed.add(order(start))
        self.cost += len(data) + _cost(order(start))

    def mark(self, offset: str, position: int, minted: bool = True) -> bool:
        """Know a boundary at ``position``; a guessed one may become minted, never back.

        False, and nothing changes, when that contradicts what is known: the
        offset lies elsewhere, or the positions would not ascend as offsets do.
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
        """Take over a segment that begins later, and the bytes up to there."""
        self._data += between
        shift = len(self._data)
        self._data += later._data
        self._orders += later._orders
        self._positions.extend(place + shift for place in later._positions)
        self._guessed |= later._guessed
        self.cost += len(between) + later.cost - SEGMENT_COST

    # Shrinking

    def thin(self, before: int, stride: int, keep: Container[str]) -> None:
        """Forget boundaries before position ``before``, but one per ``stride`` (L10).

        The first, its minted aliases, the last, and those in ``keep`` stay.
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


def _cost(key: str) -> int:
    return BOUNDARY_COST + len(key)
