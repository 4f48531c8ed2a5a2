"""One event stream by which a stream is followed, from its request to its end (U16 to
U23). Its bytes are made by the functions that make the edge's own."""

import base64
import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from edge.core.reasons import Reason
from edge.core.values import Framing, Headers, OriginAnswerHead
from edge.policy.streams.followed_events import (
    ENDS,
    LATE_SECONDS,
    LIFE_SECONDS,
    LIFE_SPREAD,
    PROOF_SECONDS,
    QUIET_SECONDS,
    RATE_EVENTS,
    RATE_SECONDS,
    SPIN_EVENTS,
    SPIN_SECONDS,
    EventBatch,
    EventsEnd,
    EventsState,
    FollowedEvents,
    Heard,
)
from edge.protocol.json_arrays import fragment, whole
from edge.protocol.sse import Encoding, control_event, data_event

EVENTS = ("content-type", "text/event-stream")
BASE64 = ("stream-sse-data-encoding", "base64")
MAX = 64 * 1024
law = settings(deadline=None)


def head(
    *fields: tuple[str, str], status: int = 200, framing: Framing = Framing.CHUNKED
) -> OriginAnswerHead:
    return OriginAnswerHead(status, fields or (EVENTS,), framing, None)


def opened(
    start: str = "3", end: str = "3", encoding: Encoding = Encoding.JSON, **more: Any
) -> FollowedEvents:
    """One that was asked for at time 0, and whose chance is 0."""
    options = {"max_object": MAX, "chance": 0.0, **more}
    events = FollowedEvents(start, end, encoding, **options)
    events.sent(0.0)
    return events


def followed(start: str = "3", end: str = "3", **more: Any) -> FollowedEvents:
    """One with a good head."""
    events = opened(start, end, **more)
    fields: Headers = (EVENTS,)
    if more.get("encoding") is Encoding.BASE64:
        fields = (EVENTS, BASE64)
    assert events.head(head(*fields), 0.0) is None
    return events


def proven(at: str = "3", **more: Any) -> FollowedEvents:
    """One whose first control came: it stands at ``at``."""
    events = followed(at, at, **more)
    assert [type(one) for one in events.heard(control(at), 0.0)] == [EventBatch]
    return events


def data(*messages: Any) -> bytes:
    return data_event(json.dumps(list(messages)).encode(), Encoding.JSON)


def control(offset: str, *, claims: bool = True, closed: bool = False) -> bytes:
    return control_event(offset, "41", claims, closed)


def grown(offset: str, *messages: Any, claims: bool = True) -> bytes:
    return data(*messages) + control(offset, claims=claims)


def reasons(heard: Iterable[Heard | None]) -> list[Reason]:
    return [one.reason for one in heard if isinstance(one, EventsEnd)]


def values(heard: Iterable[Heard]) -> list[Any]:
    """The messages of all batches."""
    batches = [one for one in heard if isinstance(one, EventBatch)]
    found: list[Any] = json.loads(whole(b"".join(one.data for one in batches)))
    return found


# Batches.


def test_what_comes_between_two_controls_is_the_answer_to_one_read() -> None:
    """U22: it begins where the last one ended."""
    events = proven()

    (first,) = events.heard(data("a") + data("b", "c") + control("5"), 0.1)
    (second,) = events.heard(grown("6", "d", claims=False), 0.2)

    assert first == EventBatch("3", "5", b',"a","b", "c"', "41", True, False, False)
    assert second == EventBatch("5", "6", b',"d"', "41", False, False, False)


def test_bytes_travel_in_base64_event_by_event() -> None:
    """U16: each event is decoded by itself, then they are joined."""
    events = proven(encoding=Encoding.BASE64)
    pieces = [b"a", b"", b"\x00\xff\r\n"]
    text = b"".join(data_event(piece, Encoding.BASE64) for piece in pieces)

    (batch,) = events.heard(text + control("9"), 0.1)

    assert isinstance(batch, EventBatch)
    assert batch.data == b"".join(pieces)


def test_data_without_its_control_is_no_answer() -> None:
    """U20: what came after the last control is dropped."""
    events = proven()

    assert events.heard(data("a"), 0.1) == []
    assert events.state is EventsState.WITHIN
    assert reasons([events.ended(0.2)]) == [Reason.CONTACT_LOST]


def test_a_second_control_at_the_same_place_brings_nothing_on() -> None:
    events = proven()

    (batch,) = events.heard(control("3", claims=False), 0.1)

    assert batch == EventBatch("3", "3", b"", "41", False, False, False)
    assert events.stands_at is None


def test_several_batches_may_come_at_once() -> None:
    events = proven()

    heard = events.heard(grown("4", 1) + grown("5", 2) + data(3), 0.1)

    assert values(heard) == [1, 2]
    assert events.position == "5"
    assert events.state is EventsState.WITHIN


@law
@given(
    st.lists(st.lists(st.integers(), min_size=1, max_size=3), max_size=6),
    st.lists(st.integers(1, 400), max_size=6),
)
def test_the_log_is_the_same_however_the_bytes_are_cut(
    batches: list[list[int]], cuts: list[int]
) -> None:
    """And the same as the fragment of one catch-up answer (U16)."""
    text = b"".join(grown(str(n + 4), *batch) for n, batch in enumerate(batches))
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    events = proven()

    heard = [
        one
        for n, place in enumerate(places[:-1])
        for one in events.heard(text[place : places[n + 1]], 0.1)
    ]

    everything = json.dumps([m for batch in batches for m in batch]).encode()
    held = b"".join(one.data for one in heard if isinstance(one, EventBatch))
    assert held.replace(b" ", b"") == fragment(everything).replace(b" ", b"")
    assert reasons(heard) == []


# Vouching for the tail.


def test_it_vouches_from_a_control_to_the_first_byte_of_the_next_event() -> None:
    """U17."""
    events = proven()
    assert events.stands_at == "3"

    stood = []
    for n, piece in enumerate((b"e", grown("4", 1)[1:], data(2))):
        events.heard(piece, 0.5 + n)
        stood.append(events.stands_at)

    assert stood == [None, "4", None]


def test_it_vouches_only_where_the_control_claims_to_be_all() -> None:
    events = proven()

    events.heard(grown("4", 1, claims=False), 0.1)

    assert events.state is EventsState.BETWEEN
    assert events.stands_at is None


def test_it_vouches_for_no_longer_than_the_quiet_time() -> None:
    """U17: an event stream stays mute for good when its stream was made anew."""
    events = proven(slows=False)
    events.heard(grown("4", 1), 2.0)

    assert events.vouches_until == 2.0 + QUIET_SECONDS
    assert events.look(2.0 + QUIET_SECONDS - 0.01) is None
    assert reasons([events.look(2.0 + QUIET_SECONDS)]) == [Reason.EVENTS_QUIET]


def test_a_comment_is_no_sign_of_life() -> None:
    """Something in between may send it."""
    events = proven()

    events.heard(b": keep-alive\n\n", 4.0)

    assert events.vouches_until == QUIET_SECONDS
    assert events.stands_at == "3"
    assert events.skipped == 1


def test_a_control_that_nobody_asked_for_is_one() -> None:
    events = proven(slows=False)

    events.heard(control("3"), 4.0)

    assert events.look(QUIET_SECONDS + 1.0) is None
    assert events.vouches_until == 4.0 + QUIET_SECONDS


# The first events repeat what is held.


def test_what_is_held_must_come_again_first() -> None:
    events = followed("1", "3")

    (first,) = events.heard(grown("2", 1, claims=False), 0.1)
    assert events.state is EventsState.PROVING
    (second,) = events.heard(grown("4", 2, 3), 0.2)

    assert events.stands_at == "4"
    (third,) = events.heard(grown("5", 4), 0.3)
    batches = (first, second, third)
    assert [getattr(one, "proves", None) for one in batches] == [True, True, False]


def test_it_is_late_if_the_proof_does_not_come_within_a_second() -> None:
    """U20: gzip, or a proxy that collects answers, hold the events up."""
    waits = followed("1", "3")
    assert waits.look(PROOF_SECONDS - 0.01) is None
    assert reasons([waits.look(PROOF_SECONDS)]) == [Reason.EVENTS_LATE]

    comes = followed("1", "3")
    assert reasons(comes.heard(grown("3", 1), PROOF_SECONDS)) == [Reason.EVENTS_LATE]

    headless = opened()
    assert reasons([headless.look(PROOF_SECONDS)]) == [Reason.EVENTS_LATE]


def test_nothing_is_late_before_the_request_is_on_the_wire() -> None:
    """Connecting has a time of its own, and so has waiting for a connection."""
    events = FollowedEvents("1", "3", Encoding.JSON, max_object=MAX, chance=0.0)

    assert events.look(60.0) is None
    assert events.lost(61.0) == EventsEnd(Reason.CONTACT_LOST, 0.0)


def test_half_of_the_proof_is_none() -> None:
    events = followed("1", "3")
    events.heard(grown("2", 1, claims=False), 0.1)

    assert reasons([events.look(PROOF_SECONDS)]) == [Reason.EVENTS_LATE]


# Heads.


@pytest.mark.parametrize(
    "odd",
    [
        head(("content-type", "application/json")),
        head(("content-type", "text/plain")),
        head(("x", "y")),
        head(EVENTS, ("content-encoding", "gzip")),
        head(EVENTS, BASE64),
        head(EVENTS, framing=Framing.CLOSE),
        head(EVENTS, framing=Framing.LENGTH),
    ],
)
def test_a_head_that_cannot_be_followed_is_refused(odd: OriginAnswerHead) -> None:
    """U16, U21: another type, a coding, another encoding than the stream's, or an end
    that nobody can verify."""
    assert reasons([opened().head(odd, 0.1)]) == [Reason.EVENTS_REFUSED]


def test_bytes_without_the_encoding_field_are_refused() -> None:
    events = opened(encoding=Encoding.BASE64)

    assert reasons([events.head(head(EVENTS), 0.1)]) == [Reason.EVENTS_REFUSED]


@pytest.mark.parametrize("status", [204, 301, 400, 404, 429, 500, 503])
def test_another_status_is_for_a_long_poll_to_hear(status: int) -> None:
    ended = opened().head(head(EVENTS, status=status), 0.1)

    assert reasons([ended]) == [Reason.EVENTS_STATUS]


def test_parameters_of_the_type_and_the_coding_identity_are_nothing_odd() -> None:
    fields = (
        ("content-type", "Text/Event-Stream; charset=utf-8"),
        ("content-encoding", "identity"),
    )

    assert opened().head(head(*fields), 0.1) is None


# Ends.


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (control("4"), Reason.EVENTS_MOVED),
        (data() + control("4"), Reason.EVENTS_MOVED),
        (grown("2", 1), Reason.TAIL_WENT_BACK),
        (control("2"), Reason.TAIL_WENT_BACK),
        (grown("3", 1), Reason.EVENTS_INEXACT),
        (b"event: data\ndata:[1\n\n", Reason.EVENTS_INEXACT),
        (b"event: data\ndata:[\ndata:1]\n\n", Reason.EVENTS_INEXACT),
        (b"event: control\ndata:{}\n\n", Reason.EVENTS_INEXACT),
        (data("x" * MAX), Reason.TOO_LARGE),
        (data("x" * (MAX // 2)) * 3, Reason.TOO_LARGE),
        (b"x" * (MAX + 1), Reason.TOO_LARGE),
        (data() * SPIN_EVENTS, Reason.ORIGIN_SPIN),
        (control("3") * SPIN_EVENTS, Reason.ORIGIN_SPIN),
        (b": c\n\n" * SPIN_EVENTS, Reason.ORIGIN_SPIN),
    ],
)
def test_what_does_not_fit_ends_it_before_it_touches_the_log(
    text: bytes, reason: Reason
) -> None:
    """U16, U18, U19, U22."""
    events = proven()

    heard = events.heard(text + grown("9", "behind"), 0.1)

    assert reasons(heard) == [reason]
    assert values(heard) == []
    assert events.heard(grown("9", "later"), 0.2) == []


def test_what_came_whole_before_the_end_counts() -> None:
    events = proven()

    heard = events.heard(grown("4", 1) + control("9"), 0.1)

    assert values(heard) == [1]
    assert reasons(heard) == [Reason.EVENTS_MOVED]


def test_a_burst_of_many_appends_is_no_spin() -> None:
    """An origin may send an event for each append, and one control behind all."""
    events = proven()

    heard = events.heard(data(1) * SPIN_EVENTS * 2 + control("9"), 0.1)

    assert len(values(heard)) == SPIN_EVENTS * 2
    assert reasons(heard) == []


def test_events_that_bring_nothing_slowly_are_no_spin() -> None:
    events = proven(slows=False)

    for n in range(20):
        now = n * (SPIN_SECONDS + 0.01)
        assert reasons(events.heard(control("3") * (SPIN_EVENTS // 2), now)) == []


def test_progress_is_no_spin() -> None:
    events = proven()
    nothing = data() * (SPIN_EVENTS - 2)

    for n in range(4, 9):
        assert reasons(events.heard(nothing + grown(str(n), n), 0.1)) == []


def test_the_closure_comes_with_its_last_bytes() -> None:
    events = proven()

    batch, end = events.heard(data(1) + control("4", closed=True), 0.5)

    assert batch == EventBatch("3", "4", b",1", None, True, True, False)
    assert end == EventsEnd(Reason.CLOSED, 0.5)


def test_a_last_chunk_behind_a_control_is_a_clean_end() -> None:
    """U21."""
    assert proven().ended(7.0) == EventsEnd(Reason.EVENTS_ENDED, 7.0)


@pytest.mark.parametrize(
    "text", [data(1), data(), b"e", b"event: data\ndata:[1]\n", grown("4", 1) + data(2)]
)
def test_any_other_end_is_lost_contact(text: bytes) -> None:
    events = proven()
    events.heard(text, 0.1)

    assert reasons([events.ended(0.2)]) == [Reason.CONTACT_LOST]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", Reason.EVENTS_ENDED),
        (b": c\n\n", Reason.EVENTS_ENDED),
        (data(1), Reason.CONTACT_LOST),
        (data(1)[:9], Reason.CONTACT_LOST),
    ],
)
def test_an_end_before_the_first_control_event_is_clean_if_nothing_was_begun(
    text: bytes, reason: Reason
) -> None:
    events = followed("1", "3")
    events.heard(text, 0.1)

    assert reasons([events.ended(0.2)]) == [reason]


def test_a_connection_that_dies_is_lost_contact_wherever_it_was() -> None:
    for events in (opened(), followed("1", "3"), proven()):
        assert reasons([events.lost(0.5)]) == [Reason.CONTACT_LOST]


def test_an_event_that_stalls_is_lost_contact() -> None:
    events = proven()
    events.heard(data(1)[:9], 1.0)

    assert events.look(1.0 + QUIET_SECONDS - 0.01) is None
    assert reasons([events.look(1.0 + QUIET_SECONDS)]) == [Reason.CONTACT_LOST]


def test_an_event_that_never_comes_to_its_end_is_given_up() -> None:
    events = proven()
    now, ended = 1.0, None
    while ended is None:
        assert events.heard(b"x", now) == []
        now += QUIET_SECONDS - 1.0
        ended = events.look(now)

    assert ended.reason is Reason.CONTACT_LOST
    assert now <= LIFE_SECONDS + 3 * QUIET_SECONDS


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_it_ends_itself_at_a_control_when_its_life_is_over(chance: float) -> None:
    """U21: 45 to 55 s, at random, so that a restart's crowd does not come back at
    once."""
    events = proven(chance=chance, slows=False)
    over = LIFE_SECONDS + LIFE_SPREAD * chance
    events.heard(grown("4", 1) + data(2), over - 1.0)

    assert events.look(over + 1.0) is None
    heard = events.heard(control("5"), over + 1.0)

    assert values(heard) == [2]
    assert reasons(heard) == [Reason.LIFETIME]


def test_a_life_may_be_bounded_further() -> None:
    """U23: by the time for which a credential is believed."""
    events = proven(life=3.0, slows=False)

    assert events.look(2.9) is None
    assert reasons([events.look(3.0)]) == [Reason.LIFETIME]


def steady(seconds: float, rate: float) -> FollowedEvents:
    """One that had ``rate`` events a second for so long, and nobody looked."""
    events = proven()
    for n in range(int(seconds * rate)):
        events.heard(grown(f"4{n:05}", n), n / rate)
    return events


def test_it_is_slow_below_one_event_a_second() -> None:
    """U20."""
    assert steady(20.0, 1.1).look(20.0) is None
    assert reasons([steady(20.0, 0.7).look(20.0)]) == [Reason.EVENTS_SLOW]


def test_it_is_not_slow_in_its_first_seconds() -> None:
    events = proven()
    events.heard(grown("4", 1), RATE_SECONDS - 0.5)

    assert events.look(RATE_SECONDS - 0.01) is None
    assert reasons([events.look(RATE_SECONDS)]) == [Reason.EVENTS_SLOW]


def test_events_that_were_frequent_and_are_rare_now_are_slow() -> None:
    events = proven()
    for n in range(RATE_EVENTS):
        events.heard(grown(str(n + 4), n), 6.0)
    events.heard(grown("95", 9), 10.0)

    assert events.look(6.0 + RATE_SECONDS - 0.01) is None
    assert reasons([events.look(12.0)]) == [Reason.EVENTS_SLOW]


def test_where_it_is_asked_for_rare_events_keep_it() -> None:
    """``follow: sse``."""
    events = proven(slows=False)
    events.heard(grown("4", 1), 4.0)

    assert events.look(8.0) is None


# Writes.


def test_an_event_that_comes_behind_its_acknowledgement_is_waited_for() -> None:
    """U18."""
    events = proven()
    events.expect("5", 1.0)

    assert not events.is_behind(1.0 + LATE_SECONDS - 0.01)
    events.heard(grown("5", 1), 1.2)
    assert not events.is_behind(9.0)
    assert not events.is_behind(9.0)


def test_an_event_that_does_not_come_in_time_is_late_once() -> None:
    events = proven()
    events.expect("5", 1.0)
    events.expect("6", 1.1)
    events.heard(grown("5", 1), 1.2)

    seen = [events.is_behind(1.0 + LATE_SECONDS + n * 0.25) for n in range(5)]

    assert seen == [False, True, False, False, False]


def test_an_event_that_was_there_before_its_acknowledgement_is_not_waited_for() -> None:
    events = proven()
    events.heard(grown("5", 1), 0.5)
    events.expect("5", 1.0)
    events.expect("4", 1.0)

    assert not any(events.is_behind(2.0 + n) for n in range(3))


def test_nothing_is_late_before_the_first_events() -> None:
    events = followed("1", "3")
    events.expect("5", 0.1)

    assert not any(events.is_behind(0.5 + n / 10) for n in range(4))


# All together.


acts = st.sampled_from(
    [
        *(data(n) for n in range(2)),
        data(),
        *(grown(str(n), n) for n in range(1, 8)),
        *(control(str(n), claims=bool(n % 2)) for n in range(1, 8)),
        control("7", closed=True),
        data(1)[:14],
        b": c\n\n",
        b"\n\n",
        b"x" * 200,
        b"event: data\ndata:[\xff]\n\n",
        data_event(b"ab", Encoding.BASE64),
        "ended",
        "lost",
        "look",
        0.3,
        1.0,
        5.0,
        50.0,
    ]
)


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from([Encoding.JSON, Encoding.BASE64]),
    st.sampled_from([("1", "1"), ("1", "3"), ("3", "3")]),
    st.lists(acts, max_size=25),
)
def test_whatever_comes_it_ends_once_and_its_batches_adjoin(
    encoding: Encoding, place: tuple[str, str], script: list[Any]
) -> None:
    events = opened(*place, encoding=encoding, max_object=150)
    fields = (EVENTS, BASE64) if encoding is Encoding.BASE64 else (EVENTS,)
    heard: list[Heard | None] = [events.head(head(*fields), 0.0)]
    now = 0.0
    for act in script:
        if isinstance(act, float):
            now += act
        elif isinstance(act, bytes):
            heard += events.heard(act, now)
        else:
            calls = {"ended": events.ended, "lost": events.lost, "look": events.look}
            heard.append(calls[act](now))
        if events.stands_at is not None:
            assert events.stands_at >= place[1]

    batches = [one for one in heard if isinstance(one, EventBatch)]
    ends = [one for one in heard if isinstance(one, EventsEnd)]
    assert [b.start for b in batches] == [place[0], *(b.next for b in batches)][
        :-1
    ] or (not batches)
    assert all(bool(b.data) is (b.start < b.next) for b in batches)
    assert len(ends) <= 1
    assert (events.state is EventsState.OVER) is bool(ends)
    assert all(one.reason in ENDS for one in ends)
    for one in ends:
        event(one.reason.value)


def test_base64_of_another_length_than_told_is_inexact() -> None:
    events = proven(encoding=Encoding.BASE64)
    text = base64.b64encode(b"abc").rstrip(b"=") + b"="

    heard = events.heard(b"event: data\ndata:" + text + b"\n\n", 0.1)

    assert reasons(heard) == [Reason.EVENTS_INEXACT]
