"""Nodes: edges of several processes, and which of them answers whom.

All fronts accept on one listener, so a client cannot choose among them. A test must:
``Node.sockets`` stops the other fronts for the moment in which a connection is made.
Who is a front, the kernel tells: it has the public listener.
"""

import os
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tests.front.edge_process import Client
from tests.support.patience import PATIENCE, until
from tests.support.processes import Edge, edge, laid_over


@dataclass(frozen=True, slots=True)
class Node:
    """A running node of so many fronts and keepers."""

    edge: Edge
    fronts: int
    keepers: int

    @property
    def url(self) -> str:
        return self.edge.url

    @property
    def admin(self) -> str:
        return self.edge.admin

    def front_pids(self) -> list[int]:
        """The processes that accept clients, in the order in which they began."""
        return [pid for pid in self._children() if _listens_at(pid, self._port)]

    def keeper_pids(self) -> list[int]:
        """The others."""
        return [pid for pid in self._children() if not _listens_at(pid, self._port)]

    def pids(self) -> set[int]:
        """All of them, those that are about to end too."""
        return set(self._children())

    def _children(self) -> list[int]:
        tasks = Path(f"/proc/{self.edge.process.pid}/task").glob("*/children")
        return sorted(int(pid) for one in tasks for pid in one.read_text().split())

    @property
    def _port(self) -> int:
        return urlsplit(self.url).port or 0

    def is_whole(self) -> bool:
        """Whether nobody is missing, nor is to go."""
        fronts, children = self.front_pids(), self._children()
        return (len(fronts), len(children)) == (
            self.fronts,
            self.fronts + self.keepers,
        )

    def sockets(self, front: int, count: int = 1) -> list[socket.socket]:
        """Connections that this front has accepted."""
        made = list[socket.socket]()
        with stopped(*(pid for pid in self.front_pids() if pid != front)):
            for _ in range(count):
                made.append(socket.create_connection(("127.0.0.1", self._port)))
            ports = {one.getsockname()[1] for one in made}
            until(lambda: ports <= _peers_of(front, self._port))
        return made

    def client(self, front: int) -> Client:
        """A client of this front."""
        [sock] = self.sockets(front)
        return _FrontClient(sock)

    def connector(self, count: int) -> Callable[[], socket.socket]:
        """Gives ``count`` connections one by one, to each front in turn."""
        each = -(-count // self.fronts)
        ready = [self.sockets(front, each) for front in self.front_pids()]
        turns = [sock for one in zip(*ready, strict=True) for sock in one]
        for sock in turns[count:]:
            sock.close()
        return iter(turns[:count]).__next__


@contextmanager
def stopped(*pids: int) -> Iterator[None]:
    """These processes stand still meanwhile."""
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        until(lambda: all(_state(pid) == "T" for pid in pids))
        yield
    finally:
        for pid in pids:
            # On a busy machine it may have been replaced meanwhile.
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


class _FrontClient(Client):
    """A client whose connection is there already."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(PATIENCE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self._held = b""


def _state(pid: int) -> str:
    """``T`` for a process that stands still."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


class _Socket(NamedTuple):
    """A line of ``/proc/net/tcp``: the port of the other end, and the state."""

    other: int
    state: str


_LISTENS = "0A"


def _sockets_of(pid: int, port: int) -> list[_Socket]:
    """The sockets of IPv4 that a process has at its ``port``; none if it has gone."""
    known = dict[str, _Socket]()
    own = f":{port:04X} "
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        # Of the thousands that have just ended none costs more than this.
        if own not in line:
            continue
        fields = line.split()
        if fields[1].endswith(own.rstrip()):
            other = int(fields[2].partition(":")[2], 16)
            known[f"socket:[{fields[9]}]"] = _Socket(other, fields[3])
    held = list[str]()
    with suppress(OSError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                held.append(os.readlink(descriptor))
    return [known[name] for name in held if name in known]


def _listens_at(pid: int, port: int) -> bool:
    return any(one.state == _LISTENS for one in _sockets_of(pid, port))


def _peers_of(pid: int, port: int) -> set[int]:
    """The ports of those who are connected to this process at ``port``."""
    return {one.other for one in _sockets_of(pid, port) if one.state != _LISTENS}


@contextmanager
def node(
    origin_url: str,
    fronts: int = 2,
    keepers: int = 1,
    program: Sequence[str] = (),
    /,
    **settings: Any,
) -> Iterator[Node]:
    """A node before an origin, all of whose processes serve. ``program`` is run in
    place of ``ds-edge``."""
    given = {"workers": fronts, "keepers": keepers, "log": {"access": "off"}}
    with edge(origin_url, program, **laid_over(given, settings)) as running:
        one = Node(running, fronts, keepers)
        until(one.is_whole)
        for front in one.front_pids():
            one.client(front).close()
        yield one
