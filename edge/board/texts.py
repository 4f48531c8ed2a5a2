"""TextPlace: a text of the board, whole at any time.

A text has two halves. Its one writer writes into the half that nobody is sent to, and
then stores the number of the text, whose last bit says which half it stands in::

    number    in a word of the lane's: 0: no text yet
    half      octets, checksum, boot of the writer; then the text

A writer that is killed at any point leaves the text before whole. A reader that is
overtaken by two texts finds that the number moved, or that the checksum does not fit,
and reads again; the checksum also sees to processors that reorder stores.

Used by ``edge.board.sums``.
"""

import zlib
from typing import NamedTuple

from edge.board.layout import TEXT_HEADS, WORD

MAX_TRIES = 1000
"""How often a text is read that changes while it is read. A process stores one text a
second, and reading one takes microseconds."""


class BoardText(NamedTuple):
    """A text, and the boot of the process that stored it."""

    boot: int
    octets: bytes


class TextPlace:
    """Where one text stands. ``number`` is the word with its number, ``start`` its
    first octet, ``capacity`` how long it may be."""

    __slots__ = ("_capacity", "_memory", "_number", "_start", "_words")

    def __init__(
        self,
        words: memoryview,
        memory: memoryview,
        number: int,
        start: int,
        capacity: int,
    ) -> None:
        self._words = words
        self._memory = memory
        self._number = number
        self._start = start
        self._capacity = capacity

    def store(self, boot: int, octets: bytes) -> bool:
        """Whether there was room for it; else the text before stands."""
        if len(octets) > self._capacity:
            return False
        number = self._words[self._number] + 1
        head = self._head(number)
        first = head * WORD + TEXT_HEADS
        self._memory[first : first + len(octets)] = octets
        self._words[head] = len(octets)
        self._words[head + 1] = zlib.crc32(octets, boot & 0xFFFF_FFFF)
        self._words[head + 2] = boot
        self._words[self._number] = number
        return True

    @property
    def boot(self) -> int:
        """Who stored the text that stands there; 0: nobody ever did."""
        number = self._words[self._number]
        return int(self._words[self._head(number) + 2]) if number else 0

    def read(self) -> BoardText | None:
        """The text as it stood at one moment; None: none was ever stored. RuntimeError
        if it changes all the time, which no process of a node does."""
        for _ in range(MAX_TRIES):
            number = self._words[self._number]
            if not number:
                return None
            head = self._head(number)
            octets, checksum, boot = self._words[head : head + 3].tolist()
            first = head * WORD + TEXT_HEADS
            text = bytes(self._memory[first : first + min(octets, self._capacity)])
            if (
                self._words[self._number] == number
                and zlib.crc32(text, boot & 0xFFFF_FFFF) == checksum
            ):
                return BoardText(boot, text)
        raise RuntimeError("a text of the board changes while it is read")

    def _head(self, number: int) -> int:
        """The first word of the half in which the text with this number stands."""
        octets = self._start + (number & 1) * (TEXT_HEADS + self._capacity)
        return octets // WORD
