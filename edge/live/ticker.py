"""Ticker: looks at the clock, four times a second, for as long as the worker lives.

It owns the greenlet and nothing else: what is due, the hub knows. A defect in one
look is counted, and the next one follows.
"""

from collections.abc import Callable

import gevent

from edge.live.guard import Guard

TICK = 0.25
"""Seconds between two looks at the clock."""


class Ticker:
    """Calls ``look`` until it is stopped."""

    def __init__(self, guard: Guard, look: Callable[[], None]) -> None:
        self._guard = guard
        self._look = look
        self._greenlet: gevent.Greenlet[[], None] | None = None

    def start(self) -> None:
        """Begin. Called once, in the worker."""
        self._greenlet = gevent.spawn(self._for_ever)

    def stop(self) -> None:
        """Look no more."""
        if self._greenlet is not None:
            self._greenlet.kill(block=False)

    def _for_ever(self) -> None:
        while True:
            gevent.sleep(TICK)
            self._guard.call(self._look)
