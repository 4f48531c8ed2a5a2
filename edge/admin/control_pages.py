"""``/streams`` and ``/forget``: what an operator may ask of a running edge.

``GET /streams`` shows how much is held and the streams with most viewers.
``POST /forget?path=...`` drops what is held of a path; its viewers are served on. Both
ask ``edge.core.ports.Control``, which the hub implements, or where there are several
processes all of these, by a ``OperatorView``. No page shows a credential, the digest of
one, or a header.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from edge.admin.routes import AdminRequest, AdminRoute, TokenRule, json_page
from edge.core.errors import ClientFault
from edge.core.ports import Control
from edge.core.reasons import Reason
from edge.core.stream_snapshot import StreamSnapshot
from edge.core.values import Answer
from edge.policy.streams.pipeline import find_route
from edge.policy.streams.routes import Route

DEFAULT_STREAMS = 100
MAX_STREAMS = 1000
"""Rows that ``/streams`` shows: without ``limit``, and at most with it."""

_NUMBER = re.compile("[0-9]{1,4}")

_log = logging.getLogger("edge.admin")


class Overview(NamedTuple):
    """What is held: gauges of all of it, and some rows. ``late`` names the processes
    that are not in it, because they did not answer in time."""

    totals: Mapping[str, float]
    streams: Sequence[StreamSnapshot]
    late: tuple[str, ...] = ()


class OperatorView(Protocol):
    """All processes of a node as one. Blocks the calling greenlet, two seconds or so
    at most for each order that it takes."""

    def overview(self, limit: int) -> Overview:
        """At most ``limit`` streams, those with most viewers first. Raises Refusal."""

    def forget(self, route: str, path: str) -> int:
        """As ``Control.forget``, in all processes. Raises Refusal."""


class AloneView:
    """A worker that is alone is the whole node."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def overview(self, limit: int) -> Overview:
        """See OperatorView."""
        return Overview(self._control.gauges(), self._control.snapshot(limit))

    def forget(self, route: str, path: str) -> int:
        """See OperatorView."""
        return self._control.forget(route, path)


class ControlPages:
    """The pages of one worker, or of all. ``routes`` are those of its streams."""

    def __init__(self, node: OperatorView, routes: Sequence[Route]) -> None:
        self._node = node
        self._routes = routes

    def routes(self) -> tuple[AdminRoute, ...]:
        """The pages that this part contributes to the admin address."""
        return (
            AdminRoute("/streams", self._streams),
            AdminRoute("/forget", self._forget, ("POST",), TokenRule.MUST_BE_SET),
        )

    def _streams(self, request: AdminRequest) -> Answer:
        found = self._node.overview(_limit(request))
        shown: dict[str, object] = {
            "totals": {name: int(number) for name, number in found.totals.items()},
            "streams": [_shown(row) for row in found.streams],
        }
        if found.late:
            shown["late"] = found.late
        return json_page(shown)

    def _forget(self, request: AdminRequest) -> Answer:
        path = request.parameter("path")
        if not path:
            detail = "Say which: POST /forget?path=/v1/stream/..."
            raise ClientFault(detail, reason=Reason.BAD_QUERY)
        route = find_route(self._routes, path)
        count = 0 if route is None else self._node.forget(route.match, path)
        if route is None or not count:
            detail = "Nothing is held of this path."
            raise ClientFault(detail, reason=Reason.NOT_FOUND, status=404)
        _log.info("forgot %s as asked: %d held", path, count)
        return json_page({"path": path, "route": route.match, "forgotten": count})


def _limit(request: AdminRequest) -> int:
    given = request.parameter("limit")
    if given is None:
        return DEFAULT_STREAMS
    if not _NUMBER.fullmatch(given) or int(given) > MAX_STREAMS:
        detail = f"limit is a number from 0 to {MAX_STREAMS}."
        raise ClientFault(detail, reason=Reason.BAD_QUERY)
    return int(given)


def _shown(row: StreamSnapshot) -> dict[str, object]:
    return {
        "path": row.path,
        "route": row.route,
        "partition": row.partition.value,
        "incarnation": row.incarnation,
        "viewers": row.viewers,
        "parked": row.parked,
        "flights": row.flights,
        "bytes_held": row.bytes_held,
        "end": row.end,
        "tail": row.tail,
        "closed": row.closed,
        "followed": row.followed,
        "armed": row.armed,
    }
