"""NodeLanes: whose lane is whose, in the master (W4).

A lane is given before a fork, and taken back when its holder has been reaped: nobody
else stores into it meanwhile. Some are kept for places that have lost their process. If
there is none, a reload waits, and this says so.
"""

import logging

from edge.process.places import Start

_log = logging.getLogger("edge.process")


class NodeLanes:
    """All lanes of a board that processes hold."""

    def __init__(self, board: object) -> None:
        self._board = board
        self._held: dict[int, int] = {}
        self._free = list(range(10_000))
        self._told = False

    def give(self, start: Start) -> int | None:
        """A lane for who is started; None: there is none now."""
        if not self._free:
            if not self._told:
                self._told = True
                _log.warning(
                    "no lane is free for %s: it waits until others have ended",
                    start.place.name,
                )
            return None
        self._told = False
        return self._free.pop(0)

    def given(self, pid: int, lane: int) -> None:
        """The process that holds a lane."""
        self._held[pid] = lane

    def take_back(self, pid: int) -> None:
        """The process has been reaped."""
        lane = self._held.pop(pid, None)
        if lane is not None:
            self._free.append(lane)

    def doubt(self) -> None:
        """A front has died: somebody's write may be unheard of."""
