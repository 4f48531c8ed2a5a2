"""Laws of the tail: whatever is sent, written and heard, in whatever order."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)

from edge.protocol.offsets import order
from edge.streamlog.tail import ReadBarrier, RequestSnapshot
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


class ReadersSeeTheirWrites(RuleBasedStateMachine):
    """L4, whatever the order of writes and reads, and of the answers to them.

    The origin is a counter: a write adds one to it, a read tells it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.told = Told("000")
        self.end = self.acknowledged = 0
        self.writes: list[int] = []
        self.reads: list[tuple[RequestSnapshot, int]] = []
        self.readers: list[tuple[ReadBarrier, int]] = []

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
    def read_barrier(self) -> None:
        self.readers.append((self.told.tail.read_barrier(), self.acknowledged))

    @invariant()
    def nobody_is_told_that_an_answer_without_its_write_is_all(self) -> None:
        end = self.told.tail.offset
        assert end is not None
        for barrier, must_see in self.readers:
            if self.told.knows(barrier, end) or self.told.tail.covers(barrier, end):
                assert int(end) >= must_see


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
    max_examples=60, stateful_step_count=30, deadline=None
)
TestReadersSeeTheirWrites = ReadersSeeTheirWrites.TestCase
