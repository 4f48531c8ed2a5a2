"""Eviction decides, storage deletes: which logs must go (E48)."""

from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from edge.live.registry import Budget

law = settings(deadline=None)
keys = st.sampled_from("abcdef")
costs = st.integers(0, 50)


def budget_of(limit: int, **costs: int) -> Budget[str]:
    budget: Budget[str] = Budget(limit)
    for key, cost in costs.items():
        budget.set_cost(key, cost)
    return budget


def drop(budget: Budget[str], victims: Iterator[str]) -> list[str]:
    dropped = []
    for key in victims:
        budget.forget(key)
        dropped.append(key)
    return dropped


def test_nothing_goes_while_everything_fits() -> None:
    budget = budget_of(30, a=10, b=20)

    assert not budget.over()
    assert list(budget.victims()) == []


def test_the_least_recently_read_log_goes_first_and_no_more_than_needed() -> None:
    budget = budget_of(25, a=10, b=10, c=10)
    budget.touch("a")

    assert budget.over()
    assert drop(budget, budget.victims()) == ["b"]
    assert budget.total == 20


def test_growing_is_not_reading() -> None:
    """A stream that is written to all the time and read by nobody still goes."""
    budget = budget_of(25, a=10, b=10)
    budget.set_cost("a", 20)

    assert next(budget.victims()) == "a"


def test_a_log_that_only_lost_its_oldest_segment_may_be_enough() -> None:
    budget = budget_of(25, a=20, b=10)
    named = []
    for key in budget.victims():
        named.append(key)
        budget.set_cost(key, 12)

    assert named == ["a"]
    assert not budget.over()


def test_a_log_that_the_caller_leaves_is_named_once_and_then_counts_as_read() -> None:
    budget = budget_of(5, a=10, b=10, c=10)

    assert list(budget.victims()) == ["a", "b", "c"]
    assert budget.over()

    budget.touch("a")
    assert next(budget.victims()) == "b"


def test_asking_for_a_victim_and_no_more_changes_nothing() -> None:
    budget = budget_of(5, a=10, b=10)

    assert next(budget.victims()) == "a"
    assert next(budget.victims()) == "a"


def test_one_log_above_the_limit_is_named_though_it_is_alone() -> None:
    budget = budget_of(5, a=10)

    assert drop(budget, budget.victims()) == ["a"]
    assert (budget.total, len(budget)) == (0, 0)


def test_what_is_not_counted_may_be_touched_and_forgotten() -> None:
    budget = budget_of(5, a=3)
    budget.touch("b")
    budget.forget("b")

    assert (budget.total, len(budget)) == (3, 1)
    assert repr(budget) == "<Budget 3/5 B, 1 logs>"


@law
@given(st.dictionaries(keys, costs), st.lists(keys), st.integers(0, 200))
def test_dropping_every_victim_ends_below_the_limit(
    held: dict[str, int], reads: list[str], limit: int
) -> None:
    budget = budget_of(limit, **held)
    for key in reads:
        budget.touch(key)
    never_read = [key for key in held if key not in reads]
    last_reads = [
        k for i, k in enumerate(reads) if k in held and k not in reads[i + 1 :]
    ]

    dropped = drop(budget, budget.victims())

    order = never_read + last_reads
    assert dropped == order[: len(dropped)]
    assert not budget.over()
    assert not dropped or budget.total + held[dropped[-1]] > limit


class BudgetCounts(RuleBasedStateMachine):
    """Against a plain list of pairs, least recently read first."""

    def __init__(self) -> None:
        super().__init__()
        self.budget: Budget[str] = Budget(60)
        self.model: list[tuple[str, int]] = []

    def cost_of(self, key: str) -> int | None:
        return dict(self.model).get(key)

    @rule(key=keys)
    def touch(self, key: str) -> None:
        self.budget.touch(key)
        self.model.sort(key=lambda pair: pair[0] == key)

    @rule(key=keys, cost=costs)
    def set_cost(self, key: str, cost: int) -> None:
        self.budget.set_cost(key, cost)
        if self.cost_of(key) is None:
            self.model.append((key, cost))
        self.model = [(k, cost if k == key else c) for k, c in self.model]

    @rule(key=keys)
    def forget(self, key: str) -> None:
        self.budget.forget(key)
        self.model = [pair for pair in self.model if pair[0] != key]

    @rule(pinned=st.sets(keys))
    def make_room(self, pinned: set[str]) -> None:
        """Drop what is named, but what somebody stands on."""
        stood_on = []
        for key in self.budget.victims():
            assert key == self.model[0][0]
            pair = self.model.pop(0)
            if key in pinned:
                stood_on.append(pair)
                self.model.append(pair)
            else:
                self.budget.forget(key)
        assert not self.budget.over() or self.model == stood_on

    @invariant()
    def total_is_the_sum(self) -> None:
        assert self.budget.total == sum(cost for _, cost in self.model)
        assert self.budget.over() == (self.budget.total > 60)
        assert len(self.budget) == len(self.model)


BudgetCounts.TestCase.settings = settings(
    max_examples=50, stateful_step_count=25, deadline=None
)
TestBudgetCounts = BudgetCounts.TestCase
