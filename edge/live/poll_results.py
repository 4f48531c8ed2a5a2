"""PollResults: what the answer to a follower's poll means, and what comes next.

Data joins the log and wakes the viewers (``edge.live.ingest``). A 204 that claims to be
all confirms the tail (U8). Failures are hidden from the readers that wait (L21). A
final status goes to all of them. ``polled`` yields this as steps, and ends with what
the follower does next. It never asks the origin and never switches.
"""

from edge.core.reasons import Reason
from edge.core.values import OriginAnswer
from edge.live.contacts import Contacts
from edge.live.context import HubContext
from edge.live.ingest import (
    RESET_REASONS,
    Effect,
    HeardRange,
    Ingest,
    refuses_known,
)
from edge.live.lineage_results import SAME, LineageResults
from edge.live.polls import Next, Poll
from edge.live.rows import Stream
from edge.live.steps import Judged, Replace, Wake, bypass_all, end_parked
from edge.live.upstream import TooLarge
from edge.policy.http.cache_status import is_from_an_edge
from edge.policy.http.forwarding import cache_members
from edge.policy.streams.admission import Verdict, away, judge
from edge.policy.streams.contact import REFUSES_WORK
from edge.streamlog.lineages import Descent

QUICK_DATA = 1.0
QUICK_EMPTY = 0.25
"""An answer without progress in less than this many seconds is a failure (L21).

L21 says 1 s. A 204 is held to a quarter of that: an origin with a short hold is
slow to spin, and backing off from it would leave the tail unknown in between.
"""

_AFTER = {
    Descent.NEWER: Next.STOP,
    Descent.UNPROVEN: Next.GO_ON,
    Descent.OLDER: Next.BACK_OFF,
}
"""What a follower does after an answer of another life (W8). Where it is not known, the
next request proves it (L7)."""

MIN_HOLD = 1.0
"""Seconds that an origin is assumed to hold a poll at least, however quick it was."""


class PollResults:
    """Judges polls."""

    def __init__(
        self,
        context: HubContext,
        ingest: Ingest,
        contacts: Contacts,
        lineages: LineageResults,
    ) -> None:
        self._context = context
        self._clock = context.clock
        self._board = context.options.board
        self._ingest = ingest
        self._lineages = lineages
        self._contacts = contacts

    def polled(self, stream: Stream, poll: Poll) -> Judged[Next]:
        """A follower's poll was answered."""
        if poll.sent.incarnation != stream.log.incarnation:
            return Next.STOP
        answer = poll.answer
        assert answer is not None
        if isinstance(answer, TooLarge):
            self._ingest.mark_large(stream, poll.start, Reason.TOO_LARGE)
            yield from bypass_all(stream.parked, Reason.TOO_LARGE)
            return Next.STOP
        told = answer.provenance.lineage
        descent = (yield from self._lineages.heard(stream, told)) if told else SAME
        if descent is Descent.OLDER and self._is_farewell(answer):
            return Next.GO_ON
        if descent is not SAME:
            return _AFTER[descent]
        return (yield from self._answered(stream, poll, answer))

    def _answered(
        self, stream: Stream, poll: Poll, answer: OriginAnswer
    ) -> Judged[Next]:
        stream.polled_by = cache_members(answer.headers)
        if answer.status in REFUSES_WORK or answer.status >= 500:
            return self._failed(stream, poll, answer, Reason.ORIGIN_STATUS)
        admission = judge(answer, poll.start, stream.key, stream.route, held=True)
        reason = admission.reason or Reason.STATUS
        match admission.verdict:
            case Verdict.ADMIT | Verdict.STALE:
                now = self._clock.monotonic()
                heard = HeardRange(poll.start, poll.sent, admission, answer, now)
                if admission.verdict is Verdict.ADMIT:
                    return (yield from self._admitted(stream, poll, heard))
                yield from self._ingest.take_in_stale(stream, heard)
                return self._failed(stream, poll, answer, reason)
            case Verdict.AWAY | Verdict.FAULT:
                return self._failed(stream, poll, answer, reason)
        self._contacts.poll_answered(stream, poll.live)
        match admission.verdict:
            case Verdict.BYPASS_KEY:
                yield from self._ingest.bypass_key(stream, poll.start, reason)
            case Verdict.GONE:
                yield from end_parked(stream, answer, Reason.GONE)
                yield from self._ingest.gone(stream, poll.start, answer)
            case Verdict.SHARE | Verdict.ONE_READER:
                yield from self._final(stream, poll, answer, reason)
        return Next.STOP

    def _failed(
        self, stream: Stream, poll: Poll, answer: OriginAnswer, reason: Reason
    ) -> Next:
        """A failure that nobody is told of: they wait, the follower pauses (L21)."""
        self._context.origin_failed(stream.key.path, reason)
        stream.log.tail.mark_unverified(self._clock.monotonic())
        self._contacts.bind(stream, answer)
        read = not poll.live and answer.status not in REFUSES_WORK
        if read or reason is Reason.ORIGIN_STALE:
            # A read failed, so reads are no better off than polls (U3). Nor are they if
            # the next hop has lost its origin (U9).
            self._contacts.read_failed(stream, away(answer, reason))
        return Next.BACK_OFF

    def _admitted(self, stream: Stream, poll: Poll, heard: HeardRange) -> Judged[Next]:
        effect = yield from self._ingest.take_in(stream, heard)
        if effect is Effect.WENT_BACK:
            # Readers that arrive now ask by themselves; the HEAD is for them (L2).
            stream.log.tail.mark_unverified(self._clock.monotonic())
            yield Wake(stream)
            return Next.STOP
        if effect in RESET_REASONS:
            return Next.STOP
        if stream.log.tail.closed:
            yield Wake(stream)
            return Next.STOP
        if heard.admission.progress:
            return Next.GO_ON
        spin = Reason.ORIGIN_SPIN
        if effect is Effect.NO_WORD and is_from_an_edge(heard.answer.headers):
            # It lost its origin, and may find another stream there (L7, U8).
            stream.log.tail.mark_unverified(self._clock.monotonic())
            spin = Reason.ORIGIN_STALE
        is_empty = heard.answer.status == 204
        quick = QUICK_EMPTY if is_empty else QUICK_DATA
        held = poll.live and poll.start == stream.log.end
        if held and poll.elapsed < quick:
            if is_empty and self._is_farewell(heard.answer):
                return Next.GO_ON
            self._context.origin_failed(stream.key.path, spin)
            return Next.BACK_OFF
        if is_empty:
            stream.log.tail.hold = max(poll.elapsed, MIN_HOLD)
        return Next.GO_ON

    def _is_farewell(self, answer: OriginAnswer) -> bool:
        """Whether it is a keeper's that is about to end. It lets its polls go: the next
        one goes to its successor, over another connection (W12)."""
        lineage = answer.provenance.lineage
        if self._board is None or lineage is None:
            return False
        return lineage.boot in self._board.leaving()

    def _final(
        self, stream: Stream, poll: Poll, answer: OriginAnswer, reason: Reason
    ) -> Judged[None]:
        """Another status is final and goes to all (L21); odd 200s are passed on."""
        if answer.status < 400:
            yield from bypass_all(stream.parked, reason)
            return
        yield from end_parked(stream, answer, reason)
        if answer.status in (401, 403):
            yield Replace(stream, Reason.REFUSED)
        elif refuses_known(stream, poll.start, answer):
            yield from self._ingest.replaced(stream, Reason.OFFSET_REFUSED)
