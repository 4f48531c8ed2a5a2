"""What an operator is told of a stream: values. They tell no credential, no digest of
one, no header and no content.

``StreamSnapshot`` is a stream's row in a list, ``StreamDetail`` is one stream in full.
``StreamOrder`` and ``StreamFilter`` say which rows come first, and which are asked for.
"""

import enum
from dataclasses import dataclass, field
from typing import NamedTuple

from edge.core.values import PartitionKind


@dataclass(frozen=True, slots=True)
class StreamSnapshot:
    """What is held of one stream key, for an operator.

    ``incarnation`` is a number of this worker's, a new one after each new beginning.
    ``viewers`` are its live readers, ``viewers_by_events`` of them have an event
    stream, and ``parked`` of them wait for the log to grow.
    ``flights`` are fetches under way. ``end`` is the last offset up to which bytes are
    held, ``tail`` the furthest that the origin named (None: none). ``followed``: it has
    a follower. ``armed``: the follower's poll is on the wire. ``requests`` are reads
    since the row was made. ``lag``: bytes that the slowest event stream has yet to be
    given, which its client does not take. ``identity`` stands for
    the key among the processes of a node, and is shown to nobody.
    """

    route: str
    path: str
    partition: PartitionKind
    incarnation: int
    viewers: int
    parked: int
    flights: int
    bytes_held: int
    end: str | None
    tail: str | None
    closed: bool
    followed: bool
    armed: bool
    viewers_by_events: int = 0
    requests: int = 0
    lag: int = 0
    identity: str = field(default="", repr=False, compare=False)


class HeldPiece(NamedTuple):
    """Bytes that are held in one piece, from an offset to another."""

    start: str
    end: str
    bytes: int


class FollowerSnapshot(NamedTuple):
    """A stream's follower: what it does (``edge.live.follower_states``), and whether it
    has an event stream of the origin."""

    state: str
    by_events: bool


class FaultNote(NamedTuple):
    """A failure: its reason word, how often it was met in a row, and when last (Unix
    time)."""

    reason: str
    times: int
    last: float


@dataclass(frozen=True, slots=True)
class StreamDetail:
    """One stream key in full.

    ``held`` are the first pieces, of ``pieces`` in all. ``age``: seconds since the
    origin last said that it is so; None: it never did. ``grown``: seconds since it grew
    last; None: it never did here. ``waiting`` are readers that wait for a fetch.
    ``away`` is the reason word of the failure that is not over, and ``retry_in``
    seconds until the origin is asked again. ``faults`` are the last ones of its path.
    """

    row: StreamSnapshot
    content_type: str | None
    held: tuple[HeldPiece, ...]
    pieces: int
    age: float | None
    grown: float | None
    follower: FollowerSnapshot | None
    waiting: int
    away: str | None
    retry_in: float
    faults: tuple[FaultNote, ...]


class StreamOrder(enum.StrEnum):
    """Which streams come first: those with most viewers, bytes held, requests, or the
    slowest viewer."""

    VIEWERS = "viewers"
    BYTES = "bytes"
    REQUESTS = "requests"
    LAG = "lag"

    def of(self, row: StreamSnapshot) -> int:
        """The number by which this row is placed: the highest comes first."""
        return int(getattr(row, _PLACED_BY[self]))


_PLACED_BY = {
    StreamOrder.VIEWERS: "viewers",
    StreamOrder.BYTES: "bytes_held",
    StreamOrder.REQUESTS: "requests",
    StreamOrder.LAG: "lag",
}


class StreamFilter(NamedTuple):
    """Which streams are asked for: those of a route (its ``match``; None: of all), in
    whose path this text stands; and which come first."""

    order: StreamOrder = StreamOrder.VIEWERS
    route: str | None = None
    contains: str = ""

    def wants(self, route: str, path: str) -> bool:
        """Whether a stream of this route and path is asked for."""
        return self.route in (None, route) and self.contains in path


BY_VIEWERS = StreamFilter()
"""All streams, those with most viewers first."""
