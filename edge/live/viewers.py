"""Viewers: parking, waking, and everything that is due at a time.

Parked viewers are data in their stream's table. One pass wakes them all when
the log grew, with bytes and cursor made once (LOG.md L22), and yields to the
event loop every few hundred. The agenda holds when each of them is due: its
time-out, its keep-alive, the end of its SSE response; the ticker asks it.

What is not promised: the order in which a crowd is served, and that a viewer is
woken once per event (it may find two at once).
"""

import random
from collections.abc import Callable

import gevent

from edge.live.agenda import GRAIN, Agenda
from edge.live.delivery import Delivery
from edge.live.options import HubOptions
from edge.live.reader import Reader, State
from edge.live.stream import Stream
from edge.policy.decide import Serve
from edge.policy.freshness import Kind
from edge.protocol import sse
from edge.protocol.counters import Counters
from edge.protocol.ports import Clock
from edge.protocol.reasons import Reason

AT_ONCE = 256
"""Viewers served before the event loop gets its turn."""

FIRST_CONTROL = 1.0
"""Seconds after which an SSE viewer is told where it stands, known tail or not."""

RETRY = 1.0
"""Seconds after which a live reader that met a dead origin asks it again."""

LATE = 0.1
"""Share of a time-out by which it is spread, so that a crowd does not come back
in one instant."""


class Viewers:
    """Parks live readers and wakes them. ``advance`` decides one of them again."""

    def __init__(
        self,
        options: HubOptions,
        counters: Counters,
        clock: Clock,
        delivery: Delivery,
        advance: Callable[[Reader], None],
    ) -> None:
        self._options = options
        self._counters = counters
        self._clock = clock
        self._delivery = delivery
        self._advance = advance
        self._agenda = Agenda(clock.monotonic())

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
        reader.arrival = stream.log.tail.arrive()
        stream.parked[reader] = None
        if reader.is_sse:
            self._park_sse(reader, now)
        else:
            reader.asked = Reason.FOLLOWED
            reader.collapsed = True

    def _park_sse(self, reader: Reader, now: float) -> None:
        self._delivery.begin_sse(reader)
        if reader.told_up_to_date or reader.full:
            self._look_again(reader, now + self._options.sse_keep_alive)
        elif reader.stream.log.tail.is_armed(now):
            self._tell(reader, up_to_date=True)
        else:
            reader.stream.untold.add(reader)
            self._look_again(reader, now + FIRST_CONTROL)

    def _tell(self, reader: Reader, up_to_date: bool) -> None:
        """A control event alone: where this viewer stands."""
        offset = reader.offset
        self._delivery.events(reader, Serve(Kind.EMPTY, offset, offset, up_to_date))
        reader.told_up_to_date = True
        reader.stream.untold.discard(reader)
        keep_alive = self._clock.monotonic() + self._options.sse_keep_alive
        self._look_again(reader, keep_alive)

    def armed(self, stream: Stream) -> None:
        """A poll is on the wire: who waits to hear that it is up to date may."""
        for reader in list(stream.untold):
            stream.untold.discard(reader)
            if reader.state is State.PARKED and not reader.full:
                self._tell(reader, up_to_date=True)

    # Waking

    def wake(self, stream: Stream) -> None:
        """Decide all parked viewers of a stream again, in a greenlet of its own.

        1: a pass runs and yields; 2: the log grows again; 3: the pass goes on.
        Who was served before 2 has parked again, so 2 asks for another pass
        (``waking`` is set anew) and the running one begins it when it ends.
        """
        if not stream.parked:
            return
        if stream.waking is None:
            stream.waking = False
            gevent.spawn(self._wake, stream)
        else:
            stream.waking = True

    def _wake(self, stream: Stream) -> None:
        try:
            self._pass(stream)
            while stream.waking:
                stream.waking = False
                self._pass(stream)
        finally:
            stream.waking = None

    def _pass(self, stream: Stream) -> None:
        readers = list(stream.parked)
        self._counters.wakeups += 1
        self._delivery.mint_for_all(readers)
        for count, reader in enumerate(readers, 1):
            if reader.state is State.PARKED and not reader.full:
                self._advance(reader)
            if count % AT_ONCE == 0:
                gevent.sleep(0)

    # Times

    def _look_again(self, reader: Reader, when: float) -> None:
        """Look at an SSE viewer at ``when``, or when its response must end."""
        self._agenda.set(reader, min(when, reader.life_ends))

    def tick(self, now: float) -> None:
        """Serve everybody who is due. Yields between batches."""
        for count, reader in enumerate(self._agenda.pop(now), 1):
            if reader.done:
                continue
            if reader.is_sse:
                self._sse_due(reader, now)
            else:
                self._poll_due(reader, now)
            if count % AT_ONCE == 0:
                gevent.sleep(0)

    def _poll_due(self, reader: Reader, now: float) -> None:
        """A long-poll's time is up: 204 at its own offset (L21, section 5.7)."""
        if reader.state is State.PARKED:
            self.time_out(reader)
        elif reader.state is State.WAITING and reader.fault is not None:
            # It waits to ask an origin again that was away all the time.
            self._delivery.refuse(reader, reader.fault)
        else:
            self._agenda.set(reader, now + 1.0)

    def time_out(self, reader: Reader) -> None:
        """Answer a parked long-poll with nothing new."""
        known = reader.stream.log.tail.is_armed(self._clock.monotonic())
        at = reader.offset
        self._counters.viewers_ended[Reason.TIMED_OUT.value] += 1
        self._delivery.serve(reader, Serve(Kind.EMPTY, at, at, up_to_date=known))

    def _sse_due(self, reader: Reader, now: float) -> None:
        over = now >= reader.life_ends - GRAIN
        if over and (reader.begun or reader.fault is not None):
            self.end(reader, Reason.LIFETIME)
            return
        if reader.state is State.PARKED and not reader.full:
            if reader in reader.stream.untold:
                self._tell(reader, up_to_date=reader.stream.log.tail.is_armed(now))
            elif now - reader.quiet_since >= self._options.sse_keep_alive * 0.9:
                self._delivery.write(reader, [sse.KEEP_ALIVE])
        if reader.full and self._lags(reader):
            self.end(reader, Reason.VIEWER_LAG)
            return
        again = now + self._options.sse_keep_alive
        self._agenda.set(reader, min(again, max(reader.life_ends, now + 1.0)))

    def _lags(self, reader: Reader) -> bool:
        behind = reader.stream.log.distance(reader.offset)
        return behind is None or behind > self._options.viewer_lag

    def may_wait(self, reader: Reader) -> bool:
        """Whether a live reader's own time-out leaves time to ask again (L21)."""
        return self._clock.monotonic() < reader.deadline - RETRY

    def retry_later(self, reader: Reader) -> None:
        """Ask for this reader again in a while; its fault is forgotten then."""
        gevent.spawn_later(RETRY * random.uniform(0.8, 1.2), self._retry, reader)

    def _retry(self, reader: Reader) -> None:
        if reader.state is State.WAITING:
            reader.fault = None
            reader.rounds = 0
            self._advance(reader)

    def end(self, reader: Reader, reason: Reason) -> None:
        """End a live reader that may not wait any longer."""
        self._counters.viewers_ended[reason.value] += 1
        if not reader.is_sse:
            self.time_out(reader)
        elif reader.begun:
            self._delivery.end_sse(reader)
        elif reader.fault is not None:
            self._delivery.refuse(reader, reader.fault)

    def forget(self, reader: Reader) -> None:
        """A reader is done: it waits nowhere any more."""
        stream = reader.stream
        self._agenda.drop(reader)
        stream.untold.discard(reader)
        if stream.parked.pop(reader, reader) is None and not stream.parked:
            stream.linger_until = self._clock.monotonic() + self._options.linger
