"""decide: which of the five, by the rules (docs/rules.md), in tables.

The laws that hold in every state stand in test_decide_laws.
"""

from dataclasses import dataclass, field

import pytest

from edge.core.errors import OriginFault, OriginUnreachable
from edge.core.reasons import Reason
from edge.core.values import (
    ANONYMOUS,
    PUBLIC,
    Mode,
    Partition,
    PartitionKind,
    Read,
    StreamKey,
)
from edge.policy.streams.decide import MAX_GAP_FETCHES, decide
from edge.policy.streams.decisions import (
    Decision,
    Fetch,
    Kind,
    Park,
    Pass,
    ReadState,
    Refuse,
    Serve,
)
from edge.policy.streams.routes import Route, TailMode
from edge.protocol.offsets import BEGIN, NOW, order
from edge.streamlog.barriers import ReadBarrier
from edge.streamlog.stream_log import UNKNOWN_TTL, Placement, StreamLog
from tests.support.options import rules

ROUTE = Route()
STRICT = Route(tail=TailMode.STRICT)
RULES = rules(max_page=25, verify=60.0, trust=30.0, max_probe=64)
AWAY = OriginUnreachable("nobody answers")
ONE = Partition(PartitionKind.CREDENTIAL, "one")
CATCH_UP, LONG_POLL, SSE = Mode.CATCH_UP, Mode.LONG_POLL, Mode.SSE
NOW_S, WALL = 1000.0, 1_800_000_000.0
A, B, C, D = "0_10", "0_20", "0_30", "0_40"


@dataclass
class Story:
    """A log, told step by step, and the reader that comes at its end."""

    partition: Partition = ANONYMOUS
    route: Route = ROUTE
    now: float = NOW_S
    log: StreamLog = field(default_factory=lambda: StreamLog(1, 30.0))
    barrier: ReadBarrier | None = None

    def described(self) -> "Story":
        self.log.described = self.log.ttl_told = True
        return self

    def described_by_get(self) -> "Story":
        self.log.described = True
        self.log.ttl = UNKNOWN_TTL
        return self

    def held(self, *ends: str, start: str = BEGIN, tail: bool = True) -> "Story":
        """Ranges of ten bytes, answered by the origin one after another."""
        for end in ends:
            sent = self.log.tail.request_snapshot(self.now, 1)
            self.log.join(start, end, b"0123456789")
            self.log.tail.confirm(self.now, sent)
            self.log.tail.hear(sent, end, tail and end == ends[-1])
            start = end
        self.log.last_read_sent = self.now
        return self

    def opened(self, at: str) -> "Story":
        """A HEAD told the tail (L20)."""
        sent = self.log.tail.request_snapshot(self.now, 1)
        self.log.tail.confirm(self.now, sent)
        self.log.tail.hear(sent, at, None)
        self.log.note_position(at)
        return self.described()

    def asked(self, end: str, claims: bool = True) -> "Story":
        """A read from the end was answered: nothing came."""
        sent = self.log.tail.request_snapshot(self.now, 1)
        self.log.tail.confirm(self.now, sent)
        self.log.tail.hear(sent, end, claims, empty=True)
        return self

    def armed(self) -> "Story":
        self.log.tail.arm(self.log.tail.request_snapshot(self.now, 1))
        return self

    def placed(
        self, echoes: bool, claims: bool = True, of: str = D, by_edge: bool = False
    ) -> "Story":
        """The origin has put a guess somewhere (U14)."""
        seq = self.log.tail.tick()
        self.log.placement = Placement(of, echoes, claims, self.now, seq, by_edge)
        return self

    def closed(self, at: str) -> "Story":
        self.log.tail.close(at)
        return self

    def wrote(self, offset: str | None, closed: bool = False) -> "Story":
        self.log.tail.acknowledge(offset, closed)
        return self

    def doubted(self) -> "Story":
        self.log.tail.mark_unverified(self.now)
        return self

    def ttl(self, seconds: int) -> "Story":
        self.log.ttl = seconds
        return self

    def after(self, seconds: float) -> "Story":
        self.now += seconds
        return self

    def arrives(self) -> "Story":
        self.barrier = self.log.tail.read_barrier()
        return self

    def decide(
        self,
        offset: str,
        mode: Mode = CATCH_UP,
        fault: OriginFault | None = None,
        expires_at: float | None = None,
        asked: int = 0,
        head_tells: bool = True,
        arrives: bool = True,
        hops: tuple[str, ...] = (),
    ) -> Decision:
        key = StreamKey(self.route.match, "/v1/stream/a", "", self.partition)
        read = Read(key, offset, mode, expires_at=expires_at, hops=hops)
        barrier = self.barrier or self.log.tail.read_barrier()
        moment = ReadState(
            self.now, WALL, offset, barrier, fault, asked, head_tells, arrives
        )
        return decide(read, self.log, moment, self.route, RULES)


def story(partition: Partition = ANONYMOUS, route: Route = ROUTE) -> Story:
    return Story(partition, route)


# -- the life of a catch-up read ---------------------------------------------------


def test_what_nobody_has_seen_is_asked_for_from_where_the_reader_stands() -> None:
    assert story().decide(BEGIN) == Fetch(BEGIN, Reason.MISS)
    assert story().decide(A) == Fetch(A, Reason.MISS)


def test_history_crosses_the_wire_once() -> None:
    """E1: a known [X,Y) at the tail is refreshed from Y."""
    known = story().held(A, B)

    assert known.decide(BEGIN) == Fetch(B, Reason.TAIL_UNKNOWN)
    assert known.decide(A) == Fetch(B, Reason.TAIL_UNKNOWN)
    assert known.decide(B) == Fetch(B, Reason.TAIL_UNKNOWN)


def test_what_the_reader_waited_for_is_served_with_its_claim() -> None:
    asked = story().held(A, B).arrives().asked(B)

    assert asked.decide(BEGIN) == Serve(Kind.TAIL, BEGIN, B, up_to_date=True)
    assert asked.decide(B) == Serve(Kind.EMPTY, B, B, up_to_date=True)


def test_a_followed_stream_costs_the_origin_nothing() -> None:
    """L3: an armed poll is knowledge of the tail."""
    followed = story().held(A, B).armed()

    assert followed.decide(BEGIN) == Serve(Kind.TAIL, BEGIN, B, up_to_date=True)
    assert followed.decide(B) == Serve(Kind.EMPTY, B, B, up_to_date=True)
    assert followed.decide(NOW) == Serve(Kind.EMPTY, B, B, up_to_date=True)


def test_a_strict_route_asks_each_time() -> None:
    """L3, ``tail: strict``: an armed poll is not enough; an answer is."""
    followed = story(route=STRICT).held(A).armed()

    assert followed.decide(BEGIN) == Fetch(A, Reason.TAIL_UNKNOWN)
    assert followed.decide(NOW) == Fetch(NOW, Reason.TAIL_UNKNOWN, fresh=True)
    assert followed.arrives().asked(A).decide(BEGIN) == (
        Serve(Kind.TAIL, BEGIN, A, up_to_date=True)
    )


def test_an_armed_poll_older_than_any_the_origin_held_is_none() -> None:
    """L3: the observed hold plus five seconds."""
    followed = story().held(A).armed()

    assert isinstance(followed.after(34.9).decide(A), Serve)
    assert followed.after(0.2).decide(A) == Fetch(A, Reason.TAIL_UNKNOWN)


def test_a_page_with_more_behind_it_is_closed_and_claims_nothing() -> None:
    """L9, L16, E2; it needs no knowledge of the tail."""
    held = story().held(A, B, C)

    assert held.decide(BEGIN) == Serve(Kind.CLOSED_RANGE, BEGIN, B)
    assert held.armed().decide(BEGIN) == Serve(Kind.CLOSED_RANGE, BEGIN, B)
    assert held.decide(B) == Serve(Kind.TAIL, B, C, up_to_date=True)


def test_the_end_of_a_closed_stream_is_final() -> None:
    """PROTOCOL.md section 5.6; E10: a closed range that may say so."""
    done = story().held(A, B, C).closed(C)

    assert done.decide(B) == (
        Serve(Kind.CLOSED_RANGE, B, C, up_to_date=True, closed=True)
    )
    assert done.decide(C) == Serve(Kind.EMPTY, C, C, up_to_date=True, closed=True)
    assert done.decide(NOW) == Serve(Kind.EMPTY, C, C, up_to_date=True, closed=True)
    assert done.decide(BEGIN) == Serve(Kind.CLOSED_RANGE, BEGIN, B)


@pytest.mark.parametrize("claims", [True, False])
def test_an_origin_that_never_claims_yields_answers_without_the_claim(
    claims: bool,
) -> None:
    """L3: and is not asked twice for what it never says."""
    asked = story().held(A, tail=False).arrives().asked(A, claims)

    assert asked.decide(BEGIN) == Serve(Kind.TAIL, BEGIN, A, up_to_date=claims)
    assert asked.decide(A) == Serve(Kind.EMPTY, A, A, up_to_date=claims)
    assert asked.decide(NOW) == Serve(Kind.EMPTY, A, A, up_to_date=claims)


def test_a_page_of_a_paging_origin_is_served_as_far_as_it_goes() -> None:
    """L3: what was asked in this request and is not all is given without a claim."""
    paged = story().arrives().held(A, tail=False)

    assert paged.decide(BEGIN) == Serve(Kind.TAIL, BEGIN, A)


# -- writes ----------------------------------------------------------------------


def test_a_write_seen_by_this_edge_is_asked_for_before_anything_is_served() -> None:
    """L4, read your writes: even while a poll is armed."""
    followed = story().held(A).armed().wrote(B)

    for mode in (CATCH_UP, LONG_POLL, SSE):
        assert followed.decide(BEGIN, mode) == Fetch(A, Reason.NEWER_WRITE)
        assert followed.decide(A, mode) == Fetch(A, Reason.NEWER_WRITE)


def test_an_answer_that_reaches_the_write_will_do() -> None:
    """L4: judged by the answer, not by when it was asked."""
    followed = story().held(A).wrote(B).arrives()
    followed.held(B, start=A)

    assert followed.decide(A) == Serve(Kind.TAIL, A, B, up_to_date=True)


def test_an_answer_sent_before_the_write_will_not() -> None:
    """L4: 1 a read is sent; 2 a write is answered; 3 the reader comes; 4 it lands."""
    raced = story().held(A)
    sent = raced.log.tail.request_snapshot(NOW_S, 1)
    raced.wrote(None).arrives()
    raced.log.tail.confirm(NOW_S, sent)
    raced.log.tail.hear(sent, A, True)

    assert raced.decide(A) == Fetch(A, Reason.TAIL_UNKNOWN)
    assert raced.decide(A, LONG_POLL) == Fetch(A, Reason.NEWER_WRITE)
    assert raced.asked(A).decide(A) == Serve(Kind.EMPTY, A, A, up_to_date=True)


def test_a_write_after_the_reader_came_does_not_hold_it_up() -> None:
    """L4: what was asked for it is served as a closed range; more is known beyond."""
    busy = story().held(A).wrote(B).arrives()
    busy.held(B, start=A).wrote(C)

    assert busy.decide(A) == Serve(Kind.CLOSED_RANGE, A, B)
    assert busy.decide(A, LONG_POLL) == Serve(Kind.LIVE, A, B)
    assert busy.decide(B) == Fetch(B, Reason.NEWER_WRITE)


def test_a_write_from_before_the_claim_closes_no_range() -> None:
    """L16: it was to another life of the stream, or its origin is slow. What ends below
    it may grow, and is not claimed to be all either."""
    for kept, kind in ((True, Kind.TAIL), (False, Kind.CLOSED_RANGE)):
        told = story().wrote(C).arrives().held(A, B, tail=kept)

        assert told.decide(BEGIN) == Serve(kind, BEGIN, B)
        assert told.decide(BEGIN, LONG_POLL) == Serve(Kind.LIVE, BEGIN, B)


def test_a_write_without_an_offset_makes_the_tail_unknown() -> None:
    """L4: a duplicate's 204, or an answer that was lost."""
    followed = story().described().held(A).armed().wrote(None)

    assert followed.decide(A) == Fetch(A, Reason.TAIL_UNKNOWN)
    assert followed.decide(A, LONG_POLL) == Fetch(A, Reason.NEWER_WRITE)


def test_a_write_that_closes_sets_the_end() -> None:
    """L4: closed at the acknowledged offset, told to a poll without waiting (E10)."""
    done = story().described().held(A).wrote(A, closed=True)

    for mode in (CATCH_UP, LONG_POLL, SSE):
        assert done.decide(A, mode) == (
            Serve(Kind.EMPTY, A, A, up_to_date=True, closed=True)
        )


# -- what must be confirmed first --------------------------------------------------


@pytest.mark.parametrize(
    ("partition", "ttl", "lasts"),
    [
        (ANONYMOUS, None, 60.0),
        (PUBLIC, None, 60.0),
        (ONE, None, 30.0),
        (ANONYMOUS, 90, 30.0),
        (ONE, 30, 10.0),
        (ANONYMOUS, 3600, 60.0),
    ],
)
def test_a_confirmation_lasts_so_long(
    partition: Partition, ttl: int | None, lasts: float
) -> None:
    """L6, a third of the TTL at most; L14, the trust in a credential."""
    known = story(partition).held(A, B, C)
    known.log.ttl = ttl

    assert RULES.verify_for(known.log, partition.kind) == lasts
    assert isinstance(known.after(lasts).decide(BEGIN), Serve)
    assert known.after(0.1).decide(BEGIN) == Fetch(B, Reason.UNCONFIRMED)


def test_the_check_begins_before_the_end() -> None:
    """L7: at the last boundary before it, so that the bytes must match."""
    old = story().held(A, B, C).after(61)

    for mode in (CATCH_UP, LONG_POLL, SSE):
        for offset in (BEGIN, A, C):
            assert old.decide(offset, mode) == Fetch(B, Reason.UNCONFIRMED)


def test_a_last_range_too_large_to_repeat_is_checked_from_its_end() -> None:
    """L7: at most 64 KiB are read again; the rest is a documented limit."""
    large = story().held(A)
    large.log.join(A, B, b"x" * (RULES.max_probe + 1))

    assert large.doubted().decide(A) == Fetch(B, Reason.UNCONFIRMED)


def test_lost_contact_is_doubted_at_once() -> None:
    """L7: after a follower's connection failed, whatever the clock says."""
    doubted = story().held(A, B).doubted()

    assert doubted.decide(BEGIN) == Fetch(A, Reason.UNCONFIRMED)
    assert doubted.decide(B, LONG_POLL) == Fetch(A, Reason.UNCONFIRMED)


def test_what_was_confirmed_since_the_reader_came_counts_however_long_it_took() -> None:
    """L6: a reader whose check was answered is not sent to check again."""
    slow = story().held(A, B, C).after(61).arrives().asked(C).after(500)

    assert slow.decide(BEGIN) == Serve(Kind.CLOSED_RANGE, BEGIN, B)


def test_a_closed_stream_is_checked_too_before_now_is_told() -> None:
    """L6, L14: closure is final for a stream, and the stream may be gone."""
    done = story().held(A).closed(A).after(61)
    private = story(ONE).held(A).closed(A).after(31)

    for told in (done, private):
        assert told.decide(NOW) == Fetch(NOW, Reason.TAIL_UNKNOWN, fresh=True)
        assert told.decide(NOW, SSE) == Fetch(None, Reason.COLD_OPEN, fresh=True)
        assert isinstance(told.arrives().asked(A).decide(NOW), Serve)


def test_reads_from_here_renew_a_sliding_ttl() -> None:
    """L23, E7: more than a third of it after the last read that the origin saw."""
    known = story().held(A, B, C).ttl(90)

    assert isinstance(known.after(30).asked(C).decide(BEGIN), Serve)
    assert known.after(1).decide(BEGIN) == Fetch(C, Reason.SLIDING_TTL)
    assert known.armed().decide(NOW) == Fetch(NOW, Reason.TAIL_UNKNOWN, fresh=True)


# -- offsets that the origin did not mint ------------------------------------------


FROM_END = Fetch(A, Reason.OFFSET_ABOVE, paced=True)
FROM_GUESS = Fetch(B, Reason.OFFSET_UNKNOWN, paced=True)


@pytest.mark.parametrize("mode", [CATCH_UP, LONG_POLL, SSE])
@pytest.mark.parametrize("claims", [True, False])
def test_above_the_end_a_delta_goes_first_and_then_a_guess(
    mode: Mode, claims: bool
) -> None:
    """L1, U14: whether the origin makes claims or not (L3)."""
    known = story().described().held(A)

    assert known.decide(B, mode) == FROM_END
    assert known.arrives().asked(A, claims).decide(B, mode) == FROM_GUESS


def test_who_is_above_the_end_is_told_by_what_was_sent_after_it_came() -> None:
    """U14: a poll that waits there, or an older answer, may have been overtaken."""
    told = Serve(Kind.EMPTY, A, A, up_to_date=True)
    known = story().described().held(A).placed(echoes=False).armed()
    sent = known.log.tail.request_snapshot(known.now, 1)
    known.arrives()

    assert known.decide(B, LONG_POLL) == FROM_END
    known.log.tail.hear(sent, A, True, empty=True)
    assert known.decide(B, LONG_POLL) == FROM_END
    assert known.asked(A).decide(B, LONG_POLL) == told


@pytest.mark.parametrize("mode", [CATCH_UP, LONG_POLL, SSE])
def test_where_the_origin_puts_one_guess_it_puts_all(mode: Mode) -> None:
    """U14: at the end."""
    known = story().described().held(A).placed(echoes=False).arrives().asked(A)

    for guess in (B, C, D):
        assert known.decide(guess, mode) == Serve(Kind.EMPTY, A, A, up_to_date=True)


def test_behind_an_edge_only_a_guess_tells_that_was_sent_after_the_reader_came() -> (
    None
):
    """U14: a delta may be answered by a poll that waits, of that edge's own."""
    known = story().held(A).placed(echoes=False, by_edge=True).arrives().asked(A)

    assert known.decide(B) == FROM_GUESS
    told = Serve(Kind.EMPTY, A, A, up_to_date=True)
    assert known.placed(echoes=False, by_edge=True).decide(B) == told


@pytest.mark.parametrize("claims", [True, False])
def test_an_origin_that_echoes_is_repeated(claims: bool) -> None:
    """U14: live readers wait where they are, and nobody asks for them again."""
    known = story().described().held(A).placed(echoes=True, claims=claims)

    assert known.decide(C, LONG_POLL) == Park(C, minted=False)
    assert known.decide(C, SSE, fault=AWAY) == Park(C, minted=False)
    assert known.decide(C) == FROM_END
    assert known.arrives().asked(A).decide(C) == Serve(Kind.EMPTY, C, C, claims)


def test_who_reads_its_own_write_waits_at_no_echo() -> None:
    """L4: an acknowledgement beyond it says that there is more to see."""
    known = story().described().held(A).placed(echoes=True).wrote(C)

    assert isinstance(known.decide(B, LONG_POLL), Fetch)
    assert known.decide(D, LONG_POLL) == Park(D, minted=False)


def test_what_a_guess_has_shown_is_not_believed_for_long() -> None:
    """U14: for a minute, or until the stream has come to where the echo was."""
    known = story().described().held(A).placed(echoes=True).after(61).arrives()
    grown = story().described().held(A).placed(echoes=True, of=A).arrives()

    for placed in (known, grown):
        assert placed.asked(A).decide(B, SSE) == FROM_GUESS


@pytest.mark.parametrize("mode", [CATCH_UP, LONG_POLL, SSE])
def test_above_the_end_of_a_closed_stream_that_end_is_told(mode: Mode) -> None:
    """U14: nothing can follow, so nobody waits for it; but first it is confirmed."""
    known = story().described().held(A).closed(A).placed(echoes=True).arrives()

    assert known.decide(B, mode) == FROM_END
    told = Serve(Kind.EMPTY, A, A, up_to_date=True, closed=True)
    assert known.asked(A, claims=False).decide(B, mode) == told


def test_who_reads_its_own_write_is_not_paced() -> None:
    """L4, U14: it is no guess if an acknowledgement or the origin named it."""
    known = story().described().held(A).wrote(B)

    assert known.decide(B, LONG_POLL) == Fetch(A, Reason.OFFSET_ABOVE)
    assert known.decide(C, LONG_POLL) == Fetch(A, Reason.OFFSET_ABOVE, paced=True)


def test_no_end_is_told_below_an_acknowledgement() -> None:
    """L3, L4: the write is newer than the answer, or the origin lags behind itself."""
    known = story().held(A).placed(echoes=False).arrives().asked(A).wrote(B)

    # What was acknowledged is no guess: it waits for no second.
    assert known.decide(B) == Fetch(B, Reason.OFFSET_UNKNOWN)
    assert known.asked(A).decide(C) == Fetch(C, Reason.OFFSET_UNKNOWN, paced=True)


def test_the_end_of_a_page_is_no_tail() -> None:
    """U14: more follows there, and nobody has to wait for that."""
    first = story().held(A, tail=False)

    assert first.decide(C) == Fetch(C, Reason.MISS)
    assert first.asked(A).decide(C) == Fetch(A, Reason.OFFSET_ABOVE, paced=True)


def test_in_doubt_what_is_held_is_checked_before_anybody_is_told() -> None:
    """L7, U14: after lost contact, and when nothing was heard for long."""
    check = Fetch(A, Reason.OFFSET_ABOVE, paced=True)
    known = story().held(A, B).placed(echoes=False)

    assert known.doubted().decide(C) == check
    assert story().held(A, B).after(61).decide(C) == check
    sent = known.arrives().log.tail.request_snapshot(known.now, 1)
    known.log.tail.hear(sent, B, True, empty=True)
    assert known.decide(C) == check
    known.log.tail.confirm(known.now, sent)
    assert known.decide(C) == Serve(Kind.EMPTY, B, B, up_to_date=True)


def test_an_offset_inside_is_asked_for_as_it_is() -> None:
    """L1: the origin decides what it means."""
    assert story().held(B).decide(A) == Fetch(A, Reason.MISS)


def test_a_hole_is_filled_from_where_it_begins() -> None:
    holed = story().held(A).held(D, start=C)

    assert holed.decide(A) == Fetch(A, Reason.NEWER_WRITE)
    assert holed.decide(BEGIN) == Serve(Kind.CLOSED_RANGE, BEGIN, A)


@pytest.mark.parametrize("mode", [CATCH_UP, LONG_POLL, SSE])
def test_who_stands_before_a_hole_asks_in_the_end_by_its_own_name_of_the_place(
    mode: Mode,
) -> None:
    """L8: what meets nothing of what is held is given to who asked for just that."""
    holed = story().described().opened(A).held(D, start=C)
    holed.log.join(BEGIN, A, b"")

    assert holed.decide(BEGIN, mode) == Fetch(A, Reason.NEWER_WRITE)
    assert holed.decide(BEGIN, mode, asked=1) == Fetch(A, Reason.NEWER_WRITE)
    assert holed.decide(BEGIN, mode, asked=2) == Fetch(BEGIN, Reason.NEWER_WRITE)
    assert holed.decide(A, mode, asked=2) == Fetch(A, Reason.NEWER_WRITE)


@pytest.mark.parametrize("mode", [CATCH_UP, LONG_POLL, SSE])
def test_a_hole_does_not_hide_a_write_from_who_came_after_it(mode: Mode) -> None:
    """L4, L20: the page before the hole would do, but for the newer ack."""
    holed = story().described().held(A).held(C, start=B).wrote(C).arrives()

    assert holed.decide(BEGIN, mode) == Fetch(A, Reason.MISS)
    served = holed.decide(BEGIN, mode, fault=AWAY)
    assert isinstance(served, Serve) and served.next == A


def test_an_origin_that_pages_is_not_asked_for_ever_to_fill_a_hole() -> None:
    """L9: each answer may leave a hole again; the reader comes back for more."""
    holed = story().held(A).held(C, start=B).wrote(C).arrives()

    assert holed.decide(BEGIN, asked=MAX_GAP_FETCHES - 1) == Fetch(A, Reason.MISS)
    page = Serve(Kind.CLOSED_RANGE, BEGIN, A)
    assert holed.decide(BEGIN, asked=MAX_GAP_FETCHES) == page


def test_a_full_page_hides_nothing() -> None:
    """L9: the next one follows at once from the log."""
    long = story().held(A, B, C).held(D, start="0_35").wrote(D).arrives()

    assert long.decide(BEGIN) == Serve(Kind.CLOSED_RANGE, BEGIN, B)


# -- live reads ------------------------------------------------------------------


@pytest.mark.parametrize("mode", [LONG_POLL, SSE])
@pytest.mark.parametrize("offset", [BEGIN, A, NOW])
def test_an_unknown_stream_is_opened_by_one_head(mode: Mode, offset: str) -> None:
    """L20: neither the encoding nor a 404 could be told otherwise."""
    assert story().decide(offset, mode) == Fetch(None, Reason.COLD_OPEN, fresh=True)


@pytest.mark.parametrize("mode", [LONG_POLL, SSE])
def test_where_head_does_not_tell_a_get_opens_the_stream(mode: Mode) -> None:
    """U12: from where the reader stands, if the origin has named that offset."""
    opened = Fetch(BEGIN, Reason.HEAD_REFUSED)
    assert story().decide(BEGIN, mode, head_tells=False) == opened
    at_end = Fetch(A, Reason.HEAD_REFUSED)
    assert story().held(A).decide(A, mode, head_tells=False) == at_end
    written = story().wrote(B)
    assert written.decide(B, mode, head_tells=False) == Fetch(B, Reason.HEAD_REFUSED)


@pytest.mark.parametrize("mode", [LONG_POLL, SSE])
@pytest.mark.parametrize("offset", [A, NOW])
def test_a_get_from_a_guess_would_not_tell_the_tail(mode: Mode, offset: str) -> None:
    """U12, L1: nothing at a guess means that it is the tail, or that it is echoed."""
    asked = Fetch(NOW, Reason.HEAD_REFUSED, fresh=True)

    assert story().decide(offset, mode, head_tells=False) == asked


def test_a_catch_up_read_needs_no_description() -> None:
    """U12: only what must be known before somebody waits is asked for."""
    assert story().decide(A, head_tells=False) == Fetch(A, Reason.MISS)
    head = story().decide(BEGIN, Mode.HEAD, head_tells=False)
    assert head == Fetch(None, Reason.MISS, fresh=True)


def test_what_a_get_described_is_asked_of_head_by_who_comes_later() -> None:
    """U12, L23: the TTL is still to be told. Nobody who waits already is held up."""
    read = story().held(A).described_by_get()
    told = story().held(A).described()

    assert read.decide(A, SSE, head_tells=False) == Park(A)
    assert read.decide(A, SSE, arrives=False) == Park(A)
    assert read.decide(A, SSE) == Fetch(None, Reason.COLD_OPEN, fresh=True)
    assert told.decide(A, SSE, head_tells=False) == told.decide(A, SSE) == Park(A)


def test_an_unknown_ttl_is_taken_for_a_short_one() -> None:
    """U12, L23, L6."""
    read = story().held(A, B, C).described_by_get()
    third = UNKNOWN_TTL / 3

    assert RULES.verify_for(read.log, ANONYMOUS.kind) == third
    assert isinstance(read.after(third).decide(BEGIN), Serve)
    assert read.asked(C).after(1).decide(BEGIN) == Fetch(C, Reason.SLIDING_TTL)


@pytest.mark.parametrize("mode", [LONG_POLL, SSE])
def test_a_reader_at_the_end_waits_there(mode: Mode) -> None:
    """L20: whether or not a poll is armed yet: parking starts the follower."""
    known = story().described().held(A)

    assert known.decide(A, mode) == Park(A)
    assert known.armed().decide(A, mode) == Park(A)


def test_a_stream_known_by_reading_only_is_described_before_anybody_waits() -> None:
    """L20, L23: its TTL is not known before."""
    assert story().held(A).decide(A, LONG_POLL) == (
        Fetch(None, Reason.COLD_OPEN, fresh=True)
    )


@pytest.mark.parametrize("mode", [LONG_POLL, SSE])
def test_now_is_where_the_head_said(mode: Mode) -> None:
    """L20, E11: heard after the reader came, and never sent upstream."""
    assert story().opened(A).decide(NOW, mode) == (
        Fetch(None, Reason.COLD_OPEN, fresh=True)
    )
    assert story().arrives().opened(A).decide(NOW, mode) == Park(A)
    assert story().opened(A).armed().decide(NOW, mode) == Park(A)


@pytest.mark.parametrize("mode", [LONG_POLL, SSE])
def test_a_reader_behind_the_end_is_served_at_once(mode: Mode) -> None:
    """L20: without asking; the claim only where the tail is known."""
    known = story().held(A, B, C)

    assert known.decide(B, mode) == Serve(Kind.LIVE, B, C)
    assert known.decide(BEGIN, mode) == Serve(Kind.LIVE, BEGIN, B)
    assert known.armed().decide(B, mode) == Serve(Kind.LIVE, B, C, up_to_date=True)
    assert known.closed(C).decide(B, mode) == (
        Serve(Kind.LIVE, B, C, up_to_date=True, closed=True)
    )


def test_nobody_waits_at_minus_one() -> None:
    """L20: 204s and control events carry offsets that the origin minted (L8)."""
    empty = story().described()
    sent = empty.log.tail.request_snapshot(NOW_S, 1)
    empty.log.join(BEGIN, "0_0", b"")
    empty.log.tail.confirm(NOW_S, sent)
    empty.log.tail.hear(sent, "0_0", True)

    assert empty.decide(BEGIN, LONG_POLL) == Park("0_0")
    assert empty.armed().decide(BEGIN) == Serve(Kind.EMPTY, "0_0", "0_0", True)


# -- the origin is away ------------------------------------------------------------


def test_what_is_held_is_shown_as_stale_without_claims() -> None:
    """L6, L21: a failed delta over a held range, and a check that failed."""
    followed = story().held(A, B)

    assert followed.decide(BEGIN, fault=AWAY) == Serve(Kind.STALE, BEGIN, B)
    assert followed.after(61).decide(BEGIN, fault=AWAY) == Serve(Kind.STALE, BEGIN, B)
    assert followed.decide(BEGIN, SSE, fault=AWAY) == Serve(Kind.STALE, BEGIN, B)


def test_a_credential_is_shown_nothing_that_the_origin_did_not_confirm() -> None:
    """L14: only the origin can judge it."""
    private = story(ONE).held(A, B)

    assert private.decide(BEGIN, fault=AWAY) == Refuse(AWAY)
    assert private.after(61).decide(BEGIN, fault=AWAY) == Refuse(AWAY)
    assert private.decide(BEGIN, LONG_POLL, fault=AWAY) == Refuse(AWAY)


@pytest.mark.parametrize("partition", [ANONYMOUS, ONE])
@pytest.mark.parametrize("mode", [LONG_POLL, SSE])
def test_who_waits_does_not_hear_of_a_failure(partition: Partition, mode: Mode) -> None:
    """L21: waiting shows nothing, so a credential may wait as well."""
    known = story(partition).described().held(A)

    assert known.decide(A, mode, fault=AWAY) == Park(A)
    assert known.wrote(B).decide(A, mode, fault=AWAY) == Park(A)
    assert known.after(61).decide(A, mode, fault=AWAY) == Park(A)


def test_an_edge_that_polls_is_answered_without_a_claim_instead() -> None:
    """U8: its readers would take this edge's silence for the origin's."""
    known, pop = story().described().held(A), ("a1",)

    assert known.decide(A, LONG_POLL, fault=AWAY, hops=pop) == Serve(Kind.EMPTY, A, A)
    assert known.decide(A, SSE, fault=AWAY, hops=pop) == Park(A)
    assert known.armed().decide(A, LONG_POLL, hops=pop) == Park(A)


@pytest.mark.parametrize("offset", [BEGIN, A, NOW])
@pytest.mark.parametrize("mode", list(Mode))
def test_with_nothing_held_the_failure_is_told(offset: str, mode: Mode) -> None:
    """L21: catch-up statuses pass on; a live reader's hub may outwait it."""
    assert story().decide(offset, mode, fault=AWAY) == Refuse(AWAY)
    assert story().decide(offset, mode, AWAY, head_tells=False) == Refuse(AWAY)


@pytest.mark.parametrize("mode", [CATCH_UP, LONG_POLL, SSE])
@pytest.mark.parametrize("offset", ["0_05", C])
def test_what_is_not_held_cannot_be_asked_for_again(offset: str, mode: Mode) -> None:
    """L21: inside what is held, and above it."""
    known = story().described().held(A)

    assert isinstance(known.decide(offset, mode), Fetch)
    assert known.decide(offset, mode, fault=AWAY) == Refuse(AWAY)


def test_an_empty_answer_is_not_made_up_while_the_origin_is_away() -> None:
    assert story().held(A).decide(A, fault=AWAY) == Refuse(AWAY)
    assert story().held(A).decide(NOW, fault=AWAY) == Refuse(AWAY)


# -- by themselves -------------------------------------------------------------------


@pytest.mark.parametrize("mode", list(Mode))
def test_an_expired_signature_is_for_the_origin_to_judge(mode: Mode) -> None:
    """L14: an ``expires`` in the past is passed on, whatever is held."""
    done = story(ONE).described().held(A).armed()

    assert done.decide(BEGIN, mode, expires_at=WALL) == (
        Pass(Reason.EXPIRED_CREDENTIAL)
    )
    assert not isinstance(done.decide(BEGIN, mode, expires_at=WALL + 1), Pass)


@pytest.mark.parametrize("partition", [ANONYMOUS, ONE])
def test_a_head_is_never_answered_from_here(partition: Partition) -> None:
    """E21: and only by a request begun after the reader came."""
    known = story(partition).described().held(A).closed(A)

    assert known.decide(BEGIN, Mode.HEAD) == Fetch(None, Reason.MISS, fresh=True)
    assert known.decide(BEGIN, Mode.HEAD, fault=AWAY) == Refuse(AWAY)


def test_offsets_are_compared_as_the_log_does() -> None:
    """The tables above rely on it (PROTOCOL.md section 8)."""
    assert sorted([C, BEGIN, A, B], key=order) == [BEGIN, A, B, C]
