"""Ticker: looks at the clock four times a second, for as long as the worker lives.

It is the only one in a worker (``edge.core.ports.Ticks``) and owns one greenlet. Only
the looks know what is due: the hub's look for its readers, the fast way's for its
connections. A defect in one look is counted and reported; the other looks and the next
ticks follow.
"""

import gevent

from edge.core.ports import Look
from edge.core.timer_wheel import GRAIN
from edge.live.context import HubContext


class Ticker:
    """Calls the registered looks, then ``last``, the only one that may yield."""

    def __init__(self, context: HubContext, last: Look) -> None:
        self._guard = context.guard
        self._clock = context.clock
        self._last = last
        self._looks: list[Look] = []
        self._greenlet: gevent.Greenlet[[], None] | None = None

    def register(self, look: Look) -> None:
        """See ``edge.core.ports.Ticks``."""
        self._looks.append(look)

    def start(self) -> None:
        """Begin. Called once, in the worker."""
        self._greenlet = gevent.spawn(self._run)

    def stop(self) -> None:
        """Stop ticking."""
        if self._greenlet is not None:
            self._greenlet.kill(block=False)

    def _run(self) -> None:
        while True:
            gevent.sleep(GRAIN)
            self.tick()

    def tick(self) -> None:
        """Call each look once."""
        now = self._clock.monotonic()
        for look in (*self._looks, self._last):
            self._guard.call(look, now)
