"""The units of ``deploy/systemd``: systemd takes them, and what they rest on works.

No systemd runs here. Its own tools judge the units, and start the edge on a socket as
it would: one that listens before the edge runs, and after.
"""

import re
import socket
import sys
from configparser import ConfigParser
from contextlib import suppress
from pathlib import Path
from subprocess import PIPE, STDOUT, run
from typing import Any

import pytest
import yaml

from tests.deploy.proxies import DEPLOY
from tests.front.edge_process import Client
from tests.support import programs
from tests.support.processes import Process, ds_edge, free_port, running

UNITS = DEPLOY / "systemd"
MOST_EXPOSED = 20
"""Tenths, of a hundred."""

pytestmark = pytest.mark.timeout(600)


def unit(name: str) -> ConfigParser:
    parsed = ConfigParser(strict=False, interpolation=None)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read_string((UNITS / name).read_text())
    return parsed


def settings() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "edge.yaml").read_text())
    return found


def judged(folder: Path, *command: str) -> str:
    """What systemd-analyze says of both units. Fails where it does."""
    binary = programs.ensure("systemd-analyze", "systemd")
    names = ("ds-edge.service", "ds-edge.socket")
    for name in names:
        text = (UNITS / name).read_text()
        installed = text.replace("/opt/ds-edge/bin/ds-edge", sys.executable)
        (folder / name).write_text(installed)
    files = [str(folder / name) for name in names]
    files = files if command[0] == "verify" else files[:1]
    done = run([binary, *command, *files], stdout=PIPE, stderr=STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_systemd_knows_every_line(tmp_path: Path) -> None:
    said = judged(tmp_path, "verify")

    assert "ds-edge" not in said


def test_the_service_is_locked_in(tmp_path: Path) -> None:
    most = f"--threshold={MOST_EXPOSED}"
    said = judged(tmp_path, "security", "--offline=true", most)

    assert re.search(r"Overall exposure level .* OK", said)


def test_the_units_and_the_settings_name_the_same_places() -> None:
    service, listening = unit("ds-edge.service")["Service"], unit("ds-edge.socket")
    kept = f"/var/lib/{service['StateDirectory']}"
    path = listening["Socket"]["ListenStream"]

    assert settings()["listen"] == f"unix:{path}"
    assert path.startswith(f"/run/{service['RuntimeDirectory']}/")
    assert settings()["origin"]["data"].startswith(f"{kept}/")
    assert service["WorkingDirectory"] == kept
    assert listening["Socket"]["SocketGroup"] == service["Group"]


def test_who_calls_before_it_runs_is_answered_and_it_says_what_it_does(
    tmp_path: Path,
) -> None:
    """With the embedded origin, where the edge is a child of what systemd started. The
    socket is systemd's, so it is there when the edge has gone."""
    binary = programs.ensure("systemd-socket-activate", "systemd")
    path, told = tmp_path / "edge.sock", tmp_path / "notify"
    config = tmp_path / "edge.yaml"
    own = {
        **settings(),
        "listen": f"unix:{path}",
        "origin": {"data": str(tmp_path / "streams")},
        "admin": {"listen": f"127.0.0.1:{free_port()}"},
        "access": {"revocations": str(tmp_path / "revocations")},
    }
    config.write_text(yaml.safe_dump(own))
    launched = [binary, "-l", str(path), "-E", f"NOTIFY_SOCKET={told}"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(told))
        manager.settimeout(60)
        command = [*launched, *ds_edge("serve", "-c", str(config))]
        with running("activated", command) as process:
            caller = called(path, process)
            with caller:
                caller.sock.settimeout(60)
                caller.request("PUT", "/v1/stream/a", "Content-Type: text/plain")
                assert manager.recv(4096) == b"READY=1"
                assert caller.read().status == 201
        assert manager.recv(4096) == b"STOPPING=1"
    assert path.is_socket()


def called(path: Path, listening: Process) -> Client:
    """A connection, as soon as the process listens: its socket has a name before."""
    while True:
        with suppress(FileNotFoundError, ConnectionRefusedError):
            return Client.to_unix(path)
        assert not listening.ended(within=0.02), listening.last_lines()


def test_another_socket_than_the_settings_name_is_refused(tmp_path: Path) -> None:
    binary = programs.ensure("systemd-socket-activate", "systemd")
    config, path = tmp_path / "edge.yaml", tmp_path / "edge.sock"
    config.write_text("listen: 127.0.0.1:8080\n")
    command = [binary, "-l", str(path), *ds_edge("serve", "-c", str(config))]
    with running("activated", command) as process:
        with called(path, process):
            assert process.ended(within=60)
        assert process.handle.returncode == 1
        assert f"listen: the service manager listens at unix:{path}: both" in (
            process.log.read_text()
        )
