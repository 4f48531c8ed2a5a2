"""How viewers come: in batches, since a server's backlog is small.

At most ``AT_ONCE`` connections are under way. A viewer that comes for the first time
counts as under way until its first answer is there (a catch-up read, which is how a
client begins), since a connection in a full backlog looks open from outside. Where
ports run out, further source addresses of the loopback net are taken.
"""

import errno
import os
import select
import socket
import time
from collections import deque
from ipaddress import ip_address

from edge.cli.bench.requests import Target
from edge.cli.bench.viewer import Stage, Viewer
from edge.cli.streams.exit_faults import Exit, Fault

AT_ONCE = 128
SOURCES = 250
"""Loopback addresses that connections may come from."""

# Of Linux (linux/in.h); Python names it from 3.12 on.
IP_BIND_ADDRESS_NO_PORT = 24

_WRITABLE = select.EPOLLOUT | select.EPOLLET


class Joining:
    """Viewers who are to come, and those who are under way."""

    def __init__(
        self, target: Target, epoll: select.epoll, viewers: dict[int, Viewer]
    ) -> None:
        self._target = target
        self._epoll = epoll
        self._viewers = viewers
        self._due: deque[Viewer] = deque()
        self._later: list[tuple[float, Viewer]] = []
        self._source = 0
        self.under_way = 0

    @property
    def waiting(self) -> bool:
        """Whether somebody is still to connect."""
        return bool(self._due or self._later)

    def add(self, viewer: Viewer, at: float = 0.0) -> None:
        """Let a viewer come, not before ``at``."""
        if at:
            self._later.append((at, viewer))
        else:
            self._due.append(viewer)

    def arrived(self) -> None:
        """A viewer is no longer under way."""
        self.under_way -= 1

    def go_on(self) -> None:
        """Let come who may. Raises Fault when there is no way to connect."""
        if self._later:
            now = time.monotonic()
            self._due.extend(viewer for at, viewer in self._later if at <= now)
            self._later = [one for one in self._later if one[0] > now]
        while self._due and self.under_way < AT_ONCE:
            self._connect(self._due.popleft())

    def close(self) -> None:
        """Nobody else comes."""
        self._due.clear()
        self._later.clear()

    def _connect(self, viewer: Viewer) -> None:
        viewer.socket = self._socket()
        while (error := viewer.socket.connect_ex(self._target.at)) not in (
            0,
            errno.EINPROGRESS,
        ):
            viewer.socket.close()
            if error != errno.EADDRNOTAVAIL or not self._next_source():
                text = f"{self._target.address.place}: {os.strerror(error)}"
                raise Fault(Exit.UNREACHABLE, text)
            viewer.socket = self._socket()
        viewer.stage = Stage.CONNECTING
        self._viewers[viewer.socket.fileno()] = viewer
        self._epoll.register(viewer.socket.fileno(), _WRITABLE)
        self.under_way += 1

    def _socket(self) -> socket.socket:
        made = socket.socket(self._target.family, socket.SOCK_STREAM)
        made.setblocking(False)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._source:
            made.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            made.bind((f"127.0.0.{self._source + 1}", 0))
        return made

    def _next_source(self) -> bool:
        """Ports have run out: whether there is another address to come from."""
        here = ip_address(self._target.at[0])
        if here.version != 4 or not here.is_loopback or self._source >= SOURCES:
            return False
        self._source += 1
        return True
