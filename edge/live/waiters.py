"""Waiters: parks live readers, and serves each when its time comes.

Parked viewers are data in their stream's row; ``edge.live.wakeup`` wakes them when
the log grew. A timer wheel holds when each live reader is due: its time-out, its
keep-alive, the end of its SSE response. The hub's tick turns the wheel. An event does
not move the time of an SSE viewer: once due, it is checked for how long it was silent.
"""

import random
from collections.abc import Iterator, Sequence

import gevent

from edge.core.errors import OriginFault, OriginTimeout, Refusal
from edge.core.ports import Clock
from edge.core.reasons import Reason
from edge.core.timer_wheel import GRAIN, TimerWheel
from edge.live.client_counts import viewers_of
from edge.live.contacts import Contacts
from edge.live.context import HubContext
from edge.live.delivery import Delivery
from edge.live.push_delivery import is_pushed
from edge.live.rows import Reader, State, Stream
from edge.policy.streams.decisions import Kind, Serve

FIRST_CONTROL_SECONDS = 1.0
"""When an SSE viewer is told where it stands, known tail or not."""

RETRY_SECONDS = 0.75
"""When a live reader that met a dead origin asks it again, at the earliest."""

DRAIN_SHARE = 0.7
"""Share of a drain's grace within which everybody is released; the rest is for
what they ask next on the same connection."""

JITTER = 0.1
"""Share of a time-out by which it is spread: a crowd must not come back in one
instant."""

BATCH_SIZE = 256
"""Readers served before the event loop gets its turn."""


class Waiters:
    """Counts live readers, parks them, and looks after their times."""

    def __init__(
        self, context: HubContext, delivery: Delivery, contacts: Contacts
    ) -> None:
        self._options = context.options
        self._counters = context.counters
        self._clock = context.clock
        self._guard = context.guard
        self._delivery = delivery
        self._contacts = contacts
        self._looks = context.looks
        self._node_viewers = viewers_of(context.options)
        self._wheel: TimerWheel[Reader] = TimerWheel(context.clock.monotonic())
        # Live readers that are not done, parked or not; those with an event stream.
        self.viewers = self._by_events = 0
        # The streams that somebody is parked at: the tick looks at no others.
        self._crowded: dict[Stream, None] = {}
        # While draining: who was here when it began, and is not yet released.
        self._drain_queue: dict[Reader, None] | None = None

    def count_by_events(self) -> int:
        """Of these viewers, those with an event stream."""
        return self._by_events

    # Parking

    def admit(self, reader: Reader, now: float) -> None:
        """A live reader arrived: its time begins. Raises Refusal at a limit."""
        stream, options = reader.stream, self._options
        full = self.viewers >= options.max_viewers
        full = full or stream.viewers >= options.max_viewers_per_stream
        node = self._node_viewers
        if full or (node is not None and not node.take(stream, self.viewers)):
            raise Refusal("too many live readers", reason=Reason.LIMIT_VIEWERS)
        self.viewers += 1
        stream.viewers += 1
        self._by_events += reader.is_sse
        stream.viewers_by_events += reader.is_sse
        spread = 1.0 - random.random() * JITTER
        ends = reader.lease.ends_at
        reader.deadline = min(now + options.long_poll_timeout * spread, ends)
        reader.life_ends = min(now + options.sse_lifetime * spread, ends)
        self._wheel.set(reader, reader.life_ends if reader.is_sse else reader.deadline)

    def park(self, reader: Reader, offset: str) -> None:
        """Let the reader wait at ``offset`` until the log grows."""
        stream, now = reader.stream, self._clock.monotonic()
        reader.move(State.PARKED)
        reader.offset = offset
        reader.fault = None
        reader.faulted_at = None
        reader.rounds = 0
        reader.barrier = stream.log.tail.read_barrier()
        stream.parked[reader] = None
        self._crowded[stream] = None
        if reader.is_sse:
            self._park_sse(reader, now)
        else:
            reader.asked = Reason.FOLLOWED
            reader.is_leader = False

    def stay(self, readers: Sequence[Reader]) -> None:
        """Viewers of one stream were given all there is where they are parked, and wait
        on: at their new offset, having seen what is known now."""
        if readers:
            barrier = readers[0].stream.log.tail.read_barrier()
            for reader in readers:
                reader.barrier = barrier

    def _park_sse(self, reader: Reader, now: float) -> None:
        self._delivery.begin_sse(reader)
        if reader.caught_up_sent or reader.full:
            self._look_again(reader, now + self._options.sse_keep_alive)
        else:
            reader.stream.awaiting_caught_up.add(reader)
            self._look_again(reader, now + FIRST_CONTROL_SECONDS)
            if self._is_up_to_date(reader, now):
                self._tell(reader)

    def _tell(self, reader: Reader) -> None:
        """A control event alone: where this viewer stands, and whether that is all."""
        offset, now = reader.offset, self._clock.monotonic()
        known = self._is_up_to_date(reader, now)
        if known:
            reader.stream.awaiting_caught_up.discard(reader)
        self._delivery.events(reader, Serve(Kind.EMPTY, offset, offset, known))
        self._look_again(reader, now + self._options.sse_keep_alive)

    def _is_up_to_date(self, reader: Reader, now: float) -> bool:
        """Whether a parked viewer may be told that it has everything (L3).

        Two things may have happened since it parked. The log grew and the next poll
        is armed, but the wake-up has not reached this viewer. Or a write was
        acknowledged. One that it came after may name no offset here (U13): then an
        answer must have been heard that was sent since. The poll itself may have been,
        but its answer, with the bytes, can still be on the way (L4). And one that waits
        above the end is told nothing of it (U14). Where a node has many processes, it
        may have written through another one since it parked, of which the end that was
        named there is not known here (W5).
        """
        if self._looks is not None:
            self._looks.look(reader.stream, now)
            if reader.stream.log.tail.is_behind:
                return False
        log, offset = reader.stream.log, reader.offset
        if not log.tail.is_armed(now) or log.reaches_beyond(offset):
            return False
        return log.tail.shows(reader.barrier, offset) and not log.is_above(offset)

    def armed(self, stream: Stream) -> None:
        """A poll is on the wire: viewers may be told now that they are up to date."""
        if not stream.awaiting_caught_up:
            return
        now = self._clock.monotonic()
        for reader in list(stream.awaiting_caught_up):
            parked = reader.state is State.PARKED and not reader.full
            parked = parked and now < reader.lease.ends_at
            if parked and self._is_up_to_date(reader, now):
                self._guard.serve(self._tell, reader)

    def tell_edges(self, stream: Stream) -> None:
        """Contact was lost, or another stream began. Edges that poll here are answered
        without a claim (U8), and nothing is pushed to fronts any more (W15): to them
        this edge's silence is the origin's, and the streams that they hold must be
        checked (L7). Clients go on waiting."""
        for reader in list(stream.parked):
            hears = reader.is_edge and (not reader.is_sse or is_pushed(reader))
            if hears and reader.state is State.PARKED:
                self._guard.serve(
                    lambda edge: self.end(edge, Reason.CONTACT_LOST), reader
                )

    @property
    def crowded(self) -> list[Stream]:
        """The streams at which somebody is parked."""
        return list(self._crowded)

    def unfollowed(self) -> list[Stream]:
        """Streams with parked viewers and no follower: it ended, and the viewers need
        a new one."""
        return [
            stream
            for stream in self._crowded
            if stream.follower is None and stream.waking is None
        ]

    # Times

    def _look_again(self, reader: Reader, when: float) -> None:
        """Look at an SSE viewer at ``when``, or when its response must end."""
        self._wheel.set(reader, min(when, reader.life_ends))

    def tick(self, now: float) -> None:
        """Serve all that are due. Yields between batches."""
        for some in batches(self._wheel.pop(now)):
            for reader in some:
                if not reader.done:
                    self._guard.serve(self._due, reader)

    def _due(self, reader: Reader) -> None:
        now = self._clock.monotonic()
        if now >= reader.lease.ends_at and reader.state is not State.RELAYED:
            self.end_grant(reader)
        elif reader.state is State.WAITING and reader.fault is not None:
            self._retry(reader, now)
        elif reader.stale_at is not None:
            self._lose_patience(reader, now)
        elif reader.is_sse:
            self._sse_due(reader, now)
        else:
            self._poll_due(reader, now)

    def _poll_due(self, reader: Reader, now: float) -> None:
        """A long-poll's time is up: 204 at its own offset (L21, section 5.7)."""
        stand = reader.stream.log.end_alias(reader.offset)
        if reader.state is State.PARKED:
            self.time_out(reader)
        elif stand is not None:
            # The origin does not answer, but the offset is known and nothing held
            # lies behind it. The reader may be answered as if it were parked.
            reader.offset = stand
            self.time_out(reader)
        else:
            self._wheel.set(reader, now + 1.0)

    def time_out(self, reader: Reader, reason: Reason = Reason.TIMED_OUT) -> None:
        """Answer a parked long-poll with nothing new."""
        now, at = self._clock.monotonic(), reader.offset
        known = now < reader.lease.ends_at and self._is_up_to_date(reader, now)
        self._counters.viewers_ended[reason.value] += 1
        self._delivery.serve(reader, Serve(Kind.EMPTY, at, at, up_to_date=known))

    def end_grant(self, reader: Reader) -> None:
        """The grant behind a read has ended: it is given nothing that came later (B12).

        A poll is answered at its own offset without a claim, so that its client asks
        again and hears why. A refusal in the middle would end the client for good.
        """
        why = reader.lease.why
        if reader.begun or reader.state is State.PARKED:
            self.end(reader, why)
        else:
            detail = "What let this request in ended before it could be answered."
            self._delivery.refuse(reader, Refusal(detail, reason=why))

    def lapsing(self) -> list[Reader]:
        """The live readers whose leases end earlier than they were told."""
        return [
            reader
            for reader in dict.fromkeys(self._here())
            if (ends := reader.lease.ends_at) < reader.life_ends
            or ends < reader.deadline
        ]

    def lapse(self, reader: Reader) -> None:
        """The lease of a live reader may end earlier than it was to: now, or soon."""
        ends = reader.lease.ends_at
        if reader.done or reader.state is State.RELAYED:
            return
        if self._clock.monotonic() >= ends:
            self.end_grant(reader)
            return
        reader.deadline = min(reader.deadline, ends)
        reader.life_ends = min(reader.life_ends, ends)
        if reader.due_at > ends:
            self._wheel.set(reader, ends)

    def _sse_due(self, reader: Reader, now: float) -> None:
        if reader.begun and now >= reader.life_ends - GRAIN:
            self.end(reader, Reason.LIFETIME)
            return
        if reader.full and self._lags(reader):
            self.end(reader, Reason.VIEWER_LAG)
            return
        if reader.state is State.PARKED and not reader.full:
            self._break_silence(reader, now)
        keep_alive = self._options.sse_keep_alive
        # Events do not move this time: the viewer is due when its silence may be over.
        again = reader.quiet_since + keep_alive
        again = again if again > now else now + keep_alive
        self._wheel.set(reader, min(again, max(reader.life_ends, now + 1.0)))

    def _break_silence(self, reader: Reader, now: float) -> None:
        """Say where the viewer stands if nothing was said yet, or that we live."""
        if not reader.control_sent or (
            reader in reader.stream.awaiting_caught_up
            and self._is_up_to_date(reader, now)
        ):
            self._tell(reader)
        elif now - reader.quiet_since >= self._options.sse_keep_alive * 0.9:
            self._delivery.keep_alive(reader)

    def _lags(self, reader: Reader) -> bool:
        behind = reader.stream.log.distance(reader.offset)
        if behind is not None:
            self._counters.timings.viewer_lag.observe(behind)
        return behind is None or behind > self._options.viewer_lag

    def be_patient(self, reader: Reader, seconds: float) -> None:
        """Let the reader wait for an answer so long, but no longer: it would then be
        given what is held, stale (U3)."""
        reader.stale_at = self._clock.monotonic() + seconds
        self._wheel.set(reader, reader.stale_at)

    def _lose_patience(self, reader: Reader, now: float) -> None:
        """Its patience is over. If it still waits, the origin counts as away, until the
        answer is there after all: nobody else has to wait for it."""
        reader.stale_at = None
        if reader.is_live:
            self._look_again(
                reader, reader.life_ends if reader.is_sse else reader.deadline
            )
        if reader.state is State.WAITING:
            detail = "the origin has not answered in time"
            reader.fault = OriginTimeout(detail, reason=Reason.ORIGIN_SLOW)
            self._contacts.read_failed(reader.stream, reader.fault)
            reader.owner.advance(reader)

    def may_wait(self, reader: Reader, pause: float) -> bool:
        """Whether a live reader may ask again in a while: not long after it first met
        that the origin is away (U2), and within its time-out.

        ``pause``: nothing is asked for so many seconds.
        """
        if not (reader.is_live and self.may_park(reader)):
            return False
        now = self._clock.monotonic()
        if reader.faulted_at is None:
            reader.faulted_at = now
        patience = reader.faulted_at + self._options.cold_patience
        soon = now + max(RETRY_SECONDS, pause)
        ends = reader.life_ends if reader.begun else reader.deadline
        return soon <= min(ends, patience)

    def retry_later(self, reader: Reader) -> None:
        """Ask for this reader again in a while; until then its fault stands."""
        pause = RETRY_SECONDS * random.uniform(1.0, 1.2)
        self._wheel.set(reader, self._clock.monotonic() + pause)

    def _retry(self, reader: Reader, now: float) -> None:
        """Forget the fault and ask again, for as long as the reader has time."""
        fault, reader.fault = reader.fault, None
        if fault is not None and now >= reader.deadline and not reader.begun:
            self._delivery.away(reader, fault, self._contacts.wait(reader.stream))
            return
        reader.rounds = 0
        self._wheel.set(reader, reader.life_ends if reader.is_sse else reader.deadline)
        reader.owner.advance(reader)

    def end(self, reader: Reader, reason: Reason) -> None:
        """End a parked viewer, or an event stream that has begun, where it stands."""
        if reader.is_sse:
            self._counters.viewers_ended[reason.value] += 1
            self._delivery.end_sse(reader)
        else:
            self.time_out(reader, reason)

    def ended(self, reader: Reader) -> None:
        """A live reader is done."""
        self.leave(reader)
        self.viewers -= 1
        reader.stream.viewers -= 1
        self._by_events -= reader.is_sse
        reader.stream.viewers_by_events -= reader.is_sse
        if self._node_viewers is not None:
            self._node_viewers.left(reader.stream, self.viewers)

    def end_together(self, readers: Sequence[Reader]) -> None:
        """Parked polls of one stream are done: in one loop what ``Reader.move`` does
        for each."""
        stream = readers[0].stream
        for reader in readers:
            reader.state = State.DONE
            stream.parked.pop(reader, None)
            if stream.lenders is not None:
                stream.lenders.moved(reader, waits=False)
        stream.awaiting_caught_up.difference_update(readers)
        self._wheel.drop_all(readers)
        self.viewers -= len(readers)
        stream.viewers -= len(readers)
        if self._node_viewers is not None:
            self._node_viewers.left(stream, self.viewers, len(readers))
        self._look_at_crowd(stream)

    def leave(self, reader: Reader) -> None:
        """A reader waits here no more: it is done, or passed through."""
        stream = reader.stream
        self._wheel.drop(reader)
        if stream.awaiting_caught_up:
            stream.awaiting_caught_up.discard(reader)
        if stream.parked.pop(reader, reader) is None:
            self._look_at_crowd(stream)

    def _look_at_crowd(self, stream: Stream) -> None:
        """Somebody has left it."""
        if not stream.parked:
            self._crowded.pop(stream, None)
            stream.linger_until = self._clock.monotonic() + self._options.linger

    # The end

    def begin_drain(self) -> None:
        """A drain begins: every live reader that is here gets a turn to leave."""
        if self._drain_queue is None:
            here = (one for one in self._here() if not one.read.only_held)
            self._drain_queue = dict.fromkeys(here)

    def _here(self) -> tuple[Reader, ...]:
        """All live readers that wait here, some of them twice. A reader that the
        tick is just serving is not in the wheel."""
        parked = [reader for stream in self._crowded for reader in stream.parked]
        return (*parked, *self._wheel)

    def may_park(self, reader: Reader) -> bool:
        """Whether the reader may park. While draining: one in the queue may, until
        it is released. A crowd that is woken meanwhile thus does not leave at once."""
        queue = self._drain_queue
        return queue is None or reader in queue or reader.read.only_held

    def drain(self, grace: float) -> None:
        """Let all in the queue go, spread over ``grace`` seconds (E54). Blocks."""
        self.begin_drain()
        queue = self._drain_queue or {}
        for reader in paced(tuple(queue), grace, self._clock):
            queue.pop(reader, None)
            self._guard.serve(self._let_go, reader)

    def let_go(self) -> None:
        """End at once all that are parked, or wait to ask again."""
        self._drain_queue = {}
        for reader in self._here():
            self._guard.serve(self._let_go, reader)

    def _let_go(self, reader: Reader) -> None:
        """Release the reader: it gets what it has, and nothing more here.

        A reader that waits for an answer still gets that one (see ``Hub._wait``).
        """
        if reader.state is State.PARKED:
            self._end_after_control(reader)
        elif reader.state is State.WAITING and reader.begun:
            self.end(reader, Reason.DRAINING)
        elif reader.state is State.WAITING and reader.fault is not None:
            self._let_go_at_fault(reader, reader.fault)

    def _end_after_control(self, reader: Reader) -> None:
        """End an SSE response after a control event, its first if need be (E54)."""
        if reader.is_sse and not reader.control_sent and not reader.full:
            self._delivery.begin_sse(reader)
            self._tell(reader)
        self.end(reader, Reason.DRAINING)

    def _let_go_at_fault(self, reader: Reader, fault: OriginFault) -> None:
        """The origin is away. A reader at a known offset is ended as if parked."""
        stand = reader.stream.log.end_alias(reader.offset)
        if stand is None:
            self._delivery.refuse(reader, fault)
        else:
            reader.offset = stand
            self._end_after_control(reader)


def paced(readers: Sequence[Reader], grace: float, clock: Clock) -> Iterator[Reader]:
    """Each when its turn has come to be released within a drain's ``grace`` seconds.
    Sleeps in between. A turn that comes late makes no later one late."""
    begun, seconds = clock.monotonic(), grace * DRAIN_SHARE
    for count, reader in enumerate(readers):
        pause = begun + seconds * count / len(readers) - clock.monotonic()
        if pause > 0 and not reader.done:
            gevent.sleep(pause)
        yield reader


def batches(readers: list[Reader]) -> Iterator[list[Reader]]:
    """All of them, in batches. The event loop runs between two batches."""
    for start in range(0, len(readers), BATCH_SIZE):
        if start:
            _let_others()
        yield readers[start : start + BATCH_SIZE]


def _let_others() -> None:
    """Continue once the event loop has looked at all sockets.

    ``gevent.sleep(0)`` does not wait for that: gevent runs up to fifty deferred
    callbacks before it looks at a socket again. A pass over ten thousand readers
    would then be one turn of the loop. A timer that is due at once fires together
    with the sockets.
    """
    hub = gevent.get_hub()
    due = hub.loop.timer(0)
    try:
        hub.wait(due)
    finally:
        due.close()
