"""Stopping: a while in which only readiness says no, and what systemd would hear."""

import json
import os
import signal
import socket
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.origin import ATTACHED_GRACE
from edge.process.gunicorn_app import GRACE_MARGIN_SECONDS, gunicorn_settings
from edge.process.systemd import VARIABLE
from edge.settings import load
from edge.supervisor.supervisor import KILL_MARGIN_SECONDS
from tests.support.kin import children, ends
from tests.support.log_lines import said
from tests.support.options import server_options
from tests.support.processes import Edge, edge, embedded_origin, service
from tests.support.talk import Talk, ask

STREAM = "/v1/stream/a"
WITHIN = 60.0
TEXT = {"content_type": "text/plain"}
DOCKER_STOP = 10.0
"""Seconds that ``docker stop`` waits before it kills."""

NEVER = {"delay": "10m", "grace": "500ms"}
"""A delay that no test outlives."""


def until_status(url: str, wanted: int) -> None:
    """Return when the page is answered so."""
    for _ in range(int(WITHIN / 0.05)):
        if ask(url, connection="close")[0] == wanted:
            return
        threading.Event().wait(0.05)
    raise AssertionError(f"{url} never answered {wanted}")


def until_said(front: Edge, words: str, times: int = 1) -> None:
    for _ in range(int(WITHIN / 0.05)):
        if said(front.process.log.read_text()).count(words) >= times:
            return
        threading.Event().wait(0.05)
    raise AssertionError(f"never said: {words}")


def test_for_a_while_only_readiness_says_no() -> None:
    """A balancer that looks there goes elsewhere before anything ends."""
    with embedded_origin() as origin, edge(origin.url, shutdown=NEVER) as front:
        ask(front.url + STREAM, "PUT", b"", **TEXT)
        with Talk(f"{front.url}{STREAM}?offset=-1&live=long-poll") as waiting:
            front.process.handle.terminate()
            until_status(f"{front.admin}/ready", 503)

            assert ask(f"{front.admin}/health")[0] == 200
            assert ask(front.url + STREAM, "POST", b"new", **TEXT)[0] == 204
            assert waiting.answer()[2] == b"new"
        with Talk(f"{front.url}{STREAM}?offset=now&live=sse") as follower:
            assert follower.head()[0] == 200
        front.process.handle.terminate()
        assert front.process.ended(WITHIN)
        assert front.process.handle.returncode == 0


def test_a_worker_that_begins_meanwhile_says_no_too() -> None:
    with embedded_origin() as origin, edge(origin.url, shutdown=NEVER) as front:
        [worker] = children(front.process.pid)
        front.process.handle.terminate()
        until_status(f"{front.admin}/ready", 503)
        os.kill(worker, signal.SIGKILL)
        for _ in range(int(WITHIN / 0.05)):
            if children(front.process.pid) not in ([], [worker]):
                break
            threading.Event().wait(0.05)
        until_status(f"{front.admin}/ready", 503)
        ask(front.url + STREAM, "PUT", b"", **TEXT)

        assert ask(front.url + STREAM, "HEAD")[0] == 200


@pytest.mark.parametrize("embedded", [False, True])
def test_when_the_delay_is_over_it_stops(embedded: bool) -> None:
    # Nobody is waited for. What is left some seconds after the grace would be killed.
    short = {"delay": "300ms", "grace": "30s"}
    with embedded_origin() as origin:
        front_of = service if embedded else edge
        words = () if embedded else (origin.url,)
        with front_of(*words, shutdown=short) as front:
            front.process.handle.terminate()
            assert front.process.ended(WITHIN)
            assert front.process.handle.returncode == 0
            assert "not ready any more; stopping in 0.3 s" in said(
                front.process.log.read_text()
            )


def test_no_reload_begins_while_it_is_about_to_stop() -> None:
    with embedded_origin() as origin, edge(origin.url, shutdown=NEVER) as front:
        front.process.handle.terminate()
        until_status(f"{front.admin}/ready", 503)
        workers = children(front.process.pid)
        front.process.handle.send_signal(signal.SIGHUP)
        until_said(front, "no reload: the edge is about to stop")
        with urllib.request.urlopen(f"{front.admin}/reloads", timeout=60) as answer:
            [refused] = json.load(answer)["reloads"]

        assert (refused["result"], refused["reason"]) == ("refused", "draining")
        assert children(front.process.pid) == workers


def test_by_default_all_processes_end_before_docker_loses_patience() -> None:
    """The edge, then its origin; the supervisor kills what is left of both in time."""
    shutdown = load(None).shutdown
    told = shutdown.delay + shutdown.grace
    edge_killed = told + GRACE_MARGIN_SECONDS

    assert gunicorn_settings(server_options())["graceful_timeout"] == edge_killed
    assert edge_killed + ATTACHED_GRACE <= told + KILL_MARGIN_SECONDS
    assert told + KILL_MARGIN_SECONDS < DOCKER_STOP


# A service manager.


@pytest.fixture(params=["path", "abstract"])
def manager(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    """The socket of one; services that are started now speak to it."""
    path = str(tmp_path / "notify")
    abstract = request.param == "abstract"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0{path}" if abstract else path)
        listener.settimeout(WITHIN)
        monkeypatch.setenv(VARIABLE, f"@{path}" if abstract else path)
        yield listener


def hear(manager: socket.socket) -> str:
    return manager.recv(4096).decode()


def hear_reload(manager: socket.socket, front: Edge) -> str:
    """The two messages of a reload; the word of the second."""
    front.process.handle.send_signal(signal.SIGHUP)
    first, second = hear(manager).split("\n")
    assert first == "RELOADING=1"
    assert second.startswith("MONOTONIC_USEC=") and int(second[15:]) > 0
    return hear(manager)


def test_the_service_manager_hears_of_start_reload_and_end(
    manager: socket.socket,
) -> None:
    """Of a reload that is refused, too: the service serves on."""
    with service(shutdown={"grace": "30s"}) as front:
        assert hear(manager) == "READY=1"
        assert ask(front.url + STREAM, "PUT", b"", **TEXT)[0] == 201
        assert hear_reload(manager, front) == "READY=1"
        until_said(front, "draining ")

        front.config.write_text("wrong: 1\n")
        assert hear_reload(manager, front) == "READY=1"
        until_said(front, "reload refused: ")
        front.process.handle.terminate()
        assert hear(manager) == "STOPPING=1"


def test_stopping_is_said_when_the_delay_begins(manager: socket.socket) -> None:
    with embedded_origin() as origin:
        assert hear(manager) == "READY=1"
        with edge(origin.url, shutdown=NEVER) as front:
            assert hear(manager) == "READY=1"
            front.process.handle.terminate()
            assert hear(manager) == "STOPPING=1"
            until_status(f"{front.admin}/ready", 503)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_master_that_is_killed_cuts_nobody_and_leaves_nothing_behind(
    workers: int,
) -> None:
    """Its processes see it, finish their answers, and leave; the addresses are free."""
    with embedded_origin() as origin, edge(origin.url, workers=workers) as front:
        address = front.url.removeprefix("http://")
        ask(front.url + STREAM, "PUT", b"", **TEXT)
        left = children(front.process.pid)
        with Talk(f"{front.url}{STREAM}?offset=-1&live=long-poll") as waiting:
            os.kill(front.process.pid, signal.SIGKILL)
            assert waiting.answer()[0] == 204
        assert all(ends(pid, WITHIN) for pid in left)
        told = front.process.log.read_text().count("the master has died")
        assert told == len(left)
        with edge(origin.url, listen=address) as again:
            assert ask(f"{again.url}{STREAM}?offset=-1")[0] == 200
