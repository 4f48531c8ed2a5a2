"""Lanes: given before a fork, taken back after the end, and given again."""

import pytest

from edge.board.bounds import LaneBounds
from edge.board.lane_view import LaneView
from edge.board.layout import SLOTS, BoardTable, Field, Layout
from edge.board.node_board import NodeBoard
from edge.core.node_bounds import Bounded
from edge.core.reasons import Reason
from edge.core.values import Place, Role
from tests.board.nodes import BoardNode

PATH = "/session/1"
BOUNDED = Field.CONNECTIONS, Field.VIEWERS, Field.RELAYS


def others(view: LaneView, field: Field) -> int:
    """What the others have of a field, as this process finds that there is room."""
    few, many = 0, 1 << 50
    while few < many:
        middle = (few + many) // 2
        if view.take(field, 0, middle) > 0:
            many = middle
        else:
            few = middle + 1
        view.store_count(field, 0)
    return few - 1


def has_room(view: LaneView, what: Bounded, most: int) -> bool:
    """Whether this process, which has none of ``PATH``, may have one."""
    bounds = LaneBounds(view)
    may = bounds.take(what, PATH, most)
    if may:
        bounds.give_back(what, PATH)
    return may


def test_some_lanes_are_kept_for_processes_that_must_start_again() -> None:
    """Five reloads within one grace: the last ones wait, and say so."""
    board = NodeBoard.create(1, 2)
    places = [Place(Role.KEEPER, 0), Place(Role.FRONT, 0), Place(Role.FRONT, 1)]
    given = [board.give(place, boot) for boot in (2, 3, 4) for place in places]
    refused = [board.give(place, boot) for boot in (5, 6) for place in places]
    restarted = [board.give(place, 7, restart=True) for place in places]

    assert sorted(map(str, given + restarted)) == sorted(map(str, range(12)))
    assert refused == [Reason.LIMIT_LANES] * 6
    assert board.give(places[0], 8, restart=True) is Reason.LIMIT_LANES


def test_a_lane_that_is_taken_back_is_given_again_last() -> None:
    board = NodeBoard.create(1, 1)
    first = board.give(Place(Role.FRONT, 0), 2)
    assert isinstance(first, int)
    board.take_back(first)
    rest = [board.give(Place(Role.FRONT, 0), boot, True) for boot in range(3, 11)]

    assert rest[-1] == first


def test_a_successor_in_a_lane_goes_on_from_the_words_that_stand_there() -> None:
    """They only ever grow: nobody thinks that nothing happened."""
    node = BoardNode()
    keeper, front = node.starts(Role.KEEPER), node.starts(Role.FRONT)
    node.beats()
    keeper.store_write(PATH, "5")
    keeper.store_life(PATH)
    row = front.watch(PATH)
    seen = row.seen

    successor = node.is_followed(keeper)
    node.beats()
    assert front.watch(PATH).seen == seen

    successor.store_life(PATH)
    successor.store_write(PATH, "5")
    news = front.news(row, node.now)
    assert news is not None and news.writes and news.lives
    assert not front.covers(row, news, ["5"]), "it knows nothing of the chain"

    successor.store_write(PATH, "6")
    news = front.news(row, node.now)
    assert news is not None and front.covers(row, news, ["6"])


def test_a_lane_that_is_given_again_says_nothing_of_its_last_holder() -> None:
    node = BoardNode()
    node.starts(Role.KEEPER)
    front = node.starts(Role.FRONT)
    other = node.starts(Role.FRONT, 1)
    node.beats()
    front.store_connections(7)
    front.store_accepts(100)
    front.store_leaves()
    front.store_acted(9)
    front.store_announced(4)
    bounds = LaneBounds(front)
    assert bounds.viewers.take(0, 9) and bounds.relays.take(0, 9)
    for what in Bounded:
        assert bounds.take(what, PATH, 9)
    assert (others(other, Field.CONNECTIONS), others(other, Field.VIEWERS)) == (7, 1)
    assert not any(has_room(other, what, most=1) for what in Bounded)
    assert other.leaving() == {3}
    assert len(other.places(node.now)) == 3

    node.ends(front)
    assert not any(others(other, field) for field in BOUNDED)
    assert all(has_room(other, what, most=1) for what in Bounded)
    assert other.leaving() == frozenset()
    assert other.order_lanes() == []
    assert other.announced() == 4, "an order stays announced"
    assert other.places(node.now) == (Place(Role.KEEPER, 0), Place(Role.FRONT, 1))


def test_a_keeper_that_is_about_to_end_is_seen_by_its_place_and_by_its_boot() -> None:
    node = BoardNode(keepers=2)
    first, _ = node.starts(Role.KEEPER), node.starts(Role.KEEPER, 1)
    front = node.starts(Role.FRONT)
    assert not front.is_leaving(0)

    first.store_leaves()
    assert front.is_leaving(0) and not front.is_leaving(1)
    assert front.leaving() == {2}

    node.starts(Role.KEEPER, restart=True)
    node.ends(first)
    assert not front.is_leaving(0)


def test_what_a_process_without_a_fresh_beat_has_counts_for_nothing() -> None:
    node = BoardNode()
    node.starts(Role.KEEPER)
    one, other = node.starts(Role.FRONT), node.starts(Role.FRONT, 1)
    one.store_connections(7)
    LaneBounds(one).take(Bounded.STREAM_RELAYS, PATH, 9)
    one.store_text(b'{"counters": {"answers": 1}, "gauges": {"viewers": 5}}')
    node.beats(other, after=1.6)

    assert others(other, Field.CONNECTIONS) == 0
    assert has_room(other, Bounded.STREAM_RELAYS, most=1)
    assert other.texts() == []
    assert other.totals() == {"answers": 1}, "but what it counted stays counted"

    node.beats(one)
    assert others(other, Field.CONNECTIONS) == 7
    assert not has_room(other, Bounded.STREAM_RELAYS, most=1)
    assert other.texts() == [{"counters": {"answers": 1}, "gauges": {"viewers": 5}}]


def test_a_lane_holds_numbers_past_32_bits() -> None:
    node = BoardNode()
    front, other = node.starts(Role.FRONT), node.starts(Role.FRONT, 1)
    node.beats(after=2.0**40)
    front.store_connections(2**40)
    front.store_announced(2**42)
    front.store_acted(2**43)

    assert others(other, Field.CONNECTIONS) == 2**40
    assert other.announced() == 2**42
    assert [word for _, word in other.order_lanes()] == [2**43]


@pytest.mark.parametrize(("keepers", "fronts"), [(1, 1), (2, 8), (3, 64)])
def test_no_two_parts_of_a_board_lie_over_each_other(keepers: int, fronts: int) -> None:
    layout = Layout(keepers, fronts)
    lanes = layout.lanes
    fields = [
        layout.field(field) + lane for field in Field for lane in range(lanes + 1)
    ]

    assert lanes == 4 * (keepers + fronts)
    assert fields == list(range(fields[0], fields[-1] + 1))
    assert layout.slot(0) == fields[-1] + 1
    assert layout.slot(1) == layout.slot(0) + 2 * lanes
    first, *_, last = BoardTable
    assert layout.table(first) == layout.slot(SLOTS)
    assert layout.tally(0) == layout.table(last) + last.value
    assert layout.tally(1) == layout.tally(0) + layout.tally_words
    assert layout.words == layout.tally(lanes)
    assert layout.text(0) == 8 * layout.words
    assert layout.octets % 8 == 0
