"""A house that is one process of a node, with the node's real board beside it."""

from collections.abc import Callable
from typing import Any

from edge.board.bounds import LaneBounds
from edge.board.lane_view import LaneView
from edge.core.ports import Origin
from edge.core.values import Role
from origin_adapter.scripted import ScriptedOrigin
from tests.board.nodes import BoardNode
from tests.live.support import House

Around = Callable[[Origin], Origin]


def plain(origin: Origin) -> Origin:
    """As it is."""
    return origin


class NodeHouse:
    """``house`` is a front, or a keeper; ``other`` is another front, and ``keeper`` the
    keeper's view of the board. Time is the house's. ``around`` lays something over the
    origin."""

    def __init__(
        self, role: Role = Role.FRONT, around: Around = plain, **options: object
    ) -> None:
        self.node = BoardNode()
        self.node.now = 1000.0
        self.keeper = self.node.starts(Role.KEEPER)
        self.own = self.keeper if role is Role.KEEPER else self.node.starts(Role.FRONT)
        self.other = self.node.starts(Role.FRONT, 1)
        self.origin = ScriptedOrigin()
        keeps = role is Role.KEEPER
        bounds = None if keeps else LaneBounds(self.own)
        options |= {"board": self.own, "serves_fronts": keeps, "bounds": bounds}
        self.house = House(around(self.origin), **options)
        self.beats()

    def beats(self, *views: LaneView) -> None:
        """These beat now; all, if none is named."""
        self.node.now = self.house.clock.monotonic()
        self.node.beats(*views, after=0.0)

    def pass_time(self, seconds: float, *views: LaneView) -> None:
        """Time passes; at its end these beat, and the ticker looks."""
        self.house.clock.move(seconds)
        self.beats(*(views or tuple(self.node.lanes)))
        self.house.pass_time(0.0)


def front(**options: Any) -> NodeHouse:
    """A house that is a front."""
    return NodeHouse(Role.FRONT, **options)


def keeper(**options: Any) -> NodeHouse:
    """One that is a keeper."""
    return NodeHouse(Role.KEEPER, **options)
