"""Cursors: above the client's, one for the crowd, in no key (L22; E13, E52)."""

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.protocol import cursor as cursors
from origin_adapter.scripted import data
from tests.live.support import scripted, settle, watch


def interval(unix: float = 1_800_000_000.0) -> int:
    return cursors.interval(unix)


def test_one_wake_up_gives_the_whole_crowd_one_cursor() -> None:
    """So that it stays on one URL downstream."""
    house, origin = scripted()
    now = interval()
    first, poll = watch(house, origin)
    crowd = [first] + [house.poll("0003", now + n) for n in range(-3, 10)]
    poll.reply(data(b"de", "0005"))

    assert {asked.done().cursor for asked in crowd} == {str(now + 10)}


def test_one_who_comes_after_the_wake_up_is_on_the_same_page() -> None:
    house, origin = scripted()
    now = interval()
    first, poll = watch(house, origin)
    house.poll("0003", now + 5)
    poll.reply(data(b"de", "0005"))
    first.done()
    late = house.poll("0003", now + 5).done()

    assert late.cursor == str(now + 6)


def test_an_outlier_is_exceeded_and_moves_nobody() -> None:
    """E13: no client's huge cursor becomes the herd's."""
    house, origin = scripted()
    now = interval()
    first, poll = watch(house, origin)
    huge = [house.poll("0003", 10**15) for _ in range(2)]
    poll.reply(data(b"de", "0005"))

    assert first.done().cursor == str(now)
    assert {asked.done().cursor for asked in huge} == {str(10**15 + 1)}


def test_a_step_back_of_the_clock_takes_no_cursor_back() -> None:
    """E52."""
    house, origin = scripted()
    _, poll = watch(house, origin)
    stream = house.view("0003")
    poll.reply(data(b"d", "0004"))
    poll = origin.expect()
    settle()
    house.clock.unix -= 3600
    poll.reply(data(b"e", "0005"))
    origin.expect()
    settle()

    controls = [event for kind, event in stream.sink.events if kind == "control"]
    seen = [int(control["streamCursor"]) for control in controls]
    assert seen == sorted(seen) and len(seen) == 3


@settings(max_examples=30, deadline=None)
@given(st.lists(st.none() | st.integers(0, 10**17), min_size=1, max_size=8))
def test_every_client_is_given_more_than_it_brought(clients: list[int | None]) -> None:
    """Section 10.1: in whatever mixture they come."""
    house, origin = scripted()
    first, poll = watch(house, origin)
    crowd = [(None, first)] + [(c, house.poll("0003", c)) for c in clients]
    views = [(c, house.view("0003", c)) for c in clients]
    poll.reply(data(b"de", "0005"))
    for cursor, asked in crowd:
        mine = int(asked.done().cursor or 0)
        assert mine > (cursor or 0)
    settle()
    for cursor, view in views:
        events = [event for kind, event in view.sink.events if kind == "control"]
        seen = [int(event["streamCursor"]) for event in events]
        assert seen == sorted(seen)
        assert cursor is None or seen[0] > cursor
    house.hub.stop()
