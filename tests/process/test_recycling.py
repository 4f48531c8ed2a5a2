"""When a worker asks for a successor: the rule, with time and figures given."""

import pytest

from edge.core.counters import Counters
from edge.core.reasons import Reason
from edge.process.recycling import (
    ASK_AGAIN_SECONDS,
    MAX_SPREAD,
    Recycling,
    requests_of,
    resident,
)
from tests.support.options import recycle_options


def test_recycling_is_off_unless_it_is_set() -> None:
    assert not Recycling(recycle_options(), 0.0).enabled
    assert Recycling(recycle_options(after_requests=1), 0.0).enabled
    assert Recycling(recycle_options(memory=1), 0.0).enabled


@pytest.mark.parametrize(
    ("requests", "memory", "reason"),
    [
        (999, 499, None),
        (1200, 499, Reason.AFTER_REQUESTS),
        (999, 500, Reason.OVER_MEMORY),
        (1200, 500, Reason.AFTER_REQUESTS),
    ],
)
def test_each_reason_has_its_bound(
    requests: int, memory: int, reason: Reason | None
) -> None:
    options = recycle_options(after_requests=1000, memory=500, least_age=0.0)
    recycling = Recycling(options, 0.0)

    assert recycling.judge(0.0, requests, memory) is reason


def test_requests_are_spread_and_never_fewer_than_was_set() -> None:
    """Nodes that began together must not go together."""
    bounds = set()
    for _ in range(200):
        recycling = Recycling(recycle_options(after_requests=1000, least_age=0.0), 0.0)
        first = next(n for n in range(3000) if recycling.judge(0.0, n, 0))
        bounds.add(first)

    assert 1000 <= min(bounds) < max(bounds) <= 1000 * (1 + MAX_SPREAD)


def test_a_young_worker_does_not_ask() -> None:
    """A bound that is too low must not make workers follow each other at once."""
    recycling = Recycling(recycle_options(memory=1, least_age=60.0), 100.0)

    assert recycling.judge(159.9, 0, 2) is None
    assert recycling.judge(160.0, 0, 2) is Reason.OVER_MEMORY


def test_a_worker_that_was_not_replaced_asks_again() -> None:
    recycling = Recycling(recycle_options(memory=1, least_age=0.0), 0.0)

    assert recycling.judge(0.0, 0, 2) is Reason.OVER_MEMORY
    assert recycling.judge(ASK_AGAIN_SECONDS - 1, 0, 2) is None
    assert recycling.judge(ASK_AGAIN_SECONDS, 0, 2) is Reason.OVER_MEMORY


def test_reads_and_writes_are_requests() -> None:
    counters = Counters()
    counters.reads["sse"] += 2
    counters.reads["catch-up"] += 3
    counters.writes["2xx"] += 4

    assert requests_of(counters) == 9


def test_the_memory_is_that_of_the_process() -> None:
    """More than an interpreter needs, less than a machine has."""
    assert 1 << 20 < resident() < 1 << 40
