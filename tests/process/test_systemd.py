"""What a service manager is told, on a socket of its kind."""

import os
import socket
from pathlib import Path

import pytest

from edge.process.systemd import VARIABLE, ServiceManager


def told(address: str, bound: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """All states in their order, as somebody at ``bound`` hears them."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(bound)
        monkeypatch.setenv(VARIABLE, address)
        manager = ServiceManager()
        manager.ready()
        manager.reloading()
        manager.stopping()
        return [listener.recv(4096).decode() for _ in range(3)]


@pytest.mark.parametrize("abstract", [False, True])
def test_each_state_is_a_datagram(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstract: bool
) -> None:
    path = str(tmp_path / "notify")
    address, bound = (f"@{path}", f"\0{path}") if abstract else (path, path)
    ready, reloading, stopping = told(address, bound, monkeypatch)

    assert (ready, stopping) == ("READY=1", "STOPPING=1")
    first, second = reloading.split("\n")
    assert first == "RELOADING=1"
    assert int(second.removeprefix("MONOTONIC_USEC=")) > 0


def test_gunicorn_does_not_speak_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would say that all is ready before a worker has started."""
    monkeypatch.setenv(VARIABLE, "/run/notify")
    ServiceManager()

    assert VARIABLE not in os.environ


def test_without_one_nothing_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(*_: object) -> None:
        raise AssertionError("a socket was made")

    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr("edge.process.systemd.socket.socket", opened)
    manager = ServiceManager()
    manager.ready()
    manager.stopping()


def test_one_that_has_gone_is_said_and_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nobody"))
    ServiceManager().stopping()

    [line] = caplog.messages
    assert line.startswith("the service manager was not told STOPPING: ")
