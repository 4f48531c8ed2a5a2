"""What is known of a stream's end, told as stories of what was sent and heard.

``Told`` is the little hub of these stories: it sends reads, hears answers and
lets readers arrive, all at one instant unless a story says otherwise, because
order must not hang on the clock.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)

from edge.log.tail import Arrival, Sent, Tail
from edge.protocol.offsets import order

HOLD, SLACK, VERIFY = 30.0, 5.0, 60.0


class Told:
    """A tail, and the verbs of its stories. ``now`` is moved by hand."""

    def __init__(self, offset: str | None = None) -> None:
        self.tail = Tail(HOLD)
        self.now = 100.0
        if offset is not None:
            self.hears(self.sends(), offset)

    def sends(self) -> Sent:
        return self.tail.send(self.now, 1)

    def polls(self) -> Sent:
        sent = self.sends()
        self.tail.arm(sent)
        return sent

    def hears(self, sent: Sent, offset: str, up_to_date: bool = True) -> None:
        self.tail.confirm(self.now, sent)
        self.tail.hear(sent, offset, up_to_date)

    def knows(self, arrival: Arrival, end: str, strict: bool = False) -> bool:
        return self.tail.is_known_to(arrival, end, self.now, strict)

    def trusts(self, arrival: Arrival) -> bool:
        return self.tail.is_confirmed_to(arrival, self.now, VERIFY)


# L3: when the tail is known


def test_the_tail_is_known_while_a_poll_is_armed() -> None:
    """L3: and unknown before it is sent, and after it ended in whatever way."""
    told = Told("4")
    reader = told.tail.arrive()
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
    assert told.knows(told.tail.arrive(), "4") is known


def test_an_armed_poll_says_nothing_about_another_offset() -> None:
    told = Told("4")
    told.polls()
    reader = told.tail.arrive()

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
    assert not told.knows(told.tail.arrive(), "7")


def test_a_strict_route_asks_each_time() -> None:
    """L3: ``tail: strict`` does not trust the armed poll."""
    told = Told("4")
    told.polls()
    reader = told.tail.arrive()
    assert not told.knows(reader, "4", strict=True)

    told.hears(told.sends(), "4")
    assert told.knows(reader, "4", strict=True)


def test_an_answer_serves_those_who_came_before_it_and_nobody_later() -> None:
    told = Told()
    early = told.tail.arrive()
    told.hears(told.sends(), "4")
    late = told.tail.arrive()

    assert told.knows(early, "4")
    assert not told.knows(late, "4")


def test_an_origin_that_never_says_up_to_date_makes_no_claims() -> None:
    """L3: claims come only from the origin's own words."""
    told = Told()
    reader = told.tail.arrive()
    told.hears(told.sends(), "4", up_to_date=False)

    assert told.tail.offset == "4"
    assert not told.knows(reader, "4")


def test_what_is_behind_the_tail_says_nothing_about_it() -> None:
    told = Told("4")
    reader = told.tail.arrive()
    told.hears(told.sends(), "3")

    assert told.tail.offset == "4"
    assert not told.knows(reader, "3") and not told.knows(reader, "4")


def test_a_late_old_answer_neither_grants_nor_takes_a_claim() -> None:
    told = Told("4")
    old, new = told.sends(), told.sends()
    told.hears(new, "4", up_to_date=False)
    reader = told.tail.arrive()
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
    reader = told.tail.arrive()
    told.hears(old, "4")

    assert told.knows(reader, "4")


# L4: read your writes


def test_a_reader_after_a_write_is_not_shown_an_answer_from_before_it() -> None:
    """L4: the follower's poll was armed before the write; its answer is older."""
    told = Told("4")
    told.polls()
    told.tail.acknowledge("5", closed=False)
    reader = told.tail.arrive()

    assert not told.knows(reader, "4")
    assert not told.tail.covers(reader, "4")


def test_a_poll_armed_after_a_write_is_not_enough_until_it_answers() -> None:
    """Its answer, with the written bytes, may be on the way already."""
    told = Told("4")
    told.tail.acknowledge("5", closed=False)
    reader = told.tail.arrive()
    poll = told.polls()
    assert not told.knows(reader, "4")

    told.hears(poll, "5")
    assert told.knows(reader, "5")


def test_an_answer_sent_before_a_write_will_do_if_it_reaches_its_offset() -> None:
    """L4: judge the answer, not the join."""
    told = Told("4")
    before = told.polls()
    told.tail.acknowledge("5", closed=False)
    reader = told.tail.arrive()
    told.hears(before, "5")
    assert told.knows(reader, "5")

    told.tail.acknowledge("6", closed=False)
    assert told.knows(reader, "5"), "that write came after this reader"
    assert not told.knows(told.tail.arrive(), "5")


def test_an_answer_sent_after_a_write_will_do_wherever_it_ends() -> None:
    """Acknowledged offsets and the offsets of reads need not be the same ones."""
    told = Told("4")
    told.tail.acknowledge("9", closed=False)
    reader = told.tail.arrive()
    told.hears(told.sends(), "5")

    assert told.knows(reader, "5")


def test_a_late_old_answer_does_not_unlearn_a_write() -> None:
    told = Told("4")
    old = told.sends()
    told.tail.acknowledge(None, closed=False)
    told.hears(told.sends(), "6")
    reader = told.tail.arrive()
    told.hears(old, "6")

    assert told.knows(reader, "6")


def test_acknowledgements_that_overtake_each_other_leave_the_furthest() -> None:
    """Two writers: the second one's answer comes first, and counts."""
    told = Told("4")
    before = told.polls()
    told.tail.acknowledge("6", closed=False)
    told.tail.acknowledge("5", closed=False)
    reader = told.tail.arrive()
    told.hears(before, "5")

    assert not told.tail.covers(reader, "5")
    assert told.tail.covers(reader, "6")


def test_a_write_without_an_offset_makes_the_tail_unknown() -> None:
    """L4: a duplicate's 204, or a write whose answer was lost."""
    told = Told("4")
    told.polls()
    told.tail.acknowledge(None, closed=False)
    reader = told.tail.arrive()
    assert not told.knows(reader, "4")

    told.hears(told.sends(), "4")
    assert told.knows(reader, "4")


def test_a_later_writes_offset_does_not_vouch_for_one_that_nobody_can_place() -> None:
    """The lost write may lie beyond it, or come later still."""
    told = Told("4")
    before = told.sends()
    told.tail.acknowledge(None, closed=False)
    told.tail.acknowledge("5", closed=False)
    reader = told.tail.arrive()
    told.hears(before, "5")
    assert not told.knows(reader, "5")

    told.hears(told.sends(), "5")
    assert told.knows(reader, "5")
    told.tail.acknowledge("6", closed=False)
    assert told.tail.covers(told.tail.arrive(), "6"), "placed by now"


def test_an_acknowledged_close_is_the_end_for_everybody_at_once() -> None:
    """L4: closed at that offset; E10: no waiting any more."""
    told = Told("4")
    waiting = told.tail.arrive()
    told.tail.acknowledge("5", closed=True)

    for reader in (waiting, told.tail.arrive()):
        assert told.knows(reader, "5", strict=True)
        assert not told.knows(reader, "4")
    assert repr(told.tail) == "<Tail 5 closed>"


def test_a_close_without_an_offset_is_not_believed_to_be_anywhere() -> None:
    told = Told("4")
    told.tail.acknowledge(None, closed=True)

    assert not told.tail.closed
    assert not told.knows(told.tail.arrive(), "4")


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


# L6 and L16: confirmed, and how long ago


def test_a_confirmation_lasts_for_its_time() -> None:
    told = Told("4")
    told.now += VERIFY
    assert told.trusts(told.tail.arrive())

    told.now += 0.1
    reader = told.tail.arrive()
    assert not told.trusts(reader)
    told.hears(told.sends(), "4")
    assert told.trusts(reader)


def test_a_2xx_since_the_arrival_confirms_however_slow_the_reader_is() -> None:
    """Or a time of 0 s, which asks for every reader, would ask for ever."""
    told = Told()
    reader = told.tail.arrive()
    told.hears(told.sends(), "4")
    told.now += 2 * VERIFY

    assert told.trusts(reader)
    assert not told.trusts(told.tail.arrive())


def test_nothing_is_confirmed_before_the_first_2xx() -> None:
    told = Told()

    assert not told.trusts(told.tail.arrive())
    assert told.tail.age(told.now) == 0.0


def test_a_doubt_ends_the_trust_of_everybody_until_the_next_2xx() -> None:
    """L5, L7: another key's PUT, or a lost connection; also for who is waiting."""
    told = Told()
    waiting = told.tail.arrive()
    told.hears(told.sends(), "4")
    assert told.trusts(waiting)

    told.tail.doubt()
    assert not told.trusts(waiting) and not told.trusts(told.tail.arrive())
    assert "suspect" in repr(told.tail)
    told.hears(told.sends(), "4")
    assert told.trusts(waiting)


def test_an_answer_sent_before_a_doubt_does_not_settle_it() -> None:
    """L5: it may be of the incarnation that was doubted."""
    told = Told("4")
    before = told.sends()
    told.tail.doubt()
    told.tail.confirm(told.now, before)
    assert not told.trusts(told.tail.arrive())

    told.tail.confirm(told.now)
    assert told.trusts(told.tail.arrive())


def test_age_counts_from_the_confirmation_and_is_0_while_followed() -> None:
    """L16."""
    told = Told("4")
    told.now += 7
    assert told.tail.age(told.now) == 7.0
    told.polls()
    assert told.tail.age(told.now) == 0.0
    assert repr(told.tail) == "<Tail 4 open armed>"


def test_age_stays_a_number_of_seconds_in_doubt() -> None:
    """L6: what is served as stale, with the origin away, tells its real age."""
    told = Told("4")
    told.now += 7
    told.tail.doubt()

    assert told.tail.age(told.now) == 7.0


def test_a_clock_that_stands_still_or_steps_back_gives_no_negative_age() -> None:
    told = Told("4")

    assert told.tail.age(told.now - 1) == 0.0


# L20: where ``now`` is


def test_now_is_a_tail_told_since_the_reader_arrived() -> None:
    """L20, E11: never one from before, for an append may lie between."""
    told = Told("4")
    reader = told.tail.arrive()
    assert not told.tail.is_heard_by(reader)

    told.hears(told.sends(), "4", up_to_date=False)
    assert told.tail.is_heard_by(reader)
    assert not told.tail.is_heard_by(told.tail.arrive())


def test_now_is_not_before_a_write_that_was_acknowledged_already() -> None:
    told = Told("4")
    before = told.sends()
    told.tail.acknowledge("5", closed=False)
    reader = told.tail.arrive()
    told.hears(before, "4")
    assert not told.tail.is_heard_by(reader)

    told.hears(told.sends(), "5")
    assert told.tail.is_heard_by(reader)


def test_now_is_nowhere_before_anything_was_heard() -> None:
    told = Told()

    assert not told.tail.is_heard_by(told.tail.arrive())


# Laws


offset = st.integers(0, 9).map(str)
law = settings(deadline=None)


@law
@given(st.lists(st.tuples(offset, st.booleans(), st.booleans())))
def test_the_tail_never_moves_down_and_late_answers_never_look_gone_back(
    answers: list[tuple[str, bool, bool]],
) -> None:
    """A stream that only grows, its answers sent in order and heard in any (L2)."""
    told = Told()
    under_way: list[tuple[Sent, str, bool]] = []
    answers.sort(key=lambda answer: answer[0])
    for end, up_to_date, waits in answers:
        under_way.append((told.sends(), end, up_to_date))
        if not waits:
            before = told.tail.offset or ""
            # The newest first, then what had to wait.
            for sent, heard, claim in reversed(under_way):
                assert not told.tail.went_back(sent, heard)
                told.hears(sent, heard, claim)
            assert order(told.tail.offset or "") >= before
            under_way.clear()


class ReadersSeeTheirWrites(RuleBasedStateMachine):
    """L4, whatever the order of writes and reads, and of the answers to them.

    The origin is a counter: a write adds one to it, a read tells it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.told = Told("000")
        self.end = self.acknowledged = 0
        self.writes: list[int] = []
        self.reads: list[tuple[Sent, int]] = []
        self.readers: list[tuple[Arrival, int]] = []

    @rule()
    def write(self) -> None:
        self.end += 1
        self.writes.append(self.end)

    @precondition(lambda self: self.writes)
    @rule(data=st.data(), lost=st.booleans())
    def write_is_answered(self, data: st.DataObject, lost: bool) -> None:
        position = self.writes.pop(data.draw(st.integers(0, len(self.writes) - 1)))
        self.acknowledged = max(self.acknowledged, position)
        self.told.tail.acknowledge(None if lost else f"{position:03d}", False)

    @rule()
    def read(self) -> None:
        self.reads.append((self.told.sends(), self.end))

    @precondition(lambda self: self.reads)
    @rule(data=st.data(), up_to_date=st.booleans())
    def read_is_answered(self, data: st.DataObject, up_to_date: bool) -> None:
        sent, end = self.reads.pop(data.draw(st.integers(0, len(self.reads) - 1)))
        assert not self.told.tail.went_back(sent, f"{end:03d}")
        self.told.hears(sent, f"{end:03d}", up_to_date)

    @rule()
    def poll(self) -> None:
        self.told.polls()

    @rule()
    def arrive(self) -> None:
        self.readers.append((self.told.tail.arrive(), self.acknowledged))

    @invariant()
    def nobody_is_told_that_an_answer_without_its_write_is_all(self) -> None:
        end = self.told.tail.offset
        assert end is not None
        for arrival, must_see in self.readers:
            if self.told.knows(arrival, end) or self.told.tail.covers(arrival, end):
                assert int(end) >= must_see


ReadersSeeTheirWrites.TestCase.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None
)
TestReadersSeeTheirWrites = ReadersSeeTheirWrites.TestCase
