"""Lapses: lets readers go whose lease has ended earlier than they were told.

A lease ends at a time that every reader knows when it arrives: the timer wheel and the
pumps of relays are set to it. An order, or keys that have changed, move that end nearer
(``edge.core.values.Lease``). Whatever is given looks at the lease first, so nothing is
given from then on. This walk releases those who wait for nothing any more, and sets
the clocks of those whose end is near now.

One walk looks at all live readers, and at the relays; those whom it concerns are served
in batches. Other reads that wait for a flight are refused when it lands. Called by
whoever moves the ends of leases, any number of times; never by a read.
"""

import gevent

from edge.live.context import HubContext
from edge.live.relays import Relays
from edge.live.waiters import Waiters, batches


class Lapses:
    """The walks of one hub."""

    def __init__(self, context: HubContext, waiters: Waiters, relays: Relays) -> None:
        self._guard = context.guard
        self._waiters = waiters
        self._relays = relays
        # None: no walk is under way. Otherwise: whether another one follows.
        self._again: bool | None = None

    def look(self) -> None:
        """Ends of leases have moved: walk, in a greenlet of its own.

        1: a walk has passed a reader; 2: the end of that reader's lease moves, and
        this is called; 3: the walk ends. So 2 asks for another walk, which 3 begins.
        """
        if self._again is None:
            self._again = False
            gevent.spawn(self._walk)
        else:
            self._again = True

    def _walk(self) -> None:
        try:
            self._pass()
            while self._again:
                self._again = False
                self._pass()
        finally:
            self._again = None

    def _pass(self) -> None:
        self._relays.lapse()
        for some in batches(self._waiters.lapsing()):
            for reader in some:
                self._guard.serve(self._waiters.lapse, reader)
