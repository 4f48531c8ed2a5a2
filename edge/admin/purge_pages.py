"""``/purge`` and ``/forget``: what an operator has the edge confirm, or forget (L27).

``POST /purge`` takes a JSON object with one of ``path``, ``glob`` and ``tag``, and with
``mode``: ``soft``, which is what is done without it, or ``hard``. It is answered with
what was done, in each process. If some are late, or could not do it, the answer is a
problem document that says the same: the order stands, and they do it when they go on.
``POST /forget?path=...`` is a hard purge of a path of which something must be held.

Both ask ``edge.core.ports.Control``, which the hub implements, or where there are
several processes all of these, by a ``PurgeView``.
"""

import json
import logging
from collections.abc import Sequence
from typing import Any, Protocol

from edge.admin.orders_told import fault_of
from edge.admin.routes import AdminRequest, AdminRoute, TokenRule, json_page
from edge.core.counters import Counters
from edge.core.errors import ClientFault, EdgeError
from edge.core.ports import Control
from edge.core.purges import Purge, PurgeBy, PurgeMode, PurgeOutcome, PurgeReport
from edge.core.reasons import Reason
from edge.core.values import Answer, Role
from edge.front import problems
from edge.policy.streams.pipeline import find_route
from edge.policy.streams.purge_selection import check
from edge.policy.streams.routes import Route

PATH = "/purge"

_log = logging.getLogger("edge.admin")


class PurgeView(Protocol):
    """All processes of a node as one. Blocks the calling greenlet, two seconds or so
    at most."""

    def purge(self, purge: Purge) -> PurgeOutcome:
        """As ``Control.purge``, in all processes. Raises EdgeError."""


class AlonePurges:
    """A worker that is alone is the whole node."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def purge(self, purge: Purge) -> PurgeOutcome:
        """See PurgeView."""
        return PurgeOutcome({Role.WORKER.value: self._control.purge(purge)})


class PurgePages:
    """The pages of one worker, or of all. ``routes`` are those of its streams."""

    def __init__(
        self, node: PurgeView, routes: Sequence[Route], counters: Counters
    ) -> None:
        self._node = node
        self._routes = routes
        self._counters = counters

    def routes(self) -> tuple[AdminRoute, ...]:
        """The pages that this part contributes to the admin address."""
        rule = TokenRule.MUST_BE_SET
        return (
            AdminRoute(PATH, self._purge, ("POST",), rule, takes_json=True),
            AdminRoute("/forget", self._forget, ("POST",), rule),
        )

    def _purge(self, request: AdminRequest) -> Answer:
        order = _order(request.document)
        check(order, self._routes)
        outcome = self._ask(order)
        total = outcome.total
        said = {
            order.by.value: order.text,
            "mode": order.mode.value,
            **_counts(order, total),
            "processes": {
                name: _counts(order, one) for name, one in outcome.reports.items()
            },
            "late": outcome.late,
        }
        if (fault := fault_of(outcome.late, outcome.failed)) is None:
            return json_page(said)
        return _problem(fault, {**said, "failed": outcome.failed})

    def _forget(self, request: AdminRequest) -> Answer:
        path = request.parameter("path")
        if not path:
            detail = "Say which: POST /forget?path=/v1/stream/..."
            raise ClientFault(detail, reason=Reason.BAD_QUERY)
        route = find_route(self._routes, path)
        count = 0
        if route is not None:
            outcome = self._ask(Purge(PurgeBy.PATH, path, PurgeMode.HARD))
            if (fault := fault_of(outcome.late, outcome.failed)) is not None:
                raise fault
            count = outcome.total.purged
        if route is None or not count:
            detail = "Nothing is held of this path."
            raise ClientFault(detail, reason=Reason.NOT_FOUND, status=404)
        return json_page({"path": path, "route": route.match, "forgotten": count})

    def _ask(self, order: Purge) -> PurgeOutcome:
        self._counters.purges[f"{order.by.value}-{order.mode.value}"] += 1
        outcome = self._node.purge(order)
        total, did = outcome.total, _DONE[order.mode]
        said = "purge of %s %r as asked: %d matched, %d %s%s"
        late = f", late: {', '.join(outcome.late)}" if outcome.late else ""
        what = order.by.value, order.text
        _log.info(said, *what, total.matched, total.purged, did, late)
        return outcome


_DONE = {PurgeMode.SOFT: "softened", PurgeMode.HARD: "forgotten"}


def _counts(order: Purge, report: PurgeReport) -> dict[str, Any]:
    counts: dict[str, Any] = {
        "matched": report.matched,
        _DONE[order.mode]: report.purged,
        "bytes": report.bytes,
    }
    if order.mode is PurgeMode.HARD:
        disk = "deleting" if report.disk_busy else "done"
        counts |= {"disk_ranges": report.ranges, "disk": disk}
    return counts


def _problem(fault: EdgeError, said: dict[str, Any]) -> Answer:
    """A problem document that also says what was done."""
    answer = problems.answer_of(fault, "")
    document = {**json.loads(answer.body or b"{}"), **said}
    del document["instance"]
    body = json.dumps(document, indent=1).encode() + b"\n"
    return Answer(answer.status, answer.headers, body)


def _order(document: object) -> Purge:
    """What to purge, and how. Raises ClientFault."""
    if not isinstance(document, dict):
        raise _bad('Say what, as in {"path": "/v1/stream/a"}.')
    named = [by for by in PurgeBy if by.value in document]
    if len(named) != 1:
        raise _bad("Say exactly one of path, glob and tag.")
    [by] = named
    if odd := sorted(document.keys() - {by.value, "mode"}):
        raise _bad(f"Beside {by.value} only mode is known: not {', '.join(odd)[:200]}.")
    text, mode = document[by.value], document.get("mode", PurgeMode.SOFT.value)
    if not isinstance(text, str) or not text:
        raise _bad(f"{by.value} is a string that is not empty.")
    if mode not in tuple(PurgeMode):
        raise _bad("mode is soft or hard.")
    return Purge(by, text, PurgeMode(mode))


def _bad(detail: str) -> ClientFault:
    return ClientFault(detail, reason=Reason.BAD_ORDER)
