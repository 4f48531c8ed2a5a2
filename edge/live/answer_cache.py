"""AnswerCache: reads that were answered at once and would be again, word for word.

``ask`` decides each read anew. Most reads are asked a thousand times between two
changes of what is known. The answer to a newcomer is a function of the log, the rules
and the time. So an answer that ``ask`` gave at once, to a catch-up read or a poll that
found data, is kept here with all that it depended on. It is given again while none of
that has changed:

- the log is the same one, and its ``tail.version`` (which every change of log or tail
  moves: growth, arming and disarming, writes, doubt, closure, eviction) has not moved;
- no time has passed that changes the decision or the PerResponse: the end of a
  confirmation (L6, L14), of an armed poll (L3), of the second that ``Age`` counts
  (L16), of the interval that a cursor counts (L22);
- a poll's cursor would be the same: it follows from the poll's own, the interval and
  the largest one that the stream's crowd was given.

The place where a live read waits is kept, too. A crowd asks for it within milliseconds
of each wake-up, and ``park_hint`` spares it the decision, and nothing else.

Never kept: reads that asked the origin or waited (their claims and Cache-Status are
their own), event streams, streams with a TTL or an expiry and reads with one (L14, L23:
they follow the clock), answers of which a coded variant is still to come (L19). A
read's other effects happen here too: counters, the budget's order, and the tail read
that starts following (L24).
"""

from dataclasses import dataclass

from edge.core import costs
from edge.core.histograms import Timings
from edge.core.values import Mode, Read
from edge.live.context import HubContext
from edge.live.delivered import Delivered
from edge.live.followers import Followers
from edge.live.registry import StreamRegistry
from edge.live.rows import Reader, State, Stream
from edge.policy.streams.decisions import Kind, Park, Serve
from edge.protocol import cursor as cursors
from edge.streamlog.tail import Tail

MAX_ANSWERS = 8192
"""Answers kept at once."""

TOUCH_SECONDS = 0.125
"""Within so many seconds the repeats of one answer count as one read, for the budget's
order and for following: both look at times far longer than that."""

MAX_READ_LENGTH = 1024
"""A read with more characters is decided anew each time: clients can make up long ones,
and thousands of them must not be held."""


_KEPT = frozenset({Mode.CATCH_UP, Mode.LONG_POLL})


class CachedAnswer(Delivered):
    """One kept answer. Times are monotonic."""

    __slots__ = (
        "at_tail",
        "cost",
        "first_byte",
        "highest",
        "mode",
        "read",
        "stream",
        "tail",
        "touch_at",
        "until",
        "version",
    )

    def __init__(
        self,
        reader: Reader,
        serve: Serve,
        given: Delivered,
        until: float,
        timings: Timings,
    ) -> None:
        super().__init__(given.answer, given.per_response)
        # It goes out in the turn that it is asked for in: its lowest bucket counts.
        self.first_byte = timings.first_byte[reader.read.mode, self.result].counts
        self.read = reader.read
        self.stream = reader.stream
        self.tail: Tail = reader.stream.log.tail
        self.version = self.tail.version
        self.until = until
        self.mode = reader.read.mode
        # L24 speaks of catch-up reads; L22 of cursors, None where there is none.
        self.at_tail = serve.up_to_date and self.mode is Mode.CATCH_UP
        cursor = given.per_response.cursor
        self.highest = None if cursor is None else reader.stream.highest
        self.touch_at = 0.0
        encoded = min(self.size, costs.MAX_ENCODED_BODY)
        self.cost = costs.KEPT_ANSWER + self.size + encoded


@dataclass(slots=True, eq=False)
class _ParkHint:
    """A live read that was told to wait at its own offset."""

    read: Read
    stream: Stream
    tail: Tail
    version: int
    until: float
    touch_at: float = 0.0


class AnswerCache:
    """Kept answers by the identity of their Read, within a share of the memory."""

    def __init__(
        self, context: HubContext, streams: StreamRegistry, followers: Followers
    ) -> None:
        self._rules = context.options.rules
        self._max_bytes = context.options.memory // 8
        self._follow_after = (
            context.options.follow_reads,
            context.options.follow_within,
        )
        self._counters = context.counters
        self._clock = context.clock
        self._streams = streams
        self._followers = followers
        self._looks = context.looks
        self._kept: dict[int, CachedAnswer] = {}
        self._park_hints: dict[int, _ParkHint] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def cost(self) -> int:
        """Bytes of all that is kept."""
        return self._bytes

    def peek(self, read: Read, now: float) -> CachedAnswer | None:
        """See ``edge.core.ports.Peek``."""
        kept = self._kept.get(id(read))
        if kept is None or kept.read is not read:
            return None
        tail, stream = kept.tail, kept.stream
        if self._looks is not None:
            self._looks.look(stream, now)
        if kept.version != tail.version or now >= kept.until:
            return None
        if stream.log.tail is not tail:
            return None
        if kept.highest is not None and kept.highest != stream.highest:
            return None
        stream.requests += 1
        counters = self._counters
        counters.reads[kept.mode] += 1
        counters.answers[kept.result] += 1
        kept.first_byte[0] += 1
        counters.delivered += 1
        counters.bytes_out += kept.size
        if now >= kept.touch_at:
            kept.touch_at = now + TOUCH_SECONDS
            self._streams.promote(stream)
            if kept.at_tail and stream.count_tail_read(now, *self._follow_after):
                self._followers.follow_unwatched(stream)
        return kept

    def keep(self, reader: Reader, serve: Serve, given: Delivered) -> None:
        """``reader`` was given this without having asked the origin; keep it if a
        newcomer would be given it too."""
        if _follows_the_clock(reader) or _is_long(reader.read):
            return
        if reader.read.mode not in _KEPT or serve.kind is Kind.STALE:
            return
        now = self._clock.monotonic()
        until = self._until(reader, serve, now)
        if until > now:
            timings = self._counters.timings
            self._put(CachedAnswer(reader, serve, given, until, timings))

    # Where live reads wait

    def park_hint(self, read: Read, now: float) -> Stream | None:
        """The stream where a newcomer with this read waits at its offset, if one
        was told so before and nothing has changed since."""
        known = self._park_hints.get(id(read))
        if known is None or known.read is not read or now >= known.until:
            return None
        stream, tail = known.stream, known.tail
        if self._looks is not None:
            self._looks.look(stream, now)
        if tail.version != known.version or stream.log.tail is not tail:
            return None
        if now >= known.touch_at:
            known.touch_at = now + TOUCH_SECONDS
            self._streams.promote(stream)
        return stream

    def keep_park_hint(self, reader: Reader, park: Park, now: float) -> None:
        """``reader`` is to wait there; remember it if a newcomer would, too."""
        read, stream = reader.read, reader.stream
        if park.offset != read.offset or not _is_new(reader):
            return
        if _follows_the_clock(reader) or _is_long(read) or read.only_held:
            return
        if id(read) not in self._park_hints:
            full = len(self._park_hints) >= MAX_ANSWERS
            if full or not self._has_room(costs.PARK_HINT):
                self._begin_again()
            if not self._has_room(costs.PARK_HINT):
                return
            self._bytes += costs.PARK_HINT
        tail, until = stream.log.tail, self._decided_until(reader, now)
        self._park_hints[id(read)] = _ParkHint(read, stream, tail, tail.version, until)

    # How long anything holds

    def _until(self, reader: Reader, serve: Serve, now: float) -> float:
        """Until when one state gives the same decision and the same PerResponse."""
        tail = reader.stream.log.tail
        until = self._decided_until(reader, now)
        if reader.read.mode is Mode.LONG_POLL:
            until = min(until, now + cursors.left(self._clock.wall()))
        if tail.is_armed(now):
            return until
        return min(until, tail.confirmed_at + int(tail.age(now)) + 1)

    def _decided_until(self, reader: Reader, now: float) -> float:
        """Until when one state gives the same decision."""
        log = reader.stream.log
        tail = log.tail
        verify = self._rules.verify_for(log, reader.read.key.partition.kind)
        until = tail.confirmed_at + verify
        if tail.armed is not None and tail.is_armed(now):
            return min(until, tail.armed_until)
        return until

    def _put(self, cached: CachedAnswer) -> None:
        key = id(cached.read)
        before = self._kept.pop(key, None)
        if before is not None:
            self._bytes -= before.cost
        if len(self._kept) >= MAX_ANSWERS or not self._has_room(cached.cost):
            self._begin_again()
        if self._has_room(cached.cost):
            self._kept[key] = cached
            self._bytes += cached.cost

    def _has_room(self, cost: int) -> bool:
        return self._bytes + cost <= self._max_bytes

    def _begin_again(self) -> None:
        """Forget all: what is asked for is soon here again."""
        self._kept.clear()
        self._park_hints.clear()
        self._bytes = 0


def _is_new(reader: Reader) -> bool:
    """Whether it is decided for the first time, and asked the origin nothing."""
    new = reader.state is State.NEW and reader.asked is None and not reader.met_outage
    # An event stream may have been given a page and now be at its end.
    return new and not reader.begun and reader.offset == reader.read.offset


def _is_long(read: Read) -> bool:
    key = read.key
    size = len(key.path) + len(key.extension) + len(read.if_none_match or "")
    return (
        size + sum(len(value) for _, value in key.partition.headers) > MAX_READ_LENGTH
    )


def _follows_the_clock(reader: Reader) -> bool:
    """Whether its answer changes from one moment to the next (L14, L23)."""
    log = reader.stream.log
    if reader.read.expires_at is not None or log.ttl is not None:
        return True
    return log.expires_at is not None
