"""Hub: the entrance for every read that is decided, and the one place that acts.

``ask`` takes a read and a sink. The hub decides (``edge.policy.streams.decide``) and
acts: it serves from the log, parks the reader, lets it wait for a flight, or passes it
through. When something was heard, it decides again. ``wrote`` tells it of writes,
``tick`` of time, ``drain`` of the end. The meaning of answers, polls and writes comes
as steps (``edge.live.steps``), which ``_do`` executes. Only ``tick`` and ``drain``
switch greenlets. ``answer_cache.peek`` is the second entrance: it repeats an answer
without a decision. ``edge.live`` tells how the parts work together.
"""

from typing import assert_never

import gevent

from edge.core.counters import Counters
from edge.core.errors import Refusal
from edge.core.file_ports import Disk, SpoolFiles
from edge.core.ports import Clock, Origin, PendingRead, Sink
from edge.core.reasons import Reason
from edge.core.values import UNLIMITED, Lease, Mode, OriginAnswer, Read, WriteOutcome
from edge.live import steps
from edge.live.answer_cache import AnswerCache
from edge.live.answer_facts import NO_HEAD, head_of
from edge.live.contacts import Contacts
from edge.live.context import HubContext, HubOptions
from edge.live.crowd_looks import look_at_crowds
from edge.live.flights import Flights
from edge.live.followers import Followers
from edge.live.heirs import Heirs
from edge.live.lapses import Lapses
from edge.live.lending import Lending
from edge.live.outages import Outages
from edge.live.paced_asks import PacedAsks, too_many
from edge.live.push_delivery import delivery_of
from edge.live.registry import StreamRegistry
from edge.live.relays import Relays
from edge.live.results import Results
from edge.live.rows import Reader, State, Stream
from edge.live.shelf import Shelf
from edge.live.spools import Spools
from edge.live.ticker import Ticker
from edge.live.upstream import Upstream
from edge.live.waiters import Waiters
from edge.live.wakeup import Wakeup
from edge.live.writes import written
from edge.policy.http.cache_status import is_from_an_edge
from edge.policy.streams.decide import decide
from edge.policy.streams.decisions import Fetch, Kind, NoHead, Park, Pass, Refuse, Serve
from edge.protocol.offsets import NOW

MAX_ROUNDS = 6
"""Upstream answers after which an undecided read passes alone, or is refused (U14)."""

MAX_PAGES_AT_ONCE = 32
"""History pages given to one SSE viewer before the event loop gets its turn."""


class Hub:
    """All that is alive in one worker: one set of tables, one event loop."""

    draining = False

    def __init__(
        self,
        origin: Origin,
        options: HubOptions,
        counters: Counters,
        clock: Clock,
        files: SpoolFiles | None = None,
        disk: Disk | None = None,
    ) -> None:
        context = self.context = HubContext(options, counters, clock)
        self._rules, self._counters, self._clock = options.rules, counters, clock
        self._guard, self._looks = context.guard, context.looks
        self._board, self.serves_fronts = options.board, options.serves_fronts
        self._follow_after = (options.follow_reads, options.follow_within)
        upstream = Upstream(origin, context, is_from_an_edge, files is not None)
        self.upstream, self.streams = upstream, StreamRegistry(context)
        self.delivery, contacts = delivery_of(context), Contacts(context)
        waiters = self._waiters = Waiters(context, self.delivery, contacts)
        self.viewers_by_events = waiters.count_by_events
        self._wakeup = Wakeup(context, self.delivery, self._waiters)
        self.relays = Relays(context, upstream)
        self.spools = Spools(context, self.delivery, waiters, files)
        self.lapses = Lapses(context, waiters, self.relays)
        lending = self._lending = Lending(context, upstream, waiters, self.delivery)
        parts = self.streams, contacts, self.delivery, self.spools
        results = self._results = Results(context, *parts, self._do, waiters.armed)
        self.flights = Flights(context, upstream, lending, results.landed)
        self._paced = PacedAsks(context, self.flights)
        self._outages = Outages(context, contacts, self.flights, waiters, self.delivery)
        told = results.polled, results.events, waiters.armed, waiters.tell_edges
        by = *told, self._wakeup.wake
        self.followers = Followers(context, upstream, lending, contacts, *by)
        self._heirs = Heirs(context, self.delivery, waiters, self.followers)
        if self._looks is not None:
            self._looks.on_written = self.followers.kick
        self.shelf: Shelf | None = None
        self.ticker = Ticker(context, lambda now: self.tick(now))
        if disk is not None:
            self.shelf = Shelf(context, disk, self.streams, self.spools, self._join)
            self.ticker.register(self.shelf.look)
        self.answer_cache = AnswerCache(context, self.streams, self.followers)

    @property
    def viewers(self) -> int:
        """Live readers that are not done, parked or not."""
        return self._waiters.viewers

    # The entrance

    def ask(
        self, read: Read, sink: Sink, now: float, lease: Lease = UNLIMITED
    ) -> PendingRead | None:
        """See ``edge.core.ports.ReadService``."""
        self._counters.reads[read.mode] += 1
        waits_at = self.answer_cache.park_hint(read, now)
        try:
            stream = waits_at or self.streams.obtain(read.key)
            if self._looks is not None and waits_at is None:
                self._looks.look(stream, now)
            reader = Reader(read, sink, stream, self, now, lease)
            if reader.is_live:
                self._waiters.admit(reader, now)
        except Refusal as refusal:
            self._counters.refusals[refusal.reason.value] += 1
            self._counters.answers["error"] += 1
            sink.abort(refusal)
            return None
        if stream.lenders is not None and self._lending.turns_away(reader):
            return None
        if waits_at is None or now >= lease.ends_at:
            self.advance(reader)
        else:
            self._guard.serve(self._wait, reader)
        return None if reader.state is State.DONE else reader

    # Deciding and acting

    def advance(self, reader: Reader) -> None:
        """Decide the reader and act, until it waits for something or is done.

        Never raises: a defect ends this reader alone.
        """
        try:
            for _ in range(MAX_PAGES_AT_ONCE):
                if reader.done or reader.full or reader.state is State.RELAYED:
                    return
                if not self._step(reader):
                    return
            gevent.spawn(self.advance, reader)
        except Exception:
            self._guard.end(reader)

    def _step(self, reader: Reader) -> bool:
        """One decision and its execution. Returns whether to decide again at once."""
        stream, now = reader.stream, self._clock.monotonic()
        if not self._may_go_on(reader, now):
            return False
        state = reader.read_state(now, self._clock.wall())
        decision = decide(reader.read, stream.log, state, stream.route, self._rules)
        is_late = reader.read.only_held or self.draining
        if is_late and self._heirs.take(reader, decision):
            return False
        match decision:
            case Serve():
                return self._serve(reader, decision, now)
            case Park():
                if decision.minted:
                    self.answer_cache.keep_park_hint(reader, decision, now)
                    stream.log.note_position(decision.offset)
                reader.offset = decision.offset
                self._wait(reader)
            case Fetch():
                return self._fetch(reader, decision, now)
            case Pass():
                self._bypass(reader, decision.reason)
            case Refuse():
                self._outages.tell(reader, decision.fault)
            case NoHead():
                self.delivery.raw(reader, NO_HEAD, Reason.HEAD_REFUSED)
            case _:
                assert_never(decision)
        return False

    def _may_go_on(self, reader: Reader, now: float) -> bool:
        """Whether it is to be decided. If not, it has ended, or is passed on."""
        if self._looks is not None:
            self._looks.look(reader.stream, now)
        bypass = reader.stream.bypass(now)
        if now >= reader.lease.ends_at:
            self._waiters.end_grant(reader)
        elif bypass is not None:
            self._bypass(reader, bypass)
        elif reader.rejoin() and reader.begun:
            # L5: one event stream never shows two incarnations.
            self._waiters.end(reader, Reason.OLD_INCARNATION)
        else:
            return True
        return False

    def _serve(self, reader: Reader, serve: Serve, now: float) -> bool:
        """An answer from the log. Returns whether there may be more at once."""
        if reader.is_sse:
            return self._serve_events(reader, serve)
        stream = reader.stream
        at_tail = serve.up_to_date and reader.read.mode is Mode.CATCH_UP
        if at_tail and stream.count_tail_read(now, *self._follow_after):
            self.followers.follow_unwatched(stream)
        self._keep_row(reader, serve)
        if reader.read.mode is Mode.HEAD:
            self.delivery.head(reader, head_of(stream.log, serve.next, now))
            return False
        given = self.delivery.serve(reader, serve)
        # It asked and met no origin: a newcomer would be given the same.
        if given is not None and reader.asked is None and not reader.met_outage:
            self.answer_cache.keep(reader, serve, given)
        return False

    def _serve_events(self, reader: Reader, serve: Serve) -> bool:
        """The same: a page of history or of news."""
        self._keep_row(reader, serve)
        self.delivery.begin_sse(reader)
        self.delivery.events(reader, serve)
        reader.rounds = 0
        if serve.kind is Kind.EMPTY:
            self._end_there(reader, serve)
            return False
        if serve.closed:
            self._waiters.end(reader, Reason.CLOSED)
            return False
        parked = reader.state is State.PARKED
        if reader.full and not parked:
            # It waits for its sink alone; ``drained`` decides it again.
            self._waiters.park(reader, reader.offset)
        if reader.full or not (parked and serve.up_to_date):
            return not reader.full
        self._waiters.stay((reader,))
        return False

    def _keep_row(self, reader: Reader, serve: Serve) -> None:
        """A row is worth keeping if bytes are read that it held before (U15)."""
        if serve.kind is not Kind.EMPTY and not reader.found_nothing:
            self.streams.promote(reader.stream)

    def _end_there(self, reader: Reader, serve: Serve) -> None:
        """A viewer was told the end alone: it is closed there, or elsewhere (U14)."""
        why = Reason.CLOSED if serve.closed else Reason.OFFSET_ABOVE
        self._waiters.end(reader, why)

    def _wait(self, reader: Reader) -> None:
        """Let the reader wait where it stands; the first one keeps the row (U15)."""
        stream, may_park = reader.stream, self._waiters.may_park(reader)
        # First: as it is parked, an event stream's head goes out.
        if may_park and not self.followers.ensure(stream):
            detail = "too many streams are followed"
            self._over_limit(reader, Refusal(detail, reason=Reason.LIMIT_FOLLOWERS))
            return
        self._waiters.park(reader, reader.offset)
        if not may_park:  # Draining: the client reconnects to another worker.
            self._waiters.end(reader, Reason.DRAINING)
        elif len(stream.parked) == 1:
            self.streams.promote(stream)

    def _fetch(self, reader: Reader, fetch: Fetch, now: float) -> bool:
        """Let the reader wait for an upstream answer. Returns whether it is to be
        decided again instead, since the origin is known to be away."""
        stream = reader.stream
        well = stream.contact is None and stream.lenders is None
        if not well and self._outages.holds_back(reader, fetch, now):
            return True
        reader.rounds += 1
        reader.asked = fetch.reason
        if reader.rounds > MAX_ROUNDS and fetch.paced:
            self._over_limit(reader, too_many(MAX_ROUNDS))
        elif reader.rounds > MAX_ROUNDS:
            self._bypass(reader, Reason.UNDECIDED)
        elif self.spools.serves(reader, fetch):
            pass
        elif (why := reader.stream.passes_large(fetch.start, now)) is not None:
            self._bypass(reader, why)
        elif (
            fetch.reason is Reason.NEWER_WRITE
            and reader.rounds == 1
            and self.followers.wait(reader)
        ):
            # The write is on its way through the armed poll, whose answer will do (L4).
            reader.move(State.WAITING)
        else:
            self._join(reader, fetch)
        return False

    def _join(self, reader: Reader, fetch: Fetch) -> None:
        try:
            self._paced.ask(reader, fetch)
        except Refusal as refusal:
            self._over_limit(reader, refusal)
        else:
            self._outages.be_patient(reader, fetch)

    def _bypass(self, reader: Reader, reason: Reason) -> None:
        """Pass the reader through one to one."""
        if reader.read.only_held:
            self._heirs.hand(reader)
            return
        if reader.begun:
            # Its event stream is under way: the client reconnects and is relayed then.
            self._waiters.end(reader, reason)
            return
        try:
            self.relays.start(reader, reason)
        except Refusal as refusal:
            self._over_limit(reader, refusal)
        else:
            self._waiters.leave(reader)

    def _over_limit(self, reader: Reader, refusal: Refusal) -> None:
        self._counters.refusals[refusal.reason.value] += 1
        if reader.begun:
            # It ends after whole events: the client reconnects from where it stands.
            self._waiters.end(reader, refusal.reason)
        else:
            self.delivery.refuse(reader, refusal)

    # Steps

    def _do(self, step: steps.Step) -> None:
        """Execute one step, before the next is computed (see ``edge.live.steps``)."""
        match step:
            case steps.Again(reader):
                # Guards itself.
                self.advance(reader)
            case steps.LogChanged(stream, grew):
                self._counters.stores += grew
                self.streams.weigh(stream, grew)
                if grew and stream.above is not None:
                    self._paced.grew(stream)
                if grew:
                    self._wakeup.grew(stream)
            case steps.Replace(stream, reason):
                self.replace(stream, reason)
            case steps.Wake(stream):
                self._wakeup.wake(stream)
            case steps.Kick(stream):
                self.followers.kick(stream)
            case _:
                self._guard.serve(lambda _: self._release(step), step.reader)

    def _release(self, step: steps.Release) -> None:
        """Execute one step to a reader, unless its grant has ended (B3)."""
        if self._clock.monotonic() >= step.reader.lease.ends_at:
            self._waiters.end_grant(step.reader)
            return
        match step:
            case steps.Fail(reader, fault):
                reader.fault = fault
                self.advance(reader)
            case steps.Give(reader, serve, body, age):
                self._give(reader, serve, body, age)
            case steps.Hold(reader):
                self._wait(reader)
            case steps.GiveHead(reader, answer):
                self.delivery.head(reader, answer)
            case steps.Status(reader, answer, reason):
                self._give_status(reader, answer, reason)
            case steps.Spooled(reader, spool):
                self.spools.serve(reader, spool)
            case steps.Bypass(reader, reason):
                self._bypass(reader, reason)
            case steps.AskHead(reader):
                self._ask_head(reader)
            case _:
                assert_never(step)

    def _ask_head(self, reader: Reader) -> None:
        now = self._clock.monotonic()
        start = None if reader.stream.head_tells(now) else NOW
        if self._fetch(reader, Fetch(start, Reason.TAIL_WENT_BACK, fresh=True), now):
            self.advance(reader)

    def replace(self, stream: Stream, reason: Reason) -> None:
        """A new incarnation (L5): the old log is dropped, waiters are decided anew."""
        self._counters.drops[reason.value] += 1
        # First the log: a reader that the rest releases must not see the old one.
        self.streams.renew(stream)
        self._paced.renewed(stream)
        self.followers.stop(stream)
        self._waiters.tell_edges(stream)
        if self.shelf is not None:
            self.shelf.forget(stream)
        self._wakeup.wake(stream)

    def _give(self, reader: Reader, serve: Serve, body: bytes, age: float) -> None:
        """Serve an answer that is not taken from the log (L1)."""
        if not reader.is_sse:
            self.delivery.serve(reader, serve, body, age)
            return
        self.delivery.begin_sse(reader)
        self.delivery.events(reader, serve, body)
        # It has come to where it stands now: what was sent before may know less (U14).
        reader.barrier = reader.stream.log.tail.read_barrier()
        if serve.kind is Kind.EMPTY:
            self._end_there(reader, serve)
        elif reader.full:
            # It is decided again when its sink takes more.
            self._waiters.park(reader, reader.offset)
        else:
            self.advance(reader)

    def _give_status(self, reader: Reader, answer: OriginAnswer, why: Reason) -> None:
        """Hand on a status; one whose event stream has begun can only be ended."""
        if reader.begun:
            self._waiters.end(reader, why)
        else:
            self.delivery.status(reader, answer, why)

    # Owner, for readers

    def drained(self, reader: Reader) -> None:
        """The reader's sink can take more."""
        if reader.state is State.RELAYED:
            self.relays.drained(reader)
            self.spools.drained(reader)
        elif reader.state is not State.WAITING:
            # A reader that waits for something else is decided when that is there.
            self.advance(reader)

    def gone(self, reader: Reader) -> None:
        """The reader's client left."""
        if reader.is_live:
            self._counters.viewers_ended[Reason.CLIENT_GONE.value] += 1
        reader.move(State.DONE)

    def ended(self, reader: Reader, before: State) -> None:
        """A live or relayed reader has just become DONE."""
        if before is State.RELAYED:
            self.relays.forget(reader)
            self.spools.forget(reader)
        if reader.is_live:
            self._waiters.ended(reader)

    # Writes, time, the end

    def wrote(self, write: WriteOutcome) -> None:
        """See ``edge.core.ports.ReadService``."""
        for step in written(self.streams, write, self._clock.monotonic(), self._board):
            self._do(step)
        if self.shelf is not None:
            self.shelf.wrote(write)

    def start(self) -> None:
        """Begin to look at the clock. Called once, in the worker."""
        self.ticker.start()

    def tick(self, now: float) -> None:
        """Serve what is due. May yield; the ticker is its only caller at run time."""
        self._waiters.tick(now)
        if self._looks is not None:
            parts = self._looks, self._waiters, self.flights, self._rules.max_probe
            look_at_crowds(*parts, now)
        self._paced.begin_due(now)
        self.followers.look(now)
        self.spools.look(now)
        for stream in self._waiters.unfollowed():
            self._wakeup.wake(stream)

    def begin_drain(self) -> None:
        """Park no new reader from now on: a live read with nothing new ends at once."""
        if self.shelf is not None and not self.draining:
            self.shelf.keep_all()
        self.draining = True
        self._heirs.begin_drain()
        self.relays.begin_drain()

    def drain(self, grace: float) -> None:
        """Release all live readers within ``grace`` seconds (E54), by whole answers."""
        self.begin_drain()
        relays = gevent.spawn(self.relays.drain, grace)
        self._waiters.drain(grace)
        relays.join()

    def let_go(self) -> None:
        """The grace is over: release at once all who wait here or are relayed."""
        self._heirs.let_go()
        self._paced.let_go()
        self.relays.let_go()

    def stop(self) -> None:
        """End everything: no reader is left waiting. The last call."""
        self.draining = True
        self.ticker.stop()
        self.followers.stop_all()
        self.flights.stop()
        self._paced.stop()
        self.relays.stop()
        self.spools.stop()
        self._waiters.let_go()
