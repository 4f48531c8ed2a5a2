"""Ingest: what an answer of the origin does to a stream.

``absorb`` takes a range into the log, learns the tail, and notices when the stream is
not the one that it was (L1, L2, L5, L7, L8). ``describe`` does so for a HEAD (L20).
Both change the log that they are given and return what they found. ``Ingest`` holds
what flights and polls have in common beyond that: a new incarnation begins (L2, L5,
L7), a key passes one to one for a while (L15), a partition is refused (L14). What a
write does is told by ``edge.live.writes``.

This module changes rows, and yields steps for everything else. It never asks the origin
and never switches greenlets.
"""

import enum
import logging
from collections.abc import Container, Iterable
from typing import NamedTuple

from edge.core.reasons import Reason
from edge.core.values import OriginAnswer, PartitionKind, StreamKey
from edge.live.answer_facts import (
    instant,
    is_other_type,
    remember,
    remember_head,
    seconds,
)
from edge.live.context import HubContext
from edge.live.event_streams import drops_inexact
from edge.live.registry import StreamRegistry
from edge.live.rows import Reader, Stream
from edge.live.steps import Judged, LogChanged, Replace, Steps, end_parked
from edge.policy.http.cache_status import is_from_an_edge
from edge.policy.streams.admission import Admission
from edge.policy.streams.decide import MAX_PROBE
from edge.policy.streams.routes import Route
from edge.protocol import names
from edge.protocol.offsets import BEGIN, NOW, is_position
from edge.streamlog.barriers import RequestSnapshot
from edge.streamlog.stream_log import Joined, Placement, StreamLog
from edge.streamlog.tail import NEVER

_log = logging.getLogger("edge.live")

GONE_SECONDS = 2.0
"""For so long after a stream was found gone, its live readers ask together (U14)."""


class Effect(enum.Enum):
    """What became of an answer."""

    GREW = "grew"  # the log holds more than before
    CONFIRMED = "confirmed"  # nothing new, and the stream is as it was known
    NOT_KEPT = "not-kept"  # for its own askers only
    NO_WORD = "no-word"  # a 204 without a claim, which says nothing (U8)
    WENT_BACK = "went-back"  # the tail seems to have gone back: ask by HEAD
    OTHER_BYTES = "other-bytes"  # another incarnation: the bytes differ
    OTHER_TYPE = "other-type"  # another incarnation: the content type differs


_CONTRADICTIONS = frozenset(
    {Reason.BYTES_DIFFER, Reason.TYPE_CHANGED, Reason.TAIL_WENT_BACK}
    | {Reason.OFFSET_REFUSED}
)
"""What two lenders that do not read the same bring about, too (B7)."""

RESET_REASONS = {
    Effect.WENT_BACK: Reason.TAIL_WENT_BACK,
    Effect.OTHER_BYTES: Reason.BYTES_DIFFER,
    Effect.OTHER_TYPE: Reason.TYPE_CHANGED,
}


class HeardRange(NamedTuple):
    """An admitted answer to a read from ``start``, and when it was heard.

    ``heard_at`` is when it arrived here, in monotonic seconds.
    """

    start: str
    sent: RequestSnapshot
    admission: Admission
    answer: OriginAnswer
    heard_at: float

    @property
    def confirmed_at(self) -> float:
        """When the origin itself last said so: at the arrival, or earlier if something
        in between answered for the origin."""
        return self.heard_at - self.answer.provenance.since_confirmed

    @property
    def read_at(self) -> float:
        """When the read of the origin was sent that this comes from (L23): this one, or
        an earlier one that a keeper made."""
        told = self.answer.provenance
        if not told.by_keeper:
            return self.sent.at
        return NEVER if told.read_ago is None else self.heard_at - told.read_ago


class Ingest:
    """Takes answers into rows, for flights and for polls."""

    def __init__(self, context: HubContext, streams: StreamRegistry) -> None:
        self._options = context.options
        self._counters = context.counters
        self._clock = context.clock
        self._streams = streams

    # The log

    def take_in(self, stream: Stream, heard: HeardRange) -> Judged[Effect]:
        """Let the log take the answer in, and begin a new log if it cannot."""
        effect = absorb(
            stream.log,
            stream.route,
            heard,
            WaiterOffsets(stream.parked),
            self._options.rules.max_probe,
        )
        differs = effect is Effect.OTHER_BYTES
        if differs and drops_inexact(stream, heard.start, heard.admission.data):
            effect = absorb(stream.log, stream.route, heard)
        if stream.lenders is not None and effect in (Effect.GREW, Effect.CONFIRMED):
            stream.lenders.has_read(stream.log.incarnation)
        if effect is Effect.GREW:
            yield LogChanged(stream, grew=True)
        elif effect is Effect.NOT_KEPT:
            self._counters.not_stored[Reason.NO_PROOF.value] += 1
        elif effect in RESET_REASONS and effect is not Effect.WENT_BACK:
            yield from self.replaced(stream, RESET_REASONS[effect])
        return effect

    def take_in_stale(self, stream: Stream, heard: HeardRange) -> Judged[Joined]:
        """Let the log have the bytes of an edge that serves stale, by proof and no more
        (U9). The tail is in doubt from now on, as after a poll that failed."""
        log = stream.log
        keep = WaiterOffsets(stream.parked)
        max_probe = self._options.rules.max_probe
        joined = absorb_stale(log, stream.route, heard, keep, max_probe)
        log.tail.mark_unverified(heard.heard_at)
        if joined is Joined.GREW:
            yield LogChanged(stream, grew=True)
        return joined

    def take_in_head(
        self, stream: Stream, answer: OriginAnswer, sent: RequestSnapshot
    ) -> Judged[Effect]:
        """The same for a HEAD's 200. If it describes another stream than the held one,
        it begins that stream's log. NOT_KEPT: it does not tell of any (U12)."""
        now = self._clock.monotonic()
        route = stream.route
        effect = describe(stream.log, route, answer, sent, now)
        if effect in RESET_REASONS:
            yield from self.replaced(stream, RESET_REASONS[effect])
            anew = stream.log.tail.request_snapshot(sent.at, stream.log.incarnation)
            effect = describe(stream.log, route, answer, anew, now)
        if stream.lenders is not None and effect is Effect.CONFIRMED:
            stream.lenders.has_read(stream.log.incarnation)
        return effect

    def replaced(self, stream: Stream, reason: Reason) -> Steps:
        """A read saw another stream, or none, where this one was (L5).

        This ends the incarnation of this key alone. The other keys of the path must
        confirm theirs at their next read. What was read by a credential, and is
        contradicted by another, may be the same stream: then the path passes (B7).
        """
        lenders, held = stream.lenders, stream.log.incarnation
        if reason in _CONTRADICTIONS and lenders and lenders.disagree(held):
            yield from self._pass_path(stream.key)
            return
        yield Replace(stream, reason)
        for other in self._streams.of_path(stream.key.route, stream.key.path):
            if other is not stream:
                other.log.tail.mark_unverified(self._clock.monotonic())

    def _pass_path(self, key: StreamKey) -> Steps:
        """Not all who are let in read the same: each reads for itself for a while."""
        text = "%s passes for %d s: two who may read it were given unequal bytes"
        _log.warning(text, key.path, self._options.bypass_for)
        until = self._clock.monotonic() + self._options.bypass_for
        for one in self._streams.of_path(key.route, key.path):
            one.begin_bypass(Reason.ACCESS_DIFFERS, until)
            yield Replace(one, Reason.ACCESS_DIFFERS)

    # The whole key

    def bypass_key(self, stream: Stream, start: str | None, reason: Reason) -> Steps:
        """L15: the key passes for a while. Not for a guessed offset."""
        if start is None or start == NOW or stream.log.knows(start):
            until = self._clock.monotonic() + self._options.bypass_for
            stream.begin_bypass(reason, until)
            yield Replace(stream, reason)

    def refuse_partition(self, stream: Stream, answer: OriginAnswer) -> Steps:
        """L14: a 401 or 403 ends a credential partition's log and its viewers."""
        if stream.key.partition.kind is PartitionKind.CREDENTIAL:
            yield from end_parked(stream, answer, Reason.REFUSED)
            yield Replace(stream, Reason.REFUSED)

    def gone(self, stream: Stream, start: str | None, answer: OriginAnswer) -> Steps:
        """404 or 410 (L5): the stream is gone, or only its beginning is (E8)."""
        log = stream.log
        if not log.holds_bytes and log.tail.offset is None:
            stream.gone_until = self._clock.monotonic() + GONE_SECONDS
            return
        known = start in (None, NOW) or (start is not None and log.knows(start))
        retention = answer.status == 410 and start not in (None, NOW, log.end)
        if known and not retention:
            yield from self.replaced(stream, Reason.GONE)
            stream.gone_until = self._clock.monotonic() + GONE_SECONDS
        else:
            log.tail.mark_unverified(self._clock.monotonic())

    def mark_large(self, stream: Stream, start: str | None, why: Reason) -> None:
        """L11: reads from ``start`` pass for a while. A full spool soon has room."""
        shorter = 1 if why is Reason.TOO_LARGE else 12
        until = self._clock.monotonic() + self._options.bypass_for / shorter
        stream.mark_large(start, until, why)
        self._counters.not_stored[why.value] += 1


class WaiterOffsets:
    """The offsets where viewers stand (L10): a set that is made when it is first looked
    into. Most answers do not thin the log."""

    __slots__ = ("_offsets", "_readers")

    def __init__(self, readers: Iterable[Reader]) -> None:
        self._readers = readers
        self._offsets: set[str] | None = None

    def __contains__(self, offset: object) -> bool:
        if self._offsets is None:
            self._offsets = {reader.offset for reader in self._readers}
        return offset in self._offsets


# A range


def absorb(
    log: StreamLog,
    route: Route,
    heard: HeardRange,
    keep: Container[str] = (),
    max_probe: int = MAX_PROBE,
) -> Effect:
    """Take an admitted answer into the log.

    ``keep``: L10. ``max_probe``: the size of the last range up to which a check
    of the end begins before it (L7).
    """
    start, admission = heard.start, heard.admission
    known = start == NOW or log.knows(start)
    if is_other_type(log, heard.answer):
        return Effect.OTHER_TYPE if known else Effect.NOT_KEPT
    if not known:
        return _absorb_guess(log, route, heard, keep)
    if _is_silence(heard):
        log.tail.hear_silence()
        return Effect.NO_WORD
    back = _going_back(log, heard)
    if back is not None:
        return back
    proves = _proves(log, start, max_probe)
    if not proves and admission.progress:
        # If these bytes joined now, a later probe would look at them alone (L7).
        return Effect.NOT_KEPT
    joined = _join(log, heard, keep, proves)
    if joined is Joined.DIFFERS:
        return Effect.OTHER_BYTES
    remember(log, route, heard.answer)
    log.last_read_sent = max(log.last_read_sent, heard.read_at)
    if joined is Joined.NO_PROOF and log.tail.unverified and not _names_life(heard):
        # It met nothing of what is held, and so shows nothing of it (L7).
        return Effect.NOT_KEPT
    if proves:
        _confirm(log, heard)
    _learn(log, heard)
    if joined is Joined.NO_PROOF:
        return Effect.NOT_KEPT
    return Effect.GREW if joined is Joined.GREW else Effect.CONFIRMED


def _join(
    log: StreamLog, heard: HeardRange, keep: Container[str], proves: bool
) -> Joined:
    """Offer the range to the log. What lies behind a hole cannot be reached by a check
    from the end, after lost contact (L7)."""
    start, admission = heard.start, heard.admission
    if log.tail.unverified and proves and start == log.end:
        log.drop_behind_hole()
    if start == NOW:
        return Joined.SAME
    return log.join(start, admission.next, admission.data, keep)


def _confirm(log: StreamLog, heard: HeardRange) -> None:
    """The origin has confirmed the stream (L6), or a keeper has which says of which
    life it speaks (W8)."""
    log.tail.confirm(heard.confirmed_at, heard.sent, names_life=_names_life(heard))


def _names_life(heard: HeardRange) -> bool:
    return heard.answer.provenance.by_keeper


def _going_back(log: StreamLog, heard: HeardRange) -> Effect | None:
    """Whether the tail went back, or a closed stream is open (L2). Bytes beyond a
    closed end need no confirmation (L4); a page that ends before the tail says
    nothing."""
    admission = heard.admission
    if not log.tail.went_back(heard.sent, admission.next, admission.closed):
        return None
    if log.tail.outgrows(admission.next):
        return Effect.OTHER_BYTES
    return Effect.WENT_BACK if _tells_all(admission) else None


def _absorb_guess(
    log: StreamLog, route: Route, heard: HeardRange, keep: Container[str]
) -> Effect:
    """A guessed offset: its answer is kept if it proves itself, and only then (L1)."""
    admission = heard.admission
    if not admission.progress:
        _place(log, heard)
        return Effect.NOT_KEPT
    joined = log.join(heard.start, admission.next, admission.data, keep)
    if joined not in (Joined.GREW, Joined.SAME):
        return Effect.NOT_KEPT
    remember(log, route, heard.answer)
    if not log.tail.unverified:
        _confirm(log, heard)
    return Effect.GREW


def _place(log: StreamLog, heard: HeardRange) -> None:
    """Remember where the origin has put a guess above its tail (U14). Anywhere else
    than there or at the end it speaks for this guess alone."""
    placed, admission = heard.start, heard.admission
    end = log.tail.offset
    if end is None or end != log.end or not log.is_above(placed):
        return
    echoes = admission.next == placed and not log.tail.is_page_end
    if echoes or admission.next == end:
        log.placement = Placement(
            placed,
            echoes,
            admission.up_to_date,
            heard.heard_at,
            heard.sent.seq,
            is_from_an_edge(heard.answer.headers),
        )
        log.tail.version += 1


def absorb_stale(
    log: StreamLog,
    route: Route,
    heard: HeardRange,
    keep: Container[str] = (),
    max_probe: int = MAX_PROBE,
) -> Joined:
    """Take the bytes of an edge's stale answer into the log (U9).

    They join by proof (L8), and are as old as that edge says. They end no incarnation:
    who is right, the origin alone knows. GREW, SAME, or NO_PROOF: nothing was taken.
    """
    start, admission = heard.start, heard.admission
    proves = _proves(log, start, max_probe) or not admission.progress
    if start == NOW or not proves or is_other_type(log, heard.answer):
        return Joined.NO_PROOF
    if log.tail.closed and log.is_above(admission.next):
        # Closure is final (L4): these bytes are another stream's.
        return Joined.NO_PROOF
    joined = log.join(start, admission.next, admission.data, keep)
    if joined not in (Joined.GREW, Joined.SAME):
        return Joined.NO_PROOF
    remember(log, route, heard.answer)
    log.tail.date(heard.confirmed_at)
    return joined


def _learn(log: StreamLog, heard: HeardRange) -> None:
    """Learn the tail from the answer to a known offset (L3)."""
    admission = heard.admission
    # A 204 ends a poll: that nothing came is no answer to who asks what there is.
    empty = heard.answer.status == 200 and not admission.data
    told = admission.next, admission.up_to_date, empty
    log.tail.hear(heard.sent, *told, is_all=admission.closed or None)
    if admission.closed:
        log.tail.close(admission.next)
    if not admission.data or heard.start == NOW:
        # It holds nothing, yet the next reader at this offset must find it known.
        log.note_position(admission.next)


def _is_silence(heard: HeardRange) -> bool:
    """Whether it is a 204 without a claim (U8)."""
    admission = heard.admission
    return heard.answer.status == 204 and not (admission.up_to_date or admission.closed)


def _tells_all(admission: Admission) -> bool:
    """Whether the answer ends where the stream does, as far as its origin knows.

    Otherwise it may be a page, and its end says nothing about the tail (L2).
    """
    return admission.up_to_date or admission.closed or not admission.progress


def _proves(log: StreamLog, start: str, max_probe: int) -> bool:
    """Whether an answer from ``start`` shows that this is still the same stream.

    After lost contact, an answer from the end proves nothing: a longer log of a
    recreated stream answers just as well. It is accepted where no read can begin before
    the end. That is the documented limit (L7). Nor does one from before a hole prove
    anything.
    """
    if not log.tail.unverified or not log.holds_bytes:
        return True
    if log.end_alias(start) is not None:
        # Nothing is held behind it that could be compared.
        return log.probe_start(max_probe) == start
    return start != NOW


# A HEAD


def describe(
    log: StreamLog,
    route: Route,
    answer: OriginAnswer,
    sent: RequestSnapshot,
    now: float,
) -> Effect:
    """Take in what a HEAD's 200 tells: type, tail, closure, TTL, expiry (5.5), and
    what event streams repeat of it (L18).

    One without an offset, or that leaves the type unknown, does not describe a stream.
    """
    offset = answer.get(names.IN_NEXT_OFFSET)
    if offset is None or not is_position(offset):
        return Effect.NOT_KEPT
    if log.content_type is None and answer.get("content-type") is None:
        return Effect.NOT_KEPT
    if is_other_type(log, answer):
        return Effect.OTHER_TYPE
    closed = names.is_true(answer.get(names.IN_CLOSED))
    if log.tail.went_back(sent, offset, closed):
        return Effect.WENT_BACK
    remember_head(log, route, answer)
    log.described = log.ttl_told = True
    log.ttl = seconds(answer.get(names.IN_TTL))
    log.expires_told = answer.get(names.IN_EXPIRES_AT)
    log.expires_at = instant(log.expires_told)
    if not log.tail.unverified or not log.holds_bytes:
        told = answer.provenance
        at = now - told.since_confirmed
        log.tail.confirm(at, sent, names_life=told.by_keeper)
    log.tail.hear(sent, offset, None)
    if closed:
        log.tail.close(offset)
    log.note_position(offset)
    return Effect.CONFIRMED


def refuses_known(stream: Stream, start: str, answer: OriginAnswer) -> bool:
    """Whether the origin refuses an offset that it returned for this stream: then
    another stream is there, which has no boundary at that place (L5)."""
    minted = start not in (BEGIN, NOW) and stream.log.knows(start)
    return answer.status == 400 and minted
