"""``/streams``: which streams are there, and one stream in full.

``GET /streams`` shows how much is held, and the first streams in an order that is asked
for: most viewers, bytes held, requests, or the slowest viewer. ``GET
/streams?path=...`` shows one path with all that is alive about it. Both ask
``edge.core.ports.Control``, which the hub implements, or where there are several
processes all of these, by a ``StreamsView``. No page shows content, a credential, the
digest of one, or a header.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from edge.admin.routes import AdminRequest, AdminRoute, json_page
from edge.core.errors import ClientFault
from edge.core.ports import Control
from edge.core.reasons import Reason
from edge.core.stream_snapshot import (
    StreamDetail,
    StreamFilter,
    StreamOrder,
    StreamSnapshot,
)
from edge.core.values import Answer
from edge.policy.streams.pipeline import find_route
from edge.policy.streams.routes import Route

DEFAULT_STREAMS = 100
MAX_STREAMS = 1000
"""Rows that ``/streams`` shows: without ``limit``, and at most with it."""

MAX_CONTAINED = 256
"""Characters of the text that a path is to contain."""

_NUMBER = re.compile("[0-9]{1,4}")
_ORDERS = ", ".join(order.value for order in StreamOrder)


class Overview(NamedTuple):
    """What is held: gauges of all of it, and some rows. ``late`` names the processes
    that are not in it, because they did not answer in time."""

    totals: Mapping[str, float]
    streams: Sequence[StreamSnapshot]
    late: tuple[str, ...] = ()


class PathView(NamedTuple):
    """The streams of one path in full; ``late`` as in ``Overview``."""

    streams: Sequence[StreamDetail]
    late: tuple[str, ...] = ()


class StreamsView(Protocol):
    """All processes of a node as one. Blocks the calling greenlet, two seconds or so
    at most for each order that it takes."""

    def overview(self, limit: int, wanted: StreamFilter) -> Overview:
        """At most ``limit`` of the streams asked for, in their order. Raises
        Refusal."""

    def of_path(self, route: str, path: str) -> PathView:
        """All streams of one path, in full. Raises Refusal."""


class AloneStreams:
    """The streams of a worker that is alone: it is the whole node."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def overview(self, limit: int, wanted: StreamFilter) -> Overview:
        """See StreamsView."""
        rows = self._control.snapshot(limit, wanted)
        return Overview(self._control.gauges(), rows)

    def of_path(self, route: str, path: str) -> PathView:
        """See StreamsView."""
        return PathView(self._control.details(route, path))


class StreamPages:
    """The pages of one worker, or of all. ``routes`` are those of its streams."""

    def __init__(self, node: StreamsView, routes: Sequence[Route]) -> None:
        self._node = node
        self._routes = routes

    def routes(self) -> tuple[AdminRoute, ...]:
        """The pages that this part contributes to the admin address."""
        return (AdminRoute("/streams", self._streams),)

    def _streams(self, request: AdminRequest) -> Answer:
        path = request.parameter("path")
        if path is not None:
            return self._of_path(path)
        found = self._node.overview(_limit(request), _wanted(request))
        shown: dict[str, object] = {
            "totals": {name: int(number) for name, number in found.totals.items()},
            "streams": [shown_row(row) for row in found.streams],
        }
        if found.late:
            shown["late"] = found.late
        return json_page(shown)

    def _of_path(self, path: str) -> Answer:
        route = find_route(self._routes, path)
        found = PathView(()) if route is None else self._node.of_path(route.match, path)
        if route is None or not (found.streams or found.late):
            detail = "Nothing is known of this path."
            raise ClientFault(detail, reason=Reason.NOT_FOUND, status=404)
        shown: dict[str, object] = {
            "path": path,
            "route": route.match,
            "streams": [_in_full(detail) for detail in found.streams],
        }
        if found.late:
            shown["late"] = found.late
        return json_page(shown)


def _limit(request: AdminRequest) -> int:
    given = request.parameter("limit")
    if given is None:
        return DEFAULT_STREAMS
    if not _NUMBER.fullmatch(given) or int(given) > MAX_STREAMS:
        detail = f"limit is a number from 0 to {MAX_STREAMS}."
        raise ClientFault(detail, reason=Reason.BAD_QUERY)
    return int(given)


def _wanted(request: AdminRequest) -> StreamFilter:
    given = request.parameter("sort")
    order = StreamOrder.VIEWERS.value if given is None else given
    contained = request.parameter("contains") or ""
    if order not in set(StreamOrder):
        raise ClientFault(f"sort is one of {_ORDERS}.", reason=Reason.BAD_QUERY)
    if len(contained) > MAX_CONTAINED:
        detail = f"contains has {MAX_CONTAINED} characters at most."
        raise ClientFault(detail, reason=Reason.BAD_QUERY)
    return StreamFilter(StreamOrder(order), request.parameter("route"), contained)


def shown_row(row: StreamSnapshot) -> dict[str, object]:
    """A stream as a list shows it."""
    return {
        "path": row.path,
        "route": row.route,
        "partition": row.partition.value,
        "incarnation": row.incarnation,
        "viewers": row.viewers,
        "viewers_by_events": row.viewers_by_events,
        "parked": row.parked,
        "lag": row.lag,
        "requests": row.requests,
        "flights": row.flights,
        "bytes_held": row.bytes_held,
        "end": row.end,
        "tail": row.tail,
        "closed": row.closed,
        "followed": row.followed,
        "armed": row.armed,
    }


def _in_full(detail: StreamDetail) -> dict[str, object]:
    return {
        **shown_row(detail.row),
        "content_type": detail.content_type,
        "held": [piece._asdict() for piece in detail.held],
        "pieces": detail.pieces,
        "age": _seconds(detail.age),
        "grown": _seconds(detail.grown),
        "follower": None if detail.follower is None else detail.follower._asdict(),
        "waiting": detail.waiting,
        "away": detail.away,
        "retry_in": _seconds(detail.retry_in),
        "faults": [note._asdict() for note in detail.faults],
    }


def _seconds(number: float | None) -> float | None:
    return None if number is None else round(number, 3)
