"""CheckBudget: how many signatures are checked in one turn of the event loop (B18).

A check costs a tenth of a millisecond or more, and whoever sends bad tokens makes the
edge check each of them. So only some are checked between two looks at the sockets.
Whoever comes beyond that waits in line, first come, first served: a connection of the
fast way is called back, a greenlet of the whole way is woken. Each turn serves the line
first. Used by the authorizer. ``take`` and ``call_later`` never switch, ``wait`` does.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

import gevent
from gevent.event import Event

CHECKS_PER_TURN = 50


class CheckBudget:
    """The checks of one worker."""

    def __init__(self, per_turn: int = CHECKS_PER_TURN) -> None:
        self._per_turn = per_turn
        self._left = per_turn
        self._line: deque[Callable[[], None]] = deque()
        self._timer: Any = None

    def take(self) -> bool:
        """Whether one more may be checked in this turn; it counts then."""
        if self._left == 0:
            return False
        self._left -= 1
        self._run()
        return True

    def call_later(self, act: Callable[[], None]) -> None:
        """Call ``act``, which must not raise, in a later turn. It may ``take`` then."""
        self._line.append(act)
        self._run()

    def wait(self) -> None:
        """Take one, in this turn or a later one. Blocks its greenlet.

        1: ``take`` says no; 2: this greenlet stands in line; 3: a turn comes to it,
        and takes one on its behalf. The timer runs while anybody stands there.
        """
        if self.take():
            return
        called = Event()

        def call() -> None:
            self._left -= 1
            called.set()

        self.call_later(call)
        called.wait()

    def _run(self) -> None:
        """Let the next turn come, unless it is on its way."""
        if self._timer is None:
            # A timer that is due at once fires when the sockets were looked at.
            self._timer = gevent.get_hub().loop.timer(0)
            self._timer.start(self._turn)

    def _turn(self) -> None:
        """The timer's callback: serve the line, as far as it goes."""
        self._timer.close()
        self._timer = None
        self._left = self._per_turn
        while self._line and self._left > 0:
            self._line.popleft()()
        if self._line:
            self._run()
