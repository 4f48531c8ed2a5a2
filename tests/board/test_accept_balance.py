"""Who lets others accept (W13): evenly in the end, and never all."""

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.board.accept_balance import SPARE_CONNECTIONS, is_above
from edge.board.lane_view import LaneView
from edge.core.accepting import BALANCE_SECONDS
from edge.core.values import Role
from tests.board.nodes import BoardNode

MANY = 10**6
"""Connections that a front takes, where its files are not what bounds it."""


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=40))
def test_never_all_are_above_the_mean(counts: list[int]) -> None:
    above = [
        is_above(own, counts[:number] + counts[number + 1 :])
        for number, own in enumerate(counts)
    ]

    assert not all(above)
    assert not above[counts.index(min(counts))]


def test_a_process_is_above_from_nine_eighths_of_the_mean_and_64_on() -> None:
    """The mean of 880 and 720 is 800: 900 and 64 are nobody's."""
    assert not is_above(964, [636])
    assert is_above(965, [635])
    assert not is_above(10**6, [])


def fronts(node: BoardNode, many: int = 2, most: int = MANY) -> list[LaneView]:
    """Fronts that accept, each of them so many connections."""
    node.starts(Role.KEEPER)
    views = [node.starts(Role.FRONT, number) for number in range(many)]
    for view in views:
        view.store_accepts(most)
    node.beats()
    return views


def test_who_has_clearly_more_pauses_while_somebody_else_accepts() -> None:
    node = BoardNode()
    one, other = fronts(node)

    assert not one.must_pause(SPARE_CONNECTIONS)
    assert one.must_pause(1000)
    assert not other.must_pause(0)
    assert not other.must_pause(1000)
    assert not one.must_pause(1000)


@given(st.lists(st.integers(0, 2), max_size=60), st.integers(1, 12))
def test_a_burst_over_several_fronts_takes_no_more_than_the_node_may_have(
    turns: list[int], most: int
) -> None:
    """W13: between two beats, and whoever is asked. Each counts what the others have
    taken since."""
    node = BoardNode()
    views, taken = fronts(node, 3), [0, 0, 0]
    for number in turns:
        view = views[number]
        assert view.has_room(taken[number], most) is (sum(taken) < most)
        if sum(taken) < most:
            taken[number] += 1

    assert sum(taken) == min(most, len(turns))


def test_who_was_refused_takes_no_place_and_who_left_gives_it_back() -> None:
    node = BoardNode()
    one, other = fronts(node)
    assert one.has_room(0, 1)
    assert not other.has_room(0, 1) and not other.has_room(0, 1)
    # The one of ``one`` has left, which its next beat tells.
    one.store_connections(0)

    assert other.has_room(0, 1)
    assert not one.has_room(0, 1)


@given(st.lists(st.integers(0, 2), max_size=80), st.integers(1, 12))
def test_who_is_full_lets_others_accept_until_nobody_has_room(
    turns: list[int], most: int
) -> None:
    """W13: so a node is full when all its fronts are, and nobody is refused before,
    whichever front wakes."""
    node = BoardNode()
    views, taken = fronts(node, 3, most), [0, 0, 0]
    for number in turns:
        paused = views[number].must_pause(taken[number])
        full = taken[number] >= most
        assert paused is (full and sum(taken) < 3 * most)
        if not full and views[number].has_room(taken[number], 3 * most):
            taken[number] += 1


def test_who_is_full_waits_for_nobody_who_is_silent_or_takes_no_more() -> None:
    node = BoardNode()
    one, other = fronts(node, most=10)
    assert one.must_pause(10) and one.must_pause(10)
    assert not other.must_pause(9)
    other.store_accepts(0)
    assert not one.must_pause(10)

    other.store_accepts(10)
    assert one.must_pause(10)
    node.beats(one, after=1.6)
    assert not one.must_pause(10)


def test_nobody_with_room_pauses_for_one_who_is_full() -> None:
    """However few the full one has: its files may bear fewer."""
    node = BoardNode()
    one, other = fronts(node)
    other.store_accepts(10)
    assert one.must_pause(1000)

    other.store_connections(10)
    assert not one.must_pause(1000)


def test_nobody_pauses_for_one_who_does_not_accept_or_does_not_beat() -> None:
    node = BoardNode()
    one, other = fronts(node)
    other.store_accepts(0)
    assert not one.must_pause(1000)

    other.store_accepts(MANY)
    assert one.must_pause(1000)
    node.beats(one, after=1.6)
    assert not one.must_pause(1000)


def test_the_last_that_accepts_does_not_pause() -> None:
    """The other one, with fewer connections then, pauses still."""
    node = BoardNode()
    one, other = fronts(node)
    assert one.must_pause(1000)

    assert not other.must_pause(5000)
    node.now += BALANCE_SECONDS / 2
    assert not other.must_pause(5000)
    node.now += BALANCE_SECONDS
    assert other.must_pause(5000)


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3000), st.integers(0, 30)),
        max_size=40,
    )
)
@settings(deadline=None, max_examples=60)
def test_some_process_always_accepts(asked: list[tuple[int, int, int]]) -> None:
    """Whoever asks with however many connections, and however much time passes."""
    node = BoardNode(fronts=4)
    views = fronts(node, 4)
    until = [0.0] * 4
    for number, connections, passed in asked:
        node.now += passed / 1000
        if node.now < until[number]:
            continue
        if views[number].must_pause(connections):
            until[number] = node.now + BALANCE_SECONDS
        assert min(until) <= node.now


def test_connections_that_stay_are_shared_evenly_in_the_end() -> None:
    """Even where one process is always the first to wake."""
    node = BoardNode(fronts=3)
    views = fronts(node, 3)
    counts, until = [0, 0, 0], [0.0, 0.0, 0.0]
    for _ in range(6000):
        node.now += 0.0001
        for number, view in enumerate(views):
            if node.now < until[number]:
                continue
            if view.must_pause(counts[number]):
                until[number] = node.now + BALANCE_SECONDS
                continue
            counts[number] += 1
            break

    assert sum(counts) == 6000
    assert max(counts) <= 2000 * 9 / 8 + SPARE_CONNECTIONS + 1
