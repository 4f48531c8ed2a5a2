"""Overdue: which processes have given no sign of life for too long. Pure.

A master that was late itself (its machine slept, or was that busy) judges nobody by
the time that it missed: from then on all have their whole time again (W7).
"""

from collections.abc import Mapping
from typing import NamedTuple

LATE = 2
"""How many times its usual pause a master that is on time may take."""


class Sign(NamedTuple):
    """The last sign of a process (monotonic seconds), and how long it may be silent."""

    last: float
    allowed: float


class Overdue:
    """Judges all processes, each time that the master looks: every ``pause`` seconds
    at the latest, if it is on time."""

    def __init__(self, pause: float) -> None:
        self._late = pause * LATE
        self._looked: float | None = None
        self._excused = 0.0

    def judge(self, now: float, signs: Mapping[int, Sign]) -> list[int]:
        """Whoever is to be ended, by pid."""
        if self._looked is not None and now - self._looked > self._late:
            self._excused = now
        self._looked = now
        return [
            pid
            for pid, sign in signs.items()
            if now - max(sign.last, self._excused) > sign.allowed
        ]
