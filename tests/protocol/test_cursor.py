"""Cursors: above the client's, never back, one for the crowd (L22, E13, E52)."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.protocol.cursor import (
    MAX_DIGITS,
    WINDOW,
    CursorClock,
    advance,
    crowd,
    for_client,
    interval,
    own,
    parse,
)

START = datetime(2024, 10, 9, tzinfo=UTC).timestamp()

law = settings(deadline=None)
nows = st.integers(0, 10**7)
cursors = st.none() | st.integers(0, 10**MAX_DIGITS - 1)


def around(now: int) -> st.SearchStrategy[int | None]:
    """Cursors on both sides of everything that matters at ``now``."""
    near = st.integers(max(0, now - 10), now + 2 * WINDOW)
    return st.none() | near | st.integers(0, 10**MAX_DIGITS - 1)


@st.composite
def wake_ups(draw: st.DrawFn) -> tuple[int, int, list[int | None]]:
    """An interval, the highest minted before, and the cursors of the woken."""
    now = draw(nows)
    highest = draw(st.just(0) | st.integers(now, now + 3 * WINDOW))
    return now, highest, draw(st.lists(around(max(now, highest)), max_size=8))


# Intervals.


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, 0), (19.999, 0), (20, 1), (39.5, 1), (-1, 0), (-(10**9), 0), (86400, 4320)],
)
def test_an_interval_is_20_seconds_since_october_2024(
    seconds: float, expected: int
) -> None:
    """PROTOCOL.md section 10.1; a clock before the epoch gives 0, not less."""
    assert interval(START + seconds) == expected


def test_a_real_origins_cursor_is_met() -> None:
    """The Node reference server told 3344888 at this time."""
    assert interval(START + 3344888 * 20) == 3344888


def test_the_clock_repeats_its_interval_while_the_wall_clock_is_behind() -> None:
    """E52: a step back by NTP must not take cursors back."""
    clock = CursorClock()

    told = [clock.interval(START + seconds) for seconds in (200, 100, 0, 219, 220)]

    assert told == [10, 10, 10, 10, 11]


@law
@given(st.lists(st.floats(START - 1e6, START + 1e9)))
def test_the_clock_never_goes_back(walls: list[float]) -> None:
    """E52, for any walk of the wall clock."""
    clock = CursorClock()

    told = [clock.interval(wall) for wall in walls]

    assert told == sorted(told)
    assert all(got >= interval(wall) for got, wall in zip(told, walls, strict=True))


# What a client brings.


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", 0), ("3344888", 3344888), ("007", 7), ("9" * 18, 10**18 - 1)],
)
def test_ascii_digits_are_a_cursor(text: str, expected: int) -> None:
    """Up to 18 of them."""
    assert parse(text) == expected


@pytest.mark.parametrize(
    "text",
    # The last line: digits to ``str.isdigit`` or to ``int``, but not ASCII ones.
    [
        *(None, "", "abc", "-1", "+5", "1.0", "1e3", "1_000", " 12", "12\n", "0x10"),
        *("x" * 40, "\u0663", "12\u0663", "\u00b2", "\uff11"),
    ],
)
def test_what_is_not_ascii_digits_counts_as_no_cursor(text: str | None) -> None:
    """E13. ``int`` would take some of these, among them other scripts' digits."""
    assert parse(text) is None


@pytest.mark.parametrize("text", ["1" * 19, "0" * 19, "9" * 5000])
def test_an_absurdly_long_cursor_is_refused(text: str) -> None:
    """E13: before any arithmetic."""
    with pytest.raises(ValueError, match="at most 18 digits"):
        parse(text)


# One viewer.


@pytest.mark.parametrize(
    ("client", "expected"), [(None, 100), (0, 100), (99, 100), (100, 101), (250, 251)]
)
def test_a_viewers_own_is_the_interval_or_one_above_its_cursor(
    client: int | None, expected: int
) -> None:
    """L22: no randomness."""
    assert own(100, client) == expected


# A crowd.


def test_viewers_of_mixed_cursors_share_the_largest_own() -> None:
    """L22: one value for one wake-up, so the crowd stays on one URL."""
    clients = [None, 3, 100, 104, 101]

    value = crowd(100, 0, clients)

    assert value == 105
    assert {for_client(value, 100, 0, client) for client in clients} == {105}


def test_the_window_ends_180_above_the_interval() -> None:
    """L22: at most, so 180 is in and 181 is out."""
    value = crowd(100, 0, [None, 100 + WINDOW, 101 + WINDOW])

    assert value == 101 + WINDOW
    assert for_client(value, 100, 0, 100 + WINDOW) == 101 + WINDOW
    assert for_client(value, 100, 0, 101 + WINDOW) == 102 + WINDOW


def test_the_window_is_counted_from_the_highest_minted_where_that_is_above() -> None:
    """L22: a busy stream's cursors run ahead of the clock, and its crowd with them."""
    ahead = 5000

    assert crowd(100, ahead, [None, ahead + WINDOW]) == ahead + WINDOW + 1
    assert crowd(100, 0, [None, ahead + WINDOW]) == 100


def test_a_viewer_without_a_cursor_is_not_taken_back() -> None:
    """An SSE viewer brings its cursor once: what it hears must not fall either."""
    first = crowd(100, 0, [None, 104])
    highest = advance(0, first)

    assert crowd(100, highest, [None]) == first


def test_outliers_of_equal_cursor_are_served_alike() -> None:
    """L22: groups, so bytes made for one serve the others."""
    value = crowd(100, 0, [None, 9000, 9000, 9001])

    served = [for_client(value, 100, 0, client) for client in (9000, 9000, 9001)]

    assert served == [9001, 9001, 9002]


def test_a_wake_up_of_outliers_alone_raises_nothing() -> None:
    """E13: what they are given is not the crowd's."""
    value = crowd(100, 105, [10**9])

    assert advance(105, value) == 105


@law
@given(wake_ups())
def test_everybody_gets_more_than_it_brought(
    woken: tuple[int, int, list[int | None]],
) -> None:
    """L22: strictly above the client's, and never below the interval."""
    now, highest, clients = woken
    value = crowd(now, highest, clients)

    for client in clients:
        minted = for_client(value, now, highest, client)
        assert minted >= now
        assert client is None or minted > client


@law
@given(wake_ups())
def test_everybody_within_the_window_gets_the_same(
    woken: tuple[int, int, list[int | None]],
) -> None:
    """L22: and it is the largest own among them, or what was minted before."""
    now, highest, clients = woken
    bound = max(now, highest) + WINDOW
    members = [c for c in clients if c is None or c <= bound]

    value = crowd(now, highest, clients)

    assert value == max([now, highest, *(own(now, c) for c in members)])
    assert all(for_client(value, now, highest, c) == value for c in members)


@law
@given(wake_ups(), st.integers(1, 10**12))
def test_a_hostile_cursor_never_moves_the_crowd(
    woken: tuple[int, int, list[int | None]], beyond: int
) -> None:
    """E13: outliers come and go without any other viewer seeing it."""
    now, highest, clients = woken
    hostile = max(now, highest) + WINDOW + beyond

    value = crowd(now, highest, [*clients, hostile])

    assert value == crowd(now, highest, clients)
    assert for_client(value, now, highest, hostile) == hostile + 1


@law
@given(wake_ups(), cursors)
def test_for_one_viewer_alone_the_crowd_needs_no_value_before(
    woken: tuple[int, int, list[int | None]], client: int | None
) -> None:
    """It comes to the same, and ``highest`` too."""
    now, highest, _ = woken

    def minted(highest: int) -> tuple[int, int]:
        value = crowd(now, highest, (client,))
        mine = for_client(value, now, highest, client)
        return mine, advance(highest, value)

    of_crowd = crowd(now, highest, (client,))
    of_events = crowd(now, highest, ())
    assert minted(advance(highest, of_crowd)) == minted(highest)
    assert minted(advance(highest, of_events)) == minted(highest)


@given(nows, st.integers(0, 10**6))
def test_who_was_given_the_last_value_of_the_crowd_is_given_one_more(
    now: int, more: int
) -> None:
    """So an event stream goes from event to event, and is never an outlier."""
    highest = now + more
    value = crowd(now, highest, (highest,))

    assert value == for_client(value, now, highest, highest) == highest + 1


@given(wake_ups(), cursors)
def test_values_do_not_depend_on_when_highest_was_raised(
    woken: tuple[int, int, list[int | None]], late: int | None
) -> None:
    """Asked with ``highest`` from before or after: the same, also for late comers."""
    now, highest, clients = woken
    value = crowd(now, highest, clients)
    raised = advance(highest, value)

    for client in clients:
        before = for_client(value, now, highest, client)
        assert before == for_client(value, now, raised, client)
    assert late is None or for_client(value, now, raised, late) > late


# Many wake-ups, while the wall clock steps about.

wake_up_walks = st.lists(
    st.tuples(st.integers(-3, 3), st.sets(st.integers(0, 4), min_size=1)), max_size=12
)
crowds_of_five = st.lists(around(1000), min_size=5, max_size=5)


def walked(walk: list[tuple[int, set[int]]]) -> Iterator[tuple[int, list[int]]]:
    """The interval of each wake-up, and which of the five viewers it serves."""
    clock, wall = CursorClock(), START + 1000 * 20
    for step, woken in walk:
        wall += step * 20
        yield clock.interval(wall), sorted(woken)


@law
@given(wake_up_walks, crowds_of_five)
def test_a_poller_who_echoes_hears_more_every_time(
    walk: list[tuple[int, set[int]]], held: list[int | None]
) -> None:
    """L22, E52: no URL of a poller is ever the one before it."""
    highest = 0
    for now, woken in walked(walk):
        value = crowd(now, highest, [held[i] for i in woken])
        highest = advance(highest, value)
        for i in woken:
            told, before = for_client(value, now, highest, held[i]), held[i]
            assert before is None or told > before
            held[i] = told


@law
@given(wake_up_walks, crowds_of_five)
def test_an_sse_viewer_never_hears_less(
    walk: list[tuple[int, set[int]]], brought: list[int | None]
) -> None:
    """L22, E52: it brings its cursor once, while a poller beside it drives on."""
    highest = 0
    poller: int | None = None
    heard = [0] * 5
    for now, woken in walked(walk):
        value = crowd(now, highest, [poller, *(brought[i] for i in woken)])
        highest = advance(highest, value)
        poller = for_client(value, now, highest, poller)
        for i in woken:
            told = for_client(value, now, highest, brought[i])
            assert told >= heard[i]
            heard[i] = told
