"""above_end: what to do with a read whose offset lies above all that is held (U14).

Such a reader knows more than this edge, or its stream was lost and made again, or its
offset was made up. Three steps find out, each shared by all readers above the end:

1. a delta from the end brings what a reader from elsewhere knows already;
2. if the origin says that the end is the tail, the offset is a *guess*. A read from
   one guess shows where this origin puts guesses (``Placement``): at the end, or, as
   an echo, where they are;
3. everybody is told that, or waits there.

A reader is told a smaller offset than its own only by an answer to a request that was
sent after it came. An older one, or a poll that waits at the end, may have been
overtaken by the very bytes that the reader knows of: it would be given them twice.
Another edge in between may answer a delta by such a poll of its own. What it answers to
a guess it has asked for, by this same rule: so behind an edge only a guess tells.

Called by ``decide``, for reads of streams that are described. Pure.
"""

from dataclasses import dataclass

from edge.core.reasons import Reason
from edge.core.values import Read
from edge.policy.streams.decisions import Fetch, Kind, Park, ReadState, Serve
from edge.protocol.offsets import order
from edge.streamlog.stream_log import Placement, StreamLog

PLACEMENT_SECONDS = 60.0
"""How long what one guess has shown is believed of all."""


@dataclass(frozen=True, slots=True)
class Delta:
    """Where a delta begins, and whether the stream needs no check first (L6, L7).

    ``strict``: an armed poll does not vouch for the tail (L3).
    """

    start: str | None
    confirmed: bool
    strict: bool


def decide_above(
    read: Read, log: StreamLog, state: ReadState, delta: Delta
) -> Serve | Park | Fetch:
    """What to do with ``read``; ``state.offset`` is above ``log.end``."""
    tail, offset = log.tail, state.offset
    placed = placement_of(log, state.now)
    if _more_follows(log, state.now):
        # Held are the first pages of what the origin has: that end is no tail.
        return Fetch(offset, Reason.MISS)
    if placed is not None and placed.echoes and _may_wait(read, log, state):
        return Park(offset, minted=False)
    end = tail.offset
    if end is None or not (delta.confirmed and tail.is_told_to(state.barrier)):
        return Fetch(delta.start, Reason.OFFSET_ABOVE, paced=_is_guess(log, offset))
    if order(offset) <= order(end):
        # The origin has named an end that is not held yet.
        return Fetch(offset, Reason.MISS)
    if log.reaches_beyond(end):
        # A write was acknowledged that this answer does not show.
        return Fetch(offset, Reason.OFFSET_UNKNOWN, paced=not log.knows(offset))
    if tail.closed or (placed is not None and _tells_end(placed, state)):
        known = tail.is_known_to(state.barrier, end, state.now, delta.strict)
        return Serve(Kind.EMPTY, end, end, known, known and tail.closed)
    if placed is not None and placed.echoes and not read.mode.live:
        return Serve(Kind.EMPTY, offset, offset, placed.claims)
    return Fetch(offset, Reason.OFFSET_UNKNOWN, paced=True)


def placement_of(log: StreamLog, now: float) -> Placement | None:
    """Where the origin puts guesses above the end, as far as that is known now.

    Once the log has reached the guess that was echoed, it may have been no echo: the
    stream had grown up to there, and this edge had not heard of it.
    """
    placed = log.placement
    if placed is None or now - placed.at >= PLACEMENT_SECONDS:
        return None
    reached = placed.echoes and not log.is_above(placed.offset)
    return None if reached else placed


def _tells_end(placed: Placement, state: ReadState) -> bool:
    """Whether this reader, too, is put at the end, of which a delta has told."""
    if placed.echoes:
        return False
    return not placed.by_edge or placed.seq > state.barrier.seq


def _more_follows(log: StreamLog, now: float) -> bool:
    """Whether the last answer that ended here was a page, and no poll waits here."""
    tail = log.tail
    return tail.offset == log.end and tail.is_page_end and not tail.is_armed(now)


def _may_wait(read: Read, log: StreamLog, state: ReadState) -> bool:
    """Whether a live reader may wait at a guess for what the follower brings. Not where
    nothing can follow, and no edge while the origin is away (U8). Nor where a write was
    acknowledged, which it is to see (L4)."""
    edge = state.is_front or bool(read.hops)
    away = state.fault is not None and edge
    waits = read.mode.live and not log.tail.closed and not away
    return waits and _is_guess(log, state.offset)


def _is_guess(log: StreamLog, offset: str) -> bool:
    """Whether nobody has named this offset or one beyond it: not the origin, and no
    acknowledgement. Only guesses are paced; who reads its own write is not (L4)."""
    return not (log.knows(offset) or log.reaches_beyond(offset))
