"""HubControl: what an operator may ask of the hub (``edge.core.ports.Control``).

It shows rows and drops what they hold; it never asks the origin. Called by the pages
of the admin address.
"""

from heapq import nlargest

from edge.core.values import StreamSnapshot
from edge.live.hub import Hub


class HubControl:
    """The control of one hub."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def snapshot(self, limit: int) -> list[StreamSnapshot]:
        """See ``edge.core.ports.Control``."""
        busiest = nlargest(limit, self._hub.streams, key=lambda row: row.viewers)
        return [
            StreamSnapshot(
                route=row.key.route,
                path=row.key.path,
                partition=row.key.partition.kind,
                viewers=row.viewers,
                bytes_held=row.log.cost,
                end=row.log.end,
                closed=row.log.tail.closed,
                followed=row.follower is not None,
            )
            for row in busiest
        ]

    def forget(self, route: str, path: str) -> int:
        """See ``edge.core.ports.Control``. As if another stream were there now (L5)."""
        logs = [row.log for row in self._hub.streams.of_path(route, path)]
        held = [log for log in logs if log.holds_bytes or log.tail.offset is not None]
        if held:
            self._hub.wrote(route, path, "DELETE", 204, ())
        return len(held)

    def gauges(self) -> dict[str, float]:
        """See ``edge.core.ports.Control``."""
        return self._hub.gauges()
