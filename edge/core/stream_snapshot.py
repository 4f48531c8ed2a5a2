"""StreamSnapshot: what an operator is told of a stream. A value."""

from dataclasses import dataclass, field

from edge.core.values import PartitionKind


@dataclass(frozen=True, slots=True)
class StreamSnapshot:
    """What is held of one stream key, for an operator. It tells no credential.

    ``incarnation`` is a number of this worker's, a new one after each new beginning.
    ``viewers`` are its live readers, and ``parked`` of them wait for the log to grow.
    ``flights`` are fetches under way. ``end`` is the last offset up to which bytes are
    held, ``tail`` the furthest that the origin named (None: none). ``followed``: it has
    a follower. ``armed``: the follower's poll is on the wire. ``identity`` stands for
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
    identity: str = field(default="", repr=False, compare=False)
