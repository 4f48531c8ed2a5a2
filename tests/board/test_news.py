"""What a row hears of the board: writes, lives, doubts, silences (W4 to W6)."""

import pytest

from edge.board.lane_view import LaneView
from edge.board.node_board import NodeBoard
from edge.core.node_board import News
from edge.core.values import Place, Role
from tests.board.nodes import BoardNode, neighbour

PATH = "/session/1"


@pytest.fixture
def node() -> BoardNode:
    return BoardNode()


@pytest.fixture
def keeper(node: BoardNode) -> LaneView:
    return node.starts(Role.KEEPER)


@pytest.fixture
def front(node: BoardNode, keeper: LaneView) -> LaneView:
    return node.starts(Role.FRONT)


def said(news: News | None) -> set[str]:
    """The names of what is new."""
    if news is None:
        return set()
    names = ("writes", "lives", "doubt", "silent")
    return {name for name in names if getattr(news, name)}


def test_a_write_through_another_process_is_news_once(
    node: BoardNode, keeper: LaneView, front: LaneView
) -> None:
    row = front.watch(PATH)
    assert front.news(row, node.now) is None

    keeper.store_write(PATH, "0005")

    assert said(front.news(row, node.now)) == {"writes"}
    assert front.news(row, node.now) is None


def test_what_stood_there_before_the_row_was_made_is_no_news(
    node: BoardNode, keeper: LaneView, front: LaneView
) -> None:
    keeper.store_write(PATH, "0005")
    keeper.store_life(PATH)

    assert front.news(front.watch(PATH), node.now) is None


def test_what_a_process_stored_itself_is_no_news_to_it(
    node: BoardNode, keeper: LaneView, front: LaneView
) -> None:
    """But what another one stored meanwhile is."""
    row = front.watch(PATH)
    front.store_write(PATH, "0005")
    front.store_life(PATH)
    assert front.news(row, node.now) is None

    front.store_write(PATH, "0006")
    keeper.store_write(PATH, "0007")
    news = front.news(row, node.now)

    assert news is not None
    assert not front.covers(row, news, ["0006"])
    assert front.covers(row, news, ["0007"])


def test_a_row_that_has_the_end_of_the_write_is_covered(
    node: BoardNode, keeper: LaneView, front: LaneView
) -> None:
    row = front.watch(PATH)
    keeper.store_write(PATH, "0005")
    news = front.news(row, node.now)

    assert news is not None
    assert front.covers(row, news, ["0005"])
    assert front.covers(row, news, ["0004", "0005", "0006"])
    assert not front.covers(row, news, ["0004"])
    assert not front.covers(row, news, [])


def test_the_same_end_of_another_path_covers_nothing(
    node: BoardNode, keeper: LaneView, front: LaneView
) -> None:
    row, other = front.watch(PATH), front.watch("/session/2")
    keeper.store_write(PATH, "0005")
    news = front.news(row, node.now)

    assert news is not None
    assert not front.covers(other, news, ["0005"])


def test_a_burst_is_covered_by_its_furthest_end(
    node: BoardNode, keeper: LaneView, front: LaneView
) -> None:
    """However many there were between two looks, and whichever was told last."""
    row = front.watch(PATH)
    for offset in ("01", "02", "05", "06"):
        keeper.store_write(PATH, offset)
    assert (news := front.news(row, node.now)) is not None
    assert front.covers(row, news, ["06"])

    for offset in ("07", "09", "08"):
        keeper.store_write(PATH, offset)
    assert (news := front.news(row, node.now)) is not None
    assert front.covers(row, news, ["09"])
    assert not front.covers(row, news, ["08"])


def test_a_lost_write_is_covered_by_nothing(
    node: BoardNode, keeper: LaneView, front: LaneView
) -> None:
    """Not even where one that named its offset came after it."""
    row = front.watch(PATH)
    keeper.store_write(PATH, None)
    assert (news := front.news(row, node.now)) is not None
    assert not front.covers(row, news, ["01"])

    keeper.store_write(PATH, None)
    keeper.store_write(PATH, "02")
    assert (news := front.news(row, node.now)) is not None
    assert not front.covers(row, news, ["02"])

    keeper.store_write(PATH, "03")
    assert (news := front.news(row, node.now)) is not None
    assert front.covers(row, news, ["03"])


def test_writes_through_two_processes_are_covered_by_both_ends(
    node: BoardNode, keeper: LaneView, front: LaneView
) -> None:
    other = node.starts(Role.FRONT, 1)
    row = other.watch(PATH)
    keeper.store_write(PATH, "01")
    front.store_write(PATH, "02")
    news = other.news(row, node.now)

    assert news is not None
    assert not other.covers(row, news, ["02"])
    assert other.covers(row, news, ["01", "02"])


def test_a_write_to_another_path_of_the_slot_costs_a_look(
    node: BoardNode, keeper: LaneView, front: LaneView
) -> None:
    """It is not known to be of another path, and is not covered."""
    row, other = front.watch(PATH), neighbour(PATH)
    keeper.store_write(other, "05")
    news = front.news(row, node.now)

    assert said(news) == {"writes"}
    assert news is not None and not front.covers(row, news, ["05"])


def test_a_write_between_two_looks_does_not_hide_behind_a_neighbours(
    node: BoardNode, keeper: LaneView, front: LaneView
) -> None:
    """p at 9, q at 1, p at 5: an end of 5 has the digest, and has not the 9."""
    row, other = front.watch(PATH), neighbour(PATH)
    keeper.store_write(PATH, "9")
    keeper.store_write(other, "1")
    keeper.store_write(PATH, "5")
    news = front.news(row, node.now)

    assert news is not None and not front.covers(row, news, ["5"])


def test_another_life_is_news_to_the_rows_of_its_path_alone(
    node: BoardNode, keeper: LaneView, front: LaneView
) -> None:
    """As long as nothing else is between two looks."""
    row, beside = front.watch(PATH), front.watch(neighbour(PATH))
    assert row.life != beside.life

    for _ in range(3):
        keeper.store_life(PATH)

    assert said(front.news(row, node.now)) == {"lives"}
    assert front.news(beside, node.now) is None

    keeper.store_life(beside.path)
    keeper.store_life(PATH)
    assert said(front.news(row, node.now)) == {"lives"}
    assert said(front.news(beside, node.now)) == {"lives"}


def test_a_doubt_is_told_once_to_each_row(
    node: BoardNode, keeper: LaneView, front: LaneView
) -> None:
    """Of those that were there, at the next beat."""
    rows = [front.watch(f"/{number}") for number in range(3)]
    node.board.raise_doubt()
    node.beats()

    assert [said(front.news(row, node.now)) for row in rows] == [{"doubt"}] * 3
    assert [front.news(row, node.now) for row in rows] == [None] * 3
    assert front.news(front.watch("/3"), node.now) is None


def test_a_silent_keeper_vouches_for_nothing_and_is_told_of_once_more_when_it_beats(
    node: BoardNode, keeper: LaneView, front: LaneView
) -> None:
    row, unlooked = front.watch(PATH), front.watch("/other")
    node.beats(front, after=1.4)
    assert front.news(row, node.now) is None
    node.beats(front, after=0.1)
    assert said(front.news(row, node.now)) == {"silent"}
    assert said(front.news(row, node.now)) == {"silent"}

    node.beats(after=0.1)

    assert said(front.news(row, node.now)) == {"silent"}
    assert front.news(row, node.now) is None
    assert said(front.news(unlooked, node.now)) == {"silent"}
    assert front.news(unlooked, node.now) is None


def test_a_silence_between_two_looks_is_told_by_who_was_silent(
    node: BoardNode, keeper: LaneView, front: LaneView
) -> None:
    """The front looked at nothing meanwhile: the keeper counted it, in its lane."""
    row = front.watch(PATH)
    node.beats(front, after=1.0)
    keeper_was_stopped_until = node.now + 0.6
    node.now = keeper_was_stopped_until
    keeper.beat(node.now)
    front.beat(node.now)

    assert said(front.news(row, node.now)) == {"silent"}
    assert front.news(row, node.now) is None


def test_a_process_that_was_stopped_itself_claims_nothing_before_it_has_looked(
    node: BoardNode, keeper: LaneView, front: LaneView
) -> None:
    """Neither before its first beat, nor just after it."""
    row, other = front.watch(PATH), front.watch("/other")
    kept = keeper.watch(PATH)
    for _ in range(3):
        node.beats(keeper, after=0.9)

    assert said(front.news(row, node.now)) == {"silent"}
    front.beat(node.now)
    assert said(front.news(other, node.now)) == {"silent"}
    assert front.news(other, node.now) is None
    assert keeper.news(kept, node.now) is None, "it has no keeper above it"


def test_a_process_that_never_beat_claims_nothing(node: BoardNode) -> None:
    keeper = node.starts(Role.KEEPER)
    lane = node.board.give(Place(Role.FRONT, 0), 99)
    assert isinstance(lane, int)
    front = node.board.view(lane, 99, lambda: node.now)
    row = front.watch(PATH)

    assert said(front.news(row, node.now)) == {"silent"}
    front.beat(node.now)
    keeper.beat(node.now)
    front.news(row, node.now)
    assert front.news(row, node.now) is None


def test_a_dead_keepers_beat_grows_old_and_its_successors_counts(
    node: BoardNode, keeper: LaneView, front: LaneView
) -> None:
    row = front.watch(PATH)
    node.ends(keeper)
    node.beats(front, after=1.0)
    assert front.news(row, node.now) is None
    node.beats(front, after=0.5)
    assert said(front.news(row, node.now)) == {"silent"}

    node.starts(Role.KEEPER, restart=True)
    assert said(front.news(row, node.now)) == {"silent"}
    assert front.news(row, node.now) is None


def test_a_successor_that_has_not_begun_is_no_younger_beat(
    node: BoardNode, keeper: LaneView, front: LaneView
) -> None:
    """Its lane reads 0. The old one's beat still counts, until it is installed."""
    row = front.watch(PATH)
    lane = node.board.give(node.stands[keeper], 50)
    assert isinstance(lane, int)
    node.beats()
    assert front.news(row, node.now) is None

    node.board.install(lane)
    front.beat(node.now)
    assert front.news(row, node.now) is None
    node.beats(keeper, front, after=1.5)
    assert said(front.news(row, node.now)) == {"silent"}


def test_paths_are_spread_over_keepers_and_slots_and_nobody_can_tell_how() -> None:
    one, other = NodeBoard.create(3, 1), NodeBoard.create(3, 1)
    paths = [f"/s/{number}" for number in range(300)]
    owners = [one.owner(path) for path in paths]

    assert {owners.count(keeper) > 60 for keeper in range(3)} == {True}
    assert owners != [other.owner(path) for path in paths]
    assert one.id != other.id
