"""What the tests of the stream commands share: an origin, a faulty server, no waits."""

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from typer.testing import CliRunner

from edge.cli.streams import retry_policy
from edge.cli.streams.app import app
from tests.cli.streams.faulty import Faulty
from tests.support import processes

_numbers = itertools.count()


@pytest.fixture(scope="session")
def origin() -> Iterator[str]:
    """The Node reference server's URL."""
    with processes.node_origin() as server:
        yield server.url


@pytest.fixture
def stream(origin: str) -> str:
    """A URL on it that nobody has used."""
    return f"{origin}/v1/stream/cli-{next(_numbers)}"


@pytest.fixture
def faulty() -> Iterator[Faulty]:
    """A server that answers what the test tells it to."""
    with Faulty() as server:
        yield server


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the commands would have waited; nobody does."""
    waited: list[float] = []
    monkeypatch.setattr(retry_policy, "sleep", waited.append)
    return waited


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: bytes
    err: str

    @property
    def told(self) -> dict[str, Any]:
        """The JSON object that tells the result, the last line of either stream."""
        told = json.loads((self.err or self.out.decode()).splitlines()[-1])
        assert isinstance(told, dict)
        return told


Run = Callable[..., Ended]


@pytest.fixture
def ds() -> Run:
    """Runs a command in this process."""

    def run(*arguments: str, given: bytes | str = b"") -> Ended:
        result = CliRunner().invoke(app, list(arguments), input=given)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return Ended(result.exit_code, result.stdout_bytes, result.stderr)

    return run
