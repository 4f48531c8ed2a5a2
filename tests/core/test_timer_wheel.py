"""TimerWheel: every entry is due once, never early, and leaves nothing behind."""

from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from edge.core.timer_wheel import GRAIN, Slot, TimerWheel

BEGUN = 1000.0


@dataclass(eq=False)
class Entry:
    """Something with a time, as readers and connections are."""

    due_at: float = 0.0
    slot: Slot | None = None


@pytest.fixture
def wheel() -> TimerWheel[Entry]:
    return TimerWheel(BEGUN)


@pytest.fixture
def one() -> Entry:
    return Entry()


def test_an_entry_is_due_when_its_time_has_come(
    wheel: TimerWheel[Entry], one: Entry
) -> None:
    wheel.set(one, BEGUN + 30)

    assert wheel.pop(BEGUN + 29.9) == []
    assert wheel.pop(BEGUN + 30 + GRAIN) == [one]
    assert wheel.pop(BEGUN + 60) == []
    assert one.slot is None


def test_one_that_is_moved_is_due_once_at_the_new_time(
    wheel: TimerWheel[Entry], one: Entry
) -> None:
    """An SSE viewer's keep-alive moves with each event."""
    wheel.set(one, BEGUN + 10)
    wheel.set(one, BEGUN + 20)

    assert wheel.pop(BEGUN + 15) == []
    assert wheel.pop(BEGUN + 21) == [one]
    assert len(wheel) == 0


def test_a_time_is_put_off_by_one_assignment(
    wheel: TimerWheel[Entry], one: Entry
) -> None:
    """That is all that a request costs its connection."""
    wheel.set(one, BEGUN + 1)
    one.due_at = BEGUN + 50

    assert wheel.pop(BEGUN + 10) == []
    assert wheel.pop(BEGUN + 50 + GRAIN) == [one]


def test_one_that_was_put_off_may_be_due_sooner_again(
    wheel: TimerWheel[Entry], one: Entry
) -> None:
    """Be it before or after the wheel has seen that it was put off."""
    for turned_to in (BEGUN, BEGUN + 10):
        wheel.set(one, turned_to + 1)
        one.due_at = turned_to + 50
        assert wheel.pop(turned_to + 2) == []
        wheel.set(one, turned_to + 3)

        assert wheel.pop(turned_to + 3 + GRAIN) == [one]


def test_one_that_is_dropped_is_not_due(wheel: TimerWheel[Entry], one: Entry) -> None:
    wheel.set(one, BEGUN + 1)
    wheel.drop(one)
    wheel.drop(one)

    assert len(wheel) == 0
    assert wheel.pop(BEGUN + 10) == []


def test_a_time_that_is_over_already_is_served_next(
    wheel: TimerWheel[Entry], one: Entry
) -> None:
    wheel.pop(BEGUN + 100)
    wheel.set(one, BEGUN)

    assert wheel.pop(BEGUN + 100) == []
    assert wheel.pop(BEGUN + 100 + GRAIN) == [one]


def test_one_that_is_due_may_be_set_again_at_once(
    wheel: TimerWheel[Entry], one: Entry
) -> None:
    """A reader whose time is up is often given another."""
    wheel.set(one, BEGUN + 1)
    for due in wheel.pop(BEGUN + 2):
        wheel.set(due, BEGUN + 1)

    assert len(wheel) == 1
    assert wheel.pop(BEGUN + 2 + GRAIN) == [one]


def test_those_of_one_moment_come_in_the_order_they_were_set(
    wheel: TimerWheel[Entry],
) -> None:
    """Who has waited longest is served first."""
    entries = [Entry() for _ in range(5)]
    for one in entries:
        wheel.set(one, BEGUN + 1)

    assert wheel.pop(BEGUN + 2) == entries


def test_everybody_can_be_walked_while_the_wheel_changes(
    wheel: TimerWheel[Entry],
) -> None:
    """A drain lets go of all readers, and each of them leaves the wheel."""
    entries = [Entry() for _ in range(5)]
    for number, one in enumerate(entries):
        wheel.set(one, BEGUN + number)
    for one in wheel:
        wheel.drop(one)

    assert list(wheel) == []


class WheelKeepsTime(RuleBasedStateMachine):
    """Against a dict of when each entry is due; the clock may stand or jump."""

    def __init__(self) -> None:
        super().__init__()
        self.now = BEGUN
        self.wheel: TimerWheel[Entry] = TimerWheel(BEGUN)
        self.entries = [Entry() for _ in range(4)]
        self.due: dict[Entry, float] = {}
        self.set_when: dict[Entry, float] = {}

    @rule(which=st.integers(0, 3), after=st.floats(-5, 50))
    def set(self, which: int, after: float) -> None:
        one = self.entries[which]
        self.wheel.set(one, self.now + after)
        self.due[one] = self.now + after
        self.set_when[one] = self.now

    @rule(which=st.integers(0, 3), after=st.floats(0, 50))
    def put_off(self, which: int, after: float) -> None:
        one = self.entries[which]
        if one in self.due:
            one.due_at = self.due[one] = self.due[one] + after

    @rule(which=st.integers(0, 3))
    def drop(self, which: int) -> None:
        self.wheel.drop(self.entries[which])
        self.due.pop(self.entries[which], None)

    @rule(seconds=st.floats(0, 30))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        popped = self.wheel.pop(self.now)

        assert len(popped) == len(set(popped))
        assert all(self.due[one] <= self.now for one in popped), "early"
        for one in popped:
            del self.due[one]
        for one, when in self.due.items():
            # One that was set when its time was over waits for the next slot.
            seen_from = max(when, self.set_when[one])
            assert seen_from + GRAIN >= self.now, "late"

    @invariant()
    def nothing_is_left_behind(self) -> None:
        assert len(self.wheel) == len(self.due)
        assert {*self.wheel} == {*self.due}
        assert {one for one in self.entries if one.slot is not None} == {*self.due}
        assert all(self.wheel._slots.values()), "an empty slot stays"


WheelKeepsTime.TestCase.settings = settings(deadline=None, max_examples=50)
TestWheelKeepsTime = WheelKeepsTime.TestCase
