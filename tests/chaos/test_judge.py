"""Each law of the judge is seen to fail on an answer that breaks it, and on no other.

One stream, by hand: what was written when, and by which way; then one answer after the
other, right but for one thing.
"""

from dataclasses import replace
from math import inf
from typing import Any

import pytest

from tests.chaos.history import Bounds, Incarnation, Life, Span, Way, Write
from tests.chaos.judge import Absence, Answer, judge, judge_absence
from tests.chaos.messages import Kind, Name

BOUNDS = Bounds(verify=3.0, trust=1.0, hold=1.0)
CLOSED = {"cache-control": "public, max-age=3", "cache-status": "ds-edge/a; hit"}
STALE = {"cache-control": "no-store", "cache-status": "ds-edge/a; hit; detail=stale"}
NOT_KEPT = {"cache-control": "no-store", "cache-status": "ds-edge/a; fwd=miss"}


def names(incarnation: int, *numbers: int) -> tuple[Name, ...]:
    return tuple(Name(0, incarnation, 0, number, 5) for number in numbers)


def stream(
    number: int, begun: float, writes: str, way: Way = Way.EDGE, heard: bool = True
) -> Incarnation:
    """One message each second from ``begun`` on: through the edge (e) or behind (b).

    Offsets are ``000``, ``010`` and so on.
    """
    birth = Life(Span(begun - 0.2, begun - 0.1), way, heard)
    one = Incarnation(number, Kind.TEXT, birth)
    one.places |= {"-1": 0, "000": 0}
    for at, letter in enumerate(writes):
        by = Way.EDGE if letter == "e" else Way.BEHIND
        span = Span(begun + at, begun + at + 0.1)
        written = names(number, at)
        one.log += written
        one.writes.append(Write(by, written, span, True, f"{10 * (at + 1):03d}"))
    one.settle()
    return one


def end(one: Incarnation, at: float, way: Way = Way.EDGE, heard: bool = True) -> None:
    one.death = Life(Span(at, at + 0.1), way, heard)


def close(one: Incarnation, at: float, way: Way = Way.EDGE) -> None:
    one.closing = at
    one.closure = Life(Span(at, at + 0.1), way, heard=way is Way.EDGE)


def answer(first: int, stop: int, sent: float, /, **changes: Any) -> Answer:
    """The messages from ``first`` to ``stop``, of incarnation 0, as a closed range."""
    right = Answer(
        target="/s",
        mode="catch-up",
        sent=sent,
        received=sent + 0.05,
        start=f"{10 * first:03d}",
        next=f"{10 * stop:03d}",
        kind=Kind.TEXT,
        names=names(0, *range(first, stop)),
        fields=CLOSED,
    )
    return replace(right, **changes)


def tail(first: int, stop: int, sent: float, /, **changes: Any) -> Answer:
    """The same, up to the end and with the claim."""
    fields = {**CLOSED, "cache-control": "public, max-age=0, must-revalidate"}
    fields = fields if first < stop else NOT_KEPT
    return answer(first, stop, sent, **{"up_to_date": True, "fields": fields} | changes)


def words(told: Answer, *lives: Incarnation, bounds: Bounds = BOUNDS) -> set[str]:
    """The laws that the answer breaks."""
    return {wrong.partition(":")[0] for wrong in judge(told, lives, bounds)}


LONG = stream(0, 10.0, "eeeb")
"""Written at 10, 11 and 12 through the edge, and at 13 behind it."""


# What is right


@pytest.mark.parametrize(
    "right",
    [
        answer(0, 2, 20.0),
        answer(1, 3, 13.05),
        answer(0, 4, 20.0, fields=NOT_KEPT),
        tail(0, 4, 20.0),
        tail(4, 4, 20.0),
        tail(4, 4, 20.0, mode="now", start=None),
        answer(4, 4, 20.0, mode="head", start=None, fields=NOT_KEPT),
        tail(0, 4, 20.0, status=304),
        answer(3, 4, 20.0, mode="long-poll", up_to_date=True),
        answer(0, 1, 20.0, fields=STALE),
        answer(0, 2, 20.0, start="7-of-another-stream"),
        tail(4, 4, 20.0, start="990"),
    ],
)
def test_what_is_right_breaks_no_law(right: Answer) -> None:
    assert words(right, LONG) == set()


def test_a_claim_may_be_true_at_any_moment_between_request_and_answer() -> None:
    """The write at 12 was under way, and may be seen or not."""
    for stop in (2, 3):
        assert words(tail(0, stop, 12.05, received=12.3), LONG) == set()


def test_behind_the_edge_a_write_may_be_seen_a_hold_and_a_round_trip_later() -> None:
    """L3; in a storm a poll may be armed for 5 s more, and its answer be lost."""
    late = tail(0, 3, 14.5)

    assert words(late, LONG) == set()
    assert words(tail(0, 3, 15.5), LONG) == {"claim"}
    stormy = replace(BOUNDS, storms=[Span(14.0, 15.0)])
    assert words(tail(0, 3, 15.5), LONG, bounds=stormy) == set()


# The bytes


@pytest.mark.parametrize(
    ("shown", "law"),
    [
        (names(0, 0, 2), "bytes"),  # something between is left out
        (names(0, 1, 0), "bytes"),  # in another order
        (names(0, 0, 0), "bytes"),  # twice
        (names(0, 0) + names(1, 1), "bytes"),  # of two incarnations
        (names(0, 0, 1, 2), "next"),  # more than its offsets say
        (names(0, 1), "start"),  # less
    ],
)
def test_bytes_are_a_range_of_one_log_and_its_offsets_are_their_ends(
    shown: tuple[Name, ...], law: str
) -> None:
    other = stream(1, 40.0, "ee")
    end(LONG, 30.0)
    try:
        assert words(answer(0, 2, 20.0, names=shown), LONG, other) == {law}
    finally:
        LONG.death = None


@pytest.mark.parametrize("made_up", [names(0, 0), ()])
def test_an_offset_is_one_that_the_origin_gave_out(made_up: tuple[Name, ...]) -> None:
    """L1."""
    told = answer(0, 1, 20.0, next="005", names=made_up)

    assert "offset" in words(told, LONG)


def test_behind_a_lost_acknowledgement_an_offset_may_stand_that_nobody_was_told() -> (
    None
):
    one = stream(0, 10.0, "eee")
    one.writes[1].offset = None
    del one.places["020"]
    one.settle()

    assert words(answer(0, 2, 20.0, next="X"), one) == set()
    assert words(answer(0, 1, 20.0, next="X"), one) == {"offset"}


def test_a_type_is_the_streams() -> None:
    assert words(answer(0, 2, 20.0, kind=Kind.BINARY), LONG) == {"type"}


def test_nothing_is_shown_before_it_was_written() -> None:
    assert "future" in words(answer(0, 2, 10.5), LONG)


# Lives


def test_what_was_deleted_through_the_edge_is_shown_to_nobody_who_comes_later() -> None:
    """L5: not even as stale."""
    one = stream(0, 10.0, "eeee")
    end(one, 20.0)

    assert words(answer(0, 2, 20.05), one) == set()
    assert words(answer(0, 2, 20.2), one) == {"dead"}
    assert words(answer(0, 2, 20.2, fields=STALE), one) == {"dead"}


def test_what_was_deleted_behind_it_is_shown_as_long_as_its_age_tells() -> None:
    """L6, U2."""
    one = stream(0, 10.0, "eeee")
    end(one, 20.0, Way.BEHIND, heard=False)
    aged = {**CLOSED, "age": "2"}

    assert words(answer(0, 2, 22.0), one) == set()
    assert words(answer(0, 2, 25.0), one) == {"dead"}
    assert words(answer(0, 2, 25.0, fields=aged), one) == set()
    assert words(answer(0, 2, 60.0, fields={**STALE, "age": "2"}), one) == {"dead"}
    assert words(answer(0, 2, 60.0, fields={**STALE, "age": "39"}), one) == set()


def test_an_event_stream_tells_no_age_and_shows_what_others_may() -> None:
    """L6: for as long as the stream need not be confirmed."""
    one = stream(0, 10.0, "eeee")
    end(one, 20.0, Way.BEHIND, heard=False)
    latest = 20.0 + BOUNDS.verify + 1 + BOUNDS.late(20.0)

    assert words(answer(0, 2, latest - 0.5, mode="sse", fields={}), one) == set()
    assert words(answer(0, 2, latest + 1.0, mode="sse", fields={}), one) == {"dead"}


def test_after_a_delete_that_may_have_happened_nothing_unconfirmed_is_shown() -> None:
    """U5: as stale alone."""
    one = stream(0, 10.0, "eeee")
    end(one, 20.0, Way.EDGE, heard=False)
    assert one.death is not None
    one.death.doubted = True

    assert words(answer(0, 2, 21.0), one) == {"dead"}
    assert words(answer(0, 2, 21.0, fields=STALE), one) == set()


@pytest.mark.parametrize("heard", [False, True])
def test_who_waits_for_an_origin_that_is_away_is_told_nothing(heard: bool) -> None:
    """U2, U5, U8, W5: neither bytes nor a claim, at the offset that it came with, after
    a DELETE in doubt, or one of which another front has heard."""
    one = stream(0, 10.0, "eeee")
    end(one, 20.0, Way.EDGE, heard)
    assert one.death is not None
    one.death.doubted = not heard
    rough = replace(BOUNDS, storms=[Span(19.0, 20.5)])
    silence = answer(4, 4, 21.0, mode="long-poll", status=204, fields=NOT_KEPT)

    assert words(silence, one, bounds=rough) == set()
    assert words(silence, one) == {"dead"}
    assert words(replace(silence, up_to_date=True), one, bounds=rough) == {"dead"}
    assert words(replace(silence, start="030"), one, bounds=rough) > {"dead"}
    assert words(replace(silence, mode="head"), one, bounds=rough) == {"dead"}
    late = replace(silence, sent=40.0, received=40.1)
    assert words(late, one, bounds=rough) == {"dead"}


def test_a_stream_is_not_shown_before_it_began() -> None:
    assert "unborn" in words(answer(0, 0, 9.0, fields=NOT_KEPT, up_to_date=True), LONG)


@pytest.mark.parametrize("status", [404, 410])
def test_a_living_stream_is_not_denied(status: int) -> None:
    one, unheard = stream(0, 10.0, "e"), stream(0, 10.0, "e", Way.BEHIND, heard=False)
    end(one, 20.0)
    end(unheard, 20.0)

    def denied(life: Incarnation, sent: float) -> bool:
        absence = Absence("catch-up", sent, sent + 0.2, status)
        return bool(judge_absence(absence, [life], BOUNDS))

    assert [denied(one, at) for at in (9.0, 10.5, 19.9, 21.0)] == [0, 1, 0, 0]
    assert [denied(unheard, at) for at in (9.0, 10.5, 15.0, 21.0)] == [0, 0, 1, 0]


def test_an_offset_of_a_living_stream_is_not_denied() -> None:
    def denied(offset: str, sent: float) -> bool:
        absence = Absence("catch-up", sent, sent + 0.2, 400, offset)
        return bool(judge_absence(absence, [LONG], BOUNDS))

    assert denied("020", 20.0) and denied("-1", 20.0)
    assert not denied("020", 10.5) and not denied("of-another", 20.0)


# Claims


@pytest.mark.parametrize("mode", ["catch-up", "long-poll", "sse", "now", "head"])
def test_what_claims_to_be_all_shows_every_acknowledged_write(mode: str) -> None:
    """L4; HEAD and ``now`` tell where the stream ends, whatever they claim."""
    claims = mode not in ("head", "now")
    told = tail(2, 2, 12.3, mode=mode, start=None, up_to_date=claims)

    assert "claim" in words(told, LONG)
    assert "claim" not in words(replace(told, sent=11.9), LONG)


def test_who_begins_now_is_shown_nothing_from_before() -> None:
    """L20."""
    told = answer(2, 3, 12.3, mode="long-poll-now", start=None)

    assert words(told, LONG) == {"now"}
    assert words(replace(told, sent=12.05), LONG) == set()


def test_an_answer_has_bytes_or_a_claim() -> None:
    """L3: else its reader asks again at once."""
    assert words(answer(4, 4, 20.0, fields=NOT_KEPT), LONG) == {"no-progress"}


def test_closed_is_said_of_the_end_of_a_closed_stream() -> None:
    one = stream(0, 10.0, "eeee")
    assert "closed" in words(tail(0, 4, 20.0, closed=True), one)
    close(one, 15.0)

    assert words(tail(0, 4, 20.0, closed=True), one) == set()
    assert "closed" in words(tail(0, 4, 14.5, closed=True), one)
    assert "closed" in words(answer(0, 2, 20.0, closed=True), one)


def test_that_it_is_closed_is_not_withheld() -> None:
    """L4: the claim without it says that more may come."""
    one, behind = stream(0, 10.0, "eeee"), stream(0, 10.0, "eeee")
    close(one, 15.0)
    close(behind, 15.0, Way.BEHIND)

    assert words(tail(0, 4, 15.2), one) == {"closure-hidden"}
    assert words(tail(0, 4, 15.2), behind) == set()
    assert words(tail(0, 4, 18.0), behind) == {"closure-hidden"}


# The fields


@pytest.mark.parametrize("told", ["public, max-age=3", "private, s-maxage=3"])
def test_what_a_credential_is_shown_is_not_for_shared_caches(told: str) -> None:
    """L12."""
    fields = {**CLOSED, "cache-control": told}

    assert words(answer(0, 2, 20.0, subject="alice", fields=fields), LONG) == {"shared"}


@pytest.mark.parametrize(
    "changes",
    [
        {"up_to_date": True},
        {"fields": {**STALE, "cache-control": "max-age=0"}},
        {"fields": {**STALE, "etag": '"a"'}},
        {"subject": "alice"},
    ],
)
def test_a_stale_answer_claims_nothing_and_is_for_nobody_with_a_credential(
    changes: dict[str, Any],
) -> None:
    """U2, L14."""
    told = answer(0, 4, 20.0, **{"fields": STALE} | changes)

    assert words(told, LONG) == {"stale"}


@pytest.mark.parametrize(
    "changes",
    [{"codings": frozenset({"br"})}, {"subject": "alice"}, {"mode": "long-poll"}],
)
def test_a_coding_was_asked_for_and_is_for_shared_pages_alone(
    changes: dict[str, Any],
) -> None:
    """L19."""
    fields = {"cache-control": "no-store", "content-encoding": "gzip"}
    told = answer(0, 2, 20.0, codings=frozenset({"gzip"}), fields=fields)

    assert words(told, LONG) == set()
    assert words(replace(told, **changes), LONG) == {"coding"}


@pytest.mark.parametrize(
    "wrong",
    [
        answer(0, 4, 20.0),  # fresh, though the stream may grow
        answer(0, 2, 10.9, received=11.0),  # before anything followed
        answer(0, 2, 20.0, fields={**CLOSED, "age": "3"}),
        tail(4, 4, 20.0, fields=CLOSED),
    ],
)
def test_only_what_cannot_grow_is_fresh_downstream(wrong: Answer) -> None:
    """L16."""
    assert "freshness" in words(wrong, LONG)


def test_what_ends_before_a_fork_goes_on_cannot_grow() -> None:
    """L16, E9: a fork between two messages has a name of its end behind the last one's.
    Under that name it is the end of an open stream."""
    one = stream(0, 10.0, "")
    one.base, one.first = names(0, 0, 1), "025"
    one.log = [*one.base]
    one.places |= {"010": 1, "020": 2, "025": 2}
    one.settle()
    early, late = answer(0, 2, 20.0), answer(0, 2, 20.0, next="025")
    assert words(early, one) == set()
    assert words(late, one) == {"freshness"}

    one.writes.append(Write(Way.EDGE, names(0, 2), Span(21.0, 21.1), True, "035"))
    one.log += names(0, 2)
    one.settle()
    assert words(early, one) == set()
    assert words(late, one) == {"freshness"}
    one.first = "020"
    assert words(early, one) == {"freshness"}


@pytest.mark.parametrize(("subject", "age"), [("", 5), ("alice", 3)])
def test_what_is_shown_was_confirmed_lately(subject: str, age: int) -> None:
    """L6, L14: or since its reader came."""
    fields = {"cache-control": "private, max-age=0", "age": str(age)}
    told = answer(0, 2, 20.0, subject=subject, fields=fields)

    assert words(told, LONG) == {"unconfirmed"}
    assert words(replace(told, received=23.0), LONG) == set()


@pytest.mark.parametrize("ends", [-inf, 19.9])
def test_who_is_not_let_in_is_told_nothing(ends: float) -> None:
    """A1: not even that there is nothing new."""
    for told in (answer(0, 2, 20.0, ends=ends), tail(4, 4, 20.0, ends=ends)):
        assert words(told, LONG) == {"ungranted"}
        assert words(replace(told, ends=20.1), LONG) == set()


def test_who_is_let_in_no_more_gets_no_byte_and_hears_no_claim() -> None:
    """A3, B12: but for what was under way."""
    for told in (answer(0, 2, 20.0, ends=21.0), tail(4, 4, 20.0, ends=21.0)):
        assert words(replace(told, received=21.9), LONG) == set()
        assert words(replace(told, received=22.1), LONG) == {"ungranted"}
    ended = tail(4, 4, 20.0, ends=21.0, received=23.0, up_to_date=False)
    assert "ungranted" not in words(ended, LONG)


def test_who_is_let_in_shares_what_is_held() -> None:
    """B6: also what is stale, and what others had confirmed."""
    granted = replace(BOUNDS, granted=True)
    fields = {"cache-control": "private, max-age=0", "age": "3"}
    stale = answer(0, 4, 20.0, subject="alice", fields=STALE)
    aged = answer(0, 2, 20.0, subject="alice", fields=fields)

    for told in (stale, aged):
        assert words(told, LONG)
        assert judge(told, [LONG], granted) == ()


# The log itself


@pytest.mark.parametrize(
    ("log", "law"),
    [
        (names(0, 0, 1, 2, 2), "written-twice"),
        (names(0, 0, 2), "acknowledged-not-there"),
        (names(0, 0, 1, 2, 9), "refused-but-there"),
    ],
)
def test_a_log_is_what_its_writers_were_told(log: tuple[Name, ...], law: str) -> None:
    one = stream(0, 10.0, "eee")
    one.writes.append(Write(Way.EDGE, names(0, 9), Span(14.0, 14.1), ok=False))
    assert one.faults() == []
    one.log = list(log)
    one.settle()

    assert {wrong.partition(":")[0] for wrong in one.faults()} == {law}


def test_a_write_of_unknown_fate_may_be_there_or_not() -> None:
    one = stream(0, 10.0, "eee")
    one.writes.append(Write(Way.EDGE, names(0, 9), Span(14.0, 14.1)))
    for log in (names(0, 0, 1, 2), names(0, 0, 1, 2, 9)):
        one.log = list(log)
        one.settle()

        assert one.faults() == []
