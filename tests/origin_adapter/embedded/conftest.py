"""An origin that really serves, in this process, and connections to it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from origin_adapter.embedded.options import Durability, Options
from origin_adapter.embedded.serve import Serving
from tests.origin_adapter.embedded.wire import Wire

Start = Callable[..., Serving]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts origins on one folder, one at a time."""
    running: list[Serving] = []

    def start_one(**options: object) -> Serving:
        while running:
            running.pop().stop()
        said = {"durability": Durability.OS, "long_poll_timeout": 0.2, **options}
        serving = Serving(Options(data=tmp_path, **said), "127.0.0.1:0")  # type: ignore[arg-type]  # any option, by name
        running.append(serving)
        return serving

    yield start_one
    while running:
        running.pop().stop()


@pytest.fixture
def connect() -> Iterator[Callable[[Serving], Wire]]:
    """Opens connections, and closes them at the end."""
    wires: list[Wire] = []

    def open_wire(serving: Serving) -> Wire:
        wires.append(Wire(serving.address))
        return wires[-1]

    yield open_wire
    for wire in wires:
        wire.close()


@pytest.fixture
def origin(start: Start) -> Serving:
    """An origin with the tests' settings."""
    return start()


@pytest.fixture
def wire(origin: Serving, connect: Callable[[Serving], Wire]) -> Wire:
    """A connection to it."""
    return connect(origin)
