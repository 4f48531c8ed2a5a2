"""What processes of a node tell each other by their lanes, on a real board."""

from collections.abc import Callable

import pytest

from edge.board.bounds import LaneBounds
from edge.board.node_board import NodeBoard
from edge.core.reasons import Reason
from edge.core.values import Place, Role
from edge.process.beats import BEAT_SECONDS, Beats
from edge.process.node_lanes import WAIT_SECONDS, NodeLanes
from edge.process.places import Start


class Loop:
    """An event loop whose one timer is let go by hand."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.due: Callable[[], None] | None = None

    def timer(self, after: float, repeat: float) -> "Loop":
        assert after == repeat == BEAT_SECONDS
        return self

    def start(self, act: Callable[[], None]) -> None:
        self.due = act

    def stop(self) -> None:
        self.due = None

    def close(self) -> None:
        pass

    def beat(self) -> None:
        """A quarter of a second later."""
        self.now += BEAT_SECONDS
        assert self.due is not None
        self.due()


class Process:
    """One front with its beats."""

    def __init__(self, board: NodeBoard, number: int, loop: Loop) -> None:
        lane = board.give(Place(Role.FRONT, number), number + 1)
        assert not isinstance(lane, Reason)
        self.view = board.view(lane, number + 1, lambda: loop.now)
        self.viewers = LaneBounds(self.view).viewers
        self.load, self.told = (0, 0), 0
        self.beats = Beats(
            self.view, lambda: loop.now, lambda: self.load, self._tell, self.viewers
        )

    def _tell(self) -> None:
        self.told += 1


@pytest.fixture
def board() -> NodeBoard:
    return NodeBoard.create(keepers=1, fronts=2)


def test_a_beat_gives_back_what_its_process_does_not_use(board: NodeBoard) -> None:
    """W13: viewers are taken ahead of those who come, while there is much room."""
    loops = Loop(), Loop()
    first, second = (Process(board, n, loop) for n, loop in enumerate(loops))
    first.load = (30, 20)
    first.beats.start(loops[0])
    second.beats.start(loops[1])
    most = 64 * 100
    assert first.viewers.take(20, most)
    assert first.viewers.has == 20 + 1 + 64
    assert not second.viewers.take(most - 84, most)
    loops[0].beat()

    assert first.viewers.has == 20
    assert second.viewers.take(most - 84, most)
    assert not second.viewers.take(most - 20, most)
    first.beats.stop()
    assert second.viewers.take(most - 1, most)


def test_figures_are_told_once_a_second_and_at_the_end(board: NodeBoard) -> None:
    loop = Loop()
    process = Process(board, 0, loop)
    process.beats.start(loop)
    told = [process.told]
    for _ in range(8):
        loop.beat()
        told.append(process.told)
    process.beats.stop()
    process.beats.stop()

    assert told == [1, 1, 1, 1, 2, 2, 2, 2, 3]
    assert process.told == 4


# Lanes, as the master gives them.


F0 = Place(Role.FRONT, 0)


def test_lanes_are_kept_for_places_that_lost_their_process(
    board: NodeBoard, caplog: pytest.LogCaptureFixture
) -> None:
    """A reload waits when the rest is taken, and goes on when one of those who drain
    has been reaped. It says so once, if that takes longer than is to be expected."""
    lanes, pid = NodeLanes(board), 0
    later, restart = Start(F0, successor=True), Start(F0, successor=False)
    while (lane := lanes.give(later, pid + 1, 0.0)) is not None:
        pid += 1
        lanes.holds(pid, lane)
    assert lanes.give(later, 90, WAIT_SECONDS - 1) is None
    assert not caplog.text
    for _ in range(2):
        assert lanes.give(later, 90, WAIT_SECONDS) is None
    assert caplog.text.count("front-0 waits to be replaced") == 1
    assert "limit-lanes" in caplog.text

    restarted = lanes.give(restart, 91, WAIT_SECONDS)
    assert restarted is not None
    lanes.holds(91, restarted)
    lanes.take_back(1)
    assert lanes.give(later, 92, WAIT_SECONDS) is None
    lanes.take_back(2)
    assert lanes.give(later, 93, WAIT_SECONDS) is not None


def test_one_that_was_not_known_is_taken_back_without_harm(board: NodeBoard) -> None:
    """The master reaps whatever ends below it."""
    NodeLanes(board).take_back(12345)
