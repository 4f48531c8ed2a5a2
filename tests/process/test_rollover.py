"""Which worker is started and which is retired, told as what a master sees."""

from collections.abc import Callable

from edge.core.reasons import Reason
from edge.process.rollover import Rollover

RELOAD, OVER_MEMORY = Reason.RELOAD, Reason.OVER_MEMORY


def serving(*pids: int) -> Rollover:
    """Workers that accept connections."""
    made = Rollover()
    for pid in pids:
        made.started(pid)
        made.ready(pid)
    return made


def test_what_is_missing_is_started() -> None:
    first = Rollover()
    assert first.missing(2) == 2
    first.started(1)
    assert first.missing(2) == 1
    assert not first.serving


def test_a_worker_is_retired_when_its_successor_accepts() -> None:
    """Not before: some worker accepts at every moment."""
    rollover = serving(1)
    rollover.replace(1, OVER_MEMORY)
    assert (rollover.missing(1), rollover.to_retire(1)) == (1, [])
    rollover.started(2)
    assert (rollover.missing(1), rollover.to_retire(1)) == (0, [])
    rollover.ready(2)
    assert rollover.to_retire(1) == [1]
    rollover.retiring(1)
    assert (rollover.missing(1), rollover.to_retire(1)) == (0, [])
    rollover.ended({2})

    assert (rollover.missing(1), rollover.to_retire(1)) == (0, [])
    assert rollover.replaced == {"over-memory": 1}


def test_of_several_each_is_retired_for_one_successor() -> None:
    rollover = serving(1, 2)
    rollover.replace_all(RELOAD)
    for pid in (3, 4):
        rollover.started(pid)
    rollover.ready(3)
    assert rollover.to_retire(2) == [1]
    rollover.retiring(1)
    rollover.ready(4)
    assert rollover.to_retire(2) == [2]


def test_a_worker_is_not_retired_before_it_is_ready() -> None:
    """A second reload came during the first: it might not hear the signal yet."""
    rollover = serving(1)
    rollover.replace_all(RELOAD)
    rollover.started(2)
    rollover.replace_all(RELOAD)
    assert rollover.missing(1) == 1
    rollover.started(3)
    rollover.ready(3)
    assert rollover.to_retire(1) == [1]
    rollover.retiring(1)
    assert rollover.to_retire(1) == []
    rollover.ready(2)

    assert rollover.to_retire(1) == [2]
    assert rollover.replaced == {"reload": 2}


def test_one_that_died_is_replaced_and_counted() -> None:
    rollover = serving(1)
    rollover.ended(())

    assert rollover.missing(1) == 1
    assert rollover.replaced == {"worker-died": 1}


def test_one_that_dies_while_it_is_being_replaced_is_counted_once() -> None:
    rollover = serving(1)
    rollover.replace(1, RELOAD)
    rollover.ended(())

    assert rollover.replaced == {"reload": 1}


def test_asking_to_be_replaced_again_changes_nothing() -> None:
    """A worker repeats it, maybe after it ended."""
    rollover = serving(1)
    rollover.replace(1, OVER_MEMORY)
    rollover.replace(1, OVER_MEMORY)
    rollover.replace(9, OVER_MEMORY)
    rollover.ready(9)

    assert rollover.replaced == {"over-memory": 1}
    assert rollover.missing(1) == 1


def test_when_a_successor_cannot_start_the_old_one_stays() -> None:
    """And may ask again."""
    rollover = serving(1)
    rollover.replace(1, RELOAD)
    rollover.started(2)
    rollover.ended({1})
    assert rollover.serving
    rollover.cancel()

    assert (rollover.missing(1), rollover.to_retire(1)) == (0, [])
    assert rollover.replaced["reload"] == 0
    rollover.replace(1, OVER_MEMORY)
    assert rollover.missing(1) == 1


def test_a_successor_that_is_not_needed_any_more_goes() -> None:
    """Two reloads at once, and the second one's worker could not start."""
    rollover = serving(1)
    rollover.replace(1, RELOAD)
    rollover.started(2)
    rollover.replace_all(RELOAD)
    rollover.cancel()
    assert (rollover.missing(1), rollover.to_retire(1)) == (0, [])
    rollover.ready(2)

    assert rollover.to_retire(1) == [2]


def test_a_retiring_worker_does_not_come_back() -> None:
    rollover = serving(1, 2)
    rollover.replace(1, RELOAD)
    rollover.retiring(1)
    rollover.cancel()

    assert rollover.missing(2) == 1
    assert rollover.to_retire(1) == []


def test_all_is_settled_when_nobody_starts_or_is_replaced() -> None:
    """Who drains is nobody's concern: a reload is over when its successor serves."""
    rollover = serving(1)
    settled = [rollover.settled]
    steps: tuple[tuple[Callable[..., None], tuple[object, ...]], ...] = (
        (rollover.replace, (1, RELOAD)),
        (rollover.started, (2,)),
        (rollover.ready, (2,)),
        (rollover.retiring, (1,)),
        (rollover.started, (3,)),
    )
    for step, given in steps:
        step(*given)
        settled.append(rollover.settled)

    assert settled == [True, False, False, False, True, False]
    assert rollover.accepting == [1, 2]


def test_all_is_settled_when_a_successor_could_not_start() -> None:
    rollover = serving(1)
    rollover.replace(1, RELOAD)
    rollover.started(2)
    rollover.ended({1})
    rollover.cancel()

    assert rollover.settled
