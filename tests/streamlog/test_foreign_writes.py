"""Which writes at other extension parameters are nothing to a stream (U13)."""

import pytest

from edge.streamlog.foreign_writes import (
    FOREIGN_SECONDS,
    MAX_FOREIGN,
    MAX_LENGTH,
    ForeignWrites,
)
from tests.streamlog.told import Told

OTHERS = "awareness=x"


# What is remembered


def proven(parameters: str = OTHERS, now: float = 100.0) -> ForeignWrites:
    """One write was proven to leave the tail at "4"."""
    foreign = ForeignWrites()
    foreign.note(parameters, "4", writes=1, now=now)
    foreign.settle("4", writes=1)
    return foreign


def test_nothing_is_ignored_before_it_is_proven() -> None:
    foreign = ForeignWrites()
    assert not foreign.are_ignored(OTHERS, 100.0)

    foreign.note(OTHERS, "4", writes=1, now=100.0)
    assert not foreign.are_ignored(OTHERS, 100.0)
    foreign.settle("4", writes=1)
    assert foreign.are_ignored(OTHERS, 100.0)


def test_other_parameters_prove_nothing_of_these() -> None:
    assert not proven().are_ignored("awareness=y", 100.0)


def test_a_proof_lasts_a_minute() -> None:
    foreign = proven(now=100.0)

    assert foreign.are_ignored(OTHERS, 99.9 + FOREIGN_SECONDS)
    assert not foreign.are_ignored(OTHERS, 100.0 + FOREIGN_SECONDS)


def test_a_proof_that_ran_out_is_no_proof_until_there_is_a_new_one() -> None:
    foreign = proven(now=100.0)
    later = 100.0 + FOREIGN_SECONDS
    foreign.note(OTHERS, "4", writes=2, now=later)
    assert not foreign.are_ignored(OTHERS, later)

    foreign.settle("4", writes=2)
    assert foreign.are_ignored(OTHERS, later + FOREIGN_SECONDS - 0.1)


def test_what_was_proven_once_stays_so_when_the_tail_moves() -> None:
    """A document is written too: a proof for each of its writes would cost a read."""
    foreign = proven(now=100.0)
    foreign.settle("7", writes=2)

    assert foreign.are_ignored(OTHERS, 101.0)


def test_an_answer_sent_before_the_write_proves_nothing() -> None:
    foreign = ForeignWrites()
    foreign.note(OTHERS, "4", writes=2, now=100.0)
    foreign.settle("4", writes=1)

    assert not foreign.are_ignored(OTHERS, 100.0)


def test_a_tail_that_moved_proves_nothing_and_the_next_write_begins_anew() -> None:
    """It may have been this write that moved it."""
    foreign = ForeignWrites()
    foreign.note(OTHERS, "4", writes=1, now=100.0)
    foreign.settle("7", writes=1)
    foreign.settle("4", writes=1)
    assert not foreign.are_ignored(OTHERS, 100.0)

    foreign.note(OTHERS, "7", writes=2, now=101.0)
    foreign.settle("7", writes=2)
    assert foreign.are_ignored(OTHERS, 101.0)


def test_a_write_that_finds_the_tail_elsewhere_is_noted_there() -> None:
    """The next answer proves it, not the one after."""
    foreign = ForeignWrites()
    foreign.note(OTHERS, "4", writes=1, now=100.0)
    foreign.note(OTHERS, "7", writes=3, now=101.0)
    foreign.settle("7", writes=3)

    assert foreign.are_ignored(OTHERS, 101.0)


def test_writes_that_come_faster_than_answers_do_not_put_the_proof_off() -> None:
    """The first of them is proven; the minute begins with the last before that."""
    foreign = ForeignWrites()
    for writes in range(1, 6):
        foreign.note(OTHERS, "4", writes=writes, now=100.0 + writes)
    foreign.settle("4", writes=1)

    assert foreign.are_ignored(OTHERS, 104.9 + FOREIGN_SECONDS)
    assert not foreign.are_ignored(OTHERS, 105.0 + FOREIGN_SECONDS)


def test_what_is_remembered_is_bounded_and_the_oldest_makes_room() -> None:
    """A writer can make up parameters."""
    foreign = proven("x=0")
    for number in range(1, MAX_FOREIGN):
        foreign.note(f"x={number}", "4", writes=number, now=100.0)
    assert foreign.are_ignored("x=0", 100.0)

    foreign.note("x=more", "4", writes=99, now=100.0)
    assert len(foreign) == MAX_FOREIGN
    assert not foreign.are_ignored("x=0", 100.0)


def test_who_is_noted_anew_is_the_newest_and_takes_nobody_s_room() -> None:
    foreign = ForeignWrites()
    for number in range(MAX_FOREIGN):
        foreign.note(f"x={number}", "4", writes=number, now=100.0)
    foreign.note("x=1", "7", writes=99, now=100.0)
    assert len(foreign) == MAX_FOREIGN

    for number in range(MAX_FOREIGN - 1):
        foreign.note(f"y={number}", "7", writes=99, now=100.0)
    foreign.settle("7", writes=99)
    assert foreign.are_ignored("x=1", 100.0)


def test_long_parameters_are_not_remembered() -> None:
    """A writer can make up long ones."""
    foreign = ForeignWrites()
    foreign.note("x" * MAX_LENGTH, "4", writes=1, now=100.0)
    foreign.note("y" * (MAX_LENGTH + 1), "4", writes=1, now=100.0)

    assert len(foreign) == 1


# What a tail makes of it


def test_a_write_elsewhere_names_no_offset_of_this_stream() -> None:
    """U13: it is a doubt, that one answer ends."""
    told = Told("4")
    told.polls()
    told.writes_elsewhere("9")
    reader = told.tail.read_barrier()
    assert told.tail.ack is None
    assert not told.knows(reader, "4")

    told.hears(told.sends(), "4")
    assert told.knows(reader, "4")
    assert told.knows(told.tail.read_barrier(), "4"), "asked again once, no more"


def test_writes_that_left_the_tail_where_it_was_are_nothing_to_it_then() -> None:
    """U13: no asking, no disarming: awareness writes come ten a second."""
    told = Told("4")
    told.polls()
    told.writes_elsewhere("9")
    told.hears(told.sends(), "4")
    version = told.tail.version
    told.writes_elsewhere("10")

    assert told.tail.version == version
    assert told.tail.is_armed(told.now)
    told.writes_elsewhere("11", "awareness=another")
    assert not told.tail.is_armed(told.now)


@pytest.mark.parametrize("named", [None, "4"])
def test_a_write_that_may_have_been_none_proves_nothing(named: str | None) -> None:
    """A lost one, or a duplicate that names the tail as it was: the next one may
    well move it."""
    told = Told("4")
    told.polls()
    told.writes_elsewhere(named)
    told.hears(told.sends(), "4")
    told.writes_elsewhere("9")

    assert not told.tail.is_armed(told.now)


def counts(told: Told, parameters: str = OTHERS) -> bool:
    """Whether one more such write, which names "99", is anything to this tail."""
    writes = told.tail.writes
    told.writes_elsewhere("99", parameters)
    return told.tail.writes > writes


def test_an_answer_without_the_claim_proves_nothing() -> None:
    """It may be a page that happens to end there."""
    told = Told("4")
    told.sends()
    told.writes_elsewhere("9")
    told.hears(told.sends(), "4", up_to_date=False)
    assert counts(told)

    told.hears(told.sends(), "4", up_to_date=True)
    assert not counts(told)


def test_a_read_that_was_sent_before_the_acknowledgement_proves_nothing() -> None:
    """The write may have happened behind it."""
    told = Told("4")
    before = told.sends()
    told.writes_elsewhere("9")
    told.hears(before, "4")
    assert counts(told)

    told.hears(told.sends(), "4")
    assert not counts(told)


def test_a_write_to_this_very_stream_that_the_poll_overtook_proves_nothing() -> None:
    """1: a write of another name begins; 2: the poll brings it, and one after it; 3:
    it is acknowledged; 4: the tail is where 2 left it, and not for 3's sake."""
    told = Told("4")
    poll = told.polls()
    begun_at = told.later()
    told.hears(poll, "7")
    told.polls()
    told.later()
    told.tail.acknowledge_foreign("x=1", "6", begun_at, told.now)
    told.hears(told.sends(), "7")

    told.writes_elsewhere("8", "x=1")
    assert not told.tail.is_armed(told.now)


def test_a_closed_stream_is_not_doubted() -> None:
    """L4: closure is final."""
    told = Told("4")
    told.tail.close("4")
    told.writes_elsewhere("9")

    assert told.knows(told.tail.read_barrier(), "4")
    assert told.tail.writes == 0


def test_a_stream_of_which_nothing_is_known_is_doubted_all_the_same() -> None:
    """L4: a read under way was sent before the write."""
    told = Told()
    before = told.sends()
    told.writes_elsewhere("9")
    reader = told.tail.read_barrier()
    told.hears(before, "4")
    assert not told.knows(reader, "4")

    told.hears(told.sends(), "4")
    assert told.knows(reader, "4")
