"""The life of a worker, with parts that only write down what is done to them.

On the wire it is told in ``tests/front/test_wire_process.py``. Here each step fails
once: what was started before must be stopped, last first, and nothing twice.
"""

import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from edge.core.counters import Counters
from edge.process.connection_servers import (
    PLAIN,
    ConnectionServer,
    ListenerKind,
    kinds_for,
)
from edge.process.seat import ALONE
from edge.process.worker import EdgeWorker
from tests.support.options import log_options, server_options

STEPS = ["log", "parts", "admin", "server 1", "server 2", "gc", "ready"]
"""What a worker starts, in this order."""


class Broken(Exception):
    """As the test asked."""


class Diary:
    """All that was done, in order. Raises at one thing, if it is told to."""

    def __init__(self, breaks_at: str = "") -> None:
        self.lines: list[str] = []
        self._breaks_at = breaks_at

    def write(self, line: str) -> None:
        self.lines.append(line)
        if line == self._breaks_at:
            raise Broken(line)


class Part:
    """A part of a worker. ``close`` is for servers, ``drain`` for the parts."""

    def __init__(self, name: str, diary: Diary) -> None:
        self.name = name
        self._diary = diary

    def start(self, *_: Any) -> None:
        self._diary.write(f"start {self.name}")

    def stop(self) -> None:
        self._diary.write(f"stop {self.name}")

    def close(self) -> None:
        self._diary.write(f"close {self.name}")

    def drain(self, grace: float) -> None:
        self._diary.write(f"drain {self.name}")

    def let_go(self) -> None:
        self._diary.write(f"let go {self.name}")


class WorkerUnderTest(EdgeWorker):
    """Built without gunicorn; told to stop at its first sign of life."""

    def __init__(self, diary: Diary, monkeypatch: pytest.MonkeyPatch) -> None:
        self.diary = diary
        self.alive, self.ppid = True, os.getppid()
        self.sockets: list[Any] = [1, 2]
        self.connections = set()
        self._accepting = []
        self._log_writer: Any = Part("log", diary)
        self._gc_runner: Any = Part("gc", diary)
        self._application: Any = SimpleNamespace(
            runtime=Part("parts", diary),
            options=server_options(
                listen=("127.0.0.1:1", "127.0.0.1:2"), proxy_protocol=(False, False)
            ),
            tls=(None, None),
            admin_socket=None,
            seat=ALONE,
            log_options=log_options(),
            worker_pipe=SimpleNamespace(
                write=lambda word, master: diary.write(f"start {word}")
            ),
        )
        self.server_context: Any = SimpleNamespace(
            clock=SimpleNamespace(monotonic=lambda: 0.0),
            counters=Counters(),
            draining=False,
        )
        admin = Part("admin", diary)
        monkeypatch.setattr("edge.process.worker.AdminServer", lambda *_: admin)
        monkeypatch.setattr("edge.process.worker.configure", lambda *_: None)

    def _admin_routes(self) -> list[Any]:
        return []

    def _server_on(self, listener: Any, kind: ListenerKind) -> ConnectionServer:
        return Part(f"server {listener}", self.diary)

    def notify(self) -> None:
        self.diary.write("wait")
        self.handle_exit(15, None)


def life(monkeypatch: pytest.MonkeyPatch, breaks_at: str = "") -> list[str]:
    """What a worker does from its start to its end."""
    diary = Diary(breaks_at)
    worker = WorkerUnderTest(diary, monkeypatch)
    if breaks_at:
        with pytest.raises(Broken):
            worker.run()
    else:
        worker.run()
    return diary.lines


def test_a_worker_starts_accepts_waits_drains_and_stops(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it says to clients while it drains is the connections' business."""
    assert life(monkeypatch) == [
        *(f"start {step}" for step in STEPS),
        "wait",
        "drain parts",
        "close server 2",
        "close server 1",
        "stop gc",
        "stop server 2",
        "stop server 1",
        "stop admin",
        "stop parts",
        "stop log",
    ]


@pytest.mark.parametrize("number", range(len(STEPS)))
def test_whatever_fails_what_was_started_is_stopped(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Also what failed, for half of it may be there. A server closes before it cuts:
    nobody else is let in meanwhile."""
    lines = life(monkeypatch, breaks_at=f"start {STEPS[number]}")
    stopped = [line for line in lines if line.startswith("stop ")]
    begun = [step for step in STEPS[: number + 1] if step != "ready"]

    assert stopped == [f"stop {step}" for step in reversed(begun)]
    for server in ("server 1", "server 2"):
        if server in begun:
            assert lines.index(f"close {server}") < lines.index(f"stop {server}")
            assert lines.count(f"close {server}") == 1


def test_a_part_that_cannot_be_stopped_does_not_keep_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = life(monkeypatch, breaks_at="stop server 2")

    assert lines[-4:] == ["stop server 1", "stop admin", "stop parts", "stop log"]


class Loop:
    """A clock that moves while the worker sleeps, and what happens then."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.at: list[tuple[float, Callable[[], None]]] = []
        monkeypatch.setattr("edge.process.worker.time.monotonic", lambda: self.now)
        monkeypatch.setattr("edge.process.worker.gevent.sleep", self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.now += seconds
        for due, act in [one for one in self.at if one[0] <= self.now]:
            self.at.remove((due, act))
            act()


class Open:
    """A connection of a worker that drains. ``dismissed`` is when, if it was."""

    def __init__(
        self, loop: Loop, worker: WorkerUnderTest, idle_since: float | None
    ) -> None:
        self.idle_since = idle_since
        self.dismissed: float | None = None
        self._loop, self._worker = loop, worker
        worker.connections.add(self)

    def dismiss(self) -> None:
        self.dismissed = self._loop.now
        self._worker.connections.discard(self)

    def stream_ends(self) -> None:
        """The client may ask again."""
        self.idle_since = self._loop.now


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Loop:
    return Loop(monkeypatch)


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> WorkerUnderTest:
    made = WorkerUnderTest(Diary(), monkeypatch)
    made._application.options = server_options(grace=30.0, idle_grace=1.0)
    return made


def test_each_connection_may_ask_once_more_from_when_it_is_idle(
    loop: Loop, worker: WorkerUnderTest
) -> None:
    """E54: the drain ends event streams all through the grace. Counted from its begin,
    the time of those that end late was over, and their next request was lost."""
    early = Open(loop, worker, idle_since=900.0)
    late = Open(loop, worker, idle_since=None)
    loop.at.append((1012.0, late.stream_ends))
    worker._drain()

    assert early.dismissed is not None and 1001.0 <= early.dismissed < 1001.2
    assert late.dismissed is not None and 1013.0 <= late.dismissed < 1013.2
    assert "let go parts" not in worker.diary.lines


@pytest.mark.parametrize("stolen", [0.0, 100.0])
def test_who_is_left_after_the_grace_is_let_go_and_has_its_time_as_well(
    loop: Loop, worker: WorkerUnderTest, stolen: float
) -> None:
    """E54: also if the machine was so busy that all of the grace went by at once."""
    left, stuck = Open(loop, worker, None), Open(loop, worker, None)
    worker._application.runtime.let_go = left.stream_ends
    loop.at.append((1000.0, lambda: setattr(loop, "now", loop.now + stolen)))
    worker._drain()
    over = 1000.0 + max(30.0, stolen)

    assert left.dismissed is not None and over + 1.0 <= left.dismissed < over + 1.3
    assert worker.connections == {stuck}


def test_each_listener_is_told_what_is_spoken_there() -> None:
    """P14: in the order of the settings. Where that cannot be told, nobody serves: one
    that is taken for another would believe its clients, or refuse its balancer."""
    two = (ListenerKind(proxied=True), PLAIN)

    assert kinds_for(two, ["a", "b"]) == two
    assert kinds_for([PLAIN], ["a", "b", "c"]) == [PLAIN] * 3
    with pytest.raises(RuntimeError, match="2 addresses, and 1 sockets"):
        kinds_for(two, ["a"])
