"""PollResults: a follower's poll was answered; what that means, and what comes next.

Data joins the log and wakes the viewers (through ``edge.live.ingest``); a 204
confirms the tail; failures are hidden from those who wait (L21); what is
final goes to all of them. Runs in the follower's greenlet and tells it whether
to go on, to back off or to stop. It never asks and never switches.
"""

from edge.core.counters import Counters
from edge.core.reasons import Reason
from edge.core.values import OriginAnswer
from edge.live.absorb import RESET_REASONS, Effect
from edge.live.followers import QUICK_DATA, QUICK_EMPTY, Next, Poll
from edge.live.ingest import Ingest
from edge.live.stream import Stream
from edge.live.upstream import TooLarge
from edge.live.waiters import Waiters
from edge.policy.streams.admission import Admission, Verdict, judge

_BACK_OFF_STATUSES = frozenset({408, 425, 429})
"""Statuses that a follower hides with every 5xx (L21)."""


class PollResults:
    """Judges polls."""

    def __init__(self, intake: Ingest, counters: Counters, viewers: Waiters) -> None:
        self._intake = intake
        self._counters = counters
        self._viewers = viewers

    def polled(self, stream: Stream, poll: Poll) -> Next:
        """A follower's poll was answered."""
        if poll.sent.incarnation != stream.log.incarnation:
            return Next.STOP
        answer = poll.answer
        if isinstance(answer, TooLarge):
            self._intake.mark_large(stream, poll.start)
            self._intake.relay_all(list(stream.parked), Reason.TOO_LARGE)
            return Next.STOP
        if answer.status in _BACK_OFF_STATUSES or answer.status >= 500:
            self._counters.origin_faults[Reason.ORIGIN_STATUS.value] += 1
            stream.log.tail.mark_unverified()
            return Next.BACK_OFF
        admission = judge(answer, poll.start, stream.key, stream.route)
        if admission.verdict is Verdict.ADMIT:
            return self._poll_admitted(stream, poll, answer, admission)
        return self._poll_refused(stream, poll, answer, admission)

    def _poll_admitted(
        self, stream: Stream, poll: Poll, answer: OriginAnswer, admission: Admission
    ) -> Next:
        effect = self._intake.take_in(stream, poll.start, poll.sent, admission, answer)
        if effect is Effect.WENT_BACK:
            # Readers who come now ask by themselves; the HEAD is theirs (L2).
            stream.log.tail.mark_unverified()
            self._viewers.wake(stream)
            return Next.STOP
        if effect in RESET_REASONS:
            return Next.STOP
        if stream.log.tail.closed:
            self._viewers.wake(stream)
            return Next.STOP
        if admission.progress:
            return Next.GO_ON
        quick = QUICK_EMPTY if answer.status == 204 else QUICK_DATA
        if poll.start == stream.log.end and poll.elapsed < quick:
            self._counters.origin_faults[Reason.ORIGIN_SPIN.value] += 1
            return Next.BACK_OFF
        if answer.status == 204:
            stream.log.tail.hold = max(poll.elapsed, 1.0)
        return Next.GO_ON

    def _poll_refused(
        self, stream: Stream, poll: Poll, answer: OriginAnswer, admission: Admission
    ) -> Next:
        reason = admission.reason or Reason.STATUS
        match admission.verdict:
            case Verdict.FAULT:
                self._counters.origin_faults[reason.value] += 1
                stream.log.tail.mark_unverified()
                return Next.BACK_OFF
            case Verdict.BYPASS_KEY:
                self._intake.pass_on(stream, poll.start, reason)
                return Next.STOP
            case Verdict.GONE:
                self._intake.end_parked(stream, answer, Reason.GONE)
                self._intake.gone(stream, poll.start, answer)
                return Next.STOP
            case _:
                return self._poll_final(stream, answer, reason)

    def _poll_final(self, stream: Stream, answer: OriginAnswer, reason: Reason) -> Next:
        """Another status is final and goes to all (L21); odd 200s are passed on."""
        if answer.status < 400:
            self._intake.relay_all(list(stream.parked), reason)
            return Next.STOP
        self._intake.end_parked(stream, answer, reason)
        if answer.status in (401, 403):
            self._intake.renew(stream, Reason.REFUSED)
        return Next.STOP
