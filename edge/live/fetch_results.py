"""FetchResults: a flight has landed; what everybody who waited for it is given.

The answer is judged (``edge.policy.streams.admission``), taken in where it may be
(``edge.live.ingest``), and then each reader is released by its own right to it:
decided again on the log that has grown, handed the answer itself, a fault, a
status, or sent to ask alone (L1, L4, L15). Runs in the flight's greenlet,
never asks by itself and never switches.
"""

from collections.abc import Callable
from typing import assert_never

from edge.core.counters import Counters
from edge.core.errors import OriginFault
from edge.core.ports import Clock
from edge.core.reasons import Reason
from edge.core.values import Mode, OriginAnswer
from edge.live.absorb import RESET_REASONS, Effect, describe
from edge.live.delivery import Delivery
from edge.live.flights import Flight, Outcome
from edge.live.guard import Guard
from edge.live.ingest import Ingest
from edge.live.reader import Reader, State
from edge.live.registry import StreamRegistry
from edge.live.upstream import TooLarge
from edge.live.waiters import Waiters
from edge.policy.streams.admission import Admission, Verdict, fault_of, judge
from edge.policy.streams.decide import Fetch, Serve
from edge.policy.streams.freshness import Kind
from edge.protocol.offsets import BEGIN, NOW, order
from edge.streamlog.tail import RequestSnapshot


class FetchResults:
    """Releases the readers of flights. ``advance`` decides a reader again,
    ``fetch`` lets it wait for another flight, ``relay`` passes it on alone."""

    def __init__(
        self,
        intake: Ingest,
        counters: Counters,
        clock: Clock,
        streams: StreamRegistry,
        delivery: Delivery,
        viewers: Waiters,
        guard: Guard,
        advance: Callable[[Reader], None],
        fetch: Callable[[Reader, Fetch], None],
        relay: Callable[[Reader, Reason], None],
    ) -> None:
        self._intake = intake
        self._counters = counters
        self._clock = clock
        self._streams = streams
        self._delivery = delivery
        self._viewers = viewers
        self._guard = guard
        self._advance = advance
        self._fetch = fetch
        self._relay = relay

    def landed(self, flight: Flight, outcome: Outcome) -> None:
        """A flight ended; release everybody who waited for it."""
        try:
            self._land(flight, outcome)
        except Exception:
            # A defect, which goes on to gevent's hub: nobody is left behind.
            self._counters.internal_errors += 1
            fault = OriginFault("the answer was not understood", reason=Reason.INTERNAL)
            for reader in _waiting([*flight.waiters, *flight.after]):
                self._delivery.refuse(reader, fault)
            raise

    def _land(self, flight: Flight, outcome: Outcome) -> None:
        stream, sent = flight.stream, flight.sent
        if sent is not None and sent.incarnation != stream.log.incarnation:
            # L5: it speaks of a stream that is no more.
            self._counters.not_stored[Reason.OLD_INCARNATION.value] += 1
            self._again([*flight.waiters, *flight.after])
            return
        if isinstance(outcome, OriginFault):
            self._failed(flight, outcome)
        elif isinstance(outcome, TooLarge):
            self._too_large(flight)
        elif sent is None:
            self._failed(flight, OriginFault("never sent", reason=Reason.INTERNAL))
        elif flight.start is None:
            self._head_landed(flight, sent, outcome)
        else:
            self._range_landed(flight, flight.start, sent, outcome)
        self._again(flight.after)

    def _again(self, readers: list[Reader]) -> None:
        for reader in _waiting(readers):
            self._advance(reader)

    def _failed(self, flight: Flight, fault: OriginFault) -> None:
        for reader in _waiting(flight.waiters):
            reader.fault = fault
        self._again(flight.waiters)

    def _too_large(self, flight: Flight) -> None:
        """L11: until there is a spool, each of them is passed on, and counted."""
        self._intake.mark_large(flight.stream, flight.start)
        self._intake.relay_all(flight.waiters, Reason.TOO_LARGE)

    def _range_landed(
        self, flight: Flight, start: str, sent: RequestSnapshot, answer: OriginAnswer
    ) -> None:
        stream = flight.stream
        admission = judge(answer, start, stream.key, stream.route)
        if admission.verdict is not Verdict.ADMIT:
            self._refused(flight, admission, answer, sent)
            return
        known = start == NOW or stream.log.knows(start)
        effect = self._intake.take_in(stream, start, sent, admission, answer)
        if effect is Effect.WENT_BACK:
            self._ask_by_head(flight.waiters)
            return
        kept = effect in (Effect.GREW, Effect.CONFIRMED)

        def release(reader: Reader) -> None:
            reader.fault = None
            reader.stored = reader.stored or effect is Effect.GREW
            own = reader.offset == start and not (known and kept)
            if effect is Effect.GREW and reader.read.mode.live:
                # It needs no claim, and gets its history page by page (L25).
                own = False
            if own and effect in (Effect.GREW, Effect.NOT_KEPT):
                self._give_own(reader, start, sent, admission, answer)
            else:
                self._advance(reader)

        self._guard.each(release, _waiting(flight.waiters))

    def _give_own(
        self,
        reader: Reader,
        start: str,
        sent: RequestSnapshot,
        admission: Admission,
        answer: OriginAnswer,
    ) -> None:
        """The answer to an offset that only clients know serves its askers (L1)."""
        if not _is_due(reader, sent, admission.next):
            self._advance(reader)
        elif answer.get("content-type") != reader.stream.log.content_type:
            self._give_raw(reader, answer, Reason.OFFSET_UNKNOWN)
        elif not admission.progress and reader.read.mode.live:
            self._relay(reader, Reason.OFFSET_UNKNOWN)
        else:
            serve = _own_serve(reader, start, admission)
            if reader.is_sse:
                self._delivery.begin_sse(reader)
                self._delivery.events(reader, serve, answer.body)
                self._go_on(reader)
            else:
                self._delivery.serve(reader, serve, answer.body)

    def _go_on(self, reader: Reader) -> None:
        """An event stream was written to: on with it when its sink takes more."""
        if reader.full:
            self._viewers.park(reader, reader.offset)
        else:
            self._advance(reader)

    def _refused(
        self,
        flight: Flight,
        admission: Admission,
        answer: OriginAnswer,
        sent: RequestSnapshot,
    ) -> None:
        """The answer may not join the log; who may see it?"""
        stream, verdict = flight.stream, admission.verdict
        reason = admission.reason or Reason.STATUS
        self._counters.not_stored[reason.value] += 1
        match verdict:
            case Verdict.FAULT:
                fault = fault_of(admission)
                self._counters.origin_faults[fault.reason.value] += 1
                self._failed(flight, fault)
            case Verdict.SHARE:
                self._share(flight.waiters, answer, sent, reason)
            case Verdict.GONE:
                self._intake.gone(stream, flight.start, answer)
                self._share(flight.waiters, answer, sent, reason)
            case Verdict.ONE_READER | Verdict.BYPASS_KEY:
                self._sole(flight, admission, answer, reason)
            case Verdict.ADMIT:
                raise AssertionError("an admitted answer is not refused")
            case _:
                assert_never(verdict)

    def _share(
        self,
        readers: list[Reader],
        answer: OriginAnswer,
        sent: RequestSnapshot,
        reason: Reason,
    ) -> None:
        """An error is for everybody whom a newer request could not serve better."""

        def release(reader: Reader) -> None:
            if sent.writes >= reader.barrier.writes:
                self._intake.give_status(reader, answer, reason)
            else:
                self._advance(reader)

        self._guard.each(release, _waiting(readers))

    def _sole(
        self, flight: Flight, admission: Admission, answer: OriginAnswer, reason: Reason
    ) -> None:
        """To the asker who earned it (L15); the others ask again, or pass."""
        stream = flight.stream
        if admission.verdict is Verdict.BYPASS_KEY:
            self._intake.pass_on(stream, flight.start, reason)
        if answer.status in (401, 403):
            self._intake.refuse_partition(stream, answer)
        waiting = _waiting(flight.waiters)

        def release(reader: Reader) -> None:
            if reader is waiting[0]:
                self._give_raw(reader, answer, reason)
            elif answer.status >= 400:
                self._advance(reader)
            else:
                self._relay(reader, reason)

        self._guard.each(release, waiting)

    def _give_raw(self, reader: Reader, answer: OriginAnswer, reason: Reason) -> None:
        """The leader gets what it was answered, unless it waits for more."""
        if answer.status == 200 and (reader.is_sse or reader.read.mode.live):
            self._relay(reader, reason)
        else:
            self._intake.give_status(reader, answer, reason)

    # HEAD

    def _head_landed(
        self, flight: Flight, sent: RequestSnapshot, answer: OriginAnswer
    ) -> None:
        stream = flight.stream
        if 200 < answer.status < 300:
            detail = "HEAD was answered with a status that tells of no stream"
            fault = OriginFault(detail, reason=Reason.ORIGIN_GARBAGE)
            self._counters.origin_faults[fault.reason.value] += 1
            self._failed(flight, fault)
            return
        if answer.status != 200:
            admission = judge(answer, BEGIN, stream.key, stream.route)
            if answer.status in (405, 501):
                live = [r for r in flight.waiters if r.read.mode is not Mode.HEAD]
                self._intake.relay_all(live, Reason.STATUS)
            self._refused(flight, admission, answer, sent)
            return
        effect = describe(stream.log, answer, sent, self._clock.monotonic())
        if effect in RESET_REASONS:
            self._intake.replaced(stream, RESET_REASONS[effect])
            anew = stream.log.tail.request_snapshot(sent.at, stream.log.incarnation)
            effect = describe(stream.log, answer, anew, self._clock.monotonic())
        if effect is Effect.NOT_KEPT:
            fault = OriginFault(
                "HEAD told no offset", reason=Reason.ORIGIN_NO_NEXT_OFFSET
            )
            others = [r for r in flight.waiters if r.read.mode is not Mode.HEAD]
            for reader in others:
                reader.fault = fault
        self._streams.weigh(stream)
        if stream.log.tail.closed:
            self._viewers.wake(stream)

        def release(reader: Reader) -> None:
            if reader.read.mode is Mode.HEAD and _is_due(reader, sent, ""):
                self._delivery.head(reader, answer)
            else:
                self._advance(reader)

        self._guard.each(release, _waiting(flight.waiters))

    def _ask_by_head(self, readers: list[Reader]) -> None:
        """L2: the tail seems to have gone back; one HEAD confirms it."""
        for reader in _waiting(readers):
            self._fetch(reader, Fetch(None, Reason.TAIL_WENT_BACK, fresh=True))


def _waiting(readers: list[Reader]) -> list[Reader]:
    """Those who still wait: others have left, timed out, or were passed on."""
    return [reader for reader in readers if reader.state is State.WAITING]


def _is_due(reader: Reader, sent: RequestSnapshot, end: str) -> bool:
    """L4: sent after the writes that the reader may know of, or reaching them."""
    barrier = reader.barrier
    if sent.writes >= barrier.writes:
        return True
    return barrier.ack is not None and order(end) >= order(barrier.ack)


def _own_serve(reader: Reader, start: str, admission: Admission) -> Serve:
    """What an asker is given of an answer that the log does not stand for."""
    if not admission.progress:
        kind = Kind.EMPTY
    elif reader.read.mode.live:
        kind = Kind.LIVE
    else:
        kind = Kind.TAIL
    start = start if admission.progress else admission.next
    return Serve(kind, start, admission.next, admission.up_to_date, admission.closed)
