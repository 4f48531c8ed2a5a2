"""decide: what to do with a read, given what is held and what time it is.

The one judgement of reads (``admission`` judges answers): a pure function with a closed
set of outcomes. It never asks, waits or sends. The hub does that, and then decides
again. A read is decided when it arrives, after each upstream answer that it waited for,
and each time its log grew.

======== ==================================================================
Serve    from the log, as this kind of answer, with these claims
Park     wait at this offset until the log grows (live reads only)
Fetch    ask the origin from this offset on (None: ask by HEAD) and decide again
Pass     pass the read through, one to one
Refuse   the origin failed, and nothing held can answer
NoHead   a front opens a stream, and HEAD does not tell
======== ==================================================================

Rules are cited from docs/rules.md. On a first reading, start at ``decide`` and follow
a catch-up read at the end of a followed stream.
"""

from dataclasses import dataclass

from edge.core.reasons import Reason
from edge.core.values import Mode, PartitionKind, Read
from edge.policy.streams.above_end import Delta, decide_above
from edge.policy.streams.decisions import (
    Decision,
    Fetch,
    Kind,
    NoHead,
    Park,
    Pass,
    ReadState,
    Refuse,
    Serve,
)
from edge.policy.streams.routes import Route, TailMode
from edge.policy.streams.ways import OriginWay
from edge.protocol.offsets import NOW
from edge.streamlog.barriers import reaches
from edge.streamlog.stream_log import StreamLog

MAX_PROBE = 64 * 1024
"""Bytes that a check of the end may read again (L7)."""

MAX_GAP_FETCHES = 3
"""How many upstream answers a reader waits for to have a hole filled (L20)."""

MAX_SHARED_DELTAS = 2
"""After how many upstream answers a reader asks by its own name of a place (L8)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The numbers that decide goes by. Seconds and bytes.

    ``verify``: L6. ``trust``: L14. ``max_probe``: L7.
    """

    max_page: int
    verify: float
    trust: float
    max_probe: int = MAX_PROBE

    def verify_for(self, log: StreamLog, kind: PartitionKind) -> float:
        """How long a confirmation lasts for this log (L6, L14)."""
        verify = self.verify if log.ttl is None else min(self.verify, log.ttl / 3)
        if kind is PartitionKind.CREDENTIAL:
            return min(verify, self.trust)
        return verify


def decide(
    read: Read, log: StreamLog, state: ReadState, route: Route, rules: Rules
) -> Decision:
    """What to do with ``read`` now."""
    if read.expires_at is not None and state.wall >= read.expires_at:
        return Pass(Reason.EXPIRED_CREDENTIAL)
    if read.mode is Mode.HEAD:
        return _decide_head(read, log, state, route, rules)
    if state.offset == NOW:
        return _decide_now(read, log, state, route, rules)
    if not log.holds(state.offset):
        return _decide_unheld(read, log, state, route, rules)
    return _decide_held(read, log, state, route, rules)


def _ask(state: ReadState, fetch: Fetch) -> Fetch | Refuse:
    """Ask the origin, or refuse when the last attempt failed."""
    return fetch if state.fault is None else Refuse(state.fault)


def _decide_head(
    read: Read, log: StreamLog, state: ReadState, route: Route, rules: Rules
) -> Decision:
    """A HEAD is for the origin to answer. But a keeper answers its fronts from what it
    knows, where that is no less (W9): the stream is described, needs no check, and its
    tail is known. A write may be on its way through the armed poll. Nor does it ask for
    a front that opens a stream what it knows to be refused (U12)."""
    tail = log.tail
    if read.opens and not state.head_tells:
        return NoHead()
    told = log.described and log.ttl_told and state.head_tells
    if not (state.is_front and told and tail.offset is not None):
        return _ask(state, Fetch(None, Reason.MISS, fresh=True))
    if _check(read, log, state, rules) is None:
        if _is_known(log, state, tail.offset, route):
            return _empty(tail.offset, tail.closed)
        if not tail.shows(state.barrier, tail.offset):
            return _ask(state, Fetch(None, Reason.NEWER_WRITE, fresh=True))
    return _ask(state, Fetch(None, Reason.MISS, fresh=True))


def _is_described(log: StreamLog, state: ReadState) -> bool:
    """Whether a live reader can be told what a HEAD tells (L20).

    A GET that stood in for the HEAD did not tell the TTL. Once HEAD may be asked again,
    the next reader that arrives asks (U12); nobody else waits for that.
    """
    untold = not log.ttl_told and state.head_tells and state.arrives
    return log.described and not untold


def _open(log: StreamLog, state: ReadState, offset: str) -> Fetch:
    """The request that describes the stream to a live reader at ``offset``: a HEAD
    (L20), or a GET where HEAD does not tell (U12).

    The GET asks for what the reader asks for, unless ``offset`` is a guess: an empty
    answer to a guess says nothing of the tail (L1), so the tail is asked for.
    """
    if state.head_tells:
        return Fetch(None, Reason.COLD_OPEN, fresh=True)
    start = offset if log.knows(offset) else NOW
    return Fetch(start, Reason.HEAD_REFUSED, fresh=start == NOW)


def _is_known(log: StreamLog, state: ReadState, end: str, route: Route) -> bool:
    strict = route.tail is TailMode.STRICT
    return log.tail.is_known_to(state.barrier, end, state.now, strict)


def _was_heard_at(log: StreamLog, state: ReadState, end: str) -> bool:
    """Whether the origin said, since this reader arrived, that data reaches ``end``.

    Such an answer without a claim to be up to date comes from an origin that never
    makes the claim, or that pages. Asking again would bring nothing new (L3).
    """
    return log.tail.offset == end and log.tail.is_heard_by(state.barrier)


def _answers(
    log: StreamLog, state: ReadState, page_end: str | None, end: str, known: bool
) -> bool:
    """Whether what is held up to ``end`` answers, though perhaps without the claim.

    Neither data nor the claim invites the client to ask again at once. So it is told
    only if the origin itself answered so since this reader arrived (L3).
    """
    if known or page_end is not None:
        return known or _was_heard_at(log, state, end)
    return log.tail.offset == end and log.tail.is_unclaimed_to(state.barrier)


def _decide_now(
    read: Read, log: StreamLog, state: ReadState, route: Route, rules: Rules
) -> Decision:
    """``offset=now``: the tail as it is when asked (section 8, L20)."""
    tail = log.tail
    if tail.offset is not None and _is_settled(read, log, state, route, rules):
        known = _is_known(log, state, tail.offset, route)
        answers = _answers(log, state, None, tail.offset, known)
        if tail.closed or (not read.mode.live and answers):
            return _empty(tail.offset, tail.closed, known)
        if read.mode.live and _is_described(log, state):
            return Park(tail.offset)
    if not read.mode.live:
        return _ask(state, Fetch(NOW, Reason.TAIL_UNKNOWN, fresh=True))
    return _ask(state, _open(log, state, NOW))


def _is_settled(
    read: Read, log: StreamLog, state: ReadState, route: Route, rules: Rules
) -> bool:
    """Whether the tail is what ``now`` means for this reader: heard since it arrived,
    or known, in a stream that needs no check (L6, L14, L23)."""
    tail = log.tail
    if tail.is_heard_by(state.barrier):
        return tail.shows(state.barrier, tail.offset or "")
    known = tail.offset is not None and _is_known(log, state, tail.offset, route)
    return known and _check(read, log, state, rules) is None


def _decide_unheld(
    read: Read, log: StreamLog, state: ReadState, route: Route, rules: Rules
) -> Decision:
    """An offset from which nothing is held (L1, L20)."""
    if read.mode.live and not _is_described(log, state):
        return _ask(state, _open(log, state, state.offset))
    if log.end is None or not log.is_above(state.offset):
        return _ask(state, Fetch(state.offset, Reason.MISS))
    verify = rules.verify_for(log, read.key.partition.kind)
    confirmed = log.tail.is_confirmed_to(state.barrier, state.now, verify)
    # After lost contact only a delta from before the end proves anything (L7).
    start = log.end if confirmed else log.probe_start(rules.max_probe)
    strict = route.tail is TailMode.STRICT
    decision = decide_above(read, log, state, Delta(start, confirmed, strict))
    return _ask(state, decision) if isinstance(decision, Fetch) else decision


def _decide_held(
    read: Read, log: StreamLog, state: ReadState, route: Route, rules: Rules
) -> Decision:
    """An offset that the log holds: data can be read from it, or it is the end."""
    page_end = log.page_end(state.offset, rules.max_page)
    check = _check(read, log, state, rules)
    if check is not None:
        return _ask_held(check, read, log, state, route, page_end)
    if page_end is not None and page_end != log.end:
        if _hides_write(log, state, page_end):
            return Fetch(page_end, Reason.MISS)
        return _serve_behind(read, log, state, page_end)
    end = page_end or log.end_alias(state.offset)
    if end is None:
        # A hole: data follows, but there is no minted boundary to hand out.
        return _ask(state, Fetch(state.offset, Reason.MISS))
    if log.reaches_beyond(end):
        if page_end is not None and _was_heard_at(log, state, end):
            if not read.mode.live and _is_told_after_writes(log):
                return _serve_tail(log, state, page_end, end, known=False)
            return _serve_behind(read, log, state, page_end)
        ask = _delta(log, state, page_end, end, Reason.NEWER_WRITE)
        return _ask_held(ask, read, log, state, route, page_end)
    if read.mode.live:
        return _decide_live(read, log, state, route, page_end, end)
    known = _is_known(log, state, end, route)
    if _answers(log, state, page_end, end, known):
        return _serve_tail(log, state, page_end, end, known)
    ask = _delta(log, state, page_end, end, _why_unknown(log, state, end))
    return _ask_held(ask, read, log, state, route, page_end)


def _why_unknown(log: StreamLog, state: ReadState, end: str) -> Reason:
    """Why the origin is asked what follows the end. A write that is known by sight may
    be on its way through the armed poll (W5)."""
    marked = state.barrier.mark is not None
    behind = marked and not log.tail.shows(state.barrier, end)
    return Reason.NEWER_WRITE if behind else Reason.TAIL_UNKNOWN


def _ask_held(
    fetch: Fetch,
    read: Read,
    log: StreamLog,
    state: ReadState,
    route: Route,
    page_end: str | None,
) -> Decision:
    """Ask about what is held, or do without when the last attempt failed."""
    if state.fault is None:
        return fetch
    return _without(read, log, state, route, page_end)


def _check(read: Read, log: StreamLog, state: ReadState, rules: Rules) -> Fetch | None:
    """The request that must go first, before anything held is shown (L6, L7, L14,
    L23). None: none."""
    verify = rules.verify_for(log, read.key.partition.kind)
    if not log.tail.is_confirmed_to(state.barrier, state.now, verify):
        return Fetch(log.probe_start(rules.max_probe), Reason.UNCONFIRMED)
    # One check is enough for each reader, however long its answer took.
    asked = log.tail.confirmed_seq > state.barrier.seq
    unread = state.now - log.last_read_sent
    if log.ttl is not None and unread > log.ttl / 3 and not asked:
        return Fetch(log.end, Reason.SLIDING_TTL)
    return None


def _hides_write(log: StreamLog, state: ReadState, page_end: str) -> bool:
    """Whether a hole at ``page_end`` hides a write from this reader that was
    acknowledged before it arrived (L4, L20).

    A full page hides nothing: the next one follows at once. Only an origin that
    pages leaves the hole open after one answer.
    """
    barrier = state.barrier
    if not barrier.writes or log.end_alias(page_end) is None:
        return False
    if reaches(barrier, page_end):
        return False
    return state.fault is None and state.asked < MAX_GAP_FETCHES


def _is_told_after_writes(log: StreamLog) -> bool:
    """Whether the origin claimed that the tail is all, to a read that was sent after
    each write that was answered here.

    A write that named a later place was then another life's, or the origin is slow. It
    does not show that anything lies beyond the tail (L16)."""
    tail = log.tail
    return tail.up_to_date and tail.told_writes >= tail.writes


def _serve_behind(
    read: Read, log: StreamLog, state: ReadState, page_end: str
) -> Decision:
    """More is known beyond this page: it is closed, and carries no claims (E2)."""
    if read.mode.live:
        return Serve(Kind.LIVE, state.offset, page_end)
    return Serve(Kind.CLOSED_RANGE, state.offset, page_end)


def _delta(
    log: StreamLog, state: ReadState, page_end: str | None, end: str, reason: Reason
) -> Fetch:
    """Ask what follows the end. Where events were heard, such a read first begins
    before it and must match: an event stream may be mute because its stream was made
    anew, which a delta cannot see (L7, U17). A reader may have waited for an event
    before; whom no such answer served asks from the end.

    It does so by its own name of that place, if it has read all before it. What cannot
    be kept (L7, L8) is given to who asked for just that, and to nobody else."""
    if state.asked >= MAX_SHARED_DELTAS:
        return Fetch(end if page_end is not None else state.offset, reason)
    mute = log.by_events and end == log.end
    return Fetch((mute and log.probe_start(MAX_PROBE)) or end, reason)


def _decide_live(
    read: Read,
    log: StreamLog,
    state: ReadState,
    route: Route,
    page_end: str | None,
    end: str,
) -> Decision:
    """A live read whose page, if any, ends where the log does."""
    known = _is_known(log, state, end, route)
    closed = known and log.tail.closed
    newer_write = not log.tail.covers(state.barrier, end)
    if newer_write and state.fault is None:
        return _delta(log, state, page_end, end, Reason.NEWER_WRITE)
    if page_end is not None:
        return Serve(Kind.LIVE, state.offset, page_end, known, closed)
    if closed:
        return _empty(end, closed=True)
    if not _is_described(log, state) and state.fault is None:
        return _open(log, state, end)
    return _wait(read, state, end)


def _serve_tail(
    log: StreamLog, state: ReadState, page_end: str | None, end: str, known: bool
) -> Serve:
    """The answer reaches the end. ``known``: nothing follows, as is known now (L3)."""
    closed = known and log.tail.closed
    if page_end is None:
        return _empty(end, closed, known)
    kind = Kind.CLOSED_RANGE if closed else Kind.TAIL
    return Serve(kind, state.offset, end, known, closed)


def _empty(end: str, closed: bool, up_to_date: bool = True) -> Serve:
    return Serve(Kind.EMPTY, end, end, up_to_date, closed)


def _without(
    read: Read, log: StreamLog, state: ReadState, route: Route, page_end: str | None
) -> Decision:
    """The origin is away: what is held is shown without claims, as stale (L6, U2), for
    as long as that is allowed (U4).

    A reader with a credential is not shown it: only the origin can judge the
    credential (L14). It may park, because that shows nothing. A reader at the end is
    never given an empty answer without a claim: it would ask again at once.
    """
    fault = state.fault
    assert fault is not None
    private = read.key.partition.kind is PartitionKind.CREDENTIAL
    if page_end is not None and not private:
        if may_go_stale(log, route, state.now, state.wall):
            return Serve(Kind.STALE, state.offset, page_end)
        return Refuse(fault)
    stand = log.end_alias(state.offset)
    if read.mode.live and stand is not None:
        return _wait(read, state, stand)
    return Refuse(fault)


def _wait(read: Read, state: ReadState, stand: str) -> Park | Serve:
    """Wait where the log ends. An edge that polls does not while the origin is away: it
    is answered without a claim, takes that for lost contact, and backs off (U8)."""
    edge = state.is_front or bool(read.hops)
    if state.fault is not None and edge and read.mode is Mode.LONG_POLL:
        return _empty(stand, closed=False, up_to_date=False)
    return Park(stand)


def stale_seconds(route: Route) -> float:
    """For how long held bytes may go out stale on this route (U4). Where the origin
    judges who may see them: no longer than twice the time for which it is believed."""
    trusts = (2 * way.trust for way in route.ways if isinstance(way, OriginWay))
    return min(route.stale_for, min(trusts, default=route.stale_for))


def may_go_stale(log: StreamLog, route: Route, now: float, wall: float) -> bool:
    """Whether what is held may still be shown, though the origin is away (U4).

    At most ``stale_seconds`` after the last confirmation, or what the origin allows if
    that is less. Never past the stream's own end: its expiry, or its TTL after the last
    read that the origin saw (L23). Nor where it may have been deleted through this node
    (W5).
    """
    if log.tail.is_suspect:
        return False
    limit = stale_seconds(route)
    if log.stale_limit is not None:
        limit = min(limit, log.stale_limit)
    if limit <= 0 or now - log.tail.confirmed_at > limit:
        return False
    if log.expires_at is not None and wall >= log.expires_at:
        return False
    return log.ttl is None or now < log.last_read_sent + log.ttl
