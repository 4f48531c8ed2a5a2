"""TimedTags: so many keys, each with a time, in words that all processes store into.

A *word* is a tag, some bits of a digest of the key, and a time, in whole units. The
digest says in which *bucket* of eight words a key stands; anywhere there. Where a
bucket is full, the one with the least time gives way. A time of nought is none: an
empty word is one that nobody looks for.

Any process may store any word. One word is one store, so none is ever half of two. But
who stores has read before. 1: A reads a bucket; 2: B reads it; 3: both store. If it is
for the same key, the time of who is last stands; if it is for two keys and one word,
the key of who was first is gone.
No word can become worse than that, whoever is stopped or killed where: there is no
lock, and nothing that must be repaired. What a key's user makes of a lost store, that
one says (``node_denials``).

Two words of a bucket may have one tag: processes that store at the same instant, into
two words. The one with the greater time counts, and both are forgotten together.
Knows neither keys nor clocks. Pure.
"""

BUCKET = 8
"""Words of a bucket."""


class TimedTags:
    """The words of one table. ``words`` are whole buckets, ``tag_bits`` the bits of a
    word that are the tag's; all others are the time's."""

    __slots__ = ("_buckets", "_latest", "_time_bits", "_words")

    def __init__(self, words: memoryview, tag_bits: int) -> None:
        self._words = words
        self._buckets = len(words) // BUCKET
        self._time_bits = 64 - tag_bits
        self._latest = (1 << self._time_bits) - 1

    def get(self, digest: int) -> int:
        """The time of a key, by its digest of 64 bits; 0: none is known."""
        tag = digest >> self._time_bits
        found = self._bucket(digest)
        times = [word & self._latest for word in found if self._tag(word) == tag]
        return max(times, default=0)

    def put(self, digest: int, time: int) -> None:
        """Store a key's time, if it is later than the one that stands there. One that
        is too late for a word is the latest."""
        tag = digest >> self._time_bits
        found = self._bucket(digest)
        new = tag << self._time_bits | min(time, self._latest)
        # Its own word, the one that counts if there are two; or the least of all.
        own = [word for word in found if self._tag(word) == tag]
        old = max(own) if own else min(found, key=self._latest.__and__)
        if old not in own or old < new:
            self._words[self._first(digest) + found.index(old)] = new

    def drop(self, digest: int) -> None:
        """Forget a key."""
        tag, first = digest >> self._time_bits, self._first(digest)
        for number, word in enumerate(self._bucket(digest)):
            if self._tag(word) == tag:
                self._words[first + number] = 0

    def _tag(self, word: int) -> int:
        return word >> self._time_bits

    def _first(self, digest: int) -> int:
        return digest % self._buckets * BUCKET

    def _bucket(self, digest: int) -> list[int]:
        first = self._first(digest)
        return self._words[first : first + BUCKET].tolist()
