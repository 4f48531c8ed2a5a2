"""Stream: everything that is alive about one stream key.

A table row of the hub: the log, the flights under way, the follower, the parked
viewers, and what makes the key pass. It keeps them consistent and decides
nothing; ``edge.policy.streams.decide`` does, on the log that lies here.
"""

from collections import deque
from collections.abc import Container, Iterable
from typing import TYPE_CHECKING

from edge.core.reasons import Reason
from edge.core.values import StreamKey
from edge.live.reader import Reader
from edge.policy.streams.routes import Route
from edge.streamlog.stream_log import StreamLog

if TYPE_CHECKING:
    from edge.live.flights import Flight
    from edge.live.followers import Follower


class Stream:
    """One stream key's row. Times are monotonic seconds."""

    __slots__ = (
        "_tail_reads",
        "awaiting_caught_up",
        "flights",
        "follower",
        "highest",
        "key",
        "large",
        "linger_until",
        "log",
        "parked",
        "pass_reason",
        "pass_until",
        "route",
        "viewers",
        "waking",
    )

    def __init__(self, key: StreamKey, route: Route, log: StreamLog) -> None:
        self.key = key
        self.route = route
        self.log = log
        # By where they start; None is the HEAD. One at a time for each start.
        self.flights: dict[str | None, Flight] = {}
        self.follower: Follower | None = None
        # A dict for its order: who parked first is woken first.
        self.parked: dict[Reader, None] = {}
        # SSE viewers that were not told yet that they are up to date.
        self.awaiting_caught_up: set[Reader] = set()
        # Live readers that are not done, parked or not.
        self.viewers = 0
        # None: nobody wakes the parked ones; else whether to wake them once more.
        self.waking: bool | None = None
        self.linger_until = 0.0
        # L15: why and until when everything of this key passes one to one.
        self.pass_reason: Reason | None = None
        self.pass_until = 0.0
        # L11: starts whose answers were too large to hold, and until when.
        self.large: dict[str | None, float] = {}
        # L22: the largest cursor minted for the crowd of this stream.
        self.highest = 0
        self._tail_reads: deque[float] = deque(maxlen=64)

    def __repr__(self) -> str:
        follower = " followed" if self.follower else ""
        counts = f"flights={len(self.flights)} parked={len(self.parked)}"
        return f"<Stream {self.key.path} {counts}{follower} {self.log!r}>"

    @property
    def idle(self) -> bool:
        """Whether nobody waits here and nothing is under way: it can be evicted."""
        return not (self.flights or self.follower or self.viewers)

    def passing(self, now: float) -> Reason | None:
        """Why this key passes at the moment, or None (L15)."""
        return self.pass_reason if now < self.pass_until else None

    def pass_on(self, reason: Reason, until: float) -> None:
        """Let the key pass; what was held is not shown to anybody meanwhile."""
        self.pass_reason = reason
        self.pass_until = until

    def is_large(self, start: str | None, now: float) -> bool:
        """Whether the answer from ``start`` was too large lately (L11)."""
        return now < self.large.get(start, 0.0)

    def mark_large(self, start: str | None, until: float) -> None:
        if len(self.large) >= 64:
            self.large.clear()
        self.large[start] = until

    def waiter_offsets(self) -> Container[str]:
        """The offsets where viewers stand (L10), gathered when first asked."""
        return _WaiterOffsets(self.parked)

    def count_tail_read(self, now: float) -> None:
        """A catch-up read reached the tail (L24)."""
        self._tail_reads.append(now)

    def is_hot(self, now: float, reads: int, within: float) -> bool:
        """Whether the tail was read ``reads`` times within the last ``within`` s."""
        recent = self._tail_reads
        return len(recent) >= reads and now - recent[-reads] <= within


class _WaiterOffsets:
    """A set that is made only if somebody looks into it: most answers do not
    thin the log, and a crowd may stand anywhere."""

    __slots__ = ("_offsets", "_readers")

    def __init__(self, readers: Iterable[Reader]) -> None:
        self._readers = readers
        self._offsets: set[str] | None = None

    def __contains__(self, offset: object) -> bool:
        if self._offsets is None:
            self._offsets = {reader.offset for reader in self._readers}
        return offset in self._offsets
