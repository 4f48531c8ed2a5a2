"""The services of ``deploy/compose.yaml`` as plain processes of this machine.

No engine of containers runs here. The origin, the edges and the writer are started with
the very settings and commands that the file gives them; ``Places`` puts addresses and
folders of this machine in the place of the file's.
"""

import contextlib
import os
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.proxies import DEPLOY
from tests.support.patience import until
from tests.support.processes import (
    Process,
    ds_edge,
    free_port,
    running,
    wait_until_ready,
)

FILE = DEPLOY / "compose.yaml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
EDGES = ("shield", "pop-east", "pop-west")
POPS = ("pop-east", "pop-west")
PATH = "/v1/stream/demo"
"""What the file's writer writes to."""


class Places:
    """Where on this machine the services are that the file knows by name and port."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports: dict[str, int] = {}

    def port(self, place: str) -> int:
        """Of ``shield:8080`` and the like."""
        return self._ports.setdefault(place, free_port())

    def streams(self, edge: str) -> str:
        """Where clients reach this edge."""
        return f"http://127.0.0.1:{self.port(f'{edge}:8080')}"

    def admin(self, edge: str) -> str:
        """The admin address of this edge, ``host:port``."""
        return f"127.0.0.1:{self.port(f'{edge}:8081')}"

    def here(self, text: str, service: str) -> str:
        """A text of the file, with the addresses and folders of this machine."""
        names = "|".join(SERVICES)
        text = re.sub(
            rf"\b({names}):(\d+)", lambda m: f"127.0.0.1:{self.port(m[0])}", text
        )
        text = re.sub(
            r"^:(\d+)$", lambda m: f"127.0.0.1:{self.port(f'{service}:{m[1]}')}", text
        )
        return text.replace("/var/lib/ds-edge", str(self._folder))


@contextlib.contextmanager
def origin(places: Places) -> Iterator[Process]:
    """The origin, which listens."""
    with _service("origin", places) as process:
        until(lambda: _answers(places.port("origin:4437"), process))
        yield process


@contextlib.contextmanager
def edge(name: str, places: Places) -> Iterator[Process]:
    """One of the edges, ready to serve."""
    with _service(name, places) as process:
        wait_until_ready(process, places.admin(name), "/ready")
        yield process


@contextlib.contextmanager
def writer(places: Places) -> Iterator[Process]:
    """Who writes a line each second, through the east."""
    [script] = SERVICES["writer"]["command"]
    script = places.here(script, "writer").replace("$$", "$")
    # One command of a pipe ends when the other one does.
    script = script.replace("ds-edge ", f"{sys.executable} -m edge.cli ")
    with running("writer", ["sh", "-c", script]) as process:
        yield process


@contextlib.contextmanager
def _service(name: str, places: Places) -> Iterator[Process]:
    given = SERVICES[name]
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("DS_EDGE_")},
        **{k: places.here(v, name) for k, v in given.get("environment", {}).items()},
    }
    command = ds_edge(*(places.here(word, name) for word in given["command"]))
    with running(name, command, env=environment) as process:
        yield process


def _answers(port: int, process: Process) -> bool:
    assert not process.ended(within=0.02), process.last_lines()
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False
