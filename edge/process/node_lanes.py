"""NodeLanes: whose lane is whose, in the master (W4).

A lane is given before a fork, and taken back when its holder has been reaped: nobody
else stores into it meanwhile. Some are kept for places that have lost their process. If
there is none, a reload waits, and this says so.
"""

import logging

from edge.board.node_board import NodeBoard
from edge.core.reasons import Reason
from edge.process.places import Start

_log = logging.getLogger("edge.process")


WAIT_SECONDS = 30.0
"""That a reload waits for those who drain is to be expected for so long (two HUPs, one
soon after the other), and is not told before."""


class NodeLanes:
    """The lanes that processes hold, by pid."""

    def __init__(self, board: NodeBoard) -> None:
        self._board = board
        self._held: dict[int, int] = {}
        # Since when nobody who asked was given one, monotonic seconds.
        self._none_since: float | None = None
        self._told = False

    def give(self, start: Start, boot: int, now: float) -> int | None:
        """A lane for who is started; None: there is none now. ``now`` is monotonic
        seconds."""
        lane = self._board.give(start.place, boot, restart=not start.successor)
        if not isinstance(lane, Reason):
            self._none_since, self._told = None, False
            return lane
        if self._none_since is None:
            self._none_since = now
        if not self._told and now - self._none_since >= WAIT_SECONDS:
            self._told = True
            said = "%s waits to be replaced until processes that drain have ended: %s"
            _log.warning(said, start.place.name, lane.value)
        return None

    def give_back(self, lane: int) -> None:
        """Nobody was forked to hold it."""
        self._board.take_back(lane)

    def holds(self, pid: int, lane: int) -> None:
        """Who was forked with a lane."""
        self._held[pid] = lane

    def accepts(self, pid: int) -> None:
        """A keeper accepts: its beat counts for its place from now on."""
        if pid in self._held:
            self._board.install(self._held[pid])

    def take_back(self, pid: int) -> None:
        """The process has been reaped."""
        lane = self._held.pop(pid, None)
        if lane is not None:
            self._board.take_back(lane)

    def raise_doubt(self) -> None:
        """A front has died: somebody's write may be unheard of."""
        self._board.raise_doubt()
