"""The streams of a node, made of what its processes say of theirs. Pure.

Clients read from fronts, so viewers, requests and lags are theirs, and are added up.
What is held, where it ends and whether it is followed, the keeper of a stream says,
which alone asks the origin; a front's word stands in for it where no keeper holds the
stream. A keeper's own viewers are fronts, and are nobody's.

Called by ``edge.process.node_desk``.
"""

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from heapq import nlargest
from typing import Any

from edge.core.stream_snapshot import (
    FaultNote,
    FollowerSnapshot,
    HeldPiece,
    StreamDetail,
    StreamOrder,
    StreamSnapshot,
)
from edge.core.values import PartitionKind


def as_item(row: StreamSnapshot) -> list[Any]:
    """A row as it goes through JSON."""
    return [getattr(row, name) for name in _NAMES]


def of_item(item: Sequence[Any]) -> StreamSnapshot:
    """A row that came through JSON."""
    told = dict(zip(_NAMES, item, strict=True))
    return StreamSnapshot(**{**told, "partition": PartitionKind(told["partition"])})


_NAMES = tuple(one.name for one in fields(StreamSnapshot))


def detail_as_item(detail: StreamDetail) -> list[Any]:
    """A stream in full as it goes through JSON."""
    row, *rest = (getattr(detail, name) for name in _DETAILS)
    return [as_item(row), *rest]


def detail_of_item(item: Sequence[Any]) -> StreamDetail:
    """A stream in full that came through JSON."""
    told = dict(zip(_DETAILS, item, strict=True))
    follower = told["follower"]
    return StreamDetail(
        **{
            **told,
            "row": of_item(told["row"]),
            "held": tuple(HeldPiece(*piece) for piece in told["held"]),
            "follower": None if follower is None else FollowerSnapshot(*follower),
            "faults": tuple(FaultNote(*note) for note in told["faults"]),
        }
    )


_DETAILS = tuple(one.name for one in fields(StreamDetail))


def merged(
    of_fronts: Iterable[StreamSnapshot],
    of_keepers: Iterable[StreamSnapshot],
    limit: int,
    order: StreamOrder = StreamOrder.VIEWERS,
) -> list[StreamSnapshot]:
    """At most ``limit`` rows, in this order."""
    held: dict[str, StreamSnapshot] = {}
    for row in of_keepers:
        known = held.get(row.identity)
        if known is None or _goes_on(known) < _goes_on(row):
            held[row.identity] = _without_clients(row)
    read: dict[str, StreamSnapshot] = {}
    for row in of_fronts:
        known = read.get(row.identity)
        read[row.identity] = row if known is None else _both(known, row)
    for identity, row in read.items():
        known = held.get(identity)
        held[identity] = row if known is None else _with_clients_of(known, row)
    return nlargest(limit, held.values(), key=order.of)


def merged_details(
    of_fronts: Iterable[StreamDetail], of_keepers: Iterable[StreamDetail]
) -> list[StreamDetail]:
    """The streams of one path in full, each once."""
    fronts = list(of_fronts)
    keepers = _each_once(of_keepers)
    held = {**_each_once(fronts), **keepers}
    theirs = (detail.row for detail in keepers.values())
    rows = merged((detail.row for detail in fronts), theirs, len(held))
    return [replace(held[row.identity], row=row) for row in rows]


def _each_once(told: Iterable[StreamDetail]) -> dict[str, StreamDetail]:
    """By identity; of two who speak of one stream, who goes on."""
    found: dict[str, StreamDetail] = {}
    for detail in told:
        known = found.get(detail.row.identity)
        if known is None or _goes_on(known.row) < _goes_on(detail.row):
            found[detail.row.identity] = detail
    return found


def unheld(
    shown: Iterable[StreamSnapshot], told: Iterable[StreamSnapshot]
) -> list[tuple[str, str]]:
    """Route and path of what none of those who ``told`` has spoken of."""
    known = {row.identity for row in told}
    return sorted({(r.route, r.path) for r in shown if r.identity not in known})


def _goes_on(row: StreamSnapshot) -> tuple[bool, int]:
    """Of two who hold a stream one may be about to leave: the higher one goes on."""
    return row.followed, row.bytes_held


def _without_clients(row: StreamSnapshot) -> StreamSnapshot:
    return replace(row, viewers=0, viewers_by_events=0, parked=0, requests=0, lag=0)


def _with_clients_of(row: StreamSnapshot, front: StreamSnapshot) -> StreamSnapshot:
    return replace(
        row,
        viewers=front.viewers,
        viewers_by_events=front.viewers_by_events,
        parked=front.parked,
        requests=front.requests,
        lag=front.lag,
    )


def _both(one: StreamSnapshot, other: StreamSnapshot) -> StreamSnapshot:
    """What two fronts say of one stream."""
    return replace(
        max(one, other, key=lambda row: row.bytes_held),
        viewers=one.viewers + other.viewers,
        viewers_by_events=one.viewers_by_events + other.viewers_by_events,
        parked=one.parked + other.parked,
        requests=one.requests + other.requests,
        lag=max(one.lag, other.lag),
    )
