"""A node's board in one process: the views that its processes would have."""

from edge.board.lane_view import LaneView
from edge.board.node_board import NodeBoard
from edge.core.values import Place, Role


class BoardNode:
    """The master's board, and processes that begin and end on it. Time is ``now``."""

    def __init__(self, keepers: int = 1, fronts: int = 2) -> None:
        self.board = NodeBoard.create(keepers, fronts)
        self.now = 100.0
        self.boots = 1
        self.lanes: dict[LaneView, int] = {}
        self.stands: dict[LaneView, Place] = {}

    def starts(self, role: Role, number: int = 0, restart: bool = False) -> LaneView:
        """A process is given a lane, forked, and beats for the first time."""
        self.boots += 1
        place = Place(role, number)
        lane = self.board.give(place, self.boots, restart)
        assert isinstance(lane, int)
        view = self.board.view(lane, self.boots, lambda: self.now)
        self.lanes[view] = lane
        self.stands[view] = place
        view.beat(self.now)
        return view

    def ends(self, view: LaneView) -> None:
        """It is reaped."""
        self.board.take_back(self.lanes.pop(view))

    def beats(self, *views: LaneView, after: float = 0.25) -> None:
        """So many seconds later these beat; all, if none is named."""
        self.now += after
        for view in views or tuple(self.lanes):
            view.beat(self.now)
        if not views:
            # Those that beat first have not seen the others' beats yet.
            for view in self.lanes:
                view.beat(self.now)
