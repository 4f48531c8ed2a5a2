"""CheckBudget: so many signatures in one turn of the event loop (B18)."""

import gevent

from edge.access.check_budget import CHECKS_PER_TURN, CheckBudget
from tests.support.patience import PATIENCE


def next_turn() -> None:
    """Come back once the loop has looked at its sockets and timers."""
    due = gevent.get_hub().loop.timer(0)
    gevent.get_hub().wait(due)
    due.close()


def test_fifty_are_checked_in_one_turn_and_fifty_in_the_next() -> None:
    budget = CheckBudget()
    taken = sum(budget.take() for _ in range(200))
    next_turn()
    next_turn()

    assert taken == CHECKS_PER_TURN == 50
    assert sum(budget.take() for _ in range(200)) == 50


def test_who_waits_gets_a_later_turn_each_in_time() -> None:
    """Every waiter is released, however many there are."""
    budget = CheckBudget(3)
    while budget.take():
        pass
    # The loop's own time is as old as its last turn.
    gevent.sleep(0.001)
    waiting = [gevent.spawn(budget.wait) for _ in range(20)]

    assert len(gevent.joinall(waiting, timeout=PATIENCE)) == 20


def test_the_line_is_served_before_who_comes_later() -> None:
    """First come, first served, and so many in each turn: whoever floods the edge
    stands behind those who were there before."""
    budget = CheckBudget(2)
    served: list[str] = []

    def stand(name: str) -> None:
        budget.call_later(lambda: served.append(name) if budget.take() else None)

    for name in "abcde":
        stand(name)
    for wanted in ("ab", "abcd", "abcde"):
        while "".join(served) != wanted:
            assert wanted.startswith("".join(served))
            next_turn()
        if wanted != "abcde":
            assert not budget.take()


def test_a_greenlet_stands_in_line_like_everybody() -> None:
    """Its check is counted when it is woken, not when it runs."""
    budget = CheckBudget(1)
    assert budget.take()
    told: list[str] = []

    def stand() -> None:
        budget.wait()
        told.append("greenlet")

    first = gevent.spawn(stand)
    gevent.sleep(0)
    budget.call_later(lambda: told.append("connection" if budget.take() else "no"))
    gevent.sleep(0.001)
    first.join(PATIENCE)
    while len(told) < 2:
        next_turn()

    assert told == ["greenlet", "connection"]


def test_a_turn_begins_with_the_first_check_and_not_before() -> None:
    """While nobody is judged, no timer runs."""
    budget = CheckBudget(1)
    next_turn()

    assert budget.take() and not budget.take()
    next_turn()
    next_turn()
    assert budget.take()
