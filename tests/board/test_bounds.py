"""Bounds of a node (W13): never more than may be, and what is free is taken.

Processes take turns between what they store and what they look at: that is where one
may overtake another. A turn is a greenlet, and the fence is where it ends.
"""

from collections import Counter

import greenlet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edge.board.bounds
import edge.board.lane_view
from edge.board.bounds import FieldQuota, LaneBounds
from edge.board.layout import TALLY_BUCKET_WORDS, Field
from edge.board.path_digests import PathDigests
from edge.core.node_bounds import Bounded
from edge.core.values import Role
from tests.board.nodes import BoardNode

FRONTS = 3
KEY = "/session/1"


class Front:
    """A process, what it has, and what it is about to take."""

    def __init__(self, node: BoardNode, number: int) -> None:
        self.view = node.starts(Role.FRONT, number, restart=True)
        self.bounds = LaneBounds(self.view)
        self.own = 0
        self.taking: greenlet.greenlet | None = None

    def take(self, most: int) -> bool:
        raise NotImplementedError

    def left(self) -> None:
        raise NotImplementedError

    def beat(self) -> None:
        pass

    def run(self, most: int) -> None:
        """Take one, up to the fence; the next call goes on from there."""
        if self.taking is None:
            self.taking = greenlet.greenlet(self._take)
        self.taking.switch(most)
        if self.taking.dead:
            self.taking = None

    def _take(self, most: int) -> None:
        if self.take(most):
            self.own += 1

    def takes(self, most: int) -> bool:
        """Take one, while no other process has a turn; whether there was one."""
        before = self.own
        self.run(most)
        if self.taking is not None:
            self.run(most)
        return self.own > before


class ByQuota(Front):
    """It takes what is bounded in all, one by one."""

    ahead = 0

    def __init__(self, node: BoardNode, number: int) -> None:
        super().__init__(node, number)
        self.quota = FieldQuota(self.view, Field.VIEWERS, self.ahead)

    def take(self, most: int) -> bool:
        return self.own < self.quota.has or self.quota.take(self.own, most)

    def left(self) -> None:
        self.quota.left(self.own)

    def beat(self) -> None:
        self.quota.settle(self.own)


class Ahead(ByQuota):
    """It takes up to half of what is left ahead of those who come, or three."""

    ahead = 3


class ByKey(Front):
    """It takes viewers of one stream."""

    def take(self, most: int) -> bool:
        return self.bounds.take(Bounded.STREAM_VIEWERS, KEY, most)

    def left(self) -> None:
        self.bounds.give_back(Bounded.STREAM_VIEWERS, KEY)


Act = tuple[str, int]
acts = st.lists(
    st.tuples(
        st.sampled_from(["take", "take", "take", "takes", "leave", "die", "beat"]),
        st.integers(0, FRONTS - 1),
    ),
    min_size=12,
    max_size=60,
)


@pytest.fixture
def in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the fence another process may have its turn."""

    def fence() -> None:
        now = greenlet.getcurrent()
        if now.parent is not None:
            now.parent.switch()

    monkeypatch.setattr(edge.board.lane_view, "fence", fence)
    monkeypatch.setattr(edge.board.bounds, "fence", fence)


class Story:
    """Some fronts of a node, which do one thing after the other."""

    def __init__(self, kind: type[Front], most: int) -> None:
        self.kind, self.most = kind, most
        self.node = BoardNode(fronts=FRONTS)
        self.fronts = [kind(self.node, number) for number in range(FRONTS)]

    @property
    def taken(self) -> int:
        return sum(front.own for front in self.fronts)

    @property
    def at_rest(self) -> bool:
        return all(front.taking is None for front in self.fronts)

    def does(self, act: str, number: int) -> None:
        front = self.fronts[number]
        match act:
            case "take":
                front.run(self.most)
            case "die":
                self.node.ends(front.view)
                self.fronts[number] = self.kind(self.node, number)
            case "leave" if front.own and front.taking is None:
                front.own -= 1
                front.left()
            case "takes" if self.at_rest:
                free = self.most - self.taken
                took = front.takes(self.most)
                assert took or not free or self.kind is Ahead
            case "beat" if front.taking is None:
                front.beat()

    def ends(self) -> None:
        """All come to rest and beat: what nobody has, whoever asks is given."""
        for front in self.fronts:
            if front.taking is not None:
                front.run(self.most)
            front.beat()
        for front in self.fronts:
            while self.taken < self.most:
                assert front.takes(self.most)
        assert not any(front.takes(self.most) for front in self.fronts)
        assert self.taken == self.most


@pytest.mark.usefixtures("in_turns")
@pytest.mark.parametrize("kind", [ByQuota, Ahead, ByKey])
def test_never_more_than_the_node_may_have_and_what_is_free_is_taken(
    kind: type[Front], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However processes overtake each other, and wherever one dies."""
    if kind is Ahead:
        monkeypatch.setattr(edge.board.lane_view, "AHEAD_SHARE", 2)

    @given(acts, st.sampled_from([1, 1, 2, 3, 8]))
    @settings(max_examples=120, deadline=None)
    def law(acts: list[Act], most: int) -> None:
        story = Story(kind, most)
        for act, number in acts:
            story.does(act, number)
            assert story.taken <= most
        story.ends()

    law()


@pytest.mark.usefixtures("in_turns")
@pytest.mark.parametrize("kind", [ByQuota, ByKey])
def test_of_two_that_take_the_last_at_once_never_both_have_it(
    kind: type[Front],
) -> None:
    """1, 2: both store that they have one more; 3, 4: both look what there is."""
    story = Story(kind, most=1)
    for number in (0, 1, 0, 1):
        story.does("take", number)
    assert story.taken <= 1

    story.ends()


@given(st.lists(st.tuples(st.integers(0, 1), st.text(max_size=2)), max_size=60))
@settings(max_examples=40, deadline=None)
def test_each_key_is_counted_by_itself_over_all_processes(
    asked: list[tuple[int, str]],
) -> None:
    """In buckets of a few words, which most keys share."""
    node = BoardNode()
    fronts = [LaneBounds(node.starts(Role.FRONT, number)) for number in (0, 1)]
    told: Counter[tuple[Bounded, str]] = Counter()
    held: list[tuple[int, Bounded, str]] = []
    for number, key in asked:
        for what in Bounded:
            assert fronts[number].take(what, key, 3) is (told[what, key] < 3)
            if told[what, key] < 3:
                told[what, key] += 1
                held.append((number, what, key))
        if len(held) > 9:
            number, what, key = held.pop(len(key))
            fronts[number].give_back(what, key)
            told[what, key] -= 1


def test_nobody_is_left_without_a_word_but_by_chance() -> None:
    """As many keys as ``edge.board.tally_table`` names, in one process."""
    table = BoardNode().starts(Role.FRONT).tallies
    for number in range(48_000):
        tally = table.tally(Bounded.STREAM_VIEWERS, str(number))
        table.store(tally, 1)
        assert tally.at is not None


def test_a_key_without_a_word_is_counted_in_its_own_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its two buckets are full: nobody is refused for it elsewhere, and it has a word
    as soon as there is one for who comes anew."""
    monkeypatch.setattr(PathDigests, "tally", lambda self, what, key: TAGS[key])
    node = BoardNode()
    one, other = (LaneBounds(node.starts(Role.FRONT, n)) for n in (0, 1))
    what = Bounded.CLIENT_RELAYS
    for key in list(TAGS)[:-1]:
        assert one.take(what, key, 1) and not other.take(what, key, 1)
    assert one.take(what, "last", 1) and not one.take(what, "last", 1)
    assert other.take(what, "last", 1)

    other.give_back(what, "last")
    one.give_back(what, "last")
    one.give_back(what, "0")
    assert one.take(what, "last", 1) and not other.take(what, "last", 1)


TAGS = {str(n): (n + 1, (5, 6)) for n in range(2 * TALLY_BUCKET_WORDS)} | {
    "last": (99, (5, 6))
}


@pytest.mark.parametrize("kind", [ByQuota, ByKey])
def test_who_was_silent_beats_before_it_takes_anything(kind: type[Front]) -> None:
    """Else the others would not count it, and let in as many as it has besides."""
    node = BoardNode()
    one, other = kind(node, 0), kind(node, 1)
    for _ in range(3):
        assert one.takes(4)
    node.beats(other.view, after=1.6)

    assert one.takes(4)
    assert not other.takes(4)


def test_while_there_is_much_room_most_viewers_ask_nobody() -> None:
    """What one has taken ahead is nobody else's, and never the last of it."""
    node = BoardNode()
    one, other = (LaneBounds(node.starts(Role.FRONT, n)).viewers for n in (0, 1))
    most = 64 * 100
    assert one.take(0, most) and one.has == 1 + 64
    assert not other.take(most - 65, most) and other.take(most - 66, most)
    assert other.has == most - 65

    one.settle(0)
    assert other.take(most - 65, most)
    other.left(most - 66)
    assert one.take(65, most) and not one.take(66, most)


def test_of_few_nobody_takes_ahead_and_what_is_given_back_is_free_at_once() -> None:
    node = BoardNode()
    one, other = (LaneBounds(node.starts(Role.FRONT, n)).viewers for n in (0, 1))
    assert one.take(0, 2) and one.has == 1
    assert one.take(1, 2) and not other.take(0, 2)
    one.left(1)

    assert other.take(0, 2) and not one.take(1, 2)


def test_a_lane_that_is_given_again_has_none_of_what_its_last_holder_had() -> None:
    node = BoardNode()
    views = [node.starts(Role.FRONT, number) for number in (0, 1)]
    one, other = (LaneBounds(view) for view in views)
    for what in Bounded:
        assert one.take(what, KEY, 1) and not other.take(what, KEY, 1)
    one = LaneBounds(node.is_followed(views[0]))

    for what in Bounded:
        assert other.take(what, KEY, 1) and not one.take(what, KEY, 1)


def test_what_a_process_that_stands_still_has_is_free_until_it_goes_on() -> None:
    node = BoardNode()
    views = [node.starts(Role.FRONT, number) for number in (0, 1)]
    one, other = (LaneBounds(view) for view in views)
    assert one.viewers.take(0, 1) and one.take(Bounded.STREAM_RELAYS, KEY, 1)
    assert not other.viewers.take(0, 1)
    node.beats(views[1], after=1.6)

    assert other.viewers.take(0, 1) and other.take(Bounded.STREAM_RELAYS, KEY, 1)
    assert not one.viewers.take(1, 1) and not one.take(Bounded.STREAM_RELAYS, KEY, 1)


def test_who_stands_still_costs_the_others_nothing_that_they_take_ahead() -> None:
    node = BoardNode()
    views = [node.starts(Role.FRONT, number) for number in (0, 1)]
    one, other = (LaneBounds(view).viewers for view in views)
    one.settle(4000)
    node.beats(views[1], after=1.6)

    assert other.take(4040, 4096)
