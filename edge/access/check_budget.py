"""CheckBudget: how many signatures are checked in one turn of the event loop (B18).

A check costs a tenth of a millisecond or more, and whoever sends bad tokens makes the
edge check each of them. So only some are checked on the event loop between two looks at
its sockets; whoever comes beyond that waits in a greenlet for a later turn. Used by the
authorizer. ``take`` never switches, ``wait`` does.
"""

from typing import Any

import gevent
from gevent.event import Event

CHECKS_PER_TURN = 50


class CheckBudget:
    """The checks of one worker."""

    def __init__(self, per_turn: int = CHECKS_PER_TURN) -> None:
        self._per_turn = per_turn
        self._left = per_turn
        self._renewed = Event()
        self._timer: Any = None

    def take(self) -> bool:
        """Whether one more may be checked in this turn; it counts then."""
        if self._left == 0:
            return False
        if self._left == self._per_turn:
            # A timer that is due at once fires when the sockets were looked at.
            self._timer = gevent.get_hub().loop.timer(0)
            self._timer.start(self._renew)
        self._left -= 1
        return True

    def wait(self) -> None:
        """Take one, in this turn or a later one. Blocks its greenlet.

        1: ``take`` says no; 2: this greenlet waits; 3: ``_renew`` sets the event. The
        timer runs whenever some of the budget is used, so 3 comes after every 2.
        """
        while not self.take():
            self._renewed.wait()

    def _renew(self) -> None:
        self._timer.close()
        self._left = self._per_turn
        # Whoever waits holds the old one, which stays set.
        renewed, self._renewed = self._renewed, Event()
        renewed.set()
