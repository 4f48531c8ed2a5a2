"""Waiters: parking, waking, and everything that is due at a time.

Parked viewers are data in their stream's table; ``edge.live.wakeup`` wakes them
when the log grew. The agenda holds when each of them is due: its time-out, its
keep-alive, the end of its SSE response; the ticker asks it. An event does not
move an event stream's time: when that comes, it is seen how long it was silent.
"""

import random
from collections.abc import Callable

import gevent

from edge.core.counters import Counters
from edge.core.errors import OriginFault
from edge.core.ports import Clock
from edge.core.reasons import Reason
from edge.live.agenda import GRAIN, Agenda
from edge.live.delivery import Delivery
from edge.live.guard import Guard
from edge.live.options import HubOptions
from edge.live.reader import Reader, State
from edge.live.stream import Stream
from edge.live.wakeup import Wakeup, batches
from edge.policy.streams.decide import Serve
from edge.policy.streams.freshness import Kind

FIRST_CONTROL = 1.0
"""Seconds after which an SSE viewer is told where it stands, known tail or not."""

RETRY = 1.0
"""Seconds after which a live reader that met a dead origin asks it again."""

SPREAD = 0.7
"""Share of a drain's grace within which everybody is released; the rest is for
what they ask next on the same connection."""

LATE = 0.1
"""Share of a time-out by which it is spread, so that a crowd does not come back
in one instant."""


class Waiters:
    """Parks live readers and wakes them. ``advance`` decides one of them again."""

    def __init__(
        self,
        options: HubOptions,
        counters: Counters,
        clock: Clock,
        delivery: Delivery,
        guard: Guard,
        advance: Callable[[Reader], None],
    ) -> None:
        self._options = options
        self._counters = counters
        self._clock = clock
        self._delivery = delivery
        self._guard = guard
        self._advance = advance
        self._waves = Wakeup(counters, delivery, guard, advance, self.park)
        self._agenda = Agenda(clock.monotonic())
        # The streams that somebody is parked at: the ticker looks at no others.
        self._crowded: dict[Stream, None] = {}
        # While draining: who was here when it began, and still has a turn to leave.
        self._drain_queue: dict[Reader, None] | None = None

    # Parking

    def admit(self, reader: Reader, now: float) -> None:
        """A live reader arrived: its time begins."""
        spread = 1.0 - random.random() * LATE
        reader.deadline = now + self._options.long_poll_timeout * spread
        reader.life_ends = now + self._options.sse_lifetime * spread
        self._agenda.set(reader, reader.life_ends if reader.is_sse else reader.deadline)

    def park(self, reader: Reader, offset: str) -> None:
        """Let the reader wait at ``offset`` until the log grows."""
        stream, now = reader.stream, self._clock.monotonic()
        reader.move(State.PARKED)
        reader.offset = offset
        reader.fault = None
        reader.rounds = 0
        reader.barrier = stream.log.tail.read_barrier()
        stream.parked[reader] = None
        self._crowded[stream] = None
        if reader.is_sse:
            self._park_sse(reader, now)
        else:
            reader.asked = Reason.FOLLOWED
            reader.is_leader = False

    def _park_sse(self, reader: Reader, now: float) -> None:
        self._delivery.begin_sse(reader)
        if reader.caught_up_sent or reader.full:
            self._look_again(reader, now + self._options.sse_keep_alive)
        else:
            reader.stream.awaiting_caught_up.add(reader)
            self._look_again(reader, now + FIRST_CONTROL)
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

        The log may have grown, and the next poll be armed, before the pass that
        serves this viewer has come to it; or a write was acknowledged since.
        """
        log = reader.stream.log
        return log.tail.is_armed(now) and not log.reaches_beyond(reader.offset)

    def armed(self, stream: Stream) -> None:
        """A poll is on the wire: who waits to hear that it is up to date may."""
        now = self._clock.monotonic()
        for reader in list(stream.awaiting_caught_up):
            parked = reader.state is State.PARKED and not reader.full
            if parked and self._is_up_to_date(reader, now):
                self._guard.serve(self._tell, reader)

    # Waking

    def wake(self, stream: Stream) -> None:
        """Decide all parked viewers of a stream again (see ``edge.live.wakeup``)."""
        self._waves.wake(stream)

    def wake_unfollowed(self) -> None:
        """Decide viewers again whose follower has ended: they must not starve."""
        for stream in list(self._crowded):
            if stream.follower is None and stream.waking is None:
                self.wake(stream)

    # Times

    def _look_again(self, reader: Reader, when: float) -> None:
        """Look at an SSE viewer at ``when``, or when its response must end."""
        self._agenda.set(reader, min(when, reader.life_ends))

    def tick(self, now: float) -> None:
        """Serve everybody who is due. Yields between batches."""
        for some in batches(self._agenda.pop(now)):
            for reader in some:
                if not reader.done:
                    self._guard.serve(self._due, reader)

    def _due(self, reader: Reader) -> None:
        now = self._clock.monotonic()
        if reader.state is State.WAITING and reader.fault is not None:
            self._retry(reader, now)
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
            # It waits for an origin that does not answer, at an offset that is
            # known and has nothing behind it here: as good as parked.
            reader.offset = stand
            self.time_out(reader)
        else:
            self._agenda.set(reader, now + 1.0)

    def time_out(self, reader: Reader, reason: Reason = Reason.TIMED_OUT) -> None:
        """Answer a parked long-poll with nothing new."""
        known = self._is_up_to_date(reader, self._clock.monotonic())
        at = reader.offset
        self._counters.viewers_ended[reason.value] += 1
        self._delivery.serve(reader, Serve(Kind.EMPTY, at, at, up_to_date=known))

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
        # Events do not move it: it is looked at when its silence might be over.
        again = reader.quiet_since + keep_alive
        again = again if again > now else now + keep_alive
        self._agenda.set(reader, min(again, max(reader.life_ends, now + 1.0)))

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
        return behind is None or behind > self._options.viewer_lag

    def may_wait(self, reader: Reader) -> bool:
        """Whether a reader is live, and its time-out leaves time to ask again (L21)."""
        if not self.may_park(reader):
            return False
        soon = self._clock.monotonic() + RETRY
        return reader.read.mode.live and soon < reader.deadline

    def retry_later(self, reader: Reader) -> None:
        """Ask for this reader again in a while; until then its fault stands."""
        pause = RETRY * random.uniform(0.8, 1.2)
        self._agenda.set(reader, self._clock.monotonic() + pause)

    def _retry(self, reader: Reader, now: float) -> None:
        """Forget the fault and ask again, for as long as the reader has time."""
        fault, reader.fault = reader.fault, None
        if fault is not None and now >= reader.deadline:
            self._delivery.refuse(reader, fault)
            return
        reader.rounds = 0
        self._agenda.set(reader, reader.life_ends if reader.is_sse else reader.deadline)
        self._advance(reader)

    def end(self, reader: Reader, reason: Reason) -> None:
        """End a parked viewer, or an event stream that has begun, where it stands."""
        if reader.is_sse:
            self._counters.viewers_ended[reason.value] += 1
            self._delivery.end_sse(reader)
        else:
            self.time_out(reader, reason)

    def leave(self, reader: Reader) -> None:
        """A reader waits here no more, be it done or passed on."""
        stream = reader.stream
        self._agenda.drop(reader)
        if stream.awaiting_caught_up:
            stream.awaiting_caught_up.discard(reader)
        if stream.parked.pop(reader, reader) is None and not stream.parked:
            self._crowded.pop(stream, None)
            stream.linger_until = self._clock.monotonic() + self._options.linger

    # The end

    def begin_drain(self) -> None:
        """A drain begins: every live reader that is here gets a turn to leave."""
        if self._drain_queue is None:
            self._drain_queue = dict.fromkeys(self._here())

    def _here(self) -> tuple[Reader, ...]:
        """All live readers that wait here; some may come twice. Those whom the tick
        has in hand are in no agenda."""
        parked = [reader for stream in self._crowded for reader in stream.parked]
        return (*parked, *self._agenda)

    def may_park(self, reader: Reader) -> bool:
        """Whether the reader may park. While draining: whether its turn to leave is
        still to come; a crowd that is woken meanwhile must not leave at once."""
        return self._drain_queue is None or reader in self._drain_queue

    def drain(self, grace: float) -> None:
        """Let everybody in line go, spread over ``grace`` seconds (E54). Blocks."""
        self.begin_drain()
        line = self._drain_queue or {}
        waiting = tuple(line)
        begun = self._clock.monotonic()
        for count, reader in enumerate(waiting):
            due = begun + grace * SPREAD * count / len(waiting)
            pause = due - self._clock.monotonic()
            if pause > 0 and not reader.done:
                gevent.sleep(pause)
            line.pop(reader, None)
            self._guard.serve(self._let_go, reader)

    def let_go(self) -> None:
        """End at once everybody who is parked, or waits to ask again."""
        self._drain_queue = {}
        for reader in self._here():
            self._guard.serve(self._let_go, reader)

    def _let_go(self, reader: Reader) -> None:
        """Its turn: what it has is all that it gets here.

        One that waits for an answer gets that, and no more (see ``Hub._park``).
        """
        if reader.state is State.PARKED:
            self._end_told(reader)
        elif reader.state is State.WAITING and reader.begun:
            self.end(reader, Reason.DRAINING)
        elif reader.state is State.WAITING and reader.fault is not None:
            self._let_go_at_fault(reader, reader.fault)

    def _end_told(self, reader: Reader) -> None:
        """An event stream ends after a control event, be it the first (E54)."""
        if reader.is_sse and not reader.control_sent and not reader.full:
            self._delivery.begin_sse(reader)
            self._tell(reader)
        self.end(reader, Reason.DRAINING)

    def _let_go_at_fault(self, reader: Reader, fault: OriginFault) -> None:
        """Its origin is away. At an offset that is known it is as good as parked."""
        stand = reader.stream.log.end_alias(reader.offset)
        if stand is None:
            self._delivery.refuse(reader, fault)
        else:
            reader.offset = stand
            self._end_told(reader)
