"""When a full collection runs: told by looks, as stories of a worker's load."""

import pytest

from edge.process.gc_schedule import (
    AT_LATEST,
    ENOUGH,
    OFTEN,
    PATIENCE,
    SELDOM,
    SHARE,
    TOO_MANY,
    GcMoment,
    GcSample,
    GcSchedule,
)

QUIET, OVERDUE = GcMoment.QUIET, GcMoment.OVERDUE


class Worker:
    """A clock, a load, and what is judged of it; one tenth of a second a look."""

    def __init__(self) -> None:
        self.now = self.cpu = 0.0
        self.younger = 0
        self.moments = GcSchedule(self._look())

    def _look(self) -> GcSample:
        return GcSample(self.now, self.cpu, self.younger)

    def look(self, seconds: float = 0.1, load: float = 0.0) -> GcMoment | None:
        """Time passes under a load, and somebody looks."""
        self.now += seconds
        self.cpu += seconds * load
        return self.moments.judge(self._look())

    def collected(self, took: float = 0.0) -> None:
        self.younger = 0
        self.now += took
        self.moments.collected(self._look(), took)


def test_nothing_is_due_before_enough_was_allocated() -> None:
    worker = Worker()
    worker.younger = ENOUGH - 1

    assert worker.look() is None
    assert worker.moments.pause == SELDOM


def test_what_is_due_waits_until_the_wave_is_over() -> None:
    """It is looked for more often from then on."""
    worker = Worker()
    worker.younger = ENOUGH
    assert worker.look(load=0.0) is None, "of the time before it says nothing"
    assert worker.moments.pause == OFTEN
    assert [worker.look(load=1.0), worker.look(load=0.2)] == [None, None]
    assert worker.look(load=0.05) is QUIET


def test_a_worker_that_is_never_quiet_collects_all_the_same() -> None:
    worker = Worker()
    worker.younger = ENOUGH
    worker.look(load=1.0)
    looks = [worker.look(1.0, load=1.0) for _ in range(int(PATIENCE))]

    assert looks == [None] * (len(looks) - 1) + [OVERDUE]


@pytest.mark.parametrize("before", [0, ENOUGH])
def test_too_much_waits_for_no_moment(before: int) -> None:
    """Whether it was due already or came all at once: memory is bounded."""
    worker = Worker()
    worker.younger = before
    worker.look(load=1.0)
    worker.younger = TOO_MANY

    assert worker.look(load=1.0) is OVERDUE


def test_an_idle_worker_collects_now_and_then() -> None:
    worker = Worker()
    assert worker.look(AT_LATEST - 1) is None
    assert worker.look(1.0) is None
    assert worker.look() is QUIET


@pytest.mark.parametrize("younger", [ENOUGH, TOO_MANY])
def test_collecting_never_takes_more_than_its_share(younger: int) -> None:
    """Of a larger heap it takes longer, and such a heap allocates faster too."""
    worker = Worker()
    worker.collected(took=0.1)
    worker.younger = younger
    assert worker.look(0.1 / SHARE - 1.0) is None
    assert worker.moments.pause == SELDOM
    first = worker.look(1.1)

    assert QUIET in (first, worker.look()) or first is OVERDUE


def test_after_a_collection_it_begins_anew() -> None:
    worker = Worker()
    worker.younger = ENOUGH
    worker.look()
    assert worker.look() is QUIET
    worker.collected()

    assert worker.look() is None
    assert worker.moments.pause == SELDOM
