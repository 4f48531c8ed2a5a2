"""Tally: who met what, phase by phase. Nothing here asks anybody."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass
class Phase:
    """What was met while it lasted. ``met[who]`` counts; ``who`` is a kind of client.

    ``ages`` are those of stale answers, in seconds. ``first[who]`` holds, for each
    client, how many seconds after ``since`` (when the phase began, or the origin was
    back in it) it had first what it wants: new bytes, a fresh answer, to be told that
    the stream is gone.
    """

    name: str
    since: float
    met: dict[str, Counter[str]] = field(default_factory=dict)
    ages: list[int] = field(default_factory=list)
    first: dict[str, dict[int, float]] = field(default_factory=dict)

    def count(self, who: str, *whats: str) -> int:
        """How often ``who`` met any of these; all there is, if none is named."""
        counts = self.met.get(who, Counter())
        return sum(counts[what] for what in whats) if whats else counts.total()


class Tally:
    """The phases so far; the last one is now. Clients write it down from threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.phases: list[Phase] = []
        self._odd: list[str] = []

    def begin(self, name: str) -> Phase:
        """From now on it is another phase."""
        with self._changed:
            self.phases.append(Phase(name, time.monotonic()))
            return self.phases[-1]

    def restart_clock(self) -> None:
        """The origin is back: how soon everybody has what he wants counts from now."""
        with self._changed:
            self.phases[-1].since = time.monotonic()

    def note(self, who: str, what: str, age: int | None = None) -> None:
        """``who`` met ``what``; ``age`` if that was a stale answer."""
        with self._changed:
            phase = self.phases[-1]
            phase.met.setdefault(who, Counter())[what] += 1
            if age is not None:
                phase.ages.append(age)
            self._changed.notify_all()

    def note_first(self, who: str, number: int) -> None:
        """The client ``number`` has what it wants; only the first time counts."""
        with self._changed:
            phase = self.phases[-1]
            had = phase.first.setdefault(who, {})
            had.setdefault(number, time.monotonic() - phase.since)
            self._changed.notify_all()

    def blame(self, odd: str) -> None:
        """What nobody may ever meet was met: whoever waits here is told so."""
        with self._changed:
            self._odd.append(odd)
            self._changed.notify_all()

    def await_met(self, least: Mapping[str, int], patience: float) -> None:
        """Wait until in this phase each kind of client has met so much. Raises
        TimeoutError, and AssertionError if somebody met what may not be."""
        self._await(least, patience, lambda phase, who: phase.count(who))

    def await_first(self, least: Mapping[str, int], patience: float) -> None:
        """Wait until so many clients of each kind have what they want. Raises as
        ``await_met`` does."""
        self._await(least, patience, lambda phase, who: len(phase.first.get(who, {})))

    def _await(
        self,
        least: Mapping[str, int],
        patience: float,
        have: Callable[[Phase, str], int],
    ) -> None:
        with self._changed:
            phase = self.phases[-1]

            def reached() -> bool:
                there = (have(phase, who) >= count for who, count in least.items())
                return bool(self._odd) or all(there)

            in_time = self._changed.wait_for(reached, patience)
            assert not self._odd, f"{phase.name}: {self._odd}"
            if not in_time:
                raise TimeoutError(f"waited for {least} in {phase}")
