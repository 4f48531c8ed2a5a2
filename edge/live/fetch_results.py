"""FetchResults: what a landed flight means for each reader that waited for it.

The answer is judged (``edge.policy.streams.admission``) and, if admitted, taken in
(``edge.live.ingest``). Then each reader is released by its own right to the answer
(L1, L4, L15): it is decided again on the log that has grown, or it gets the answer
itself, a fault, a status, or has to ask alone. What failed and what worked is noted in
the stream's Contact (U3). ``landed`` yields this as steps. The hub executes each before
the next is computed; no step switches.
"""

from typing import assert_never

from edge.core.errors import NotAsked, OriginFault, OriginGarbage
from edge.core.reasons import Reason
from edge.core.values import Mode, OriginAnswer, PartitionKind
from edge.live.answer_facts import describe_by_get
from edge.live.contacts import Contacts, asks_again
from edge.live.context import HubContext
from edge.live.head_trust import HeadTrust
from edge.live.ingest import (
    Effect,
    HeardRange,
    Ingest,
    refuses_known,
)
from edge.live.lineage_results import SAME, LineageResults
from edge.live.rows import Flight, Reader, State, Stream
from edge.live.spools import Spools, may_read, may_share
from edge.live.steps import (
    Again,
    AskHead,
    Bypass,
    Fail,
    Give,
    GiveHead,
    Hold,
    Kick,
    LogChanged,
    ReaderStep,
    Spooled,
    Status,
    Steps,
    Wake,
    bypass_all,
)
from edge.live.upstream import Outcome, TooLarge
from edge.policy.http.forwarding import cache_members
from edge.policy.streams.admission import (
    ONE_READER_STATUSES,
    Admission,
    Verdict,
    away,
    fault_of,
    judge,
)
from edge.policy.streams.decide import stale_seconds
from edge.policy.streams.decisions import Kind, Serve
from edge.protocol.offsets import BEGIN, NOW, order
from edge.streamlog.barriers import RequestSnapshot
from edge.streamlog.stream_log import Joined


class FetchResults:
    """Judges what flights brought."""

    def __init__(
        self,
        context: HubContext,
        ingest: Ingest,
        contacts: Contacts,
        lineages: LineageResults,
        spools: Spools,
    ) -> None:
        self._context = context
        self._counters = context.counters
        self._clock = context.clock
        self._ingest = ingest
        self._lineages = lineages
        self._contacts = contacts
        self._spools = spools
        self._heads = HeadTrust(context)

    def landed(self, flight: Flight, outcome: Outcome) -> Steps:
        """A flight ended; the steps that release all readers that waited for it."""
        stream, sent = flight.stream, flight.sent
        if sent is not None and sent.incarnation != stream.log.incarnation:
            # L5: the answer is about a stream that is no more.
            self._counters.not_stored[Reason.OLD_INCARNATION.value] += 1
            yield from (Again(reader) for reader in flight.waiting(late=True))
            return
        told = isinstance(outcome, OriginAnswer) and outcome.provenance.lineage
        if told and (yield from self._lineages.heard(stream, told)) is not SAME:
            yield from (Again(reader) for reader in flight.waiting(late=True))
            return
        _tell_way(flight, outcome)
        if isinstance(outcome, OriginFault):
            yield from self._failed(flight, outcome)
        elif isinstance(outcome, TooLarge):
            yield from self._too_large(flight, outcome)
        elif sent is None:
            fault = OriginFault("never sent", reason=Reason.INTERNAL)
            yield from self._failed(flight, fault)
        elif flight.start is None:
            yield from self._head_landed(flight, sent, outcome)
        else:
            yield from self._range_landed(flight, flight.start, sent, outcome)
        for reader in flight.after:
            if reader.state is State.WAITING:
                yield Again(reader)

    def _range_landed(
        self, flight: Flight, start: str, sent: RequestSnapshot, answer: OriginAnswer
    ) -> Steps:
        stream = flight.stream
        if stream.head_missed:
            self._heads.heard(stream, answer.status)
        held = _is_about_known(stream, start)
        admission = judge(answer, start, stream.key, stream.route, held=held)
        heard = HeardRange(start, sent, admission, answer, self._clock.monotonic())
        if admission.verdict is not Verdict.ADMIT:
            if admission.verdict not in (Verdict.AWAY, Verdict.STALE):
                _part(flight)
            yield from self._range_refused(flight, heard)
            return
        yield from self._worked(flight)
        known = start == NOW or stream.log.knows(start)
        effect = yield from self._ingest.take_in(stream, heard)
        if effect is Effect.WENT_BACK:
            yield from self._went_back(flight)
            return
        if effect is Effect.NO_WORD:
            detail = "a read was answered as a poll is, and without a claim"
            yield from self._garbage(flight, OriginGarbage(detail))
            return
        grew, kept = effect is Effect.GREW, effect in (Effect.GREW, Effect.CONFIRMED)
        if kept and not stream.head_tells(sent.at):
            describe_by_get(stream.log, answer)
        for reader in flight.waiting():
            reader.fault = None
            reader.stored = reader.stored or grew
            own = reader.offset == start and not (known and kept)
            if grew and reader.is_live:
                # It needs no claim, and gets its history page by page (L25).
                own = False
            if own and effect in (Effect.GREW, Effect.NOT_KEPT):
                yield _own(reader, heard)
            else:
                yield Again(reader)

    def _too_large(self, flight: Flight, outcome: TooLarge) -> Steps:
        """Whoever may share it reads it as it comes (S1); the others, or all of them
        where there is no room, are passed on, and counted (L11)."""
        stream, start = flight.stream, flight.start
        _part(flight)
        held = _is_about_known(stream, start)
        spool = self._spools.take_over(flight, outcome, held)
        if isinstance(spool, Reason):
            self._ingest.mark_large(stream, start, spool)
            yield from bypass_all(flight.waiters, spool)
            return
        for reader in flight.waiting():
            if may_share(reader, spool):
                yield Spooled(reader, spool)
            elif may_read(reader, spool):
                yield Again(reader)
            else:
                yield Bypass(reader, Reason.TOO_LARGE)

    def _range_refused(self, flight: Flight, heard: HeardRange) -> Steps:
        """An answer from an offset is not admitted."""
        admission, answer = heard.admission, heard.answer
        if admission.verdict is Verdict.STALE:
            yield from self._stale_landed(flight, heard)
            return
        if heard.start == NOW and _may_be_about_now(answer.status):
            # U12: it is no answer to what these readers asked.
            others = (r for r in flight.waiting() if r.offset != NOW)
            yield from bypass_all(others, Reason.OFFSET_UNKNOWN)
        if refuses_known(flight.stream, heard.start, answer):
            # Whoever waits asked nothing like it, or asks for itself now.
            yield from self._ingest.replaced(flight.stream, Reason.OFFSET_REFUSED)
            yield from (Again(reader) for reader in flight.waiting())
            return
        yield from self._not_admitted(flight, admission, answer, heard.sent)

    def _stale_landed(self, flight: Flight, heard: HeardRange) -> Steps:
        """The next hop is an edge that lost its origin: so has this one (U9). What it
        holds is held here too, and goes out stale; nobody asks a second time."""
        stream, answer = flight.stream, heard.answer
        fault = away(answer, Reason.ORIGIN_STALE)
        self._context.origin_failed(stream.key.path, fault.reason)
        self._contacts.read_failed(stream, fault)
        joined = yield from self._ingest.take_in_stale(stream, heard)
        for reader in flight.waiting():
            reader.stored = reader.stored or joined is Joined.GREW
            if joined is Joined.NO_PROOF and _may_have_stale(reader, heard):
                serve = Serve(Kind.STALE, heard.start, heard.admission.next)
                age = answer.provenance.since_confirmed
                yield Give(reader, serve, answer.body, age)
            else:
                yield Fail(reader, fault)

    def _went_back(self, flight: Flight) -> Steps:
        """L2: one HEAD confirms it, or one GET of ``now`` where HEAD does not tell. If
        this was that GET, the tail did go back (U12)."""
        if flight.start == NOW and any(map(_confirms, flight.waiting())):
            yield from self._ingest.replaced(flight.stream, Reason.TAIL_WENT_BACK)
            yield from (Again(reader) for reader in flight.waiting())
        else:
            yield from (AskHead(reader) for reader in flight.waiting())

    def _not_admitted(
        self,
        flight: Flight,
        admission: Admission,
        answer: OriginAnswer,
        sent: RequestSnapshot,
    ) -> Steps:
        """The answer may not join the log; who may see it?"""
        reason = admission.reason or Reason.STATUS
        self._counters.not_stored[reason.value] += 1
        if admission.verdict not in (Verdict.AWAY, Verdict.FAULT):
            yield from self._answered(flight, answer.status)
        match admission.verdict:
            case Verdict.FAULT:
                yield from self._garbage(flight, fault_of(admission))
            case Verdict.AWAY:
                self._contacts.bind(flight.stream, answer)
                yield from self._garbage(flight, away(answer, reason))
            case Verdict.SHARE:
                yield from _share(flight, answer, sent, reason)
            case Verdict.GONE:
                yield from self._ingest.gone(flight.stream, flight.start, answer)
                yield from _share(flight, answer, sent, reason)
            case Verdict.ONE_READER | Verdict.BYPASS_KEY:
                yield from self._one_reader(flight, admission.verdict, answer, reason)
            case Verdict.ADMIT | Verdict.STALE:
                raise AssertionError("an admitted answer is not refused")
            case _:
                assert_never(admission.verdict)

    def _garbage(self, flight: Flight, fault: OriginFault) -> Steps:
        """An answer that is not valid counts as a failure of the origin."""
        self._context.origin_failed(flight.stream.key.path, fault.reason)
        yield from self._failed(flight, fault)

    def _failed(self, flight: Flight, fault: OriginFault) -> Steps:
        stream = flight.stream
        ours = isinstance(fault, NotAsked) or fault.reason is Reason.INTERNAL
        if not ours and asks_again(stream, flight.start):
            self._contacts.read_failed(stream, fault)
        if fault.reason is Reason.LENDERS_REFUSED:
            # That concerns them alone (B7): whoever still waits asks by another one.
            return (Again(reader) for reader in flight.waiting())
        return (Fail(reader, fault) for reader in flight.waiting())

    def _worked(self, flight: Flight) -> Steps:
        """The origin answered: a follower that backs off since it was away asks now."""
        stream = flight.stream
        if stream.contact is not None and self._contacts.read_worked(stream):
            yield Kick(stream)

    def _answered(self, flight: Flight, status: int) -> Steps:
        """The origin answered by a status that is not an outage (U3)."""
        if self._contacts.read_answered(flight.stream, status):
            yield Kick(flight.stream)

    def _one_reader(
        self, flight: Flight, verdict: Verdict, answer: OriginAnswer, reason: Reason
    ) -> Steps:
        """To the asker whose request it was (L15); the others ask again, or pass."""
        stream = flight.stream
        if verdict is Verdict.BYPASS_KEY:
            yield from self._ingest.bypass_key(stream, flight.start, reason)
        if answer.status in (401, 403):
            yield from self._ingest.refuse_partition(stream, answer)
        if answer.status == 429 and asks_again(stream, flight.start):
            self._contacts.bind(stream, answer)
        told = False
        for reader in flight.waiting():
            if not told and _is_asker(reader):
                told = True
                yield _raw(reader, answer, reason)
            elif answer.status >= 400:
                yield Again(reader)
            else:
                yield Bypass(reader, reason)

    def _head_landed(
        self, flight: Flight, sent: RequestSnapshot, answer: OriginAnswer
    ) -> Steps:
        stream = flight.stream
        if 200 < answer.status < 300:
            detail = "HEAD was answered with a status that tells of no stream"
            fault = OriginFault(detail, reason=Reason.ORIGIN_GARBAGE)
            yield from self._garbage(flight, fault)
            return
        if answer.status != 200:
            held = _is_about_known(stream, None)
            admission = judge(answer, BEGIN, stream.key, stream.route, held=held)
            away_now = admission.verdict is Verdict.AWAY
            if not away_now and self._heads.refused(stream, answer.status):
                yield from self._head_refused(flight, admission, answer)
            else:
                yield from self._not_admitted(flight, admission, answer, sent)
            return
        yield from self._worked(flight)
        effect = yield from self._ingest.take_in_head(stream, answer, sent)
        if effect is Effect.NOT_KEPT:
            self._heads.told_nothing(stream)
        else:
            self._heads.told(stream)
        yield LogChanged(stream, grew=False)
        if stream.log.tail.closed:
            yield Wake(stream)
        for reader in flight.waiting():
            if reader.read.mode is Mode.HEAD and _is_due(reader, sent, ""):
                yield GiveHead(reader, answer)
            elif effect is Effect.NOT_KEPT:
                yield _without_head(reader)
            else:
                yield Again(reader)

    def _head_refused(
        self, flight: Flight, admission: Admission, answer: OriginAnswer
    ) -> Steps:
        """The status is for those who asked by HEAD, or for one of them (L15). It says
        nothing to the others: a GET decides (U12)."""
        reason = admission.reason or Reason.STATUS
        self._counters.not_stored[reason.value] += 1
        yield from self._answered(flight, answer.status)
        alone = admission.verdict is Verdict.ONE_READER
        told = False
        for reader in flight.waiting():
            if reader.read.mode is not Mode.HEAD:
                yield _without_head(reader)
            elif alone and told:
                yield Again(reader)
            elif alone and not _is_asker(reader):
                yield Bypass(reader, reason)
            else:
                told = True
                yield Status(reader, answer, reason)


def _is_about_known(stream: Stream, start: str | None) -> bool:
    """Whether a request from ``start`` is about a stream that is known here (U1)."""
    return stream.log.tail.offset is not None and asks_again(stream, start)


def _is_asker(reader: Reader) -> bool:
    """Whether a status that is about one asker may be this one's: where credentials are
    lent, it is about the one who lent (B7)."""
    lenders = reader.stream.lenders
    return lenders is None or lenders.is_latest(reader.lease)


def _part(flight: Flight) -> None:
    """Readers at other offsets only wait to see where a guess is put (U14). That it is
    refused, or too large, says nothing of theirs."""
    start = flight.start
    if start not in (None, NOW) and not flight.stream.log.knows(start):
        flight.put_off_others()


def _may_be_about_now(status: int) -> bool:
    """Whether an error may be due to ``offset=now``, which not every origin takes."""
    about_stream = status in ONE_READER_STATUSES or status in (404, 410)
    return 300 <= status < 500 and not about_stream


def _confirms(reader: Reader) -> bool:
    """Whether it waits for what shows whether the tail went back (L2)."""
    return reader.asked is Reason.TAIL_WENT_BACK


def _without_head(reader: Reader) -> ReaderStep:
    """HEAD does not tell: the reader asks for the same by GET (U12)."""
    return AskHead(reader) if _confirms(reader) else Again(reader)


def _tell_way(flight: Flight, outcome: Outcome) -> None:
    """By which caches the answer came, "" for what is no answer; and by which call."""
    upstream = ""
    if isinstance(outcome, OriginAnswer):
        upstream = cache_members(outcome.headers)
    span = None if isinstance(outcome, OriginFault) else outcome.span
    flight.stream.brought_by = span
    for reader in flight.waiting():
        reader.upstream = upstream


def _share(
    flight: Flight, answer: OriginAnswer, sent: RequestSnapshot, reason: Reason
) -> Steps:
    """An error goes to all readers but those that a newer request may serve better."""
    for reader in flight.waiting():
        if sent.writes >= reader.barrier.writes:
            yield Status(reader, answer, reason)
        else:
            yield Again(reader)


def _raw(reader: Reader, answer: OriginAnswer, reason: Reason) -> ReaderStep:
    """The leader gets its answer as it is, unless it waits for more, or the answer is
    to another one's credential."""
    if answer.status == 200 and (reader.is_live or not _is_asker(reader)):
        return Bypass(reader, reason)
    return Status(reader, answer, reason)


def _own(reader: Reader, heard: HeardRange) -> ReaderStep:
    """The answer from a guessed offset serves the readers that asked for it (L1)."""
    admission, answer = heard.admission, heard.answer
    start = heard.start
    smaller = order(admission.next) < order(start)
    overtaken = smaller and heard.sent.seq < reader.barrier.seq
    if overtaken or not _is_due(reader, heard.sent, admission.next):
        return Again(reader)
    if answer.get("content-type") != reader.stream.log.content_type:
        # Of a live reader's stream the type is known: this is another one's (L5).
        again = reader.is_live
        return Again(reader) if again else _raw(reader, answer, Reason.OFFSET_UNKNOWN)
    if reader.is_live and not (admission.progress or smaller or admission.closed):
        return _hold(reader)
    if not admission.progress:
        kind, start = Kind.EMPTY, admission.next
    else:
        kind = Kind.LIVE if reader.is_live else Kind.TAIL
    tail = reader.stream.log.tail
    # It may have been closed there since this was sent: closure is final (L4).
    closed = admission.closed or (tail.closed and admission.next == tail.offset)
    up_to_date = admission.up_to_date or closed
    serve = Serve(kind, start, admission.next, up_to_date, closed)
    return Give(reader, serve, answer.body, answer.provenance.since_confirmed)


def _hold(reader: Reader) -> ReaderStep:
    """Its offset was echoed: it waits there, above the end, or within what is held by
    an origin that contradicts itself.

    Or the stream was made again, and this is its end. Then polls from the old end find
    that the tail went back, or that nothing can follow, and waking this reader would
    bring the same echo. So where there is a doubt it asks for the tail (L2).
    """
    log = reader.stream.log
    doubt = log.tail.closed or log.tail.unverified
    within = doubt and not log.is_above(reader.offset)
    return AskHead(reader) if within else Hold(reader)


def _may_have_stale(reader: Reader, heard: HeardRange) -> bool:
    """Whether an edge's stale answer may serve this reader by itself (U4, U9, L14). Not
    where something else is held: the two may be two streams."""
    stream, answer = reader.stream, heard.answer
    if stream.log.holds(heard.start):
        return False
    shared = stream.key.partition.kind is not PartitionKind.CREDENTIAL
    fits = answer.get("content-type") == stream.log.content_type
    young = answer.provenance.since_confirmed <= stale_seconds(stream.route)
    asked = reader.offset == heard.start and heard.admission.progress
    return asked and shared and fits and young


def _is_due(reader: Reader, sent: RequestSnapshot, end: str) -> bool:
    """L4: sent after the writes that the reader may know of, or reaching them."""
    return reader.barrier.is_met_by(sent, end)
