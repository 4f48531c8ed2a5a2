"""The two regions of ``deploy/compose.yaml``: what it says fits together, and runs.

No engine of containers runs here. ``docker-compose`` judges the file, and its edges are
started as plain processes, with the very settings and commands that it gives them: what
the writer writes is read in the other region.
"""

import contextlib
import os
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge.settings import load
from tests.deploy.proxies import DEPLOY
from tests.support import programs
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

pytestmark = pytest.mark.timeout(600)


def test_docker_compose_takes_the_file() -> None:
    """Debian's, which needs no engine to judge it."""
    binary = programs.ensure("docker-compose", "docker-compose")
    command = [binary, "-f", str(FILE), "config", "--services"]
    done = subprocess.run(command, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == set(SERVICES)


@pytest.mark.parametrize("name", EDGES)
def test_the_settings_of_each_edge_are_right(name: str) -> None:
    settings = load(None, SERVICES[name]["environment"])

    assert settings.node.name == name
    assert {*EDGES} == set(settings.admin.names)


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_is_there_and_what_is_published_is_this_machine_s(
    name: str,
) -> None:
    for volume in SERVICES[name].get("volumes", ()):
        source = volume.partition(":")[0]
        assert source in COMPOSE["volumes"] or (DEPLOY / source).exists(), volume
    for port in SERVICES[name].get("ports", ()):
        assert port.startswith("127.0.0.1:"), port


def test_prometheus_and_caddy_know_the_edges() -> None:
    folder = DEPLOY / "compose"
    [job] = yaml.safe_load((folder / "prometheus.yml").read_text())["scrape_configs"]
    [group] = job["static_configs"]
    caddy = (folder / "Caddyfile").read_text()

    assert group["targets"] == [f"{name}:8081" for name in EDGES]
    assert re.findall(r"import region (\S+)", caddy) == [
        "pop-east:8080",
        "pop-west:8080",
    ]
    binary = programs.ensure("caddy", "caddy")
    command = [binary, "validate", "--adapter", "caddyfile"]
    config = str(folder / "Caddyfile")
    done = subprocess.run(
        [*command, "--config", config], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


class Places:
    """Where on this machine the services are that the file knows by name and port."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports: dict[str, int] = {}

    def port(self, place: str) -> int:
        """Of ``shield:8080`` and the like."""
        return self._ports.setdefault(place, free_port())

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
def service(name: str, places: Places) -> Iterator[Process]:
    """One of the edges, or the origin, as a process."""
    given = SERVICES[name]
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("DS_EDGE_")},
        **{k: places.here(v, name) for k, v in given.get("environment", {}).items()},
    }
    command = ds_edge(*(places.here(word, name) for word in given["command"]))
    with running(name, command, env=environment) as process:
        yield process


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path)


def test_what_the_writer_writes_is_read_in_both_regions(places: Places) -> None:
    with contextlib.ExitStack() as stack:
        origin = stack.enter_context(service("origin", places))
        until(lambda: answers(places.port("origin:4437"), origin))
        for name in EDGES:
            process = stack.enter_context(service(name, places))
            address = f"127.0.0.1:{places.port(f'{name}:8081')}"
            wait_until_ready(process, address, "/ready")
        [script] = SERVICES["writer"]["command"]
        program = f"{sys.executable} -m edge.cli"
        script = places.here(script, "writer").replace("$$", "$")
        # One command of a pipe ends when the other one does.
        script = script.replace("ds-edge ", f"{program} ")
        stack.enter_context(running("writer", ["sh", "-c", script]))
        streams = [
            f"http://127.0.0.1:{places.port(f'{name}:8080')}/v1/stream/demo"
            for name in ("pop-east", "pop-west")
        ]
        until(lambda: all(lines(url) >= 2 for url in streams))


def answers(port: int, process: Process) -> bool:
    assert not process.ended(within=0.02), process.last_lines()
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def lines(url: str) -> int:
    """How many the stream has; 0 while it is not there."""
    with contextlib.suppress(OSError), urllib.request.urlopen(url) as answer:
        return len(answer.read().splitlines())
    return 0
