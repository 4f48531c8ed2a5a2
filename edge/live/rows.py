"""Rows: what the hub knows of each read and each stream. Data, not a stack.

================ ==================================================================
Reader           one read on its way to an answer; the front holds it as PendingRead
Stream           one stream key: its log, its waiters, what is under way for it
Flight           one upstream fetch, and the readers that share it
AboveEnd         the readers above one stream's end that wait until they may ask (U14)
Follower         one stream's poll, and the readers that its next answer may serve
================ ==================================================================

The rows keep themselves consistent and decide nothing. What moves flights and followers
is in ``edge.live.flights`` and ``edge.live.followers``. Times are monotonic seconds.

A reader goes through these states::

    NEW -> WAITING   its flight (or the follower's poll) is on its way
    NEW -> PARKED    it waits for the log to grow
    NEW -> RELAYED   it is passed through by a greenlet of its own, or reads a spool
    any -> DONE      the sink was finished or aborted, or the client left

WAITING and PARKED also lead to each other and to RELAYED. A move that the table
``_MOVES`` does not list is a defect of the hub, and raises.
"""

import enum
from collections import deque
from collections.abc import Iterator
from typing import Protocol

from edge.core import costs
from edge.core.errors import OriginAway, OriginFault
from edge.core.node_board import SlotWatch
from edge.core.ports import Sink, Turn, UpstreamCall
from edge.core.reasons import Reason
from edge.core.timer_wheel import Slot
from edge.core.tracing import UpstreamSpan
from edge.core.values import (
    UNLIMITED,
    CacheStatus,
    Headers,
    Lease,
    Mode,
    Read,
    StreamKey,
)
from edge.live.follower_states import FOLLOWS, FollowerState
from edge.live.lenders import Lenders
from edge.policy.http import request_target
from edge.policy.streams.classify import plain_extension
from edge.policy.streams.contact import Contact
from edge.policy.streams.decisions import ReadState
from edge.policy.streams.event_trust import EventTrust
from edge.policy.streams.followed_events import FollowedEvents
from edge.policy.streams.routes import Route, UpstreamCredential
from edge.protocol.offsets import NOW
from edge.streamlog.barriers import ReadBarrier, RequestSnapshot
from edge.streamlog.stream_log import StreamLog

MAX_LARGE_STARTS = 64
"""Starts of answers that were too large, remembered for each stream."""

MAX_TAIL_READS = 64
"""Reads of a tail whose times are remembered."""


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

_WAITS = frozenset({State.WAITING, State.PARKED})

_NOTHING_HELD = frozenset(
    {Reason.MISS, Reason.COLD_OPEN, Reason.HEAD_REFUSED}
    | {Reason.OFFSET_ABOVE, Reason.OFFSET_UNKNOWN, Reason.FOLLOWED}
)
"""Reasons to ask the origin when nothing was held: a miss. With any other reason, held
data is checked or refreshed, which RFC 9211 calls stale."""


class Owner(Protocol):
    """Moves readers: the hub."""

    def advance(self, reader: "Reader") -> None:
        """Decide the reader again, and act. Never raises."""

    def drained(self, reader: "Reader") -> None:
        """The reader's sink can take more."""

    def gone(self, reader: "Reader") -> None:
        """The reader's client left."""

    def ended(self, reader: "Reader", before: State) -> None:
        """A live or relayed reader has just become DONE, for whatever reason."""

    @property
    def serves_fronts(self) -> bool:
        """Whether all readers are fronts of this node (W8)."""


class Reader:
    """A read, its sink, and how far it has come."""

    __slots__ = (
        *("arrived", "asked", "barrier", "begun", "caught_up_sent", "control_sent"),
        *("cursor", "deadline", "due_at", "fault", "faulted_at", "full"),
        *("incarnation", "is_leader", "is_live", "is_sse", "lease", "life_ends"),
        *("offset", "owner", "quiet_since", "read", "rounds", "sink", "slot"),
        *("stale_at", "state", "stored", "stream", "upstream"),
    )

    def __init__(
        self,
        read: Read,
        sink: Sink,
        stream: "Stream",
        owner: Owner,
        arrived: float,
        lease: Lease = UNLIMITED,
    ) -> None:
        self.read = read
        self.sink = sink
        self.stream = stream
        self.owner = owner
        self.arrived = arrived
        stream.requests += 1
        self.state = State.NEW
        # From its end on the reader is given nothing (B3).
        self.lease = lease
        # Of its mode, which is asked for at every step.
        self.is_sse = read.mode is Mode.SSE
        self.is_live = self.is_sse or read.mode is Mode.LONG_POLL
        # Where it stands: its own offset, then the end of what it was given.
        self.offset = read.offset
        self.cursor = read.cursor
        # What was known when it arrived, and of which incarnation.
        self.barrier: ReadBarrier = stream.log.tail.read_barrier()
        self.incarnation = stream.log.incarnation
        # For Cache-Status: why the origin was asked, whether a flight was begun for it,
        # whether anything was stored, and what the caches of its answer told.
        self.fault: OriginFault | None = None
        # U2, U3: when it first met that the origin is away; when its patience ends.
        self.faulted_at: float | None = None
        self.stale_at: float | None = None
        self.rounds = 0
        self.asked: Reason | None = None
        self.is_leader = False
        self.stored = False
        self.upstream = ""
        # Live reads: when its long-poll times out, and its entry in the timer wheel.
        self.deadline = 0.0
        self.due_at = 0.0
        self.slot: Slot | None = None
        # SSE: whether its head was sent, its sink is full, a control event was sent and
        # one that says up to date; since when it is quiet, and when it must end.
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

    @property
    def is_edge(self) -> bool:
        """Whether an edge asks: its own readers take the silence of its poll for the
        origin's (U8, U9). In a keeper all do."""
        return self.owner.serves_fronts or bool(self.read.hops)

    @property
    def met_outage(self) -> bool:
        """Whether it met an origin that is away since it arrived or parked."""
        return self.fault is not None or self.faulted_at is not None

    @property
    def found_nothing(self) -> bool:
        """Whether the origin was asked for it because nothing was held."""
        return self.asked in _NOTHING_HELD

    def move(self, state: State) -> None:
        """Go to ``state``. RuntimeError if the table has no such move."""
        before = self.state
        if state not in _MOVES[before]:
            raise RuntimeError(f"{self!r} cannot become {state.value}")
        self.state = state
        if self.stream.lenders is not None:
            self.stream.lenders.moved(self, waits=state in _WAITS)
        if state is State.DONE and (self.is_live or before is State.RELAYED):
            self.owner.ended(self, before)

    def rejoin(self) -> bool:
        """Arrive anew if the stream is another one than before; whether it is (L5)."""
        log = self.stream.log
        if self.incarnation == log.incarnation:
            return False
        self.incarnation = log.incarnation
        self.barrier = log.tail.read_barrier()
        self.offset = NOW if self.read.offset == NOW else self.offset
        return True

    def read_state(self, now: float, wall: float) -> ReadState:
        """What ``decide`` needs to know of this reader."""
        return ReadState(
            now,
            wall,
            self.offset,
            self.barrier,
            self.fault,
            self.rounds,
            self.stream.head_tells(now),
            self.state is State.NEW,
            self.owner.serves_fronts,
        )

    def cache_status(self, ttl: int | None, detail: Reason | None) -> CacheStatus:
        """How the answer came about (RFC 9211)."""
        if self.asked is None:
            upstream = self.fault.upstream if isinstance(self.fault, OriginAway) else ""
            return CacheStatus(hit=True, ttl=ttl, detail=detail, upstream=upstream)
        return CacheStatus(
            fwd="miss" if self.found_nothing else "stale",
            fwd_status=_status_of(self.fault),
            collapsed=not self.is_leader,
            stored=self.stored,
            ttl=ttl,
            detail=detail or self.asked,
            upstream=self._caches_above(),
        )

    def _caches_above(self) -> str:
        """What the caches told that its answer came by (RFC 9211 section 2); of a stale
        one, those by which it is known that the origin is away."""
        if isinstance(self.fault, OriginAway):
            return self.fault.upstream
        if self.asked is Reason.FOLLOWED:
            return self.stream.polled_by
        return self.upstream

    # The front's side: ``edge.core.ports.PendingRead``.

    @property
    def brought_by(self) -> UpstreamSpan | None:
        """The upstream call that told of its stream last."""
        return self.stream.brought_by

    def drained(self) -> None:
        """The sink can take more."""
        if not self.done:
            self.full = False
            self.owner.drained(self)

    def gone(self) -> None:
        """The client left. Idempotent; the sink is not called afterwards."""
        if not self.done:
            self.owner.gone(self)


def _status_of(fault: OriginFault | None) -> int | None:
    """The status by which an origin that is away answered, if it did."""
    said = fault.answer if isinstance(fault, OriginAway) else None
    return None if said is None else said.status


class Stream:
    """One stream key's row; ``edge.policy.streams.decide`` decides on its log."""

    __slots__ = (
        *("_key_cost", "_tail_reads", "above", "awaiting_caught_up"),
        *("brought_by", "bypass_reason", "bypass_until", "contact", "event_trust"),
        *("flights", "follower", "grown_at", "heard_at"),
        *("gone_until", "head_missed", "highest", "key", "landings", "large"),
        *("lenders", "linger_until", "log", "no_head_until", "parked"),
        *("plain_extension", "polled_by", "requests", "route", "spooled", "viewers"),
        *("viewers_by_events", "waking", "watch"),
    )

    def __init__(self, key: StreamKey, route: Route, log: StreamLog) -> None:
        self.key = key
        self.route = route
        self.log = log
        # U13: by these, writes are compared with this key.
        given = request_target.parameters(key.extension)
        self.plain_extension = plain_extension(given, route)
        # What it has seen of the node's board (W5); None: there is none.
        self.watch: SlotWatch | None = None
        # By their start; None is the HEAD. At most one for each start.
        self.flights: dict[str | None, Flight] = {}
        # Flights that have ended, and whose readers are being released; answers that
        # are on their way through files (S1).
        self.landings = self.spooled = 0
        self.follower: Follower | None = None
        # U14: None while nobody has asked above the end in the last second.
        self.above: AboveEnd | None = None
        # A dict for its order: the reader that parked first is woken first.
        self.parked: dict[Reader, None] = {}
        # SSE viewers that have not been told yet that they are up to date.
        self.awaiting_caught_up: set[Reader] = set()
        # Live readers that are not done, parked or not; those with an event stream.
        self.viewers = self.viewers_by_events = 0
        # For operators: its reads; when it grew last, and first since all were served.
        self.requests = 0
        self.grown_at: float | None = None
        self.heard_at: float | None = None
        # None: no pass wakes the parked ones. Otherwise: whether another one follows.
        self.waking: bool | None = None
        self.linger_until = 0.0
        # What the caches told that the last poll's answer came by.
        self.polled_by = ""
        # The last upstream call that told of it, while traces are made.
        self.brought_by: UpstreamSpan | None = None
        # L15: why and until when everything of this key passes one to one.
        self.bypass_reason: Reason | None = None
        self.bypass_until = 0.0
        # L11: starts of answers that were too large; until when they pass, and why.
        self.large: dict[str | None, tuple[float, Reason]] = {}
        # What failed at the origin lately (U3, U6); None while all works.
        self.contact: Contact | None = None
        # What its event streams were like (U20); None: nothing is noted.
        self.event_trust: EventTrust | None = None
        # U12: until when HEAD tells nothing; whether the last one was a 404 in doubt.
        self.no_head_until = 0.0
        self.head_missed = False
        # U14: until when nobody takes it for likely that the stream is there again.
        self.gone_until = 0.0
        # A4: whose credentials its fetches go upstream with. None: the edge's.
        lent = route.upstream is UpstreamCredential.LENT
        self.lenders: Lenders[Reader] | None = Lenders() if lent else None
        # L22: the largest cursor minted for the crowd of this stream.
        self.highest = 0
        self._tail_reads: deque[float] = deque(maxlen=MAX_TAIL_READS)
        self._key_cost = costs.of_key(key) + len(self.plain_extension)

    def __repr__(self) -> str:
        follower = " followed" if self.follower else ""
        counts = f"flights={len(self.flights)} parked={len(self.parked)}"
        return f"<Stream {self.key.path} {counts}{follower} {self.log!r}>"

    @property
    def idle(self) -> bool:
        """Whether no reader waits here and nothing is under way: it can be evicted."""
        at_work = self.flights or self.landings or self.spooled or self.above
        return not (at_work or self.follower or self.viewers)

    @property
    def cost(self) -> int:
        """Bytes that count in the budget: the row, its key, its log, and its notes."""
        noted = costs.EVENT_TRUST if self.event_trust is not None else 0
        noted += 0 if self.contact is None else self.contact.cost
        noted += len(self.large) * costs.LARGE_START + len(self.polled_by)
        noted += 0 if self.lenders is None else self.lenders.cost
        return self._key_cost + self.log.cost + noted

    def bypass(self, now: float) -> Reason | None:
        """Why this key passes one to one at the moment, or None (L15)."""
        return self.bypass_reason if now < self.bypass_until else None

    def begin_bypass(self, reason: Reason, until: float) -> None:
        """Let the key pass (hit-for-pass): until then what is held is not shown."""
        self.bypass_reason = reason
        self.bypass_until = until

    def passes_large(self, start: str | None, now: float) -> Reason | None:
        """Why reads from ``start`` pass: its answer was too large lately (L11)."""
        until, why = self.large.get(start, (0.0, None))
        return why if now < until else None

    def mark_large(self, start: str | None, until: float, why: Reason) -> None:
        if len(self.large) >= MAX_LARGE_STARTS:
            self.large.clear()
        self.large[start] = until, why

    def head_tells(self, now: float) -> bool:
        """Whether HEAD may be asked of this key (U12)."""
        return now >= self.no_head_until

    def count_tail_read(self, now: float, reads: int, within: float) -> bool:
        """A catch-up read reached the tail (L24). Returns whether that makes ``reads``
        of them within ``within`` seconds."""
        recent = self._tail_reads
        recent.append(now)
        return len(recent) >= reads and now - recent[-reads] <= within


class Flight:
    """A fetch under way. ``sent`` is None until it goes to the origin, in its ``turn``
    of the event loop; ``call`` is how it is given up then.

    ``hops``: of the read that it was begun for, to see a loop. ``waiters`` share its
    answer. ``after`` need one that was asked for later: they are decided again then.
    """

    __slots__ = (
        *("after", "call", "hops", "opens", "passes_keepers"),
        *("sent", "start", "stream", "turn", "waiters"),
    )

    turn: Turn

    def __init__(
        self, stream: Stream, start: str | None, hops: tuple[str, ...] = ()
    ) -> None:
        self.stream = stream
        self.start = start
        self.hops = hops
        # Whether it is sent to the origin, though a keeper might be asked (W9); whether
        # it is a HEAD for readers by GET alone (U12).
        self.passes_keepers = self.opens = False
        self.call: UpstreamCall | None = None
        self.waiters: list[Reader] = []
        self.after: list[Reader] = []
        self.sent: RequestSnapshot | None = None

    def put_off_others(self) -> None:
        """Let readers that stand elsewhere be decided again once it landed (U14)."""
        self.after += [r for r in self.waiters if r.offset != self.start]
        self.waiters = [r for r in self.waiters if r.offset == self.start]

    def waiting(self, late: bool = False) -> Iterator[Reader]:
        """The readers that still wait when they are reached: others may have left,
        timed out, or been passed on meanwhile. ``late``: also those in ``after``."""
        for reader in (*self.waiters, *self.after) if late else self.waiters:
            if reader.state is State.WAITING:
                yield reader

    def __repr__(self) -> str:
        state = "sent" if self.sent else "waiting"
        return f"<Flight {self.start} {state} {len(self.waiters)} readers>"


class AboveEnd:
    """What a request above the end, ``flight``, leaves behind (U14): from when on the
    next one may begin, and who waits for that."""

    __slots__ = ("due", "flight", "readers")

    def __init__(self, due: float, flight: "Flight") -> None:
        self.due = due
        self.flight = flight
        self.readers: list[Reader] = []


class Follower:
    """One stream's poll. ``waiting`` are readers that its next answer may serve.

    ``turn``: when it goes on by itself; ``call``: its poll; ``fields``: of all polls.
    ``events``: an event stream in a poll's place; ``busy``: when polls last brought
    something; ``asks_end``: a plain read from the end comes next (U19).
    ``lent``: with whose credential the poll on the wire was sent (B7); ``lender_left``:
    since when nobody who lent it is here; ``wants_lender``: it waits for somebody.
    """

    __slots__ = (
        *("asks_end", "busy", "call", "events", "fields", "lender_left", "lent"),
        *("state", "stream", "turn", "waiting", "waiting_since", "wants_lender"),
    )

    def __init__(self, stream: Stream, fields: Headers) -> None:
        self.stream = stream
        self.fields = fields
        self.state = FollowerState.DUE
        self.turn: Turn | None = None
        self.call: UpstreamCall | None = None
        self.events: FollowedEvents | None = None
        self.busy: list[float] = []
        self.asks_end = False
        self.waiting: list[Reader] = []
        self.waiting_since = 0.0
        self.lent: Lease | None = None
        self.lender_left: float | None = None
        self.wants_lender = False

    def move(self, state: FollowerState) -> None:
        """Go to ``state``. RuntimeError if the table has no such move."""
        goes = state in FOLLOWS.get(self.state, ())
        if state is not FollowerState.ENDED and not goes:
            raise RuntimeError(f"{self!r} cannot become {state.value}")
        self.state = state

    def __repr__(self) -> str:
        return f"<Follower {self.stream.key.path} {self.state.value}>"
