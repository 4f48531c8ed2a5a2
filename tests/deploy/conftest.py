"""One edge and all servers of ``deploy/`` before it, for the tests of this folder."""

import contextlib
from collections.abc import Iterator

import pytest

from tests.deploy.fronts import STARTS, Fronts, anybodys, edge_behind, front


@pytest.fixture(scope="session")
def fronts() -> Iterator[Fronts]:
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(anybodys())
        behind = stack.enter_context(edge_behind(folder))
        servers = {name: stack.enter_context(front(name, folder)) for name in STARTS}
        yield Fronts(folder, behind, servers)
