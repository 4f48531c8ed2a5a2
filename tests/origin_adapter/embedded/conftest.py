"""An origin that really serves, in this process, and connections to it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from origin_adapter.embedded.options import Durability
from origin_adapter.embedded.serve import RunningOrigin
from tests.origin_adapter.embedded.wire import Wire
from tests.support.options import embedded_options

Start = Callable[..., RunningOrigin]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts origins on one folder, one at a time."""
    running: list[RunningOrigin] = []

    def start_one(**options: Any) -> RunningOrigin:
        while running:
            running.pop().stop()
        said = {"durability": Durability.OS, "long_poll_timeout": 0.2, **options}
        serving = RunningOrigin(embedded_options(tmp_path, **said), "127.0.0.1:0")
        running.append(serving)
        return serving

    yield start_one
    while running:
        running.pop().stop()


@pytest.fixture
def connect() -> Iterator[Callable[[RunningOrigin], Wire]]:
    """Opens connections, and closes them at the end."""
    wires: list[Wire] = []

    def open_wire(serving: RunningOrigin) -> Wire:
        wires.append(Wire(serving.address))
        return wires[-1]

    yield open_wire
    for wire in wires:
        wire.close()


@pytest.fixture
def origin(start: Start) -> RunningOrigin:
    """An origin with the tests' settings."""
    return start()


@pytest.fixture
def wire(origin: RunningOrigin, connect: Callable[[RunningOrigin], Wire]) -> Wire:
    """A connection to it."""
    return connect(origin)
