"""How long things take, as the hub observes it: on a clock that a test moves."""

import pytest

from edge.core.errors import OriginTimeout
from edge.core.histograms import SECONDS, Histogram, Timings
from edge.core.values import Mode, Purpose, Read
from edge.live.timed_origin import TimedOrigin
from origin_adapter.scripted import ScriptedOrigin, data, head_answer
from tests.live.support import (
    House,
    RecordingSink,
    TestClock,
    scripted,
    settle,
    warm,
    watch,
)


def seen(histogram: Histogram) -> tuple[int, float]:
    """How many there were, and the sum in seconds."""
    return sum(histogram.counts), histogram.total / 1_000_000


def first_byte(house: House, mode: str, result: str) -> tuple[int, float]:
    return seen(house.counters.timings.first_byte[mode, result])


def test_a_miss_takes_as_long_as_its_origin() -> None:
    house, origin = scripted()
    asked = house.ask()
    house.clock.move(0.25)
    origin.expect().reply(data(b"abc", "0003"))
    asked.done()

    assert first_byte(house, "catch-up", "miss") == (1, 0.25)


def test_an_answer_that_is_repeated_counts_in_the_lowest_bucket() -> None:
    """It goes out in the turn of the event loop in which it was asked for."""
    house, origin = scripted()
    warm(house, origin)
    watch(house, origin)
    settle()
    read = Read(house.key(), "-1", Mode.CATCH_UP)
    for _ in range(5):
        if house.hub.answer_cache.peek(read, house.clock.monotonic()) is None:
            house.hub.ask(read, RecordingSink(), house.clock.monotonic())
    hits = house.counters.timings.first_byte["catch-up", "hit"]

    assert (hits.counts[0], sum(hits.counts)) == (5, 5)
    assert house.counters.answers["hit"] == 5


@pytest.mark.parametrize("crowd_size", [1, 40])
def test_a_poll_that_waited_for_an_event_did_not_wait_for_this_edge(
    crowd_size: int,
) -> None:
    house, origin = scripted()
    warm(house, origin)
    viewer, follow = watch(house, origin)
    crowd = [viewer, *(house.poll("0003") for _ in range(crowd_size - 1))]
    house.clock.move(7.0)
    follow.reply(data(b"de", "0005"))
    for asked in crowd:
        assert asked.done().body == b"de"

    timings = house.counters.timings.first_byte
    polls = [seen(timings["long-poll", result])[0] for result in ("hit", "collapsed")]
    assert polls == [0, 0]


def test_the_head_of_an_event_stream_is_its_first_byte() -> None:
    house, origin = scripted()
    warm(house, origin)
    viewer = house.view("0003")
    house.clock.move(0.5)
    origin.expect().reply(head_answer("0003"))
    settle()

    assert viewer.sink.answer is not None
    total = sum(
        seen(histogram)[0]
        for (mode, _), histogram in house.counters.timings.first_byte.items()
        if mode == "sse"
    )
    assert total == 1


def test_a_read_that_fails_counts_as_an_error() -> None:
    house, origin = scripted()
    asked = house.ask()
    house.clock.move(2.0)
    origin.expect().fail(OriginTimeout("late"))
    asked.done()

    assert first_byte(house, "catch-up", "error") == (1, 2.0)


def test_a_fan_out_lasts_until_the_last_viewer_was_served() -> None:
    """From the first event that somebody waited for."""
    house, origin = scripted()
    warm(house, origin)
    _, follow = watch(house, origin, mode=Mode.SSE)
    settle()
    follow.reply(data(b"de", "0005"))
    settle()

    assert seen(house.counters.timings.fan_out) == (1, 0.0)
    assert house.counters.timings.fan_out.counts[0] == 1


def test_a_stream_that_nobody_waits_for_has_no_fan_out() -> None:
    house, origin = scripted()
    warm(house, origin)

    assert seen(house.counters.timings.fan_out) == (0, 0.0)


def test_who_takes_nothing_is_observed_with_each_keep_alive() -> None:
    house, origin = scripted(sse_keep_alive=10.0)
    warm(house, origin)
    slow = RecordingSink(room=False)
    house.ask("-1", Mode.SSE, sink=slow)
    _, follow = watch(house, origin, mode=Mode.SSE)
    follow.reply(data(b"d" * 5000, "5003"))
    settle()
    house.pass_time(11.0)
    lag = house.counters.timings.viewer_lag

    assert (sum(lag.counts), lag.total) == (1, 5000)
    assert lag.counts[0] == 0


def test_the_head_of_a_read_is_timed_and_a_poll_that_is_held_is_not() -> None:
    origin, timings, clock = ScriptedOrigin(), Timings(), TestClock()
    house = House(TimedOrigin(origin, timings, clock.monotonic))
    house.ask()
    read = origin.expect(Purpose.CATCH_UP)
    clock.move(0.04)
    read.reply(data(b"abc", "0003"))
    settle()
    _, follow = watch(house, origin)
    clock.move(30.0)
    follow.reply(data(b"de", "0005"))
    settle()
    heads = timings.origin_head["catch-up",]

    assert sorted(timings.origin_head) == [("catch-up",), ("relay",), ("write",)]
    assert heads.counts[SECONDS.index(0.05)] == 1
    assert seen(heads) == (2, 0.04), "the other one is the HEAD that opened the stream"
