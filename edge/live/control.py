"""HubControl: what an operator may ask of the hub (``edge.core.ports.Control``).

It shows rows and forgets them; it never asks the origin. Called by the pages of the
admin address.
"""

from hashlib import blake2b
from heapq import nlargest

from edge.core.reasons import Reason
from edge.core.stream_snapshot import StreamSnapshot
from edge.core.values import StreamKey
from edge.live.hub import Hub
from edge.live.rows import Stream


class HubControl:
    """The control of one hub."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def snapshot(self, limit: int) -> list[StreamSnapshot]:
        """See ``edge.core.ports.Control``."""
        busiest = nlargest(limit, self._hub.streams, key=lambda row: row.viewers)
        return [_snapshot(row) for row in busiest]

    def of_path(self, route: str, path: str) -> list[StreamSnapshot]:
        """See ``edge.core.ports.Control``."""
        return [_snapshot(row) for row in self._hub.streams.of_path(route, path)]

    def forget(self, route: str, path: str) -> int:
        """See ``edge.core.ports.Control``. As if the stream had been replaced."""
        count = 0
        for row in self._hub.streams.of_path(route, path):
            held = _holds(row)
            count += held
            # An answer that is on its way is of the stream that is to be forgotten.
            if held or row.flights:
                self._hub.replace(row, Reason.FORGOTTEN)
        return count

    def gauges(self) -> dict[str, float]:
        """See ``edge.core.ports.Control``."""
        hub = self._hub
        return {
            "viewers": hub.viewers,
            "streams": len(hub.streams),
            "followers": len(hub.followers),
            "followers_by_events": hub.followers.by_events,
            "flights_under_way": len(hub.flights),
            "relays": len(hub.relays),
            "spools": len(hub.spools),
            "spool_readers": hub.spools.readers,
            "spool_bytes": hub.spools.used,
            "disk_bytes": 0 if hub.shelf is None else hub.shelf.used,
            "bytes_held": hub.streams.cost,
            "bytes_in_probation": hub.streams.cost_in_probation,
            "bytes_prepared": hub.delivery.cost + hub.answer_cache.cost,
            "breaker_open": int(hub.upstream.breaker.is_open),
        }


def _holds(row: Stream) -> bool:
    return row.log.holds_bytes or row.log.tail.offset is not None


def _snapshot(row: Stream) -> StreamSnapshot:
    return StreamSnapshot(
        route=row.key.route,
        path=row.key.path,
        partition=row.key.partition.kind,
        incarnation=row.log.incarnation,
        viewers=row.viewers,
        parked=len(row.parked),
        flights=len(row.flights),
        bytes_held=row.log.cost,
        end=row.log.end,
        tail=row.log.tail.offset,
        closed=row.log.tail.closed,
        followed=row.follower is not None,
        armed=row.log.tail.armed is not None,
        identity=_identity(row.key),
    )


def _identity(key: StreamKey) -> str:
    """The same in all processes of a node, and for no other key."""
    partition = key.partition
    parts = (key.route, key.path, key.extension, partition.kind, partition.digest)
    octets = "\0".join(parts).encode("utf-8", "surrogatepass")
    return blake2b(octets, digest_size=16).hexdigest()
