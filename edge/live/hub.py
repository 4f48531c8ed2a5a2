"""Hub: the one entrance for reads, and what keeps them moving.

``ask`` takes a read and a sink. The hub decides (``edge.policy.streams.decide``) and
acts: it serves from the log, parks the reader, lets it wait for a flight, or passes it
through; whenever something was heard it decides again. ``wrote`` tells it of writes,
``tick`` of time, ``drain`` of the end. Nothing here switches greenlets but ``tick`` and
``drain``, which have greenlets of their own.

The parts: ``tables`` (rows), ``flights`` and ``followers`` (upstream), ``landings`` and
``polls`` (what their answers mean), ``viewers`` (parking, waking, times), ``relays``
(passing), ``delivery`` (what goes out), ``answer_cache`` (what was given before and is
still right: the second entrance). No request's greenlet owns any of them.
"""

from typing import assert_never

import gevent

from edge.core.counters import Counters
from edge.core.errors import OriginFault, Refusal
from edge.core.ports import Clock, Origin, PendingRead, Sink
from edge.core.reasons import Reason
from edge.core.values import Headers, Mode, Read
from edge.live.answer_cache import AnswerCache
from edge.live.apart import run_apart
from edge.live.delivery import Delivery
from edge.live.fetch_results import FetchResults
from edge.live.flights import Flights
from edge.live.followers import Followers
from edge.live.guard import Guard
from edge.live.ingest import Ingest
from edge.live.options import HubOptions
from edge.live.poll_results import PollResults
from edge.live.reader import Reader, State
from edge.live.registry import StreamRegistry
from edge.live.relays import Relays
from edge.live.stream import Stream
from edge.live.ticker import Ticker
from edge.live.upstream import Upstream
from edge.live.waiters import Waiters
from edge.live.writes import Writes
from edge.policy.streams.decide import (
    Decision,
    Fetch,
    Park,
    Pass,
    Refuse,
    Serve,
    decide,
)

MOST_ROUNDS = 6
"""Upstream answers after which a read that is still undecided passes alone."""

MOST_STEPS = 32
"""History pages given to one SSE viewer before the event loop gets its turn."""

PATIENCE = 0.25
"""Seconds that a reader waits for an armed poll to bring a write (L4)."""


class Hub:
    """Everything that is alive in one worker. One set of tables, one event loop."""

    draining = False
    _viewer_count = 0

    def __init__(
        self, origin: Origin, options: HubOptions, counters: Counters, clock: Clock
    ) -> None:
        self._options, self._counters, self._clock = options, counters, clock
        upstream = Upstream(origin, counters, options.max_object)
        self.streams = StreamRegistry(options, counters)
        self.relays = Relays(upstream, counters, clock, options)
        self._guard = Guard(counters)
        self.ticker = Ticker(self._guard, clock, lambda now: self.tick(now))
        self._delivery = Delivery(options, counters, clock, run_apart)
        self._viewers = Waiters(
            options, counters, clock, self._delivery, self._guard, self.advance
        )
        intake = Ingest(
            options,
            counters,
            clock,
            self.streams,
            self._delivery,
            self._viewers,
            self._guard,
            self._relay,
            self._unfollow,
        )
        landings = FetchResults(
            intake,
            counters,
            clock,
            self.streams,
            self._delivery,
            self._viewers,
            self._guard,
            self.advance,
            self._fetch,
            self._relay,
        )
        self.flights = Flights(
            upstream,
            counters,
            clock,
            options.node_id,
            options.max_flights,
            landings.landed,
        )
        self.followers = Followers(
            upstream,
            counters,
            clock,
            options,
            PollResults(intake, counters, self._viewers).polled,
            self._viewers.armed,
            self._released,
        )
        self.answer_cache = AnswerCache(
            options, counters, clock, self.streams, self.followers
        )
        self._writes = Writes(
            self.streams, intake.renew, self._viewers.wake, self.followers.kick
        )

    @property
    def viewers(self) -> int:
        """Live readers that are not done, parked or not."""
        return self._viewer_count

    # The entrance

    def ask(self, read: Read, sink: Sink, now: float) -> PendingRead | None:
        """See ``edge.core.ports.Asks``."""
        self._counters.reads[read.mode] += 1
        waits_at = self.answer_cache.park_hint(read, now)
        try:
            reader = self._admit(read, sink, now, waits_at)
        except Refusal as refusal:
            self._counters.refusals[refusal.reason.value] += 1
            self._counters.answers["error"] += 1
            sink.abort(refusal)
            return None
        if waits_at is None:
            self.advance(reader)
        else:
            self._guard.serve(self._wait, reader)
        return None if reader.state is State.DONE else reader

    def _admit(
        self, read: Read, sink: Sink, now: float, stream: Stream | None
    ) -> Reader:
        """A Reader for this read. Raises Refusal at a limit."""
        if stream is None:
            stream = self.streams.obtain(read.key)
        reader = Reader(read, sink, stream, self)
        if reader.is_live:
            self._check_viewers(stream)
            self._viewer_count += 1
            stream.viewers += 1
            self._viewers.admit(reader, now)
        return reader

    def _check_viewers(self, stream: Stream) -> None:
        full = self._viewer_count >= self._options.max_viewers
        if full or stream.viewers >= self._options.max_viewers_per_stream:
            raise Refusal("too many live readers", reason=Reason.LIMIT_VIEWERS)

    # Deciding and acting

    def advance(self, reader: Reader) -> None:
        """Decide the reader and act, until it waits for something or is done.

        Never raises: a defect ends this reader alone.
        """
        self._guard.serve(self._advance, reader)

    def _advance(self, reader: Reader) -> None:
        for _ in range(MOST_STEPS):
            if reader.done or reader.full or reader.state is State.RELAYED:
                return
            if not self._step(reader):
                return
        gevent.spawn(self.advance, reader)

    def _step(self, reader: Reader) -> bool:
        """One decision; whether to decide again at once."""
        stream, now = reader.stream, self._clock.monotonic()
        passing = stream.passing(now)
        if passing is not None:
            self._relay(reader, passing)
            return False
        if reader.rejoin() and reader.begun:
            # L5: one event stream never shows two incarnations.
            self._viewers.end(reader, Reason.OLD_INCARNATION)
            return False
        moment = reader.read_state(now, self._clock.wall())
        decision = decide(
            reader.read, stream.log, moment, stream.route, self._options.rules
        )
        return self._act(reader, decision)

    def _act(self, reader: Reader, decision: Decision) -> bool:
        match decision:
            case Serve():
                return self._serve(reader, decision)
            case Park():
                self.answer_cache.keep_park_hint(
                    reader, decision, self._clock.monotonic()
                )
                self._park(reader, decision.offset)
            case Fetch():
                self._fetch(reader, decision)
            case Pass():
                self._relay(reader, decision.reason)
            case Refuse():
                self._refuse(reader, decision.fault)
            case _:
                assert_never(decision)
        return False

    def _serve(self, reader: Reader, serve: Serve) -> bool:
        if reader.is_sse:
            return self._serve_sse(reader, serve)
        if serve.up_to_date and reader.read.mode is Mode.CATCH_UP:
            self.followers.tail_was_read(reader.stream)
        self.answer_cache.keep(reader, serve, self._delivery.serve(reader, serve))
        return False

    def _serve_sse(self, reader: Reader, serve: Serve) -> bool:
        """A page of history, or of news; whether there may be more at once."""
        self._delivery.begin_sse(reader)
        self._delivery.events(reader, serve)
        reader.rounds = 0
        if serve.closed:
            self._counters.viewers_ended[Reason.CLOSED.value] += 1
            self._delivery.end_sse(reader)
            return False
        if reader.full and reader.state is not State.PARKED:
            # It waits for its sink alone; ``drained`` decides it again.
            self._viewers.park(reader, reader.offset)
        return not reader.full

    def _park(self, reader: Reader, offset: str) -> None:
        reader.stream.log.note_position(offset)
        reader.offset = offset
        self._wait(reader)

    def _wait(self, reader: Reader) -> None:
        """Let the reader wait where it stands."""
        self._viewers.park(reader, reader.offset)
        if not self._viewers.may_park(reader):
            # It came too late to wait, or has had its turn: come back elsewhere.
            self._viewers.end(reader, Reason.DRAINING)
        elif not self.followers.ensure(reader.stream):
            detail = "too many streams are followed"
            self._over_limit(reader, Refusal(detail, reason=Reason.LIMIT_FOLLOWERS))

    def _over_limit(self, reader: Reader, refusal: Refusal) -> None:
        self._counters.refusals[refusal.reason.value] += 1
        if reader.begun:
            # Whole events and an end: it comes back where it stands.
            self._viewers.end(reader, refusal.reason)
        else:
            self._delivery.refuse(reader, refusal)

    def _fetch(self, reader: Reader, fetch: Fetch) -> None:
        """Let the reader wait for an upstream answer."""
        reader.rounds += 1
        reader.asked = fetch.reason
        if reader.rounds > MOST_ROUNDS:
            self._relay(reader, Reason.UNDECIDED)
        elif reader.stream.is_large(fetch.start, self._clock.monotonic()):
            self._relay(reader, Reason.TOO_LARGE)
        elif fetch.reason is Reason.NEWER_WRITE and reader.rounds == 1:
            self._wait_for_news(reader, fetch)
        else:
            self._join(reader, fetch)

    def _wait_for_news(self, reader: Reader, fetch: Fetch) -> None:
        """A write is on its way through the armed poll: its answer will do (L4)."""
        if self.followers.wait(reader):
            reader.move(State.WAITING)
        else:
            self._join(reader, fetch)

    def _join(self, reader: Reader, fetch: Fetch) -> None:
        try:
            self.flights.join(reader, fetch)
        except Refusal as refusal:
            self._over_limit(reader, refusal)

    def _relay(self, reader: Reader, reason: Reason) -> None:
        if reader.begun:
            # Its event stream is under way; it comes back and is relayed then.
            self._viewers.end(reader, reason)
            return
        try:
            self.relays.start(reader, reason)
        except Refusal as refusal:
            self._over_limit(reader, refusal)
        else:
            self._viewers.leave(reader)

    def _refuse(self, reader: Reader, fault: OriginFault) -> None:
        """The origin is away; a live reader may outwait it (L21)."""
        if reader.begun:
            self._viewers.end(reader, fault.reason)
        elif self._viewers.may_wait(reader):
            reader.move(State.WAITING)
            self._viewers.retry_later(reader)
        else:
            self._delivery.refuse(reader, fault)

    # What the parts call back

    def _unfollow(self, stream: Stream) -> None:
        self.followers.stop(stream)

    def _released(self, readers: list[Reader], fault: OriginFault | None) -> None:
        for reader in readers:
            if reader.state is State.WAITING:
                reader.fault = fault
                self.advance(reader)

    # Owner, for readers

    def drained(self, reader: Reader) -> None:
        """The reader's sink can take more."""
        if reader.state is State.RELAYED:
            self.relays.drained(reader)
        elif reader.state is not State.WAITING:
            # One that waits is decided when what it waits for is there.
            self.advance(reader)

    def gone(self, reader: Reader) -> None:
        """The reader's client left."""
        if reader.read.mode.live:
            self._counters.viewers_ended[Reason.CLIENT_GONE.value] += 1
        reader.move(State.DONE)

    def ended(self, reader: Reader) -> None:
        """The reader has just become DONE."""
        self.relays.forget(reader)
        if reader.is_live:
            self._viewers.leave(reader)
            self._viewer_count -= 1
            reader.stream.viewers -= 1

    # Writes, time, the end

    def wrote(
        self, route: str, path: str, method: str, status: int | None, headers: Headers
    ) -> None:
        """See ``edge.core.ports.Asks``."""
        self._writes.wrote(route, path, method, status, headers)

    def start(self) -> None:
        """Begin to look at the clock. Called once, in the worker."""
        self.ticker.start()

    def tick(self, now: float) -> None:
        """Serve what is due. May yield; the ticker is its only caller at run time."""
        self._viewers.tick(now)
        self.followers.stop_unwanted()
        self.followers.release_late(PATIENCE)
        self._viewers.wake_unfollowed()

    def begin_drain(self) -> None:
        """Park nobody new from now on: a live read with nothing new ends at once."""
        self.draining = True
        self._viewers.begin_drain()

    def drain(self, grace: float) -> None:
        """Let all live readers go within ``grace`` seconds: polls are answered
        204, SSE ends after a whole event, spread over that time (E54)."""
        self.begin_drain()
        self._viewers.drain(grace)

    def gauges(self) -> dict[str, float]:
        """What goes up and down, by metric name."""
        return {
            "viewers": self._viewer_count,
            "streams": len(self.streams),
            "followers": len(self.followers),
            "flights_under_way": len(self.flights),
            "relays": len(self.relays),
            "bytes_held": self.streams.cost,
        }

    def stop(self) -> None:
        """End everything: no reader is left waiting. The last call."""
        self.draining = True
        self.ticker.stop()
        self.followers.stop_all()
        self.flights.stop()
        self.relays.stop()
        self._viewers.let_go()
