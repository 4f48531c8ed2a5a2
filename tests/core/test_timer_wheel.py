"""Agenda: everybody is due once, never early, and leaves nothing behind."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from edge.core.values import Mode, Read, StreamKey
from edge.live.agenda import GRAIN, Agenda
from edge.live.reader import Reader
from edge.live.stream import Stream
from edge.policy.streams.routes import Route
from edge.streamlog.stream_log import StreamLog
from tests.live.support import RecordingSink

ROUTE = Route()
KEY = StreamKey(ROUTE.match, "/v1/stream/a")
BEGUN = 1000.0


class Nobody:
    """The owner of readers that are never moved."""

    def drained(self, reader: Reader) -> None:
        raise AssertionError(reader)

    def gone(self, reader: Reader) -> None:
        raise AssertionError(reader)

    def ended(self, reader: Reader) -> None:
        raise AssertionError(reader)


def reader() -> Reader:
    stream = Stream(KEY, ROUTE, StreamLog(1, 30.0))
    return Reader(Read(KEY, "0_1", Mode.LONG_POLL), RecordingSink(), stream, Nobody())


def test_a_reader_is_due_when_its_time_has_come() -> None:
    agenda, one = Agenda(BEGUN), reader()
    agenda.set(one, BEGUN + 30)

    assert agenda.pop(BEGUN + 29.9) == []
    assert agenda.pop(BEGUN + 30 + GRAIN) == [one]
    assert agenda.pop(BEGUN + 60) == []
    assert one.due is None


def test_who_is_moved_is_due_once_at_the_new_time() -> None:
    """An SSE viewer's keep-alive moves with each event."""
    agenda, one = Agenda(BEGUN), reader()
    agenda.set(one, BEGUN + 10)
    agenda.set(one, BEGUN + 20)

    assert agenda.pop(BEGUN + 15) == []
    assert agenda.pop(BEGUN + 21) == [one]
    assert len(agenda) == 0


def test_who_is_dropped_is_not_due() -> None:
    agenda, one = Agenda(BEGUN), reader()
    agenda.set(one, BEGUN + 1)
    agenda.drop(one)
    agenda.drop(one)

    assert len(agenda) == 0
    assert agenda.pop(BEGUN + 10) == []


def test_a_time_that_is_over_already_is_served_next() -> None:
    agenda, one = Agenda(BEGUN), reader()
    agenda.pop(BEGUN + 100)
    agenda.set(one, BEGUN)

    assert agenda.pop(BEGUN + 100) == []
    assert agenda.pop(BEGUN + 100 + GRAIN) == [one]


def test_who_is_due_may_be_set_again_at_once() -> None:
    """A reader whose time is up is often given another."""
    agenda, one = Agenda(BEGUN), reader()
    agenda.set(one, BEGUN + 1)
    for due in agenda.pop(BEGUN + 2):
        agenda.set(due, BEGUN + 1)

    assert len(agenda) == 1
    assert agenda.pop(BEGUN + 2 + GRAIN) == [one]


def test_those_of_one_moment_come_in_the_order_they_were_set() -> None:
    """Who has waited longest is served first."""
    agenda, readers = Agenda(BEGUN), [reader() for _ in range(5)]
    for one in readers:
        agenda.set(one, BEGUN + 1)

    assert agenda.pop(BEGUN + 2) == readers


class AgendaKeepsTime(RuleBasedStateMachine):
    """Against a dict of when each reader is due; the clock may stand or jump."""

    def __init__(self) -> None:
        super().__init__()
        self.now = BEGUN
        self.agenda = Agenda(BEGUN)
        self.readers = [reader() for _ in range(4)]
        self.due: dict[Reader, float] = {}

    @rule(which=st.integers(0, 3), after=st.floats(-5, 50))
    def set(self, which: int, after: float) -> None:
        one = self.readers[which]
        self.agenda.set(one, self.now + after)
        self.due[one] = self.now + after

    @rule(which=st.integers(0, 3))
    def drop(self, which: int) -> None:
        self.agenda.drop(self.readers[which])
        self.due.pop(self.readers[which], None)

    @rule(seconds=st.floats(0, 30))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        popped = self.agenda.pop(self.now)

        assert len(popped) == len(set(popped))
        assert all(self.due[one] <= self.now for one in popped), "early"
        for one in popped:
            del self.due[one]
        late = [one for one, when in self.due.items() if when + GRAIN < self.now]
        # One set when its time was over waits for the next slot, no longer.
        next_slot = self.agenda._slots.get(int(self.now / GRAIN) + 1)
        assert all(one.due is next_slot for one in late), "late"

    @invariant()
    def nothing_is_left_behind(self) -> None:
        assert len(self.agenda) == len(self.due)
        assert {one for one in self.readers if one.due is not None} == set(self.due)
        # But for empty slots, each until its time.
        assert all(number * GRAIN > self.now - GRAIN for number in self.agenda._slots)


AgendaKeepsTime.TestCase.settings = settings(deadline=None, max_examples=50)
TestAgendaKeepsTime = AgendaKeepsTime.TestCase
