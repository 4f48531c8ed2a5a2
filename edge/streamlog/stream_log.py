"""StreamLog: the part of one incarnation of a stream that the edge has seen.

It answers three questions: what can be read from here (``page``, ``end_alias``), what
the origin is known to have said (``knows``, L1), and where a check of the end begins
(``probe_start``, L7). It takes in answers (``join``, by the rules of
``edge.streamlog.joining``) and keeps its own size. It never calls the origin and never
looks at a clock. ``edge.policy`` decides what to do with what it says. Only
``edge.live`` changes it, ``ingest`` most of all.

JSON streams are held as fragments (``edge.protocol.json_arrays``). What is said here
of bytes then holds of fragments.
"""

from collections.abc import Container
from dataclasses import dataclass
from typing import NamedTuple

from edge.core import costs
from edge.core.values import Headers, Lineage
from edge.protocol import json_arrays
from edge.protocol.offsets import BEGIN, order
from edge.streamlog import joining
from edge.streamlog.joining import Joined
from edge.streamlog.segments import Segment, SegmentPosition, Segments
from edge.streamlog.tail import NEVER, Tail

__all__ = ["UNKNOWN_TTL", "Joined", "Page", "Placement", "StreamLog"]


UNKNOWN_TTL = 90
"""Seconds taken for the TTL of a stream that a GET has opened, which does not tell it
(U12). Taken for too long, the stream may expire under its readers (L23); for too short,
its end is read for nothing. A third of this is as long as origins hold a poll: a stream
that is followed costs nothing more."""


MAX_NEWEST = 4096
"""Bytes of what was joined last, up to which it is held once more, as it came."""


class Page(NamedTuple):
    """A closed range as it is held: ``data`` is a fragment in JSON streams."""

    start: str
    next: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the origin put ``offset``, which was above the end and a guess (U14).

    ``echoes``: where it was, and not at the end. ``claims``: with the claim to be up to
    date. ``at`` is when that was heard, in monotonic seconds, ``seq`` when the read was
    sent, in the tail's order. ``by_edge``: another edge is in between, whose deltas may
    be answered by what it believes itself.
    """

    offset: str
    echoes: bool
    claims: bool
    at: float
    seq: int
    by_edge: bool


class StreamLog:
    """All segments of one incarnation, and what is known of its tail."""

    __slots__ = (
        "_newest",
        "_segments",
        "began",
        "began_at",
        "by_events",
        "content_type",
        "described",
        "expires_at",
        "expires_told",
        "incarnation",
        "is_json",
        "kept_headers",
        "last_read_sent",
        "lineage",
        "named_life",
        "origin_cursor",
        "placement",
        "row",
        "stale_limit",
        "tail",
        "ttl",
        "ttl_told",
    )

    def __init__(
        self, incarnation: int, hold: float, row: int = 0, *, began: bool = False
    ) -> None:
        self.incarnation = incarnation
        # What fronts are told of it (W8): the number of its row, and whether it began
        # here (L5), or was the first one in a row that was made, maybe anew.
        self.row = row
        self.began = began
        # When it did (monotonic seconds): a write that is older may have been another
        # life's.
        self.began_at = NEVER
        # Of which life it is, as a keeper has told; None: none was asked.
        self.lineage: Lineage | None = None
        # Whether a front was told of which life it is.
        self.named_life = False
        self.tail = Tail(hold)
        self._segments = Segments()
        # What was joined behind the end last, if it is small: who follows the end is
        # given this and nothing else. None: anything else has happened since.
        self._newest: Page | None = None
        # What a HEAD tells (L20), and whether one did; or a GET, where HEAD does not
        # tell (U12). Of these the origin may not have told the TTL and the expiry.
        self.described = False
        self.ttl_told = False
        # Whether an event stream was heard, and bytes may have come by it (U16, U17).
        self.by_events = False
        self.content_type: str | None = None
        self.is_json = False
        self.ttl: int | None = None
        self.expires_at: float | None = None
        self.expires_told: str | None = None
        # When the last GET that the origin counts as a read was sent (L23).
        self.last_read_sent = NEVER
        self.origin_cursor: str | None = None
        # The origin's header fields that the route keeps (L18).
        self.kept_headers: Headers = ()
        # Seconds that the origin lets its answers go out stale, None: no word (U4).
        self.stale_limit: float | None = None
        # Where the origin last put a guess above the end (U14), None: none was asked.
        self.placement: Placement | None = None

    def __repr__(self) -> str:
        held = " ".join(f"[{s.start},{s.end})" for s in self._segments)
        return f"<StreamLog #{self.incarnation} {held or 'empty'} {self.tail!r}>"

    @property
    def cost(self) -> int:
        """Bytes that count in the budget: data, boundaries, what holds them, and what
        is noted of foreign writes."""
        foreign = self.tail.foreign
        noted = 0 if foreign is None else foreign.cost
        newest = self._newest
        again = 0 if newest is None else len(newest.data)
        return costs.LOG + self._segments.cost + noted + again

    # What is held

    @property
    def end(self) -> str | None:
        """The end of what is held, None when nothing is."""
        if self._newest is not None:
            return self._newest.next
        last = self._segments.last
        return None if last is None else last.end

    @property
    def holds_bytes(self) -> bool:
        """Whether any byte can be read from here."""
        return any(segment.length for segment in self._segments)

    @property
    def segments(self) -> tuple[Segment, ...]:
        """All of them, in order."""
        return tuple(self._segments)

    @property
    def was_read(self) -> bool:
        """Whether a GET has brought anything of this stream."""
        return self.last_read_sent > NEVER

    @property
    def is_empty(self) -> bool:
        """Whether nothing is known of the stream."""
        return self.tail.offset is None and not self.holds_bytes

    def told_lineage(self, boot: int) -> Lineage:
        """Which life a keeper with this ``boot`` says that it speaks of (W8): its own
        words for it, or those of the keeper before it, from which it has the log."""
        number = self.incarnation if self.began else None
        return self.lineage or Lineage(boot, number, self.row)

    @property
    def has_own_life(self) -> bool:
        """Whether a front may know a life of it that is this keeper's own: no word of a
        keeper before this one is of that."""
        return self.lineage is None and (self.began or self.named_life)

    def knows(self, offset: str) -> bool:
        """Whether the origin returned ``offset`` for this key (L1)."""
        if offset in (BEGIN, self.tail.offset, self.tail.ack):
            return True
        place = self._segments.find(offset)
        return place is not None and place.segment.is_minted(offset)

    def holds(self, offset: str) -> bool:
        """Whether ``offset`` can be read from here, or is the end."""
        newest = self._newest
        if newest is not None and offset in (newest.start, newest.next):
            return True
        return self._segments.find(offset) is not None

    def is_above(self, offset: str) -> bool:
        """Whether ``offset`` sorts after everything held (L1)."""
        return self.end is None or order(offset) > order(self.end)

    def reaches_beyond(self, offset: str) -> bool:
        """Whether the origin named a later offset: a range up to this one is closed."""
        here, tail = order(offset), self.tail
        end, told, ack = self.end, tail.offset, tail.ack
        # Most often all that is known ends there.
        return (
            (end is not None and end != offset and order(end) > here)
            or (told is not None and told != offset and order(told) > here)
            or (ack is not None and ack != offset and order(ack) > here)
        )

    def page(self, offset: str, max_page: int) -> Page | None:
        """The closed range that begins at ``offset`` (L9).

        None where no bytes follow, and where ``offset`` is not held. Copies the page
        once at most.
        """
        newest = self._newest
        if newest is not None and self._is_newest(newest, offset, max_page):
            return newest
        place = self._place(offset)
        cut = None if place is None else place.segment.cut(place.position, max_page)
        if place is None or cut is None:
            return None
        return Page(offset, cut[0], place.segment.copy(place.position, cut[1]))

    def page_end(self, offset: str, max_page: int) -> str | None:
        """Where ``page`` would end, without making it."""
        newest = self._newest
        if newest is not None and self._is_newest(newest, offset, max_page):
            return newest.next
        place = self._place(offset)
        cut = None if place is None else place.segment.cut(place.position, max_page)
        return None if cut is None else cut[0]

    def end_alias(self, offset: str) -> str | None:
        """The furthest alias of ``offset`` when no data lies beyond it here.

        A reader at the end is given it as next offset (L20: never ``-1`` where the
        origin minted another). None when data follows or ``offset`` is not held.
        """
        place = self._place(offset)
        if place is None or place.position < place.segment.length:
            return None
        return place.segment.end

    def distance(self, offset: str) -> int | None:
        """Bytes from ``offset`` to the end of what is held; None when it is not
        held, or a hole lies between."""
        place = self._segments.find(offset)
        return None if place is None else self._segments.distance(place)

    def probe_start(self, max_probe: int) -> str | None:
        """Where the read that checks the end begins (L7).

        The last boundary before the end, if that range is at most ``max_probe``
        bytes; otherwise the end itself. None when nothing is held.
        """
        last = self._segments.last
        if last is None:
            return None
        before = last.last_boundary_before_end()
        if before is not None and last.length - before[1] <= max_probe:
            return before[0]
        return last.end

    def proof_start(self, max_probe: int) -> str | None:
        """Where an event stream begins that is to prove itself (U20): at the last
        boundary before the end, or at the end where no bytes lie before it.

        None when that range is above ``max_probe`` bytes: nothing short enough could be
        compared. None when nothing is held, too.
        """
        last = self._segments.last
        start = self.probe_start(max_probe)
        return None if last is None or (last.length and start == last.end) else start

    @staticmethod
    def _is_newest(newest: Page, offset: str, max_page: int) -> bool:
        """Whether the page from ``offset`` is what was joined last."""
        return offset == newest.start and 0 < len(newest.data) <= max_page

    def _place(self, offset: str) -> SegmentPosition | None:
        """The place of the bytes that follow ``offset``."""
        place = self._segments.find(offset)
        return None if place is None else self._segments.ahead(place)

    # How it grows

    def note_position(self, offset: str) -> None:
        """Hold the tail's offset as an empty place: a follower can start there."""
        if self.is_above(offset):
            self._newest = None
            self.tail.version += 1
            self._segments.open(offset)

    def join(
        self, start: str, end: str, data: bytes, keep: Container[str] = ()
    ) -> Joined:
        """Take in the answer ``[start, end)`` by proof (L8).

        Unequal bytes after a start that the origin minted are another
        incarnation; after a guessed one they prove nothing (L1). Bytes beyond the end
        of a closed stream are another incarnation, too. ``keep`` has the offsets where
        viewers stand; their boundaries are not thinned (L10).
        """
        self.tail.version += 1
        before = self._segments.cost
        known, follows = self.knows(start), start == self.end
        result = joining.join(self._segments, start, end, data, known)
        if known and self._outgrew_closure():
            self._newest = None
            return Joined.DIFFERS
        if result is Joined.SAME and self._segments.cost != before:
            result = Joined.GREW
        if result is Joined.GREW:
            self._segments.thin(keep)
            small = follows and len(data) <= MAX_NEWEST
            self._newest = Page(start, end, data) if small else None
        return result

    def _outgrew_closure(self) -> bool:
        """Whether bytes lie beyond a closed end: closure is final (L4)."""
        if not self.tail.closed or self.tail.offset is None:
            return False
        place = self._place(self.tail.offset)
        return place is not None and place.position < place.segment.length

    def agrees(self, start: str, data: bytes) -> bool:
        """Whether the messages held from ``start`` on equal those of the fragment
        ``data``, which was read from there and has other bytes (U16)."""
        held = self.page(start, json_arrays.MAX_COMPARED)
        return held is not None and json_arrays.agree(held.data, data)

    # How it shrinks

    def drop_bytes(self, start: str) -> None:
        """Hold no bytes any more, and be the same incarnation, with the same end: what
        came by events was not what the origin stores (U16). What it stores is read
        again from ``start``, which stays known."""
        end = self.end
        self._segments, self._newest = Segments(), None
        self.by_events = False
        for offset in (start, end):
            if offset is not None:
                self.note_position(offset)

    def drop_behind_hole(self) -> None:
        """Hold only the end, if no bytes stand before it. After lost contact it alone
        could be asked for, which says nothing of what lies before the hole (L7)."""
        last = self._segments.last
        if last is not None and not last.length:
            self.tail.version += 1
            self._newest = None
            self._segments.remove(list(self._segments)[:-1])

    def evict_first(self) -> int:
        """Drop the oldest segment unless it is the only one; bytes freed, 0 if none."""
        # What was joined last is in the last one, which stays.
        self.tail.version += 1
        return self._segments.evict_first()
