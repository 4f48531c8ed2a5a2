"""The breaker: when it opens, whom it lets through, and what closes it (U6, U11).

First its story, then laws over histories of calls whose ends come in any order or
never. The last test counts which moves the histories reach.
"""

from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from edge.core.errors import (
    NotAsked,
    OriginAway,
    OriginBodyCut,
    OriginFault,
    OriginGarbage,
    OriginTimeout,
    OriginUnreachable,
)
from edge.core.reasons import Reason
from edge.policy.http.breaker import (
    FIRST_STEP,
    LONGEST_STEP,
    MOVES,
    Breaker,
    BreakerState,
    CallOutcome,
    outcome_of_fault,
    outcome_of_status,
)

ANSWERED, AWAY, NOTHING = CallOutcome.ANSWERED, CallOutcome.AWAY, CallOutcome.NOTHING
OPEN, HALF_OPEN = BreakerState.OPEN, BreakerState.HALF_OPEN
NO_LUCK = 0.999999
"""The chance with which a step is as long as it can be."""


def tell(breaker: Breaker, outcomes: str, streams: str = "abcdefghij") -> None:
    """Calls that end at once: ``x`` failed, ``.`` was answered; one stream each."""
    for place, outcome in enumerate(outcomes):
        call = breaker.let_through(0.0, NO_LUCK)
        assert call is not None, f"open after {outcomes[:place]}"
        heard = AWAY if outcome == "x" else ANSWERED
        breaker.heard(call, streams[place % len(streams)], heard, 0.0, NO_LUCK)


def opened(at: float = 0.0) -> Breaker:
    """A breaker that has just opened, with a first step of 0.5 s."""
    breaker = Breaker()
    tell(breaker, "x" * 9)
    call = breaker.let_through(at, NO_LUCK)
    assert call is not None
    assert breaker.heard(call, "j", AWAY, at, NO_LUCK)
    return breaker


def probe(breaker: Breaker, at: float) -> int:
    call = breaker.let_through(at, NO_LUCK)
    assert call is not None, "held back"
    return call


# What an outcome says.


@pytest.mark.parametrize(
    "status", [502, 503, 504, *range(520, 531)], ids=lambda status: str(status)
)
def test_a_proxy_that_does_not_reach_the_origin_says_so(status: int) -> None:
    """U6; from another edge it is that edge's answer, which lives (U11)."""
    assert outcome_of_status(status, from_an_edge=False) is AWAY
    assert outcome_of_status(status, from_an_edge=True) is ANSWERED


@pytest.mark.parametrize(
    "status", [200, 204, 304, 404, 408, 429, 500, 501, 505, 507, 511, 519, 531, 599]
)
def test_any_other_answer_shows_an_origin_that_can_be_reached(status: int) -> None:
    """U6: 500 counts for its stream alone."""
    assert outcome_of_status(status, from_an_edge=False) is ANSWERED


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (OriginUnreachable("refused"), AWAY),
        (OriginTimeout("late"), AWAY),
        (OriginGarbage("no HTTP"), NOTHING),
        (OriginBodyCut("cut"), NOTHING),
        (OriginAway("told by what it answered"), NOTHING),
        (OriginFault("no offset", reason=Reason.ORIGIN_NO_NEXT_OFFSET), NOTHING),
        (NotAsked("no descriptor", reason=Reason.LIMIT_DESCRIPTORS), NOTHING),
        (NotAsked("no connection", reason=Reason.LIMIT_ORIGIN), NOTHING),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_a_fault_says_of_the_origin(fault: OriginFault, says: CallOutcome) -> None:
    """U6: limits of this edge and answers that are no HTTP say nothing."""
    assert outcome_of_fault(fault) is says


# Opening.


@pytest.mark.parametrize(
    ("outcomes", "streams", "opens"),
    [
        ("xxxxxxxxxx", "abc", True),
        ("xxxxxxxxx", "abc", False),
        ("xxxxxxxxxx", "ab", False),
        (".x.x.x.x.x.x.x.x.x.x", "abcde", True),
        ("xxxxx..........xxxxx", "abcde", True),
        ("xxxxx...........xxxxx", "abcde", False),
        ("xxxxxxxxx...........x", "abcde", False),
        ("xxxxxxxxxxxxxxxxxxxx.", "a", False),
    ],
)
def test_it_opens_when_half_of_the_last_calls_failed_for_several_streams(
    outcomes: str, streams: str, opens: bool
) -> None:
    breaker = Breaker()

    tell(breaker, outcomes, streams)

    assert breaker.is_open is opens


def test_it_is_the_failure_of_a_third_stream_that_makes_it_three() -> None:
    breaker = Breaker()
    tell(breaker, "xxxxxxxxxxxx.", "ab")
    assert not breaker.is_open

    tell(breaker, "x", "c")
    assert breaker.is_open


def test_all_is_calm_again_once_no_failure_is_among_the_last_calls() -> None:
    breaker = Breaker()
    tell(breaker, "x" + "." * 19)
    assert not breaker.calm

    tell(breaker, ".")
    assert breaker.calm


# Open.


def test_one_call_a_step_is_let_through_and_its_failure_doubles_the_step() -> None:
    breaker, now = opened(), 0.0
    for step in (0.5, 1.0, 2.0, 4.0, 5.0, 5.0):
        assert breaker.let_through(now + step * 0.99, NO_LUCK) is None
        now += step
        call = probe(breaker, now)
        assert breaker.let_through(now, NO_LUCK) is None
        assert not breaker.heard(call, "a", AWAY, now, NO_LUCK)


def test_steps_are_cut_at_random_by_half_at_most() -> None:
    """Many edges before one origin must not ask it in step."""
    breaker = opened()
    breaker.heard(probe(breaker, 0.5), "a", AWAY, 0.5, 0.0)

    assert breaker.let_through(0.99, 0.0) is None
    assert breaker.let_through(1.0, 0.0) is not None


def test_who_is_held_back_is_told_when_to_come_again() -> None:
    breaker = opened()
    assert breaker.retry_after(0.0) == 1
    for at in (0.5, 1.5, 3.5, 7.5):
        breaker.heard(probe(breaker, at), "a", AWAY, at, NO_LUCK)

    assert [breaker.retry_after(at) for at in (7.5, 8.6, 12.4, 99)] == [5, 4, 1, 1]


def test_a_step_begins_with_its_call_however_late_that_fails() -> None:
    """A time-out takes longer than the first steps."""
    breaker = opened()
    breaker.heard(probe(breaker, 0.5), "a", AWAY, 0.9, NO_LUCK)

    assert breaker.let_through(1.49, NO_LUCK) is None
    breaker.heard(probe(breaker, 1.5), "a", AWAY, 9.0, NO_LUCK)
    assert breaker.let_through(9.0, NO_LUCK) is not None


def test_a_probe_without_outcome_does_not_keep_it_open() -> None:
    """A held poll, or a greenlet that was killed. It doubles the step as a failure
    does, once: an origin that hangs must not collect probes."""
    breaker, now, probes = opened(), 0.5, [-1]
    for step in (0.5, 1.0, 2.0, 4.0, 5.0):
        probes.append(probe(breaker, now))
        breaker.heard(probes[-2], "a", AWAY, now, NO_LUCK)
        assert breaker.let_through(now + step * 0.99, NO_LUCK) is None
        now += step

    breaker.heard(probe(breaker, now), "a", ANSWERED, now + 1, NO_LUCK)
    assert not breaker.is_open


# Closing.


@pytest.mark.parametrize("status", [200, 404, 500])
def test_the_first_answer_closes_it_and_all_is_forgotten(status: int) -> None:
    """U6: a 500 too, which could not have opened it."""
    breaker = opened(-10.0)
    for at in (-9.0, -7.0):
        breaker.heard(probe(breaker, at), "a", AWAY, at, NO_LUCK)
    outcome = outcome_of_status(status, from_an_edge=False)
    breaker.heard(probe(breaker, -1.0), "a", outcome, -1.0, NO_LUCK)

    assert not breaker.is_open and breaker.calm
    tell(breaker, "x" * 9)
    assert breaker.let_through(0.0, NO_LUCK) is not None, "nine failures open nothing"
    tell(breaker, "x")
    assert breaker.let_through(0.4, NO_LUCK) is None
    assert breaker.let_through(0.5, NO_LUCK) is not None, "the first step again"


def test_an_older_probe_may_close_it_but_not_double_the_step() -> None:
    breaker = opened()
    first, second, third = (probe(breaker, at) for at in (0.5, 1.0, 2.0))
    breaker.heard(first, "a", AWAY, 2.1, NO_LUCK)
    breaker.heard(third, "c", AWAY, 2.2, NO_LUCK)
    assert breaker.state is OPEN

    breaker.heard(second, "b", ANSWERED, 2.3, NO_LUCK)
    assert not breaker.is_open


def test_calls_from_before_it_opened_say_nothing_of_now() -> None:
    """Neither a poll that an origin answers while it shuts down, nor those that die
    with it one by one."""
    breaker = Breaker()
    before = probe(breaker, 0.0)
    tell(breaker, "x" * 10)
    for outcome in (ANSWERED, AWAY, AWAY):
        breaker.heard(before, "b", outcome, 0.1, NO_LUCK)

    assert breaker.state is OPEN
    assert breaker.let_through(0.5, NO_LUCK) is not None


def test_the_last_time_outs_of_an_outage_do_not_open_it_again() -> None:
    breaker = Breaker()
    before = [probe(breaker, 0.0) for _ in range(20)]
    tell(breaker, "x" * 10)
    breaker.heard(probe(breaker, 0.5), "a", ANSWERED, 0.5, NO_LUCK)
    for place, call in enumerate(before):
        breaker.heard(call, "abcdefg"[place % 7], AWAY, 1.0, NO_LUCK)

    assert not breaker.is_open and breaker.calm


# Laws.


@dataclass
class Sent:
    """A call under way."""

    number: int
    stream: str
    at: float
    changes: int


@dataclass
class Told:
    """A breaker, all that it was told, and what the laws want to know of that.

    ``heard`` are the outcomes of calls that began since it last opened or closed.
    ``through`` are the times at which calls were let through since it opened.
    ``spared`` is a second breaker whose caller spares itself what it may.
    """

    breaker: Breaker = field(default_factory=Breaker)
    spared: Breaker = field(default_factory=Breaker)
    now: float = 1000.0
    under_way: list[Sent] = field(default_factory=list)
    heard: list[tuple[str, CallOutcome]] = field(default_factory=list)
    through: list[float] = field(default_factory=list)
    changes: int = 0
    moves: list[tuple[BreakerState, BreakerState]] = field(default_factory=list)

    def call(self, stream: str, chance: float) -> None:
        was = self.breaker.state
        number = self.breaker.let_through(self.now, chance)
        calm = self.spared.calm
        spared = self.spared.latest
        if not calm:
            assert self.spared.let_through(self.now, chance) == number
        else:
            assert spared == number
        if was is not BreakerState.CLOSED:
            self._one_a_step(number)
        if number is not None:
            self.moves.append((was, self.breaker.state))
            self.under_way.append(Sent(number, stream, self.now, self.changes))

    def _one_a_step(self, number: int | None) -> None:
        since = self.now - self.through[-1]
        if number is None:
            assert since < LONGEST_STEP, "stuck"
        else:
            assert since >= FIRST_STEP / 2, "two calls in a step"
            self.through.append(self.now)

    def end(self, sent: Sent, outcome: CallOutcome, chance: float) -> None:
        self.under_way.remove(sent)
        was = self.breaker.state
        before = deepcopy(self.breaker)
        arguments = (sent.number, sent.stream, outcome, self.now, chance)
        opens = self.breaker.heard(*arguments)
        if outcome is not ANSWERED or not self.spared.calm:
            assert self.spared.heard(*arguments) is opens
        self.moves.append((was, self.breaker.state))
        if outcome is NOTHING or sent.changes != self.changes:
            assert alike(before, self.breaker), "that said nothing"
            assert not opens
            return
        self._judge(was, sent, outcome, opens)

    def _judge(
        self, was: BreakerState, sent: Sent, outcome: CallOutcome, opens: bool
    ) -> None:
        if was is BreakerState.CLOSED:
            self.heard.append((sent.stream, outcome))
            failed = [stream for stream, said in self.heard[-20:] if said is AWAY]
            enough = len(failed) >= 10 and len(set(failed)) >= 3
            assert opens == (enough and outcome is AWAY)
            assert opens == self.breaker.is_open
            if opens:
                self._changed()
        elif outcome is ANSWERED:
            assert not self.breaker.is_open, "the first answer closes it"
            self._changed()
        else:
            assert self.breaker.is_open and not opens

    def _changed(self) -> None:
        self.changes += 1
        self.heard.clear()
        self.through = [self.now]


def alike(one: Breaker, other: Breaker) -> bool:
    return all(getattr(one, n) == getattr(other, n) for n in Breaker.__slots__)


chances = st.floats(0, 1, exclude_max=True)
streams = st.sampled_from("abcd")
outcomes = st.sampled_from([AWAY, AWAY, ANSWERED, NOTHING])

passing = st.tuples(st.just("pass"), st.sampled_from([0.01, 0.2, 0.6, 0.6, 2.0, 6.0]))
calling = st.tuples(st.just("call"), streams)
ending = st.tuples(st.just("end"), outcomes, st.integers(0, 2))
outage = st.tuples(st.just("outage"), st.integers(1, 12))
probing = st.tuples(st.just("probe"), streams)
one = st.one_of(passing, calling, ending, probing, outage)
steps = st.lists(one, min_size=16, max_size=60)
begun = st.sampled_from([[], [("call", "a"), ("outage", 12)]])
histories = st.builds(lambda first, then: [*first, *then], begun, steps)


def play(history: list[tuple[object, ...]], chance: float) -> Told:
    told = Told()
    for step in history:
        match step:
            case "pass", float(seconds):
                told.now += seconds
            case "call", str(stream):
                told.call(stream, chance)
            case "probe", str(stream):
                told.now += LONGEST_STEP
                told.call(stream, chance)
            case "end", CallOutcome() as outcome, int(which) if told.under_way:
                # The newest or one of the oldest: from before it opened, often.
                sent = told.under_way[(-1, -2, 0)[which] % len(told.under_way)]
                told.end(sent, outcome, chance)
            case "outage", int(count):
                for place in range(count):
                    told.call("abcd"[place % 4], chance)
                    if told.under_way:
                        told.end(told.under_way[-1], AWAY, chance)
        assert told.spared.state is told.breaker.state
        assert told.spared.latest == told.breaker.latest
        assert told.spared.calm == told.breaker.calm
    return told


often = settings(
    deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow]
)


@often
@given(histories, chances)
def test_whatever_happens_it_opens_and_closes_for_its_reasons_and_is_never_stuck(
    history: list[tuple[object, ...]], chance: float
) -> None:
    """U6. See ``Told`` for the laws.

    A caller that spares itself what it may while all is calm sees the same breaker.
    """
    told = play(history, chance)

    told.now += LONGEST_STEP
    told.call("a", chance)
    told.end(told.under_way[-1], ANSWERED, chance)
    assert not told.breaker.is_open


def test_the_histories_reach_every_move() -> None:
    """Each 4 times or more, and always the same ones (``derandomize``)."""
    reached: Counter[tuple[BreakerState, BreakerState]] = Counter()

    @settings(often, derandomize=True, database=None, phases=[Phase.generate])
    @given(histories, chances)
    def count(history: list[tuple[object, ...]], chance: float) -> None:
        reached.update(play(history, chance).moves)

    count()

    possible = {(before, after) for (before, _), after in MOVES.items()}
    assert {move: reached[move] for move in possible if reached[move] < 4} == {}
    changed = {move for move in reached if move[0] is not move[1]}
    assert changed == {move for move in possible if move[0] is not move[1]}
