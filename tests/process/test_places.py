"""Which processes are started and which are retired, told as what a master sees."""

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edge.core.reasons import Reason
from edge.core.values import Place, Role
from edge.process.places import (
    FIRST_PAUSE_SECONDS,
    MAX_PAUSE_SECONDS,
    Gone,
    Places,
    Start,
)

WORKER = Place(Role.WORKER, 0)
K0, K1 = Place(Role.KEEPER, 0), Place(Role.KEEPER, 1)
F0, F1 = Place(Role.FRONT, 0), Place(Role.FRONT, 1)


class Master:
    """Does what the places say, with pids that count up."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.alive: dict[int, Place] = {}
        self.retired: list[int] = []
        self.now = 0.0
        self._pid = 0

    def manage(self) -> list[Place]:
        """One look; the places in which something was started."""
        started = []
        more = True
        while more:
            for start in self.places.to_start(self.now):
                self._pid += 1
                self.places.started(start.place, self._pid)
                self.alive[self._pid] = start.place
                started.append(start.place)
            for pid in self.places.to_retire():
                self.places.retiring(pid)
                self.retired.append(pid)
            more = self.places.advance()
        return started

    def in_place(self, place: Place) -> list[int]:
        """The processes there, oldest first."""
        return [pid for pid, there in self.alive.items() if there == place]

    def ready(self, *places: Place) -> None:
        """The newest process of each of them accepts."""
        for place in places:
            self.places.ready(self.in_place(place)[-1])

    def end(self, *pids: int) -> list[Gone]:
        for pid in pids:
            del self.alive[pid]
        return self.places.ended(self.alive, self.now)


@pytest.fixture
def master() -> Master:
    """Two keepers and two fronts, all of which accept."""
    made = Master(Places(keepers=2, fronts=2))
    made.manage()
    made.ready(K0, K1, F0, F1)
    return made


def test_keepers_are_started_before_fronts_and_nobody_is_waited_for() -> None:
    places = Places(keepers=2, fronts=2)

    assert Master(places).manage() == [K0, K1, F0, F1]
    assert not places.open


def test_one_worker_is_a_place_of_its_own() -> None:
    places = Places()

    assert places.alone
    assert Master(places).manage() == [WORKER]
    assert WORKER.name == "worker" and F1.name == "front-1" and K0.name == "keeper-0"


def test_clients_are_served_when_each_keeper_and_one_front_accept() -> None:
    master = Master(Places(keepers=2, fronts=2))
    master.manage()
    told = []
    for place in (F1, K0, K1):
        master.ready(place)
        told.append(master.places.open)

    assert told == [False, False, True]


@pytest.mark.parametrize("place", [K0, K1, F0, F1])
def test_the_place_that_lost_its_process_is_filled_again(
    master: Master, place: Place
) -> None:
    """The successor of keeper 1 is a keeper 1: what is kept there does not move."""
    [pid] = master.in_place(place)

    assert master.end(pid) == [Gone(pid, place, began=True, newest=True)]
    assert master.places.to_start(0.0) == [Start(place, successor=False)]
    assert master.manage() == [place]
    assert master.places.replaced == {"worker-died": 1}


def test_of_one_that_ended_it_is_known_whether_the_last_reload_had_started_it(
    master: Master,
) -> None:
    [old] = master.in_place(K0)
    master.places.reload()
    master.manage()
    [new] = [pid for pid in master.in_place(K0) if pid != old]

    assert master.end(old) == [Gone(old, K0, began=True, newest=False)]
    assert master.end(new) == [Gone(new, K0, began=False, newest=True)]


def test_keepers_are_replaced_one_by_one_and_then_all_fronts(master: Master) -> None:
    master.places.reload()
    seen = [master.manage()]
    for places in ([K0], [K1], [F0, F1]):
        assert master.places.reloading
        master.ready(*places)
        seen.append(master.manage())

    assert seen == [[K0], [K1], [F0, F1], []]
    assert master.retired == [1, 2, 3, 4]
    assert not master.places.reloading
    assert master.places.replaced == {"reload": 4}


def test_a_front_is_retired_for_its_own_successor(master: Master) -> None:
    """So that there is one process of each name that stays."""
    master.places.reload()
    for place in (K0, K1):
        master.manage()
        master.ready(place)
    master.manage()
    master.ready(F1)
    master.manage()

    assert master.retired == [1, 2, 4]


def test_a_step_waits_for_a_keeper_that_died_in_it(master: Master) -> None:
    master.places.reload()
    master.manage()
    master.ready(K0)
    [old, new] = master.in_place(K0)
    master.manage()
    master.end(old)
    assert master.in_place(K1) == [2, 6]
    master.end(new)
    assert master.manage() == [K0]
    master.ready(K1)
    assert master.manage() == [F0, F1]


def test_one_that_dies_after_a_reload_begins_no_other_step(master: Master) -> None:
    master.places.reload()
    for places in ([K0], [K1], [F0, F1]):
        master.manage()
        master.ready(*places)
    master.manage()
    master.end(master.in_place(F0)[-1])

    assert not master.places.reloading
    assert master.manage() == [F0]


def test_a_reload_that_is_given_up_leaves_no_trace_of_its_settings(
    master: Master,
) -> None:
    """Keeper 0 took them already: it is replaced once more. Nobody else is."""
    master.places.reload()
    master.manage()
    master.ready(K0)
    master.manage()
    [_, failed] = master.in_place(K1)
    master.end(failed)
    master.places.revert()
    assert master.places.reverting
    started = master.manage()
    master.ready(K0)
    master.manage()

    assert started == [K0]
    assert not master.places.reloading
    assert master.retired == [1, 5]
    assert {p: len(master.in_place(p)) for p in (K1, F0, F1)} == {K1: 1, F0: 1, F1: 1}


def test_a_place_whose_process_cannot_start_waits_longer_each_time(
    master: Master,
) -> None:
    """Others serve meanwhile. When one has begun, all is forgiven."""
    master.end(1)
    pauses = []
    for _ in range(8):
        assert master.manage() == [K0]
        master.end(master.in_place(K0)[-1])
        began = master.now
        while not master.places.to_start(master.now):
            master.now += 0.25
        pauses.append(master.now - began)
    master.manage()
    master.ready(K0)
    master.end(*master.in_place(K0))

    assert pauses[:3] == [0.5, 1.0, 2.0]
    assert pauses[0] == FIRST_PAUSE_SECONDS and pauses[-1] == MAX_PAUSE_SECONDS
    assert master.manage() == [K0]


def test_one_worker_never_waits() -> None:
    """Whoever has nobody else decides for himself."""
    master = Master(Places())
    master.manage()
    master.end(1)

    assert master.manage() == [WORKER]


class Lives(RuleBasedStateMachine):
    """Whatever happens in whatever order, each place comes to one process that stays.

    Pids count up. What the master would do is done after each thing that happens.
    """

    def __init__(self) -> None:
        super().__init__()
        self.master = Master(Places(keepers=2, fronts=2))
        self.master.manage()
        self.accepts: set[int] = set()
        self.seen = 0

    @precondition(lambda self: self.master.alive)
    @rule(data=st.data())
    def one_accepts(self, data: st.DataObject) -> None:
        pid = data.draw(st.sampled_from(sorted(self.master.alive)))
        self.accepts.add(pid)
        self.master.places.ready(pid)
        self.master.manage()

    @precondition(lambda self: self.master.alive)
    @rule(data=st.data())
    def one_ends(self, data: st.DataObject) -> None:
        pid = data.draw(st.sampled_from(sorted(self.master.alive)))
        self.master.end(pid)
        self.master.manage()

    @precondition(lambda self: self.master.alive)
    @rule(data=st.data())
    def one_asks(self, data: st.DataObject) -> None:
        pid = data.draw(st.sampled_from(sorted(self.master.alive)))
        self.master.places.replace(pid, Reason.OVER_MEMORY)
        self.master.manage()

    @precondition(lambda self: not self.master.places.reloading)
    @rule()
    def it_reloads(self) -> None:
        self.master.places.reload()
        self.master.manage()

    @precondition(lambda self: self.master.places.reloading)
    @rule()
    def it_is_given_up(self) -> None:
        self.master.places.revert()
        self.master.manage()

    @rule(seconds=st.floats(0, 20))
    def time_goes_by(self, seconds: float) -> None:
        self.master.now += seconds
        self.master.manage()

    @invariant()
    def nobody_is_retired_who_serves_alone(self) -> None:
        """Nor before it accepts itself: it might not hear the signal."""
        new = self.master.retired[self.seen :]
        self.seen = len(self.master.retired)
        for pid in new:
            place = self.master.alive[pid]
            others = set(self.master.in_place(place)) - set(self.master.retired)
            assert pid in self.accepts
            assert others & self.accepts

    def teardown(self) -> None:
        """If all that start accept, all comes to rest within a few looks."""
        master = self.master
        for _ in range(40):
            master.now += MAX_PAUSE_SECONDS
            master.manage()
            for pid in sorted(master.alive):
                master.places.ready(pid)
            master.end(*[pid for pid in master.alive if pid in master.retired])
        assert sorted(master.alive.values()) == sorted([K0, K1, F0, F1])
        assert not master.places.reloading


TestLives = Lives.TestCase
TestLives.settings = hypothesis_settings(max_examples=60, stateful_step_count=30)
