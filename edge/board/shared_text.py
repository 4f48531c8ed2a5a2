"""SharedText: one text that one process writes, and those that it forked read.

Its memory is anonymous and shared, as a board's is (``edge.board.memory``), and made
before the first fork; there is one also where a worker is alone. The text is whole at
any time (``edge.board.texts``).
"""

import mmap

from edge.board.layout import TEXT_HEADS, WORD
from edge.board.texts import TextPlace

WRITER = 1
"""The boot by which the one writer stores: it is never another."""


class SharedText:
    """A text of at most ``capacity`` octets, which is a multiple of eight."""

    def __init__(self, capacity: int) -> None:
        size = WORD + 2 * (TEXT_HEADS + capacity)
        octets = memoryview(mmap.mmap(-1, size))
        self._place = TextPlace(octets.cast("Q"), octets, 0, WORD, capacity)

    def store(self, octets: bytes) -> bool:
        """For the writer alone. Whether there was room; else the text before stands."""
        return self._place.store(WRITER, octets)

    def read(self) -> bytes | None:
        """The text that was stored last; None: none was."""
        text = self._place.read()
        return None if text is None else text.octets
