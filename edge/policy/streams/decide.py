"""decide: what to do with a read, given what is held and what time it is.

The one judgement of the edge (DESIGN section 3, idea 6): a pure function with a
closed set of outcomes. It never asks, waits or sends; the hub does, and then
asks again. A read is decided at its arrival, after each upstream answer that it
waited for, and after each time its log grew.

======== ==================================================================
Serve    from the log, as this kind of answer, with these claims
Park     wait at this offset until the log grows (live reads only)
Fetch    ask the origin from this offset on (None: ask by HEAD) and decide again
Pass     pass the read through, one to one
Refuse   the origin failed, and nothing held can answer
======== ==================================================================

Rules are cited from LOG.md. Whoever reads this for the first time: start at
``decide`` and follow a catch-up read at the end of a followed stream.
"""

from dataclasses import dataclass

from edge.core.errors import OriginFault
from edge.core.reasons import Reason
from edge.core.values import Mode, PartitionKind, Read
from edge.policy.streams.freshness import Kind
from edge.policy.streams.routes import Route, Tail
from edge.protocol.offsets import NOW, order
from edge.streamlog.stream_log import StreamLog
from edge.streamlog.tail import Arrival

MAX_PROBE = 64 * 1024
"""Bytes that a check of the end may read again (L7)."""

MOST_MENDS = 3
"""Upstream answers for which a reader waits so that a hole is filled (L20)."""


@dataclass(frozen=True, slots=True)
class Serve:
    """Answer from the log: ``[start, next)``, or nothing when they are equal."""

    kind: Kind
    start: str
    next: str
    up_to_date: bool = False
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Park:
    """Wait at ``offset``, which the origin minted, until the log grows."""

    offset: str


@dataclass(frozen=True, slots=True)
class Fetch:
    """Ask the origin from ``start`` on, or by HEAD when it is None.

    ``fresh``: only a request that begins after this reader arrived will do.
    """

    start: str | None
    reason: Reason
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Pass:
    """Pass the read through by itself: neither joined nor kept."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Refuse:
    """The origin failed and nothing that is held can hide it."""

    fault: OriginFault


Decision = Serve | Park | Fetch | Pass | Refuse


@dataclass(frozen=True, slots=True)
class Rules:
    """The numbers that decide goes by. Seconds and bytes.

    ``verify``: L6. ``trust``: L14. ``max_probe``: L7.
    """

    max_page: int = 1024 * 1024
    verify: float = 60.0
    trust: float = 30.0
    max_probe: int = MAX_PROBE

    def verify_for(self, log: StreamLog, kind: PartitionKind) -> float:
        """How long a confirmation lasts for this log (L6, L14)."""
        verify = self.verify if log.ttl is None else min(self.verify, log.ttl / 3)
        if kind is PartitionKind.CREDENTIAL:
            return min(verify, self.trust)
        return verify


@dataclass(frozen=True, slots=True)
class Moment:
    """When a read is decided, and what its reader has been through since it came.

    ``now`` is monotonic, ``wall`` Unix seconds. ``offset`` is where the reader
    stands: its own offset, or what ``now`` turned out to be. ``fault`` is how
    the last upstream request that it waited for failed, None if it did not;
    ``asked`` is for how many it waited since it was last served or parked.
    """

    now: float
    wall: float
    offset: str
    arrival: Arrival
    fault: OriginFault | None = None
    asked: int = 0


def decide(
    read: Read, log: StreamLog, moment: Moment, route: Route, rules: Rules
) -> Decision:
    """What to do with ``read`` now."""
    if read.expires_at is not None and moment.wall >= read.expires_at:
        return Pass(Reason.EXPIRED_CREDENTIAL)
    if read.mode is Mode.HEAD:
        return _ask(moment, Fetch(None, Reason.MISS, fresh=True))
    if moment.offset == NOW:
        return _decide_now(read, log, moment, route, rules)
    if not log.holds(moment.offset):
        return _decide_unheld(read, log, moment, route, rules)
    return _decide_held(read, log, moment, route, rules)


def _ask(moment: Moment, fetch: Fetch) -> Fetch | Refuse:
    """Ask, unless asking is what just failed."""
    return fetch if moment.fault is None else Refuse(moment.fault)


def _is_known(log: StreamLog, moment: Moment, end: str, route: Route) -> bool:
    strict = route.tail is Tail.STRICT
    return log.tail.is_known_to(moment.arrival, end, moment.now, strict)


def _was_heard_at(log: StreamLog, moment: Moment, end: str) -> bool:
    """Whether the origin told since this reader arrived that data reaches ``end``.

    One that then does not claim that this is all may never do so, or hands out
    pages: to ask it again would bring no more (L3).
    """
    return log.tail.offset == end and log.tail.is_heard_by(moment.arrival)


def _decide_now(
    read: Read, log: StreamLog, moment: Moment, route: Route, rules: Rules
) -> Decision:
    """``offset=now``: the tail as it is when asked (section 8, L20)."""
    tail = log.tail
    if tail.offset is not None and _is_settled(read, log, moment, route, rules):
        known = _is_known(log, moment, tail.offset, route)
        if tail.closed or not read.mode.live:
            return _empty(tail.offset, tail.closed, known)
        if log.described:
            return Park(tail.offset)
    if not read.mode.live:
        return _ask(moment, Fetch(NOW, Reason.TAIL_UNKNOWN, fresh=True))
    return _ask(moment, Fetch(None, Reason.COLD_OPEN, fresh=True))


def _is_settled(
    read: Read, log: StreamLog, moment: Moment, route: Route, rules: Rules
) -> bool:
    """Whether the tail is where ``now`` is for this reader: heard since it came,
    or known, of a stream that needs no check (L6, L14, L23)."""
    tail = log.tail
    if tail.is_heard_by(moment.arrival):
        return True
    known = tail.offset is not None and _is_known(log, moment, tail.offset, route)
    return known and _check(read, log, moment, rules) is None


def _decide_unheld(
    read: Read, log: StreamLog, moment: Moment, route: Route, rules: Rules
) -> Decision:
    """An offset from which nothing is held (L1, L20)."""
    if read.mode.live and not log.described:
        return _ask(moment, Fetch(None, Reason.COLD_OPEN, fresh=True))
    end = log.end
    if end is None or not log.is_above(moment.offset):
        return _ask(moment, Fetch(moment.offset, Reason.MISS))
    if _is_known(log, moment, end, route) or _was_heard_at(log, moment, end):
        return Pass(Reason.OFFSET_UNKNOWN)
    # After lost contact the delta begins before the end, or proves nothing (L7).
    start = log.probe_start(rules.max_probe) if log.tail.suspect else end
    return _ask(moment, Fetch(start, Reason.OFFSET_ABOVE))


def _decide_held(
    read: Read, log: StreamLog, moment: Moment, route: Route, rules: Rules
) -> Decision:
    """An offset from which the log can be read, be it only up to its end."""
    reach = log.reach(moment.offset, rules.max_page)
    check = _check(read, log, moment, rules)
    if check is not None:
        return check if moment.fault is None else _without(read, log, moment, reach)
    if reach is not None and reach != log.end:
        if _hides_write(log, moment, reach):
            return Fetch(reach, Reason.MISS)
        return _serve_behind(read, log, moment, reach)
    end = reach or log.stand(moment.offset)
    if end is None:
        # A hole: data follows, but no boundary that could be handed out.
        return _ask(moment, Fetch(moment.offset, Reason.MISS))
    if log.reaches_beyond(end):
        if reach is not None and _was_heard_at(log, moment, end):
            return _serve_behind(read, log, moment, reach)
        ask: Decision = Fetch(end, Reason.NEWER_WRITE)
        return ask if moment.fault is None else _without(read, log, moment, reach)
    if read.mode.live:
        return _decide_live(read, log, moment, route, reach, end)
    known = _is_known(log, moment, end, route)
    if known or _was_heard_at(log, moment, end):
        return _serve_tail(log, moment, reach, end, known)
    if moment.fault is not None:
        return _without(read, log, moment, reach)
    return Fetch(end, Reason.TAIL_UNKNOWN)


def _check(read: Read, log: StreamLog, moment: Moment, rules: Rules) -> Fetch | None:
    """What must be asked before anything held may be shown (L6, L7, L14, L23)."""
    verify = rules.verify_for(log, read.key.partition.kind)
    if not log.tail.is_confirmed_to(moment.arrival, moment.now, verify):
        return Fetch(log.probe_start(rules.max_probe), Reason.UNCONFIRMED)
    # Once for each reader is enough, however long it took to be answered.
    asked = log.tail.confirmed_seq > moment.arrival.seq
    unread = moment.now - log.last_read_sent
    if log.ttl is not None and unread > log.ttl / 3 and not asked:
        return Fetch(log.end, Reason.SLIDING_TTL)
    return None


def _hides_write(log: StreamLog, moment: Moment, reach: str) -> bool:
    """Whether a hole at ``reach`` keeps from this reader a write that was
    acknowledged before it came (L4, L20).

    A page that is full does not hide anything: the next one follows at once.
    Only an origin that hands out pages leaves the hole open after one answer.
    """
    arrival = moment.arrival
    if not arrival.writes or log.stand(reach) is None:
        return False
    if arrival.ack is not None and order(reach) >= order(arrival.ack):
        return False
    return moment.fault is None and moment.asked < MOST_MENDS


def _serve_behind(read: Read, log: StreamLog, moment: Moment, reach: str) -> Decision:
    """More is known beyond this page: it is closed, and carries no claims (E2)."""
    if read.mode.live:
        return Serve(Kind.LIVE, moment.offset, reach)
    return Serve(Kind.CLOSED_RANGE, moment.offset, reach)


def _decide_live(
    read: Read,
    log: StreamLog,
    moment: Moment,
    route: Route,
    reach: str | None,
    end: str,
) -> Decision:
    """A live read whose page, if any, ends where the log does."""
    known = _is_known(log, moment, end, route)
    closed = known and log.tail.closed
    newer_write = not log.tail.covers(moment.arrival, end)
    if newer_write and moment.fault is None:
        return Fetch(end, Reason.NEWER_WRITE)
    if reach is not None:
        return Serve(Kind.LIVE, moment.offset, reach, known, closed)
    if closed:
        return _empty(end, closed=True)
    if not log.described and moment.fault is None:
        return Fetch(None, Reason.COLD_OPEN, fresh=True)
    return Park(end)


def _serve_tail(
    log: StreamLog, moment: Moment, reach: str | None, end: str, known: bool
) -> Serve:
    """The answer reaches the end. ``known``: that this is all, is known now (L3)."""
    closed = known and log.tail.closed
    if reach is None:
        return _empty(end, closed, known)
    kind = Kind.CLOSED_RANGE if closed else Kind.TAIL
    return Serve(kind, moment.offset, end, known, closed)


def _empty(end: str, closed: bool, up_to_date: bool = True) -> Serve:
    return Serve(Kind.EMPTY, end, end, up_to_date, closed)


def _without(read: Read, log: StreamLog, moment: Moment, reach: str | None) -> Decision:
    """The origin is away: what is held is shown without claims, as stale (L6, L21).

    Not to a credential, which only the origin can judge (L14): it may wait, for
    waiting shows nothing.
    """
    fault = moment.fault
    assert fault is not None
    private = read.key.partition.kind is PartitionKind.CREDENTIAL
    if reach is not None and not private:
        return Serve(Kind.STALE, moment.offset, reach)
    stand = log.stand(moment.offset)
    if read.mode.live and stand is not None:
        return Park(stand)
    return Refuse(fault)
