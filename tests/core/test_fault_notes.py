"""When what failed last, as counters and streams tell it."""

from hypothesis import given
from hypothesis import strategies as st

from edge.core.counters import Counters
from edge.core.fault_notes import (
    MAX_NOTES,
    MAX_PATH,
    RUN_SECONDS,
    FaultRun,
    FaultTimes,
    StreamFaults,
    watched_in,
)
from edge.core.reasons import Reason
from edge.core.stream_snapshot import FaultNote


def test_what_has_been_counted_since_the_last_look_is_noted_with_its_time() -> None:
    counters = Counters()
    times = FaultTimes(watched_in(counters))
    times.look(100.0)
    counters.origin_faults["origin-timeout"] += 2
    counters.refusals["limit-viewers"] += 1
    times.look(100.25)
    counters.origin_faults["origin-timeout"] += 1
    times.look(100.5)
    times.look(100.75)

    assert times.runs["origin"] == {"origin-timeout": (100.25, 100.5)}
    assert times.runs["refused"] == {"limit-viewers": (100.25, 100.25)}
    assert times.runs["disk"] == {}


def test_failures_that_come_again_and_again_are_one_run_which_a_pause_ends() -> None:
    counters = Counters()
    times = FaultTimes(watched_in(counters))
    for at in (100.0, 100.0 + RUN_SECONDS, 100.0 + 2 * RUN_SECONDS):
        counters.origin_faults["origin-timeout"] += 1
        times.look(at)
    one = times.runs["origin"]["origin-timeout"]
    counters.origin_faults["origin-timeout"] += 1
    times.look(101.0 + 3 * RUN_SECONDS)
    other = times.runs["origin"]["origin-timeout"]

    assert one == (100.0, 100.0 + 2 * RUN_SECONDS)
    assert other == (101.0 + 3 * RUN_SECONDS, 101.0 + 3 * RUN_SECONDS)


RUNS = st.builds(
    lambda since, length: FaultRun(float(since), float(since + length)),
    st.integers(0, 300),
    st.integers(0, 300),
)


@given(RUNS, RUNS)
def test_runs_of_two_processes_are_one_where_they_meet(
    one: FaultRun, other: FaultRun
) -> None:
    both = one.joined(other)

    assert both == other.joined(one)
    assert both.last == max(one.last, other.last)
    apart = max(one.since, other.since) - min(one.last, other.last)
    if apart <= RUN_SECONDS:
        assert both.since == min(one.since, other.since)
    else:
        assert both in (one, other)


def test_of_a_front_the_origin_and_its_keepers_are_told_apart() -> None:
    own, direct = Counters(), Counters()
    times = FaultTimes(watched_in(own, direct))
    own.origin_faults["origin-unreachable"] += 1
    times.look(1.0)
    direct.origin_faults["origin-timeout"] += 1
    times.look(2.0)

    assert times.runs["link"] == {"origin-unreachable": (1.0, 1.0)}
    assert times.runs["origin"] == {"origin-timeout": (2.0, 2.0)}


def test_the_failures_of_one_path_come_newest_first_and_repeats_are_counted() -> None:
    faults = StreamFaults()
    faults.note("/a", Reason.ORIGIN_TIMEOUT, 1.0)
    faults.note("/b", Reason.ORIGIN_TIMEOUT, 2.0)
    faults.note("/a", Reason.ORIGIN_SPIN, 3.0)
    faults.note("/a", Reason.ORIGIN_TIMEOUT, 4.0)

    assert faults.of_path("/a") == [
        FaultNote("origin-timeout", 2, 4.0),
        FaultNote("origin-spin", 1, 3.0),
    ]
    assert faults.of_path("/c") == []


@given(st.lists(st.tuples(st.integers(0, 200), st.sampled_from(list(Reason)))))
def test_no_more_is_remembered_than_a_bound(told: list[tuple[int, Reason]]) -> None:
    """Whoever makes up names makes no memory."""
    faults = StreamFaults()
    for at, (name, reason) in enumerate(told):
        faults.note(f"/{name}", reason, float(at))
    noted = [note for name in range(201) for note in faults.of_path(f"/{name}")]

    assert len(noted) == min(len(set(told)), MAX_NOTES)
    if told:
        name, reason = told[-1]
        assert faults.of_path(f"/{name}")[0].reason == reason.value


def test_of_a_path_that_is_very_long_nothing_is_noted() -> None:
    faults = StreamFaults()
    path = "/" + "x" * MAX_PATH
    faults.note(path, Reason.ORIGIN_TIMEOUT, 1.0)

    assert faults.of_path(path) == []
