"""Numbers summed over processes never go back, whoever ends in between (W4).

``tests/board/test_processes.py`` has the same with real processes. Here a reader is
stopped before each text that it reads, and anything may happen in between.
"""

import itertools
import json
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.board import texts
from edge.board.lane_view import LaneView
from edge.board.layout import TEXT_OCTETS
from edge.board.sums import Sums, add
from edge.core.values import Role
from tests.board.nodes import BoardNode


def text(count: int) -> bytes:
    return json.dumps({"counters": {"answers": count, "by": {"a": count}}}).encode()


class Counting:
    """Fronts that count and end, and the master. ``told`` is what all of them told."""

    def __init__(self) -> None:
        self.node = BoardNode()
        self.counts: dict[LaneView, int] = {}
        self.told = 0
        for _ in range(3):
            self.begins(0)

    def begins(self, _pick: int) -> None:
        if len(self.counts) < 4:
            self.counts[self.node.starts(Role.FRONT, restart=True)] = 0

    def counts_on(self, pick: int) -> None:
        if self.counts:
            view = tuple(self.counts)[pick % len(self.counts)]
            self.counts[view] += 1
            self.told += 1
            view.store_text(text(self.counts[view]))

    def ends(self, pick: int) -> None:
        if self.counts:
            view = tuple(self.counts)[pick % len(self.counts)]
            del self.counts[view]
            self.node.ends(view)

    def is_followed(self, pick: int) -> None:
        """The successor has the same lane."""
        if self.counts:
            view = tuple(self.counts)[pick % len(self.counts)]
            del self.counts[view]
            self.counts[self.node.is_followed(view)] = 0

    def total(self) -> int:
        number = self.node.board.totals().get("answers", 0)
        assert isinstance(number, int)
        return number


EVENTS = (
    *(Counting.counts_on,) * 4,
    *(Counting.begins, Counting.ends, Counting.is_followed),
)
events = st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 3)), max_size=80)
Event = tuple[Callable[[Counting, int], None], int]


def read_amid(happening: Sequence[Event], monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums are read again and again; before each text some of this happens."""
    counting = Counting()
    coming = iter(happening)
    read = texts.TextPlace.read
    depth = [0]

    def read_later(self: texts.TextPlace) -> texts.BoardText | None:
        if depth[0]:
            return read(self)
        depth[0] += 1
        for event, pick in itertools.islice(coming, 3):
            event(counting, pick)
        depth[0] -= 1
        return read(self)

    with monkeypatch.context() as patch:
        patch.setattr(texts.TextPlace, "read", read_later)
        last = 0
        for _ in range(len(happening) // 30 + 2):
            before = counting.told
            total = counting.total()
            assert before <= total <= counting.told
            assert total >= last
            last = total
    assert counting.total() == counting.told


@given(events)
@settings(deadline=None, max_examples=150)
def test_no_sum_goes_back_or_counts_twice(happening: list[Event]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        read_amid(happening, patch)


def mutants() -> Iterator[Callable[[Sums], Any]]:
    def gone_first(self: Sums) -> Any:
        counters, boots = self._all_gone()
        total = dict(counters)
        for lane, place in enumerate(self._lanes):
            found = place.read()
            if found is not None and found.boot > boots.get(str(lane), 0):
                add(total, json.loads(found.octets)["counters"])
        return total

    def whoever_is_there(self: Sums) -> Any:
        found = [place.read() for place in self._lanes]
        counters, _ = self._all_gone()
        total = dict(counters)
        for one in found:
            if one is not None:
                add(total, json.loads(one.octets)["counters"])
        return total

    yield gone_first
    yield whoever_is_there


@pytest.mark.parametrize("mutant", tuple(mutants()), ids=lambda mutant: mutant.__name__)
def test_a_sum_that_reads_in_the_wrong_order_is_found_out(
    mutant: Callable[[Sums], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same orders each time."""
    monkeypatch.setattr(Sums, "totals", mutant)

    with pytest.raises(AssertionError):
        for seed in range(2000):
            chance = random.Random(seed)
            drawn = [(chance.choice(EVENTS), chance.randrange(4)) for _ in range(80)]
            read_amid(drawn, monkeypatch)


def test_the_masters_own_numbers_are_in_the_sums() -> None:
    node = BoardNode()
    node.board.store_text(b'{"counters": {"replacements": {"reload": 2}}}')
    node.starts(Role.FRONT).store_text(text(5))
    node.board.store_text(b'{"counters": {"replacements": {"reload": 3}}}')

    assert node.board.totals() == {
        "replacements": {"reload": 3},
        "answers": 5,
        "by": {"a": 5},
    }


def test_numbers_past_64_bits_are_summed() -> None:
    node = BoardNode()
    fronts = [node.starts(Role.FRONT, number) for number in range(2)]
    for front in fronts:
        front.store_text(text(2**63))
    node.ends(fronts[0])

    assert node.board.totals()["answers"] == 2**64


def test_a_text_that_is_too_long_leaves_the_one_before() -> None:
    node = BoardNode()
    front = node.starts(Role.FRONT)
    front.store_text(text(5))
    front.store_text(b" " * TEXT_OCTETS + b"{}")

    assert node.board.totals()["answers"] == 5
    front.store_text(b'{"counters": {"answers": 6}}'.ljust(TEXT_OCTETS))
    assert node.board.totals()["answers"] == 6


def test_a_writer_that_is_killed_amid_a_text_leaves_the_one_before() -> None:
    """It has written into the half that nobody reads, and has not said so."""
    node = BoardNode()
    front = node.starts(Role.FRONT)
    for count in (5, 6):
        front.store_text(text(count))
    place = node.board._sums._lanes[node.lanes[front]]
    first = place._head(7) * 8
    place._memory[first : first + 80] = b"X" * 80

    assert node.board.totals()["answers"] == 6
    node.ends(front)
    assert node.board.totals()["answers"] == 6
