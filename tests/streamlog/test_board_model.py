"""Laws of a front's row behind a keeper, with the node's real board (W4, W5, W8).

Whatever the order of: a write or a DELETE at the origin, its word on the board, its
acknowledgement, a request of the front, the keeper's answer to it, its arrival, a poll,
a reader, and whatever is told of other paths in the same slot. The front looks at the
board before it takes anything in, and before it claims or shows anything.

No time passes here: order alone decides. What a silence means is told in
``tests/streamlog/test_board_news.py``.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any, ClassVar

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from edge.board.lane_view import LaneView
from edge.board.memory import BoardMemory
from edge.board.node_board import NodeBoard
from edge.board.path_digests import PathDigests
from edge.core.node_board import COVERS_NOBODY, News
from edge.core.values import Lineage, Role
from edge.streamlog.barriers import ReadBarrier, RequestSnapshot
from edge.streamlog.board_news import hear_news
from edge.streamlog.lineages import Descent, compare
from edge.streamlog.tail import Tail
from tests.board.nodes import BoardNode

PATH = "/v1/stream/a"
HOLD, VERIFY = 30.0, 60.0
BOOT = 7


DIGESTS = PathDigests(b"a secret that is always the same", keepers=1)


@cache
def neighbour() -> str:
    """Another path in the slot of PATH."""
    slot = DIGESTS.of(PATH).slot
    paths = (f"/v1/stream/{n}" for n in range(1_000_000))
    return next(path for path in paths if DIGESTS.of(path).slot == slot)


@dataclass(frozen=True)
class At:
    """Where the stream is: in which life, and how long it is."""

    life: int
    end: int

    @property
    def offset(self) -> str:
        return f"{self.end:03d}"


@dataclass(eq=False)
class Change:
    """A write, or a DELETE and PUT, that the origin has done, and who heard of it."""

    lane: LaneView
    at: At
    is_write: bool
    is_named: bool
    is_stored: bool = False


@dataclass(eq=False)
class Asked:
    """A request of the front. ``answer`` is on its way back once there is one."""

    sent: RequestSnapshot
    start: At
    answer: At | None = None


@dataclass(eq=False)
class Arrived:
    """A reader, and what it must see: what had been acknowledged when it came."""

    barrier: ReadBarrier
    life_of_row: int
    must_see: At


@dataclass
class Row:
    """A front's row: what it holds, of which incarnation, and what it knows of it."""

    held: At | None = None
    incarnation: int = 1
    lineage: Lineage | None = None
    tail: Tail = field(default_factory=lambda: Tail(HOLD))


Hear = Callable[..., None]


class AFrontClaimsNothingFalse(RuleBasedStateMachine):
    """One front, one keeper, and another front that writes to the origin itself."""

    hear: Hear = staticmethod(hear_news)
    reached: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.node = BoardNode(keepers=1, fronts=2)
        memory = replace(BoardMemory.make(1, 2), digests=DIGESTS)
        self.node.board = NodeBoard(memory)
        self.keeper = self.node.starts(Role.KEEPER)
        self.front = self.node.starts(Role.FRONT, 0)
        self.other = self.node.starts(Role.FRONT, 1)
        self.node.beats()
        self.now = self.node.now
        self.watch = self.front.watch(PATH)
        self.origin = self.known = At(1, 0)
        self.acknowledged = At(1, 0)
        self.deleted = 0
        self.changes: list[Change] = []
        self.asked: list[Asked] = []
        self.poll: Asked | None = None
        self.readers: list[Arrived] = []
        self.row = Row()

    def note(self, what: str) -> None:
        type(self).reached[what] += 1

    def look(self) -> None:
        """What must come before anything that is claimed, shown or taken in."""
        news = self.front.news(self.watch, self.now)
        if news is None:
            return
        tail, writes = self.row.tail, self.row.tail.writes
        known = len(set(news.ends)) == 1 and COVERS_NOBODY not in news.ends
        matches = partial(self.matches, news) if known else None
        type(self).hear(tail, news, matches, self.now, polls_origin=False)
        if news.lives:
            self.note("suspect")
        elif news.writes and tail.writes == writes:
            self.note("covered at once")
        elif news.writes:
            self.note("suspended" if tail.mark is None else "known by sight")

    def matches(self, news: News, end: str) -> bool:
        return self.front.covers(self.watch, news, (end,))

    @initialize()
    def opens(self) -> None:
        """The front holds the stream, and polls."""
        self.asks()
        self.is_answered(self.asked[0])
        self.hears(self.asked.pop())
        self.polls()

    # The origin, and those who hear of it

    @rule(direct=st.booleans(), named=st.booleans())
    def is_written(self, direct: bool, named: bool) -> None:
        self.origin = At(self.origin.life, self.origin.end + 1)
        lane = self.other if direct else self.keeper
        self.changes.append(Change(lane, self.origin, True, named))
        self.poll_is_answered()

    @rule(length=st.integers(0, 2))
    def is_made_anew(self, length: int) -> None:
        """DELETE and PUT through the keeper, whose log is another one once it hears of
        it."""
        self.origin = At(self.origin.life + 1, length)
        self.changes.append(Change(self.keeper, self.origin, False, True))
        self.poll_is_answered()

    @precondition(lambda self: any(not c.is_stored for c in self.changes))
    @rule(data=st.data())
    def is_stored(self, data: st.DataObject) -> None:
        """Who heard of it tells the board."""
        change = data.draw(
            st.sampled_from([c for c in self.changes if not c.is_stored])
        )
        change.is_stored = True
        if change.is_write:
            offset = change.at.offset if change.is_named else None
            change.lane.store_write(PATH, offset)
        else:
            self.keeper_replaces(change)

    def keeper_replaces(self, change: Change) -> None:
        self.known = At(max(self.known.life, change.at.life), 0)
        change.lane.store_life(PATH)

    @precondition(lambda self: any(c.is_stored for c in self.changes))
    @rule(data=st.data())
    def is_acknowledged(self, data: st.DataObject) -> None:
        """The writer hears it, after the board."""
        change = data.draw(st.sampled_from([c for c in self.changes if c.is_stored]))
        self.changes.remove(change)
        before, at = self.acknowledged, change.at
        if not change.is_write:
            self.deleted = max(self.deleted, at.life - 1)
        if (at.life, at.end) > (before.life, before.end):
            self.acknowledged = at if change.is_write else At(at.life, 0)

    @rule(lane=st.sampled_from(["keeper", "other"]), life=st.booleans())
    def the_slot_is_shared(self, lane: str, life: bool) -> None:
        view: LaneView = getattr(self, lane)
        path = neighbour()
        if life:
            view.store_life(path)
        else:
            view.store_write(path, "005")

    # The front and the keeper

    @rule()
    def asks(self) -> None:
        row = self.row
        sent = row.tail.request_snapshot(self.now, row.incarnation)
        self.asked.append(Asked(sent, row.held or At(self.origin.life, 0)))

    @precondition(lambda self: any(a.answer is None for a in self.asked))
    @rule(data=st.data())
    def one_is_answered(self, data: st.DataObject) -> None:
        open_ones = [a for a in self.asked if a.answer is None]
        self.is_answered(data.draw(st.sampled_from(open_ones)))

    def is_answered(self, asked: Asked) -> None:
        """By the keeper: with what the origin has, unless it was made anew and the
        keeper has not heard of it."""
        asked.answer = self.seen_by_keeper()

    @precondition(lambda self: self.row.lineage and self.row.lineage.incarnation > 1)
    @rule()
    def a_keeper_before_it_is_asked(self) -> None:
        """It is about to end, and speaks of a life that the row has left."""
        lineage = self.row.lineage
        assert lineage is not None and lineage.incarnation is not None
        self.asks()
        self.asked[-1].answer = At(lineage.incarnation - 1, 3)

    def seen_by_keeper(self) -> At:
        if self.known.life == self.origin.life:
            return self.origin
        waits = [c.at for c in self.changes if c.at.life == self.known.life]
        return max(waits, key=lambda at: at.end, default=self.known)

    @precondition(lambda self: any(a.answer is not None for a in self.asked))
    @rule(data=st.data())
    def one_is_heard(self, data: st.DataObject) -> None:
        ready = [a for a in self.asked if a.answer is not None]
        asked = data.draw(st.sampled_from(ready))
        self.asked.remove(asked)
        self.hears(asked)

    def hears(self, asked: Asked) -> None:
        self.look()
        row, at = self.row, asked.answer
        assert at is not None
        if asked.sent.incarnation != row.incarnation:
            self.note("of an incarnation before")
            return
        told = Lineage(BOOT, at.life, 1)
        descent = compare(row.lineage, told, row.held is None)
        self.note(descent.value)
        if descent is Descent.OLDER:
            return
        if descent is Descent.NEWER:
            self.row = Row(incarnation=row.incarnation + 1, lineage=told)
            self.poll = None
            return
        row.lineage = told
        if row.tail.went_back(asked.sent, at.offset):
            return
        row.tail.confirm(self.now - 1, asked.sent, names_life=True)
        row.tail.hear(asked.sent, at.offset, up_to_date=True)
        if not row.tail.unverified:
            row.held = max(row.held or at, at, key=lambda one: one.end)

    # The poll

    @precondition(lambda self: self.poll is None and self.row.held is not None)
    @rule()
    def polls(self) -> None:
        row = self.row
        assert row.held is not None
        if row.tail.unverified or row.tail.offset != row.held.offset:
            return
        sent = row.tail.request_snapshot(self.now, row.incarnation)
        self.poll = Asked(sent, row.held)
        row.tail.arm(sent)
        self.poll_is_answered()

    def poll_is_answered(self) -> None:
        """If there is news for it."""
        poll = self.poll
        if poll is not None and poll.answer is None:
            seen = self.seen_by_keeper()
            if seen != poll.start and seen.life == poll.start.life:
                poll.answer = seen

    @precondition(lambda self: self.poll is not None and self.poll.answer is not None)
    @rule()
    def poll_is_heard(self) -> None:
        poll, self.poll = self.poll, None
        assert poll is not None
        if self.row.tail.armed is poll.sent:
            self.row.tail.disarm()
        self.hears(poll)
        if self.poll is None and self.row.held is not None:
            self.polls()

    # Readers

    @rule()
    def arrives(self) -> None:
        self.look()
        barrier = self.row.tail.read_barrier()
        if barrier.mark is not None:
            self.note("a reader may wait")
        came = Arrived(barrier, self.row.incarnation, self.acknowledged)
        self.readers.append(came)

    @precondition(lambda self: self.readers)
    @rule(data=st.data())
    def is_served(self, data: st.DataObject) -> None:
        """Whatever it may be given now is right."""
        reader = data.draw(st.sampled_from(self.readers))
        self.look()
        row = self.row
        if reader.life_of_row != row.incarnation or row.held is None:
            # It arrives anew, and asks.
            self.readers.remove(reader)
            return
        tail, held, must = row.tail, row.held, reader.must_see
        if not tail.is_confirmed_to(reader.barrier, self.now, VERIFY):
            return
        self.note("shown")
        assert held.life > self.deleted, "of a life that was deleted"
        if tail.is_known_to(reader.barrier, held.offset, self.now, strict=False):
            self.note("claimed")
            assert (held.life, held.end) >= (must.life, must.end), "misses a write"

    @invariant()
    def who_waits_at_the_end_is_told_nothing_false(self) -> None:
        """A viewer that is parked may be told that this is all while a poll is armed,
        and nothing is known to lie beyond."""
        self.look()
        row = self.row
        tail, held = row.tail, row.held
        if held is None or tail.offset != held.offset:
            return
        if tail.ack is not None and tail.ack > held.offset:
            return
        if tail.is_armed(self.now) and not (tail.unverified or tail.is_behind):
            self.note("armed")
            done = self.acknowledged
            assert (held.life, held.end) >= (done.life, done.end), "misses a write"


def run(machine: type[AFrontClaimsNothingFalse], *phases: Phase) -> None:
    """The same runs each time, so that what they reach is not left to chance."""
    how = settings(
        max_examples=100,
        stateful_step_count=40,
        derandomize=True,
        deadline=None,
        report_multiple_bugs=False,
        phases=phases,
    )
    run_state_machine_as_test(machine, settings=how)


def test_no_claim_misses_a_write_and_no_byte_outlives_its_stream() -> None:
    AFrontClaimsNothingFalse.reached.clear()
    run(AFrontClaimsNothingFalse, Phase.generate, Phase.shrink)

    assert set(AFrontClaimsNothingFalse.reached) >= {
        *("suspect", "suspended", "known by sight", "covered at once"),
        *("of an incarnation before", "same", "older", "newer"),
        *("a reader may wait", "shown", "claimed", "armed"),
    }


def forgets_writes(tail: Tail, news: News, *args: Any, **how: Any) -> None:
    """A row that is not told of writes."""
    hear_news(tail, news._replace(writes=False), *args, **how)


def drops_lives(tail: Tail, news: News, *args: Any, **how: Any) -> None:
    """One that takes another life for a write."""
    hear_news(tail, news._replace(lives=False, writes=True), *args, **how)


def believes_any_end(
    tail: Tail, news: News, matches: Any, *args: Any, **how: Any
) -> None:
    """One to which any end is as far as what was written."""
    hear_news(tail, news, lambda end: True, *args, **how)


@pytest.mark.parametrize("mutant", [forgets_writes, drops_lives, believes_any_end])
def test_a_row_that_hears_less_is_found_out(mutant: Hear) -> None:
    class Mutant(AFrontClaimsNothingFalse):
        hear = staticmethod(mutant)

    with pytest.raises(AssertionError):
        run(Mutant, Phase.generate)
