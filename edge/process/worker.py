"""EdgeWorker: gunicorn's gevent worker, as this edge needs it.

gunicorn gives processes, signals, the listeners and the heartbeat. This module adds
three things (E54): a bound on connections that answers those beyond it, where gunicorn
leaves them in the backlog; recycling by requests served and by memory; a drain that
releases parked readers and closes idle connections. The life of a worker (``run``)::

    build    load_wsgi: all parts, after fork and patch
    start    the log, the parts, the admin address
    accept   the listeners; the master is told once they accept
    wait     a heartbeat each second, until told to stop
    drain    1  the hub releases parked readers, spread over the grace
             2  connections in the backlog are accepted, then no more
             3  answers say ``Connection: close``; a connection that is idle, or
                becomes so when its event stream ends, may send one more request
                within ``idle_grace`` from then on, then it is closed
             4  after ``grace`` the hub releases at once who is left; what has not
                ended ``idle_grace`` later is cut
    stop     everything that was started, last first, on every exit

A worker that is retired (``edge.process.arbiter``) leaves the admin address to its
successor at once. One that is told to stop answers there until it ends. One whose
master has died gives up all addresses, and drains.
"""

import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from types import FrameType
from typing import Any, Protocol, cast

import gevent
from gevent.event import Event
from gunicorn.workers.ggevent import GeventWorker

from edge import __version__
from edge.admin.dashboard import DashboardPages
from edge.admin.metrics import Metrics
from edge.admin.probes import probes
from edge.admin.purge_pages import AlonePurges, PurgePages
from edge.admin.reload_pages import ReloadPages
from edge.admin.revocation_page import RevocationPage
from edge.admin.routes import AdminRoute
from edge.admin.server import STOP_SECONDS, AdminServer
from edge.admin.settings_page import SettingsPage
from edge.admin.status_feed import StatusFeed
from edge.admin.status_page import About, StatusPage
from edge.admin.stream_pages import AloneStreams, StreamPages
from edge.core.fault_notes import FaultTimes, watched_in
from edge.core.node_status import NodeStatus, ProcessStatus
from edge.core.reasons import Reason
from edge.core.values import Role
from edge.front.dependencies import Runtime
from edge.front.fast.context import FastContext
from edge.front.http1.context import Application, ServerContext
from edge.front.log import AccessLog, LogWriter, configure, put_now
from edge.front.log_output import direct
from edge.front.options import LogOptions
from edge.front.tls import ListenerTls
from edge.process.arbiter import RETIRE
from edge.process.beats import Beats
from edge.process.connection_servers import (
    PLAIN,
    ConnectionServer,
    DrainableConnection,
    ListenerKind,
    await_successor,
    expiry_of,
    kinds_for,
    server_on,
)
from edge.process.gc_schedule import GcRunner
from edge.process.interfaces import every_interface
from edge.process.node_process import PAGE_SECONDS, NodeProcess, node_process
from edge.process.options import ServerOptions
from edge.process.recycling import Recycling, requests_of, resident
from edge.process.reload_book import ReloadBook, ReloadDesk
from edge.process.seat import Seat
from edge.process.worker_pipe import ENDED, READY, WorkerPipe

_log = logging.getLogger("edge.front")

HEARTBEAT_SECONDS = 1.0
DRAIN_SECONDS = 0.05
"""Seconds between two looks at the open connections, while draining."""

MAX_UNSENT_BYTES = 256 * 1024
"""Bytes that the kernel takes of one client's answer and cannot send yet."""

_SOCKET_OPTIONS = (
    # They find dead peers (E46).
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 60_000),
    # Copies for slow clients are made when they can go out, not megabytes ahead.
    (socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, MAX_UNSENT_BYTES),
)
"""On listeners; accepted sockets inherit them."""


HAND_OVER_SECONDS = 1.0
"""A retired keeper ends once nobody was connected for so long: a front that it has let
go of may just be about to ask its successor."""


class WorkerApplication(Protocol):
    """What a worker takes from the gunicorn application that it runs. ``began``: when
    the master did (monotonic seconds)."""

    runtime: Runtime
    options: ServerOptions
    seat: Seat
    tls: Sequence[ListenerTls | None]
    admin_socket: socket.socket | None
    worker_pipe: WorkerPipe
    reloads: ReloadBook
    replaced: Mapping[str, int]
    began: float
    shown_settings: Callable[[], Mapping[str, object]]

    @property
    def log_options(self) -> LogOptions:
        """Those of this process."""


class EdgeWorker(GeventWorker):
    """One worker process: its parts, its connections, its end."""

    server_context: ServerContext
    fast_context: FastContext | None = None
    _application: WorkerApplication
    _log_writer: LogWriter
    _told: Event | None = None
    _node: NodeProcess | None = None
    _feed: StatusFeed | None = None
    _retired = False
    _leaving = False

    # Build.

    def load_wsgi(self) -> None:
        """Called by gunicorn after fork and patch: build everything here."""
        self._application = cast(WorkerApplication, self.app)
        log = self._application.log_options
        direct.forget()
        self._log_writer = LogWriter(form=log.format, process=log.process)
        configure(log, self._log_writer.put)
        super().load_wsgi()
        parts = self._application.runtime.parts
        self._log_writer.counters = parts.counters
        self.server_context = ServerContext(
            cast(Application, self.wsgi),
            self.cfg,
            parts.options,
            parts.counters,
            parts.clock,
            AccessLog(log, self._log_writer.put, parts.clock),
            balance=None if self._keeps else self._application.seat.view,
            spans=parts.spans,
        )
        if parts.options.fast:
            self.fast_context = FastContext(parts, self.server_context)
        self.connections: set[DrainableConnection] = set()
        self._accepting: list[ConnectionServer] = []
        self._gc_runner = GcRunner(parts.counters)
        # The replacements that the master had counted when it forked.
        parts.counters.replacements.update(self._application.replaced)
        runtime, seat = self._application.runtime, self._application.seat
        counted, front = runtime.counter_set, seat.place.role is Role.FRONT
        self._faults = FaultTimes(
            watched_in(counted.own, counted.direct if front else None)
        )
        wall = parts.clock.wall
        parts.ticks.register(lambda _now: self._faults.look(wall()))
        self._began = wall()
        self._node = node_process(seat, runtime, self._gauges, self._faults)

    # The life.

    def run(self) -> None:
        """Start, accept, wait until told to stop, drain, stop. See gunicorn."""
        self._told = Event()
        # Before it accepts, a failure means that it could not start. See gunicorn.
        self.booted = False
        with ExitStack() as cleanup:
            admin = self._start(cleanup)
            self._accept(cleanup)
            self.booted = True
            self._wait()
            if self._retired:
                stopping = gevent.spawn(admin.stop)
                if self._node is not None:
                    # A page may wait for other processes; this one has no client left.
                    cleanup.callback(stopping.join)
            self._drain()
        if self._application.seat.node is not None:
            self._application.worker_pipe.write(ENDED, self.ppid)

    def _start(self, cleanup: ExitStack) -> AdminServer:
        """The log, the parts, the admin address: what runs beside connections."""
        application = self._application
        runtime, options = application.runtime, application.options
        # gunicorn logs on after the log writer has ended, when no event loop runs.
        cleanup.callback(configure, application.log_options, put_now)
        cleanup.callback(self._log_writer.stop)
        self._log_writer.start()
        cleanup.callback(runtime.stop)
        runtime.start()
        self._join_node(cleanup)
        counters = self.server_context.counters
        token, names = options.admin_token, options.admin_names
        waits = STOP_SECONDS if self._node is None else PAGE_SECONDS
        pages = self._admin_routes()
        admin = AdminServer(pages, token, names, counters, waits, self._feed)
        cleanup.callback(admin.stop)
        # A keeper has none.
        admin.start(application.admin_socket)
        return admin

    def _join_node(self, cleanup: ExitStack) -> None:
        """Where others look at this process, and order it: before it serves anybody."""
        seat, node = self._application.seat, self._node
        if seat.view is None or seat.bounds is None or node is None:
            return
        control = self._application.runtime.control

        def load() -> tuple[int, int]:
            # A keeper's are fronts, no clients.
            if self._keeps:
                return 0, 0
            return len(self.connections), int(control.gauges()["viewers"])

        quota = seat.bounds.viewers
        beats = Beats(seat.view, time.monotonic, load, node.tell, quota)
        cleanup.callback(beats.stop)
        beats.start(gevent.get_hub().loop)
        cleanup.callback(node.end)
        node.begin()

    def _accept(self, cleanup: ExitStack) -> None:
        """Accept connections on every listener, and tell the master."""
        for listener, kind in zip(self.sockets, self._kinds(), strict=True):
            server = self._server_on(listener, kind)
            self._accepting.append(server)
            cleanup.callback(server.stop)
            cleanup.callback(self._stop_accepting)
            server.start()
        path = self._application.seat.hand_over_path
        if self._keeps and path is not None:
            parts = self._application.runtime.parts
            context = replace(self.server_context)
            cleanup.enter_context(
                await_successor(path, parts, context, self.connections)
            )
        cleanup.callback(self._gc_runner.stop)
        self._gc_runner.start()
        view = self._application.seat.view
        if view is not None and not self._keeps:
            view.store_accepts(self._application.options.limits.max_connections_each)
        self._application.worker_pipe.write(READY, self.ppid)

    def _kinds(self) -> Sequence[ListenerKind]:
        """What is spoken at each of the listeners; at a keeper's, plain HTTP."""
        if self._keeps:
            return [PLAIN] * len(self.sockets)
        options, tls = self._application.options, self._application.tls
        kinds = [
            ListenerKind(proxied, secured)
            for address, proxied, secured in zip(
                options.listen, options.proxy_protocol, tls, strict=True
            )
            for _ in every_interface(address)
        ]
        return kinds_for(kinds, self.sockets)

    @property
    def _keeps(self) -> bool:
        """Whether this process is a keeper."""
        return self._application.seat.place.role is Role.KEEPER

    @property
    def _hands_over(self) -> bool:
        """Whether a successor may ask for what is held here."""
        return self._keeps and self._retired

    def _wait(self) -> None:
        """Give a sign of life each second, until told to stop."""
        assert self._told is not None
        clock, options = self.server_context.clock, self._application.options
        recycling = Recycling(options.recycle, clock.monotonic())
        while self.alive:
            if os.getppid() != self.ppid:
                self._master_died()
                return
            self.notify()
            if recycling.enabled:
                self._ask_for_successor(recycling)
            self._told.wait(HEARTBEAT_SECONDS)

    def _master_died(self) -> None:
        """Nobody replaces or ends this process any more: it leaves, and its addresses
        are free at once, for a new master. A keeper's is nobody else's: it serves on
        until its fronts have left."""
        _log.error("the master has died: draining")
        self._await_fronts()
        self._retired = True
        self._stop_accepting()

    def _await_fronts(self) -> None:
        """In a keeper: until no front is there, or each had the time to drain."""
        node, options = self._node if self._keeps else None, self._application.options
        ends = time.monotonic() + HEARTBEAT_SECONDS + options.grace + options.idle_grace
        while node is not None and self.alive and time.monotonic() < ends:
            if not self.connections and not node.has_fronts():
                break
            self.notify()
            gevent.sleep(DRAIN_SECONDS)

    def notify(self) -> None:
        """Give a sign of life. See gunicorn, whose own would end the process here, in
        the middle of all answers, where the master has died."""
        self.tmp.notify()

    def _ask_for_successor(self, recycling: Recycling) -> None:
        """Ask the master for a successor, if it is time."""
        context = self.server_context
        requests, memory = requests_of(context.counters), resident()
        reason = recycling.judge(context.clock.monotonic(), requests, memory)
        if reason is not None:
            said = "asking to be replaced: %s (%d requests, %d MiB)"
            _log.info(said, reason.value, requests, memory >> 20)
            self._application.worker_pipe.write(reason.value, self.ppid)

    def _drain(self) -> None:
        """Let every connection finish, within ``grace`` seconds. See the module."""
        runtime, options = self._application.runtime, self._application.options
        begun, idle_grace = time.monotonic(), min(options.idle_grace, options.grace)
        if self._keeps:
            # Only fronts close idle link connections (W12).
            idle_grace = options.grace
        view = self._application.seat.view
        if view is not None:
            view.store_accepts(0)
            view.store_leaves()
        _log.info("draining %d connections", len(self.connections))
        self.server_context.draining = True
        runtime.drain(options.grace)
        gevent.sleep(0)
        self._stop_accepting()
        self._await_ends(begun, begun + options.grace, idle_grace)
        if self.connections:
            runtime.let_go()
            # From now, not from the end of the grace: this may be late.
            self._await_ends(begun, time.monotonic() + idle_grace, idle_grace)
            self._dismiss_idle(time.monotonic())
        if self.connections:
            _log.warning("cutting %d connections", len(self.connections))

    def _await_ends(self, begun: float, ends: float, idle_grace: float) -> None:
        """Wait until every connection has ended, but not beyond ``ends``. Those that
        were idle for ``idle_grace`` since the drain has ``begun`` are closed."""
        quiet_since = begun
        while (now := time.monotonic()) < ends:
            if self.connections:
                quiet_since = now
            elif not self._hands_over or now >= quiet_since + HAND_OVER_SECONDS:
                break
            self.notify()
            if now >= begun + idle_grace:
                self._dismiss_idle(now - idle_grace)
            gevent.sleep(DRAIN_SECONDS)

    # Connections.

    def _server_on(self, listener: Any, kind: ListenerKind) -> ConnectionServer:
        listener.setblocking(True)
        if listener.family != socket.AF_UNIX:
            for level, name, value in _SOCKET_OPTIONS:
                listener.setsockopt(level, name, value)
        context, fast = self.server_context, self.fast_context
        return server_on(listener, context, fast, self.connections, kind)

    def _stop_accepting(self) -> None:
        while self._accepting:
            self._accepting.pop().close()

    def _dismiss_idle(self, since: float) -> None:
        """Close those that are idle since then, or for longer."""
        for connection in tuple(self.connections):
            idle_since = connection.idle_since
            if idle_since is not None and idle_since <= since:
                connection.dismiss()

    # The admin address.

    def _admin_routes(self) -> list[AdminRoute]:
        """The pages of the admin address, each from the part that knows its content."""
        runtime, node = self._application.runtime, self._node
        parts, control = runtime.parts, runtime.control
        about = About(__version__, parts.options.node.name, self._application.began)
        told = self._status if node is None else node.status
        book = ReloadDesk(self._application.reloads, self.ppid, self._unready)
        status = StatusPage(about, told, self._unready, parts.clock, book.history)
        reloads, self._feed = ReloadPages(book), StatusFeed(status.document)
        more = reloads.metrics, status.metrics
        common = [
            *probes(self._unready),
            *RevocationPage(runtime.revoker).routes(),
            *status.routes(),
            *reloads.routes(),
            *SettingsPage(self._application.shown_settings).routes(),
            *DashboardPages(self._feed).routes(),
        ]
        if node is not None:
            return [*common, *node.routes(*more)]
        return [
            *common,
            *Metrics(parts.counters, self._gauges, *more).routes(),
            *StreamPages(AloneStreams(control), parts.routes).routes(),
            *PurgePages(AlonePurges(control), parts.routes, parts.counters).routes(),
        ]

    def _status(self) -> NodeStatus:
        """What there is to tell of a worker that is alone."""
        gauges, place = self._gauges(), self._application.seat.place
        process = ProcessStatus(
            place.name,
            place.role,
            os.getpid(),
            self._began,
            None,
            resident(),
            len(self.connections),
            int(gauges["viewers"]),
        )
        counters = self._application.runtime.parts.counters.snapshot()
        return NodeStatus(counters, gauges, (process,), self._faults.runs)

    def _unready(self) -> Reason | None:
        """Why this node cannot answer reads, or will not be able to; None: it can. A
        retired worker says that: its successor can."""
        runtime = self._application.runtime
        if self._leaving or not (self._retired or runtime.ready()):
            return Reason.DRAINING
        return None if self._node is None else self._node.unready()

    def _gauges(self) -> dict[str, float]:
        return {
            **self._application.runtime.control.gauges(),
            **self._gc_runner.gauges(),
            "connections": len(self.connections),
            "connections_limit": self._application.options.limits.max_connections,
            **expiry_of(() if self._keeps else self._application.tls),
        }

    # Signals.

    def init_signals(self) -> None:
        """See gunicorn. A hang-up of the terminal is the master's to handle."""
        super().init_signals()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(RETIRE, self._handle_retire)
        signal.siginterrupt(RETIRE, False)

    def _handle_retire(self, sig: int, frame: FrameType | None) -> None:
        """A successor serves: drain and end."""
        self._retired = True
        self.handle_exit(sig, frame)

    def handle_usr1(self, sig: int, frame: FrameType | None) -> None:
        """LEAVE: the edge will end. Readiness says no, all else goes on."""
        self._leaving = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGTERM: drain and end. See gunicorn."""
        super().handle_exit(sig, frame)
        if self._told is not None:
            self._told.set()
