"""FollowedEvents: one event stream by which a stream is followed (U16 to U23).

A follower hears what is new at a stream's end by long-polls, or by an event stream,
which saves the request for each event. This is the judge of one event stream, from the
request to its end. Pieces of the body go in; *batches* come out, each of which counts
as the answer to one read: it begins where the last one ended, and ends where its
control event says. Last comes one *end*, with a reason (``EventsEnd``), and what the
follower does next.

======== ===========================================================================
OPENING  the request is sent; what its head says decides whether it is followed
PROVING  not all that was held when it began has come again: the first events repeat it
BETWEEN  behind a control event: the only state in which it may vouch for the tail
WITHIN   an event has begun that no control event has followed yet
OVER     it has ended, and nothing more is heard of it
======== ===========================================================================

What a signal does in a state says the table ``_MOVES``, what follows from an end the
table ``ENDS``. What came behind the last control event when it ends is dropped.

Pure: time and chance are arguments. It looks neither at the log, which may still find
that a batch does not fit what is held (``refuse``), nor at other event streams of the
same key, which ``edge.policy.streams.event_trust`` remembers.
"""

import enum
from collections import deque
from typing import NamedTuple

from edge.core.reasons import Reason
from edge.core.values import Framing, OriginAnswerHead
from edge.protocol import names
from edge.protocol.event_stream import (
    ControlEvent,
    DataEvent,
    Event,
    EventReader,
    Inexact,
    OddEvent,
    base64_bytes,
    json_fragment,
)
from edge.protocol.offsets import order
from edge.protocol.sse import Encoding

QUIET_SECONDS = 5.0
"""Silence after which it vouches for nothing, and is closed (U17)."""

PROOF_SECONDS = 1.0
"""For so long it may take to repeat what is held: else something holds it up (U20)."""

RATE_SECONDS = 5.0
RATE_EVENTS = 5
"""With fewer batches than that in so many seconds, long-polls cost no more (U20)."""

LIFE_SECONDS = 45.0
LIFE_SPREAD = 10.0
"""It lives so long, and up to so much longer, at random (U21)."""

SPIN_SECONDS = 1.0
SPIN_EVENTS = 1000
"""So many events without progress in so short a time are a spin (U22)."""

NOT_YET = float("inf")

LATE_SECONDS = 0.25
"""For so long after a write's answer its event may come (U18)."""


class EventsState(enum.StrEnum):
    """Where an event stream is."""

    OPENING = "opening"
    PROVING = "proving"
    BETWEEN = "between"
    WITHIN = "within"
    OVER = "over"


class EventsSignal(enum.StrEnum):
    """What is heard of an event stream."""

    HEAD = "head"  # one that may be followed
    ODD_HEAD = "odd-head"  # a 200 that may not
    STATUS = "status"  # any other status
    BEGUN = "begun"  # the first bytes of an event
    DATA = "data"
    GREW = "grew"  # a control behind data, further on
    PAGED = "paged"  # a control before the end of what was held when it began
    CLOSED = "closed"  # a control: the stream is closed here
    STAYED = "stayed"  # a control, and nothing new
    MOVED = "moved"  # a control further on, and no data before it
    WENT_BACK = "went-back"  # a control before the last one
    INEXACT = "inexact"
    TOO_LARGE = "too-large"
    ENDED = "ended"  # the verified end of the body
    LOST = "lost"


class AfterEvents(enum.Enum):
    """What the follower does when an event stream has ended."""

    AGAIN = "again"  # the next request at once, by whatever mode
    ASK = "ask"  # a GET from before the end: it may have hidden something (U17, U19)
    CHECK = "check"  # contact was lost: a read from before the end, after a pause (L7)
    PROBE = "probe"  # the same read at once: the stream is in doubt (L2)
    STOP = "stop"  # the stream is closed


class Blame(enum.Enum):
    """What an end says of following this key by events (U20)."""

    NOTHING = "nothing"
    WELL = "well"  # it went well for as long as it may
    SHORT = "short"  # if it lived less than a second: after three it does not work
    AT_ONCE = "at-once"  # it does not work for now
    FOR_GOOD = "for-good"  # events of this stream are not exact


class EventsCourse(NamedTuple):
    """What follows from an end. ``rests``: long-polls follow until one brings data."""

    after: AfterEvents
    blame: Blame
    rests: bool = True


ENDS = {
    Reason.LIFETIME: EventsCourse(AfterEvents.AGAIN, Blame.WELL, rests=False),
    Reason.EVENTS_ENDED: EventsCourse(AfterEvents.AGAIN, Blame.SHORT, rests=False),
    Reason.EVENTS_QUIET: EventsCourse(AfterEvents.ASK, Blame.NOTHING),
    Reason.EVENTS_SLOW: EventsCourse(AfterEvents.ASK, Blame.NOTHING),
    Reason.EVENTS_STATUS: EventsCourse(AfterEvents.AGAIN, Blame.SHORT),
    Reason.EVENTS_REFUSED: EventsCourse(AfterEvents.AGAIN, Blame.AT_ONCE),
    Reason.EVENTS_LATE: EventsCourse(AfterEvents.AGAIN, Blame.AT_ONCE),
    Reason.EVENTS_BEHIND: EventsCourse(AfterEvents.ASK, Blame.AT_ONCE),
    Reason.EVENTS_INEXACT: EventsCourse(AfterEvents.AGAIN, Blame.FOR_GOOD),
    Reason.TOO_LARGE: EventsCourse(AfterEvents.AGAIN, Blame.AT_ONCE),
    Reason.ORIGIN_SPIN: EventsCourse(AfterEvents.AGAIN, Blame.AT_ONCE),
    Reason.NO_PROOF: EventsCourse(AfterEvents.AGAIN, Blame.SHORT),
    Reason.EVENTS_MOVED: EventsCourse(AfterEvents.ASK, Blame.SHORT, rests=False),
    Reason.CONTACT_LOST: EventsCourse(AfterEvents.CHECK, Blame.SHORT),
    Reason.TAIL_WENT_BACK: EventsCourse(AfterEvents.PROBE, Blame.NOTHING),
    Reason.UNCONFIRMED: EventsCourse(AfterEvents.PROBE, Blame.NOTHING, rests=False),
    Reason.PUSHES_ENDED: EventsCourse(AfterEvents.AGAIN, Blame.NOTHING),
    Reason.CLOSED: EventsCourse(AfterEvents.STOP, Blame.NOTHING),
}
"""Every way in which an event stream ends by itself."""


class EventsEnd(NamedTuple):
    """It has ended; ``seconds`` is how long it lived."""

    reason: Reason
    seconds: float

    @property
    def course(self) -> EventsCourse:
        return ENDS[self.reason]


class EventBatch(NamedTuple):
    """What came between two control events: as the answer to a read from ``start``.

    ``data`` is a fragment in JSON streams. ``proves``: it repeats what was held when
    the event stream began, or is its first control event. ``exact``: these are the
    bytes as they are held. ``trace``: what its sender told of its own span, as a
    ``traceparent``; empty for nothing.
    """

    start: str
    next: str
    data: bytes
    cursor: str | None
    up_to_date: bool
    closed: bool
    proves: bool
    exact: bool = False
    trace: str = ""


Heard = EventBatch | EventsEnd

_LIVE = (EventsState.PROVING, EventsState.BETWEEN, EventsState.WITHIN)

_MOVES: dict[tuple[EventsState, EventsSignal], EventsState | Reason] = {
    (EventsState.OPENING, EventsSignal.HEAD): EventsState.PROVING,
    (EventsState.OPENING, EventsSignal.ODD_HEAD): Reason.EVENTS_REFUSED,
    (EventsState.OPENING, EventsSignal.STATUS): Reason.EVENTS_STATUS,
    (EventsState.OPENING, EventsSignal.LOST): Reason.CONTACT_LOST,
    (EventsState.BETWEEN, EventsSignal.BEGUN): EventsState.WITHIN,
    (EventsState.BETWEEN, EventsSignal.DATA): EventsState.WITHIN,
    (EventsState.BETWEEN, EventsSignal.ENDED): Reason.EVENTS_ENDED,
    (EventsState.WITHIN, EventsSignal.BEGUN): EventsState.WITHIN,
    (EventsState.WITHIN, EventsSignal.DATA): EventsState.WITHIN,
    # Something came that no control event has placed.
    (EventsState.WITHIN, EventsSignal.ENDED): Reason.CONTACT_LOST,
    (EventsState.PROVING, EventsSignal.BEGUN): EventsState.PROVING,
    (EventsState.PROVING, EventsSignal.DATA): EventsState.PROVING,
    (EventsState.PROVING, EventsSignal.PAGED): EventsState.PROVING,
    (EventsState.PROVING, EventsSignal.ENDED): Reason.EVENTS_ENDED,
    **{(state, EventsSignal.GREW): EventsState.BETWEEN for state in _LIVE},
    **{(state, EventsSignal.STAYED): EventsState.BETWEEN for state in _LIVE},
    **{(state, EventsSignal.CLOSED): Reason.CLOSED for state in _LIVE},
    **{(state, EventsSignal.MOVED): Reason.EVENTS_MOVED for state in _LIVE},
    **{(state, EventsSignal.WENT_BACK): Reason.TAIL_WENT_BACK for state in _LIVE},
    **{(state, EventsSignal.INEXACT): Reason.EVENTS_INEXACT for state in _LIVE},
    **{(state, EventsSignal.TOO_LARGE): Reason.TOO_LARGE for state in _LIVE},
    **{(state, EventsSignal.LOST): Reason.CONTACT_LOST for state in _LIVE},
}

_BATCHES = frozenset(
    {EventsSignal.GREW, EventsSignal.PAGED, EventsSignal.STAYED, EventsSignal.CLOSED}
)


class FollowedEvents:
    """One event stream, from the request on. Times are monotonic seconds.

    ``start`` is where it was asked to begin, ``end`` the end of what is held: what lies
    between must come again first. ``chance`` is from 0 to 1. ``life`` bounds how long
    it lives, beside its own time. ``slows``: it ends when events are rare.
    ``is_exact``: it brings the bytes as they are held.
    """

    is_exact = False

    def __init__(
        self,
        start: str,
        end: str,
        encoding: Encoding,
        *,
        max_object: int,
        chance: float,
        life: float = LIFE_SECONDS + LIFE_SPREAD,
        slows: bool = True,
    ) -> None:
        self.state = EventsState.OPENING
        self.position = start
        self.skipped = 0
        self._held_end = end
        self._encoding = encoding
        self._decode = json_fragment if encoding is Encoding.JSON else base64_bytes
        self._reader = EventReader(max_object)
        self._max_object = max_object
        # Not before it is on the wire.
        self._begun = self._heard_at = self._ends_at = NOT_YET
        self._life = min(LIFE_SECONDS + LIFE_SPREAD * chance, life)
        self._slows = slows
        # Behind the last control event, whether that one claimed to be all.
        self._claims = False
        self._data: list[bytes] = []
        self._size = 0
        self._batches: deque[float] = deque(maxlen=RATE_EVENTS)
        self._idle = 0
        self._idle_since = 0.0
        # The write whose event is waited for: its offset, and since when (U18).
        self._awaited: str | None = None
        self._awaited_since = 0.0
        self._seen_late = False

    def __repr__(self) -> str:
        return f"<FollowedEvents {self.state.value} at {self.position}>"

    @property
    def is_over(self) -> bool:
        return self.state is EventsState.OVER

    @property
    def stands_at(self) -> str | None:
        """Where it vouches that nothing follows; None while it does not (U17)."""
        vouches = self.state is EventsState.BETWEEN and self._claims
        return self.position if vouches else None

    @property
    def vouches_until(self) -> float:
        """Until when, if nothing more is heard (U17)."""
        return self._heard_at + QUIET_SECONDS

    # What is heard

    def sent(self, now: float) -> None:
        """The request is on the wire."""
        self._begun = self._heard_at = self._idle_since = now
        self._ends_at = now + self._life

    def head(self, head: OriginAnswerHead, now: float) -> EventsEnd | None:
        """The head is here. An event stream in base64 must say so, and no other (U16);
        its end must be verifiable (U21)."""
        self._heard_at = now
        if head.status != 200:
            return self._move(EventsSignal.STATUS, now)
        fields = dict(reversed(head.headers))
        kind = names.media_type(fields.get("content-type"))
        told = fields.get(names.IN_SSE_ENCODING)
        coded = fields.get("content-encoding", "identity").strip().lower()
        wanted = names.SSE_BASE64 if self._encoding is Encoding.BASE64 else None
        good = (
            kind == "text/event-stream"
            and head.framing is Framing.CHUNKED
            and coded in ("", "identity")
            and told == wanted
        )
        return self._move(EventsSignal.HEAD if good else EventsSignal.ODD_HEAD, now)

    def heard(self, piece: bytes, now: float) -> list[Heard]:
        """A piece of the body: the batches that it completes, and the end, if it ends
        there."""
        out: list[Heard] = []
        if self.is_over:
            return out
        for event in self._reader.feed(piece):
            one = self._take(event, now)
            if one is None:
                continue
            out.append(one)
            if isinstance(one, EventsEnd):
                return out
            if one.closed:
                # The closure comes with a batch, and the end behind that.
                return [*out, self._ended(Reason.CLOSED, now)]
        if self._reader.is_within:
            self._heard_at = now
            self._move(EventsSignal.BEGUN, now)
        if self.state is EventsState.BETWEEN and now >= self._ends_at:
            out.append(self.end(Reason.LIFETIME, now))
        return out

    def ended(self, now: float) -> EventsEnd | None:
        """The body is over, and its end was verified."""
        cut = bool(self._data) or self._reader.is_within
        return self._move(EventsSignal.LOST if cut else EventsSignal.ENDED, now)

    def lost(self, now: float) -> EventsEnd | None:
        """Nothing more comes."""
        return self._move(EventsSignal.LOST, now)

    # Time

    def look(self, now: float) -> EventsEnd | None:
        """The clock went on: end it if it is time to."""
        if self.is_over:
            return None
        if self.state in (EventsState.OPENING, EventsState.PROVING):
            late = self._is_late(now)
            return self.end(Reason.EVENTS_LATE, now) if late else None
        quiet = now - self._heard_at >= QUIET_SECONDS
        if self.state is EventsState.WITHIN:
            # It stalls, or goes on for ever: what it was to say, nobody knows.
            stuck = quiet or now >= self._ends_at + QUIET_SECONDS
            return self.end(Reason.CONTACT_LOST, now) if stuck else None
        if quiet:
            return self.end(Reason.EVENTS_QUIET, now)
        if now >= self._ends_at:
            return self.end(Reason.LIFETIME, now)
        slow = self._slows and self._is_slow(now)
        return self.end(Reason.EVENTS_SLOW, now) if slow else None

    def _is_late(self, now: float) -> bool:
        return now - self._begun >= PROOF_SECONDS

    def _is_slow(self, now: float) -> bool:
        if now - self._begun < RATE_SECONDS:
            return False
        full = len(self._batches) == RATE_EVENTS
        return not full or now - self._batches[0] > RATE_SECONDS

    # Writes

    def expect(self, offset: str, now: float) -> None:
        """A write was acknowledged at ``offset``: its event is to come (U18)."""
        if order(offset) > order(self.position):
            if self._awaited is None:
                self._awaited_since = now
            if self._awaited is None or order(offset) > order(self._awaited):
                self._awaited = offset

    def is_behind(self, now: float) -> bool:
        """Whether a write's event is late. Told once for each wait, and not at the
        first look: it may have come, and not have been read yet."""
        proving = self.state in (EventsState.OPENING, EventsState.PROVING)
        waited = now - self._awaited_since
        if self._awaited is None or proving or waited < LATE_SECONDS:
            return False
        late, self._seen_late = self._seen_late, True
        if late:
            self._stop_waiting()
        return late

    def _stop_waiting(self) -> None:
        self._awaited = None
        self._seen_late = False

    # One event

    def _take(self, event: Event, now: float) -> Heard | None:
        if isinstance(event, DataEvent):
            return self._take_data(event, now)
        if isinstance(event, ControlEvent):
            return self._take_control(event, now)
        if event is OddEvent.SKIPPED:
            self.skipped += 1
            return self._count_idle(now)
        too_long = event is OddEvent.TOO_LONG
        return self._move(
            EventsSignal.TOO_LARGE if too_long else EventsSignal.INEXACT, now
        )

    def _take_data(self, event: DataEvent, now: float) -> Heard | None:
        self._heard_at = now
        try:
            data = self._decode(event.lines)
        except Inexact:
            return self._move(EventsSignal.INEXACT, now)
        self._size += len(data)
        if self._size > self._max_object:
            return self._move(EventsSignal.TOO_LARGE, now)
        self._move(EventsSignal.DATA, now)
        if not data:
            return self._count_idle(now)
        self._data.append(data)
        return None

    def _take_control(self, event: ControlEvent, now: float) -> Heard | None:
        if self.state is EventsState.PROVING and self._is_late(now):
            return self.end(Reason.EVENTS_LATE, now)
        self._heard_at = now
        signal = self._signal(event)
        if signal not in _BATCHES:
            return self._move(signal, now)
        batch = self._batch(event)
        if batch.data:
            self._batches.append(now)
            self._idle = 0
        elif signal is not EventsSignal.CLOSED and self._count_idle(now):
            return self.end(Reason.ORIGIN_SPIN, now)
        self._move(signal, now)
        if self._awaited is not None and order(event.next) >= order(self._awaited):
            self._stop_waiting()
        return batch

    def _signal(self, event: ControlEvent) -> EventsSignal:
        """What a control event says, with the data before it."""
        here, there = order(self.position), order(event.next)
        if there < here:
            return EventsSignal.WENT_BACK
        if there == here and self._data:
            # Data that takes no room: nobody knows where it belongs.
            return EventsSignal.INEXACT
        if there > here and not self._data:
            return EventsSignal.MOVED
        if event.closed:
            return EventsSignal.CLOSED
        # What is proven has come to the end that was held.
        proving = self.state is EventsState.PROVING
        if proving and there < order(self._held_end):
            return EventsSignal.PAGED
        return EventsSignal.GREW if self._data else EventsSignal.STAYED

    def _batch(self, event: ControlEvent) -> EventBatch:
        proves = self.state is EventsState.PROVING
        data = self._data[0] if len(self._data) == 1 else b"".join(self._data)
        self._data.clear()
        self._size = 0
        start, self.position = self.position, event.next
        self._claims = event.up_to_date
        to, cursor, claims, closed = event
        how = claims, closed, proves, self.is_exact
        return EventBatch(start, to, data, cursor, *how)

    def _count_idle(self, now: float) -> EventsEnd | None:
        """An event that brought nothing on (U22)."""
        if self._idle == 0 or now - self._idle_since > SPIN_SECONDS:
            self._idle, self._idle_since = 0, now
        self._idle += 1
        return self.end(Reason.ORIGIN_SPIN, now) if self._idle >= SPIN_EVENTS else None

    def _move(self, signal: EventsSignal, now: float) -> EventsEnd | None:
        to = _MOVES.get((self.state, signal))
        if isinstance(to, EventsState):
            self.state = to
            return None
        if to is None:
            if self.is_over:
                return None
            raise RuntimeError(f"{self!r} cannot take {signal.value}")
        return self.end(to, now)

    def end(self, reason: Reason, now: float) -> EventsEnd:
        """End it for ``reason``."""
        self.state = EventsState.OVER
        self._data.clear()
        return self._ended(reason, now)

    def _ended(self, reason: Reason, now: float) -> EventsEnd:
        return EventsEnd(reason, max(0.0, now - self._begun))
