"""Agenda: who is due when, for tens of thousands of readers.

A wheel of quarter seconds: setting, moving and removing cost the same however
many readers there are, and one that is done leaves nothing behind. Pure but for
what it holds; the ticker asks it with its own ``now``.
"""

from collections.abc import Iterator

from edge.live.reader import Reader

GRAIN = 0.25
"""Seconds in one slot: nobody is due more precisely than that."""


class Agenda:
    """One time per reader. Times are monotonic seconds."""

    __slots__ = ("_done_to", "_slots")

    def __init__(self, now: float) -> None:
        self._slots: dict[int, dict[Reader, None]] = {}
        self._done_to = int(now / GRAIN)

    def __len__(self) -> int:
        return sum(len(slot) for slot in self._slots.values())

    def __iter__(self) -> Iterator[Reader]:
        """Everybody at this moment; the agenda may change meanwhile."""
        return iter([reader for slot in self._slots.values() for reader in slot])

    def set(self, reader: Reader, when: float) -> None:
        """The reader is due at ``when``; what was set before is forgotten."""
        self.drop(reader)
        number = max(int(when / GRAIN) + 1, self._done_to + 1)
        slot = self._slots.get(number)
        if slot is None:
            slot = self._slots[number] = {}
        slot[reader] = None
        reader.due = slot

    def drop(self, reader: Reader) -> None:
        """The reader is not due any more."""
        if reader.due is not None:
            del reader.due[reader]
            reader.due = None

    def pop(self, now: float) -> list[Reader]:
        """Everybody who is due by ``now``; they are in no slot afterwards.

        An empty slot stays until its time: there are no more than quarter seconds
        in the longest time-out.
        """
        last = int(now / GRAIN)
        due: list[Reader] = []
        for slot in range(self._done_to + 1, last + 1):
            due += self._slots.pop(slot, ())
        self._done_to = max(self._done_to, last)
        for reader in due:
            reader.due = None
        return due
