"""One edge for most tests of the front: real gunicorn in a process of its own.

It is as patient as by default: on a busy machine a client may be held up between any
two pieces that it sends. Tests that wait for a time to pass have an edge beside it.
"""

from collections.abc import Iterator

import pytest

from tests.front.edge_process import Client, EdgeProcess
from tests.front.tls_client import TlsEdge

SHORT = {"body_timeout": 0.3, "head_timeout": 0.3, "send_timeout": 0.5}


@pytest.fixture(scope="session")
def shared_edge() -> Iterator[EdgeProcess]:
    """An edge that lives as long as the run."""
    with EdgeProcess() as edge:
        yield edge


@pytest.fixture(scope="session")
def shared_tls_edge() -> Iterator[EdgeProcess]:
    """The same by TLS."""
    with TlsEdge() as edge:
        yield edge


@pytest.fixture
def over() -> str:
    """What most tests speak HTTP over; ``over_both`` says that a test tries both."""
    return "plain"


@pytest.fixture
def edge(over: str, request: pytest.FixtureRequest) -> EdgeProcess:
    """The shared edge, with nothing left of what other tests made it tell."""
    name = "shared_edge" if over == "plain" else "shared_tls_edge"
    shared: EdgeProcess = request.getfixturevalue(name)
    shared.forget()
    return shared


@pytest.fixture
def client(edge: EdgeProcess) -> Iterator[Client]:
    """A connection to the shared edge."""
    with edge.connect() as connection:
        yield connection


@pytest.fixture(scope="session")
def shared_impatient_edge() -> Iterator[EdgeProcess]:
    """Another one, which soon gives up who does not go on."""
    with EdgeProcess({"limits": SHORT}) as edge:
        yield edge


@pytest.fixture
def impatient_edge(shared_impatient_edge: EdgeProcess) -> EdgeProcess:
    """With nothing left of what other tests made it tell."""
    shared_impatient_edge.forget()
    return shared_impatient_edge


@pytest.fixture
def impatient_client(impatient_edge: EdgeProcess) -> Iterator[Client]:
    """A connection to it."""
    with impatient_edge.connect() as connection:
        yield connection
