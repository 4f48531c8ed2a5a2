"""LaneBounds: the bounds of a node, as one process asks for them by its board (W13).

Implements ``edge.core.node_bounds.NodeBounds``. What is bounded in all has a field of
each lane, in which its holder stores its *quota*: as many as it has, and of viewers a
few more while there is much room, so that most of them cost one comparison. What is
bounded for each stream or client has tallies (``edge.board.tally_table``).

Called on the event loop.
"""

from edge.board.fence import fence
from edge.board.lane_view import LaneView
from edge.board.layout import Field
from edge.board.tally_table import KeyTally
from edge.core.node_bounds import Bounded

VIEWERS_AHEAD = 64
"""Viewers that a process may take without asking again, while there is much room."""


class FieldQuota:
    """A quota in a field of the lane. Up to ``ahead`` are taken with the one that is
    asked for; what is not used is given back at the next beat."""

    __slots__ = ("_ahead", "_field", "_is_scarce", "_view", "has")

    def __init__(self, view: LaneView, field: Field, ahead: int = 0) -> None:
        self._view = view
        self._field = field
        self._ahead = ahead
        # Whether nothing was left to take ahead when this process last asked: then what
        # it has no more is given back at once.
        self._is_scarce = ahead == 0
        self.has = 0

    def take(self, own: int, most: int) -> bool:
        """See ``edge.core.node_bounds.Quota``."""
        ahead = 0 if self._is_scarce else self._ahead
        self.has = self._view.take(self._field, own, most, ahead)
        self._is_scarce = self.has <= own + 1
        return self.has > own

    def left(self, own: int) -> None:
        """See ``edge.core.node_bounds.Quota``."""
        if self._is_scarce:
            self.has = own
            self._view.store_count(self._field, own)

    def settle(self, own: int) -> None:
        """A beat: what is not used is given back."""
        self.has = own
        self._view.store_count(self._field, own)
        self._is_scarce = self._ahead == 0


class LaneBounds:
    """All bounds of the node, for the holder of a lane."""

    def __init__(self, view: LaneView) -> None:
        self._view = view
        self._table = view.tallies
        self._held: dict[tuple[Bounded, str], KeyTally] = {}
        self.viewers = FieldQuota(view, Field.VIEWERS, VIEWERS_AHEAD)
        self.relays = FieldQuota(view, Field.RELAYS)

    def take(self, what: Bounded, key: str, most: int) -> bool:
        """See ``edge.core.node_bounds.NodeBounds``."""
        now = self._view.awake()
        tally = self._held.get((what, key))
        if tally is None:
            tally = self._held[what, key] = self._table.tally(what, key)
        self._table.store(tally, tally.count + 1)
        fence()
        others = self._table.others(tally, self._view.fresh_lanes(now))
        if tally.count + others <= most:
            return True
        self.give_back(what, key)
        return False

    def give_back(self, what: Bounded, key: str, count: int = 1) -> None:
        """See ``edge.core.node_bounds.NodeBounds``."""
        tally = self._held[what, key]
        self._table.store(tally, tally.count - count)
        if not tally.count:
            del self._held[what, key]
