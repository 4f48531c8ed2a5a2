"""Histograms of plain integers, alone and of several processes."""

from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.histograms import (
    BYTES,
    HISTOGRAMS,
    MAX_EXEMPLARS,
    MICROSECONDS,
    SECONDS,
    Exemplar,
    Histogram,
    Timings,
    latest,
    series,
)
from edge.core.node_counters import NODE_DESCRIPTIONS, Number, added

FIRST_BYTE, FAN_OUT, _ORIGIN_HEAD, LAG = HISTOGRAMS
TIMES = st.lists(st.floats(0.0, 100.0))


def test_bounds_rise_and_no_name_or_series_is_there_twice() -> None:
    for one in HISTOGRAMS:
        assert list(one.bounds) == sorted(set(one.bounds))
        assert len(set(one.values)) == len(one.values)
        assert all(len(values) == len(one.labels) for values in one.values)
        assert not any(" " in word for values in one.values for word in values)
    names = [one.name for one in HISTOGRAMS]
    names += [one.name for one in NODE_DESCRIPTIONS]
    assert len(names) == len(set(names))


@given(TIMES)
def test_each_observation_counts_once_in_the_lowest_bucket_that_holds_it(
    observed: list[float],
) -> None:
    histogram = Histogram(FAN_OUT)
    for seconds in observed:
        histogram.observe(seconds)

    assert sum(histogram.counts) == len(observed)
    for bucket, bound in enumerate(SECONDS):
        within = sum(seconds <= bound for seconds in observed)
        assert sum(histogram.counts[: bucket + 1]) == within
    assert abs(histogram.total - sum(observed) * MICROSECONDS) <= len(observed)


def test_what_goes_back_in_time_counts_as_nothing() -> None:
    histogram = Histogram(FAN_OUT)
    histogram.observe(-5.0)

    assert (histogram.counts[0], histogram.total) == (1, 0)


@given(TIMES, TIMES)
def test_those_of_two_processes_add_up(one: list[float], other: list[float]) -> None:
    """As numbers by label, as all counters do."""
    parts: list[dict[str, Number]] = []
    for observed in (one, other):
        timings = Timings()
        for seconds in observed:
            timings.first_byte["sse", "miss"].observe(seconds)
            timings.viewer_lag.observe(int(seconds * 10_000))
        parts.append({**timings.as_counts()})
    sums = added(parts)
    counts = sums["first_byte_seconds"]
    assert isinstance(counts, dict)
    found = {
        labels: (cumulative, total)
        for labels, cumulative, total in series(FIRST_BYTE, counts)
    }
    cumulative, total = found["sse", "miss"]

    assert len(found) == len(FIRST_BYTE.values)
    assert cumulative[-1] == len(one) + len(other)
    for bucket, bound in enumerate(SECONDS):
        assert cumulative[bucket] == sum(s <= bound for s in one + other)
    assert total == pytest.approx(sum(one + other), abs=1e-4)
    assert all(
        not any(counts) for key, (counts, _) in found.items() if key[0] == "head"
    )


def test_what_nobody_observed_takes_no_room() -> None:
    """It is told to all other processes once a second."""
    assert not any(Timings().as_counts().values())


def test_bytes_have_buckets_of_their_own() -> None:
    histogram = Histogram(LAG)
    histogram.observe(65_536)

    assert histogram.counts[bisect_left(BYTES, 65_536)] == 1
    assert histogram.total == 65_536


# Exemplars.


@given(TIMES)
def test_an_exemplar_stands_in_the_bucket_that_counts_it(observed: list[float]) -> None:
    timings = Timings()
    for at, seconds in enumerate(observed):
        timings.fan_out.observe(seconds)
        timings.fan_out.note(Exemplar("1" * 32, seconds, float(at)))
    kept = timings.exemplars().get("fan_out_seconds", {})
    last = {
        str(bisect_left(SECONDS, seconds)): (seconds, float(at))
        for at, seconds in enumerate(observed)
    }
    assert {place: (one.value, one.at) for place, one in kept.items()} == last
    counts = enumerate(timings.fan_out.counts)
    assert set(kept) == {str(number) for number, count in counts if count}


def test_of_many_exemplars_the_latest_are_told() -> None:
    timings, at = Timings(), 0.0
    for histogram in timings.first_byte.values():
        for seconds in (*SECONDS, 100.0):
            at += 1
            histogram.note(Exemplar("1" * 32, seconds, at))
    told = timings.exemplars()["first_byte_seconds"]
    assert {one.at for one in told.values()} == {at - n for n in range(MAX_EXEMPLARS)}


def test_of_two_processes_the_latest_exemplar_of_a_bucket_is_kept() -> None:
    old, new = Exemplar("1" * 32, 0.5, 10.0), Exemplar("2" * 32, 0.6, 20.0)
    one, other = {"a": {"3": old, "4": new}}, {"a": {"3": new}, "b": {"1": old}}
    joined = {"a": {"3": new, "4": new}, "b": {"1": old}}
    assert latest([one, other]) == latest([other, one]) == joined


def test_without_traces_there_are_none() -> None:
    timings = Timings()
    timings.fan_out.observe(1.0)
    assert timings.exemplars() == {}
