"""Tail: what is known, and what is only believed, of a stream's end.

It answers three questions for ``edge.policy.streams.decide``. May an answer claim to be
up to date (L3)? Is an upstream answer new enough for a reader (L4)? Was the stream
confirmed to exist lately enough (L6)? It holds facts and compares them; the hub tells
it what was sent and heard.

Order is kept by a sequence number, not by clocks: two events at one instant of the
clock still have an order.
"""

from collections.abc import Callable

from edge.protocol.offsets import BEGIN, order
from edge.streamlog.barriers import ReadBarrier, RequestSnapshot, WriteMark, reaches
from edge.streamlog.foreign_writes import ForeignWrites

ARMED_SLACK = 5.0
"""Seconds that an armed poll may outlive the origin's observed hold (L3)."""

NEVER = float("-inf")
NOT_YET = float("inf")


class Tail:
    """The last known end of one incarnation. Monotonic seconds throughout."""

    __slots__ = (
        "_barrier",
        "_barrier_made",
        "ack",
        *("armed", "armed_until"),
        *("closed", "closed_seq"),
        "confirmed_at",
        "confirmed_seq",
        "foreign",
        "heard_seq",
        "heard_writes",
        "hold",
        "is_mute",
        "is_silent",
        "is_suspect",
        "learnt_at",
        "learnt_seq",
        "mark",
        "offset",
        "seq",
        "told_seq",
        "told_writes",
        "unclaimed_seq",
        "unplaced",
        "unverified",
        "unverified_at",
        "unverified_seq",
        "up_to_date",
        "version",
        "writes",
    )

    def __init__(self, hold: float) -> None:
        self.seq = 0
        # Moves with every change of this tail and of its log. While it stands still,
        # a reader that arrives gets the same answer as the one before.
        self.version = 0
        self.hold = hold
        self.armed: RequestSnapshot | None = None
        self.armed_until = NEVER
        # Whether the last poll ended without a claim: then the next one's silence is
        # no claim either (U8).
        self.is_mute = False
        # Whether whoever is polled has given no sign of life for a while (W6).
        self.is_silent = False
        # The furthest offset that the origin named, and when it first did.
        self.offset: str | None = None
        self.closed = False
        self.closed_seq = -1
        self.learnt_seq = -1
        # It was known at this time for sure: then the first read after that was sent.
        self.learnt_at = NOT_YET
        # The claim of the newest answer that reached that offset, and when that answer
        # was sent. When an answer last came that had nothing to give there, and did not
        # make the claim either.
        self.up_to_date = False
        self.told_seq = -1
        self.unclaimed_seq = -1
        # When anything last told that offset, and the most writes that it had seen; and
        # that something had seen which told that this is all.
        self.heard_seq = -1
        self.heard_writes = -1
        self.told_writes = -1
        # The newest 2xx (L6): when the origin said so, and when that was heard. Whether
        # the stream has become doubtful since, and when.
        self.confirmed_at = NEVER
        self.confirmed_seq = -1
        self.unverified_at = NEVER
        self.unverified_seq = -1
        self.unverified = False
        # Doubtful since its path was created or deleted, maybe: then it is not even
        # shown stale (W5).
        self.is_suspect = False
        # Writes answered through this edge (L4): the furthest offset that one named,
        # and the last write that named none.
        self.writes = 0
        self.ack: str | None = None
        self.unplaced = -1
        # The last of those, if it is known by sight (W5) and those before it are not
        # waited for any more.
        self.mark: WriteMark | None = None
        # Writes at other extension parameters (U13); None: there was none yet.
        self.foreign: ForeignWrites | None = None
        # The barrier of readers that arrive now, with its version and sequence.
        self._barrier: ReadBarrier | None = None
        self._barrier_made = (-1, -1)

    def __repr__(self) -> str:
        words = [self.offset or "?", "closed" if self.closed else "open"]
        words += ["armed"] * (self.armed is not None) + ["suspect"] * self.unverified
        return f"<Tail {' '.join(words)}>"

    def tick(self) -> int:
        """The next sequence number."""
        self.seq += 1
        return self.seq

    def read_barrier(self) -> ReadBarrier:
        """A reader arrives now.

        Of a write without a known offset only an answer that was sent after it shows
        that it is included."""
        barrier = self._barrier
        if barrier is not None and self._barrier_made == (self.version, self.seq):
            return barrier
        placed = self.told_writes >= self.unplaced
        mark = None if placed else self.mark
        ack = self.ack if placed or mark is not None else None
        barrier = ReadBarrier(self.tick(), self.writes, ack, mark)
        self._barrier, self._barrier_made = barrier, (self.version, self.seq)
        return barrier

    def request_snapshot(self, now: float, incarnation: int) -> RequestSnapshot:
        """An upstream read is sent now."""
        self.learnt_at = min(self.learnt_at, now)
        return RequestSnapshot(now, self.tick(), self.writes, incarnation)

    def arm(self, sent: RequestSnapshot, until: float | None = None) -> None:
        """A poll from the known end is on the wire (L3), or an event stream has said
        that it stands there (U17). No effect while the origin is mute (U8).

        ``until``: so long that vouches for the end; None: as a poll that was just sent,
        for the origin's longest hold.
        """
        if not self.is_mute:
            self.version += 1
            self.armed = sent
            held = sent.at + self.hold + ARMED_SLACK
            self.armed_until = held if until is None else until

    def disarm(self) -> None:
        """The poll ended, however it did: nothing is known until the next one."""
        self.version += 1
        self.armed = None

    def hear_silence(self) -> None:
        """A poll ended with neither data nor a claim (U8). Nothing is learnt of it, or
        of the silence of polls to come, until there is data or a claim."""
        self.version += 1
        self.is_mute = True

    def mark_unverified(self, at: float) -> None:
        """Contact was lost or something odd was seen at ``at``: confirm before
        serving."""
        self.version += 1
        self.unverified = True
        self.unverified_at = at
        self.unverified_seq = self.tick()

    def suspect(self, now: float) -> None:
        """The path was created or deleted in another process of this node, or another
        one that shares its slot was (W5): nothing is shown, and nothing claimed, before
        the stream was confirmed by a read that is sent from now on."""
        self.mark_unverified(now)
        self.is_suspect = True
        self.ack = None  # It may have been another life's.
        self.acknowledge(None, closed=False)

    def hear_beats(self, now: float, *, silent: bool) -> None:
        """Whoever is polled has ceased to give signs of life, or gives them again (W6).
        In between a poll that waits there tells nothing; nor does it afterwards, before
        an answer that was sent since has said that the data ends where it waits."""
        self.is_silent = silent
        self.mark_unverified(now)
        self.acknowledge(None, closed=False)

    def confirm(
        self,
        at: float,
        sent: RequestSnapshot | None = None,
        *,
        names_life: bool = False,
    ) -> None:
        """The origin confirmed the stream at ``at`` (L6): a 2xx arrived. ``sent`` is
        the read that it answers, if it answers one.

        A read that was sent before the doubt arose does not remove it. Neither does an
        older statement, which a tier in between may repeat: it is for the readers that
        wait for it (U9). Nor does such a one move the time back. ``names_life``: it was
        made by a keeper of this node, which has looked at the same board before it said
        which life of the stream it speaks of (W8). However old the origin's word is
        then, it is of this stream.
        """
        self.version += 1
        if self.unverified and sent is not None and sent.seq < self.unverified_seq:
            return
        self.confirmed_at = max(self.confirmed_at, at)
        self.confirmed_seq = self.tick()
        older = at < self.unverified_at and not names_life
        self.unverified = self.unverified and older
        self.is_suspect = self.is_suspect and self.unverified

    def date(self, at: float) -> None:
        """An edge above told when its origin last said so, which confirms nothing (U9):
        it says how old what is held is."""
        self.version += 1
        self.confirmed_at = max(self.confirmed_at, at)

    def hear(
        self,
        sent: RequestSnapshot,
        offset: str,
        up_to_date: bool | None,
        empty: bool = False,
        is_all: bool | None = None,
    ) -> None:
        """The origin said that the data reaches ``offset``, and whether that is all.

        An offset before the furthest known one says nothing about the tail. An answer
        older than the last one may repeat its claim, but not change it. Nor does any
        answer move a closed end: closure is final (L4). ``None`` says
        nothing about the claim: so speaks a HEAD, which may overtake an older read
        whose claim still holds. ``empty``: it is a 200 that has nothing to give.
        ``is_all``: whether the data ended there; None: as the rest of it says.
        """
        self.version += 1
        if self.offset is not None and order(offset) < order(self.offset):
            return
        moves = offset != self.offset
        if moves and self.closed:
            return
        if moves:
            self._move(offset)
        elif sent.seq < self.told_seq and up_to_date not in (None, self.up_to_date):
            return
        if up_to_date is not None:
            self.is_mute = self.is_mute and not (moves or up_to_date)
            self.up_to_date = up_to_date
            self.told_seq = max(self.told_seq, sent.seq)
        self.heard_seq = self.tick()
        self.heard_writes = max(self.heard_writes, sent.writes)
        if (up_to_date is not False or empty) if is_all is None else is_all:
            self.told_writes = max(self.told_writes, sent.writes)
        if empty and not up_to_date:
            self.unclaimed_seq = self.heard_seq
        if up_to_date and self.foreign is not None:
            self.foreign.settle(offset, sent.writes)

    def close(self, offset: str) -> None:
        """The stream is closed at ``offset``: final, whatever else was believed."""
        self.version += 1
        if offset != self.offset:
            self._move(offset)
        if not self.closed:
            self.closed, self.closed_seq = True, self.tick()

    def _move(self, offset: str) -> None:
        self.offset = offset
        self.learnt_seq = self.tick()
        self.learnt_at = NOT_YET
        self.up_to_date = False
        self.told_seq = -1
        self.unclaimed_seq = -1
        # A poll that waits at another offset will not report growth at this one.
        self.disarm()
        self._see(offset)

    def acknowledge(self, offset: str | None, closed: bool) -> None:
        """A write was answered through this edge (L4); None: it named no offset.

        Answers to writes may overtake each other: the furthest offset counts."""
        self.version += 1
        self.writes += 1
        if offset is None:
            # It suspends the armed poll until the tail is told anew (``is_armed``).
            self.unplaced = self.writes
            self.mark = None
        elif closed:
            self.close(offset)
        if offset is not None:
            self._place(offset)
            self._see(offset)

    def _place(self, offset: str) -> None:
        if order(offset) >= order(self.ack or BEGIN):
            self.ack = offset

    def acknowledge_elsewhere(self, matches: Callable[[str], bool]) -> None:
        """A write was answered in another process of this node, to this stream or to
        another one (W5). ``matches`` says whether an offset is as far as that write.

        If this tail has come so far, or was told of the write itself, all is known.
        Otherwise it suspends the armed poll, like a write without an offset. But who is
        to see it may wait for that poll, whose answer may be seen to reach it. Not if
        another one is waited for already: one sight cannot tell of two.
        """
        if any(o is not None and matches(o) for o in (self.offset, self.ack)):
            return
        before = self.unplaced
        waits = self.told_writes < before
        self.acknowledge(None, closed=False)
        if not waits:
            self.mark = WriteMark(matches, before)

    def _see(self, offset: str) -> None:
        """The tail has come to ``offset``, or a write has named it: the write that is
        known by sight has a place from now on, if this is it."""
        mark = self.mark
        if mark is not None and mark.matches(offset):
            mark.offset = offset
            self.mark = None
            self.unplaced = mark.unplaced
            self._place(offset)

    def acknowledge_foreign(
        self, parameters: str, offset: str | None, begun_at: float, now: float
    ) -> None:
        """A write at the same path, with other extension parameters than this key's,
        was answered (U13). It named ``offset``, None if nothing, and was not sent
        before ``begun_at``.

        It names no place in this stream, so the tail is asked again, once. Writes with
        ``parameters`` that were proven to leave it alone are nothing to this stream,
        and a closed stream is not moved by any.
        """
        if self.foreign is None:
            self.foreign = ForeignWrites()
        if self.closed or self.foreign.are_ignored(parameters, now):
            return
        self.acknowledge(None, closed=False)
        tail = self.offset
        if offset is None or tail is None or offset == tail:
            return
        # 1: a write to this very stream; 2: a poll brings it, and the tail moves; 3:
        # the write is acknowledged. The tail stands still from 2 on, and proves
        # nothing: at 1 it stood elsewhere. So it must have been known before 1.
        if self.learnt_at < begun_at:
            self.foreign.note(parameters, tail, self.writes, now)

    def went_back(
        self, sent: RequestSnapshot, offset: str, closed: bool = False
    ) -> bool:
        """Whether an answer from a known offset ends before an offset that was learnt
        before the answer was asked for, or finds a stream open that was closed by then
        (L2). An old answer that arrives late does not count. ``closed``: the answer
        says so."""
        if self.offset is None:
            return False
        if order(offset) < order(self.offset):
            return sent.seq > self.learnt_seq
        return self.closed and not closed and sent.seq > self.closed_seq

    def outgrows(self, offset: str) -> bool:
        """Whether ``offset`` lies beyond a closed end (L4)."""
        closed = self.closed and self.offset is not None
        return closed and order(offset) > order(self.offset or BEGIN)

    def is_armed(self, now: float) -> bool:
        """Whether a poll is armed, and no older than the origin's longest hold (L3).

        A write that named no offset, acknowledged after the poll was sent, suspends it:
        that write may lie where the poll waits, and the poll's answer may be on the
        way. The poll counts again once an answer that was sent after the write has said
        that the data ends there, for then nothing had come before the poll. It is on
        the wire still. Whatever happens in between makes it no poll of this tail's:

        - 1: the write; 2: the poll is answered, or broken; 3: that answer is heard.
          At 2 its follower disarmed it, so 3 brings nothing back.
        - 1: the write; 2: the follower is ended, and its poll cancelled, which tells
          nothing from then on; 3: another one's poll is armed. 3 was sent after 1, so
          it counts at once.
        - 1: the write; 2: the tail moves, also by the very answer that was waited
          for. The poll waits at another offset: it is disarmed for good.
        - 1: the write; 2: an answer from before it repeats the end; 3: an answer
          from after it ends there without saying that this is all. Neither counts.
        - 1: the write; 2: another incarnation begins. That has a tail of its own.
        """
        armed = self.armed
        if armed is None or now >= self.armed_until or self.is_silent:
            return False
        told = self.told_writes if self.up_to_date else -1
        return max(armed.writes, told) >= self.unplaced

    @property
    def is_behind(self) -> bool:
        """Whether no answer was heard yet that was sent after the last write without a
        known offset, and told all."""
        return self.told_writes < self.unplaced

    def may_bring(self, now: float) -> bool:
        """Whether a poll is on the wire that will bring what was written, as far as
        that is known: it is armed, or suspended by a write that is known by sight."""
        if self.armed is None or self.mark is None or self.is_silent:
            return self.is_armed(now)
        return now < self.armed_until

    def is_known_to(
        self, barrier: ReadBarrier, end: str, now: float, strict: bool
    ) -> bool:
        """Whether an answer that ends at ``end`` may tell this reader that it is all.

        One of three must hold: the stream is closed there; a poll is armed there (L3;
        ``strict`` does not trust it); an answer heard since the reader arrived said so.
        In each case no write acknowledged before the reader arrived may be missing.
        """
        if self.offset != end:
            return False
        if self.closed:
            return True
        if not self.shows(barrier, end):
            return False
        if self.is_armed(now) and not strict:
            return True
        return self.up_to_date and self.heard_seq > barrier.seq

    def covers(self, barrier: ReadBarrier, end: str) -> bool:
        """Whether an answer that ends at ``end`` shows every write that was
        acknowledged to others before this reader arrived (L4).

        Either it was heard from a read sent after those writes, or it reaches their
        offset. It is not enough that a poll was *sent* after a write: its answer, with
        the written bytes, may be on the way. So only answers count here.
        """
        if self.heard_writes >= barrier.writes:
            return True
        return reaches(barrier, end)

    def shows(self, barrier: ReadBarrier, end: str) -> bool:
        """Whether what is held up to ``end`` has all those writes. A page that was
        asked for after them covers a reader, and may end before them."""
        return self.told_writes >= barrier.writes or reaches(barrier, end)

    def is_heard_by(self, barrier: ReadBarrier) -> bool:
        """Whether the tail was told since this reader arrived, including the writes
        acknowledged before: then it is ``now`` for this reader (L20)."""
        if self.offset is None or self.heard_seq <= barrier.seq:
            return False
        return self.covers(barrier, self.offset)

    def is_unclaimed_to(self, barrier: ReadBarrier) -> bool:
        """Whether the origin answered a read from the end since this reader arrived,
        and with nothing: neither data nor the claim. So answers an origin that never
        makes the claim; this reader may be answered so, too (L3)."""
        return self.is_heard_by(barrier) and self.unclaimed_seq > barrier.seq

    def is_told_to(self, barrier: ReadBarrier) -> bool:
        """Whether an answer to a read that was sent after this reader arrived said that
        ``offset`` is the tail (U14): by the claim, by closure, or, where the origin
        makes no claim, with nothing to give.

        To have been heard since the arrival is not enough. 1: a read is sent, and
        answered at the origin; 2: a write; 3: this reader arrives, who knows of it; 4:
        the answer to 1 is heard, which knows less.
        """
        if self.offset is None or self.told_seq <= barrier.seq:
            return False
        return self.up_to_date or self.closed or self.unclaimed_seq > barrier.seq

    @property
    def is_page_end(self) -> bool:
        """Whether all answers that reached ``offset`` brought data and left it open
        whether more follows: so ends a page."""
        if self.told_seq < 0 or self.up_to_date or self.closed:
            return False
        return self.unclaimed_seq < 0

    def is_confirmed_to(self, barrier: ReadBarrier, now: float, verify: float) -> bool:
        """Whether a 2xx was heard since the arrival, or the origin said one within
        ``verify`` s (L6), and the stream has not become doubtful since.

        What is heard since the arrival and since the doubt will do, however old it is
        (U9): to ask again would bring the same.
        """
        if self.confirmed_seq > max(barrier.seq, self.unverified_seq):
            return True
        return not self.unverified and now - self.confirmed_at <= verify

    def age(self, now: float) -> float:
        """Seconds since the origin last said so, through all tiers. 0 while a poll is
        armed (L16), and before the first confirmation."""
        if self.is_armed(now) or self.confirmed_at == NEVER:
            return 0.0
        return max(0.0, now - self.confirmed_at)
