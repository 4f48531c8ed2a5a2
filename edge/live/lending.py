"""Lending: asks the origin for all with a credential that a reader lends (A4, B7).

A flight or a follower asks here where its stream has ``lenders``: a flight with the
credential of who needs its answer, a poll with whoever's turn it is. By many a status
the origin may speak of one credential, and not of the stream. So others are tried at
once, one after the other, and what they hear decides about each that was tried:

============== ====================== ======================= =====================
it heard       and another is         and a second one hears  and nobody else lends
               answered               the same
============== ====================== ======================= =====================
401, 403       its lease ends         both leases end         its lease ends
404, 410       its lease ends         it is the stream's      it is the stream's
429            it rests a while       both rest               it is the stream's
another 4xx,   it rests a while       it is the stream's      it is the stream's
a redirect
============== ====================== ======================= =====================

Of a HEAD, a 401 or 403 says nothing until another one is answered: where all are
refused it may be the HEAD, and a GET decides (U12).

Whose lease ends is told by the end of a poll or of an event stream, and is judged anew
when it asks again. Nobody else hears of it. If ``MAX_TRIED`` are refused and others are
left, that is no answer: NotAsked, and whoever still waits asks again.

In a node a keeper hears what concerns the readers of all fronts: see
``told_refusals``, by which a front hears of it (``_hear``) and asks again.

A lent fetch is data, as every call is (``edge.live.upstream``): the answer to one
lender has the next one asked in the same turn, or ends it. What a refusal means for
what is held is judged by ``fetch_results`` and ``poll_results``.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from edge.core.errors import LendersRefused, NotAsked, OriginFault
from edge.core.lent_refusals import LentRefusals
from edge.core.ports import Turn, UpstreamCall
from edge.core.reasons import Reason
from edge.core.values import (
    Headers,
    Lease,
    LentCredential,
    OriginAnswer,
    OriginRequest,
)
from edge.live.context import HubContext
from edge.live.delivery import Delivery
from edge.live.lenders import GONE, Lenders
from edge.live.rows import Reader, State, Stream
from edge.live.told_refusals import ToldRefusals, forget_verdict, that_hears, trust_of
from edge.live.upstream import Done, OnSent, Outcome, Upstream, next_turn
from edge.live.waiters import Waiters
from edge.policy.streams.contact import seconds_to_wait

MAX_TRIED = 4
"""The first one, and up to three others, the last of whom was answered before."""

REST_SECONDS = 5.0
"""For so long a credential rests that was not answered, unless the origin says."""

_REFUSED = frozenset({401, 403})
_NO = _REFUSED | GONE
_ABOUT_ALL = frozenset({304, 405, 408, 425})
"""Of a redirect's and a client error's statuses, those that no reader brings about."""

Build = Callable[[Lease], OriginRequest]
"""Makes the request for the one whose turn it is."""


class Lending:
    """Fetches with lent credentials, for all streams of a hub."""

    def __init__(
        self,
        context: HubContext,
        upstream: Upstream,
        waiters: Waiters,
        delivery: Delivery,
    ) -> None:
        self._options = context.options
        self._counters = context.counters
        self._clock = context.clock
        self._guard = context.guard
        self._upstream = upstream
        self._waiters = waiters
        self._refusals = ToldRefusals(context, delivery)

    def begin(
        self,
        stream: Stream,
        build: Build,
        done: Done,
        on_sent: OnSent | None = None,
        first: Lease | None = None,
        trace: Headers = (),
    ) -> UpstreamCall:
        """Fetch a whole answer, by whoever's turn it is, but if ``first`` lends, by
        that. ``done`` hears how it ended, as of ``Upstream.begin``; NotAsked when
        nobody lends, or too many are refused. ``on_sent`` is called for each lender.
        """
        lenders = stream.lenders
        assert lenders is not None
        fetch = _LentFetch(stream, lenders, build, done, on_sent, trace)
        outcome = self._ask(fetch, first)
        if outcome is not None:
            fetch.turn = next_turn(self._guard.call, done, outcome)
        return fetch

    def _ask(self, fetch: "_LentFetch", first: Lease | None = None) -> Outcome | None:
        """Ask by the next one. What is heard instead, if nobody is asked."""
        lenders, now = fetch.lenders, self._clock.monotonic()
        tried = [one.lent.digest for one in fetch.heard]
        lease = first
        if lease is None or not lenders.lends(lease, now):
            lease = lenders.next(now, tried, last=len(tried) == MAX_TRIED - 1)
        if lease is None or lease.lends is None:
            return self._nobody_left(fetch.stream, fetch.heard)
        lent, request = lease.lends, that_hears(fetch.build(lease), lenders.heard)

        def done(outcome: Outcome) -> None:
            if isinstance(outcome, LendersRefused):
                self._hear(fetch, lease, outcome.refusals)
            else:
                self._answered(fetch, lent, request.method == "HEAD", outcome)

        fetch.call = self._upstream.begin(request, done, fetch.on_sent, fetch.trace)
        return None

    def _answered(
        self, fetch: "_LentFetch", lent: LentCredential, by_head: bool, outcome: Outcome
    ) -> None:
        """One of them was answered: ask another one, or end the fetch.

        1: a refusal ends its lender's readers; 2: with them whoever waits for this
        fetch goes, and it is cancelled. Then nobody else is asked.
        """
        fetch.call = None
        end: Outcome | None = outcome
        try:
            if isinstance(outcome, OriginAnswer):
                end = self._judge(fetch, _Heard(lent, outcome, by_head))
            if end is None and not fetch.is_cancelled:
                end = self._next(fetch)
        except Exception:
            self._guard.report(fetch)
            end = OriginFault("the fetch broke", reason=Reason.INTERNAL)
        if end is not None and not fetch.is_cancelled:
            fetch.done(end)

    def _hear(self, fetch: "_LentFetch", lease: Lease, refusals: LentRefusals) -> None:
        """A keeper has told whose credentials were refused: end their leases here, too,
        and ask again (W16). A keeper's successor, whom it answers so, tells its fronts.
        """
        fetch.call = None
        end: Outcome | None
        try:
            readers = fetch.lenders.hear(refusals, trust_of(fetch.stream.route))
            if self._options.serves_fronts:
                self._refusals.pass_on(fetch.stream, refusals)
            else:
                for reader in readers:
                    forget_verdict(reader.lease)
                self._end_all(readers)
            end = None if fetch.is_cancelled else self._ask(fetch, lease)
        except Exception:
            self._guard.report(fetch)
            end = OriginFault("the fetch broke", reason=Reason.INTERNAL)
        if end is not None and not fetch.is_cancelled:
            fetch.done(end)

    def _judge(self, fetch: "_LentFetch", heard: "_Heard") -> OriginAnswer | None:
        """The answer, if it is everybody's; None: another one is to be asked."""
        stream, lenders, answer = fetch.stream, fetch.lenders, heard.answer
        # The answer's judge runs in the same turn, however many others are under way.
        lenders.latest, lenders.agreed = heard.lent.digest, False
        if not _may_be_about_one(answer.status):
            if answer.status < 300:
                lenders.answered = heard.lent.digest
            self._contradict(fetch, answer)
            return answer
        before = tuple(fetch.heard)
        fetch.heard.append(heard)
        self._note(stream, heard)
        lenders.agreed = any(_agree(one, heard) for one in before)
        return answer if lenders.agreed else None

    def _next(self, fetch: "_LentFetch") -> Outcome | None:
        """Ask another one, of whom there may be too many."""
        if len(fetch.heard) < MAX_TRIED:
            return self._ask(fetch)
        if fetch.heard[-1].by_head:
            return fetch.heard[-1].answer
        detail = "the origin refuses those who read this stream, one after the other"
        return NotAsked(detail, reason=Reason.LENDERS_REFUSED, retry_after=1)

    def _note(self, stream: Stream, heard: "_Heard") -> None:
        """What this refusal means whatever others hear."""
        status = heard.answer.status
        self._counters.lent_refusals[str(status)] += 1
        if status == 429:
            self._rest(stream, heard)
        elif _is_refusal(heard):
            self._end(stream, heard)

    def _contradict(self, fetch: "_LentFetch", answer: OriginAnswer) -> None:
        """Another one was answered: what was no answer to some is about them. Or else
        the stream was gone, and another one has its place: so its end is in doubt, and
        an answer from there proves nothing (L7). Where it is known that another one has
        its place, that it was gone is about nobody."""
        stream, heard = fetch.stream, fetch.heard
        was_gone = any(one.answer.status in GONE for one in heard)
        if was_gone and stream.log.holds_bytes:
            stream.log.tail.mark_unverified(self._clock.monotonic())
        about_one = _REFUSED if fetch.incarnation != stream.log.incarnation else _NO
        for one in heard if answer.status < 300 else ():
            if _is_refusal(one):
                # Its lease has ended, and it may have been judged anew since.
                continue
            if one.answer.status in about_one:
                self._end(stream, one)
            elif one.answer.status not in GONE:
                self._rest(stream, one)

    def _nobody_left(
        self, stream: Stream, heard: list["_Heard"]
    ) -> OriginAnswer | NotAsked:
        """Nobody else lends: what was heard, where that may be about the stream."""
        words = [one for one in heard if one.by_head or _is_word(one)]
        words = words or [one for one in heard if one.answer.status == 429]
        if words and stream.lenders is not None:
            stream.lenders.latest = words[-1].lent.digest
            return words[-1].answer
        self._counters.refusals[Reason.NO_LENDER.value] += 1
        return no_lender()

    def _rest(self, stream: Stream, heard: "_Heard") -> None:
        """Ask by others for a while."""
        if stream.lenders is not None:
            most = self._options.max_retry_after
            told = seconds_to_wait(heard.answer, self._clock.wall(), most)
            seconds = REST_SECONDS if told is None else told
            stream.lenders.rest(heard.lent, self._clock.monotonic() + seconds)

    def _end(self, stream: Stream, heard: "_Heard") -> None:
        """The lease of this credential ends, for all who brought it (A3). A front that
        brought it is told what was said: it has let the reader in (W10)."""
        lent, status, lenders = heard.lent, heard.answer.status, stream.lenders
        lent.refused()
        if lenders is None:
            return
        readers = lenders.refuse(lent, status)
        if self._options.serves_fronts:
            self._refusals.heard(stream, readers, lent, heard.answer)
        else:
            self._end_all(readers)

    def turns_away(self, reader: Reader) -> bool:
        """See ``ToldRefusals``."""
        return self._refusals.turns_away(reader)

    def _end_all(self, readers: Iterable[Reader]) -> None:
        """The leases of these readers end: their clients are judged anew."""
        now = self._clock.monotonic()
        for reader in readers:
            reader.lease.end(now)
            if reader.state in (State.WAITING, State.PARKED):
                self._guard.serve(self._waiters.end_grant, reader)


class _Heard(NamedTuple):
    """What one lender's request was answered with, and whether it was a HEAD."""

    lent: LentCredential
    answer: OriginAnswer
    by_head: bool


class _LentFetch:
    """One fetch, asked by one lender after the other. An UpstreamCall: ``call`` is the
    one that is under way, and ``turn`` tells that none is."""

    __slots__ = (
        *("build", "call", "done", "heard", "incarnation", "is_cancelled"),
        *("lenders", "on_sent", "stream", "trace", "turn"),
    )

    def __init__(
        self,
        stream: Stream,
        lenders: Lenders[Reader],
        build: Build,
        done: Done,
        on_sent: OnSent | None,
        trace: Headers,
    ) -> None:
        self.stream = stream
        # Which life it was begun in.
        self.incarnation = stream.log.incarnation
        self.lenders = lenders
        self.build = build
        self.done = done
        self.on_sent = on_sent
        self.trace = trace
        # Those who were refused, in order.
        self.heard: list[_Heard] = []
        self.call: UpstreamCall | None = None
        self.turn: Turn | None = None
        self.is_cancelled = False

    def cancel(self) -> None:
        """See ``ports.UpstreamCall``."""
        self.is_cancelled = True
        if self.call is not None:
            self.call.cancel()
        if self.turn is not None:
            self.turn.stop()

    def pause(self) -> None:
        """See ``ports.UpstreamCall``."""
        if self.call is not None:
            self.call.pause()

    def resume(self) -> None:
        """See ``ports.UpstreamCall``."""
        if self.call is not None:
            self.call.resume()


def _may_be_about_one(status: int) -> bool:
    """Whether another lender may be answered otherwise."""
    return 300 <= status < 500 and status not in _ABOUT_ALL


def _is_refusal(heard: _Heard) -> bool:
    """Whether it is a *no* to this one, whatever others hear."""
    return heard.answer.status in _REFUSED and not heard.by_head


def _is_word(heard: _Heard) -> bool:
    """Whether it is the stream's if nobody else hears anything better."""
    return heard.answer.status not in _REFUSED and heard.answer.status != 429


def _agree(one: _Heard, other: _Heard) -> bool:
    """Whether two have heard the same of the stream."""
    statuses = {one.answer.status, other.answer.status}
    return _is_word(one) and (len(statuses) == 1 or statuses <= GONE)


def no_lender() -> NotAsked:
    """Told to those for whom the origin cannot be asked."""
    detail = "nobody who reads this stream may ask the origin for it now"
    return NotAsked(detail, reason=Reason.NO_LENDER, retry_after=1)
