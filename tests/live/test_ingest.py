"""Landing: what an answer does to the log, and what it must not do."""

from dataclasses import dataclass, field, replace

import pytest

from edge.core.values import Lineage, OriginAnswer, Provenance, StreamKey
from edge.live.answer_facts import describe_by_get
from edge.live.ingest import (
    RESET_REASONS,
    Effect,
    HeardRange,
    absorb,
    describe,
)
from edge.policy.streams.admission import Verdict, judge
from edge.policy.streams.decide import MAX_PROBE
from edge.policy.streams.routes import Route
from edge.protocol.offsets import BEGIN, NOW
from edge.streamlog.barriers import RequestSnapshot
from edge.streamlog.stream_log import UNKNOWN_TTL, StreamLog
from origin_adapter.scripted import data, head_answer, no_content

ROUTE = Route(response_headers=("x-region",))
KEY = StreamKey(ROUTE.match, "/v1/stream/a")
A, B, C, D = "0_10", "0_20", "0_30", "0_40"


@dataclass
class Landed:
    """A log, and the answers that land on it. ``now`` is when they do."""

    log: StreamLog = field(default_factory=lambda: StreamLog(1, 30.0))
    now: float = 1000.0

    def sent(self) -> RequestSnapshot:
        return self.log.tail.request_snapshot(self.now, 1)

    def get(
        self, start: str, answer: OriginAnswer, sent: RequestSnapshot | None = None
    ) -> Effect:
        admission = judge(answer, start, KEY, ROUTE)
        assert admission.verdict is Verdict.ADMIT
        sent = sent or self.sent()
        heard = HeardRange(start, sent, admission, answer, self.now)
        return absorb(self.log, ROUTE, heard)

    def head(self, answer: OriginAnswer, sent: RequestSnapshot | None = None) -> Effect:
        return describe(self.log, ROUTE, answer, sent or self.sent(), self.now)

    def page(self, offset: str = BEGIN) -> bytes | None:
        page = self.log.page(offset, 1 << 20)
        return None if page is None else page.data


def silence(end: str) -> OriginAnswer:
    """A 204 without a claim: so speaks an edge that lost its origin (U8)."""
    return no_content(end, up_to_date=False)


@pytest.fixture
def landed() -> Landed:
    return Landed()


@pytest.fixture
def known(landed: Landed) -> Landed:
    """[-1, A) and [A, B), the tail at B."""
    landed.get(BEGIN, data(b"hello", A))
    landed.get(A, data(b" world", B))
    return landed


# -- ranges ----------------------------------------------------------------------


def test_a_range_is_held_and_the_tail_learnt(landed: Landed) -> None:
    assert landed.get(BEGIN, data(b"hello", A)) is Effect.GREW

    assert landed.page() == b"hello"
    assert landed.log.content_type == "text/plain"
    assert (landed.log.tail.offset, landed.log.tail.up_to_date) == (A, True)
    assert landed.log.tail.confirmed_at == landed.now
    assert landed.log.last_read_sent == landed.now


def test_the_same_again_confirms(known: Landed) -> None:
    """L6: and nothing grew."""
    known.now += 100
    cost = known.log.cost

    assert known.get(A, data(b" world", B)) is Effect.CONFIRMED
    assert known.log.cost == cost
    assert known.log.tail.confirmed_at == known.now


def test_a_delta_is_put_behind_what_is_held(known: Landed) -> None:
    """E1; an answer that begins earlier is as good (L8)."""
    assert known.get(B, data(b"!", C)) is Effect.GREW
    assert known.get(A, data(b" world!?", D)) is Effect.GREW
    assert known.page() == b"hello world!?"


@pytest.mark.parametrize("answer", [data(b"", B), no_content(B)])
def test_nothing_new_is_a_confirmation(known: Landed, answer: OriginAnswer) -> None:
    """L6: of the follower's poll, or of a delta."""
    known.now += 100

    assert known.get(B, answer) is Effect.CONFIRMED
    assert known.log.tail.confirmed_at == known.now
    assert known.log.content_type == "text/plain"


def test_a_poll_that_brought_nothing_does_not_tell_what_a_read_would(
    known: Landed,
) -> None:
    """L3: only a read that brought nothing, and no claim, shows that none is made. A
    204 without the claim comes from an edge that lost its origin, too (U8)."""
    tail = known.log.tail
    reader = tail.read_barrier()
    poll = judge(silence(B), B, KEY, ROUTE)
    heard = HeardRange(B, known.sent(), poll, silence(B), known.now)
    assert absorb(known.log, ROUTE, heard) is Effect.NO_WORD
    assert not tail.is_unclaimed_to(reader)

    assert known.get(B, data(b"", B, up_to_date=False)) is Effect.CONFIRMED
    assert tail.is_unclaimed_to(reader)


def test_a_poll_that_ended_without_a_claim_tells_nothing_at_all(known: Landed) -> None:
    """U8: no confirmation, no tail, no offset, and no sign of having gone back."""
    tail, before = known.log.tail, known.now
    known.now += 100
    reader = tail.read_barrier()
    for end in (A, B, C):
        assert known.get(B, silence(end)) is Effect.NO_WORD

    assert (tail.offset, tail.confirmed_at) == (B, before)
    assert not known.log.knows(C)
    assert not tail.is_heard_by(reader) and known.log.last_read_sent == before


def test_after_a_silence_a_poll_is_armed_only_once_something_was_said(
    known: Landed,
) -> None:
    """U8: data, or a claim. A HEAD and a page that is held already say nothing."""
    tail = known.log.tail

    def is_armed_again() -> bool:
        tail.arm(known.sent())
        armed = tail.is_armed(known.now)
        tail.disarm()
        return armed

    assert is_armed_again()
    known.get(B, silence(B))
    assert not is_armed_again()
    known.head(head_answer(B))
    known.get(BEGIN, data(b"hello world", B, up_to_date=False))
    assert not is_armed_again()
    known.get(B, data(b"!", C, up_to_date=False))
    assert is_armed_again()
    known.get(C, silence(C))
    known.get(C, no_content(C))
    assert is_armed_again()


def test_an_answer_to_now_tells_the_tail_and_holds_nothing(landed: Landed) -> None:
    """L15, E11: the offset is known from then on, and can be waited at."""
    assert landed.get(NOW, data(b"", B)) is Effect.CONFIRMED

    assert landed.log.knows(B)
    assert landed.log.holds(B)
    assert not landed.log.holds_bytes


def test_bytes_that_come_with_now_are_not_at_that_place(landed: Landed) -> None:
    """Some origin answers with them. Where they begin, nobody told."""
    assert landed.get(NOW, data(b"hello", B)) is Effect.CONFIRMED

    assert landed.log.holds(B)
    assert not landed.log.holds_bytes


def test_an_empty_answer_leaves_its_offset_known(landed: Landed) -> None:
    """A reader at the end of a stream of which nothing is held is served next time:
    its writer's acknowledged offset, for instance."""
    landed.log.tail.acknowledge(B, False)

    assert landed.get(B, data(b"", B)) is Effect.CONFIRMED
    assert landed.log.holds(B)


def test_an_empty_stream_has_its_first_offset(landed: Landed) -> None:
    """L8: ``-1`` and the first offset are aliases."""
    landed.get(BEGIN, data(b"", "0_0"))

    assert landed.log.end_alias(BEGIN) == "0_0"


def test_a_closed_answer_closes(known: Landed) -> None:
    """L4, E10; also a 204's."""
    known.get(B, no_content(B, closed=True))

    assert known.log.tail.closed


def test_json_is_kept_as_fragments(landed: Landed) -> None:
    """L8."""
    landed.get(BEGIN, data(b"[1]", A, content_type="application/json"))
    landed.get(A, data(b"[2,3]", B, content_type="application/json"))

    assert landed.log.is_json
    assert landed.page() == b",1,2,3"


def test_what_later_answers_repeat_is_remembered(landed: Landed) -> None:
    """L18, L22: what the route keeps, and the origin's last cursor."""
    landed.get(BEGIN, data(b"x", A, cursor=7, x_region="north", x_other="no"))
    landed.get(A, no_content(A, cursor=9))
    landed.get(A, data(b"", A))

    assert landed.log.kept_headers == ()
    assert landed.log.origin_cursor == "9"


def test_a_204_does_not_forget_what_the_route_keeps(landed: Landed) -> None:
    """L18: it has not the fields of a 200."""
    landed.get(BEGIN, data(b"x", A, x_region="north"))
    landed.get(A, no_content(A))

    assert landed.log.kept_headers == (("x-region", "north"),)


# -- offsets that only clients know ----------------------------------------------------


def test_the_answer_to_a_guess_is_kept_if_it_leads_on(known: Landed) -> None:
    """L1: and moves neither tail nor closure."""
    tail = known.log.tail.offset
    effect = known.get("0_25", data(b"inside", C, closed=True))

    assert effect is Effect.GREW
    assert known.page("0_25") == b"inside"
    assert (known.log.tail.offset, known.log.tail.closed) == (tail, False)


@pytest.mark.parametrize("next", [B, "0_25", "0_05"])
def test_an_empty_answer_to_a_guess_is_for_its_asker(known: Landed, next: str) -> None:
    """L1: Node answers one beyond the tail with the real one, others echo it."""
    before = repr(known.log)

    assert known.get("0_25", data(b"", next)) is Effect.NOT_KEPT
    assert repr(known.log) == before


def test_a_guess_cannot_end_an_incarnation(known: Landed) -> None:
    """L1: anybody could drop a log by asking for something odd."""
    assert known.get("0_15", data(b"other bytes", B)) is Effect.NOT_KEPT
    assert known.get("0_15", data(b"x", C, content_type="text/html")) is (
        Effect.NOT_KEPT
    )
    assert known.page() == b"hello world"


def test_a_guess_does_not_end_a_doubt(known: Landed) -> None:
    """L7."""
    known.log.tail.mark_unverified(known.now)
    known.get("0_25", data(b"inside", C))

    assert known.log.tail.unverified


# -- another incarnation -----------------------------------------------------------


def test_other_bytes_from_a_known_offset_are_another_stream(known: Landed) -> None:
    """L5, L8, E5."""
    assert known.get(A, data(b"_other", B)) is Effect.OTHER_BYTES
    assert known.get(BEGIN, data(b"hallo world", B)) is Effect.OTHER_BYTES
    page = data(b"hallo", A, up_to_date=False)
    assert known.get(BEGIN, page) is Effect.OTHER_BYTES


def test_bytes_behind_a_closed_end_are_another_stream(known: Landed) -> None:
    """L4: closure is final."""
    known.log.tail.close(B)

    assert known.get(B, data(b"more", C)) is Effect.OTHER_BYTES


@pytest.mark.parametrize("whole", [True, False])
def test_what_ends_beyond_a_closed_end_is_another_stream_though_nothing_is_held(
    landed: Landed, whole: bool
) -> None:
    """L2, L4: a page tells as much."""
    landed.head(head_answer(A, closed=True))
    answer = data(b"longer", B, up_to_date=whole)

    assert landed.get(BEGIN, answer) is Effect.OTHER_BYTES


def test_another_type_is_another_stream(known: Landed) -> None:
    """L5, E5."""
    assert known.get(B, data(b"", B, content_type="text/html")) is Effect.OTHER_TYPE
    assert known.head(head_answer(B, content_type="text/html")) is Effect.OTHER_TYPE


@pytest.mark.parametrize("told", ["text/plain", "TEXT/Plain", " text/plain "])
def test_the_same_type_in_other_letters_is_the_same(known: Landed, told: str) -> None:
    """RFC 9110 section 8.3.1."""
    assert known.get(B, data(b"", B, content_type=told)) is Effect.CONFIRMED


@pytest.mark.parametrize("start", [BEGIN, A, B, NOW])
def test_a_tail_that_went_back_is_to_be_confirmed(known: Landed, start: str) -> None:
    """L2, E5: from the beginning too; an empty new stream answers so (L7)."""
    assert known.get(start, data(b"", "0_00")) is Effect.WENT_BACK
    assert known.head(head_answer("0_00")) is Effect.WENT_BACK
    assert known.page() == b"hello world"


def test_an_old_answer_that_arrives_late_is_no_such_thing(landed: Landed) -> None:
    """L2: 1 a read is sent; 2 the tail moves on; 3 the answer lands."""
    landed.get(BEGIN, data(b"hello", A))
    late = landed.sent()
    landed.get(A, data(b" world", B))

    assert landed.get(A, data(b"", A), late) is Effect.CONFIRMED
    assert landed.head(head_answer(A), late) is Effect.CONFIRMED
    assert landed.log.tail.offset == B


def test_a_page_that_ends_before_the_tail_is_a_page(landed: Landed) -> None:
    """L2: one that does not claim to be all says nothing about the end."""
    landed.head(head_answer(D))
    first = landed.get(BEGIN, data(b"hello", A, up_to_date=False))
    second = landed.get(A, data(b" world", B, up_to_date=False))

    assert (first, second) == (Effect.GREW, Effect.GREW)
    assert landed.page() == b"hello world"
    assert landed.log.tail.offset == D


def test_every_end_of_an_incarnation_has_its_word() -> None:
    assert set(RESET_REASONS) == {
        Effect.WENT_BACK,
        Effect.OTHER_BYTES,
        Effect.OTHER_TYPE,
    }
    assert len(set(RESET_REASONS.values())) == 3


# -- doubt -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "answer", "ends"),
    [
        (A, data(b" world", B), True),
        (A, data(b" world!", C), True),
        (BEGIN, data(b"hello world", B), True),
        (B, data(b"", B), False),
        (B, data(b"!", C), False),
        (NOW, data(b"", B), False),
    ],
)
def test_a_doubt_is_ended_by_bytes_that_match(
    known: Landed, start: str, answer: OriginAnswer, ends: bool
) -> None:
    """L7: a longer log of a recreated stream answers a delta just as well."""
    known.log.tail.mark_unverified(known.now)
    known.get(start, answer)

    assert known.log.tail.unverified is not ends


def test_where_no_check_can_begin_before_the_end_a_delta_has_to_do(
    landed: Landed,
) -> None:
    """L7, the documented limit: or the log could never be shown again."""
    landed.get(BEGIN, data(b"x" * (MAX_PROBE + 1), A))
    landed.log.tail.mark_unverified(landed.now)

    assert landed.log.probe_start(MAX_PROBE) == A
    landed.get(A, data(b"", A))
    assert not landed.log.tail.unverified


def test_what_lies_before_a_hole_is_dropped_where_only_the_end_can_be_asked(
    known: Landed,
) -> None:
    """L7. 1: who reads ``now`` has the end noted, beyond what is held; 2: contact is
    lost; 3: the stream is replaced by a longer one; 4: an answer from that end proves
    nothing of what was held. Seen by the suite of truth, as one answer of two lives."""
    known.get(NOW, data(b"", C))
    known.log.tail.mark_unverified(known.now)

    assert known.log.probe_start(MAX_PROBE) == C
    assert known.get(C, data(b"other", D)) is Effect.GREW
    assert known.page() is None
    assert known.page(C) == b"other"


def test_an_answer_from_before_a_hole_ends_no_doubt(known: Landed) -> None:
    """L7: it has nothing that could be compared."""
    known.get(NOW, data(b"", C))
    known.log.tail.mark_unverified(known.now)

    assert known.get(B, data(b"other", C)) is Effect.NOT_KEPT
    assert known.log.tail.unverified
    assert known.page() == b"hello world"


def test_an_answer_that_meets_nothing_held_ends_no_doubt(landed: Landed) -> None:
    """L7, L8: it begins before what is held, and ends behind it."""
    landed.get(NOW, data(b"", A))
    landed.get(A, data(b"hello world", C))
    landed.log.tail.mark_unverified(landed.now)

    assert landed.get(BEGIN, data(b"other", D)) is Effect.NOT_KEPT
    assert landed.log.tail.unverified


def test_what_was_sent_before_the_doubt_does_not_end_it(known: Landed) -> None:
    """L7."""
    sent = known.sent()
    known.log.tail.mark_unverified(known.now)
    known.get(A, data(b" world", B), sent)

    assert known.log.tail.unverified


def test_a_head_ends_a_doubt_only_where_nothing_is_held(landed: Landed) -> None:
    """L7: it shows no bytes."""
    landed.log.tail.mark_unverified(landed.now)
    landed.head(head_answer(A))
    assert not landed.log.tail.unverified

    landed.get(BEGIN, data(b"hello", A))
    landed.log.tail.mark_unverified(landed.now)
    landed.head(head_answer(A))
    assert landed.log.tail.unverified


# -- HEAD --------------------------------------------------------------------------


def test_a_head_describes_the_stream(landed: Landed) -> None:
    """L20; PROTOCOL.md section 5.5."""
    told = head_answer(A, closed=True, ttl=90, stream_expires_at="2030-01-01T00:00:00Z")

    assert landed.head(told) is Effect.CONFIRMED
    assert landed.log.described
    assert landed.log.content_type == "text/plain"
    assert (landed.log.ttl, landed.log.expires_at) == (90, 1_893_456_000.0)
    assert (landed.log.tail.offset, landed.log.tail.closed) == (A, True)
    assert landed.log.holds(A)


def test_a_head_makes_no_claim_and_is_no_read(known: Landed) -> None:
    """L3, L23: most origins do not count it for a sliding TTL."""
    read_at, known.now = known.log.last_read_sent, known.now + 10
    known.head(head_answer(B))
    assert known.log.tail.up_to_date
    assert known.log.last_read_sent == read_at

    known.head(head_answer(C))
    assert not known.log.tail.up_to_date


@pytest.mark.parametrize("next", ["-1", "now", "", "a b"])
def test_a_head_without_an_offset_tells_nothing(landed: Landed, next: str) -> None:
    before = repr(landed.log)

    assert landed.head(head_answer(next)) is Effect.NOT_KEPT
    assert landed.head(OriginAnswer(200, ())) is Effect.NOT_KEPT
    assert (repr(landed.log), landed.log.described) == (before, False)


def test_a_head_that_leaves_the_type_unknown_describes_nothing(landed: Landed) -> None:
    """U12: an event stream begins with the type. Where it is known, it need not say."""
    untyped = head_answer(A, content_type=None)

    assert landed.head(untyped) is Effect.NOT_KEPT
    assert not landed.log.described
    landed.get(BEGIN, data(b"hello", A))
    assert landed.head(untyped) is Effect.CONFIRMED
    assert landed.log.described


def test_a_page_that_tells_of_no_stream_does_not_end_one(known: Landed) -> None:
    """U12: whatever its type is."""
    page = OriginAnswer(200, (("content-type", "text/html"),))

    assert known.head(page) is Effect.NOT_KEPT


@pytest.mark.parametrize(
    ("answer", "ttl", "expires_at"),
    [
        (data(b"a", A), UNKNOWN_TTL, None),
        (data(b"a", A, stream_ttl="3600"), 3600, None),
        (data(b"a", A, stream_ttl="ninety"), UNKNOWN_TTL, None),
        (
            data(b"a", A, stream_expires_at="2030-01-01T00:00:00Z"),
            None,
            1_893_456_000.0,
        ),
    ],
)
def test_a_get_may_stand_in_for_a_head(
    landed: Landed, answer: OriginAnswer, ttl: int | None, expires_at: float | None
) -> None:
    """U12: a TTL that it does not tell is unknown; a stream has a TTL or an expiry."""
    landed.get(BEGIN, answer)
    describe_by_get(landed.log, answer)

    assert landed.log.described
    assert (landed.log.ttl, landed.log.expires_at) == (ttl, expires_at)


def test_what_a_head_has_told_no_get_takes_back(landed: Landed) -> None:
    """U12; and a HEAD that comes later knows better."""
    landed.head(head_answer(A, ttl=3600))
    describe_by_get(landed.log, data(b"", A))
    assert landed.log.ttl == 3600

    other = Landed()
    other.get(NOW, data(b"", A))
    describe_by_get(other.log, data(b"", A))
    other.head(head_answer(A))
    assert other.log.ttl is None
    describe_by_get(other.log, data(b"", A))
    assert other.log.ttl is None


@pytest.mark.parametrize(
    "ttl", ["-1", "1.5", "ninety", "", "9" * 13, "\u0663", "1e3", " 9"]
)
def test_a_ttl_that_is_no_number_is_none(landed: Landed, ttl: str) -> None:
    landed.head(head_answer(A, stream_ttl=ttl))

    assert landed.log.ttl is None


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("2030-01-01T00:00:00Z", 1_893_456_000.0),
        ("2030-01-01T01:00:00+01:00", 1_893_456_000.0),
        ("2030-01-01T00:00:00.250Z", 1_893_456_000.25),
        ("2030-01-01T00:00:00", None),
        ("tomorrow", None),
        ("", None),
    ],
)
def test_an_expiry_is_an_instant_of_rfc_3339(
    landed: Landed, told: str, seconds: float | None
) -> None:
    """PROTOCOL.md section 5.1; whatever an origin sends, nothing raises."""
    landed.head(head_answer(A, stream_expires_at=told))

    assert landed.log.expires_at == seconds


def test_a_head_may_take_back_an_expiry(landed: Landed) -> None:
    landed.head(head_answer(A, ttl=90))
    landed.head(head_answer(A))

    assert landed.log.ttl is None


@pytest.mark.parametrize("inherits", [False, True])
def test_the_origins_word_for_what_a_keeper_has_handed_over_ends_no_doubt_by_itself(
    landed: Landed, inherits: bool
) -> None:
    """L7, W8: the keeper has said which life it held, and not the origin which it is.
    Bytes that meet nothing of what is held prove nothing."""
    landed.get(NOW, data(b"", A))
    landed.get(A, data(b"hello world", C))
    landed.log.tail.mark_unverified(landed.now)
    told = Provenance(lineage=Lineage(7), inherits=inherits)
    landed.get(BEGIN, replace(data(b"other", D), provenance=told))

    assert landed.log.tail.unverified is inherits
