"""How busy this process was while there was work: its share of one core's time."""

import time


class Effort:
    """Adds up spells of work; whoever works says when one begins and ends."""

    def __init__(self) -> None:
        self._wall = self._cpu = 0.0
        self._begun: tuple[float, float] | None = None

    def begin(self) -> None:
        """Work is there; once more changes nothing."""
        if self._begun is None:
            self._begun = time.monotonic(), time.process_time()

    def end(self) -> None:
        """All work is done."""
        if self._begun is not None:
            wall, cpu = self._begun
            self._wall += time.monotonic() - wall
            self._cpu += time.process_time() - cpu
            self._begun = None

    @property
    def cpu(self) -> float:
        """Seconds of processor time."""
        return self._cpu

    @property
    def share(self) -> float:
        """Processor time by time; 1 is a whole core."""
        return self._cpu / self._wall if self._wall else 0.0
