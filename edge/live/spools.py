"""Spools: all answers that are on their way through files, and the room they share.

An answer that turns out too large to hold (L11) is taken over here, if all who wait
for it may share it as it comes, and if there is room (S1). Who asks for the same range
while it lasts joins it (``_join``): it must show every write that the reader may know
of, by the offset that its head named (L4), be no older than what is held may be (L6),
and be of the stream that is there now (L5). A whole answer that nobody reads is kept
for those who come, until it is too old or room is wanted.

Room is made in this order: answers that nobody reads go; files that all their readers
have passed are given back; readers that are slow are cut. What still does not fit waits
if it has begun, and is passed one by one if it has not. After a file has failed,
nothing is spooled for ``OFF_SECONDS``.

Its readers are in the state RELAYED, as those of ``relays`` are. Nothing here switches
greenlets.
"""

from collections.abc import Callable, Iterator

from edge.core.errors import EdgeError, Refusal
from edge.core.file_ports import SpoolFiles
from edge.core.reasons import Reason
from edge.core.values import Answer, Mode, OriginAnswer, PerResponse
from edge.live.context import HubContext
from edge.live.delivery import Delivery
from edge.live.rows import Flight, Reader, State, Stream
from edge.live.spool import Spool, SpoolReader, too_slow
from edge.live.upstream import TooLarge
from edge.live.waiters import Waiters
from edge.policy.streams import answers
from edge.policy.streams.admission import LargeRange, judge_large
from edge.policy.streams.decisions import Fetch
from edge.protocol.http_grammar import MAX_DELTA_SECONDS

FILE_SIZE = 64 * 1024 * 1024
"""Bytes of one file; a quarter of the room if that is less."""

IDLE_SECONDS = 1.0
"""For so long an answer that nobody reads is held while it has not all come."""

OFF_SECONDS = 60.0
"""For so long nothing is spooled after a file has failed."""


class Spools:
    """All spooled answers of a hub. ``files`` None: there is no spool."""

    def __init__(
        self,
        context: HubContext,
        delivery: Delivery,
        waiters: Waiters,
        files: SpoolFiles | None,
    ) -> None:
        self.guard = context.guard
        self._options = context.options
        self._counters = context.counters
        self._first_byte = context.first_byte
        self._clock = context.clock
        self._delivery = delivery
        self._waiters = waiters
        self._files = files
        self._limit = context.options.spool_size
        self.file_size = min(FILE_SIZE, self._limit // 4)
        # The oldest first.
        self._all: dict[Spool, None] = {}
        self._by_start: dict[tuple[Stream, str], Spool] = {}
        self._of_reader: dict[Reader, Spool] = {}
        self._used = 0
        self._off_until = 0.0
        self._stopped = False
        # The shelf: is told of each that was taken over, and asked before the origin.
        self.on_begun: Callable[[Spool], None] | None = None
        self.on_miss: Callable[[Reader, Fetch], bool] | None = None

    def __len__(self) -> int:
        return len(self._all)

    @property
    def used(self) -> int:
        """Bytes that are set aside for all of them."""
        return self._used

    @property
    def readers(self) -> int:
        """Readers that are served by them."""
        return len(self._of_reader)

    # What comes in

    def take_over(
        self, flight: Flight, outcome: TooLarge, held: bool
    ) -> Spool | Reason:
        """Let the answer go on into files, for all who wait for it. Or why not: then
        they pass one by one."""
        stream, start, head = flight.stream, flight.start, outcome.head
        if self._files is None or start is None or head is None or flight.sent is None:
            return Reason.TOO_LARGE
        bare = OriginAnswer(
            head.status, head.headers, b"", head.framing, outcome.provenance
        )
        told = judge_large(bare, start, stream.key, stream.route, held=held)
        if told is None or not _fits(stream, told):
            return Reason.TOO_LARGE
        now = self._clock.monotonic()
        if self._stopped or now < self._off_until:
            return Reason.SPOOL_FAILED
        length = head.content_length
        if not self._has_room(self.file_size if length is None else length):
            return Reason.SPOOL_FULL
        confirmed_at = now - outcome.provenance.since_confirmed
        known = (told, confirmed_at, length)
        spool = Spool(stream, start, flight.sent, *known, self, self._files.make)
        self._set_aside(spool, length or 0)
        self._counters.spooled += 1
        self._by_start[stream, start] = spool
        self.add(spool)
        if self.on_begun is not None:
            self.on_begun(spool)
        spool.begin(outcome.take_over(spool))
        return spool

    def add(self, spool: Spool) -> None:
        """One more. Nobody joins it unless it is also found by its start."""
        self._all[spool] = None
        spool.stream.spooled += 1

    def serves(self, reader: Reader, fetch: Fetch) -> bool:
        """Whether files spare the origin this request: then the reader is served by
        them, or waits for what they say."""
        if reader.stream.spooled and self._join(reader, fetch):
            return True
        return self.on_miss is not None and self.on_miss(reader, fetch)

    def _join(self, reader: Reader, fetch: Fetch) -> bool:
        """Serve the reader from what is on its way, if that is what it asks for."""
        start, stream = fetch.start, reader.stream
        spool = None if start is None else self._by_start.get((stream, start))
        if spool is None or fetch.fresh or not may_read(reader, spool):
            return False
        if not self._may_join(spool, reader):
            return False
        reader.asked = fetch.reason
        self.serve(reader, spool)
        return True

    def _may_join(self, spool: Spool, reader: Reader) -> bool:
        """Whether it may be shown to a reader that arrives now (L4, L5, L6)."""
        stream, log = spool.stream, spool.stream.log
        if not spool.has_start or spool.sent.incarnation != log.incarnation:
            return False
        verify = self._options.rules.verify_for(log, stream.key.partition.kind)
        if self._clock.monotonic() - spool.confirmed_at > verify:
            return False
        doubted = log.tail.unverified and log.tail.unverified_at >= spool.confirmed_at
        return not doubted and reader.barrier.is_met_by(spool.sent, spool.range.next)

    def serve(self, reader: Reader, spool: Spool) -> None:
        """Begin to answer the reader, from the spool's start."""
        if spool.is_over:
            # It broke while others were served in the same turn.
            self._delivery.refuse(reader, _broke())
            return
        reader.move(State.RELAYED)
        self._waiters.leave(reader)
        now = self._clock.monotonic()
        one = SpoolReader(reader, now)
        self._of_reader[reader] = spool
        answer, per_response = self._head(reader, spool, now)
        result = per_response.status.result(answer.status)
        self._counters.answers[result] += 1
        self._first_byte(reader, result)
        spool.add(one)
        reader.sink.begin(answer, per_response)

    def _head(
        self, reader: Reader, spool: Spool, now: float
    ) -> tuple[Answer, PerResponse]:
        stream, read, told = spool.stream, reader.read, spool.range
        # An answer that was heard since the reader came may tell it that this is all
        # (L3); who came later asks again from there.
        claims = told.up_to_date and reader.barrier.seq < spool.heard_seq
        limit = answers.cap(
            stream.log,
            stream.key.partition.kind,
            read,
            self._clock.wall(),
            self._options.rules.trust,
        )
        answer = answers.spooled(
            *(stream.log, told, read, stream.route, claims or told.closed, limit),
            *(self._options.freshness, spool.length),
        )
        cursor = None
        if read.mode is Mode.LONG_POLL and not told.closed:
            cursor = str(self._delivery.mint(reader))
        age = min(int(now - spool.confirmed_at), MAX_DELTA_SECONDS)
        status = reader.cache_status(None, spool.how)
        return answer, PerResponse(status, age or None, cursor)

    # Readers

    def drained(self, reader: Reader) -> None:
        """The reader's sink can take more. No effect on one that is not here."""
        spool = self._of_reader.get(reader)
        if spool is not None:
            spool.drained(reader)

    def forget(self, reader: Reader) -> None:
        """The reader is done. No effect on one that is not here."""
        spool = self._of_reader.pop(reader, None)
        if spool is not None:
            spool.leave(reader)

    # ``spool.Room``

    def may_give(self, one: SpoolReader) -> bool:
        """See ``spool.Room``."""
        if self._clock.monotonic() < one.reader.lease.ends_at:
            return True
        self._end_grant(one)
        return False

    def _end_grant(self, one: SpoolReader) -> None:
        detail = "What let this request in has ended."
        self.cut(one, Refusal(detail, reason=one.reader.lease.why))

    def cut(self, one: SpoolReader, error: EdgeError) -> None:
        """See ``spool.Room``."""
        if not one.reader.done:
            self._counters.spool_cuts[error.reason.value] += 1
            self._counters.answers["error"] += 1
            one.reader.move(State.DONE)
            one.reader.sink.abort(error)

    def served(self, one: SpoolReader) -> None:
        """See ``spool.Room``."""
        self._counters.delivered += 1
        one.reader.move(State.DONE)
        one.reader.sink.finish()

    def given(self, size: int) -> None:
        """See ``spool.Room``."""
        self._counters.bytes_out += size

    def taken(self, size: int) -> None:
        """See ``spool.Room``."""
        self._counters.bytes_from_origin += size

    def failed(self, error: OSError) -> None:
        """See ``spool.Room``."""
        self._off_until = self._clock.monotonic() + OFF_SECONDS

    def over(self, spool: Spool) -> None:
        """See ``spool.Room``."""
        if self._all.pop(spool, spool) is None:
            self._set_aside(spool, -spool.reserved)
            spool.stream.spooled -= 1
            if self._by_start.get((spool.stream, spool.start)) is spool:
                del self._by_start[spool.stream, spool.start]

    def grow(self, spool: Spool, size: int) -> bool:
        """See ``spool.Room``."""
        more = spool.held + size - spool.reserved
        if more <= 0:
            return True
        if not self._has_room(more):
            return False
        # Its own files may have been given back meanwhile.
        self._set_aside(spool, spool.held + size - spool.reserved)
        return True

    def give_back(self, spool: Spool, size: int) -> None:
        """See ``spool.Room``."""
        self._set_aside(spool, -size)

    def _set_aside(self, spool: Spool, size: int) -> None:
        spool.reserved += size
        self._used += size

    def _has_room(self, size: int) -> bool:
        """Whether so many bytes more may be set aside. Makes room for them."""
        if size > self._limit:
            return False
        return any(self._used + size <= self._limit for _ in self._make_room())

    def _make_room(self) -> Iterator[None]:
        """One thing after another that gives room back, and nothing at first."""
        yield
        for spool in tuple(self._all):
            if not spool.readers and (spool.is_whole or spool.idle_since is not None):
                spool.close()
                yield
        for spool in tuple(self._all):
            if spool.reclaim():
                yield
        for spool in tuple(self._all):
            slow = [one for one in spool.readers.values() if one.is_slow]
            for one in slow:
                self.cut(one, too_slow())
            if slow:
                if spool.is_whole and not spool.readers:
                    spool.close()
                spool.reclaim()
                yield

    # Time and the end

    def look(self, now: float) -> None:
        """Look at all of them; called by the tick."""
        for spool in tuple(self._all):
            for one in tuple(spool.readers.values()):
                if now >= one.reader.lease.ends_at:
                    self._end_grant(one)
            spool.measure(now)
            if spool.is_starved:
                spool.go_on()
            if spool.readers or spool.is_wanted():
                spool.idle_since = None
            elif self._is_over(spool, now):
                spool.close()

    def _is_over(self, spool: Spool, now: float) -> bool:
        """Whether nobody reads it, and nobody comes any more. What has not all come is
        held for a moment: a front that finds it too large for itself asks again."""
        if spool.is_whole or not spool.has_start:
            return not (spool.is_whole and self._is_of_use(spool))
        if spool.idle_since is None:
            spool.idle_since = now
        return now - spool.idle_since >= IDLE_SECONDS

    def _is_of_use(self, spool: Spool) -> bool:
        """Whether anybody who comes may still be shown it."""
        log = spool.stream.log
        verify = self._options.rules.verify_for(log, spool.stream.key.partition.kind)
        young = self._clock.monotonic() - spool.confirmed_at <= verify
        return young and spool.has_start and spool.sent.incarnation == log.incarnation

    def stop(self) -> None:
        """End all of them, and begin none; answers that were not sent whole are cut."""
        self._stopped = True
        stopping = Refusal("the edge is stopping", reason=Reason.DRAINING)
        for spool in tuple(self._all):
            spool.fail(stopping)


def may_read(reader: Reader, spool: Spool) -> bool:
    """Whether the spool begins where this reader stands, who takes a body as it is. An
    event stream is made of events, and has to be asked for."""
    return reader.offset == spool.start and not reader.is_sse


def may_share(reader: Reader, spool: Spool) -> bool:
    """Whether one that waited for the fetch may have its answer (L4)."""
    due = reader.barrier.is_met_by(spool.sent, spool.range.next)
    return due and may_read(reader, spool)


def _fits(stream: Stream, told: LargeRange) -> bool:
    """Whether it may be the stream that is known here, as far as the type tells."""
    known = stream.log.content_type
    return known is None or told.content_type == known


def _broke() -> EdgeError:
    return EdgeError(
        "the answer broke on its way", reason=Reason.SPOOL_FAILED, status=503
    )
