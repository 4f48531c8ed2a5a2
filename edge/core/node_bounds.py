"""NodeBounds: bounds that are the node's, as one of its processes asks for them (W13).

What is bounded for a node is counted over all its processes, and divided among none.
Who takes one more stores that first, adds up what all have, and steps back if that is
too much. So two that take the last at once may both be refused, and never none.

Asked by the hub of a front; ``edge.board.bounds`` answers. A process that is alone has
none, and counts by itself. Nothing here blocks or switches greenlets.
"""

import enum
from typing import Protocol


class Bounded(enum.Enum):
    """What is bounded for each stream or client: live readers of one stream, relays of
    one path, relays of one client."""

    STREAM_VIEWERS = "stream-viewers"
    STREAM_RELAYS = "stream-relays"
    CLIENT_RELAYS = "client-relays"


class Quota(Protocol):
    """Of one kind: as many as this process may have before it must ask again."""

    has: int

    def take(self, own: int, most: int) -> bool:
        """Whether this process, which has ``own`` and not fewer than its quota, may
        have one more, with ``most`` in the node."""

    def left(self, own: int) -> None:
        """This process has fewer than before: ``own``."""


class NodeBounds(Protocol):
    """All that is bounded for the node. ``viewers`` are live readers of all streams,
    ``relays`` reads of all streams that are passed one to one."""

    @property
    def viewers(self) -> Quota: ...

    @property
    def relays(self) -> Quota: ...

    def take(self, what: Bounded, key: str, most: int) -> bool:
        """Whether there may be one more of this key, with ``most`` in the node; then it
        is counted here until ``give_back``."""

    def give_back(self, what: Bounded, key: str, count: int = 1) -> None:
        """So many that were taken are over."""
