"""GcSchedule: when the garbage collector may look at everything that is held.

A full collection stops the worker for as long as it takes to walk all objects: some
milliseconds with thousands of viewers parked. It is due once enough was allocated
since the last one, and then waits for a quiet moment, in which no crowd is being
woken; but not for ever, so that memory stays bounded on a worker that is never
quiet. Pure: whoever collects tells what it sees (``GcSample``), and when it has.

What counts as enough are collections of the younger objects, which the interpreter
begins by itself: by its own rule ten of them make a full one due.
"""

import enum
from dataclasses import dataclass

ENOUGH = 10
"""Younger collections that make a full one due."""

TOO_MANY = 100
"""Younger collections after which a full one waits for no moment any more."""

AT_LATEST = 300.0
"""Seconds after which one is due, however little was allocated."""

SHARE = 0.005
"""Share of the time that full collections may take: none is due earlier. What one
costs grows with what is held, and so does what is allocated between two of them."""

PATIENCE = 60.0
"""Seconds that one which is due waits for a quiet moment."""

QUIET = 0.1
"""Share of one core below which the worker is quiet."""

SELDOM = 1.0
"""Seconds between two looks while none is due."""

OFTEN = 0.05
"""Seconds between two looks while one is: short beside the time between two waves."""


class GcMoment(enum.Enum):
    """When a collection ran: the label of the counter ``collections``."""

    QUIET = "quiet"
    OVERDUE = "overdue"


@dataclass(frozen=True, slots=True)
class GcSample:
    """What is seen: monotonic seconds, CPU seconds of this process so far, and
    younger collections since the last full one."""

    now: float
    cpu: float
    younger: int


class GcSchedule:
    """Judges one look after another. ``pause``: seconds until the next one."""

    def __init__(self, first: GcSample) -> None:
        self._last = first
        self._collected = first.now
        self._not_before = first.now
        self._due_since: float | None = None

    @property
    def pause(self) -> float:
        return SELDOM if self._due_since is None else OFTEN

    def judge(self, look: GcSample) -> GcMoment | None:
        """Whether to collect now, and what moment it is."""
        before, self._last = self._last, look
        if self._due_since is None:
            if not self._is_due(look):
                return None
            # The last look was long ago: whether it is quiet is seen next time.
            self._due_since = look.now
            return GcMoment.OVERDUE if look.younger >= TOO_MANY else None
        if look.cpu - before.cpu < (look.now - before.now) * QUIET:
            return GcMoment.QUIET
        late = look.now - self._due_since >= PATIENCE
        return GcMoment.OVERDUE if late or look.younger >= TOO_MANY else None

    def collected(self, look: GcSample, took: float) -> None:
        """A full collection has just run; ``look`` is from after it."""
        self._last = look
        self._collected = look.now
        self._not_before = look.now + took / SHARE
        self._due_since = None

    def _is_due(self, look: GcSample) -> bool:
        if look.now < self._not_before:
            return False
        return look.younger >= ENOUGH or look.now - self._collected >= AT_LATEST
