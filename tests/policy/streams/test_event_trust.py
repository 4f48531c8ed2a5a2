"""Whether a stream is followed by events, and what makes that stop (U16, U20)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.reasons import Reason
from edge.policy.streams.event_trust import (
    MAX_LATE,
    MAX_SHORT,
    PENALTY_SECONDS,
    SHORT_SECONDS,
    EventTrust,
    encoding_of,
)
from edge.policy.streams.followed_events import ENDS, Blame, EventsEnd
from edge.protocol.sse import Encoding

BRIEF = SHORT_SECONDS / 2


def end(reason: Reason, seconds: float = 30.0) -> EventsEnd:
    return EventsEnd(reason, seconds)


# Types.


@pytest.mark.parametrize(
    ("content_type", "is_json", "encoding"),
    [
        ("application/json", True, Encoding.JSON),
        ("application/json; charset=utf-8", True, Encoding.JSON),
        ("application/octet-stream", False, Encoding.BASE64),
        ("application/x-ndjson", False, Encoding.BASE64),
        # Text loses its line ends, whatever else.
        ("text/plain", False, None),
        ("text/markdown", False, None),
        # JSON by this route's word alone: what its base64 holds, nobody knows.
        ("application/ld+json", True, None),
        ("application/ld+json", False, Encoding.BASE64),
        # Not known yet.
        (None, False, None),
    ],
)
def test_events_of_some_types_are_exact(
    content_type: str | None, is_json: bool, encoding: Encoding | None
) -> None:
    """U16."""
    assert encoding_of(content_type, is_json) is encoding


# Down, and up again.


@pytest.mark.parametrize("reason", [Reason.EVENTS_QUIET, Reason.EVENTS_SLOW])
def test_a_calm_stream_goes_back_to_long_polls_until_one_brings_something(
    reason: Reason,
) -> None:
    """U20."""
    trust = EventTrust()
    assert trust.allows(0.0)
    trust.ended(end(reason), 30.0)
    calm = trust.allows(99.0)
    trust.polled()

    assert not calm
    assert trust.allows(99.0)


@pytest.mark.parametrize("reason", [Reason.LIFETIME, Reason.EVENTS_ENDED])
def test_the_next_event_stream_follows_a_clean_end(reason: Reason) -> None:
    trust = EventTrust()
    trust.ended(end(reason), 50.0)

    assert trust.allows(50.0)


AT_ONCE = [reason for reason, course in ENDS.items() if course.blame is Blame.AT_ONCE]


def test_what_does_not_work_for_now_is_this() -> None:
    """U20, U22: a buffered way, an odd head, a spin, an answer too large."""
    assert set(AT_ONCE) == {
        Reason.EVENTS_LATE,
        Reason.EVENTS_BEHIND,
        Reason.EVENTS_REFUSED,
        Reason.ORIGIN_SPIN,
        Reason.TOO_LARGE,
    }


@pytest.mark.parametrize("reason", AT_ONCE)
def test_what_does_not_work_is_left_for_ten_minutes_then_for_twenty(
    reason: Reason,
) -> None:
    trust = EventTrust()
    now = 0.0
    for doubled in (1, 2, 4):
        trust.ended(end(reason), now)
        until = now + doubled * PENALTY_SECONDS
        trust.polled()
        assert not trust.allows(until - 1.0)
        assert trust.allows(until)
        now = until


def test_three_event_streams_shorter_than_a_second_do_not_work() -> None:
    trust = EventTrust()
    for _ in range(MAX_SHORT - 1):
        trust.ended(end(Reason.EVENTS_ENDED, BRIEF), 1.0)
        assert trust.allows(1.0)
    trust.ended(end(Reason.EVENTS_ENDED, BRIEF), 1.0)

    assert not trust.allows(PENALTY_SECONDS)
    assert trust.allows(PENALTY_SECONDS + 1.0)


@pytest.mark.parametrize("between", [end(Reason.LIFETIME), end(Reason.EVENTS_ENDED)])
def test_one_that_lived_longer_between_them_makes_it_no_three(
    between: EventsEnd,
) -> None:
    trust = EventTrust()
    for _ in range(3):
        for _ in range(MAX_SHORT - 1):
            trust.ended(end(Reason.EVENTS_ENDED, BRIEF), 1.0)
        trust.ended(between, 1.0)

    assert trust.allows(1.0)


def test_a_third_late_event_is_one_too_many() -> None:
    """U18, U20."""
    trust = EventTrust()

    assert [trust.is_late() for _ in range(MAX_LATE)] == [False, False, True]


def test_a_whole_life_without_a_third_one_forgets_the_others() -> None:
    trust = EventTrust()
    trust.is_late()
    trust.is_late()
    trust.ended(end(Reason.LIFETIME), 50.0)

    assert not trust.is_late()


def test_inexact_events_end_it_for_good() -> None:
    """U16."""
    trust = EventTrust()
    trust.ended(end(Reason.EVENTS_INEXACT), 1.0)
    trust.polled()

    assert trust.is_over
    assert not trust.allows(1e12)


def test_inexact_events_end_it_for_good_whatever_the_last_one_ended_by() -> None:
    """A read found them inexact while one was under way."""
    trust = EventTrust()
    trust.give_up()
    trust.ended(end(Reason.ORIGIN_SPIN), 1.0)

    assert trust.is_over


@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(ENDS, key=str)), st.floats(0.0, 60.0)),
        max_size=12,
    )
)
def test_nothing_but_time_ends_a_penalty(story: list[tuple[Reason, float]]) -> None:
    """Whatever other event streams, begun before, come to meanwhile."""
    trust = EventTrust()
    trust.ended(end(Reason.EVENTS_LATE), 0.0)
    for reason, seconds in story:
        trust.ended(end(reason, seconds), 1.0)
        trust.polled()
        assert not trust.allows(PENALTY_SECONDS - 1.0)
