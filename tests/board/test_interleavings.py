"""Readers see what was written through other processes, whatever overtakes what (W5).

The board, rows of two fronts, and an origin that is a counter for each path. Writes go
by three processes, to the path of the rows and to another one of its slot. They are
sent, happen, are answered or lost, and stored; reads and polls are sent, happen and are
heard; readers arrive and look at the board. Hypothesis orders all that.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.board import slot_words
from edge.board.lane_view import LaneView
from edge.board.slot_words import Chain, EndDigest, write_stored
from edge.core.node_board import COVERS_NOBODY, News, SlotWatch
from edge.core.values import Role
from edge.streamlog.barriers import ReadBarrier, RequestSnapshot
from tests.board.nodes import BoardNode, neighbour
from tests.streamlog.told import Told

PATH = "/session/1"
PATHS = (PATH, neighbour(PATH))

REACHED: Counter[str] = Counter()
"""What the runs came to; a law that is never asked holds nothing."""


def named(position: int) -> str:
    """The offset of a position."""
    return f"{position:03d}"


@dataclass(eq=False)
class Write:
    """A write on its way by a process; ``position`` once the origin took it."""

    by: int
    path: str
    position: int | None = None


@dataclass(eq=False)
class Sent:
    """A read or a poll of a row; ``end`` once the origin answered it."""

    snapshot: RequestSnapshot
    start: int
    end: int | None = None


class Row:
    """A row of PATH in a front: its tail, its watch, its readers."""

    def __init__(self, view: LaneView, end: int) -> None:
        self.view = view
        self.told = Told(named(end))
        self.watch = view.watch(PATH)
        self.poll: Sent | None = None
        self.reads: list[Sent] = []
        self.readers: list[tuple[ReadBarrier, int]] = []

    @property
    def end(self) -> int:
        return int(self.told.tail.offset or "0")

    def looks(self, now: float) -> None:
        """Before a reader is told anything."""
        news = self.view.news(self.watch, now)
        if news is None:
            REACHED["nothing new"] += 1
            return
        tail = self.told.tail
        before = tail.writes
        tail.acknowledge_elsewhere(self.covered_by(news))
        if COVERS_NOBODY in news.ends:
            REACHED["covers nobody"] += 1
        elif tail.writes == before:
            REACHED["covered"] += 1
            REACHED[f"covered after {len(news.ends)} lanes"] += 1
        else:
            REACHED["further than the row"] += 1

    def covered_by(self, news: News) -> Callable[[str], bool]:
        return lambda offset: self.view.covers(self.watch, news, [offset])


class World:
    """The board, the rows, the origin. A step with a pick of what it could be about;
    where there is none of it, nothing happens."""

    def __init__(self) -> None:
        self.node = BoardNode()
        keeper = self.node.starts(Role.KEEPER)
        fronts = [self.node.starts(Role.FRONT, number) for number in range(2)]
        self.node.beats()
        self.processes = [keeper, *fronts]
        self.ends = dict.fromkeys(PATHS, 0)
        # The furthest write to PATH that was acknowledged, or lost.
        self.must_see = 0
        self.writes: list[Write] = []
        self.rows = [Row(front, 0) for front in fronts]

    def write_begins(self, pick: int) -> None:
        path = PATHS[pick // 3 % 4 == 0]
        self.writes.append(Write(pick % 3, path))

    def write_happens(self, pick: int) -> None:
        waits = [write for write in self.writes if write.position is None]
        if not waits:
            return
        write = waits[pick % len(waits)]
        self.ends[write.path] += 1
        write.position = self.ends[write.path]
        for row in self.rows:
            self.poll_may_be_answered(row)

    def poll_may_be_answered(self, row: Row) -> None:
        poll = row.poll
        if poll is not None and poll.end is None and self.ends[PATH] > poll.start:
            poll.end = self.ends[PATH]

    def write_is_acknowledged(self, pick: int) -> None:
        self.write_ends(pick, is_lost=False)

    def write_is_lost(self, pick: int) -> None:
        self.write_ends(pick, is_lost=True)

    def write_ends(self, pick: int, is_lost: bool) -> None:
        """Whoever sent it stores, and knows it itself."""
        done = [write for write in self.writes if write.position is not None]
        if not done:
            return
        write = done[pick % len(done)]
        self.writes.remove(write)
        assert write.position is not None
        offset = None if is_lost else named(write.position)
        view = self.processes[write.by]
        view.store_write(write.path, offset)
        if write.path != PATH:
            return
        for row in self.rows:
            if row.view is view:
                row.told.tail.acknowledge(offset, closed=False)
        self.must_see = max(self.must_see, write.position)

    def process_is_followed(self, pick: int) -> None:
        """It dies with what it had sent; its successor has its lane. A front's row is
        another one."""
        by = pick % 3
        view = self.processes[by]
        self.writes = [write for write in self.writes if write.by != by]
        self.processes[by] = self.node.is_followed(view)
        self.node.beats(after=0.0)
        for number, row in enumerate(self.rows):
            if row.view is view:
                self.rows[number] = Row(self.processes[by], self.ends[PATH])

    def reader_arrives(self, pick: int) -> None:
        row = self.row(pick)
        row.looks(self.node.now)
        row.readers.append((row.told.tail.read_barrier(), self.must_see))

    def read_is_sent(self, pick: int) -> None:
        row = self.row(pick)
        row.reads.append(Sent(row.told.sends(), row.end))

    def read_happens(self, pick: int) -> None:
        waits = [read for read in self.row(pick).reads if read.end is None]
        if waits:
            waits[pick // 2 % len(waits)].end = self.ends[PATH]

    def read_is_heard(self, pick: int) -> None:
        row = self.row(pick)
        done = [read for read in row.reads if read.end is not None]
        if not done:
            return
        read = done[pick // 2 % len(done)]
        row.reads.remove(read)
        row.told.hears(read.snapshot, named(read.end or 0))

    def poll_is_sent(self, pick: int) -> None:
        row = self.row(pick)
        if row.poll is None:
            row.poll = Sent(row.told.polls(), row.end)
            self.poll_may_be_answered(row)

    def poll_is_heard(self, pick: int) -> None:
        row = self.row(pick)
        poll = row.poll
        if poll is None or poll.end is None:
            return
        row.poll = None
        if row.told.tail.armed is poll.snapshot:
            row.told.tail.disarm()
        row.told.hears(poll.snapshot, named(poll.end))

    def write_passes(self, pick: int) -> None:
        """The polls that wait are heard before its acknowledgement, as is common."""
        self.write_begins(pick)
        write = self.writes[-1]
        self.write_happens(-1)
        for number in range(2) if pick < 9 else ():
            self.poll_is_heard(number)
            self.poll_is_sent(number)
        if write.position is not None:
            self.acknowledges(write)

    def writes_overtake(self, pick: int) -> None:
        """Two writes by one process, of which the second is acknowledged first, and
        maybe another path's in between. A row may have read the first alone."""
        by, row = pick % 3, self.row(pick)
        both = [Write(by, PATH), Write(by, PATH)]
        for write in both:
            self.writes.append(write)
            self.ends[PATH] += 1
            write.position = self.ends[PATH]
            if write is both[0] and pick < 9:
                row.told.hears(row.told.sends(), named(write.position))
        for row in self.rows:
            self.poll_may_be_answered(row)
        self.acknowledges(both[1])
        if pick % 2:
            self.processes[by].store_write(PATHS[1], named(1))
        self.acknowledges(both[0])

    def acknowledges(self, write: Write) -> None:
        """This very write, which has happened."""
        done = [one for one in self.writes if one.position is not None]
        self.write_ends(done.index(write), is_lost=False)

    def row(self, pick: int) -> Row:
        return self.rows[pick % 2]

    def check(self) -> None:
        """Nobody is told that an answer is all which misses a stored write."""
        for row in self.rows:
            end = row.told.tail.offset
            assert end is not None
            for barrier, must_see in row.readers:
                if row.told.knows(barrier, end) or row.told.tail.covers(barrier, end):
                    assert int(end) >= must_see
                    REACHED["told"] += 1


STEPS = (
    *(World.write_begins, World.write_happens, World.write_is_acknowledged) * 3,
    *(World.reader_arrives, World.read_happens, World.poll_is_heard) * 2,
    *(World.read_is_sent, World.read_is_heard, World.poll_is_sent),
    *(World.write_passes, World.reader_arrives) * 2,
    *(World.write_is_lost, World.process_is_followed, World.writes_overtake),
)
"""What may come next, and how often."""

MOST_ORDERS = 2_000
"""So many are tried on a mutant."""

Order = list[tuple[Callable[[World, int], None], int]]
"""What happens, one after the other."""

orders = st.lists(
    st.tuples(st.sampled_from(STEPS), st.integers(0, 11)), min_size=20, max_size=60
)


def live(steps: Order) -> None:
    """One order of events, and the law after each."""
    world = World()
    for step, pick in steps:
        step(world, pick)
        world.check()


def test_readers_see_what_others_wrote() -> None:
    """W4, W5 with L4. And the orders come to each thing that a look can say."""
    REACHED.clear()
    settings(max_examples=300, deadline=None)(given(orders)(live))()

    for outcome in (
        "nothing new",
        "covered",
        "covers nobody",
        "further than the row",
        "told",
    ):
        assert REACHED[outcome] >= 5, f"{outcome}: {REACHED}"


def covers_by_the_digest_alone(seen: int, word: int) -> int:
    """However far the count moved."""
    return word & slot_words.END_MASK


def the_last_counts(
    word: int, chain: Chain | None, new: Chain, end_digest: EndDigest
) -> tuple[int, Chain]:
    """The last acknowledgement of a chain counts, not the furthest."""
    if chain is not None and chain.path == new.path:
        count = word & ~slot_words.END_MASK
        return count | end_digest(new.path, new.furthest), new
    return write_stored(word, chain, new, end_digest)


def lost_is_nothing(word: int) -> int:
    """A lost write is stored, and the count stays."""
    return word ^ 1 << 31


@pytest.mark.parametrize(
    ("name", "mutant"),
    [
        ("covering_end", covers_by_the_digest_alone),
        ("write_stored", the_last_counts),
        ("unplaced_write_stored", lost_is_nothing),
    ],
)
def test_a_board_that_covers_too_much_is_found_out(
    name: str, mutant: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slot_words, name, mutant)
    assert_found_out()


def test_a_row_that_thinks_one_lane_is_enough_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def covers_one(
        self: LaneView, watch: SlotWatch, news: News, ends: Iterable[str]
    ) -> bool:
        digest = self._memory.digests.end
        return any(digest(watch.path, end) in news.ends for end in ends)

    monkeypatch.setattr(LaneView, "covers", covers_one)
    assert_found_out()


def assert_found_out() -> None:
    """Some order of events breaks the law. The orders are always the same."""
    with pytest.raises(AssertionError):
        for seed in range(MOST_ORDERS):
            live(drawn(random.Random(seed)))


def drawn(chance: random.Random) -> Order:
    """An order by chance: for so many, faster than what can be made shorter."""
    return [
        (chance.choice(STEPS), chance.randrange(12))
        for _ in range(chance.randrange(20, 60))
    ]
