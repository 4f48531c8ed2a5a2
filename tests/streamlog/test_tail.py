"""What is known of a stream's end (L2, L3, L4), as stories of what was heard."""

import pytest

from tests.streamlog.told import Told

# L3: when the tail is known


def test_the_tail_is_known_while_a_poll_is_armed() -> None:
    """L3: and unknown before it is sent, and after it ended in whatever way."""
    told = Told("4")
    reader = told.tail.read_barrier()
    assert not told.knows(reader, "4")

    told.polls()
    assert told.knows(reader, "4")
    told.tail.disarm()
    assert not told.knows(reader, "4")


@pytest.mark.parametrize(
    ("age", "known"), [(0.0, True), (30.0, True), (34.9, True), (35.0, False)]
)
def test_an_armed_poll_older_than_the_origin_ever_held_one_is_not_trusted(
    age: float, known: bool
) -> None:
    """L3: a dead connection looks like a quiet stream."""
    told = Told("4")
    told.polls()
    told.now += age

    assert told.tail.is_armed(told.now) is known
    assert told.knows(told.tail.read_barrier(), "4") is known


def test_an_event_stream_vouches_for_the_end_only_as_long_as_it_says() -> None:
    """U17: longer silence may be that of a stream that is no more."""
    told = Told("4")
    sent = told.sends()
    told.tail.arm(sent, told.now + 5.0)

    told.now += 4.9
    assert told.tail.is_armed(told.now)
    told.now += 0.2
    assert not told.tail.is_armed(told.now)


def test_an_armed_poll_says_nothing_about_another_offset() -> None:
    told = Told("4")
    told.polls()
    reader = told.tail.read_barrier()

    assert not told.knows(reader, "3")
    assert not told.knows(reader, "5")


def test_a_poll_that_waits_at_another_offset_tells_nothing_of_a_tail_that_moved() -> (
    None
):
    """A delta overtook the follower: its poll ends at once, and until it is armed
    again at the new end nobody watches that (L3)."""
    told = Told("4")
    told.polls()
    told.hears(told.sends(), "7")

    assert not told.tail.is_armed(told.now)
    assert not told.knows(told.tail.read_barrier(), "7")


def test_a_strict_route_asks_each_time() -> None:
    """L3: ``tail: strict`` does not trust the armed poll."""
    told = Told("4")
    told.polls()
    reader = told.tail.read_barrier()
    assert not told.knows(reader, "4", strict=True)

    told.hears(told.sends(), "4")
    assert told.knows(reader, "4", strict=True)


def test_an_answer_serves_those_who_came_before_it_and_nobody_later() -> None:
    told = Told()
    early = told.tail.read_barrier()
    told.hears(told.sends(), "4")
    late = told.tail.read_barrier()

    assert told.knows(early, "4")
    assert not told.knows(late, "4")


def test_an_origin_that_never_says_up_to_date_makes_no_claims() -> None:
    """L3: claims come only from the origin's own words."""
    told = Told()
    reader = told.tail.read_barrier()
    told.hears(told.sends(), "4", up_to_date=False)

    assert told.tail.offset == "4"
    assert not told.knows(reader, "4")


def test_what_is_behind_the_tail_says_nothing_about_it() -> None:
    told = Told("4")
    reader = told.tail.read_barrier()
    told.hears(told.sends(), "3")

    assert told.tail.offset == "4"
    assert not told.knows(reader, "3") and not told.knows(reader, "4")


def test_a_late_old_answer_neither_grants_nor_takes_a_claim() -> None:
    told = Told("4")
    old, new = told.sends(), told.sends()
    told.hears(new, "4", up_to_date=False)
    reader = told.tail.read_barrier()
    told.hears(old, "4", up_to_date=True)
    assert not told.knows(reader, "4")

    old, new = told.sends(), told.sends()
    told.hears(new, "4", up_to_date=True)
    told.hears(old, "4", up_to_date=False)
    assert told.knows(reader, "4")


def test_a_late_old_answer_that_says_the_same_serves_those_who_waited() -> None:
    told = Told("4")
    old, new = told.sends(), told.sends()
    told.hears(new, "4")
    reader = told.tail.read_barrier()
    told.hears(old, "4")

    assert told.knows(reader, "4")


def test_a_head_neither_makes_a_claim_nor_takes_one_away() -> None:
    """L3: it was sent after the read and is heard before it; the claim still holds."""
    told = Told()
    reader = told.tail.read_barrier()
    read, head = told.sends(), told.sends()
    told.hears(head, "4", up_to_date=None)
    assert not told.knows(reader, "4")

    told.hears(read, "4")
    assert told.knows(reader, "4")


def test_only_an_answer_with_nothing_to_give_shows_that_no_claim_is_made() -> None:
    """L3: a page and a HEAD do not, and neither does what came before the reader."""
    told = Told()
    told.hears(told.sends(), "4", up_to_date=False, empty=True)
    reader = told.tail.read_barrier()
    told.hears(told.sends(), "4", up_to_date=False)
    told.hears(told.sends(), "4", up_to_date=None)
    told.hears(told.sends(), "4", up_to_date=True, empty=True)
    assert not told.tail.is_unclaimed_to(reader)

    told.hears(told.sends(), "4", up_to_date=False, empty=True)
    assert told.tail.is_unclaimed_to(reader)
    told.hears(told.sends(), "5", up_to_date=False)
    assert not told.tail.is_unclaimed_to(reader)


def test_what_an_answer_leaves_out_is_not_told_to_who_wrote_meanwhile() -> None:
    """L4 goes first: that answer is older than the write."""
    told = Told("4")
    before = told.sends()
    told.tail.acknowledge("5", closed=False)
    reader = told.tail.read_barrier()
    told.hears(before, "4", up_to_date=False, empty=True)

    assert not told.tail.is_unclaimed_to(reader)


# L4: read your writes


def test_a_reader_after_a_write_is_not_shown_an_answer_from_before_it() -> None:
    """L4: the follower's poll was armed before the write; its answer is older."""
    told = Told("4")
    told.polls()
    told.tail.acknowledge("5", closed=False)
    reader = told.tail.read_barrier()

    assert not told.knows(reader, "4")
    assert not told.tail.covers(reader, "4")


def test_a_poll_armed_after_a_write_is_not_enough_until_it_answers() -> None:
    """Its answer, with the written bytes, may be on the way already."""
    told = Told("4")
    told.tail.acknowledge("5", closed=False)
    reader = told.tail.read_barrier()
    poll = told.polls()
    assert not told.knows(reader, "4")

    told.hears(poll, "5")
    assert told.knows(reader, "5")


def test_an_answer_sent_before_a_write_will_do_if_it_reaches_its_offset() -> None:
    """L4: judge the answer, not the join."""
    told = Told("4")
    before = told.polls()
    told.tail.acknowledge("5", closed=False)
    reader = told.tail.read_barrier()
    told.hears(before, "5")
    assert told.knows(reader, "5")

    told.tail.acknowledge("6", closed=False)
    assert told.knows(reader, "5"), "that write came after this reader"
    assert not told.knows(told.tail.read_barrier(), "5")


def test_an_answer_sent_after_a_write_will_do_wherever_it_ends() -> None:
    """Acknowledged offsets and the offsets of reads need not be the same ones."""
    told = Told("4")
    told.tail.acknowledge("9", closed=False)
    reader = told.tail.read_barrier()
    told.hears(told.sends(), "5")

    assert told.knows(reader, "5")


def test_a_late_old_answer_does_not_unlearn_a_write() -> None:
    told = Told("4")
    old = told.sends()
    told.tail.acknowledge(None, closed=False)
    told.hears(told.sends(), "6")
    reader = told.tail.read_barrier()
    told.hears(old, "6")

    assert told.knows(reader, "6")


def test_acknowledgements_that_overtake_each_other_leave_the_furthest() -> None:
    """Two writers: the second one's answer comes first, and counts."""
    told = Told("4")
    before = told.polls()
    told.tail.acknowledge("6", closed=False)
    told.tail.acknowledge("5", closed=False)
    reader = told.tail.read_barrier()
    told.hears(before, "5")

    assert not told.tail.covers(reader, "5")
    assert told.tail.covers(reader, "6")


def test_a_write_without_an_offset_makes_the_tail_unknown() -> None:
    """L4: a duplicate's 204, or a write whose answer was lost."""
    told = Told("4")
    told.polls()
    told.tail.acknowledge(None, closed=False)
    reader = told.tail.read_barrier()
    assert not told.knows(reader, "4")

    told.hears(told.sends(), "4")
    assert told.knows(reader, "4")


def test_the_poll_counts_again_once_an_answer_ends_where_it_waits() -> None:
    """U13, L3: one read for each such write, not one for each reader until the poll
    ends. The poll is on the wire still, and was there after the write."""
    told = Told("4")
    told.polls()
    told.tail.acknowledge(None, closed=False)
    assert not told.tail.is_armed(told.now)
    told.hears(told.sends(), "4")

    assert told.tail.is_armed(told.now)
    assert told.knows(told.tail.read_barrier(), "4")
    told.tail.acknowledge(None, closed=False)
    assert not told.knows(told.tail.read_barrier(), "4"), "another write, another doubt"


def test_a_poll_that_counts_again_is_no_younger_than_it_was() -> None:
    """L3: its connection may have died while it was not looked at."""
    told = Told("4")
    told.polls()
    told.tail.acknowledge(None, closed=False)
    told.now += 34.0
    told.hears(told.sends(), "4")
    assert told.tail.is_armed(told.now)

    told.now += 1.0
    assert not told.tail.is_armed(told.now)


def test_an_answer_from_before_the_write_leaves_the_poll_suspended() -> None:
    told = Told("4")
    before = told.sends()
    told.polls()
    told.tail.acknowledge(None, closed=False)
    told.hears(before, "4")

    assert not told.tail.is_armed(told.now)


def test_a_page_that_ends_where_the_poll_waits_leaves_it_suspended() -> None:
    """Without the claim, the write may lie beyond it; nor does an old claim help."""
    told = Told("4")
    before = told.sends()
    told.polls()
    told.tail.acknowledge(None, closed=False)
    told.hears(told.sends(), "4", up_to_date=False)
    assert not told.tail.is_armed(told.now)

    told.hears(before, "4", up_to_date=True)
    assert not told.tail.is_armed(told.now)
    told.hears(told.sends(), "4", up_to_date=True)
    assert told.tail.is_armed(told.now)


def test_a_poll_that_ended_meanwhile_does_not_count_again() -> None:
    """1: the write; 2: the poll ends; 3: an answer says that nothing came."""
    told = Told("4")
    told.polls()
    told.tail.acknowledge(None, closed=False)
    asked = told.sends()
    told.tail.disarm()
    told.hears(asked, "4")

    assert not told.tail.is_armed(told.now)


def test_a_poll_that_was_sent_after_the_write_counts_at_once() -> None:
    """As it does without any write: who comes now waits for its answer (L4)."""
    told = Told("4")
    told.polls()
    told.tail.acknowledge(None, closed=False)
    told.tail.disarm()
    told.polls()

    assert told.tail.is_armed(told.now)
    assert not told.knows(told.tail.read_barrier(), "4")


def test_a_suspended_poll_is_given_up_when_the_tail_moves() -> None:
    """It waits at another offset, whatever is heard of the new one."""
    told = Told("4")
    told.polls()
    told.tail.acknowledge(None, closed=False)
    told.hears(told.sends(), "7")
    told.hears(told.sends(), "7")

    assert not told.tail.is_armed(told.now)


def test_a_later_writes_offset_does_not_vouch_for_one_that_nobody_can_place() -> None:
    """The lost write may lie beyond it, or come later still."""
    told = Told("4")
    before = told.sends()
    told.tail.acknowledge(None, closed=False)
    told.tail.acknowledge("5", closed=False)
    reader = told.tail.read_barrier()
    told.hears(before, "5")
    assert not told.knows(reader, "5")

    told.hears(told.sends(), "5")
    assert told.knows(reader, "5")
    told.tail.acknowledge("6", closed=False)
    assert told.tail.covers(told.tail.read_barrier(), "6"), "placed by now"


def test_an_acknowledged_close_is_the_end_for_everybody_at_once() -> None:
    """L4: closed at that offset; E10: no waiting any more."""
    told = Told("4")
    waiting = told.tail.read_barrier()
    told.tail.acknowledge("5", closed=True)

    for reader in (waiting, told.tail.read_barrier()):
        assert told.knows(reader, "5", strict=True)
        assert not told.knows(reader, "4")
    assert repr(told.tail) == "<Tail 5 closed>"


def test_a_close_without_an_offset_is_not_believed_to_be_anywhere() -> None:
    told = Told("4")
    told.tail.acknowledge(None, closed=True)

    assert not told.tail.closed
    assert not told.knows(told.tail.read_barrier(), "4")


# L2: the tail went back


def test_an_answer_that_ends_before_a_tail_known_when_it_was_sent_went_back() -> None:
    told = Told("4")
    asked = told.sends()

    assert told.tail.went_back(asked, "3")
    assert not told.tail.went_back(asked, "4")
    assert not told.tail.went_back(asked, "5")


def test_an_old_answer_that_arrives_late_did_not_go_back() -> None:
    """L2: the tail moved while it was on its way."""
    told = Told("4")
    asked = told.sends()
    told.hears(told.sends(), "6")

    assert not told.tail.went_back(asked, "4")


def test_nothing_goes_back_before_a_tail_was_learnt() -> None:
    told = Told()

    assert not told.tail.went_back(told.sends(), "0")


def test_hearing_or_closing_the_same_tail_again_does_not_make_it_newer() -> None:
    """Else a recreated stream could hide behind every repeated answer (E5)."""
    told = Told("4")
    asked = told.sends()
    told.hears(told.sends(), "4")
    told.tail.close("4")

    assert told.tail.went_back(asked, "3")


def test_what_was_closed_and_is_open_went_back_too() -> None:
    """L2, L4: closure is final, so it is another stream; wherever that one ends."""
    told = Told("4")
    early = told.sends()
    told.tail.close("4")
    asked = told.sends()

    for end in ("4", "6"):
        assert told.tail.went_back(asked, end)
        assert not told.tail.went_back(asked, end, closed=True)
        # It was asked for while the stream was open.
        assert not told.tail.went_back(early, end)


def test_no_answer_moves_a_closed_end() -> None:
    """L4: what lies beyond it is another stream's."""
    told = Told("4")
    told.tail.close("4")
    told.hears(told.sends(), "6")

    assert (told.tail.offset, told.tail.closed) == ("4", True)
    assert told.tail.outgrows("6") and not told.tail.outgrows("4")
