"""Reader: one read on its way to an answer. Data, not a stack.

The hub makes a Reader for each read that it is asked, moves it through the
states below, and forgets it when it is done. The front holds it as a Ticket:
it says when the sink has drained and when the client has left. A parked viewer
is exactly this object: a sink, an offset, a cursor and the time it is due.

::

    NEW -> WAITING   its flight (or the follower's poll) is on its way
    NEW -> PARKED    it waits for the log to grow
    NEW -> RELAYED   it is passed through by a greenlet of its own
    any -> DONE      the sink was finished or aborted, or the client left

A move that the table does not list is a defect of the hub, and raises.
"""

import enum
from typing import TYPE_CHECKING, Protocol

from edge.core.errors import OriginFault
from edge.core.ports import Sink
from edge.core.reasons import Reason
from edge.core.values import CacheStatus, Mode, Read
from edge.policy.streams.decide import ReadState
from edge.streamlog.tail import ReadBarrier

if TYPE_CHECKING:
    from edge.live.stream import Stream


class State(enum.StrEnum):
    """Where a reader is."""

    NEW = "new"
    WAITING = "waiting"
    PARKED = "parked"
    RELAYED = "relayed"
    DONE = "done"


_MOVES = {
    State.NEW: {State.WAITING, State.PARKED, State.RELAYED, State.DONE},
    State.WAITING: {State.WAITING, State.PARKED, State.RELAYED, State.DONE},
    State.PARKED: {State.PARKED, State.WAITING, State.RELAYED, State.DONE},
    State.RELAYED: {State.DONE},
    State.DONE: set(),
}


_NOTHING_HELD = frozenset(
    {Reason.MISS, Reason.COLD_OPEN, Reason.OFFSET_ABOVE, Reason.FOLLOWED}
)
"""Why the origin was asked when nothing was held: a miss; else what was held is
checked or refreshed, which RFC 9211 calls stale."""


class Owner(Protocol):
    """Who moves readers: the hub."""

    def drained(self, reader: "Reader") -> None:
        """The reader's sink can take more."""

    def gone(self, reader: "Reader") -> None:
        """The reader's client left."""

    def ended(self, reader: "Reader") -> None:
        """The reader has just become DONE, for whatever reason."""


class Reader:
    """A read, its sink, and how far it has come. Times are monotonic seconds."""

    __slots__ = (
        "asked",
        "barrier",
        "begun",
        "caught_up_sent",
        "control_sent",
        "cursor",
        "deadline",
        "due",
        "fault",
        "full",
        "incarnation",
        "is_leader",
        "is_live",
        "is_sse",
        "life_ends",
        "offset",
        "owner",
        "quiet_since",
        "read",
        "rounds",
        "sink",
        "state",
        "stored",
        "stream",
    )

    def __init__(
        self,
        read: Read,
        sink: Sink,
        stream: "Stream",
        owner: "Owner",
    ) -> None:
        self.read = read
        self.sink = sink
        self.stream = stream
        self.owner = owner
        self.state = State.NEW
        # Of its mode, which is asked for at every step.
        self.is_sse = read.mode is Mode.SSE
        self.is_live = self.is_sse or read.mode is Mode.LONG_POLL
        # Where it stands: its own offset, then the end of what it was given.
        self.offset = read.offset
        self.cursor = read.cursor
        # What was known when it came, and of which incarnation.
        self.barrier: ReadBarrier = stream.log.tail.read_barrier()
        self.incarnation = stream.log.incarnation
        # What it went through upstream, for Cache-Status: why the origin was
        # asked, whether a flight was begun for it, whether anything was stored.
        self.fault: OriginFault | None = None
        self.rounds = 0
        self.asked: Reason | None = None
        self.is_leader = False
        self.stored = False
        # Live reads: when its time is up, and its slot in the agenda.
        self.deadline = 0.0
        self.due: dict[Reader, None] | None = None
        # SSE: whether its head went out, whether its sink is full, whether it
        # was told where it stands and that it is up to date, and since when
        # nothing was written.
        self.begun = False
        self.full = False
        self.control_sent = False
        self.caught_up_sent = False
        self.quiet_since = 0.0
        self.life_ends = 0.0

    def __repr__(self) -> str:
        words = f"{self.read.mode.value} at {self.offset} {self.state.value}"
        return f"<Reader {words}{' full' if self.full else ''}>"

    @property
    def done(self) -> bool:
        return self.state is State.DONE

    def move(self, state: State) -> None:
        """Go to ``state``; RuntimeError when the table has no such move."""
        if state not in _MOVES[self.state]:
            raise RuntimeError(f"{self!r} cannot become {state.value}")
        self.state = state
        if state is State.DONE:
            self.owner.ended(self)

    def rejoin(self) -> bool:
        """Arrive anew when the stream is another incarnation than before (L5);
        whether it is."""
        log = self.stream.log
        if self.incarnation == log.incarnation:
            return False
        self.incarnation = log.incarnation
        self.barrier = log.tail.read_barrier()
        return True

    def read_state(self, now: float, wall: float) -> ReadState:
        """What ``decide`` needs to know of this reader."""
        return ReadState(
            now, wall, self.offset, self.barrier, self.fault, asked=self.rounds
        )

    def cache_status(self, ttl: int | None, detail: Reason | None) -> CacheStatus:
        """How the answer came about (RFC 9211)."""
        if self.asked is None:
            return CacheStatus(hit=True, ttl=ttl, detail=detail)
        return CacheStatus(
            fwd="miss" if self.asked in _NOTHING_HELD else "stale",
            collapsed=not self.is_leader,
            stored=self.stored,
            ttl=ttl,
            detail=detail or self.asked,
        )

    # The front's side: Ticket.

    def drained(self) -> None:
        """The sink can take more."""
        if not self.done:
            self.full = False
            self.owner.drained(self)

    def gone(self) -> None:
        """The client left. Idempotent; the sink is not called afterwards."""
        if not self.done:
            self.owner.gone(self)
