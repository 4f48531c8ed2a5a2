"""The streams of a node, made of what its processes say of theirs. Pure.

Clients read from fronts, so viewers are counted there and added up. What is held, where
it ends and whether it is followed, the keeper of a stream says, which alone asks the
origin; a front's word stands in for it where no keeper holds the stream. A keeper's own
viewers are fronts, and are nobody's.

Called by ``edge.process.node_desk``.
"""

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from heapq import nlargest
from typing import Any

from edge.core.stream_snapshot import StreamSnapshot
from edge.core.values import PartitionKind


def as_item(row: StreamSnapshot) -> list[Any]:
    """A row as it goes through JSON."""
    return [getattr(row, name) for name in _NAMES]


def of_item(item: Sequence[Any]) -> StreamSnapshot:
    """A row that came through JSON."""
    told = dict(zip(_NAMES, item, strict=True))
    return StreamSnapshot(**{**told, "partition": PartitionKind(told["partition"])})


_NAMES = tuple(one.name for one in fields(StreamSnapshot))


def merged(
    of_fronts: Iterable[StreamSnapshot],
    of_keepers: Iterable[StreamSnapshot],
    limit: int,
) -> list[StreamSnapshot]:
    """At most ``limit`` rows, those with most viewers first."""
    held: dict[str, StreamSnapshot] = {}
    for row in of_keepers:
        known = held.get(row.identity)
        # Of two, one is about to leave: the other one goes on.
        if known is None or (known.followed, known.bytes_held) < (
            row.followed,
            row.bytes_held,
        ):
            held[row.identity] = replace(row, viewers=0, parked=0)
    read: dict[str, StreamSnapshot] = {}
    for row in of_fronts:
        known = read.get(row.identity)
        read[row.identity] = row if known is None else _both(known, row)
    for identity, row in read.items():
        known = held.get(identity)
        if known is not None:
            row = replace(known, viewers=row.viewers, parked=row.parked)
        held[identity] = row
    return nlargest(limit, held.values(), key=lambda row: row.viewers)


def unheld(
    shown: Iterable[StreamSnapshot], of_keepers: Iterable[StreamSnapshot]
) -> list[tuple[str, str]]:
    """Route and path of what no keeper has spoken of."""
    told = {row.identity for row in of_keepers}
    return sorted({(r.route, r.path) for r in shown if r.identity not in told})


def _both(one: StreamSnapshot, other: StreamSnapshot) -> StreamSnapshot:
    """What two fronts say of one stream."""
    fuller = max(one, other, key=lambda row: row.bytes_held)
    viewers, parked = one.viewers + other.viewers, one.parked + other.parked
    return replace(fuller, viewers=viewers, parked=parked)
