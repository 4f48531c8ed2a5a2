"""A control that is given, for the tests of pages."""

from dataclasses import dataclass, field, replace
from typing import Any

from edge.core.purges import Purge, PurgeReport
from edge.core.stream_snapshot import (
    BY_VIEWERS,
    StreamDetail,
    StreamFilter,
    StreamSnapshot,
)
from edge.core.values import PartitionKind

PATH = "/v1/stream/x"
TOKEN = "s3cret-token"
SIGNED = {"Authorization": f"Bearer {TOKEN}"}


def row(path: str = PATH, viewers: int = 0, **changes: Any) -> StreamSnapshot:
    """A stream that is held."""
    made = StreamSnapshot(
        route="/v1/stream/**",
        path=path,
        partition=PartitionKind.ANONYMOUS,
        incarnation=1,
        viewers=viewers,
        parked=0,
        flights=0,
        bytes_held=10,
        end="7",
        tail="7",
        closed=False,
        followed=True,
        armed=True,
    )
    return replace(made, **changes)


def in_full(of: StreamSnapshot, **changes: Any) -> StreamDetail:
    """The same stream, and no more to tell of it."""
    made = StreamDetail(
        row=of,
        content_type="text/plain",
        held=(),
        pieces=0,
        age=None,
        grown=None,
        follower=None,
        waiting=0,
        away=None,
        retry_in=0.0,
        faults=(),
    )
    return replace(made, **changes)


@dataclass
class FakeControl:
    """Implements ``edge.core.ports.Control`` over a list of rows."""

    rows: list[StreamSnapshot] = field(default_factory=list)

    def snapshot(
        self, limit: int, wanted: StreamFilter = BY_VIEWERS
    ) -> list[StreamSnapshot]:
        rows = [one for one in self.rows if wanted.wants(one.route, one.path)]
        return sorted(rows, key=wanted.order.of, reverse=True)[:limit]

    def details(self, route: str, path: str) -> list[StreamDetail]:
        return [in_full(one) for one in self.of_path(route, path)]

    def of_path(self, route: str, path: str) -> list[StreamSnapshot]:
        return [one for one in self.rows if (one.route, one.path) == (route, path)]

    def purge(self, purge: Purge, patience: float = 0.0) -> PurgeReport:
        raise AssertionError("nobody asked for that")

    def gauges(self) -> dict[str, float]:
        viewers = sum(one.viewers for one in self.rows)
        return {"streams": float(len(self.rows)), "viewers": float(viewers)}
