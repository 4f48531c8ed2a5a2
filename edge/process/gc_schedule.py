"""When full garbage collections run: between two wake-ups of a crowd, not in one.

A full collection stops the worker for as long as it takes to walk all objects: some
milliseconds with thousands of viewers parked. The interpreter starts one whenever
enough was allocated: in the middle of waking a crowd. Here the interpreter collects the
younger objects only (below a millisecond each).

``GcSchedule`` decides when a full one runs. It is due once enough was allocated since
the last one. It then waits until the worker is quiet, but only for so long: memory
stays bounded on a worker that is never quiet. It is pure: it is given ``GcSample``s.
``GcRunner`` takes the samples, collects, counts and times. The worker makes one.

"Enough" is measured in collections of the younger objects, as the interpreter does:
by its own rule, ten of them make a full one due.
"""

import enum
import gc
import logging
import time
from dataclasses import dataclass

import gevent

from edge.core.counters import Counters

_log = logging.getLogger("edge.front")

DUE_YOUNGER = 10
"""Younger collections that make a full one due."""

MAX_YOUNGER = 100
"""Younger collections after which a full one no longer waits for a quiet moment."""

MAX_INTERVAL_SECONDS = 300.0
"""A full collection is due after this long, however little was allocated."""

MAX_TIME_SHARE = 0.005
"""Share of the time that full collections may take: none is due earlier. The cost of
one grows with what is held, and so does what is allocated between two of them."""

MAX_WAIT_SECONDS = 60.0
"""Seconds that a due collection waits for a quiet moment."""

QUIET_LOAD = 0.1
"""Share of one core below which the worker is quiet."""

SAMPLE_SECONDS = 1.0
"""Seconds between two samples while none is due."""

DUE_SAMPLE_SECONDS = 0.05
"""Seconds between two samples while one is due: short beside the time between two
wake-ups."""

NEVER = 1 << 30
"""A threshold that no count reaches."""


class GcMoment(enum.Enum):
    """When a collection ran: the label of the counter ``collections``."""

    QUIET = "quiet"
    OVERDUE = "overdue"


@dataclass(frozen=True, slots=True)
class GcSample:
    """Monotonic seconds, CPU seconds of this process so far, and younger collections
    since the last full one."""

    now: float
    cpu: float
    younger: int


class GcSchedule:
    """Judges one sample after another. ``pause``: seconds until the next one."""

    def __init__(self, first: GcSample) -> None:
        self._last = first
        self._collected_at = first.now
        self._not_before = first.now
        self._due_since: float | None = None

    @property
    def pause(self) -> float:
        return SAMPLE_SECONDS if self._due_since is None else DUE_SAMPLE_SECONDS

    def judge(self, sample: GcSample) -> GcMoment | None:
        """Whether to collect now, and at which moment."""
        before, self._last = self._last, sample
        if self._due_since is None:
            if not self._is_due(sample):
                return None
            # The last sample is too old to tell whether the worker is quiet now.
            self._due_since = sample.now
            return GcMoment.OVERDUE if sample.younger >= MAX_YOUNGER else None
        if sample.cpu - before.cpu < (sample.now - before.now) * QUIET_LOAD:
            return GcMoment.QUIET
        late = sample.now - self._due_since >= MAX_WAIT_SECONDS
        return GcMoment.OVERDUE if late or sample.younger >= MAX_YOUNGER else None

    def collected(self, sample: GcSample, took: float) -> None:
        """A full collection has just run; ``sample`` was taken after it."""
        self._last = sample
        self._collected_at = sample.now
        self._not_before = sample.now + took / MAX_TIME_SHARE
        self._due_since = None

    def _is_due(self, sample: GcSample) -> bool:
        if sample.now < self._not_before:
            return False
        idle = sample.now - self._collected_at
        return sample.younger >= DUE_YOUNGER or idle >= MAX_INTERVAL_SECONDS


class GcRunner:
    """Runs full collections between ``start`` and ``stop``. Times are seconds."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._thresholds = gc.get_threshold()
        self._greenlet: gevent.Greenlet[[], None] | None = None
        self.last = 0.0
        self.longest = 0.0

    def start(self) -> None:
        """Take over from the interpreter. Objects that exist now live as long as the
        process; no collection looks at them again."""
        gc.collect()
        gc.freeze()
        young, middle, _ = self._thresholds
        gc.set_threshold(young, middle, NEVER)
        self._greenlet = gevent.spawn(self._run)

    def stop(self) -> None:
        """Leave everything to the interpreter again. Idempotent."""
        greenlet, self._greenlet = self._greenlet, None
        if greenlet is not None:
            greenlet.kill(block=False)
            gc.set_threshold(*self._thresholds)
            gc.unfreeze()

    def gauges(self) -> dict[str, float]:
        """How long full collections took, for metrics."""
        return {
            "last_collection_seconds": self.last,
            "longest_collection_seconds": self.longest,
        }

    def collect(self, moment: GcMoment) -> None:
        """Collect everything now."""
        begun = time.perf_counter()
        found = gc.collect()
        self.last = time.perf_counter() - begun
        self.longest = max(self.longest, self.last)
        self._counters.collections[moment.value] += 1
        said = "collected %d objects in a %s moment, %.1f ms"
        _log.debug(said, found, moment.value, self.last * 1000)

    def _run(self) -> None:
        schedule = GcSchedule(take_sample())
        while True:
            gevent.sleep(schedule.pause)
            moment = schedule.judge(take_sample())
            if moment is not None:
                self.collect(moment)
                schedule.collected(take_sample(), self.last)


def take_sample() -> GcSample:
    """The process as it is now."""
    return GcSample(time.monotonic(), time.process_time(), gc.get_count()[2])
