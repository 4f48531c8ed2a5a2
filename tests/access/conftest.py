"""Somebody who is asked, and gates before it, for the tests of those who ask."""

from collections.abc import Callable, Iterator

import pytest

from edge.policy.streams.routes import Route
from edge.policy.streams.ways import Way
from tests.access.endpoint import Endpoint, Gate, endpoint

GateOf = Callable[..., Gate]


@pytest.fixture
def asked() -> Iterator[Endpoint]:
    """Whoever is asked, which lets everybody in."""
    with endpoint() as made:
        yield made


@pytest.fixture
def gate_of(asked: Endpoint) -> Iterator[GateOf]:
    """``gate_of(way)`` is a gate whose one way that is. It may have a route of its own,
    and others beside it."""
    made: list[Gate] = []

    def make(
        way: Way, route: Route | None = None, others: tuple[Route, ...] = ()
    ) -> Gate:
        made.append(Gate(asked.url, (way,), route or Route("/v1/stream/**"), others))
        return made[-1]

    yield make
    for gate in made:
        gate.pools.close()
