"""Contact: back-off of reads and of polls, and a Retry-After over both (U3, U6, U7)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.errors import OriginUnreachable
from edge.core.values import Headers, OriginAnswer
from edge.policy.streams.contact import Contact, pause_after, seconds_to_wait

FAULT = OriginUnreachable("gone")
WALL = 1_800_000_000.0
"""Fri, 15 Jan 2027 08:00:00 GMT."""
DATE = ("date", "Fri, 15 Jan 2027 09:00:00 GMT")
"""An hour ahead of the clock here."""


def asked(*fields: tuple[str, str]) -> float | None:
    return seconds_to_wait(OriginAnswer(503, fields), WALL, 60.0)


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ((), None),
        ((("retry-after", "7"),), 7.0),
        ((("retry-after", "0"),), 0.0),
        ((("retry-after", "3600"),), 60.0),
        ((("retry-after", "9" * 400),), 60.0),
        # By the answer's own clock, whatever the clock here says.
        ((DATE, ("retry-after", "Fri, 15 Jan 2027 09:00:09 GMT")), 9.0),
        ((DATE, ("retry-after", "Friday, 15-Jan-27 09:00:09 GMT")), 9.0),
        ((DATE, ("retry-after", "Fri Jan 15 09:00:09 2027")), 9.0),
        ((("retry-after", "Fri, 15 Jan 2027 08:00:09 GMT"),), 9.0),
        # Past, absurd, or nonsense: some pause was meant.
        ((DATE, ("retry-after", "Fri, 15 Jan 2027 08:59:59 GMT")), 60.0),
        ((DATE, ("retry-after", "Fri, 15 Jan 2100 08:59:59 GMT")), 60.0),
        ((("retry-after", "soon"),), 60.0),
        ((("retry-after", "-1"),), 60.0),
        ((("retry-after", ""),), 60.0),
    ],
)
def test_a_retry_after_is_read_in_all_its_forms(
    fields: Headers, seconds: float | None
) -> None:
    """U7, RFC 9110 section 10.2.3."""
    assert asked(*fields) == seconds


def test_pauses_double_up_to_the_longest_with_jitter() -> None:
    longest = [pause_after(n, 0.1, 5.0, 1.0) for n in range(1, 9)]
    shortest = [pause_after(n, 0.1, 5.0, 0.0) for n in range(1, 9)]

    assert longest == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]
    assert shortest == [pause / 2 for pause in longest]


def test_a_read_that_works_leaves_the_back_off_of_polls_alone() -> None:
    """U6: an origin may answer reads and refuse polls."""
    contact = Contact()
    contact.poll_failed(0.0, 0.2)
    contact.read_worked()
    contact.poll_failed(0.2, 0.4)

    assert (contact.poll_failures, contact.poll_again_at) == (2, 0.2 + 0.4)
    assert not contact.works


def test_a_follower_hears_once_that_reads_work_again() -> None:
    """U7: otherwise each read would end its pause, and polls would come in a spin."""
    contact = Contact()
    contact.poll_failed(0.0, 5.0)
    heard = [contact.read_worked() for _ in range(3)]
    contact.poll_worked()
    contact.poll_failed(9.0, 5.0)

    assert heard == [True, False, False]
    assert contact.read_worked()


acts = st.lists(
    st.tuples(
        st.sampled_from(["read failed", "read worked", "poll failed", "poll worked"])
        | st.just("bound"),
        st.floats(0.0, 10.0),
    ),
    max_size=12,
)


def replay(history: list[tuple[str, float]]) -> tuple[Contact, float]:
    """What a contact comes to, a second between two acts; and the time then."""
    contact, now = Contact(), 0.0
    for act, seconds in history:
        match act:
            case "read failed":
                contact.read_failed(FAULT, now, seconds)
            case "read worked":
                contact.read_worked()
            case "poll failed":
                contact.poll_failed(now, seconds)
            case "poll worked":
                contact.poll_worked()
            case _:
                contact.bind(now + seconds)
        now += 1.0
    return contact, now


@settings(deadline=None)
@given(history=acts)
def test_reads_are_held_exactly_until_the_time_that_is_told(
    history: list[tuple[str, float]],
) -> None:
    """U3, U7: for a client that obeys, the next request is sent."""
    contact, now = replay(history)
    wait = contact.wait(now)

    assert contact.holds_reads(now) == (wait > 0)
    assert not contact.holds_reads(now + wait + 1e-6)


@settings(deadline=None)
@given(history=acts, seconds=st.floats(1.0, 60.0))
def test_nothing_but_time_ends_a_retry_after(
    history: list[tuple[str, float]], seconds: float
) -> None:
    """U7."""
    contact = Contact()
    contact.bind(seconds)
    contact.poll_worked()
    contact.read_worked()
    other, _ = replay(history)
    contact.bind(min(other.bound_until, seconds))

    assert contact.holds_reads(seconds - 0.001)
    assert not contact.holds_reads(seconds)


@settings(deadline=None)
@given(history=acts)
def test_a_poll_that_worked_ends_everything_but_a_retry_after(
    history: list[tuple[str, float]],
) -> None:
    contact, _ = replay(history)
    contact.poll_worked()

    assert contact.works
    assert contact.wait(contact.bound_until) == 0


def test_a_write_that_worked_lets_reads_go_and_forgets_nothing_else() -> None:
    """U7: neither how often they failed, nor a Retry-After, nor the polls' pause."""
    contact = Contact()
    contact.read_failed(FAULT, 0.0, 5.0)
    contact.read_failed(FAULT, 5.0, 5.0)
    contact.poll_failed(0.0, 9.0)
    contact.write_worked()
    assert not contact.holds_reads(6.0) and contact.fault is None
    assert (contact.read_failures, contact.poll_again_at) == (2, 9.0)

    contact.bind(20.0)
    contact.write_worked()
    assert contact.holds_reads(19.0)
