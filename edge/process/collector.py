"""Collector: full garbage collections in quiet moments instead of in a wave.

The interpreter's own rule would begin one in the middle of whatever allocates, which
is a crowd being woken. Here it begins the younger ones only (below a millisecond
each); the full ones are begun by a greenlet of this module, when ``moments`` says so,
and are counted and timed. One per worker, after fork.
"""

import gc
import logging
import time

import gevent

from edge.core.counters import Counters
from edge.process.gc_schedule import GcMoment, GcSample, GcSchedule

_log = logging.getLogger("edge.front")

NEVER = 1 << 30
"""A threshold that no count reaches."""


class Collector:
    """Collects for as long as it is started. Times are seconds."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._thresholds = gc.get_threshold()
        self._greenlet: gevent.Greenlet[[], None] | None = None
        self.last = 0.0
        self.longest = 0.0

    def start(self) -> None:
        """Take full collections over. What was made so far lives as long as the
        process, and is never looked at again."""
        gc.collect()
        gc.freeze()
        young, middle, _ = self._thresholds
        gc.set_threshold(young, middle, NEVER)
        self._greenlet = gevent.spawn(self._run)

    def stop(self) -> None:
        """Leave everything to the interpreter again."""
        if self._greenlet is not None:
            self._greenlet.kill(block=False)
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
        moments = GcSchedule(look())
        while True:
            gevent.sleep(moments.pause)
            moment = moments.judge(look())
            if moment is not None:
                self.collect(moment)
                moments.collected(look(), self.last)


def look() -> GcSample:
    """What is seen now."""
    return GcSample(time.monotonic(), time.process_time(), gc.get_count()[2])
