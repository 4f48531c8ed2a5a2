"""Counts of clients' things, and their bounds: live readers of a node, and relays.

``RelayCounts`` are how many reads are passed one to one, in all, of each stream and of
each client. ``NodeViewers`` are live readers where several processes serve clients:
each counts its own in ``edge.live.waiters``, and this asks for the others (W13). Where
a process is alone, there are none of these.
"""

from collections import Counter

from edge.core.errors import Refusal
from edge.core.node_bounds import Bounded, NodeBounds
from edge.core.reasons import Reason
from edge.core.values import StreamKey
from edge.live.context import HubOptions
from edge.live.rows import Stream


class NodeViewers:
    """Live readers of all processes of the node."""

    __slots__ = ("_bounds", "_most", "_most_of_stream", "_quota")

    def __init__(self, bounds: NodeBounds, options: HubOptions) -> None:
        self._bounds = bounds
        self._quota = bounds.viewers
        self._most = options.max_viewers
        # A bound that is no lower than that of all needs no counts of its own.
        of_stream = options.max_viewers_per_stream
        self._most_of_stream = of_stream if of_stream < self._most else None

    def take(self, stream: Stream, own: int) -> bool:
        """Whether there may be one more, at this stream, where this process has
        ``own`` in all; then it is counted until it has ``left``."""
        quota = self._quota
        if own >= quota.has and not quota.take(own, self._most):
            return False
        most = self._most_of_stream
        if most is None:
            return True
        what, key = Bounded.STREAM_VIEWERS, _name(stream.key)
        if self._bounds.take(what, key, most):
            return True
        quota.left(own)
        return False

    def left(self, stream: Stream, own: int, count: int = 1) -> None:
        """So many of this stream are done, which leaves ``own`` in this process."""
        self._quota.left(own)
        if self._most_of_stream is not None:
            self._bounds.give_back(Bounded.STREAM_VIEWERS, _name(stream.key), count)


def _name(key: StreamKey) -> str:
    """Names a key in all processes. No part has a line's end."""
    partition = key.partition
    parts = key.route, key.path, key.extension, partition.kind, partition.digest
    return "\n".join(parts)


def viewers_of(options: HubOptions) -> NodeViewers | None:
    """None: this process is alone."""
    return None if options.bounds is None else NodeViewers(options.bounds, options)


class RelayCounts:
    """Reads that are passed one to one: of all streams, of each, and of each client,
    whatever the parameters. A client is its address, "" one that is not counted."""

    def __init__(self, options: HubOptions) -> None:
        self._options = options
        self._bounds = options.bounds
        # How many there are in this process.
        self._of_stream: Counter[str] = Counter()
        self._of_client: Counter[str] = Counter()

    def take(self, stream: str, client: str) -> None:
        """Count one more. Raises Refusal (limit-relays) if it would be one too many."""
        if self._of_stream.total() >= self._options.max_relays:
            raise _too_many("of all streams")
        if self._of_stream[stream] >= self._options.max_relays_per_stream:
            raise _too_many("of this stream")
        if client and self._of_client[client] >= self._options.max_relays_per_client:
            raise _too_many("of this client")
        if self._bounds is not None:
            self._take_of_node(self._bounds, stream, client)
        self._of_stream[stream] += 1
        self._of_client[client] += 1

    def give_back(self, stream: str, client: str) -> None:
        """One that was counted is over."""
        _take_one(self._of_stream, stream)
        _take_one(self._of_client, client)
        if self._bounds is not None:
            self._give_back_to_node(self._bounds, stream, client)

    def _take_of_node(self, bounds: NodeBounds, stream: str, client: str) -> None:
        """The same among all processes; nothing is counted if one bound is met."""
        options, own = self._options, self._of_stream.total()
        if not bounds.relays.take(own, options.max_relays):
            raise _too_many("of all streams")
        most = options.max_relays_per_stream
        if not bounds.take(Bounded.STREAM_RELAYS, stream, most):
            bounds.relays.left(own)
            raise _too_many("of this stream")
        most = options.max_relays_per_client
        if client and not bounds.take(Bounded.CLIENT_RELAYS, client, most):
            bounds.give_back(Bounded.STREAM_RELAYS, stream)
            bounds.relays.left(own)
            raise _too_many("of this client")

    def _give_back_to_node(self, bounds: NodeBounds, stream: str, client: str) -> None:
        bounds.relays.left(self._of_stream.total())
        bounds.give_back(Bounded.STREAM_RELAYS, stream)
        if client:
            bounds.give_back(Bounded.CLIENT_RELAYS, client)


def _too_many(whose: str) -> Refusal:
    detail = f"too many reads {whose} are passed on"
    return Refusal(detail, reason=Reason.LIMIT_RELAYS)


def _take_one(counts: Counter[str], whose: str) -> None:
    """One less; what is down to nothing is forgotten."""
    counts[whose] -= 1
    if counts[whose] <= 0:
        del counts[whose]
