"""The servers of small streams, writes and single requests, where nobody caches.

The edge, nginx as it passes through (``passing.conf``), and the reference server
itself. An edge may be told how to follow its origin (``follow`` of a route): each way
is a server of its own in the tables. The key is written only where that is asked for.
"""

import resource
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from edge.settings.schema import OriginSettings
from tests.bench.cases import MAX_FOLLOWERS, Case, StreamsCase
from tests.bench.peers import (
    HERE,
    PEERS,
    READY,
    SERVERS,
    Served,
    Work,
    filled,
    folder_in_memory,
    on_core,
)
from tests.support.processes import free_port, running, wait_until_ready

PASSING = ("edge", "nginx", "node")
"""Those of ``peers`` that stand here too."""

SPARE_FOLLOWERS = 64
SPARE_FILES = 200
"""Open files of a server beside those of its viewers."""

CONNECTIONS: int = OriginSettings.model_fields["connections"].default


@dataclass(frozen=True, slots=True)
class Room:
    """What an edge may use of its origin: streams that it follows, connections."""

    followers: int
    connections: int


AS_IT_COMES = Room(MAX_FOLLOWERS, CONNECTIONS)


def room_for(case: Case) -> Room:
    """As it comes, unless the case has more streams than that and wants room."""
    if (
        not isinstance(case, StreamsCase)
        or not case.room
        or case.streams <= MAX_FOLLOWERS
    ):
        return AS_IT_COMES
    followers = case.streams + SPARE_FOLLOWERS
    return Room(followers, followers + CONNECTIONS)


@dataclass(frozen=True, slots=True)
class Server:
    """A server that passes on. ``doubled``: each viewer costs it two connections."""

    name: str
    start: Callable[[str, Room], AbstractContextManager[Served]]
    doubled: bool = False
    follows: bool = False
    """Whether it follows streams for its viewers, and so has a bound of them."""

    def lacks(self, case: Case) -> str | None:
        """Why this server cannot have that many viewers here; None if it can."""
        _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
        if not isinstance(case, StreamsCase):
            return None
        needed = case.streams * case.viewers * (2 if self.doubled else 1) + SPARE_FILES
        if needed <= files:
            return None
        return f"needs {needed:,} open files, and may have {files:,}"


def servers(peers: Sequence[str], follow: Sequence[str]) -> list[Server]:
    """Those of ``peers`` that are in ``PASSING``, in their order."""
    found: list[Server] = []
    for name in peers:
        if name == "edge":
            found.append(Server("edge", partial(_edge, None), follows=True))
            found += [
                Server(f"edge-follow-{way}", partial(_edge, way), follows=True)
                for way in follow
            ]
        elif name == "nginx":
            found.append(Server("nginx", _nginx, doubled=True))
        elif name == "node":
            found.append(Server("node", _node))
    return found


@contextmanager
def _edge(follow: str | None, origin: str, room: Room) -> Iterator[Served]:
    more: dict[str, Any] = {}
    if room != AS_IT_COMES:
        more["origin"] = {
            "max_followers": room.followers,
            "connections": room.connections,
        }
    if follow is not None:
        more["routes"] = [{"match": "/v1/stream/**", "follow": follow}]
    with PEERS["edge"].start(origin, Work.PASSING, **more) as ours:
        yield ours


@contextmanager
def _nginx(origin: str, room: Room) -> Iterator[Served]:
    listen = f"127.0.0.1:{free_port()}"
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    with folder_in_memory() as folder:
        words = {"folder": str(folder), "origin": urlsplit(origin).netloc}
        words |= {"listen": listen, "files": str(min(files, 20_000))}
        config = folder / "nginx.conf"
        config.write_text(filled((HERE / "passing.conf").read_text(), words))
        command = ["nginx", "-c", str(config)]
        with on_core(SERVERS), running("nginx", command) as process:
            wait_until_ready(process, listen, READY)
            yield Served(f"http://{listen}", origin, process.pid)


@contextmanager
def _node(origin: str, room: Room) -> Iterator[Served]:
    with PEERS["node"].start(origin, Work.PASSING) as served:
        yield served
