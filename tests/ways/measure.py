"""Each way is gone through a real edge before a real origin, and counted.

A way has its own stream in each round. The count begins when the request's bytes are
about to be sent, and ends when the answer is there and the worker has fallen silent:
what it does after the answer for the same request belongs to the way. The first round
is a warm-up (memos, connections to the origin); then the worker shows what it does at
rest, which is not counted. Of the other rounds the one with the fewest calls is taken:
how many pieces an answer of the origin comes in, and what a timer finds to do
meanwhile, differs now and then.
"""

import json
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from tests.front.edge_process import Answered, Client
from tests.support.processes import (
    EmbeddedOrigin,
    embedded_origin,
    free_port,
    running,
    wait_until_ready,
)
from tests.ways.entry import SOCKET

ROUNDS = 6
REST = 1.5
"""Seconds in which the worker shows what it calls when nobody asks."""
SILENCE = 0.12
"""Seconds without a call after which the worker has nothing more to do.

More than the time for which the log gathers lines before it writes them.
"""

MAX_CALLS = {"hit": 37}
"""Bars: a hit is the hot path, and must not become longer."""

MAX_FILES = {"cold": 50, "wake": 58}
"""Bars: files that a reader opens for one way."""

NOT_PLAIN = ("X-Twice: a", "X-Twice: b")
"""Fields that the fast way leaves to the whole way: a name that comes twice."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What one way came to: its calls as (file, function), in order."""

    calls: tuple[tuple[str, str], ...]
    spread: tuple[int, ...] = ()

    @property
    def files(self) -> dict[str, dict[str, int]]:
        """Calls by file and function, both in order of first entry."""
        files: dict[str, dict[str, int]] = {}
        for file, function in self.calls:
            functions = files.setdefault(file, {})
            functions[function] = functions.get(function, 0) + 1
        return files

    @property
    def changes(self) -> int:
        """How often a call enters another file than the call before it."""
        names = [file for file, _ in self.calls]
        return sum(a != b for a, b in pairwise(names))


class Control:
    """Our end of the socket to the counter in the worker."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._lines = sock.makefile("rb")

    def begin(self) -> None:
        """Forget all calls and count from now on."""
        self._order(b"b")

    def learn(self) -> None:
        """Let the worker rest, and count no more what it calls then."""
        self.begin()
        self.end()
        self.begin()
        threading.Event().wait(REST)
        self._order(b"l")

    def end(self) -> list[tuple[str, str]]:
        """Wait for silence and stop; the calls of the product."""
        pause = threading.Event()
        before, size = -1, self._order(b"s")
        while before != size:
            pause.wait(SILENCE)
            before, size = size, self._order(b"s")
        return [(file, function) for file, function in self._order(b"e")]

    def _order(self, order: bytes) -> Any:
        self._sock.sendall(order)
        return json.loads(self._lines.readline())


class House:
    """The edge under the counter, its origin, and a stream for each round."""

    def __init__(self, edge: Any, origin: EmbeddedOrigin, control: Control) -> None:
        self.edge = edge
        self.control = control
        host, _, port = origin.url.removeprefix("http://").rpartition(":")
        self._origin = (host, int(port))
        self._streams = 0

    def stream(self, *fields: str) -> tuple[str, str]:
        """A new stream that the edge knows nothing of: its path and its tail."""
        self._streams += 1
        path = f"/v1/stream/ways/{self._streams}"
        with Client(self._origin) as client:
            kind = "Content-Type: text/plain"
            client.request("PUT", path, kind, *fields, body=b"first")
            return path, client.read()["stream-next-offset"]

    def count(self, act: Callable[[], None]) -> list[tuple[str, str]]:
        """What the worker calls for this."""
        self.control.begin()
        self.control.end()  # what an earlier request left to do is over
        self.control.begin()
        act()
        return self.control.end()


@contextmanager
def house() -> Iterator[House]:
    """An edge with one worker before ``ds-edge origin``."""
    listen, admin = (f"127.0.0.1:{free_port()}" for _ in range(2))
    with (
        tempfile.TemporaryDirectory(prefix="ds-ways-") as folder,
        embedded_origin(60_000) as origin,
        socket.socket(socket.AF_UNIX) as control,
    ):
        control.bind(f"{folder}/control")
        control.listen()
        control.settimeout(20)
        config = Path(folder) / "edge.yaml"
        settings = {
            "listen": listen,
            "origin": {"url": origin.url},
            "admin": {"listen": admin},
        }
        config.write_text(yaml.safe_dump(settings))
        command = [sys.executable, "-m", "tests.ways.entry", "serve", "-c", str(config)]
        env = {k: v for k, v in os.environ.items() if not k.startswith("DS_EDGE_")}
        env[SOCKET] = f"{folder}/control"
        with running("edge", command, env=env) as process:
            wait_until_ready(process, admin, "/ready")
            host, _, port = listen.rpartition(":")
            sock, _ = control.accept()
            with sock:
                sock.settimeout(20)
                yield House((host, int(port)), origin, Control(sock))


Way = Callable[[House], list[tuple[str, str]]]


def hit(house: House, *fields: str) -> list[tuple[str, str]]:
    """A page of a closed stream, asked for the fourth time on one connection.

    Closed, because the last page of an open one is verified at the origin.
    """
    path, _ = house.stream("Stream-Closed: true")
    with Client(house.edge) as client:

        def read() -> None:
            client.get(f"{path}?offset=-1", *fields)
            expect(client.read(), 200)

        for _ in range(3):
            read()
        return house.count(read)


def whole(house: House) -> list[tuple[str, str]]:
    """The same, with a head that goes the whole way: gunicorn and Falcon."""
    return hit(house, *NOT_PLAIN)


def park(house: House) -> list[tuple[str, str]]:
    """A long-poll at the tail of a stream that the edge does not know."""
    path, tail = house.stream()
    with Client(house.edge) as client:
        return house.count(lambda: client.get(f"{path}?offset={tail}&live=long-poll"))


def cold(house: House) -> list[tuple[str, str]]:
    """A read of a page that the edge does not hold."""
    path, _ = house.stream()
    with Client(house.edge) as client:

        def read() -> None:
            client.get(f"{path}?offset=-1")
            expect(client.read(), 200)

        return house.count(read)


def write(house: House) -> list[tuple[str, str]]:
    """A POST to a stream that nobody reads."""
    path, _ = house.stream()
    with Client(house.edge) as client:
        return house.count(lambda: post(client, path))


def wake(house: House) -> list[tuple[str, str]]:
    """A POST to a stream with one viewer in a long-poll, who gets his answer."""
    path, tail = house.stream()
    with Client(house.edge) as viewer, Client(house.edge) as writer:
        viewer_asks = f"{path}?offset={tail}&live=long-poll"
        house.count(lambda: viewer.get(viewer_asks))

        def both() -> None:
            post(writer, path)
            expect(viewer.read(), 200)

        return house.count(both)


def post(client: Client, path: str) -> None:
    """Append, and read the answer."""
    client.request("POST", path, "Content-Type: text/plain", body=b"news")
    answered = client.read()
    assert answered.status in (200, 204), answered


def expect(answered: Answered, status: int) -> None:
    """Fail unless the answer is as it should be."""
    assert answered.status == status and answered.complete, answered


WAYS: dict[str, tuple[str, Way]] = {
    "hit": ("hit on the fast way, asked again", hit),
    "whole": ("the same read the whole way", whole),
    "park": ("long-poll that parks on a cold stream", park),
    "cold": ("cold read: miss, fetch, land, serve", cold),
    "write": ("write that nobody waits for", write),
    "wake": ("write, poll answered, one viewer woken", wake),
}
"""By short name: what the table calls it, and how it is gone."""


def measure(house: House, way: str, rounds: int = ROUNDS) -> Figures:
    """Go a way so many times, the first one for nothing."""
    _, go = WAYS[way]
    go(house)
    house.control.learn()
    found = [go(house) for _ in range(rounds - 1)]
    fewest = min(found, key=len)
    return Figures(tuple(fewest), tuple(sorted(len(calls) for calls in found)))
