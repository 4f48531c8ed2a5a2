"""When full collections run: told by samples, as stories of a worker's load; and how
the runner takes over, collects, and gives back, in this very process."""

import gc
import weakref
from collections.abc import Iterator

import gevent
import pytest

from edge.core.counters import Counters
from edge.process import gc_schedule
from edge.process.gc_schedule import (
    DUE_SAMPLE_SECONDS,
    DUE_YOUNGER,
    MAX_INTERVAL_SECONDS,
    MAX_TIME_SHARE,
    MAX_WAIT_SECONDS,
    MAX_YOUNGER,
    NEVER,
    SAMPLE_SECONDS,
    GcMoment,
    GcRunner,
    GcSample,
    GcSchedule,
)
from tests.support.patience import PATIENCE

QUIET, OVERDUE = GcMoment.QUIET, GcMoment.OVERDUE


class Worker:
    """A clock, a load, and what is judged of it; a sample each tenth of a second."""

    def __init__(self) -> None:
        self.now = self.cpu = 0.0
        self.younger = 0
        self.schedule = GcSchedule(self._sample())

    def _sample(self) -> GcSample:
        return GcSample(self.now, self.cpu, self.younger)

    def later(self, seconds: float = 0.1, load: float = 0.0) -> GcMoment | None:
        """Time passes under a load, and a sample is judged."""
        self.now += seconds
        self.cpu += seconds * load
        return self.schedule.judge(self._sample())

    def collected(self, took: float = 0.0) -> None:
        self.younger = 0
        self.now += took
        self.schedule.collected(self._sample(), took)


def test_nothing_is_due_before_enough_was_allocated() -> None:
    worker = Worker()
    worker.younger = DUE_YOUNGER - 1

    assert worker.later() is None
    assert worker.schedule.pause == SAMPLE_SECONDS


def test_what_is_due_waits_until_the_wave_is_over() -> None:
    """Samples are taken more often from then on."""
    worker = Worker()
    worker.younger = DUE_YOUNGER
    assert worker.later(load=0.0) is None, "of the time before it says nothing"
    assert worker.schedule.pause == DUE_SAMPLE_SECONDS
    assert [worker.later(load=1.0), worker.later(load=0.2)] == [None, None]
    assert worker.later(load=0.05) is QUIET


def test_a_worker_that_is_never_quiet_collects_all_the_same() -> None:
    worker = Worker()
    worker.younger = DUE_YOUNGER
    worker.later(load=1.0)
    looks = [worker.later(1.0, load=1.0) for _ in range(int(MAX_WAIT_SECONDS))]

    assert looks == [None] * (len(looks) - 1) + [OVERDUE]


@pytest.mark.parametrize("before", [0, DUE_YOUNGER])
def test_too_much_waits_for_no_moment(before: int) -> None:
    """Whether it was due already or came all at once: memory is bounded."""
    worker = Worker()
    worker.younger = before
    worker.later(load=1.0)
    worker.younger = MAX_YOUNGER

    assert worker.later(load=1.0) is OVERDUE


def test_an_idle_worker_collects_now_and_then() -> None:
    worker = Worker()
    assert worker.later(MAX_INTERVAL_SECONDS - 1) is None
    assert worker.later(1.0) is None
    assert worker.later() is QUIET


@pytest.mark.parametrize("younger", [DUE_YOUNGER, MAX_YOUNGER])
def test_collecting_never_takes_more_than_its_share(younger: int) -> None:
    """Of a larger heap it takes longer, and such a heap allocates faster too."""
    worker = Worker()
    worker.collected(took=0.1)
    worker.younger = younger
    assert worker.later(0.1 / MAX_TIME_SHARE - 1.0) is None
    assert worker.schedule.pause == SAMPLE_SECONDS
    first = worker.later(1.1)

    assert QUIET in (first, worker.later()) or first is OVERDUE


def test_after_a_collection_it_begins_anew() -> None:
    worker = Worker()
    worker.younger = DUE_YOUNGER
    worker.later()
    assert worker.later() is QUIET
    worker.collected()

    assert worker.later() is None
    assert worker.schedule.pause == SAMPLE_SECONDS


# The runner.


class Knot:
    """Holds itself."""

    def __init__(self) -> None:
        self.end = self


@pytest.fixture
def running() -> Iterator[tuple[GcRunner, Counters]]:
    """A runner that is started, and its counters."""
    counters = Counters()
    made = GcRunner(counters)
    made.start()
    yield made, counters
    made.stop()


def test_only_younger_collections_begin_by_themselves() -> None:
    """Once it is stopped, everything is as it was."""
    before = gc.get_threshold()
    made = GcRunner(Counters())
    made.start()
    assert gc.get_threshold() == (*before[:2], NEVER)
    assert gc.get_freeze_count() > 0
    made.stop()

    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


def test_a_collection_finds_what_holds_itself_and_is_counted_and_timed(
    running: tuple[GcRunner, Counters],
) -> None:
    runner, counters = running
    knot = weakref.ref(Knot())
    runner.collect(GcMoment.QUIET)

    assert knot() is None
    assert counters.collections == {"quiet": 1}
    gauges = runner.gauges()
    assert gauges["longest_collection_seconds"] >= gauges["last_collection_seconds"] > 0


def test_it_collects_when_it_sees_that_it_must(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The samples are given here."""
    samples = iter(
        [GcSample(0.0, 0.0, 0), GcSample(1.0, 1.0, MAX_YOUNGER), GcSample(1.0, 1.0, 0)]
    )
    over = gevent.event.Event()

    def sample() -> GcSample:
        given = next(samples, None)
        if given is None:
            over.set()
            raise gevent.GreenletExit
        return given

    monkeypatch.setattr(gc_schedule, "SAMPLE_SECONDS", 0.0)
    monkeypatch.setattr(gc_schedule, "take_sample", sample)
    counters = Counters()
    made = GcRunner(counters)
    made.start()
    assert over.wait(PATIENCE)
    made.stop()

    assert counters.collections == {"overdue": 1}


def test_a_sample_tells_how_often_younger_objects_were_collected() -> None:
    gc.collect()
    before = gc_schedule.take_sample()
    gc.collect(1)
    after = gc_schedule.take_sample()

    assert after.younger == before.younger + 1
    assert after.now >= before.now and after.cpu > 0
