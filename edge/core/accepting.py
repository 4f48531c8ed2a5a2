"""Accepting: the rest of a listener that may not accept.

A process without descriptors or memory cannot take a connection that waits, and the
event loop would tell its listener of that at once, for ever. So the listener pauses.
Who accepts decides when, counts it, and says so in its log now and then. The loop and
its time are arguments: nothing here imports one.

Where several processes accept at one listener, one that has clearly more connections
than the others rests, too, for a shorter time, and so does one that is full while
another has room (W13). That is no fault: nothing is counted or said.
"""

import errno
from collections.abc import Callable
from typing import Any, Protocol

EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""What the system says when this process, or all of them, have too much open."""

PAUSE_SECONDS = 0.1
"""How long nothing is accepted."""

BALANCE_SECONDS = 0.05
"""How long a process lets the others accept."""

QUIET_SECONDS = 60.0
"""How long no line of the log repeats that a listener pauses."""


class AcceptBalance(Protocol):
    """What a process asks before it accepts a connection, and before it admits one,
    where it is not alone (W13)."""

    def must_pause(self, connections: int) -> bool:
        """Whether this process, with so many connections, lets the others accept for
        ``BALANCE_SECONDS``. Never all of them."""

    def has_room(self, connections: int, most: int) -> bool:
        """Whether the node may have one more, with so many in this process and ``most``
        in all. The others are counted now, and not as they were at the last beat."""


class AcceptPause:
    """The pauses of one listener; at their end ``go_on`` is called, on ``loop``."""

    def __init__(self, loop: Any, go_on: Callable[[], object]) -> None:
        self._loop = loop
        self._go_on = go_on
        self._timer: Any = None
        self._told_at: float | None = None

    def begin(self, now: float) -> bool:
        """Begin to pause, at this time of the loop. Returns whether the log should say
        so."""
        self._rest(PAUSE_SECONDS)
        if self._told_at is not None and now - self._told_at < QUIET_SECONDS:
            return False
        self._told_at = now
        return True

    def yield_to_others(self) -> None:
        """Begin to pause, for there are others who accept."""
        self._rest(BALANCE_SECONDS)

    def _rest(self, seconds: float) -> None:
        # A new timer each time: one of libev that has fired and is started again keeps
        # the time that it had left, which is none, and fires at once.
        self.end()
        self._timer = self._loop.timer(seconds)
        self._timer.start(self._go_on)

    def end(self) -> None:
        """Forget the pause, if there is one. Nothing is called any more."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.stop()
            timer.close()
