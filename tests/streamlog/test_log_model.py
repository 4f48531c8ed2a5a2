"""The log against a model: whatever arrives, in whatever order, it tells the truth.

An origin owns the true sequence of messages. Its answers (from the beginning,
from offsets it minted, from offsets that a client guessed inside messages;
paged anywhere or not at all, overlapping, late, empty) are offered to a log with
tiny limits, so that it splits, thins and merges all the time. After every step
every page that the log would hand out is compared with the truth (L1, L8,
L9, L10; E1, E5, E9).
"""

import copy
import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from edge.core import costs
from edge.protocol.json_arrays import fragment
from edge.protocol.offsets import BEGIN, order
from edge.streamlog import segments as segments_module
from edge.streamlog.segments import Segment
from edge.streamlog.stream_log import Joined, StreamLog

PAGE_SIZES = (1, 5, 1000)


class GuessPolicy(Enum):
    """What an origin answers from an offset inside a message (O22)."""

    WHOLE = "the whole message"
    EXACT = "the exact suffix"
    SKIP = "what comes after the message"


@dataclass(frozen=True)
class Answered:
    """An answer on its way: ``[start, end)`` and its bytes."""

    start: str
    end: str
    data: bytes


class ModelOrigin:
    """The truth: messages, and where each offset lies in their bytes."""

    def __init__(self, policy: GuessPolicy) -> None:
        self.policy = policy
        self.data = b""
        self.positions = [0]

    def append(self, message: bytes) -> None:
        self.data += message
        self.positions.append(len(self.data))

    @property
    def tail(self) -> str:
        return self.mint(len(self.positions) - 1)

    def mint(self, index: int) -> str:
        return f"{index:04d}"

    def is_minted(self, offset: str) -> bool:
        return offset != BEGIN and "." not in offset

    def guess(self, index: int, into: int) -> str:
        return f"{self.mint(index)}.{into}"

    def index(self, offset: str) -> int:
        """The last message boundary at or before ``offset``."""
        return 0 if offset == BEGIN else int(offset.partition(".")[0])

    def position(self, offset: str) -> int:
        start = self.positions[self.index(offset)]
        if offset == BEGIN or self.is_minted(offset):
            return start
        after = self.positions[self.index(offset) + 1]
        if self.policy is GuessPolicy.WHOLE:
            return start
        if self.policy is GuessPolicy.SKIP:
            return after
        return min(start + int(offset.partition(".")[2]), after)

    def answer(self, start: str, messages: int | None) -> Answered:
        """What a read from ``start`` gets, up to so many messages further."""
        last = len(self.positions) - 1
        if messages is not None:
            last = min(last, self.index(start) + messages)
        return Answered(
            start,
            self.mint(last),
            self.data[self.position(start) : self.positions[last]],
        )


def runs(log: StreamLog) -> Iterator[list[Segment]]:
    """The segments of a log, adjoining ones together."""
    run: list[Segment] = []
    for segment in log._segments:
        if run and run[-1].end != segment.start:
            yield run
            run = []
        run.append(segment)
    if run:
        yield run


def offsets(run: list[Segment]) -> set[str]:
    return {offset for segment in run for offset, _ in segment.boundaries}


def snapshot(log: StreamLog) -> list[tuple[tuple[str, int], ...]]:
    return [segment.boundaries for segment in log._segments]


def may_lack_proof(log: StreamLog, answer: Answered) -> bool:
    """L8 in other words: whether an answer meets bytes at no common offset."""
    start = answer.start
    all_runs = list(runs(log))
    for run in all_runs:
        if start in offsets(run):
            if order(answer.end) <= order(run[-1].end):
                return False
            start = run[-1].end
            break
    met = [
        run
        for run in all_runs
        if order(run[0].start) <= order(answer.end)
        and order(run[-1].end) > order(start)
    ]
    return len(met) > 1 or (len(met) == 1 and answer.end not in offsets(met[0]))


def proven_overlap(log: StreamLog, origin: ModelOrigin, answer: Answered) -> range:
    """Which bytes of an answer lie where the log holds bytes, by a common offset."""
    first = origin.position(answer.start)
    for run in runs(log):
        common = {answer.start, answer.end} & offsets(run)
        if common:
            low = max(first, origin.position(run[0].start))
            high = min(first + len(answer.data), origin.position(run[-1].end))
            return range(low - first, max(low, high) - first)
    return range(0)


class LogTellsTheTruth(RuleBasedStateMachine):
    """Rules are what an origin, a clock-less hub and an eviction may do to a log."""

    limits = pytest.MonkeyPatch()

    @initialize(policy=st.sampled_from(GuessPolicy), is_json=st.booleans())
    def begin(self, policy: GuessPolicy, is_json: bool) -> None:
        self.limits.setattr(segments_module, "SEGMENT_SIZE", 24)
        self.limits.setattr(segments_module, "THIN_RECENT", 12)
        self.limits.setattr(segments_module, "THIN_STRIDE", 6)
        self.limits.setattr(segments_module, "THIN_EVERY", 3)
        # An inside of a JSON message cannot be answered: it would be no array.
        exact_json = is_json and policy is GuessPolicy.EXACT
        self.origin = ModelOrigin(GuessPolicy.WHOLE if exact_json else policy)
        self.is_json = is_json
        self.log = StreamLog(1, 30.0)
        self.late: list[tuple[Answered, bool]] = []
        self.keep: set[str] = set()
        self.end: str | None = None

    def teardown(self) -> None:
        self.limits.undo()

    # The origin

    @rule(texts=st.lists(st.text("ab", max_size=9), min_size=1, max_size=6))
    def append(self, texts: list[str]) -> None:
        for text in texts:
            message = text.encode()
            if self.is_json:
                message = fragment(b'["' + message + b'"]') if message else b""
            self.origin.append(message)

    @rule()
    def ask_by_head(self) -> None:
        log, origin = self.log, self.origin
        log.tail.hear(log.tail.request_snapshot(0.0, 1), origin.tail, False)
        log.note_position(origin.tail)

    # Reads

    def minted(self, data: st.DataObject) -> str:
        index = data.draw(st.integers(-1, len(self.origin.positions) - 1))
        return BEGIN if index < 0 else self.origin.mint(index)

    def guessed(self, data: st.DataObject) -> str:
        index = data.draw(st.integers(0, len(self.origin.positions) - 2))
        return self.origin.guess(index, data.draw(st.integers(1, 9)))

    def answer(self, data: st.DataObject, start: str) -> Answered:
        pages = st.none() | st.integers(0, 5)
        return self.origin.answer(start, data.draw(pages))

    @rule(data=st.data(), waits=st.booleans())
    def read_from_minted(self, data: st.DataObject, waits: bool) -> None:
        self.send(self.answer(data, self.minted(data)), waits)

    @rule(data=st.data())
    def read_on_from_the_end(self, data: st.DataObject) -> None:
        """What a follower does."""
        if self.log.end is not None:
            self.send(self.answer(data, self.log.end), False)

    @precondition(lambda self: len(self.origin.positions) > 1)
    @rule(data=st.data(), waits=st.booleans())
    def read_from_guessed(self, data: st.DataObject, waits: bool) -> None:
        self.send(self.answer(data, self.guessed(data)), waits)

    @precondition(lambda self: self.late)
    @rule(seed=st.integers(0, 1000))
    def late_answer_arrives(self, seed: int) -> None:
        position = random.Random(seed).randrange(len(self.late))
        answer, known = self.late.pop(position)
        self.deliver(answer, known)

    def send(self, answer: Answered, waits: bool) -> None:
        known = self.log.knows(answer.start)
        if waits:
            self.late.append((answer, known))
        else:
            self.deliver(answer, known)

    def deliver(self, answer: Answered, known: bool) -> None:
        log = self.log
        before, may_lack = snapshot(log), may_lack_proof(log, answer)

        joined = log.join(answer.start, answer.end, answer.data, self.keep)

        if order(answer.end) <= order(answer.start):
            assert joined in (Joined.SAME, Joined.NO_PROOF)
            assert snapshot(log) == before
            return
        assert joined is not Joined.DIFFERS
        assert joined is not Joined.NO_PROOF or may_lack
        if joined is Joined.NO_PROOF:
            assert snapshot(log) == before
        if known:
            log.tail.hear(log.tail.request_snapshot(0.0, 1), answer.end, False)

    # What is not the truth

    @rule(data=st.data(), seed=st.integers(0, 10_000))
    def another_incarnation_shows(self, data: st.DataObject, seed: int) -> None:
        """One byte of what is held is another one: DIFFERS after minted starts."""
        answer = self.answer(data, self.minted(data))
        overlap = proven_overlap(self.log, self.origin, answer)
        known = self.log.knows(answer.start)
        if not known or not overlap or order(answer.end) <= order(answer.start):
            return
        at = random.Random(seed).choice(overlap)
        wrong = bytearray(answer.data)
        wrong[at] ^= 1
        log = copy.deepcopy(self.log)

        joined = log.join(answer.start, answer.end, bytes(wrong))

        assert joined is Joined.DIFFERS

    @rule(data=st.data(), longer=st.booleans())
    def a_known_range_has_another_length(
        self, data: st.DataObject, longer: bool
    ) -> None:
        answer = self.answer(data, self.minted(data))
        both = {answer.start, answer.end}
        if not answer.data or not any(both <= offsets(r) for r in runs(self.log)):
            return
        wrong = answer.data + b"a" if longer else answer.data[:-1]
        log = copy.deepcopy(self.log)
        known = log.knows(answer.start)

        joined = log.join(answer.start, answer.end, wrong)

        assert joined is (Joined.DIFFERS if known else Joined.NO_PROOF)

    @precondition(lambda self: len(self.origin.positions) > 1)
    @rule(data=st.data(), wrong=st.binary(max_size=12))
    def a_guess_never_differs(self, data: st.DataObject, wrong: bytes) -> None:
        answer = self.answer(data, self.guessed(data))
        log = copy.deepcopy(self.log)

        assert log.join(answer.start, answer.end, wrong) is not Joined.DIFFERS

    # The hub

    @rule(data=st.data())
    def viewers_stand(self, data: st.DataObject) -> None:
        self.keep = {self.minted(data) for _ in range(2)}

    @rule()
    def evict(self) -> None:
        cost = self.log.cost
        freed = self.log.evict_first()
        assert self.log.cost == cost - freed

    # What holds after every step

    @invariant()
    def every_page_is_true(self) -> None:
        for run in runs(self.log):
            for offset in offsets(run):
                for size in PAGE_SIZES:
                    self.check_page(offset, size)

    def check_page(self, offset: str, size: int) -> None:
        page = self.log.page(offset, size)
        assert self.log.page_end(offset, size) == (page.next if page else None)
        if page is None:
            stand = self.log.end_alias(offset)
            assert stand is not None and self.origin.is_minted(stand)
            assert self.origin.position(stand) == self.origin.position(offset)
            return
        assert self.log.end_alias(offset) is None
        assert self.origin.is_minted(page.next)
        first, last = map(self.origin.position, (offset, page.next))
        assert page.data == self.origin.data[first:last] != b""
        if len(page.data) > size:
            self.check_is_first_range(first, last, size)

    def check_is_first_range(self, first: int, last: int, size: int) -> None:
        """L9: a page above the size ends at the first minted boundary."""
        for segment in self.log._segments:
            for offset, _ in segment.boundaries:
                inside = first < self.origin.position(offset) < last
                assert not (inside and segment.is_minted(offset))

    @invariant()
    def whoever_reads_from_the_beginning_reads_everything(self) -> None:
        if not self.log.holds(BEGIN):
            return
        for size in PAGE_SIZES:
            offset, read = BEGIN, b""
            while page := self.log.page(offset, size):
                offset, read = page.next, read + page.data
            first_run = next(runs(self.log))
            assert self.log.end_alias(offset) == first_run[-1].end
            last = self.origin.position(first_run[-1].end)
            assert read == self.origin.data[:last]

    @invariant()
    def cost_is_the_sum(self) -> None:
        total = costs.LOG
        for segment in self.log._segments:
            keys = [order(offset) for offset, _ in segment.boundaries]
            total += costs.SEGMENT + segment.length
            total += sum(costs.BOUNDARY + len(key) for key in keys)
        newest = self.log._newest
        total += 0 if newest is None else len(newest.data)
        assert self.log.cost == total

    @invariant()
    def segments_ascend_and_do_not_overlap(self) -> None:
        last = None
        for segment in self.log._segments:
            keys = [order(offset) for offset, _ in segment.boundaries]
            positions = [position for _, position in segment.boundaries]
            assert keys == sorted(set(keys))
            assert positions == sorted(positions)
            assert (positions[0], positions[-1]) == (0, segment.length)
            assert segment.is_minted(segment.end)
            assert last is None or last <= keys[0]
            assert self.log._segments.find(segment.start) == (segment, 0)
            last = keys[-1]

    @invariant()
    def the_end_never_moves_down(self) -> None:
        end = self.log.end
        if self.end is not None:
            assert end is not None and order(end) >= order(self.end)
        self.end = end

    @invariant()
    def only_what_the_origin_said_is_known(self) -> None:
        for run in runs(self.log):
            for offset in offsets(run):
                true = offset == BEGIN or self.origin.is_minted(offset)
                assert true or not self.log.knows(offset)


LogTellsTheTruth.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestLogTellsTheTruth = LogTellsTheTruth.TestCase
