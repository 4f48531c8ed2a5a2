"""EdgeWorker: gunicorn's gevent worker, as this edge needs it.

What gunicorn gives: processes, signals, the listener, the heartbeat. What it
does not: a bound on connections that answers instead of leaving them in the
backlog, and a drain that knows of parked readers and idle connections (E54).
Its steps, once told to stop::

    1  the hub releases parked readers, spread over the time there is
    2  no new connection is accepted; what waits in the backlog still is
    3  answers say ``Connection: close``; idle connections get a moment to
       send one more request, then they end
    4  when nobody is left, or the time is over, everything is closed
"""

import logging
import socket
import time
from types import FrameType
from typing import Any, Protocol, cast

import gevent
from gevent.event import Event
from gunicorn.workers.ggevent import GeventWorker

from edge.front.access_log import AccessLog
from edge.front.admin import AdminServer
from edge.front.collector import Collector
from edge.front.fast.floor import Floor
from edge.front.fast.server import FastServer
from edge.front.greenlets import GreenletServer
from edge.front.log_output import LogOutput, configure
from edge.front.options import ServerOptions
from edge.front.parts import Built
from edge.front.serving import Application, Serving

_log = logging.getLogger("edge.front")

REFUSALS_AT_ONCE = 256
"""Connections past the limit that may be hearing of it at the same time."""

_KEEP_ALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 60_000),
)
"""On listeners, from which accepted sockets inherit it: finds dead peers (E46)."""


class Hosting(Protocol):
    """What the worker takes from the gunicorn application that it runs in."""

    built: Built
    options: ServerOptions
    admin_socket: socket.socket | None


class Server(Protocol):
    """What serves one listener, the fast way or not."""

    def start(self) -> None: ...

    def close(self) -> None:
        """Accept no more."""

    def stop(self) -> None:
        """End what has not ended by itself."""


class Served(Protocol):
    """A connection, as the worker sees it."""

    @property
    def idle(self) -> bool: ...

    def dismiss(self) -> None:
        """Have it end, if nothing more comes."""


class EdgeWorker(GeventWorker):
    """One worker process: its parts, its connections, its end."""

    serving: Serving
    floor: Floor | None = None
    _hosting: Hosting
    _output: LogOutput
    _stopping: Event | None = None

    def load_wsgi(self) -> None:
        """Called by gunicorn after fork and patch: build everything here."""
        self._hosting = cast(Hosting, self.app)
        options = self._hosting.options
        self._output = LogOutput()
        configure(options.log, self._output.put)
        super().load_wsgi()
        parts = self._hosting.built.parts
        self.serving = Serving(
            cast(Application, self.wsgi),
            self.cfg,
            parts.options,
            parts.counters,
            parts.clock,
            AccessLog(options.log, self._output.put, parts.clock.wall),
        )
        if parts.options.fast:
            self.floor = Floor(parts, self.serving)
        self.connections: set[Served] = set()
        self._collector = Collector(parts.counters)

    # Serving.

    def run(self) -> None:
        """Serve until told to stop, then drain. See gunicorn."""
        self._stopping = Event()
        self._output.start()
        hosting = self._hosting
        hosting.built.start()
        admin = AdminServer(hosting.built, hosting.options, self._gauges)
        admin.start(hosting.admin_socket)
        servers = [self._listen(listener) for listener in self.sockets]
        self._collector.start()
        while self.alive:
            self.notify()
            self._stopping.wait(1.0)
        self._drain(servers)
        self._collector.stop()
        admin.stop()
        hosting.built.stop()
        self._output.stop()

    def _gauges(self) -> dict[str, float]:
        return {
            **self._hosting.built.gauges(),
            **self._collector.gauges(),
            "connections": len(self.connections),
        }

    def _listen(self, listener: Any) -> Server:
        listener.setblocking(True)
        if listener.family != socket.AF_UNIX:
            for level, name, value in _KEEP_ALIVE:
                listener.setsockopt(level, name, value)
        server = self._server(listener)
        server.start()
        return server

    def _server(self, listener: Any) -> Server:
        if self.floor is None:
            return GreenletServer(
                self.serving, listener, self.connections, REFUSALS_AT_ONCE
            )
        return FastServer(self.floor, listener, self.connections, REFUSALS_AT_ONCE)

    # Stopping.

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGTERM: finish and go. See gunicorn."""
        super().handle_exit(sig, frame)
        if self._stopping is not None:
            self._stopping.set()

    def _drain(self, servers: list[Server]) -> None:
        options = self._hosting.options
        ends = time.monotonic() + options.grace
        idle_ends = time.monotonic() + min(options.idle_grace, options.grace)
        _log.info("draining %d connections", len(self.connections))
        self.serving.draining = True
        self._hosting.built.drain(options.grace)
        gevent.sleep(0)
        for server in servers:
            server.close()
        while self.connections and time.monotonic() < ends:
            self.notify()
            if time.monotonic() >= idle_ends:
                self._dismiss_idle()
            gevent.sleep(0.05)
        self._force(servers)

    def _dismiss_idle(self) -> None:
        for connection in tuple(self.connections):
            if connection.idle:
                connection.dismiss()

    def _force(self, servers: list[Server]) -> None:
        """End what has not ended by itself."""
        if self.connections:
            _log.warning("cutting %d connections", len(self.connections))
        for server in servers:
            server.stop()
