"""Which rows go when the memory is full: what was read once goes first (U15, E48)."""

from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from edge.live.registry import Budget, Part

law = settings(deadline=None)
keys = st.sampled_from("abcdef")
costs = st.integers(0, 50)


def budget_of(limit: int, probation: int = 0, **costs: int) -> Budget[str]:
    budget: Budget[str] = Budget(limit, probation)
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
    budget.promote("b")
    budget.forget("b")

    assert budget.part_of("b") is Part.PROBATION
    assert (budget.total, len(budget)) == (3, 1)
    assert repr(budget) == "<Budget 3/5 B, 3 B in probation, 1 rows>"


def test_what_was_promoted_goes_after_all_that_was_not() -> None:
    budget = budget_of(25, probation=5, a=10, b=10, c=10)
    budget.promote("a")
    budget.touch("b")

    assert drop(budget, budget.victims()) == ["c"]
    assert budget.part_of("a") is Part.PROTECTED
    assert (budget.total, budget.in_probation) == (20, 10)


def test_rows_of_which_something_is_under_way_are_passed_over() -> None:
    """The limit holds all the same: protected ones follow."""
    budget = budget_of(15, probation=5, a=10, b=10, c=10)
    budget.promote("a")
    named = []
    for key in budget.victims():
        named.append(key)
        if key == "a":
            budget.forget(key)

    assert named == ["b", "c", "a"]


def test_a_new_row_has_room_to_prove_itself_however_much_is_protected() -> None:
    budget = budget_of(40, probation=10, a=10, b=10, c=10, d=10)
    for key in "abcd":
        budget.promote(key)
    budget.set_cost("e", 10)

    assert drop(budget, budget.victims()) == ["a"]
    assert budget.part_of("e") is Part.PROBATION
    budget.set_cost("f", 10)
    assert drop(budget, budget.victims()) == ["e"]


def test_where_rows_are_counted_those_in_probation_go_first_unless_they_are_few() -> (
    None
):
    budget = budget_of(100, a=1, b=1, c=1)
    budget.promote("a")

    assert list(budget.oldest(1)) == ["b", "c", "a"]
    assert list(budget.oldest(2)) == ["a", "b", "c"]


@law
@given(
    st.dictionaries(st.sampled_from("ABCDEF"), st.integers(1, 30)),
    st.lists(st.tuples(st.integers(1, 10), st.sampled_from("ABCDEF")), max_size=100),
)
def test_whatever_is_asked_for_once_what_was_read_twice_stays(
    hot: dict[str, int], scan: list[tuple[int, str]]
) -> None:
    """U15: unless it does not fit beside probation by itself. The scan is as long as it
    likes, and hot pages are read now and then meanwhile, or never."""
    probation = 10
    budget = budget_of(max(40, sum(hot.values()) + probation), probation)
    for key, cost in hot.items():
        budget.set_cost(key, cost)
        budget.promote(key)
    for number, (cost, read) in enumerate(scan):
        budget.set_cost(f"junk {number}", cost)
        dropped = drop(budget, budget.victims())
        budget.promote(read)

        assert not set(dropped) & set(hot)
        assert not budget.over()
        assert all(budget.part_of(key) is Part.PROTECTED for key in hot)


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
    """Against two plain lists of pairs, least recently read first."""

    def __init__(self) -> None:
        super().__init__()
        self.budget: Budget[str] = Budget(60, 20)
        self.probation: list[tuple[str, int]] = []
        self.protected: list[tuple[str, int]] = []

    @property
    def model(self) -> list[tuple[str, int]]:
        return self.probation + self.protected

    @rule(key=keys)
    def touch(self, key: str) -> None:
        self.budget.touch(key)
        self.probation.sort(key=lambda pair: pair[0] == key)
        self.protected.sort(key=lambda pair: pair[0] == key)

    @rule(key=keys)
    def promote(self, key: str) -> None:
        self.budget.promote(key)
        found = [pair for pair in self.model if pair[0] == key]
        self.drop(key)
        self.protected += found
        self.demote()

    @rule(key=keys, cost=costs)
    def set_cost(self, key: str, cost: int) -> None:
        self.budget.set_cost(key, cost)
        if key not in dict(self.model):
            self.probation.append((key, cost))
        for part in (self.probation, self.protected):
            part[:] = [(k, cost if k == key else c) for k, c in part]
        self.demote()

    @rule(key=keys)
    def forget(self, key: str) -> None:
        self.budget.forget(key)
        self.drop(key)

    @rule(pinned=st.sets(keys))
    def make_room(self, pinned: set[str]) -> None:
        """Drop what is named, but what something is under way of."""
        if not self.budget.over():
            return
        named: set[str] = set()
        for key in self.budget.victims():
            part = self.probation if {k for k, _ in self.probation} - named else None
            part = self.protected if part is None else part
            assert key == part[0][0] and key not in named
            named.add(key)
            pair = part.pop(0)
            if key in pinned:
                part.append(pair)
            else:
                self.budget.forget(key)
        assert not self.budget.over() or {key for key, _ in self.model} <= pinned

    def demote(self) -> None:
        while sum(cost for _, cost in self.protected) > 60 - 20:
            self.probation.append(self.protected.pop(0))

    def drop(self, key: str) -> None:
        for part in (self.probation, self.protected):
            part[:] = [pair for pair in part if pair[0] != key]

    @invariant()
    def totals_are_the_sums(self) -> None:
        assert self.budget.total == sum(cost for _, cost in self.model)
        assert self.budget.in_probation == sum(cost for _, cost in self.probation)
        assert self.budget.over() == (self.budget.total > 60)
        assert len(self.budget) == len(self.model)
        for key, _ in self.model:
            protected = key in dict(self.protected)
            assert (self.budget.part_of(key) is Part.PROTECTED) == protected


BudgetCounts.TestCase.settings = settings(
    max_examples=80, stateful_step_count=25, deadline=None
)
TestBudgetCounts = BudgetCounts.TestCase
