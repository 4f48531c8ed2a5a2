"""Who is started and who may go, told as what a master sees."""

from edge.core.reasons import Reason
from edge.process.rollover import Rollover

RELOAD, OVER_MEMORY = Reason.RELOAD, Reason.OVER_MEMORY


def server_context(*pids: int) -> Rollover:
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
    assert not first.served


def test_the_old_one_goes_when_its_successor_accepts() -> None:
    """Not before: somebody accepts at every moment."""
    house = server_context(1)
    house.replace(1, OVER_MEMORY)
    assert (house.missing(1), house.may_go(1)) == (1, [])
    house.started(2)
    assert (house.missing(1), house.may_go(1)) == (0, [])
    house.ready(2)
    assert house.may_go(1) == [1]
    house.told(1)
    assert (house.missing(1), house.may_go(1)) == (0, [])
    house.ended({2})

    assert (house.missing(1), house.may_go(1)) == (0, [])
    assert house.replaced == {"over-memory": 1}


def test_of_several_each_goes_for_one_successor() -> None:
    house = server_context(1, 2)
    house.replace_all(RELOAD)
    for pid in (3, 4):
        house.started(pid)
    house.ready(3)
    assert house.may_go(2) == [1]
    house.told(1)
    house.ready(4)
    assert house.may_go(2) == [2]


def test_one_that_is_to_be_replaced_before_it_is_ready_waits_to_be_told() -> None:
    """A second reload during the first: it might not hear it yet."""
    house = server_context(1)
    house.replace_all(RELOAD)
    house.started(2)
    house.replace_all(RELOAD)
    assert house.missing(1) == 1
    house.started(3)
    house.ready(3)
    assert house.may_go(1) == [1]
    house.told(1)
    assert house.may_go(1) == []
    house.ready(2)

    assert house.may_go(1) == [2]
    assert house.replaced == {"reload": 2}


def test_one_that_died_is_replaced_and_counted() -> None:
    house = server_context(1)
    house.ended(())

    assert house.missing(1) == 1
    assert house.replaced == {"worker-died": 1}


def test_one_that_dies_while_it_waits_to_be_replaced_is_counted_once() -> None:
    house = server_context(1)
    house.replace(1, RELOAD)
    house.ended(())

    assert house.replaced == {"reload": 1}


def test_a_wish_is_heard_once() -> None:
    """A worker repeats it, and may do so while it is being told."""
    house = server_context(1)
    house.replace(1, OVER_MEMORY)
    house.replace(1, OVER_MEMORY)
    house.replace(9, OVER_MEMORY)
    house.ready(9)

    assert house.replaced == {"over-memory": 1}
    assert house.missing(1) == 1


def test_when_a_successor_cannot_start_the_old_one_stays() -> None:
    """And may ask again."""
    house = server_context(1)
    house.replace(1, RELOAD)
    house.started(2)
    house.ended({1})
    assert house.served
    house.call_off()

    assert (house.missing(1), house.may_go(1)) == (0, [])
    assert house.replaced["reload"] == 0
    house.replace(1, OVER_MEMORY)
    assert house.missing(1) == 1


def test_who_was_told_to_go_does_not_come_back() -> None:
    house = server_context(1, 2)
    house.replace(1, RELOAD)
    house.told(1)
    house.call_off()

    assert house.missing(2) == 1
    assert house.may_go(1) == []
