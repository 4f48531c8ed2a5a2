"""NodeProcess: what a process does for the node that it is one of, beside serving.

It reads orders and executes them, tells its figures to all others, and has the pages by
which any front answers an operator for the whole node. Where there is one worker there
is none, and the worker has the pages itself.

Made by the worker, once its parts are. ``begin`` comes after the first beat and before
anything is served, ``end`` when nobody is served any more.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from edge.admin.metrics import MoreMetrics
from edge.admin.node_metrics import NodeMetrics, NodeNumbers
from edge.admin.purge_pages import PurgePages
from edge.admin.routes import AdminRoute
from edge.admin.stream_pages import StreamPages
from edge.board.lane_view import LaneView
from edge.core.errors import Refusal
from edge.core.fault_notes import FaultTimes
from edge.core.node_status import NodeStatus
from edge.core.reasons import Reason
from edge.core.values import Role
from edge.front.dependencies import Runtime
from edge.process.node_desk import NodeDesk
from edge.process.node_figures import NodeFigures
from edge.process.order_file import NodeOrder
from edge.process.orders import GIVE_SECONDS, NodeOrders, Report
from edge.process.seat import NodeParts, Seat

TELL_SECONDS = 0.5
"""How long whoever is asked for figures waits for the others to tell theirs."""


PAGE_SECONDS = 2 * GIVE_SECONDS + 1.0
"""How long a page may take that asks all processes, twice."""


class NodeProcess:
    """One process of a node. ``gauges`` are all of its."""

    def __init__(
        self,
        seat: Seat,
        parts: NodeParts,
        view: LaneView,
        runtime: Runtime,
        gauges: Callable[[], Mapping[str, float]],
        faults: FaultTimes,
    ) -> None:
        place = seat.place
        self._view = view
        self._runtime = runtime
        self._orders = NodeOrders(parts.folder, place.name, seat.lane, view)
        self._desk = NodeDesk(
            place,
            self._orders,
            runtime.control,
            runtime.revoker,
            runtime.control.gauges,
            runtime.end_hand_over,
        )
        own = runtime.counter_set, gauges, faults, runtime.parts.clock.wall()
        self._figures = NodeFigures(place, seat.boot, view, *own)
        self._orders.handlers["tell"] = self._told

    def begin(self) -> None:
        """Execute what was ordered before, and look at every tick. Raises OSError."""
        self._orders.begin()
        self._runtime.parts.ticks.register(self._orders.look)
        self._runtime.parts.ticks.register(self._desk.look)

    def end(self) -> None:
        """Execute no more. Idempotent."""
        self._orders.end()

    def tell(self) -> None:
        """Publish the figures. Never switches greenlets."""
        self._figures.publish()

    def routes(self, *more: MoreMetrics) -> list[AdminRoute]:
        """The pages that speak for the whole node. ``more``: for its metrics."""
        parts, desk = self._runtime.parts, self._desk
        return [
            *NodeMetrics(self._numbers, *more).routes(),
            *StreamPages(desk, parts.routes).routes(),
            *PurgePages(desk, parts.routes, parts.counters).routes(),
        ]

    def status(self) -> NodeStatus:
        """What all processes told last. Asks nobody."""
        return self._figures.status()

    def _numbers(self) -> NodeNumbers:
        """The node's, as they are now; of who does not answer, as it told them last."""
        with suppress(Refusal):
            self._orders.give("tell", within=TELL_SECONDS)
        return self._figures.numbers()

    def _told(self, _order: NodeOrder) -> Report:
        self.tell()
        return {}

    def unready(self) -> Reason | None:
        """Why the node cannot answer reads, whatever this process can; None: it can."""
        return None if self._has(Role.KEEPER) else Reason.KEEPERS_SILENT

    def has_fronts(self) -> bool:
        """Whether a front gives signs of life."""
        return self._has(Role.FRONT)

    def _has(self, role: Role) -> bool:
        places = self._view.places(time.monotonic())
        return any(place.role is role for place in places)


def node_process(
    seat: Seat,
    runtime: Runtime,
    gauges: Callable[[], Mapping[str, float]],
    faults: FaultTimes,
) -> NodeProcess | None:
    """The part of the process in this seat; None where there is one worker."""
    if seat.node is None or seat.view is None:
        return None
    return NodeProcess(seat, seat.node, seat.view, runtime, gauges, faults)
