"""TallyTable: how many of each key a process has, in its lane of the board (W13).

A lane's tallies are buckets of eight words. A word is a key's tag and a count::

    44 bits   a digest of what is counted and of its key, never 0
    20 bits   how many of it this process has, never 0; so many or more, at most

A word of 0 is free. A key has two buckets, and a word in one of them for as long as its
process has any: in that where fewer words are taken. All this follows from a digest
under the board's secret, so nobody outside can have keys meet in a bucket, or share a
tag. One process stores into a lane, whole words, so nothing is locked and nobody reads
half of a count. The master clears what a holder leaves.

Where both buckets are full a key is counted in its process alone. Up to 48,000 keys of
a process that happens to none, but by chance.
"""

from collections.abc import Iterable

from edge.board.layout import TALLY_BUCKET_WORDS, Field
from edge.board.memory import BoardMemory
from edge.board.path_digests import TAG_BITS
from edge.core.node_bounds import Bounded

COUNT_BITS = 64 - TAG_BITS
MAX_COUNT = (1 << COUNT_BITS) - 1


class KeyTally:
    """One key: where its word may stand, where it stands in this lane (None: nowhere),
    and how many this process has."""

    __slots__ = ("at", "buckets", "count", "tag")

    def __init__(self, tag: int, buckets: tuple[int, ...]) -> None:
        self.tag = tag
        self.buckets = buckets
        self.at: int | None = None
        self.count = 0


class TallyTable:
    """The tallies of a board, as the holder of a lane has them."""

    def __init__(self, memory: BoardMemory, lane: int) -> None:
        self._digests = memory.digests
        self._words = memory.words
        layout = memory.layout
        self._lane = lane
        first = layout.field(Field.TALLIED)
        self._used = first + lane
        self._all_used = self._words[first : first + layout.lanes]
        self._regions = [layout.tally(each) for each in range(layout.lanes)]

    def tally(self, what: Bounded, key: str) -> KeyTally:
        """That of a key of which this process has none."""
        return KeyTally(*self._digests.tally(what.value, key))

    def store(self, tally: KeyTally, count: int) -> None:
        """This process has so many of it. One of which it has none is used no more."""
        tally.count = count
        if tally.at is None and count:
            tally.at = self._free_word(tally)
        if tally.at is None:
            return
        stored = min(count, MAX_COUNT)
        self._words[tally.at] = tally.tag << COUNT_BITS | stored if stored else 0

    def others(self, tally: KeyTally, lanes: Iterable[int]) -> int:
        """How many the holders of these lanes have, this process left out."""
        used, own = self._all_used, self._lane
        return sum(
            self._count(tally, lane) for lane in lanes if lane != own and used[lane]
        )

    def _count(self, tally: KeyTally, lane: int) -> int:
        for bucket in tally.buckets:
            for word in self._bucket(lane, bucket):
                if word >> COUNT_BITS == tally.tag:
                    return word & MAX_COUNT
        return 0

    def _free_word(self, tally: KeyTally) -> int | None:
        """A free word in the bucket of this key that has more of them."""
        lane = self._lane
        # Before the first word: the master clears what is used.
        self._words[self._used] = 1
        told = [(self._bucket(lane, each), each) for each in tally.buckets]
        words, bucket = max(told, key=lambda one: one[0].count(0))
        if 0 not in words:
            return None
        return self._regions[lane] + bucket * TALLY_BUCKET_WORDS + words.index(0)

    def _bucket(self, lane: int, bucket: int) -> list[int]:
        first = self._regions[lane] + bucket * TALLY_BUCKET_WORDS
        return self._words[first : first + TALLY_BUCKET_WORDS].tolist()
