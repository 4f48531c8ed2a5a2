"""What fronts lose that count at the same instant, and what never (W17).

Each front runs in a greenlet that stops before every look at the board and every store
there; Hypothesis says who goes on. So one may be overtaken, or stopped for as long as
you like, between what it reads and what it stores.
"""

from typing import Any, cast

import pytest
from greenlet import greenlet
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.access.denials import Denials
from edge.board.node_denials import NodeDenials
from tests.access.denying import BAD, Place, is_within, refused

CLIENT = "192.0.2.1"
FRONTS = 3
SECONDS = 4.0


class SteppedWords:
    """Words of a board at which whoever comes stops first."""

    def __init__(self, words: memoryview) -> None:
        self._words = words

    def __getitem__(self, key: slice) -> memoryview:
        _stop("looks")
        return self._words[key]

    def __setitem__(self, place: int, word: int) -> None:
        _stop("stores")
        self._words[place] = word


def _stop(before: str) -> None:
    above = greenlet.getcurrent().parent
    if above is not None:
        above.switch(before)


def run_to_end(front: "Front") -> None:
    while not front.steps.dead:
        front.steps.switch()


def stepped(denials: Denials) -> Denials:
    """It stops wherever another front may come between."""
    shared = denials._shared
    assert isinstance(shared, NodeDenials)
    for tags in (shared._denied, shared._known):
        tags._words = cast(Any, SteppedWords(tags._words))
    return denials


class Front:
    """A front to which one client shows bad credentials, each another one, and now and
    then its good one; ``told`` are the times of its *no*s."""

    def __init__(self, place: Place, number: int) -> None:
        self._place, self._number = place, number
        self._denials = stepped(place.each[number])
        self.told: list[float] = []
        self.begin()

    def begin(self) -> None:
        """A dozen of each are going to come, all of them now."""
        self.steps = greenlet(self._run)

    def _run(self) -> None:
        for number in range(12):
            name = f"bad {self._number} {number} {self._place.now}"
            assert refused(self._denials, CLIENT, "good") is None
            if refused(self._denials, CLIENT, name) is None:
                self._denials.denied(CLIENT, name, BAD)
                self.told.append(self._place.now)


TURNS = st.lists(st.integers(0, FRONTS - 1), max_size=200)


@given(count=st.integers(1, 5), rounds=st.lists(TURNS, min_size=2, max_size=2))
@settings(max_examples=150)
def test_who_counts_at_once_may_lose_some_and_never_more_than_one_allowance_each(
    count: int, rounds: list[list[int]]
) -> None:
    """However fronts overtake each other, each keeps to the allowance by itself. And
    whoever is known to be good is judged at all of them."""
    place = Place(FRONTS, count, SECONDS)
    place.let_in("good")
    fronts = [Front(place, number) for number in range(FRONTS)]
    for turns in rounds:
        for front in fronts:
            front.begin()
        for number in turns:
            if not fronts[number].steps.dead:
                fronts[number].steps.switch()
        for front in fronts:
            run_to_end(front)
        place.now += SECONDS / 2

    assert all(is_within(front.told, count, SECONDS) for front in fronts)
    assert sum(len(front.told) for front in fronts) >= count


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_who_counts_after_the_other_has_stored_loses_nothing(
    order: tuple[int, ...],
) -> None:
    """1: one has read and stored all that it does; 2: the next begins."""
    place = Place(FRONTS, 5, SECONDS)
    place.let_in("good")
    fronts = [Front(place, number) for number in range(FRONTS)]
    for number in order:
        run_to_end(fronts[number])

    assert [len(fronts[number].told) for number in order] == [5, 0, 0]


def about_to_store(place: Place) -> list[Front]:
    """Both have read that nothing is used up, and have judged one."""
    place.let_in("good")
    fronts = [Front(place, number) for number in range(2)]
    for front in fronts:
        while front.steps.switch() != "stores":
            pass
    return fronts


def test_of_two_that_store_at_the_same_instant_one_is_counted() -> None:
    """What is not promised, shown: a *no* more than the allowance."""
    fronts = about_to_store(Place(2, 5, SECONDS))
    for front in fronts:
        front.steps.switch()
    for front in fronts:
        run_to_end(front)

    assert [len(front.told) for front in fronts] == [5, 1]


def test_who_is_stopped_before_it_stores_takes_back_what_was_stored_meanwhile() -> None:
    """What is not promised, shown at its worst: an allowance for each. The first one
    goes on from what it has counted itself, not from what stands there then."""
    one, other = about_to_store(Place(2, 5, SECONDS))
    run_to_end(one)
    other.steps.switch()
    one.begin()
    run_to_end(one)
    run_to_end(other)

    assert (len(one.told), len(other.told)) == (5, 5)
