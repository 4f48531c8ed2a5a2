"""Recycling: when a worker asks to be replaced by a new one. The rule is pure.

Off by default: a worker that needs it has a defect, and each successor begins with an
empty cache. The worker asks the rule once a second.
"""

import os
import random
from pathlib import Path

from edge.core.counters import Counters
from edge.core.reasons import Reason
from edge.process.options import RecycleOptions

MAX_SPREAD = 0.1
"""Share of ``after_requests`` that a worker may serve beyond it, at random: nodes
behind one balancer must not all be recycled in the same minute."""

ASK_AGAIN_SECONDS = 60.0
"""Seconds after which a worker that was not replaced asks again."""

_PAGE = os.sysconf("SC_PAGE_SIZE")


class Recycling:
    """Judges one worker. Times are monotonic seconds, memory is bytes."""

    def __init__(self, options: RecycleOptions, now: float) -> None:
        self._options = options
        self._not_before = now + options.least_age
        requests = options.after_requests
        spread = 1.0 + random.random() * MAX_SPREAD
        self._requests = None if requests is None else int(requests * spread)

    @property
    def enabled(self) -> bool:
        """Whether recycling is set at all."""
        return self._requests is not None or self._options.memory is not None

    def judge(self, now: float, requests: int, memory: int) -> Reason | None:
        """Why to ask for a successor now; None: do not ask."""
        reason = self._reason(requests, memory)
        if reason is None or now < self._not_before:
            return None
        self._not_before = now + ASK_AGAIN_SECONDS
        return reason

    def _reason(self, requests: int, memory: int) -> Reason | None:
        if self._requests is not None and requests >= self._requests:
            return Reason.AFTER_REQUESTS
        if self._options.memory is not None and memory >= self._options.memory:
            return Reason.OVER_MEMORY
        return None


def requests_of(counters: Counters) -> int:
    """Reads and writes that this worker has taken."""
    return sum(counters.reads.values()) + sum(counters.writes.values())


def resident() -> int:
    """Bytes of memory that this process holds (proc(5), statm)."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * _PAGE
