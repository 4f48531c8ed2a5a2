"""A node's board in one process: the views that its processes would have."""

import dataclasses
import functools
import itertools

from edge.board.lane_view import LaneView
from edge.board.memory import BoardMemory
from edge.board.node_board import NodeBoard
from edge.board.path_digests import PathDigests
from edge.core.node_board import SlotWatch
from edge.core.values import Place, Role

SECRET = b"always the same, so that a path has always the same slot"[:32]


class BoardNode:
    """The master's board, and processes that begin and end on it. Time is ``now``."""

    def __init__(self, keepers: int = 1, fronts: int = 2) -> None:
        memory = BoardMemory.make(keepers, fronts)
        digests = PathDigests(SECRET, keepers)
        self.board = NodeBoard(dataclasses.replace(memory, digests=digests))
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
        return self.begins(place, lane)

    def begins(self, place: Place, lane: int) -> LaneView:
        """It runs, with the last boot."""
        view = self.board.view(lane, self.boots, lambda: self.now)
        self.lanes[view] = lane
        self.stands[view] = place
        view.beat(self.now)
        return view

    def ends(self, view: LaneView) -> None:
        """It is reaped."""
        self.board.take_back(self.lanes.pop(view))

    def is_followed(self, view: LaneView) -> LaneView:
        """It is reaped, and its successor has the same lane."""
        place, was = self.stands[view], self.lanes[view]
        self.ends(view)
        passed_over: list[int] = []
        while True:
            self.boots += 1
            lane = self.board.give(place, self.boots, restart=True)
            assert isinstance(lane, int)
            if lane == was:
                break
            passed_over.append(lane)
        for other in passed_over:
            self.board.take_back(other)
        if place.role is Role.KEEPER:
            self.board.install(lane)
        return self.begins(place, lane)

    def beats(self, *views: LaneView, after: float = 0.25) -> None:
        """So many seconds later these beat; all, if none is named."""
        self.now += after
        for view in views or tuple(self.lanes):
            view.beat(self.now)
        if not views:
            # Those that beat first have not seen the others' beats yet.
            for view in self.lanes:
                view.beat(self.now)


@functools.cache
def neighbour(path: str) -> str:
    """Another path of the same slot."""
    digests = PathDigests(SECRET, 1)
    slot = digests.of(path).slot
    every = (f"/other/{number}" for number in itertools.count())
    return next(other for other in every if digests.of(other).slot == slot)


def looking(keepers: int, fronts: int) -> tuple[LaneView, SlotWatch, float]:
    """A front, a row of its own, and a time at which nothing is new: what a look costs
    (docs/performance.md)."""
    node = BoardNode(keepers, fronts)
    for number in range(keepers):
        node.starts(Role.KEEPER, number)
    front = node.starts(Role.FRONT)
    node.beats()
    return front, front.watch("/session/1"), node.now
