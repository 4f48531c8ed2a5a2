"""The orders of a node whose processes are all in this one: a real board and a real
folder, and for each process what it has carried out."""

from pathlib import Path
from typing import Any

from edge.board.lane_view import LaneView
from edge.core.values import Place, Role
from edge.process.order_file import NodeOrder
from edge.process.orders import NodeOrders, OrderLanes
from tests.board.nodes import BoardNode


class OrderProcess:
    """One process. ``done`` are the numbers that it carried out."""

    def __init__(
        self, folder: Path, place: Place, view: LaneView, lane: int, lanes: OrderLanes
    ) -> None:
        self.place = place
        self.view = view
        self.done: list[int] = []
        self.lost = 0
        self.orders = NodeOrders(folder, place.name, lane, lanes)
        self.orders.handlers["note"] = self.orders.handlers["ask"] = self.note
        self.orders.lasting.add("note")
        self.orders.everything = self.lose

    def note(self, order: NodeOrder) -> dict[str, Any]:
        self.done.append(order.number)
        return {"by": self.place.name, "said": order.facts.get("said")}

    def lose(self) -> None:
        self.lost += 1


class NodeOfOrders:
    """The node, with a keeper and two fronts to begin with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.node = BoardNode(keepers=1, fronts=2)
        self.keeper = self.starts(Role.KEEPER)
        self.fronts = [self.starts(Role.FRONT, number) for number in range(2)]
        self.all = [self.keeper, *self.fronts]

    def starts(self, role: Role, number: int = 0) -> OrderProcess:
        """A process that reads orders."""
        process = self.forked(role, number)
        process.orders.begin()
        return process

    def forked(self, role: Role, number: int = 0) -> OrderProcess:
        """A process that has not begun."""
        view = self.node.starts(role, number)
        lane = self.node.lanes[view]
        return OrderProcess(self.folder, Place(role, number), view, lane, view)

    def close(self) -> None:
        for process in self.all:
            process.orders.end()
