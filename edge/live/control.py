"""HubControl: what an operator may ask of the hub (``edge.core.ports.Control``).

It shows rows and purges them (``purger``); it never asks the origin. Called by the
pages of the admin address, and for the other processes of a node.
"""

from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from heapq import nlargest

from edge.core.ports import DISK_SECONDS
from edge.core.purges import Purge, PurgeReport
from edge.core.stream_snapshot import (
    BY_VIEWERS,
    FaultNote,
    FollowerSnapshot,
    HeldPiece,
    StreamDetail,
    StreamFilter,
    StreamOrder,
    StreamSnapshot,
)
from edge.core.values import StreamKey
from edge.live.hub import Hub
from edge.live.purger import Purger
from edge.live.rows import Stream
from edge.streamlog.tail import NEVER

MAX_DETAILS = 20
"""Streams of one path that are told in full, those with most viewers: there is one for
each partition."""

MAX_PIECES = 100
"""Pieces of what is held that are told of one stream."""


class HubControl:
    """The control of one hub."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._purger = Purger(hub)

    def snapshot(
        self, limit: int, wanted: StreamFilter = BY_VIEWERS
    ) -> list[StreamSnapshot]:
        """See ``edge.core.ports.Control``."""
        rows: Iterable[Stream] = self._hub.streams
        if wanted.route is not None or wanted.contains:
            rows = (r for r in rows if wanted.wants(r.key.route, r.key.path))
        first = nlargest(limit, rows, key=_PLACED_BY[wanted.order])
        return [_snapshot(row) for row in first]

    def of_path(self, route: str, path: str) -> list[StreamSnapshot]:
        """See ``edge.core.ports.Control``."""
        return [_snapshot(row) for row in self._hub.streams.of_path(route, path)]

    def details(self, route: str, path: str) -> list[StreamDetail]:
        """See ``edge.core.ports.Control``."""
        context = self._hub.context
        now, faults = context.clock.monotonic(), tuple(context.faults.of_path(path))
        rows = self._hub.streams.of_path(route, path)
        rows = nlargest(MAX_DETAILS, rows, key=lambda row: row.viewers)
        return [_detail(row, faults, now) for row in rows]

    def purge(self, purge: Purge, patience: float = DISK_SECONDS) -> PurgeReport:
        """See ``edge.core.ports.Control``."""
        return self._purger.purge(purge, patience)

    def gauges(self) -> dict[str, float]:
        """See ``edge.core.ports.Control``."""
        hub = self._hub
        options = hub.context.options
        spool_limit = options.spool_size if hub.upstream.may_take_over else 0
        return {
            "viewers": hub.viewers,
            "viewers_by_events": hub.viewers_by_events(),
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
            "origin_up": int(hub.upstream.health.up),
            "origin_changed_timestamp_seconds": hub.upstream.health.changed,
            "viewers_limit": options.max_viewers,
            "streams_limit": options.max_streams,
            "followers_limit": options.max_followers,
            "flights_limit": options.max_flights,
            "relays_limit": options.max_relays,
            "bytes_held_limit": hub.streams.limit,
            "spool_bytes_limit": spool_limit,
            "disk_bytes_limit": 0 if hub.shelf is None else hub.shelf.size,
        }


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
        viewers_by_events=row.viewers_by_events,
        requests=row.requests,
        lag=_lag(row),
        identity=_identity(row.key),
    )


def _lag(row: Stream) -> int:
    """Bytes that the slowest event stream has yet to be given. One whose place is not
    held any more has yet to be given all that is."""
    waits = {reader.offset for reader in row.parked if reader.full}
    behind = (row.log.distance(offset) for offset in waits)
    return max((row.log.cost if far is None else far for far in behind), default=0)


_PLACED_BY: Mapping[StreamOrder, Callable[[Stream], int]] = {
    StreamOrder.VIEWERS: lambda row: row.viewers,
    StreamOrder.BYTES: lambda row: row.log.cost,
    StreamOrder.REQUESTS: lambda row: row.requests,
    StreamOrder.LAG: _lag,
}


def _detail(row: Stream, faults: tuple[FaultNote, ...], now: float) -> StreamDetail:
    log, contact = row.log, row.contact
    pieces = [piece for piece in log.segments if piece.length]
    fault = None if contact is None else contact.fault
    return StreamDetail(
        row=_snapshot(row),
        content_type=log.content_type,
        held=tuple(
            HeldPiece(piece.start, piece.end, piece.length)
            for piece in pieces[:MAX_PIECES]
        ),
        pieces=len(pieces),
        age=None if log.tail.confirmed_at == NEVER else log.tail.age(now),
        grown=None if row.grown_at is None else max(0.0, now - row.grown_at),
        follower=_follower(row),
        waiting=sum(len(list(flight.waiting())) for flight in row.flights.values()),
        away=None if fault is None else fault.reason.value,
        retry_in=0.0 if contact is None else contact.wait(now),
        faults=faults,
    )


def _follower(row: Stream) -> FollowerSnapshot | None:
    follower = row.follower
    if follower is None:
        return None
    return FollowerSnapshot(follower.state.value, follower.events is not None)


def _identity(key: StreamKey) -> str:
    """The same in all processes of a node, and for no other key."""
    partition = key.partition
    parts = (key.route, key.path, key.extension, partition.kind, partition.digest)
    octets = "\0".join(parts).encode("utf-8", "surrogatepass")
    return blake2b(octets, digest_size=16).hexdigest()
