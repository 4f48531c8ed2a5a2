"""The two regions of ``deploy/compose.yaml``: what it says fits together, and runs.

No engine of containers runs here. ``docker-compose`` judges the file, and its edges are
started as plain processes, with the very settings and commands that it gives them: what
the writer writes is read in the other region.
"""

import contextlib
import re
import subprocess
import urllib.request
from pathlib import Path

import pytest
import yaml

from edge.settings import load
from tests.deploy.proxies import DEPLOY
from tests.deploy.regions import (
    COMPOSE,
    EDGES,
    FILE,
    PATH,
    POPS,
    SERVICES,
    Places,
    edge,
    origin,
    writer,
)
from tests.support import programs
from tests.support.patience import until

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


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path)


def test_what_the_writer_writes_is_read_in_both_regions(places: Places) -> None:
    with contextlib.ExitStack() as stack:
        stack.enter_context(origin(places))
        for name in EDGES:
            stack.enter_context(edge(name, places))
        stack.enter_context(writer(places))
        streams = [places.streams(name) + PATH for name in POPS]
        until(lambda: all(lines(url) >= 2 for url in streams))


def lines(url: str) -> int:
    """How many the stream has; 0 while it is not there."""
    with contextlib.suppress(OSError), urllib.request.urlopen(url) as answer:
        return len(answer.read().splitlines())
    return 0
