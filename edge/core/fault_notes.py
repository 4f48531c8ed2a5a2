"""What failed lately, for an operator: ``FaultTimes`` and ``StreamFaults``. Pure.

Counters say how often each thing failed, and not when. ``FaultTimes`` looks at them at
each tick and notes which have grown since the last one: so nothing is paid where a
failure is counted, and nothing is missed. What comes again and again is a *run*: it has
a beginning, which says for how long something has been wrong. ``StreamFaults`` is told
the failures of single streams, and keeps the last ones.

Both keep reason words and times alone, and of a stream its path: nothing that somebody
else has written. Times are Unix time.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from edge.core.counters import Counters
from edge.core.reasons import Reason
from edge.core.stream_snapshot import FaultNote

LOOKED_AT: Mapping[str, str] = {
    "origin": "origin_faults",
    "refused": "refusals",
    "disk": "disk_faults",
}
"""The kinds of failures that are shown, and the counter of each."""

LINK = "link"
"""The kind of what a front met at its keepers, where there are any."""

RUN_SECONDS = 60.0
"""Failures of one kind are one run while no longer than this lies between two of them.
An origin that is away is tried again each 5 s, at the latest."""

MAX_NOTES = 64
"""Failures of streams that are remembered."""

MAX_PATH = 1024
"""Of a longer path nothing is noted: there may be many of them."""


class FaultRun(NamedTuple):
    """Failures that came one after the other: when the first and the last were seen."""

    since: float
    last: float

    def joined(self, other: "FaultRun") -> "FaultRun":
        """With that of another process: one run if they meet, else the later one."""
        early, late = sorted((self, other), key=lambda run: run.last)
        if late.since - early.last > RUN_SECONDS:
            return late
        return FaultRun(min(early.since, late.since), late.last)


FaultRuns = Mapping[str, Mapping[str, FaultRun]]
"""The last run of each failure, by kind and reason word."""


class FaultTimes:
    """When each counted failure was seen: its last run, by kind and reason word.

    ``watched`` are the counters of each kind.
    """

    def __init__(self, watched: Mapping[str, Mapping[str, int]]) -> None:
        self._watched = watched
        self._seen: dict[str, dict[str, int]] = {kind: {} for kind in watched}
        self.runs: dict[str, dict[str, FaultRun]] = {kind: {} for kind in watched}

    def look(self, wall: float) -> None:
        """Note what has been counted since the last look."""
        for kind, counts in self._watched.items():
            seen = self._seen[kind]
            if counts == seen:
                continue
            for reason, count in counts.items():
                if count != seen.get(reason):
                    now, runs = FaultRun(wall, wall), self.runs[kind]
                    runs[reason] = runs.get(reason, now).joined(now)
            self._seen[kind] = dict(counts)


def watched_in(
    own: Counters, direct: Counters | None = None
) -> dict[str, dict[str, int]]:
    """What ``FaultTimes`` looks at in a process. ``direct``: what a front counts of its
    calls to the origin; its own then are those to keepers."""
    watched = {kind: getattr(own, name) for kind, name in LOOKED_AT.items()}
    if direct is not None:
        watched |= {"origin": direct.origin_faults, LINK: own.origin_faults}
    return watched


class StreamFaults:
    """The last failures that streams have met, the newest last."""

    def __init__(self) -> None:
        self._notes: OrderedDict[tuple[str, str], FaultNote] = OrderedDict()

    def note(self, path: str, reason: Reason, wall: float) -> None:
        """A stream at this path met a failure."""
        if len(path) > MAX_PATH:
            return
        key = path, reason.value
        before = self._notes.pop(key, None)
        times = 1 if before is None else before.times + 1
        self._notes[key] = FaultNote(reason.value, times, wall)
        if len(self._notes) > MAX_NOTES:
            self._notes.popitem(last=False)

    def of_path(self, path: str) -> Sequence[FaultNote]:
        """What is remembered of one path, the newest first."""
        found = [note for (at, _), note in self._notes.items() if at == path]
        return found[::-1]
