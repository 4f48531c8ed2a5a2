"""When calls and idle connections are due: one timer for all of an origin.

``Deadlines`` is a timer wheel, and the one timer of the loop that turns it while there
is anything in it. A connection stays in the wheel through all of its calls: a call
that begins or goes on only assigns a later time. So a call needs no timer of its own,
and every time-out of an origin may be up to a quarter of a second late. It decides
nothing: each entry knows what its lateness means. Everything of ``pool`` and ``call``
that waits for a time is here.
"""

import math
import sys
import time
from typing import Any, Protocol

from gevent.hub import get_hub

from edge.core.timer_wheel import GRAIN, Timed, TimerWheel


class Due(Timed, Protocol):
    """An entry; ``lapse`` is called once its ``due_at`` has passed."""

    def lapse(self) -> None: ...


class Deadlines:
    """See the module. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._wheel: TimerWheel[Due] = TimerWheel(0.0)
        # A timer of the loop; gevent gives its type no public name.
        self._timer: Any = None

    def set(self, entry: Due, when: float | None) -> None:
        """Make the entry due at ``when``; None: never."""
        if when is None:
            self.drop(entry)
            return
        if self._timer is None:
            self._start()
        self._wheel.set(entry, when)

    def drop(self, entry: Due) -> None:
        """Forget the entry. It may not be there."""
        self._wheel.drop(entry)
        entry.due_at = math.inf

    def _start(self) -> None:
        # The wheel is empty: a new one need not be turned through the time of rest.
        self._wheel = TimerWheel(time.monotonic())
        self._timer = get_hub().loop.timer(GRAIN, GRAIN)
        self._timer.start(self._turn)

    def _turn(self) -> None:
        now = time.monotonic()
        for entry in self._wheel.pop(now):
            # The lapse of one may have dropped or moved those behind it.
            if entry.due_at <= now:
                try:
                    entry.lapse()
                except BaseException:
                    get_hub().handle_error(entry, *sys.exc_info())
        if not len(self._wheel):
            self._timer.stop()
            self._timer.close()
            self._timer = None
