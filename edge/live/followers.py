"""Followers: the one upstream live read of a stream at its tail.

While readers wait at a stream's end, and a linger after, the origin is polled from the
end of what is held (L20). Each answer goes to the hub, which lets the log grow and
wakes the viewers. This module only keeps the poll going: it arms (L3), backs off
after failures (L21, U6, U7), probes after lost contact (L7), and ends when it is not
needed (L23, L24). Where that is exact and worth it, it has an event stream in the place
of polls (``edge.live.event_streams``, U16 to U23); what is said here of polls holds of
that, too.

A follower is a row (``rows.Follower``) and has no greenlet. It is moved by callbacks on
the event loop: its poll was answered, its pause is over, there is news. An answer is
taken in and the next poll sent in one go, before the crowd that the answer woke is
served: so the origin works meanwhile, and the tail is armed again for the claims that
the crowd is given (L3). There is no recursion: an origin answers in a later turn, even
if it does so at once (``ports.Origin.begin``).

How long to back off stands in the stream's Contact, not here: a follower that is begun
anew, since a viewer came back, waits for what the last one had to wait for.

Where the origin judges, each poll goes with a credential that a parked viewer lends
(B7), and none is sent while nobody is parked. One that is on the wire goes on for
``LENDER_GRACE_SECONDS`` after its lender has left, or was to be judged anew, since a
client that was answered asks again. It is given up at once when the lease was ended
before its time. Then another one's begins in its place. While nobody lends, the
follower waits until somebody comes. A keeper's lenders are fronts: they are first given
what an answer brings, and the next poll goes by what one lends as it comes back. After
an answer without news a front lends the same again.

On every way out the poll is cancelled, the tail disarmed, and whoever waits for the
poll's answer is decided again. A cancelled poll calls nothing back, so it cannot meet
the poll of a successor.
"""

from collections.abc import Callable
from functools import partial

from edge.core.errors import NotAsked, NotHeld, OriginFault
from edge.core.reasons import Reason
from edge.core.values import (
    Headers,
    Lease,
    LentCredential,
    OriginRequest,
)
from edge.live.contacts import Contacts
from edge.live.context import HubContext
from edge.live.event_streams import EventsTaken, EventStreams, said_of
from edge.live.follower_states import FollowerState
from edge.live.lending import Lending
from edge.live.polls import Next, Poll, disarm, may_follow_unwatched, said
from edge.live.rows import Follower, Reader, State, Stream
from edge.live.upstream import Outcome, Upstream, after, next_turn
from edge.policy.streams import upstream_requests
from edge.policy.streams.routes import Follow
from edge.protocol.offsets import BEGIN
from edge.streamlog.barriers import RequestSnapshot
from edge.streamlog.stream_log import StreamLog

LENDER_GRACE_SECONDS = 1.0
"""For so long a poll goes on when its lender has left."""

POLL_PATIENCE_SECONDS = 0.25
"""How long a reader waits for an armed poll to bring a write (L4)."""

BUSY_POLLS = 5
BUSY_SECONDS = 1.0
"""So many polls that brought something, in so short a time, make an event stream worth
it (U20)."""


Heard = Callable[[Stream, Poll], Next]


class Followers:
    """All followers of the hub. Its callbacks run on the event loop, and never switch.

    ``heard`` takes a poll's answer and says what comes next; ``events`` takes in what
    comes by event streams. ``armed`` is called once a
    poll is on the wire, ``lost`` when none will be for a while, or one left the stream
    in doubt. Readers that waited for an answer are decided again by their owner: when
    it came, or when it is known that none will come.
    """

    def __init__(
        self,
        context: HubContext,
        upstream: Upstream,
        lending: Lending,
        contacts: Contacts,
        heard: Heard,
        events: EventsTaken,
        armed: Callable[[Stream], None],
        lost: Callable[[Stream], None],
        left: Callable[[Stream], None],
    ) -> None:
        self._upstream = upstream
        self._lending = lending
        self._contacts = contacts
        self._counters = context.counters
        self._clock = context.clock
        self._guard = context.guard
        self._options = context.options
        self._asks_keeper = context.asks_keeper
        self._heard = heard
        self._armed = armed
        self._lost = lost
        self._left = left
        self._all: set[Follower] = set()
        self.retired = False
        self._events = EventStreams(
            context, upstream, contacts, events, armed, lost, self
        )

    def __len__(self) -> int:
        return len(self._all)

    @property
    def by_events(self) -> int:
        """How many have an event stream now."""
        return sum(follower.events is not None for follower in self._all)

    def ensure(self, stream: Stream) -> bool:
        """Follow this stream if there is room. Returns whether it is followed."""
        if stream.follower is not None:
            if stream.follower.wants_lender:
                self.kick(stream)
            return True
        if self.retired:
            return False
        if len(self._all) >= self._options.max_followers and not self._make_room():
            return False
        follower = Follower(stream, self._fields(stream))
        stream.follower = follower
        self._all.add(follower)
        # Not now: whoever parks may be one of many that are being released.
        self._go_on_soon(follower)
        return True

    def retire(self) -> None:
        """Arm nothing from now on: what is on the wire is answered, and that is all."""
        self.retired = True

    def follow_unwatched(self, stream: Stream) -> None:
        """Reading makes following: a tail that is read often is followed (L24)."""
        if may_follow_unwatched(stream):
            stream.linger_until = self._clock.monotonic() + self._options.linger
            if len(self._all) < self._options.max_followers:
                self.ensure(stream)

    def kick(self, stream: Stream) -> None:
        """There is news: a follower that backs off asks at once, but not before a
        Retry-After is over (U7). An event stream is to bring it soon (U18)."""
        follower = stream.follower
        ack = stream.log.tail.ack
        if follower is not None and follower.events is not None and ack is not None:
            follower.events.expect(ack, self._clock.monotonic())
        if follower is not None and follower.state is FollowerState.PAUSING:
            # Its pause ends in the next turn.
            _stop_turn(follower)
            self._go_on_soon(follower)

    def wants(self, stream: Stream) -> bool:
        """Whether this stream is to be polled (again): L23, L24."""
        return bool(stream.parked) or (stream.log.ttl is None and self._lingers(stream))

    def _lingers(self, stream: Stream) -> bool:
        return self._clock.monotonic() < stream.linger_until

    def _is_needless(self, follower: Follower) -> bool:
        """Whether to end it. What is on the wire has renewed a TTL already, and lingers
        as any other does: a crowd that was woken comes back (L23)."""
        is_poll = follower.call is not None and follower.events is None
        is_asking = is_poll and self._lingers(follower.stream)
        return not (is_asking or follower.waiting or self.wants(follower.stream))

    def stop(self, stream: Stream) -> None:
        """End this stream's follower, wherever it is."""
        if stream.follower is not None:
            self.end(stream.follower)

    def stop_all(self) -> None:
        for follower in list(self._all):
            self.stop(follower.stream)

    def look(self, now: float) -> None:
        """The clock went on (called by the ticker): release readers that wait for a
        poll too long; end followers whose linger is over, polls whose lender is gone,
        and event streams whose time has come."""
        for follower in list(self._all):
            stream = follower.stream
            if (
                follower.waiting
                and now - follower.waiting_since >= POLL_PATIENCE_SECONDS
            ):
                self.release(follower, None)
            if self._is_needless(follower):
                self.stop(stream)
            elif stream.lenders is not None and self._has_lost_lender(follower):
                # Viewers are parked on; only the poll is another one's.
                self.stop(stream)
                if stream.parked:
                    self.ensure(stream)
            elif follower.events is not None:
                self._events.look(follower, now)

    def _has_lost_lender(self, follower: Follower) -> bool:
        """Whether the poll on the wire is to be given up (B7)."""
        lenders, lease = follower.stream.lenders, follower.lent
        if lenders is None or lease is None or lease.lends is None:
            return False
        now = self._clock.monotonic()
        if lenders.holds(lease.lends, now):
            follower.lender_left = None
            return False
        if follower.lender_left is None:
            follower.lender_left = now
        over = now - follower.lender_left >= LENDER_GRACE_SECONDS
        was_ended = lease.ends_at < lease.lends.fresh_until
        return over or (was_ended and now >= lease.ends_at)

    def wait(self, reader: Reader) -> bool:
        """Let a reader wait for the armed poll's answer; False if none is armed."""
        follower = reader.stream.follower
        now = self._clock.monotonic()
        if follower is None or not reader.stream.log.tail.may_bring(now):
            return False
        if not follower.waiting:
            follower.waiting_since = now
        follower.waiting.append(reader)
        return True

    def _make_room(self) -> bool:
        """L24: above the cap, followers without viewers go first."""
        for follower in self._all:
            if not follower.stream.parked:
                self.stop(follower.stream)
                return True
        return False

    def _may_ask(self, stream: Stream) -> bool:
        """Whether another poll may be sent: with a lent credential, for viewers alone
        (B6)."""
        wants = self.wants(stream) and not self.retired
        return wants and (stream.lenders is None or bool(stream.parked))

    def end(self, follower: Follower) -> None:
        """Forget a follower; its readers are decided again. Idempotent."""
        if follower.state is FollowerState.ENDED:
            return
        follower.move(FollowerState.ENDED)
        _stop_turn(follower)
        follower.events = None
        if follower.call is not None:
            follower.call.cancel()
        follower.stream.follower = None
        follower.stream.log.tail.disarm()
        self._all.discard(follower)
        self.release(follower, None)
        if self.retired:
            self._left(follower.stream)

    def release(self, follower: Follower, fault: OriginFault | None) -> None:
        waiting, follower.waiting = follower.waiting, []
        for reader in waiting:
            if reader.state is State.WAITING:
                reader.fault = fault
                reader.owner.advance(reader)

    # What moves a follower

    def _go_on_soon(self, follower: Follower) -> None:
        """Go on in the next turn of the event loop."""
        follower.turn = next_turn(self._guard.call, self.go_on, follower)

    def go_on(self, follower: Follower) -> None:
        """Ask, pause before that, or end. A defect ends this follower alone.

        Called when it is DUE, when its poll was answered, and when a pause is over.
        """
        try:
            if not self._may_ask(follower.stream):
                self.end(follower)
            elif not self._pauses(follower):
                self._ask(follower)
        except Exception:
            self.end(follower)
            raise

    def _pauses(self, follower: Follower) -> bool:
        """Whether the stream may not be polled yet; then it goes on by itself later.

        First it backs off, which news end early, once each; then it waits for what a
        Retry-After asked, which nothing ends (U7).
        """
        contact, before = follower.stream.contact, follower.state
        if contact is None or before is FollowerState.BOUND:
            return False
        now = self._clock.monotonic()
        left, state = contact.poll_again_at - now, FollowerState.PAUSING
        if left <= 0 or before is FollowerState.PAUSING:
            left, state = contact.bound_until - now, FollowerState.BOUND
        if left <= 0:
            return False
        follower.move(state)
        follower.turn = after(left, self._guard.call, self.go_on, follower)
        return True

    def _ask(self, follower: Follower) -> None:
        """Send a poll, or the request for an event stream."""
        stream = follower.stream
        follower.move(FollowerState.ASKING)
        start, live = self._next_start(follower)
        if live and self._is_for_events(follower) and self._events.begin(follower):
            return
        poll = Poll(start, live, stream.log, self._snapshot(stream.log))
        self._counters.follower_polls += 1
        sent = partial(self._sent, follower, poll)
        done = partial(self._done, follower, poll)
        if stream.lenders is None:
            request = self._request(stream, start, live, fields=follower.fields)
            follower.call = self._upstream.begin(request, done, sent)
        else:
            lent = partial(self._lent, follower, poll)
            follower.call = self._lending.begin(stream, lent, done, sent)

    def _is_for_events(self, follower: Follower) -> bool:
        """Whether an event stream is worth its connection (U20); pushes need none."""
        follow, busy = follower.stream.route.follow, follower.busy
        if follow is Follow.AUTO and not self._options.is_front:
            return len(busy) == BUSY_POLLS and busy[-1] - busy[0] <= BUSY_SECONDS
        return follow is Follow.SSE or self._options.is_front

    def _sent(self, follower: Follower, poll: Poll) -> None:
        """Between the poll's sending and its answer the tail is known (L3)."""
        stream = follower.stream
        if poll.live and poll.log is stream.log:
            poll.log.tail.arm(poll.sent)
            self._armed(stream)

    def _lent(self, follower: Follower, poll: Poll, lease: Lease) -> OriginRequest:
        """The poll by this lender's credential. Each lender's is a new one: the last
        one's answer told nothing."""
        disarm(poll)
        poll.sent = self._snapshot(poll.log)
        follower.lent, follower.lender_left = lease, None
        follower.wants_lender = False
        return self._request(follower.stream, poll.start, poll.live, lease.lends)

    def _done(self, follower: Follower, poll: Poll, outcome: Outcome) -> None:
        """The poll has ended: have it taken in, and go on in the same turn.

        1: its answer is taken in, which releases readers; 2: one of them has this very
        follower ended, to make room for another stream's. Then there is no next poll.
        """
        lease, follower.call, follower.lent = follower.lent, None, None
        disarm(poll)
        try:
            goes_on = self._take(follower, poll, outcome)
        except Exception:
            self.end(follower)
            raise
        if not goes_on:
            self.end(follower)
        elif follower.state is FollowerState.ENDED:
            return
        elif self._lenders_come_anew(follower.stream):
            self._go_on_soon(follower)
        else:
            self._keep_turn(follower.stream, poll, lease)
            self.go_on(follower)

    def _keep_turn(self, stream: Stream, poll: Poll, lease: Lease | None) -> None:
        """A keeper has let a poll of this front's go without news, and may ask by its
        credential still: that would be given up if another one's came."""
        lent = None if lease is None else lease.lends
        is_idle = self._options.is_front and stream.log.end == poll.start
        if is_idle and lent is not None and stream.lenders is not None:
            stream.lenders.keep_turn(lent)

    def _lenders_come_anew(self, stream: Stream) -> bool:
        """Whether the crowd is to be answered before the next poll: a keeper's are
        fronts, each of which comes back at once, and lends another credential. A poll
        by the last one would be given up after the grace, and cost one more."""
        keeps, woken = self._options.serves_fronts, stream.waking is not None
        return keeps and woken and stream.lenders is not None

    def _take(self, follower: Follower, poll: Poll, outcome: Outcome) -> bool:
        """What the end of a poll means. Returns whether to make another one."""
        stream = follower.stream
        if isinstance(outcome, NotHeld):
            self._handed(stream, outcome)
            return True
        if isinstance(outcome, OriginFault):
            self._failed(follower, poll, outcome)
            return True
        poll.answer = outcome
        stream.brought_by = outcome.span
        poll.elapsed = self._clock.monotonic() - poll.sent.at
        verdict = self._heard(stream, poll)
        self.release(follower, None)
        if verdict is Next.BACK_OFF or stream.log.tail.unverified:
            self._lost(stream)
        if verdict is Next.BACK_OFF:
            self._contacts.poll_failed(stream, said(outcome))
        elif verdict is Next.GO_ON and poll.live:
            if stream.contact is not None:
                self._contacts.poll_worked(stream)
            if stream.log.end != poll.start:
                self._count_busy(follower)
        elif verdict is Next.GO_ON:
            # The check was answered, so reads work again; of polls that says nothing.
            self._contacts.read_worked(stream)
            if stream.log.tail.unverified:
                # It proved nothing. To ask again at once would bring the same.
                self._contacts.poll_failed(stream)
        return verdict is not Next.STOP

    def _handed(self, stream: Stream, word: NotHeld) -> None:
        """Whoever held it has answered, and the origin is asked from now on (W2). If it
        was in doubt, or speaks of another life, bytes must tell (L7)."""
        if word.lineage is None or word.lineage != stream.log.lineage:
            stream.log.tail.mark_unverified(self._clock.monotonic())
            self._lost(stream)

    def _count_busy(self, follower: Follower) -> None:
        """A poll brought something (U20)."""
        trust = follower.stream.event_trust
        if trust is not None:
            trust.polled()
        follower.busy.append(self._clock.monotonic())
        del follower.busy[:-BUSY_POLLS]

    def _failed(self, follower: Follower, poll: Poll, fault: OriginFault) -> None:
        stream = follower.stream
        if isinstance(fault, NotAsked):
            self.put_off(follower, fault)
            return
        stream.log.tail.mark_unverified(self._clock.monotonic())
        self.release(follower, fault)
        self._contacts.poll_failed(stream, said_of(fault))
        if not poll.live:
            self._contacts.read_failed(stream, fault)
        self._lost(stream)

    def put_off(self, follower: Follower, fault: NotAsked) -> None:
        """Nothing was sent, which says nothing of the stream: no doubt (L7), and no
        longer pause (U6)."""
        follower.wants_lender = fault.reason is Reason.NO_LENDER
        self.release(follower, fault)
        self._contacts.poll_put_off(follower.stream, fault)
        self._lost(follower.stream)

    def _next_start(self, follower: Follower) -> tuple[str, bool]:
        """Where to ask from, and whether to wait there: at the end, or before it when
        contact was lost (L7)."""
        log = follower.stream.log
        end = log.end or BEGIN
        start = end
        asks = follower.asks_end
        follower.asks_end = False
        if asks or log.tail.unverified:
            start = log.probe_start(self._options.rules.max_probe) or end
        # While it is held, a poll does not tell whether the origin is back (U6).
        return start, not asks and start == end and not self._upstream.breaker.is_open

    def _snapshot(self, log: StreamLog) -> RequestSnapshot:
        return log.tail.request_snapshot(self._clock.monotonic(), log.incarnation)

    def _fields(self, stream: Stream) -> Headers:
        """The fields of all its polls. Those with lent credentials do not use them."""
        whose = stream.key.partition, stream.route
        return upstream_requests.read_fields(*whose, node=self._options.node)

    def _request(
        self,
        stream: Stream,
        start: str,
        live: bool,
        lent: LentCredential | None = None,
        fields: Headers | None = None,
    ) -> OriginRequest:
        return upstream_requests.read_request(
            *(stream.key, start, stream.route),
            node=self._options.node,
            live_cursor=stream.log.origin_cursor if live else None,
            live=live,
            lent=lent,
            fields=fields,
            linked=self._asks_keeper(stream),
        )


def _stop_turn(follower: Follower) -> None:
    turn, follower.turn = follower.turn, None
    if turn is not None:
        turn.stop()
