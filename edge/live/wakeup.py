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

from itertools import islice
from typing import NamedTuple

import gevent

from edge.core.reasons import Reason
from edge.live.context import HubContext
from edge.live.delivered import Delivered, EventsDelivered
from edge.live.delivery import Delivery
from edge.live.rows import Reader, State, Stream
from edge.live.upstream import next_turn
from edge.live.waiters import BATCH_SIZE, Waiters, batches
from edge.protocol.offsets import NOW
from edge.streamlog.barriers import ReadBarrier, WriteMark
from edge.streamlog.stream_log import StreamLog
from edge.streamlog.tail import Tail

_PARKED = State.PARKED
_DONE = State.DONE


class Wakeup:
    """Wakes the parked viewers of streams."""

    def __init__(
        self, context: HubContext, delivery: Delivery, waiters: Waiters
    ) -> None:
        self._counters = context.counters
        self._guard = context.guard
        self._context = context
        self._delivery = delivery
        self._waiters = waiters

    def grew(self, stream: Stream) -> None:
        """The log of a stream has grown: wake who waits for that."""
        stream.grown_at = self._context.clock.monotonic()
        if stream.parked:
            if stream.heard_at is None:
                stream.heard_at = stream.grown_at
            self._counters.growths += 1
            self.wake(stream)

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
        heard_at, stream.heard_at = stream.heard_at, None
        self._counters.wakeups += 1
        readers = list(stream.parked)
        if len(readers) == 1:
            self._wake_one(readers[0])
        else:
            self._wake_all(readers)
        if heard_at is not None:
            took = self._context.clock.monotonic() - heard_at
            self._counters.timings.fan_out.observe(took)

    def _wake_one(self, reader: Reader) -> None:
        """Nobody is like a viewer that is alone, and the one value for all (L22) is the
        one that it is given."""
        if reader.state is _PARKED and not reader.full:
            self._counters.woken += 1
            reader.owner.advance(reader)

    def _wake_all(self, readers: list[Reader]) -> None:
        self._delivery.mint_for_all(readers)
        pause_reads = len(readers) > BATCH_SIZE
        parts = self._context, self._delivery, self._waiters
        try:
            for some in batches(readers):
                _Batch(*parts, pause_reads).serve(some)
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

_Key = tuple[bool, int, str, int, str | None, WriteMark | None, bool, bool]


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
    """Serves some of the parked viewers of one stream. It never yields, and is used
    once: when the event loop has run, time has passed. ``pause_reads``: the pass is a
    long one (see ``ports.Sink.send_whole``).

    Viewers who stand behind one another and are alike are a run, which is told apart
    and served in one loop each: a crowd is one run, but for its first viewer.
    """

    def __init__(
        self,
        context: HubContext,
        delivery: Delivery,
        waiters: Waiters,
        pause_reads: bool,
    ) -> None:
        self._guard = context.guard
        self._counters = context.counters
        self._delivery = delivery
        self._waiters = waiters
        self._pause_reads = pause_reads
        self._looks = context.looks
        self._now = context.clock.monotonic()
        self._outcomes: dict[_Key, _Outcome] = {}
        self._at: dict[_Position, _Outcome] = {}

    def serve(self, readers: list[Reader]) -> None:
        """Serve those of them that are parked."""
        if self._looks is not None:
            self._looks.look(readers[0].stream, self._now)
        at = 0
        while at < len(readers):
            first = readers[at]
            waits = first.state is _PARKED and not first.full
            outcome = self._outcome_for(first) if waits else None
            if outcome is None:
                self._counters.woken += waits
                at += 1
                continue
            run = self._run(readers, at)
            at += len(run)
            self._counters.woken += len(run)
            self._give(run, outcome)

    def _outcome_for(self, reader: Reader) -> _Outcome | None:
        """What this viewer is to be given; None if it has been served by itself."""
        position = None
        try:
            special = _is_special(reader, reader.stream.log)
            if special or reader.lease.ends_at <= self._now:
                reader.owner.advance(reader)
                return None
            position = (reader.is_sse, _own(reader), reader.offset, reader.barrier)
            known = self._at.get(position)
            if known is not None and known.fits(reader):
                return known
            return self._outcome_at(position, reader)
        except Exception:
            self._guard.end(reader)
            return None

    def _outcome_at(self, position: _Position, reader: Reader) -> _Outcome | None:
        """The same for the first viewer of its position; others may be like it."""
        key = _key(reader)
        outcome = self._outcomes.get(key)
        if outcome is not None and outcome.fits(reader):
            self._at[position] = outcome
            return outcome
        outcome = self._learn(reader)
        if outcome is not None:
            self._outcomes[key] = self._at[position] = outcome
        return None

    def _run(self, readers: list[Reader], at: int) -> list[Reader]:
        """The viewers from ``at`` on that are in all like the one there."""
        first, now = readers[at], self._now
        read, offset, cursor = first.read, first.offset, first.cursor
        barrier, incarnation = first.barrier, first.incarnation
        asked, begun, is_leader = first.asked, first.begun, first.is_leader
        run = [first]
        for reader in islice(readers, at + 1, None):
            if (
                reader.state is not _PARKED
                or reader.full
                or reader.read is not read
                or reader.barrier is not barrier
                or reader.offset != offset
                or reader.cursor != cursor
                or reader.lease.ends_at <= now
                or reader.fault is not None
                or reader.incarnation != incarnation
                or reader.asked is not asked
                or reader.begun is not begun
                or reader.is_leader is not is_leader
                or reader.stored
            ):
                break
            run.append(reader)
        return run

    def _give(self, run: list[Reader], outcome: _Outcome) -> None:
        """Give the same to all of them."""
        given = outcome.given
        if isinstance(given, EventsDelivered):
            self._give_events(run, given, outcome.minted)
            return
        self._waiters.end_together(run)
        pause, hand = self._pause_reads, self._delivery.hand
        self._guard.serve_all(lambda readers: hand(readers, given, pause), run)

    def _give_events(
        self, run: list[Reader], given: EventsDelivered, cursor: int | None
    ) -> None:
        """The same of event streams, whose viewers stay."""
        for reader in run:
            reader.cursor = cursor
        hand = self._delivery.hand_events
        self._guard.serve_all(lambda readers: hand(readers, given), run)
        # Who is full is decided again when it takes more.
        here = [r for r in run if r.state is _PARKED and not r.full]
        if given.serve.up_to_date:
            self._waiters.stay(here)
        else:
            for reader in here:
                self._guard.serve(self._park_on, reader)

    def _park_on(self, reader: Reader) -> None:
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
        barrier.mark,
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
