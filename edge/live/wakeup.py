"""Wakeup: all viewers parked at a stream are decided again when something is new.

One pass goes through all of them, in the order in which they parked. It lets the event
loop run after every few hundred (``edge.live.waiters.batches``).

Within one batch a decision is made once for all viewers that are alike. The first of
them is decided (``edge.policy.streams.decide``). The others are given the same Answer
or the same event frames, whose bytes are then made once. Two viewers are alike if they
wait at one offset, know of the same writes (L4), arrived on the same side of what was
heard and confirmed since, and are no outliers by their cursor (L22). The first one's
outcome holds for one batch at most, and only while the log and its tail do not change
(``Tail.version``). A viewer that is like no other is decided by itself.

A client served early in a long pass polls again while others still wait, and its new
poll would be parked at once. So a client that was served is not read until all have
been (``pause_reads`` in ``edge.core.ports.Sink``). Otherwise the last of 5,000 would
wait for its own bytes and for 4,000 polls.

What is not promised: the order in which a crowd is served, and that a viewer is
woken once per event (it may find two at once).
"""

from typing import NamedTuple

import gevent

from edge.core.reasons import Reason
from edge.live.context import HubContext
from edge.live.delivery import Delivered, Delivery, EventsDelivered
from edge.live.rows import Reader, State, Stream
from edge.live.upstream import next_turn
from edge.live.waiters import BATCH_SIZE, Waiters, batches
from edge.protocol.offsets import NOW
from edge.streamlog.stream_log import StreamLog
from edge.streamlog.tail import ReadBarrier, Tail

_PARKED = State.PARKED
_DONE = State.DONE


class Wakeup:
    """Wakes the parked viewers of streams."""

    def __init__(
        self, context: HubContext, delivery: Delivery, waiters: Waiters
    ) -> None:
        self._counters = context.counters
        self._guard = context.guard
        self._clock = context.clock
        self._delivery = delivery
        self._waiters = waiters

    def wake(self, stream: Stream) -> None:
        """Decide all parked viewers of a stream again, in the next turn of the event
        loop; a crowd that takes several turns has a greenlet for that.

        1: a pass runs and yields; 2: the log grows again; 3: the pass goes on.
        A viewer that was served before 2 has parked again, so 2 asks for another
        pass (``waking`` is set anew), and the running one begins it when it ends.
        """
        if not stream.parked:
            return
        if stream.waking is None:
            stream.waking = False
            next_turn(self._guard.call, self._begin, stream)
        else:
            stream.waking = True

    def _begin(self, stream: Stream) -> None:
        """A pass that need not yield is over in this turn; another one that was asked
        for meanwhile may have to, and is begun anew."""
        if len(stream.parked) > BATCH_SIZE:
            gevent.spawn(self._wake, stream)
            return
        try:
            self._pass(stream)
        finally:
            again, stream.waking = stream.waking, None
        if again:
            self.wake(stream)

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
        pause_reads = len(readers) > BATCH_SIZE
        batch = _Batch(self._delivery, self._waiters, pause_reads)
        try:
            for some in batches(readers):
                batch.now = self._clock.monotonic()
                for reader in some:
                    if reader.state is _PARKED and not reader.full:
                        self._guard.serve(batch.serve, reader)
                batch.forget()
        finally:
            if pause_reads:
                self._resume(readers)

    def _resume(self, readers: list[Reader]) -> None:
        """Read the clients again that were served."""
        for some in batches(readers):
            for reader in some:
                if reader.state is _DONE:
                    self._guard.call(reader.sink.resume)


_Position = tuple[bool, int, str, ReadBarrier]
"""Viewers with equal values are alike: they came together and wait in one way."""

_Key = tuple[bool, int, str, int, str | None, bool, bool]


class _Outcome(NamedTuple):
    """What one viewer was given. ``minted``: the crowd's cursor in it, if any."""

    tail: Tail
    version: int
    given: Delivered | EventsDelivered
    minted: int | None

    def fits(self, reader: Reader) -> bool:
        """Whether this one would be given the same, being alike."""
        tail = reader.stream.log.tail
        if tail is not self.tail or tail.version != self.version:
            return False
        if self.minted is None or reader.cursor is None:
            return True
        return reader.cursor < self.minted


class _Batch:
    """Serves the parked viewers of one stream in one pass. It never yields.

    Call ``forget`` between two batches, for time has passed then; ``now`` is when the
    batch begins. ``pause_reads``: the pass is a long one (see
    ``ports.Sink.send_whole``).
    """

    def __init__(self, delivery: Delivery, waiters: Waiters, pause_reads: bool) -> None:
        self._delivery = delivery
        self._waiters = waiters
        self._pause_reads = pause_reads
        self.now = 0.0
        self._outcomes: dict[_Key, _Outcome] = {}
        self._at: dict[_Position, _Outcome] = {}

    def forget(self) -> None:
        """Learn anew from the next viewer."""
        self._outcomes.clear()
        self._at.clear()

    def serve(self, reader: Reader) -> None:
        """Serve one parked viewer."""
        if reader.lease.ends_at <= self.now or _is_special(reader, reader.stream.log):
            reader.owner.advance(reader)
            return
        position = (reader.is_sse, _own(reader), reader.offset, reader.barrier)
        outcome = self._at.get(position)
        if outcome is not None and outcome.fits(reader):
            self._give(reader, outcome)
        else:
            self._serve_at(position, reader)

    def _serve_at(self, position: _Position, reader: Reader) -> None:
        """Serve the first viewer of its position; others may be like it."""
        key = _key(reader)
        outcome = self._outcomes.get(key)
        if outcome is not None and outcome.fits(reader):
            self._at[position] = outcome
            self._give(reader, outcome)
            return
        outcome = self._learn(reader)
        if outcome is not None:
            self._outcomes[key] = self._at[position] = outcome

    def _give(self, reader: Reader, outcome: _Outcome) -> None:
        given = outcome.given
        if isinstance(given, Delivered):
            self._delivery.hand(reader, given, self._pause_reads)
            return
        reader.cursor = outcome.minted
        self._delivery.hand_events(reader, given)
        if reader.full:
            return
        if given.serve.up_to_date:
            self._waiters.stay(reader)
        else:
            self._waiters.park(reader, reader.offset)

    def _learn(self, reader: Reader) -> _Outcome | None:
        """Decide this viewer. Returns its outcome if that was one thing only, and is
        right for others."""
        given: list[Delivered | EventsDelivered] = []
        self._delivery.recorder = given
        try:
            reader.owner.advance(reader)
        finally:
            self._delivery.recorder = None
        return _outcome(reader, given[0]) if len(given) == 1 else None


def _is_special(reader: Reader, log: StreamLog) -> bool:
    """Whether a viewer is like no other, at any offset."""
    if reader.fault is not None or reader.stored:
        return True
    if reader.incarnation != log.incarnation or reader.read.expires_at is not None:
        return True
    if reader.is_sse:
        return not reader.begun
    return reader.is_leader or reader.asked is not Reason.FOLLOWED


def _own(reader: Reader) -> int:
    """What makes an answer another one, at the same offset: who must not keep it is
    told so (B17), and what ``now`` stood for has no entity tag (L17)."""
    read = reader.read
    return read.ends_soon + 2 * (read.offset == NOW and not reader.is_sse)


def _key(reader: Reader) -> _Key:
    """Equal for viewers that are alike."""
    barrier, tail = reader.barrier, reader.stream.log.tail
    return (
        reader.is_sse,
        _own(reader),
        reader.offset,
        barrier.writes,
        barrier.ack,
        tail.heard_seq > barrier.seq,
        tail.confirmed_seq > barrier.seq,
    )


def _outcome(reader: Reader, given: Delivered | EventsDelivered) -> _Outcome | None:
    """What others may be given after this one; None when it was a special case."""
    tail, highest = reader.stream.log.tail, reader.stream.highest
    if isinstance(given, EventsDelivered):
        parked = reader.state is State.PARKED and reader.offset == given.serve.next
        if given.serve.closed or not parked or reader.cursor != highest:
            return None
        return _Outcome(tail, tail.version, given, highest)
    cursor = given.per_response.cursor
    if cursor is None:
        return _Outcome(tail, tail.version, given, None)
    if not reader.done or cursor != str(highest):
        return None
    return _Outcome(tail, tail.version, given, highest)
