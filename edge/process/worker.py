"""EdgeWorker: gunicorn's gevent worker, as this edge needs it.

What gunicorn gives: processes, signals, the listener, the heartbeat. What it
does not: a bound on connections that answers instead of leaving them in the
backlog, recycling by what is really served, and a drain that knows of parked
readers and idle connections (E54). Its steps, once told to stop::

    1  the hub releases parked readers, spread over the time there is
    2  no new connection is accepted; what waits in the backlog still is
    3  answers say ``Connection: close``; idle connections get a moment to
       send one more request, then they end
    4  when nobody is left, or the time is over, everything is closed

One that is relieved by a successor (``edge.process.arbiter``) leaves the operator's
address to it at once; one that is told to stop answers there until it ends.
"""

import logging
import signal
import socket
import time
from collections.abc import Mapping
from types import FrameType
from typing import Any, Protocol, cast

import gevent
from gevent.event import Event
from gunicorn.workers.ggevent import GeventWorker

from edge.admin.server import AdminServer
from edge.front.access_log import AccessLog
from edge.front.dependencies import Runtime
from edge.front.fast.context import FastContext
from edge.front.fast.listener import FastServer
from edge.front.http1.context import Application, ServerContext
from edge.front.http1.server import GreenletServer
from edge.front.log_writer import LogWriter, configure, put_now
from edge.front.options import ServerOptions
from edge.process.arbiter import RETIRE
from edge.process.collector import Collector
from edge.process.recycling import Recycling, requests_of, resident
from edge.process.worker_pipe import READY, WorkerPipe

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

    built: Runtime
    options: ServerOptions
    admin_socket: socket.socket | None
    worker_pipe: WorkerPipe
    replaced: Mapping[str, int]


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

    server_context: ServerContext
    fast_context: FastContext | None = None
    _hosting: Hosting
    _output: LogWriter
    _stopping: Event | None = None
    _relieved = False

    def load_wsgi(self) -> None:
        """Called by gunicorn after fork and patch: build everything here."""
        self._hosting = cast(Hosting, self.app)
        options = self._hosting.options
        self._output = LogWriter()
        configure(options.log, self._output.put)
        super().load_wsgi()
        parts = self._hosting.built.parts
        self.server_context = ServerContext(
            cast(Application, self.wsgi),
            self.cfg,
            parts.options,
            parts.counters,
            parts.clock,
            AccessLog(options.log, self._output.put, parts.clock.wall),
        )
        if parts.options.fast:
            self.fast_context = FastContext(parts, self.server_context)
        self.connections: set[Served] = set()
        self._collector = Collector(parts.counters)
        # What the master counts, as of the fork.
        parts.counters.replacements.update(self._hosting.replaced)

    # ServerContext.

    def run(self) -> None:
        """Serve until told to stop, then drain. See gunicorn."""
        self._stopping = Event()
        self._output.start()
        hosting = self._hosting
        hosting.built.start()
        admin = AdminServer(hosting.built, hosting.options, self._gauges, self._ready)
        admin.start(hosting.admin_socket)
        servers = [self._listen(listener) for listener in self.sockets]
        self._collector.start()
        self._serve()
        if self._relieved:
            gevent.spawn(admin.stop)
        self._drain(servers)
        self._collector.stop()
        admin.stop()
        hosting.built.stop()
        self._output.stop()
        # What gunicorn still has to say is said without a loop.
        configure(hosting.options.log, put_now)

    def _serve(self) -> None:
        """Look at what there is to look at once a second, until told to stop."""
        assert self._stopping is not None
        parts, options = self._hosting.built.parts, self._hosting.options
        recycling = Recycling(options.recycle, parts.clock.monotonic())
        self._hosting.worker_pipe.write(READY, self.ppid)
        while self.alive:
            self.notify()
            if recycling.wanted:
                self._perhaps_ask(recycling)
            self._stopping.wait(1.0)

    def _perhaps_ask(self, recycling: Recycling) -> None:
        """Ask for a successor, if it is time."""
        parts = self._hosting.built.parts
        requests, memory = requests_of(parts.counters), resident()
        reason = recycling.judge(parts.clock.monotonic(), requests, memory)
        if reason is not None:
            said = "asking to be replaced: %s (%d requests, %d MiB)"
            _log.info(said, reason.value, requests, memory >> 20)
            self._hosting.worker_pipe.write(reason.value, self.ppid)

    def _ready(self) -> bool:
        """Whether this node can answer reads: a worker that was relieved leaves it
        to one that can."""
        return self._relieved or self._hosting.built.ready()

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
        if self.fast_context is None:
            return GreenletServer(
                self.server_context, listener, self.connections, REFUSALS_AT_ONCE
            )
        return FastServer(
            self.fast_context, listener, self.connections, REFUSALS_AT_ONCE
        )

    # Stopping.

    def init_signals(self) -> None:
        """See gunicorn. A terminal's hang-up is for the master to judge."""
        super().init_signals()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(RETIRE, self._handle_relief)
        signal.siginterrupt(RETIRE, False)

    def _handle_relief(self, sig: int, frame: FrameType | None) -> None:
        """A successor serves: finish and go."""
        self._relieved = True
        self.handle_exit(sig, frame)

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
        self.server_context.draining = True
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
