"""Laws of the tail: whatever is sent, written and heard, in whatever order."""

import enum
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)

from edge.protocol.offsets import order
from edge.streamlog.barriers import ReadBarrier, RequestSnapshot
from tests.streamlog.told import VERIFY, Told

offset = st.integers(0, 9).map(str)
law = settings(deadline=None)


@law
@given(st.lists(st.tuples(offset, st.booleans(), st.booleans())))
def test_the_tail_never_moves_down_and_late_answers_never_look_gone_back(
    answers: list[tuple[str, bool, bool]],
) -> None:
    """A stream that only grows, its answers sent in order and heard in any (L2)."""
    told = Told()
    under_way: list[tuple[RequestSnapshot, str, bool]] = []
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


class Name(enum.Enum):
    """By which parameters a write comes, and to which stream."""

    OWN = "own"  # by the key's own
    ASIDE = "aside"  # by others, which the origin ignores: to this very stream (U13)
    FOREIGN = "foreign"  # by others, which name another stream (U13)
    REPEATED = "repeated"  # aside, a duplicate: it names the tail and moves nothing


@dataclass
class Write:
    """A write on its way: since when, and what it named once the origin took it."""

    name: Name
    begun_at: float
    position: int | None = None


@dataclass
class Poll:
    """A follower's poll, on the wire since ``sent``; ``answer`` is on its way back."""

    sent: RequestSnapshot
    start: int
    answer: int | None = None


class ReadersSeeTheirWrites(RuleBasedStateMachine):
    """L4, U13, whatever the order of writes, reads and polls, and of their answers.

    The origin is a counter: a write adds one to it, a read tells it, and a poll is
    answered when it grows. Another counter stands beside it, at the same path.
    """

    def __init__(self) -> None:
        super().__init__()
        self.told = Told("000")
        self.end = self.elsewhere = self.acknowledged = 0
        self.writes: list[Write] = []
        self.reads: list[tuple[RequestSnapshot, int]] = []
        self.readers: list[tuple[ReadBarrier, int]] = []
        self.poll: Poll | None = None
        self.killed: list[RequestSnapshot] = []
        # Acknowledged writes to this stream, and the tail's sequence number then.
        self.acks: list[tuple[int, int]] = []

    @property
    def known(self) -> int:
        """Where the tail is, as far as is known here."""
        return int(self.told.tail.offset or "0")

    # Writes

    @rule(name=st.sampled_from(Name))
    def write_begins(self, name: Name) -> None:
        self.writes.append(Write(name, self.told.later()))

    @precondition(lambda self: self.writes)
    @rule(data=st.data())
    def write_happens(self, data: st.DataObject) -> None:
        self.told.later()
        write = data.draw(st.sampled_from(self.writes))
        if write.position is not None:
            return
        if write.name is Name.FOREIGN:
            self.elsewhere += 1
            write.position = self.elsewhere
            return
        self.end += write.name is not Name.REPEATED
        write.position = self.end
        if self.poll is not None and self.poll.answer is None:
            self.poll_ends_if_there_is_news(self.poll)

    def poll_ends_if_there_is_news(self, poll: Poll) -> None:
        if self.end > poll.start:
            poll.answer = self.end

    @precondition(lambda self: self.writes)
    @rule(data=st.data(), lost=st.booleans())
    def write_is_answered(self, data: st.DataObject, lost: bool) -> None:
        self.told.later()
        write = data.draw(st.sampled_from(self.writes))
        if write.position is None:
            return
        self.writes.remove(write)
        tail, now = self.told.tail, self.told.now
        named = None if lost else f"{write.position:03d}"
        if write.name is Name.OWN:
            tail.acknowledge(named, False)
        else:
            tail.acknowledge_foreign(write.name.value, named, write.begun_at, now)
        if write.name is not Name.FOREIGN:
            self.acknowledged = max(self.acknowledged, write.position)
            self.acks.append((tail.seq, write.position))

    # Reads

    @rule()
    def read(self) -> None:
        self.reads.append((self.told.sends(), self.end))

    @precondition(lambda self: self.reads)
    @rule(data=st.data(), up_to_date=st.booleans())
    def read_is_answered(self, data: st.DataObject, up_to_date: bool) -> None:
        sent, end = self.reads.pop(data.draw(st.integers(0, len(self.reads) - 1)))
        tail = self.told.tail
        assert not tail.went_back(sent, f"{end:03d}")
        newest = sent.seq >= tail.told_seq and sent.writes == tail.writes
        before = self.known
        self.told.hears(sent, f"{end:03d}", up_to_date)
        if self.poll is not None and up_to_date and newest and end == before:
            self.asked_once_is_enough(self.poll)

    def asked_once_is_enough(self, poll: Poll) -> None:
        """U13: an answer from after all writes ends where the poll waits."""
        if self.told.tail.armed is poll.sent:
            assert self.told.tail.is_armed(self.told.now)

    @rule()
    def read_barrier(self) -> None:
        self.readers.append((self.told.tail.read_barrier(), self.acknowledged))

    # Polls: one at a time

    @precondition(lambda self: self.poll is None)
    @rule()
    def poll_is_sent(self) -> None:
        self.told.later()
        self.poll = Poll(self.told.polls(), self.known)
        self.poll_ends_if_there_is_news(self.poll)

    @precondition(lambda self: self.poll is not None)
    @rule(broken=st.booleans())
    def poll_ends(self, broken: bool) -> None:
        """By its answer, by a 204, or without either."""
        poll, self.poll = self.poll, None
        assert poll is not None
        self.follower_disarms(poll.sent)
        if not broken:
            end = poll.start if poll.answer is None else poll.answer
            self.told.hears(poll.sent, f"{end:03d}")

    @precondition(lambda self: self.poll is not None)
    @rule()
    def follower_is_ended(self) -> None:
        """Its poll is killed later, perhaps after another one was armed."""
        assert self.poll is not None
        self.killed.append(self.poll.sent)
        self.told.tail.disarm()
        self.poll = None

    @precondition(lambda self: self.killed)
    @rule()
    def killed_poll_ends(self) -> None:
        self.follower_disarms(self.killed.pop())

    def follower_disarms(self, sent: RequestSnapshot) -> None:
        if self.told.tail.armed is sent:
            self.told.tail.disarm()

    # What holds

    @invariant()
    def nobody_is_told_that_an_answer_without_its_write_is_all(self) -> None:
        end = self.told.tail.offset
        assert end is not None
        for barrier, must_see in self.readers:
            if self.told.knows(barrier, end) or self.told.tail.covers(barrier, end):
                assert int(end) >= must_see

    @invariant()
    def an_armed_poll_is_on_the_wire_and_waits_at_the_tail(self) -> None:
        """L3: it would be answered if the origin had more."""
        tail = self.told.tail
        if tail.is_armed(self.told.now):
            assert self.poll is not None and tail.armed is self.poll.sent
            assert self.poll.start == self.known
            assert self.poll.answer is not None or self.end == self.known

    @invariant()
    def no_write_hides_behind_a_poll_that_is_older(self) -> None:
        """L3, L4: what a viewer at the tail may be told. A write that was acknowledged
        after the poll was sent is named, or the poll is suspended."""
        tail = self.told.tail
        if tail.armed is None or not tail.is_armed(self.told.now):
            return
        for seq, position in self.acks:
            if seq >= tail.armed.seq and position > self.known:
                assert int(tail.ack or "0") >= position


class ADoubtEndsByANewerWord(RuleBasedStateMachine):
    """L6, L7, U9: who may be shown what is held, whatever is heard, and how old it is.

    The model keeps all that was heard, by steps and by times of its own.
    """

    def __init__(self) -> None:
        super().__init__()
        self.told = Told()
        self.step = 0
        self.doubt: tuple[int, float] | None = None
        self.last_doubt = -1
        self.sent: list[tuple[RequestSnapshot, int]] = []
        self.said: list[tuple[int, float]] = []
        self.readers: list[tuple[ReadBarrier, int]] = []

    def next_step(self) -> int:
        self.step += 1
        return self.step

    @rule(seconds=st.sampled_from([0.5, 20.0, 61.0]))
    def wait(self, seconds: float) -> None:
        self.told.now += seconds

    @rule()
    def lose_contact(self) -> None:
        self.last_doubt = self.next_step()
        self.doubt = (self.last_doubt, self.told.now)
        self.told.tail.mark_unverified(self.told.now)

    @rule()
    def send(self) -> None:
        self.sent.append((self.told.sends(), self.next_step()))

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), age=st.sampled_from([0.0, 0.5, 20.0, 300.0]))
    def hear(self, data: st.DataObject, age: float) -> None:
        place = data.draw(st.integers(0, len(self.sent) - 1))
        sent, when = self.sent.pop(place)
        at = self.told.now - age
        self.told.tail.confirm(at, sent)
        if self.doubt is None or when > self.doubt[0]:
            self.said.append((self.next_step(), at))
            if self.doubt is not None and at >= self.doubt[1]:
                self.doubt = None

    @rule()
    def arrive(self) -> None:
        self.readers.append((self.told.tail.read_barrier(), self.next_step()))

    @invariant()
    def each_reader_is_shown_what_it_may_be_shown(self) -> None:
        newest = max((at for _, at in self.said), default=float("-inf"))
        for barrier, came in self.readers:
            own = any(heard > max(came, self.last_doubt) for heard, _ in self.said)
            lately = self.told.now - newest <= VERIFY and self.doubt is None
            assert self.told.trusts(barrier) is (own or lately)

    @invariant()
    def the_age_is_that_of_the_newest_word(self) -> None:
        said = [at for _, at in self.said]
        age = self.told.now - max(said) if said else 0.0
        assert self.told.tail.age(self.told.now) == age


ADoubtEndsByANewerWord.TestCase.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None
)
TestADoubtEndsByANewerWord = ADoubtEndsByANewerWord.TestCase

ReadersSeeTheirWrites.TestCase.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None
)
TestReadersSeeTheirWrites = ReadersSeeTheirWrites.TestCase
