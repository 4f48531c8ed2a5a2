"""EventStreams: followers that hear of their stream by an event stream (U16 to U23).

It is a second kind of asking: where a follower would send a long-poll, ``begin`` may
send a request for an event stream instead. From then on until that has ended, the
follower asks nothing else, so there are never two live reads of a stream. What an event
stream says, and when it ends, is judged by ``edge.policy.streams.followed_events``;
this module gives that judge the bytes and the time, hands its batches to the hub
(``edge.live.event_results``), and arms the tail while it vouches for it (U17).

The way of an event is short: a piece of the body is handed over by the origin's
connection, on the event loop, and has become bytes in the log, and a wake-up of the
viewers, when ``data`` returns. Nothing here switches greenlets.

An event stream is its follower's for as long as ``Follower.events`` is its judge. Once
its call is cancelled it is told nothing more.

A batch is taken in like the answer to a read that was sent when the event stream began:
so events never raise what writes were heard (U18).
"""

import random
from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeVar

from edge.core.errors import EdgeError, NotAsked, OriginFault
from edge.core.reasons import Reason
from edge.core.tracing import UpstreamSpan
from edge.core.values import (
    OriginAnswer,
    OriginAnswerHead,
    PartitionKind,
    Provenance,
)
from edge.live.contacts import Contacts
from edge.live.context import HubContext
from edge.live.rows import Follower, Stream
from edge.live.steps import Judged, Step
from edge.live.upstream import Upstream
from edge.policy.http.cache_status import is_stale
from edge.policy.http.forwarding import cache_members
from edge.policy.streams import upstream_requests
from edge.policy.streams.admission import origin_forbids
from edge.policy.streams.event_trust import EventTrust, encoding_of
from edge.policy.streams.followed_events import (
    ENDS,
    LIFE_SECONDS,
    LIFE_SPREAD,
    AfterEvents,
    EventBatch,
    EventsEnd,
    FollowedEvents,
    Heard,
)
from edge.policy.streams.followed_pushes import FollowedPushes
from edge.policy.streams.routes import Follow
from edge.streamlog.barriers import RequestSnapshot

T = TypeVar("T")


class EventsTaken(NamedTuple):
    """How event streams are taken in: ``judge`` says what a batch means, and by which
    reason its event stream ends (None: it goes on); ``opened`` whether one is heard at
    all. ``do`` executes a step of either."""

    judge: Callable[[Stream, EventBatch, RequestSnapshot, float], Judged[Reason | None]]
    opened: Callable[[Stream, Provenance], Judged[bool]]
    do: Callable[[Step], None]


class Asker(Protocol):
    """Moves followers: ``Followers``."""

    retired: bool
    """A successor asks from now on."""

    def go_on(self, follower: Follower) -> None:
        """Ask again, in whatever way; or pause, or end."""

    def end(self, follower: Follower) -> None:
        """Forget it. Idempotent."""

    def release(self, follower: Follower, fault: OriginFault | None) -> None:
        """Decide the readers again that wait for its next answer."""

    def put_off(self, follower: Follower, fault: NotAsked) -> None:
        """Nothing was sent: pause."""


class EventStreams:
    """Begins event streams, and keeps them going. Its callables never switch.

    ``armed`` is called when the tail was armed, ``lost`` when an event stream left the
    stream in doubt.
    """

    def __init__(
        self,
        context: HubContext,
        upstream: Upstream,
        contacts: Contacts,
        taken: EventsTaken,
        armed: Callable[[Stream], None],
        lost: Callable[[Stream], None],
        asker: Asker,
    ) -> None:
        self.counters = context.counters
        self.clock = context.clock
        self.armed = armed
        self.asker = asker
        self._lost = lost
        self._taken = taken
        self._contacts = contacts
        self._options = context.options
        self._asks_keeper = context.asks_keeper
        self._upstream = upstream

    def begin(self, follower: Follower) -> bool:
        """Ask for an event stream if this stream may be followed by one now. Returns
        whether it was asked for."""
        stream = follower.stream
        log, trust = stream.log, stream.event_trust
        well = stream.lenders is None and stream.contact is None
        known = not log.tail.unverified and not log.tail.closed
        trusted = trust is None or trust.allows(self.clock.monotonic())
        if not (well and known and trusted):
            return False
        judged = self._judge(stream)
        if judged is None:
            return False
        start, follower.events = judged
        self.counters.event_streams += 1
        request = upstream_requests.events_request(
            stream.key,
            start,
            stream.route,
            node=self._options.node,
            cursor=log.origin_cursor,
            linked=self._asks_keeper(stream),
        )
        one = EventStream(self, follower, follower.events)
        follower.call = self._upstream.stream(request, one)
        return True

    def _judge(self, stream: Stream) -> tuple[str, FollowedEvents] | None:
        """Where one is to begin, and its judge; None: it cannot be followed so."""
        log, life = stream.log, self._life(stream)
        if log.end is None or life <= 0:
            return None
        chance, most = random.random(), self._options.max_object
        if self._options.is_front:
            pushes = FollowedPushes(log.end, max_object=most, chance=chance, life=life)
            return log.end, pushes
        encoding = encoding_of(log.content_type, log.is_json)
        start = log.proof_start(self._options.rules.max_probe)
        if encoding is None or start is None:
            return None
        events = FollowedEvents(
            *(start, log.end, encoding),
            max_object=most,
            chance=chance,
            life=life,
            slows=stream.route.follow is Follow.AUTO,
        )
        return start, events

    def _life(self, stream: Stream) -> float:
        """For how long it may live: in a credential's partition, no longer than the
        origin's word about that is believed (U23)."""
        if stream.key.partition.kind is PartitionKind.CREDENTIAL:
            return self._options.rules.trust
        return LIFE_SECONDS + LIFE_SPREAD

    def look(self, follower: Follower, now: float) -> None:
        """The clock went on: end the follower's event stream if it is time to."""
        events = follower.events
        if events is None:
            return
        end = events.look(now)
        if end is None and events.is_behind(now):
            late = trust_of(follower.stream).is_late()
            end = events.end(Reason.EVENTS_BEHIND, now) if late else None
        if end is not None:
            self.over(follower, end)

    def take(
        self, stream: Stream, batch: EventBatch, sent: RequestSnapshot, since: float
    ) -> Reason | None:
        """Have a batch taken in. A reason: by which its event stream ends."""
        self.counters.events_heard += 1
        return self._done(self._taken.judge(stream, batch, sent, since))

    def opened(self, stream: Stream, provenance: Provenance) -> bool:
        """Whether an event stream that was answered so is heard at all (W8)."""
        return self._done(self._taken.opened(stream, provenance))

    def _done(self, steps: Judged[T]) -> T:
        """Have the steps executed; what they end with."""
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                verdict: T = end.value
                return verdict
            self._taken.do(step)

    def over(
        self, follower: Follower, end: EventsEnd, fault: OriginFault | None = None
    ) -> None:
        """The follower's event stream has ended: let it ask on, or end, as that says.

        The follower moves last. So what a reader that is released here does to it, for
        instance end it to make room, is not undone.
        """
        stream, course = follower.stream, ENDS[end.reason]
        now = self.clock.monotonic()
        tail = stream.log.tail
        tail.disarm()
        follower.events = None
        call, follower.call = follower.call, None
        if call is not None:
            call.cancel()
        self.counters.event_streams_ended[end.reason.value] += 1
        if course.rests:
            follower.busy.clear()
        follower.asks_end = course.after is AfterEvents.ASK
        if isinstance(fault, NotAsked):
            self.asker.put_off(follower, fault)
        else:
            trust_of(stream).ended(end, now)
        if course.after is AfterEvents.CHECK and not isinstance(fault, NotAsked):
            tail.mark_unverified(now)
            self.asker.release(follower, fault)
            said = "an event stream broke off" if fault is None else said_of(fault)
            self._contacts.poll_failed(stream, said)
            self._lost(stream)
        elif course.after is AfterEvents.PROBE:
            tail.mark_unverified(now)
            self._lost(stream)
        if course.after is AfterEvents.STOP:
            self.asker.end(follower)
        elif stream.follower is follower:
            self.asker.go_on(follower)


def trust_of(stream: Stream) -> EventTrust:
    """What is remembered of the stream's event streams."""
    if stream.event_trust is None:
        stream.event_trust = EventTrust()
    return stream.event_trust


def drops_inexact(stream: Stream, start: str, data: bytes) -> bool:
    """Whether what is held by events has other bytes than ``data``, which a read from
    ``start`` brought, and the same messages. Then it was inexact, and is dropped; the
    stream is what it was (U16)."""
    log = stream.log
    if not (log.by_events and log.is_json and log.agrees(start, data)):
        return False
    log.drop_bytes(start)
    trust_of(stream).give_up()
    return True


def said_of(fault: OriginFault) -> str:
    """What a fault says to the operator."""
    return f"{fault.reason.value}: {fault.cause or fault.detail}"


class EventStream:
    """One event stream under way: a ``ports.Receiver``."""

    __slots__ = ("_all", "_events", "_follower", "_log", "_sent", "_since", "_span")

    def __init__(
        self, streams: EventStreams, follower: Follower, events: FollowedEvents
    ) -> None:
        log, now = follower.stream.log, streams.clock.monotonic()
        self._all = streams
        self._follower = follower
        self._events = events
        self._log = log
        self._sent = log.tail.request_snapshot(now, log.incarnation)
        # How old the origin's last word was when this was answered.
        self._since = 0.0
        self._span: UpstreamSpan | None = None

    def __repr__(self) -> str:
        return f"<EventStream {self._follower.stream.key.path} {self._events!r}>"

    def sent(self) -> None:
        """See ``ports.Receiver``."""
        self._events.sent(self._all.clock.monotonic())

    def head(self, head: OriginAnswerHead) -> None:
        """See ``ports.Receiver``."""
        now = self._all.clock.monotonic()
        end = self._events.head(head, now)
        if end is None and is_stale(head.headers):
            # Whoever answered has lost its origin (U9); a long-poll tells of that.
            end = self._events.end(Reason.EVENTS_STATUS, now)
        elif end is None and self._is_forbidden(head):
            end = self._events.end(Reason.EVENTS_REFUSED, now)
        self._since = head.provenance.since_confirmed
        if end is None and not self._all.opened(self._follower.stream, head.provenance):
            end = self._events.end(Reason.EVENTS_ENDED, now)
        if self._follower.events is not self._events:
            # Another incarnation has begun, which ended the follower.
            return
        if end is None:
            self._follower.stream.polled_by = cache_members(head.headers)
            self._span = head.span
        else:
            self._all.over(self._follower, end)

    def data(self, piece: bytes) -> None:
        """See ``ports.Receiver``."""
        counters, now = self._all.counters, self._all.clock.monotonic()
        counters.bytes_from_origin += len(piece)
        heard = self._events.heard(piece, now)
        if self._events.skipped:
            counters.events_skipped += self._events.skipped
            self._events.skipped = 0
        try:
            self._take(heard, now)
        except Exception:
            self._all.asker.end(self._follower)
            raise

    def ended(self) -> None:
        """See ``ports.Receiver``."""
        end = self._events.ended(self._all.clock.monotonic())
        if end is not None:
            self._all.over(self._follower, end)

    def failed(self, fault: EdgeError) -> None:
        """See ``ports.Receiver``."""
        assert isinstance(fault, OriginFault)
        end = self._events.lost(self._all.clock.monotonic())
        if end is not None and self._follower.events is self._events:
            self._all.over(self._follower, end, fault)

    def _take(self, heard: list[Heard], now: float) -> None:
        """Have batches taken in, one after the other.

        1: a batch is taken in, which releases readers; 2: one of them has this follower
        ended, or another stream is here. Then nothing more is taken in.
        """
        follower, streams = self._follower, self._all
        for one in heard:
            if isinstance(one, EventsEnd):
                streams.over(follower, one)
                return
            span, wall = self._span, streams.clock.wall
            if span is not None:
                span = span.received(one.trace, one.next, len(one.data), wall())
            follower.stream.brought_by = span
            reason = streams.take(follower.stream, one, self._sent, self._since)
            if span is not None:
                span.end(wall())
            if follower.events is not self._events:
                return
            if reason is not None:
                streams.over(follower, self._events.end(reason, now))
                return
        if heard and streams.asker.retired:
            # What it has told is told on; its successor hears what comes now.
            streams.asker.end(follower)
            return
        self._arm()
        if heard:
            streams.asker.release(follower, None)

    def _arm(self) -> None:
        """Vouch for the end, or not any more (U17)."""
        tail, stands_at = self._log.tail, self._events.stands_at
        if stands_at is not None and stands_at == tail.offset == self._log.end:
            tail.arm(self._sent, self._events.vouches_until)
            self._all.armed(self._follower.stream)
        elif tail.armed is self._sent:
            tail.disarm()

    def _is_forbidden(self, head: OriginAnswerHead) -> bool:
        """Whether the origin forbids to share this (L15). What becomes of the key then
        is decided by what it says of a long-poll's answer."""
        stream = self._follower.stream
        answer = OriginAnswer(head.status, head.headers)
        return origin_forbids(answer, stream.key.partition, stream.route) is not None
