"""One edge for most tests of the front: real gunicorn in a process of its own."""

from collections.abc import Iterator

import pytest

from tests.front.edge_process import Client, EdgeProcess

LIMITS = {"body_timeout": 0.3, "head_timeout": 0.3, "send_timeout": 0.5}
"""Short where a test waits for them to pass; nothing else waits that long."""


@pytest.fixture(scope="session")
def shared_edge() -> Iterator[EdgeProcess]:
    """An edge that lives as long as the run."""
    with EdgeProcess({"limits": LIMITS}) as edge:
        yield edge


@pytest.fixture
def edge(shared_edge: EdgeProcess) -> EdgeProcess:
    """The shared edge, with nothing left of what other tests made it tell."""
    shared_edge.forget()
    return shared_edge


@pytest.fixture
def client(edge: EdgeProcess) -> Iterator[Client]:
    """A connection to the shared edge."""
    with edge.connect() as connection:
        yield connection
