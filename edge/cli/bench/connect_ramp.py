"""Connects viewers in batches, since a server's backlog is small.

At most ``MAX_CONNECTING`` connections are under way at once. A new viewer is under way
until its first answer is there: a connection in a full backlog looks open from outside.
That answer is of a catch-up read, which is how clients begin. When ports run out,
connections come from further addresses of the loopback net.
"""

import errno
import os
import select
import socket
import time
from collections import deque
from ipaddress import ip_address

from edge.cli.bench.requests import RequestTarget
from edge.cli.bench.viewer_reader import Viewer, ViewerStage
from edge.cli.bench.wire import Wire
from edge.cli.streams.exit_faults import Exit, Fault

MAX_CONNECTING = 128
MAX_SOURCES = 250
"""Loopback addresses that connections may come from."""

# Of Linux (linux/in.h); Python names it from 3.12 on.
IP_BIND_ADDRESS_NO_PORT = 24

_WRITABLE = select.EPOLLOUT | select.EPOLLET


class ConnectRamp:
    """Viewers that are still to connect, and the number that is under way."""

    def __init__(
        self,
        target: RequestTarget,
        epoll: select.epoll,
        viewers: dict[int, Viewer],
        wire: Wire,
    ) -> None:
        self._target = target
        self._epoll = epoll
        self._viewers = viewers
        self._wire = wire
        self._due: deque[Viewer] = deque()
        self._later: list[tuple[float, Viewer]] = []
        self._source = 0
        self.under_way = 0

    @property
    def waiting(self) -> bool:
        """Whether a viewer is still to connect."""
        return bool(self._due or self._later)

    def add(self, viewer: Viewer, at: float = 0.0) -> None:
        """Connect this viewer, not before ``at``."""
        if at:
            self._later.append((at, viewer))
        else:
            self._due.append(viewer)

    def arrived(self) -> None:
        """One viewer is connected, or has failed: it is under way no more."""
        self.under_way -= 1

    def go_on(self) -> None:
        """Connect as many as may be under way. Raises Fault if that is impossible."""
        if self._later:
            now = time.monotonic()
            self._due.extend(viewer for at, viewer in self._later if at <= now)
            self._later = [one for one in self._later if one[0] > now]
        while self._due and self.under_way < MAX_CONNECTING:
            self._connect(self._due.popleft())

    def close(self) -> None:
        """Connect no further viewer."""
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
        self._wire.open(viewer.socket, self._target.tls_name)
        viewer.stage = ViewerStage.CONNECTING
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
        """Take another source address when ports have run out; False: none is left."""
        here = ip_address(self._target.at[0])
        if here.version != 4 or not here.is_loopback or self._source >= MAX_SOURCES:
            return False
        self._source += 1
        return True
