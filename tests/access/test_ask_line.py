"""AskLine: who is next, and who is kept from pushing others out (B18)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gevent
import pytest
from gevent.event import Event
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.access.ask_line import AskLine
from edge.core.errors import Refusal
from edge.core.reasons import Reason
from tests.live.support import settle


class Crowd:
    """Callers of a line, each of whom stays in its ask until it is let go."""

    def __init__(self, line: AskLine) -> None:
        self._line = line
        self.came: list[str] = []
        self.refused: list[str] = []
        self._go: dict[str, Event] = {}
        self.greenlets: dict[str, Any] = {}

    def come(self, name: str, address: str = "", is_new: bool = True) -> None:
        self._go[name] = Event()
        self.greenlets[name] = gevent.spawn(self._call, name, address, is_new)
        settle()

    def go(self, name: str) -> None:
        self._go[name].set()
        settle()

    def _call(self, name: str, address: str, is_new: bool) -> None:
        try:
            with self._line.turn(address, is_new):
                self.came.append(name)
                self._go[name].wait()
        except Refusal as refusal:
            assert (refusal.status, refusal.reason) == (503, Reason.ACCESS_BUSY)
            self.refused.append(name)


@contextmanager
def crowd(line: AskLine) -> Iterator[Crowd]:
    made = Crowd(line)
    try:
        yield made
    finally:
        gevent.killall(list(made.greenlets.values()))
        assert repr(line) == "<AskLine 0 under way, 0 waiting>"


def test_half_of_the_asks_are_kept_for_who_was_let_in_before() -> None:
    with crowd(AskLine(4)) as some:
        for name in "abc":
            some.come(name)
        assert some.came == ["a", "b"]
        for name in "xyz":
            some.come(name, is_new=False)
        assert some.came == ["a", "b", "x", "y"]
        some.go("a")
        # The one who was let in before comes first, though it came later.
        assert some.came[4:] == ["z"]
        some.go("b")
        assert some.came[5:] == ["c"]


def test_who_was_let_in_before_may_take_all() -> None:
    with crowd(AskLine(4)) as some:
        for name in "vwxyz":
            some.come(name, is_new=False)
        assert some.came == ["v", "w", "x", "y"]
        some.come("a")
        some.go("v")
        some.go("w")
        some.go("x")
        assert some.came[4:] == ["z", "a"]


def test_addresses_take_turns() -> None:
    """One with many credentials waits behind itself."""
    with crowd(AskLine(2)) as some:
        some.come("first", "1")
        for name in ("a1", "a2", "a3"):
            some.come(name, "1")
        some.come("b1", "2")
        some.come("c1", "3")
        for name in ("first", "a1", "b1", "c1", "a2"):
            some.go(name)

        assert some.came == ["first", "a1", "b1", "c1", "a2", "a3"]


def test_one_address_never_has_all_that_new_ones_may_take() -> None:
    """Three quarters: an endpoint that is slow for one client's credentials, made up
    or not, is still asked about others' at once."""
    with crowd(AskLine(8)) as some:
        for number in range(10):
            some.come(f"a{number}", "1")
        assert some.came == ["a0", "a1", "a2"]
        some.come("b0", "2")
        assert some.came[3:] == ["b0"]
        some.come("b1", "2")
        some.go("a0")
        assert some.came[4:] == ["a3"]
        some.go("b0")
        assert some.came[5:] == ["b1"]


def test_who_has_no_address_may_have_all_that_new_ones_may_take() -> None:
    """Behind a unix socket all have none: they are not one client."""
    with crowd(AskLine(8)) as some:
        for number in range(10):
            some.come(f"a{number}")
        assert some.came == ["a0", "a1", "a2", "a3"]


def test_who_was_let_in_before_is_not_bounded_by_its_address() -> None:
    with crowd(AskLine(8)) as some:
        for number in range(10):
            some.come(f"a{number}", "1", is_new=False)
        assert len(some.came) == 8


def test_in_a_full_line_the_longest_one_gives_way() -> None:
    """Its last comer: somebody from elsewhere finds room."""
    with crowd(AskLine(2, max_waiting=4)) as some:
        for name in ("under way", "a1", "a2", "a3", "a4"):
            some.come(name, "1")
        some.come("a5", "1")
        assert some.refused == ["a5"]
        some.come("b1", "2")
        assert some.refused == ["a5", "a4"]
        some.go("under way")
        some.go("a1")

        assert some.came == ["under way", "a1", "b1"]


@pytest.mark.parametrize("is_new", [True, False])
def test_who_waits_too_long_is_told_so(is_new: bool) -> None:
    with crowd(AskLine(2, patience=0.01)) as some:
        for name in "abc":
            some.come(name, is_new=is_new)
        _until(lambda: len(some.refused) == (2 if is_new else 1))
        some.come("d", is_new=not is_new)
        some.go("a")


def test_who_leaves_the_line_holds_up_nobody() -> None:
    with crowd(AskLine(2)) as some:
        for name in "abcd":
            some.come(name)
        some.greenlets["b"].kill()
        some.go("a")
        assert some.came == ["a", "c"]
        some.greenlets["c"].kill()
        settle()

        assert some.came == ["a", "c", "d"]


def test_who_is_called_as_it_leaves_hands_its_turn_on() -> None:
    """1: b is being killed; 2: it is given the turn; 3: it leaves without taking it."""
    line = AskLine(2)
    with crowd(line) as some:
        with line.turn("", is_new=True):
            some.come("b")
            some.come("c")
            some.greenlets["b"].kill(block=False)
        settle()

        assert some.came == ["c"]


def test_there_is_room_unless_all_are_under_way() -> None:
    line = AskLine(2)
    with crowd(line) as some:
        assert line.has_room
        some.come("a", is_new=False)
        assert line.has_room
        some.come("b", is_new=False)
        assert not line.has_room


@given(
    asks=st.integers(2, 6),
    comers=st.lists(
        st.tuples(st.sampled_from("abc"), st.booleans(), st.integers(0, 3)), max_size=30
    ),
)
@settings(max_examples=60)
def test_whoever_comes_is_asked_about_or_told_and_no_more_at_once_than_may_be(
    asks: int, comers: list[tuple[str, bool, int]]
) -> None:
    """B18: whatever the order; each stays for some turns of the loop."""
    line = AskLine(asks, max_waiting=5)
    under_way = {True: 0, False: 0}
    of_address = dict.fromkeys("abc", 0)
    most = max(1, max(1, asks // 2) * 3 // 4)
    ended: list[bool] = []

    def come(address: str, is_new: bool, turns: int) -> None:
        try:
            with line.turn(address, is_new):
                under_way[is_new] += 1
                of_address[address] += is_new
                assert of_address[address] <= most
                assert sum(under_way.values()) <= asks
                assert under_way[True] <= max(1, asks // 2)
                for _ in range(turns):
                    gevent.sleep(0)
                under_way[is_new] -= 1
                of_address[address] -= is_new
            ended.append(True)
        except Refusal:
            ended.append(False)

    crowd = [gevent.spawn(come, *comer) for comer in comers]
    gevent.joinall(crowd, timeout=60.0, raise_error=True)

    assert len(ended) == len(comers)
    assert repr(line) == "<AskLine 0 under way, 0 waiting>"


def _until(is_so: Callable[[], bool]) -> None:
    with gevent.Timeout(60.0):
        while not is_so():
            gevent.idle()
