"""TimerWheel: what is due when, for tens of thousands of readers or connections.

A wheel of quarter seconds. Setting, moving and removing an entry cost the same however
many there are. A removed entry leaves nothing behind. The wheel reads no clock and
calls nobody: its owner turns it with ``pop(now)`` and serves the due entries, each with
its own guard, and in batches if it likes.

An entry carries its own time, ``due_at``. To make it due *later*, assign that; this is
all that a request costs a connection. The wheel looks at an entry when its slot comes
round, and moves it to a later slot if it is not due yet. To make it due *sooner*, call
``set``, which also covers the other cases. The live part keeps its readers in one
wheel, the fast way its connections in another; one ticker turns both.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Generic, Protocol, TypeVar

GRAIN = 0.25
"""Seconds in one slot. An entry is due at most this much late, and never early."""


class Slot(dict[Any, None]):
    """The entries that are looked at in one quarter second, in order of arrival."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class Timed(Protocol):
    """An entry of a wheel; hashed by identity.

    ``due_at`` is monotonic seconds. ``slot`` belongs to the wheel: None while the
    entry is in none.
    """

    due_at: float
    slot: Slot | None


T = TypeVar("T", bound=Timed)


class TimerWheel(Generic[T]):
    """One time per entry. ``now`` and all times are monotonic seconds."""

    __slots__ = ("_slots", "_turned_to")

    def __init__(self, now: float) -> None:
        self._slots: dict[int, Slot] = {}
        self._turned_to = int(now / GRAIN)

    def __len__(self) -> int:
        return sum(len(slot) for slot in self._slots.values())

    def __iter__(self) -> Iterator[T]:
        """Every entry at this moment; the wheel may change meanwhile."""
        return iter([entry for slot in self._slots.values() for entry in slot])

    def set(self, entry: T, when: float) -> None:
        """Make the entry due at ``when``, and at no other time."""
        entry.due_at = when
        number = int(when / GRAIN) + 1
        slot = entry.slot
        if slot is not None:
            if slot.number <= number:
                # The wheel looks at it before that time, and then moves it on.
                return
            self.drop(entry)
        self._put(entry, number)

    def drop(self, entry: T) -> None:
        """Take the entry out. It may be in no slot."""
        self.drop_all((entry,))

    def drop_all(self, entries: Iterable[T]) -> None:
        """Take all of them out."""
        for entry in entries:
            slot = entry.slot
            if slot is not None:
                entry.slot = None
                del slot[entry]
                if not slot:
                    del self._slots[slot.number]

    def pop(self, now: float) -> list[T]:
        """Take out and return the entries that are due by ``now``.

        They may be ``set`` again at once. They come in the order in which they were
        set; one that was moved on counts from that move.
        """
        first, last = self._turned_to + 1, int(now / GRAIN)
        self._turned_to = max(self._turned_to, last)
        due: list[T] = []
        for number in range(first, last + 1):
            for entry in self._slots.pop(number, ()):
                if entry.due_at <= now:
                    entry.slot = None
                    due.append(entry)
                else:
                    self._put(entry, int(entry.due_at / GRAIN) + 1)
        return due

    def _put(self, entry: T, number: int) -> None:
        # A time in the past is served with the next slot.
        number = max(number, self._turned_to + 1)
        slot = self._slots.get(number)
        if slot is None:
            slot = self._slots[number] = Slot(number)
        slot[entry] = None
        entry.slot = slot
