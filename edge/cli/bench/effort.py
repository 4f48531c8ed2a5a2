"""How busy this process was while there was work: its share of one core's time.

Not by the processor time that it took: while a crowd is being served it does not
sleep (see ``fanout``), and looking in vain is no work.
"""

import time
from collections.abc import Callable


class Effort:
    """Adds up spells; whoever works says when one begins and ends. ``worked`` tells
    the seconds of work so far."""

    def __init__(self, worked: Callable[[], float]) -> None:
        self._worked = worked
        self._wall = self._cpu = 0.0
        self._begun: tuple[float, float] | None = None

    def begin(self) -> None:
        """Work is there; once more changes nothing."""
        if self._begun is None:
            self._begun = time.monotonic(), self._worked()

    def end(self) -> None:
        """All work is done."""
        if self._begun is not None:
            wall, cpu = self._begun
            self._wall += time.monotonic() - wall
            self._cpu += self._worked() - cpu
            self._begun = None

    @property
    def cpu(self) -> float:
        """Seconds of work."""
        return self._cpu

    @property
    def share(self) -> float:
        """Work by time; 1 is a whole core."""
        return self._cpu / self._wall if self._wall else 0.0
