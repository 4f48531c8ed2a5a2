"""One edge and all servers of ``deploy/`` before it, for the tests of this folder."""

import contextlib
from collections.abc import Iterator

import pytest

from tests.deploy.proxies import STARTS, Proxies, anybodys, edge_behind, proxy


@pytest.fixture(scope="session")
def proxies() -> Iterator[Proxies]:
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(anybodys())
        behind = stack.enter_context(edge_behind(folder))
        servers = {name: stack.enter_context(proxy(name, folder)) for name in STARTS}
        yield Proxies(folder, behind, servers)
