"""NodeDesk: what an operator asks of a node of several processes, done by all of them.

It has the handlers of this process for the node's orders (``orders``), and gives orders
for the pages of the admin address, in any front:

- *purge*: keepers first. A front that forgot before its keeper did would be given the
  old bytes again, so it waits until they have, a second at most. If a keeper is late,
  the front purges, and does it once more when the keeper has (``look``). A keeper to
  which streams are handed over asks for no more of them. What each dropped is told.
- *revoke*: the order itself goes to all. The revocation file is written by whoever was
  asked, and read by those that start.
- *snapshot*, which only asks: each process tells its first streams in the order that
  is asked for, and its gauges. Keepers are asked a second time, for the paths that only
  fronts have named, and fronts for those that only keepers have (*paths*).
- *details*, which only asks, too: one path in full.

Called by the worker, in each process of a node. Where there is one worker there is no
desk.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from itertools import chain

import gevent

from edge.access.revocation_file import item_of, order_of
from edge.access.revocations import Revocation
from edge.access.revoker import Heard, Revoker
from edge.admin.orders_told import fault_of
from edge.admin.stream_pages import Overview, PathView
from edge.core.node_counters import node_gauges
from edge.core.node_rows import (
    as_item,
    detail_as_item,
    detail_of_item,
    merged,
    merged_details,
    of_item,
    unheld,
)
from edge.core.ports import DISK_SECONDS, Control
from edge.core.purges import Purge, PurgeBy, PurgeMode, PurgeOutcome, PurgeReport
from edge.core.stream_snapshot import (
    BY_VIEWERS,
    StreamDetail,
    StreamFilter,
    StreamOrder,
    StreamSnapshot,
)
from edge.core.values import Place, Role
from edge.process.order_file import NodeOrder
from edge.process.orders import NodeOrders, OrderOutcome, Report

KEEPERS_FIRST_SECONDS = 1.0
"""How long a front waits for keepers before it purges."""

MAX_AGAIN = 256
"""Purges that a front does once more when late keepers have done them. With one more,
everything is forgotten then."""

MIN_ROWS = 100
MAX_ROW_BYTES = 2 * 1024 * 1024
"""Rows that a process tells at least, if it has so many, and bytes of their paths at
most."""


class NodeDesk:
    """The desk of one process."""

    def __init__(
        self,
        place: Place,
        orders: NodeOrders,
        control: Control,
        revoker: Revoker | None,
        gauges: Callable[[], Mapping[str, float]],
        end_hand_over: Callable[[], None] = lambda: None,
    ) -> None:
        self._end_hand_over = end_hand_over
        self._role = place.role
        self._orders = orders
        self._control = control
        self._revoker = revoker
        self._gauges = gauges
        orders.handlers.update(
            purge=self._purge,
            revoke=self._revoke,
            snapshot=self._snapshot,
            paths=self._paths,
            details=self._details,
        )
        # Who starts holds nothing. But a keeper may find something on its disk, and a
        # front may ask a keeper that is late.
        orders.lasting.add("purge")
        if self._role is not Role.KEEPER:
            orders.lasting.add("revoke")
        orders.everything = self._forget_all
        self._again: list[NodeOrder] = []
        if revoker is not None:
            revoker.tell_others = self.revoke

    # What a page asks.

    def purge(self, purge: Purge) -> PurgeOutcome:
        """Soften or forget in all processes. Raises Refusal (orders-unwritten)."""
        given = self._orders.give("purge", **asdict(purge))
        reports = {name: PurgeReport(**one) for name, one in given.reports.items()}
        return PurgeOutcome(reports, given.late, given.failed)

    def revoke(self, order: Revocation) -> Heard:
        """Hand an order to revoke to all processes; what came of it there.

        Raises Refusal, as ``forget``.
        """
        outcome = _done_by_all(self._orders.give("revoke", order=item_of(order)))
        heard = [report for report in outcome.reports.values() if report]
        newest = max((report["at"] for report in heard), default=order.at)
        return Heard(sum(report["ended"] for report in heard), newest)

    def overview(self, limit: int, wanted: StreamFilter = BY_VIEWERS) -> Overview:
        """What is held, and the first streams that are asked for. Raises Refusal."""
        first = self._orders.give("snapshot", rows=limit, wanted=wanted)
        told = list(first.reports.values())
        fronts = list(_rows(told, Role.FRONT))
        keepers = list(_rows(told, Role.KEEPER))
        shown = merged(fronts, keepers, limit, wanted.order)
        missing = {
            Role.KEEPER.value: unheld(shown, keepers),
            Role.FRONT.value: unheld(shown, fronts),
        }
        late = first.late + first.failed
        if any(missing.values()) and not late:
            second = self._orders.give("paths", paths=missing)
            keepers += _rows(second.reports.values(), Role.KEEPER)
            fronts += _rows(second.reports.values(), Role.FRONT)
            shown = merged(fronts, keepers, limit, wanted.order)
            late += second.late + second.failed
        gauges = node_gauges((Role(one["role"]), one["gauges"]) for one in told)
        return Overview(gauges, shown, tuple(sorted(set(late))))

    def of_path(self, route: str, path: str) -> PathView:
        """All streams of one path, in full. Raises Refusal."""
        outcome = self._orders.give("details", route=route, path=path)
        told = outcome.reports.values()
        fronts, keepers = _details(told, Role.FRONT), _details(told, Role.KEEPER)
        late = tuple(sorted({*outcome.late, *outcome.failed}))
        return PathView(merged_details(fronts, keepers), late)

    # What an order says.

    def _purge(self, order: NodeOrder) -> Report:
        if self._orders.is_starting:
            # Nobody is waited for: there may be many orders, and they are long done.
            before_keepers, patience = 0.0, 0.0
        else:
            before_keepers, patience = KEEPERS_FIRST_SECONDS, DISK_SECONDS
        keepers = Role.KEEPER.value
        if self._role is Role.KEEPER:
            if not self._orders.is_done(order.number, keepers):
                # The one before it may be late, and would give it the old bytes.
                self._end_hand_over()
        elif not self._orders.wait_for(order.number, keepers, before_keepers):
            self._again.append(order)
        return asdict(self._control.purge(_purge_of(order), patience))

    def look(self, _now: float = 0.0) -> None:
        """Purge once more what keepers were late for, when they have. Never switches
        greenlets."""
        if not self._again:
            return
        keepers = Role.KEEPER.value
        due = [o for o in self._again if self._orders.is_done(o.number, keepers)]
        if due:
            self._again = [order for order in self._again if order not in due]
            gevent.spawn(self._purge_again, due)

    def _purge_again(self, due: list[NodeOrder]) -> None:
        if len(due) > MAX_AGAIN:
            self._forget_all()
            return
        for order in due:
            self._control.purge(_purge_of(order))

    def _revoke(self, order: NodeOrder) -> Report:
        if self._revoker is None:
            # A keeper judges nobody.
            return {}
        return self._revoker.hear(order_of(order.facts["order"]))._asdict()

    def _snapshot(self, order: NodeOrder) -> Report:
        by, route, contains = order.facts["wanted"]
        wanted = StreamFilter(StreamOrder(by), route, contains)
        rows = self._control.snapshot(max(MIN_ROWS, order.facts["rows"]), wanted)
        return self._told(rows)

    def _details(self, order: NodeOrder) -> Report:
        found = self._control.details(order.facts["route"], order.facts["path"])
        return {
            "role": self._role.value,
            "streams": list(map(detail_as_item, found)),
        }

    def _paths(self, order: NodeOrder) -> Report:
        pairs = order.facts["paths"].get(self._role.value, ())
        found = (self._control.of_path(route, path) for route, path in pairs)
        return self._told(chain.from_iterable(found))

    def _told(self, rows: Iterable[StreamSnapshot]) -> Report:
        return {
            "role": self._role.value,
            "gauges": dict(self._gauges()),
            "rows": list(map(as_item, _bounded(rows))),
        }

    def _forget_all(self) -> None:
        """Some orders are lost: what they may have named is forgotten. The file of
        revocations is read at every tick."""
        self._control.purge(Purge(PurgeBy.GLOB, "/**", PurgeMode.HARD))


def _purge_of(order: NodeOrder) -> Purge:
    facts = order.facts
    by, mode = PurgeBy(facts["by"]), PurgeMode(facts["mode"])
    return Purge(by, facts["text"], mode)


def _bounded(rows: Iterable[StreamSnapshot]) -> Iterator[StreamSnapshot]:
    left = MAX_ROW_BYTES
    for row in rows:
        left -= len(row.path)
        if left < 0:
            return
        yield row


def _rows(told: Iterable[Report], role: Role) -> Iterator[StreamSnapshot]:
    for report in told:
        if report["role"] == role.value:
            yield from map(of_item, report["rows"])


def _details(told: Iterable[Report], role: Role) -> Iterator[StreamDetail]:
    for report in told:
        if report["role"] == role.value:
            yield from map(detail_of_item, report["streams"])


def _done_by_all(outcome: OrderOutcome) -> OrderOutcome:
    """Raises Refusal if any process has not done it."""
    if (fault := fault_of(outcome.late, outcome.failed)) is not None:
        raise fault
    return outcome
