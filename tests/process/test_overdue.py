"""Who has given no sign of life for too long, by a master that may be late itself."""

import pytest

from edge.process.overdue import Overdue, Sign

KEEPER, FRONT = 1, 2


@pytest.fixture
def overdue() -> Overdue:
    made = Overdue(1.0)
    made.judge(100.0, {})
    return made


def look(overdue: Overdue, now: float, since: float = 100.0) -> list[int]:
    """A keeper and a front were last heard at the same time."""
    return overdue.judge(now, {KEEPER: Sign(since, 5.0), FRONT: Sign(since, 30.0)})


def test_a_keeper_may_be_silent_for_less_time_than_a_front(overdue: Overdue) -> None:
    ended = {now: look(overdue, float(now)) for now in range(101, 132)}

    assert ended[105] == []
    assert ended[106] == [KEEPER]
    assert ended[131] == [KEEPER, FRONT]


def test_a_master_that_was_late_ends_nobody_for_that_time(overdue: Overdue) -> None:
    """W7: the machine slept; the others slept too, and have not spoken yet."""
    assert look(overdue, 160.0) == []
    assert [look(overdue, 160.0 + n) for n in (1, 2, 3, 4, 5)] == [[]] * 5
    assert look(overdue, 166.0) == [KEEPER]
