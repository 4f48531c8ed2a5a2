"""Real processes for the outer tests: an origin, an edge, whatever may be killed.

Each is a context manager that picks a port, keeps the log in a file, waits until
the process answers, and ends it by its own id: TERM first, KILL to what is left of
its process group. A child dies with the thread that started it (``tethered``), so
start it from the main one. When the body of a ``with`` fails, the last lines of the
log are added to the failure.

Used by ``tests/conformance``, ``tests/client``, the chaos tests and the benchmarks;
knows nothing of the edge but its command line.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.support import node

ROOT = node.ROOT
LOG_LINES_SHOWN = 40
READY_WITHIN = 60.0
STOP_WITHIN = 60.0
TETHER = [sys.executable, "-IS", str(Path(__file__).with_name("tethered.py"))]


class ProcessFault(Exception):
    """A process did not start, or did not end when it was asked to."""


@dataclass(frozen=True, slots=True)
class Process:
    """A running child: what it writes lies in ``log``."""

    name: str
    handle: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.handle.pid

    def ended(self, within: float) -> bool:
        """Whether the process ends within so many seconds."""
        try:
            self.handle.wait(within)
        except subprocess.TimeoutExpired:
            return False
        return True

    def last_lines(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join([f"--- log of {self.name}", *lines[-LOG_LINES_SHOWN:]])


@dataclass(frozen=True, slots=True)
class NodeOrigin:
    """The official reference server; ``counts`` tells of reads, if it was asked to."""

    url: str
    process: Process
    counts: str | None = None


@dataclass(frozen=True, slots=True)
class EmbeddedOrigin:
    """``ds-edge origin``: where it listens and where its streams lie."""

    url: str
    data: Path
    process: Process


@dataclass(frozen=True, slots=True)
class Edge:
    """``ds-edge serve``: ``url`` for streams, ``admin`` for metrics and health;
    ``config`` is its file, to be written anew before a reload."""

    url: str
    admin: str
    process: Process
    config: Path


@contextmanager
def node_origin(
    long_poll_ms: int = 500,
    webhooks: bool = True,
    script: str = "origin.mjs",
    **options: Any,
) -> Iterator[NodeOrigin]:
    """The Node reference server, in memory; ``options`` are those of ``script``."""
    found = node.install()
    options = {"longPollTimeout": long_poll_ms, "webhooks": webhooks, **options}
    command = [str(found.binary), str(node.FOLDER / script), json.dumps(options)]
    with running("node origin", command, stdout=subprocess.PIPE) as process:
        assert process.handle.stdout is not None
        with process.handle.stdout as first_line:
            said = first_line.readline()
        if not said:
            raise ProcessFault("the Node origin ended before it listened")
        told = json.loads(said)
        yield NodeOrigin(told["url"], process, told["counts"])


@contextmanager
def embedded_origin(
    long_poll_ms: int = 500, data: Path | None = None, *flags: str
) -> Iterator[EmbeddedOrigin]:
    """``ds-edge origin`` alone, webhooks to this machine allowed.

    On a folder of its own unless ``data`` names one.
    """
    address = f"127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory(prefix="ds-origin-") as folder:
        data = data or Path(folder)
        command = ds_edge("origin", "--listen", address, "--data", str(data))
        command += ["--long-poll-timeout", f"{long_poll_ms}ms", "--local-webhooks"]
        with running("embedded origin", [*command, *flags]) as process:
            wait_until_ready(process, address, "/v1/stream/__ds/jwks.json")
            yield EmbeddedOrigin(f"http://{address}", data, process)


@contextmanager
def service(**settings: Any) -> Iterator[Edge]:
    """``ds-edge serve`` with its own origin; a folder for it if none is named."""
    with tempfile.TemporaryDirectory(prefix="ds-data-") as folder:
        origin = {"data": folder, "local_webhooks": "true"}
        with edge("embedded", **laid_over({"origin": origin}, settings)) as front:
            yield front


@contextmanager
def edge(
    origin_url: str, program: Sequence[str] = (), /, **settings: Any
) -> Iterator[Edge]:
    """An edge before an origin; ``settings`` are top-level keys of its YAML file.
    ``program`` is run in place of ``ds-edge``.

    A mapping is laid over the defaults key by key:
    ``edge(url, live={"long_poll_timeout": "500ms"}, origin={"connections": 4})``.
    """
    settings = laid_over(
        {
            "listen": f"127.0.0.1:{free_port()}",
            "origin": {"url": origin_url},
            "admin": {"listen": f"127.0.0.1:{free_port()}"},
        },
        settings,
    )
    listen, admin = settings["listen"], settings["admin"]["listen"]
    with tempfile.TemporaryDirectory(prefix="ds-edge-") as folder:
        # What one test revokes is nothing to the next one.
        orders = {"access": {"revocations": f"{folder}/revocations"}}
        settings = laid_over(orders, settings)
        config = Path(folder) / "edge.yaml"
        config.write_text(yaml.safe_dump(settings, sort_keys=False))
        arguments = ("serve", "-c", str(config))
        with running("edge", [*(program or ds_edge()), *arguments]) as process:
            wait_until_ready(process, admin, "/ready")
            yield Edge(f"http://{listen}", f"http://{admin}", process, config)


def ds_edge(*arguments: str) -> list[str]:
    """The command line of ``ds-edge`` in this interpreter, installed or not."""
    return [sys.executable, "-m", "edge.cli", *arguments]


@contextmanager
def running(
    name: str,
    command: list[str],
    *,
    stdout: int | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[Process]:
    """Any command as a child; standard input stays open for as long as we live."""
    with tempfile.TemporaryDirectory(prefix="ds-log-") as folder:
        log = Path(folder) / f"{name.replace(' ', '-')}.log"
        with log.open("wb") as sink:
            handle = _start(command, sink.fileno(), stdout, env)
        process = Process(name, handle, log)
        try:
            yield process
        except BaseException as failure:
            failure.add_note(process.last_lines())
            stop(process)
            raise
        if not stop(process):
            raise ProcessFault(f"{name} did not end within {STOP_WITHIN} s of TERM")


def _start(
    command: list[str], log: int, stdout: int | None, env: Mapping[str, str] | None
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*TETHER, *command],
        cwd=ROOT,
        env=dict(_plain_environment() if env is None else env),
        stdin=subprocess.PIPE,
        stdout=log if stdout is None else stdout,
        stderr=log,
        start_new_session=True,
    )


def stop(process: Process) -> bool:
    """End a process and its children; False when TERM alone was not enough."""
    process.handle.terminate()
    obeyed = process.ended(within=STOP_WITHIN)
    with suppress(ProcessLookupError):  # the group ends with its last member
        os.killpg(process.pid, signal.SIGKILL)
    process.handle.wait()
    if process.handle.stdin is not None:
        process.handle.stdin.close()
    return obeyed


def wait_until_ready(process: Process, address: str, path: str) -> None:
    """Return when ``GET path`` at ``host:port`` answers 200. Raises ProcessFault."""
    host, _, port = address.rpartition(":")
    for _ in range(int(READY_WITHIN / 0.05)):
        if _status(host, int(port), path) == 200:
            return
        if process.ended(within=0.05):
            code = process.handle.returncode
            raise ProcessFault(f"{process.name} ended with {code} before it was ready")
    raise ProcessFault(f"{process.name} was not ready within {READY_WITHIN} s")


def _status(host: str, port: int, path: str) -> int | None:
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


_drawn: deque[int] = deque(maxlen=500)
"""Ports that were given out lately: one may not be listened on yet."""


def free_port() -> int:
    """A port that nobody listens on, below those that outgoing connections take, and
    that was not given out lately.

    Tests that run side by side draw from parts of their own: between here and its start
    a server cannot lose its port to one of theirs.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    first = 20_000 + int(worker) % 8 * 1500
    while True:
        port = random.SystemRandom().randrange(first, first + 1500)
        if port in _drawn:
            continue
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            _drawn.append(port)
            return port


def laid_over(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with the keys of ``top``; mappings are joined, all else replaced."""
    joined = dict(base)
    for key, value in top.items():
        below = joined.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            value = laid_over(below, value)
        joined[key] = value
    return joined


def _plain_environment() -> dict[str, str]:
    """Ours without DS_EDGE_*: settings come from the test's file alone."""
    return {k: v for k, v in os.environ.items() if not k.startswith("DS_EDGE_")}
