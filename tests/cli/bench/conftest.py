"""What the tests of the benches share: the command, in this process."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from typer.testing import CliRunner

from edge.cli.bench.app import app


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> dict[str, Any]:
        """The one object of ``--json``."""
        (line,) = self.out.splitlines()
        found: dict[str, Any] = json.loads(line)
        return found


Bench = Callable[..., Result]

SMALL = ("--viewers", "20", "--events", "3", "--rate", "1000", "--warmup", "0")


@pytest.fixture
def bench() -> Bench:
    """Runs ``ds-edge bench`` with these words."""

    def run(*words: str) -> Result:
        ended = CliRunner().invoke(app, list(words), catch_exceptions=False)
        return Result(ended.exit_code, ended.stdout, ended.stderr)

    return run


@pytest.fixture
def crowd(bench: Bench) -> Bench:
    """Runs a small fan-out of a URL, and takes further options."""

    def run(url: str, *words: str) -> Result:
        return bench("fanout", url, *SMALL, "--json", *words)

    return run
