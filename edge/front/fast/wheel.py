"""Wheel: when idle connections and slow clients are given up.

A connection carries its own deadline and moves it by one assignment, which is
all that a request costs; the wheel looks at it when the slot comes round in
which it lies, and puts it into a later one if it is not due. Only a deadline that
comes sooner has to be told (``sooner``). One ticker turns it: no timers.
"""

from typing import Protocol

GRAIN = 0.25
"""Seconds in one slot."""

FAR = 60.0
"""Seconds after which one is looked at again, however far its deadline is."""


class Timed(Protocol):
    """What lies in the wheel. ``deadline`` is monotonic, ``slot`` the wheel's."""

    deadline: float
    slot: int

    def due(self) -> None:
        """The deadline has passed."""


class Wheel:
    """Everything with a deadline, by the slot in which it is looked at."""

    def __init__(self, now: float) -> None:
        self._slots: dict[int, dict[Timed, None]] = {}
        self._turned_to = int(now / GRAIN)

    def put(self, timed: Timed) -> None:
        """Begin to look after ``timed``."""
        now = self._turned_to * GRAIN
        slot = int(min(timed.deadline, now + FAR) / GRAIN) + 1
        timed.slot = max(slot, self._turned_to + 1)
        self._slots.setdefault(timed.slot, {})[timed] = None

    def sooner(self, timed: Timed) -> None:
        """The deadline may lie before the slot in which ``timed`` is."""
        if int(timed.deadline / GRAIN) + 1 < timed.slot:
            self.drop(timed)
            self.put(timed)

    def drop(self, timed: Timed) -> None:
        """Look after it no more."""
        slot = self._slots.get(timed.slot)
        if slot is not None:
            slot.pop(timed, None)
            if not slot:
                del self._slots[timed.slot]

    def turn(self, now: float) -> None:
        """Let everybody know who is due by ``now``."""
        last = int(now / GRAIN)
        for slot in range(self._turned_to + 1, last + 1):
            self._turned_to = slot
            for timed in self._slots.pop(slot, ()):
                if timed.deadline <= now:
                    timed.due()
                else:
                    self.put(timed)
