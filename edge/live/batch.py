"""Batch: one decision for all whom one wake-up finds in the same place.

A pass over a stream's parked viewers serves the first of them by deciding
(``edge.policy.streams.decide``), and everybody who is like it with what it was given:
the same Answer and Stamp, or the same event frames, whose bytes are then made once. Two
viewers are alike when they wait at one offset, know of the same writes (L4),
arrived on the same side of what was heard and confirmed since, and are no outliers by
their cursor (L22). What was learnt holds for one batch at most, and only while the log
and its tail stand still (``Tail.version``).

Whoever is not alike is decided by itself. It yields nowhere and asks nobody.
"""

from collections.abc import Callable
from dataclasses import dataclass

from edge.core.reasons import Reason
from edge.live.delivery import Delivered, Delivery, EventsDelivered
from edge.live.reader import Reader, State
from edge.streamlog.stream_log import StreamLog
from edge.streamlog.tail import ReadBarrier, Tail

_Position = tuple[bool, str, ReadBarrier]
"""Who came together and waits at one offset in one way is alike, seen from outside."""

_Key = tuple[bool, str, int, str | None, bool, bool]


@dataclass(frozen=True, slots=True)
class _Outcome:
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


class Batch:
    """Serves the parked viewers of one stream in one pass.

    Call ``forget`` between two batches, for time has passed then.

    ``advance`` decides one viewer, ``park`` lets one that was given events wait on.
    ``pause_reads``: the pass is a long one (see ``ports.Sink.send_whole``).
    """

    def __init__(
        self,
        delivery: Delivery,
        advance: Callable[[Reader], None],
        park: Callable[[Reader, str], None],
        pause_reads: bool,
    ) -> None:
        self._delivery = delivery
        self._advance = advance
        self._park = park
        self._pause_reads = pause_reads
        self._outcomes: dict[_Key, _Outcome] = {}
        self._places: dict[_Position, _Outcome] = {}

    def forget(self) -> None:
        """Learn anew from the next one."""
        self._outcomes.clear()
        self._places.clear()

    def serve(self, reader: Reader) -> None:
        """Serve one parked viewer."""
        if _is_special(reader, reader.stream.log):
            self._advance(reader)
            return
        place = (reader.is_sse, reader.offset, reader.barrier)
        outcome = self._places.get(place)
        if outcome is not None and outcome.fits(reader):
            self._give(reader, outcome)
        else:
            self._serve_at(place, reader)

    def _serve_at(self, place: _Position, reader: Reader) -> None:
        """Serve the first who is found in its place, and is perhaps like others."""
        key = _key(reader)
        outcome = self._outcomes.get(key)
        if outcome is not None and outcome.fits(reader):
            self._places[place] = outcome
            self._give(reader, outcome)
            return
        outcome = self._learn(reader)
        if outcome is not None:
            self._outcomes[key] = self._places[place] = outcome

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
            # It is parked where it should be; only what it knows is newer.
            reader.barrier = reader.stream.log.tail.read_barrier()
        else:
            self._park(reader, reader.offset)

    def _learn(self, reader: Reader) -> _Outcome | None:
        """Decide this one; what it was given if that was one thing only, and right
        for others."""
        notes: list[Delivered | EventsDelivered] = []
        self._delivery.recorder = notes
        try:
            self._advance(reader)
        finally:
            self._delivery.recorder = None
        return _outcome(reader, notes[0]) if len(notes) == 1 else None


def _is_special(reader: Reader, log: StreamLog) -> bool:
    """Whether a viewer is like nobody, whatever its place."""
    if reader.fault is not None or reader.stored:
        return True
    if reader.incarnation != log.incarnation or reader.read.expires_at is not None:
        return True
    if reader.is_sse:
        return not reader.begun
    return reader.is_leader or reader.asked is not Reason.FOLLOWED


def _key(reader: Reader) -> _Key:
    """Equal for viewers who are alike."""
    barrier, tail = reader.barrier, reader.stream.log.tail
    return (
        reader.is_sse,
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
