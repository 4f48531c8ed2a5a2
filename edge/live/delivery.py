"""Delivery: from a decision to what a reader's sink is given.

Answers are prepared once per (range, kind, claims, coding) and shared by all readers
that get the same. Only age, cursor and Cache-Status differ (PerResponse). SSE events
are made once per range in the same way. Called by the hub, ``waiters`` and ``wakeup``;
never switches greenlets. Compression runs on a thread, and serves later readers (L19).
"""

from collections.abc import Iterable
from copy import copy
from dataclasses import replace
from functools import partial
from math import ceil
from typing import TypeVar

from cachetools import LRUCache

from edge.core import costs
from edge.core.errors import EdgeError, OriginAway, OriginFault
from edge.core.reasons import Reason
from edge.core.values import (
    Answer,
    CacheStatus,
    Headers,
    Mode,
    OriginAnswer,
    PerResponse,
    Result,
)
from edge.live.context import HubContext
from edge.live.delivered import Delivered, EventsDelivered
from edge.live.in_thread import run_in_thread
from edge.live.row_words import Tell, no_word, row_word
from edge.live.rows import Reader, State
from edge.policy.http import codings, conditional
from edge.policy.streams import answers, own_answers
from edge.policy.streams.answers import Prepared
from edge.policy.streams.decide import decide
from edge.policy.streams.decisions import Kind, Serve
from edge.protocol import cursor as cursors
from edge.protocol import sse
from edge.protocol.http_grammar import MAX_DELTA_SECONDS
from edge.protocol.offsets import BEGIN, NOW

V = TypeVar("V")

_Key = tuple[object, ...]


_Ages = tuple[float, float | None]
"""Seconds since an answer was confirmed; its own age, if it is not of the log."""


class Delivery:
    """Prepares and hands out answers, and keeps them within its share of memory."""

    def __init__(self, context: HubContext) -> None:
        options = self._options = context.options
        self._first_byte = context.first_byte
        self._counters = context.counters
        self._clock = context.clock
        self._cursors = cursors.CursorClock()
        tells = options.serves_fronts
        self._tell: Tell = partial(row_word, options.boot) if tells else no_word
        size = options.memory // 8
        self._prepared: LRUCache[_Key, Prepared] = LRUCache(
            size, lambda made: len(made.answer.body or b"") + costs.PREPARED
        )
        self._events: LRUCache[_Key, bytes] = LRUCache(
            size, lambda event: len(event) + costs.EVENT
        )
        self._coding: set[_Key] = set()
        # While a crowd is served: everything that is given (see ``edge.live.wakeup``).
        self.recorder: list[Delivered | EventsDelivered] | None = None

    @property
    def cost(self) -> int:
        """Bytes of all answers and events that were made."""
        return int(self._prepared.currsize + self._events.currsize)

    # Whole answers

    def serve(
        self,
        reader: Reader,
        serve: Serve,
        body: bytes | None = None,
        age: float | None = None,
    ) -> Delivered | None:
        """Answer a catch-up or long-poll read, and be done with it.

        ``body`` is given when the range is not in the log (L1), with its ``age``.
        Returns what was given, or None while a better variant is on its way (L19).
        """
        prepared = self._prepare(reader, serve, body)
        now = self._clock.monotonic()
        since = reader.stream.log.tail.age(now) if age is None else age
        fresh_until = now + prepared.max_age - since
        # The grant had a minute left when the reader came, which may have waited since.
        if prepared.max_age and not now < fresh_until <= reader.lease.ends_at:
            prepared = prepared.expired()
        answer, read = prepared.answer, reader.read
        tag = prepared.etag
        asked = read.if_none_match
        if tag is not None and asked is not None and conditional.matches(asked, tag):
            answer = prepared.not_modified()
        per_response = self._per_response(reader, serve, prepared, (since, age))
        given = self.give(reader, answer, per_response)
        return given if self._is_best(reader, serve, prepared) else None

    def _is_best(self, reader: Reader, serve: Serve, prepared: Prepared) -> bool:
        """Whether the reader's next answer would have the same coding."""
        taken, stream = reader.read.codings, reader.stream
        if not taken:
            return True
        for name, value in prepared.answer.headers:
            if name == "Content-Encoding":
                return value == taken[0]
        kind = reader.read.key.partition.kind
        size = len(prepared.answer.body or b"")
        may = answers.may_code(serve, kind, stream.route)
        return not (may and codings.worth(stream.log.content_type, size))

    def raw(self, reader: Reader, answer: OriginAnswer, reason: Reason | None) -> None:
        """Give the origin's own answer to a reader that may see it. It is not kept."""
        headers = _unshared(reader, answer)
        status, age = reader.cache_status(None, reason), answer.provenance
        told = self._told(reader, status, own=age.since_confirmed)
        self.give(reader, own_answers.own_answer(reader.read, answer, headers), told)

    def _told(
        self,
        reader: Reader,
        status: CacheStatus,
        age: int | None = None,
        cursor: str | None = None,
        own: float | None = None,
    ) -> PerResponse:
        """What is told with one delivery; a front is told of the row, too (W8)."""
        span = reader.stream.brought_by
        if self._tell is no_word:
            return PerResponse(status, age, cursor, None, span)
        told = self._tell(reader.stream, self._clock.monotonic(), own)
        return PerResponse(status, age, cursor, told, span)

    def status(self, reader: Reader, answer: OriginAnswer, reason: Reason) -> None:
        """Hand on a status of the origin. What a HEAD was answered has no word that
        would tell the reader of a GET anything, and what a lender was told may name it
        to whoever else waits (A4): these hear it in the edge's own words. A front has
        its own: it is told the status alone, which is the origin's (W10)."""
        is_get = reader.read.mode is not Mode.HEAD
        lenders = reader.stream.lenders
        others = lenders is not None and not lenders.is_latest(reader.lease)
        bare = others or (is_get and not own_answers.says_anything(answer))
        if answer.status < 400 or not bare:
            self.raw(reader, answer, reason)
        elif self._options.serves_fronts:
            self.raw(reader, OriginAnswer(answer.status, ()), reason)
        else:
            detail = "the origin answered so"
            error = EdgeError(detail, reason=reason, status=answer.status)
            self.refuse(reader, error)

    def head(self, reader: Reader, answer: OriginAnswer) -> None:
        """Answer a HEAD from the origin's 200 (section 5.5): never stored."""
        route = reader.stream.route
        kept = own_answers.head_fields(reader.read, route, answer)
        tag = None if route.lean else self._tag_of_get(reader)
        if tag is not None:
            kept = [*(f for f in kept if f[0] != "etag"), ("ETag", tag)]
        since = answer.provenance.since_confirmed
        age = min(int(since), MAX_DELTA_SECONDS) or None
        status = reader.cache_status(None, None)
        per_response = self._told(reader, status, age, own=since)
        asked = reader.read.if_none_match
        if tag is not None and asked is not None and conditional.matches(asked, tag):
            kept = [field for field in kept if field[0] != "content-type"]
            self.give(reader, Answer(304, tuple(kept), b""), per_response)
            return
        self.give(reader, Answer(200, tuple(kept), b""), per_response)

    def _tag_of_get(self, reader: Reader) -> str | None:
        """The entity tag that a GET of the same URL would have now (RFC 9110 section
        9.3.2); None if the origin would have to be asked for it."""
        stream, clock, rules = reader.stream, self._clock, self._options.rules
        if reader.offset == BEGIN and not stream.log.holds(BEGIN):
            return None
        read = replace(reader.read, mode=Mode.CATCH_UP)
        state = reader.read_state(clock.monotonic(), clock.wall())
        decision = decide(read, stream.log, state, stream.route, rules)
        if not isinstance(decision, Serve):
            return None
        # Without the claim that the origin will make, the tag would be another one.
        told = decision.up_to_date or decision.kind is Kind.CLOSED_RANGE
        return self._prepare(reader, decision, None).etag if told else None

    def refuse(self, reader: Reader, error: EdgeError) -> None:
        """End with an error; one that has begun is cut (see Sink.abort)."""
        reader.move(State.DONE)
        self._counters.answers["error"] += 1
        self._first_byte(reader, Result.ERROR)
        reader.sink.abort(error)

    def away(self, reader: Reader, fault: OriginFault, wait: float) -> None:
        """Nothing held can stand in for an origin that is away: tell the reader what
        the origin said, if it said anything, and when to come back (U2). Where a lender
        was told, only the status (A4).

        ``wait``: seconds until it is asked again. 0: whenever the origin said.
        """
        said = fault.answer if isinstance(fault, OriginAway) else None
        retry_after = None if said is None else said.get("retry-after")
        if wait or retry_after is None:
            retry_after = str(max(1, ceil(wait)))
        head = reader.read.mode is Mode.HEAD
        lent = reader.stream.lenders is not None
        if said is None or lent or not (head or own_answers.says_anything(said)):
            error = copy(fault)
            error.retry_after = int(retry_after) if retry_after.isdecimal() else 1
            self.refuse(reader, error)
            return
        headers = tuple(
            (name, value)
            for name, value in _unshared(reader, said)
            if name not in ("set-cookie", "retry-after")
        )
        headers = (*headers, ("retry-after", retry_after))
        status = reader.cache_status(None, fault.reason)
        if reader.asked is None:
            # Neither was it held, nor was anybody asked for this reader.
            status = CacheStatus(detail=fault.reason)
        body = b"" if head else said.body
        self.give(
            reader, Answer(said.status, headers, body), self._told(reader, status)
        )

    def give(
        self, reader: Reader, answer: Answer, per_response: PerResponse
    ) -> Delivered:
        """Hand out a whole answer, and be done with the reader."""
        given = Delivered(answer, per_response)
        if self.recorder is not None:
            self.recorder.append(given)
        reader.move(State.DONE)
        self._first_byte(reader, given.result)
        self.hand((reader,), given)
        return given

    def hand(
        self, readers: Iterable[Reader], given: Delivered, pause_reads: bool = False
    ) -> None:
        """Hand out to readers that are done. ``pause_reads``: see ``Sink``."""
        counters = self._counters
        for reader in readers:
            counters.answers[given.result] += 1
            counters.delivered += 1
            counters.bytes_out += given.size
            reader.sink.send_whole(given, pause_reads)

    # SSE

    def begin_sse(self, reader: Reader) -> None:
        """Send the head of an event stream, once."""
        if not reader.begun:
            reader.begun = True
            per_response = self._told(reader, reader.cache_status(None, None))
            result = per_response.status.result(200)
            self._counters.answers[result] += 1
            self._first_byte(reader, result)
            kind = reader.read.key.partition.kind
            reader.sink.begin(answers.sse_head(reader.stream.log, kind), per_response)

    def events(self, reader: Reader, serve: Serve, body: bytes | None = None) -> None:
        """Send a range with its control event, or a control event alone.

        Moves the reader to the range's end; ``reader.full`` says whether more
        may be sent before the sink has drained.
        """
        frames: tuple[bytes, ...] = (self._control(reader, serve),)
        if serve.kind is not Kind.EMPTY:
            frames = (self._event(reader, serve, body), *frames)
        given = EventsDelivered(serve, frames)
        if self.recorder is not None:
            self.recorder.append(given)
        self.hand_events((reader,), given)

    def hand_events(self, readers: Iterable[Reader], given: EventsDelivered) -> None:
        """Send frames that were made for the range that they hold, to viewers of one
        stream."""
        counters, now = self._counters, self._clock.monotonic()
        offset, frames, size = given.serve.next, given.frames, given.size
        is_data, up_to_date = given.is_data, given.serve.up_to_date
        for reader in readers:
            counters.delivered += is_data
            counters.bytes_out += size
            reader.offset = offset
            reader.control_sent = True
            reader.caught_up_sent = up_to_date
            reader.quiet_since = now
            if up_to_date and (untold := reader.stream.awaiting_caught_up):
                untold.discard(reader)
            reader.full = not reader.sink.write(frames)

    def keep_alive(self, reader: Reader) -> None:
        """Break an event stream's silence."""
        self._counters.bytes_out += len(sse.KEEP_ALIVE)
        reader.quiet_since = self._clock.monotonic()
        reader.full = not reader.sink.write(_KEEP_ALIVE)

    def end_sse(self, reader: Reader) -> None:
        """End it after a whole event."""
        reader.move(State.DONE)
        reader.sink.finish()

    def _event(self, reader: Reader, serve: Serve, body: bytes | None) -> bytes:
        log = reader.stream.log
        if body is not None:
            return sse.data_event(body, answers.sse_encoding(log))
        key = (log.incarnation, serve.start, serve.next)
        # Of what one viewer alone waited for, nobody else is given the same.
        alone = reader.state is State.PARKED and len(reader.stream.parked) == 1
        event = None if alone else self._events.get(key)
        if event is None:
            body = answers.body_of(log, serve, self._options.rules.max_page)
            event = sse.data_event(body, answers.sse_encoding(log))
            if not alone:
                _keep(self._events, key, event)
        return event

    def _control(self, reader: Reader, serve: Serve) -> bytes:
        cursor = None if serve.closed else str(self.mint(reader))
        return sse.control_event(serve.next, cursor, serve.up_to_date, serve.closed)

    # Cursors

    def mint(self, reader: Reader) -> int:
        """This reader's next cursor: the crowd's, unless it is an outlier (L22)."""
        stream = reader.stream
        now = self._cursors.interval(self._clock.wall())
        before, mine = stream.highest, reader.cursor
        if mine == before >= now:
            # It was given the crowd's last value: the next one is one more, for both.
            reader.cursor = stream.highest = before + 1
            return before + 1
        value = cursors.crowd(now, before, (mine,))
        stream.highest = cursors.advance(before, value)
        reader.cursor = cursors.for_client(value, now, before, mine)
        return reader.cursor

    def mint_for_all(self, readers: list[Reader]) -> None:
        """Before one wake-up: the one value for all that it serves (L22)."""
        if readers:
            stream, now = readers[0].stream, self._cursors.interval(self._clock.wall())
            clients = [reader.cursor for reader in readers if not reader.is_sse]
            value = cursors.crowd(now, stream.highest, clients)
            stream.highest = cursors.advance(stream.highest, value)

    # Preparing

    def _per_response(
        self, reader: Reader, serve: Serve, prepared: Prepared, ages: _Ages
    ) -> PerResponse:
        cursor, (seconds, own) = None, ages
        if reader.read.mode is Mode.LONG_POLL and not serve.closed:
            cursor = str(self.mint(reader))
        age: int | None = min(int(seconds), MAX_DELTA_SECONDS)
        if serve.kind is Kind.EMPTY:
            # Nobody keeps it. It has an age only if a tier below must count that.
            age = age or None
        ttl = prepared.max_age - (age or 0) if prepared.max_age else None
        stale = Reason.STALE if serve.kind is Kind.STALE else None
        return self._told(reader, reader.cache_status(ttl, stale), age, cursor, own)

    def _prepare(self, reader: Reader, serve: Serve, body: bytes | None) -> Prepared:
        """The shared answer, made on first use."""
        key, limit = self._key(reader, serve)
        if body is not None:
            return self._prepare_own(reader, serve, key, body, limit)
        coded = self._coded(reader, serve, key)
        if coded is not None:
            return coded
        prepared = self._prepared.get(key)
        if prepared is None:
            log = reader.stream.log
            body = answers.body_of(log, serve, self._options.rules.max_page)
            prepared = self._make(reader, serve, body, limit)
            _keep(self._prepared, key, prepared)
            if serve.kind is not Kind.CLOSED_RANGE:
                # L19: a tail is worth coding from its second read on.
                return prepared
        self._code_later(reader, serve, key, prepared, limit)
        return prepared

    def _prepare_own(
        self, reader: Reader, serve: Serve, key: _Key, body: bytes, limit: int | None
    ) -> Prepared:
        """One answer for all that waited for these very bytes (L1), and no others."""
        key = (*key, None)
        prepared = self._prepared.get(key)
        if prepared is None or prepared.answer.body is not body:
            prepared = self._make(reader, serve, body, limit)
            _keep(self._prepared, key, prepared)
        return prepared

    def _key(self, reader: Reader, serve: Serve) -> tuple[_Key, int | None]:
        log, kind = reader.stream.log, reader.read.key.partition.kind
        trust = self._options.rules.trust
        limit = answers.cap(log, kind, reader.read, self._clock.wall(), trust)
        read = reader.read
        # A HEAD has the fields of the GET.
        mode = Mode.CATCH_UP if read.mode is Mode.HEAD else read.mode
        return (log.incarnation, mode, serve, limit, read.offset == NOW), limit

    def _make(
        self,
        reader: Reader,
        serve: Serve,
        body: bytes,
        limit: int | None,
        coding: str = "",
    ) -> Prepared:
        stream, freshness = reader.stream, self._options.freshness
        return answers.prepare(
            stream.log, serve, reader.read, stream.route, body, limit, freshness, coding
        )

    def _coded(self, reader: Reader, serve: Serve, key: _Key) -> Prepared | None:
        """The compressed variant, if the reader takes one that is ready."""
        for coding in reader.read.codings:
            prepared = self._prepared.get((*key, coding))
            if prepared is not None:
                return prepared
        return None

    def _code_later(
        self,
        reader: Reader,
        serve: Serve,
        key: _Key,
        plain: Prepared,
        limit: int | None,
    ) -> None:
        """Compress once, off the loop, for later readers of the same."""
        codings_taken, stream = reader.read.codings, reader.stream
        body = plain.answer.body or b""
        if not codings_taken or not answers.may_code(
            serve, reader.read.key.partition.kind, stream.route
        ):
            return
        coded_key = (*key, codings_taken[0])
        worth = codings.worth(stream.log.content_type, len(body))
        if worth and coded_key not in self._coding:
            self._coding.add(coded_key)
            self._code(reader, serve, coded_key, body, limit)

    def _code(
        self,
        reader: Reader,
        serve: Serve,
        key: _Key,
        body: bytes,
        limit: int | None,
    ) -> None:
        def work() -> Prepared:
            return self._make(reader, serve, body, limit, str(key[-1]))

        def then(prepared: Prepared) -> None:
            self._coding.discard(key)
            self._counters.compressions += 1
            _keep(self._prepared, key, prepared)

        run_in_thread(work, then)


_KEEP_ALIVE = (sse.KEEP_ALIVE,)


def _unshared(reader: Reader, answer: OriginAnswer) -> Headers:
    """The origin's fields, for a reader that may see its answer."""
    kind = reader.read.key.partition.kind
    return answers.unshared_headers(answer.headers, kind, reader.stream.route)


def _keep(cache: "LRUCache[_Key, V]", key: _Key, value: V) -> None:
    """Keep it, unless it alone exceeds the whole cache."""
    if cache.getsizeof(value) <= cache.maxsize:
        cache[key] = value
