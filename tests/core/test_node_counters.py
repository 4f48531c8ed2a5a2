"""What each process contributes to the metrics of a node, and how it adds up (W14)."""

import copy
from dataclasses import dataclass, field

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from edge.core.counters import DESCRIPTIONS, Counters
from edge.core.histograms import HISTOGRAMS, Timings
from edge.core.node_counters import (
    GAUGES,
    LINK_DESCRIPTIONS,
    NODE_DESCRIPTIONS,
    OF_ORIGIN,
    SIDES,
    CounterSet,
    Number,
    Numbers,
    Side,
    added,
    contribution,
    node_gauges,
    requests_per_delivery,
    whole,
)
from edge.core.values import Role

LABELS = ("a", "b")


def filled(number: int) -> Counters:
    """Counters that all stand at one number, but for those by reason."""
    counters = Counters()
    for described in DESCRIPTIONS:
        if described.label is None:
            setattr(counters, described.name, number)
        else:
            getattr(counters, described.name)["a"] = number
    return counters


def contributed(role: Role) -> dict[str, Number]:
    """Own counters stand at 1, those of the link at 10, the direct ones at 100."""
    return contribution(role, CounterSet(filled(1), filled(100), {"a": 10}))


def value(number: Number) -> int:
    return number if isinstance(number, int) else sum(number.values())


def test_every_counter_has_a_side() -> None:
    assert list(SIDES) == [described.name for described in DESCRIPTIONS]


def test_no_name_is_there_twice() -> None:
    names = [described.name for described in NODE_DESCRIPTIONS]
    assert len(names) == len(set(names))


def test_a_worker_that_is_alone_contributes_what_it_counted() -> None:
    nothing = Timings().as_counts()
    assert contributed(Role.WORKER) == {**filled(1).snapshot(), **nothing}


@pytest.mark.parametrize("name", [one.name for one in DESCRIPTIONS])
def test_a_counter_is_taken_from_its_side_alone(name: str) -> None:
    """A read of a client counts once, whoever it passed; so does what the origin was
    asked. A front counts of the origin what it asked there itself."""
    front, keeper = contributed(Role.FRONT), contributed(Role.KEEPER)
    found = (name in front, name in keeper)
    side = SIDES[name]

    if name in OF_ORIGIN:
        assert (value(front[name]), value(keeper[name])) == (100, 1)
    else:
        assert found == (
            side in (Side.CLIENT, Side.PROCESS),
            side in (Side.ORIGIN, Side.PROCESS),
        )
        assert all(value(one[name]) == 1 for one in (front, keeper) if name in one)


def test_the_way_between_fronts_and_keepers_has_names_of_its_own() -> None:
    """They are told by fronts, each of them."""
    front, keeper = contributed(Role.FRONT), contributed(Role.KEEPER)

    for described in LINK_DESCRIPTIONS:
        assert described.name in front and described.name not in keeper
        labelled = isinstance(front[described.name], dict)
        assert labelled is (described.label is not None)
    assert front["link_requests"] == {"a": 10}
    assert front["bytes_by_link"] == 1
    assert front["link_faults"] == {"a": 1}


def test_the_sum_of_nothing_has_every_name() -> None:
    """In the order and the shape of their descriptions."""
    found = whole(added([]))

    names = [described.name for described in NODE_DESCRIPTIONS]
    assert list(found) == [*names, *(one.name for one in HISTOGRAMS)]
    assert set(map(repr, found.values())) == {"0", "{}"}


def test_a_name_in_another_shape_spoils_no_sum() -> None:
    """A text of another version of this program."""
    odd: Numbers = {"reads": 7, "delivered": {"x": 1}}
    good: Numbers = {"reads": {"sse": 2}, "delivered": 3}

    assert whole(added([odd, good]))["reads"] == {}
    assert added([good, odd]) == good


def test_adding_changes_none_of_its_parts() -> None:
    parts: list[Numbers] = [{"reads": {"sse": 1}}, {"reads": {"sse": 2}}]
    before = copy.deepcopy(parts)

    assert added(parts) == {"reads": {"sse": 3}}
    assert parts == before


def test_requests_for_each_delivery_are_the_nodes() -> None:
    """Two fronts deliver what one keeper asked for once."""
    front = contribution(Role.FRONT, CounterSet(filled(50)))
    keeper = Counters()
    keeper.origin_requests["follow"] = 1
    keeper.origin_requests["write"] = 50
    kept = contribution(Role.KEEPER, CounterSet(keeper))

    assert requests_per_delivery(whole(added([front, front, kept]))) == 0.01


def test_gauges_add_up_by_who_tells_them() -> None:
    """The viewers of a keeper are fronts. Both hold bytes."""
    every = dict.fromkeys(GAUGES, 1.0)
    found = node_gauges(
        [(Role.FRONT, every), (Role.FRONT, every), (Role.KEEPER, every)]
    )

    assert (found["viewers"], found["connections"], found["relays"]) == (2, 2, 2)
    assert (found["streams"], found["followers"]) == (1, 1)
    assert (found["bytes_held"], found["breaker_open"]) == (3, 1)
    assert "last_collection_seconds" not in found


def test_the_gauges_of_one_worker_are_its_own() -> None:
    own = {"viewers": 3.0, "streams": 2.0, "breaker_open": 1.0}

    assert node_gauges([(Role.WORKER, own)]) == own


def test_an_open_breaker_is_open_however_many_are() -> None:
    parts = [(Role.KEEPER, {"breaker_open": float(n)}) for n in (1, 1, 0)]

    assert node_gauges(parts) == {"breaker_open": 1.0}


# Any interleaving of processes that count, publish, end and are replaced.


@dataclass
class Node:
    """The processes that are there, what they published, and what is left of others."""

    processes: list[Counters] = field(default_factory=list)
    texts: list[Numbers] = field(default_factory=list)
    gone: Numbers = field(default_factory=dict)
    counted: int = 0

    def start(self) -> None:
        self.processes.append(Counters())
        self.texts.append({})

    def count(self, index: int, label: str) -> None:
        self.processes[index].reads[label] += 1
        self.processes[index].delivered += 1
        self.counted += 1

    def publish(self, index: int) -> None:
        counters = CounterSet(self.processes[index])
        self.texts[index] = contribution(Role.FRONT, counters)

    def end(self, index: int) -> None:
        self.gone = added([self.gone, self.texts[index]])
        del self.processes[index], self.texts[index]

    @property
    def sums(self) -> dict[str, Number]:
        return whole(added([self.gone, *self.texts]))


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["start", "count", "count", "publish", "end", "killed"]),
        st.integers(0, 7),
        st.sampled_from(LABELS),
    ),
    max_size=60,
)


@given(STEPS)
def test_no_sum_goes_back_and_nothing_counts_twice(
    steps: list[tuple[str, int, str]],
) -> None:
    """Whoever ends in order publishes first, and then nothing of it is lost. Of one
    that was killed what it published stays, and no more."""
    node, before, lost = Node(), 0, 0
    for what, which, label in steps:
        index = which % len(node.processes) if node.processes else 0
        if what == "start":
            node.start()
        elif not node.processes:
            continue
        elif what == "count":
            node.count(index, label)
        elif what == "publish":
            node.publish(index)
        else:
            if what == "end":
                node.publish(index)
            unsaid = node.processes[index].delivered
            unsaid -= value(node.texts[index].get("delivered", 0))
            lost += unsaid
            node.end(index)
            event(f"{what} with {min(unsaid, 1)} unsaid")
        sums = node.sums
        delivered = value(sums["delivered"])
        assert value(sums["reads"]) == delivered
        assert before <= delivered <= node.counted - lost
        before = delivered
    for index in range(len(node.processes)):
        node.publish(index)
    assert value(node.sums["delivered"]) == node.counted - lost
