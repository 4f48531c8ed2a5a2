"""EdgeApplication: gunicorn's application, configured as this edge needs it.

Wiring gives a factory. ``load`` calls it in the worker, after fork and patch, so no
object that it makes crosses a fork. Every default of gunicorn that does not fit is
changed here and nowhere else. gunicorn's own configuration files, environment variables
and command line are not read.

The entry module must have monkey-patched before it imports this one.
"""

import codecs
import logging
import math
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import gevent
from gunicorn import util
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from edge.core.values import Role
from edge.front.app.app import WsgiApp, create_app
from edge.front.dependencies import Runtime
from edge.front.log import configure, put_now
from edge.front.options import LogOptions
from edge.front.tls import ListenerTls
from edge.process.arbiter import EdgeArbiter, Renewal
from edge.process.connection_servers import MAX_REFUSED_CONNECTIONS
from edge.process.heartbeat import heartbeat_folder
from edge.process.interfaces import every_interface
from edge.process.open_node import OpenNode
from edge.process.options import ServerOptions
from edge.process.reload_book import ReloadBook
from edge.process.seat import ALONE, Seat
from edge.process.systemd import ServiceManager
from edge.process.worker import EdgeWorker
from edge.process.worker_pipe import WorkerPipe

MASTER = "master"
"""The name of the master in the log, where there are several processes."""

GRACE_MARGIN_SECONDS = 3
"""The master waits this much longer than a worker's own grace."""


_log = logging.getLogger("edge.process")


class PlainLogger(Logger):
    """gunicorn's own messages, through the standard logging like all others."""

    def setup(self, cfg: Any) -> None:
        """See gunicorn. Handlers and levels are the root logger's."""
        self.cfg = cfg
        self._access_log_enabled = False
        for log in (self.error_log, self.access_log):
            log.handlers.clear()
            log.propagate = True

    def info(self, msg: object, *args: Any, **kwargs: Any) -> None:
        """Not where it listens: it writes ``http://`` whatever is spoken there. The
        edge says that itself, once it accepts connections (``edge.cli.start``)."""
        if not str(msg).startswith("Listening at: "):
            super().info(msg, *args, **kwargs)

    def access(self, *_args: Any) -> None:
        """Nothing: the edge writes its own access log."""

    def reopen_files(self) -> None:
        """There are none: lines go to standard error."""

    def close_on_exec(self) -> None:
        """There are none."""


def gunicorn_settings(options: ServerOptions) -> dict[str, Any]:
    """gunicorn's settings. Each line that is not obvious says why."""
    limits = options.limits
    return {
        "bind": [one for each in options.listen for one in every_interface(each)],
        "workers": options.workers + options.keepers,
        "worker_class": EdgeWorker,
        "worker_connections": limits.max_connections + MAX_REFUSED_CONNECTIONS,
        "timeout": options.heartbeat,
        "graceful_timeout": math.ceil(options.grace) + GRACE_MARGIN_SECONDS,
        "keepalive": math.ceil(limits.idle_timeout),
        # The whole head is bounded while it is read (limits.head): 0 is no limit, and
        # for a field there is no such word.
        "limit_request_line": 0,
        "limit_request_fields": limits.fields,
        "limit_request_field_size": limits.head,
        # The C parser is laxer on odd heads, and gunicorn would use it if installed.
        "http_parser": "python",
        # One path for all instances of a user: they would fight for it.
        "control_socket_disable": True,
        # No proxy is trusted to describe a request as it was before it came here.
        "forwarded_allow_ips": "",
        "forwarder_headers": "",
        "secure_scheme_headers": {},
        "header_map": "drop",
        "proxy_protocol": "off",
        "logger_class": PlainLogger,
        "accesslog": None,
        "proc_name": "ds-edge",
        # Not in /tmp, which is often read-only: files that only give signs of life.
        "worker_tmp_dir": heartbeat_folder(),
        "backlog": 4096,
    }


def import_what_comes_late() -> None:
    """Import what libraries import when they first need it. A package may be upgraded
    while the edge runs: processes that are forked after that need nothing of it."""
    codecs.lookup("idna")
    # gevent's choice of who looks up names.
    getattr(gevent.config, "resolver")  # noqa: B009


@dataclass(frozen=True, slots=True)
class Plan:
    """How a worker builds its parts, and the options of the process. ``tls`` says for
    each of ``options.listen`` how TLS is spoken there; none at all: nowhere.
    ``settings`` are what the plan was made of: who makes plans knows them by that.
    ``shown`` gives them for people, without secrets."""

    build: Callable[[Seat], Runtime]
    options: ServerOptions
    tls: tuple[ListenerTls | None, ...] = ()
    settings: object = None
    shown: Callable[[], Mapping[str, object]] = dict


class NextPlan(NamedTuple):
    """What to go on with after a reload: ``plan`` is None where ``renewal`` says why
    there is no new one."""

    plan: Plan | None
    renewal: Renewal


class EdgeApplication(BaseApplication):
    """Runs an edge: ``EdgeApplication(plan).run()`` does not return.

    ``replan`` is called for each reload, with the plan in force. It returns the plan
    to use from then on, or why there is none, which it has logged. Addresses and the
    number of workers stay. ``serving`` is called once the edge accepts connections.
    ``node`` is what several processes share, None where there is one worker; it is
    closed at the end.
    """

    runtime: Runtime
    seat: Seat = ALONE
    admin_socket: socket.socket | None = None

    def __init__(
        self,
        plan: Plan,
        replan: Callable[[Plan], NextPlan] | None = None,
        serving: Callable[[], None] | None = None,
        node: OpenNode | None = None,
    ) -> None:
        self.node = node
        self.began = time.monotonic()
        self.manager = ServiceManager()
        self._serving = serving
        self._plan = self._previous = plan
        self._replan = replan or (lambda _before: NextPlan(plan, Renewal()))
        self.worker_pipe = WorkerPipe()
        self.reloads = ReloadBook()
        self.replaced: Mapping[str, int] = {}
        configure(self._log_options(MASTER), put_now)
        import_what_comes_late()
        super().__init__()

    @property
    def options(self) -> ServerOptions:
        """The options in force."""
        return self._plan.options

    @property
    def shown_settings(self) -> Callable[[], Mapping[str, object]]:
        """Gives the settings in force, without secrets."""
        return self._plan.shown

    @property
    def tls(self) -> tuple[ListenerTls | None, ...]:
        """How TLS is spoken at each of the addresses to listen at."""
        return self._plan.tls or (None,) * len(self.options.listen)

    def run(self) -> None:
        """Become the master. See gunicorn."""
        try:
            EdgeArbiter(self).run()
        except RuntimeError as error:
            _log.error("%s", error)
            sys.exit(1)
        finally:
            # In a child, too: it was forked in there. It removes nothing.
            if self.node is not None:
                self.node.close()

    def serving(self) -> None:
        """See ``edge.process.arbiter.Reloadable``."""
        if self._serving is not None:
            self._serving()

    def renew(self) -> Renewal:
        """See ``edge.process.arbiter.Reloadable``."""
        plan, renewal = self._replan(self._plan)
        if plan is not None:
            self._previous, self._plan = self._plan, plan
            self._apply()
        return renewal

    def revert(self) -> None:
        """See ``edge.process.arbiter.Reloadable``."""
        self._plan = self._previous
        self._apply()

    def _apply(self) -> None:
        configure(self._log_options(MASTER), put_now)
        self.do_load_config()

    def _log_options(self, process: str) -> LogOptions:
        """Those of one process: with its name, if there are several."""
        log = self.options.log
        return log if self.node is None else replace(log, process=process)

    @property
    def log_options(self) -> LogOptions:
        """Those of the process that sits in ``seat``. Requests of fronts to keepers are
        no requests of clients: they have no lines."""
        place = self.seat.place
        log = self._log_options(place.name)
        return replace(log, access=0) if place.role is Role.KEEPER else log

    def load_config(self) -> None:
        """See gunicorn. Reads nothing but the options given."""
        for name, value in gunicorn_settings(self.options).items():
            self.cfg.set(name, value)
        self.cfg.set("on_starting", self._bind_admin)
        self.cfg.set("pre_fork", self._forking)
        self.cfg.set("post_fork", self._forked)

    def load(self) -> WsgiApp:  # type: ignore[override]
        """Build this worker's parts. Called in the worker, once."""
        self.seat = self.seat.taken()
        self.runtime = self._plan.build(self.seat)
        return create_app(self.runtime.parts)

    def _forking(self, _arbiter: EdgeArbiter, _worker: Any) -> None:
        """In the master. What gunicorn says of the child in the child, it says before
        anybody is asked: so it has its name already."""
        if self.node is not None:
            configure(self.log_options, put_now)

    def forked_off(self) -> None:
        """In the master, once the child is on its own: its own name again."""
        if self.node is not None:
            configure(self._log_options(MASTER), put_now)

    def _forked(self, arbiter: EdgeArbiter, worker: Any) -> None:
        """In the child, before anything else."""
        if self.node is None:
            return
        configure(self.log_options, put_now)
        arbiter.forked(worker, self.seat.place)
        if self.seat.place.role is Role.KEEPER and self.admin_socket is not None:
            self.admin_socket.close()
            self.admin_socket = None

    def _bind_admin(self, _arbiter: Any) -> None:
        """Bind the admin address in the master, before any worker is forked."""
        if self.options.admin:
            self.admin_socket = bind(self.options.admin)


def bind(address: str) -> socket.socket:
    """A listening socket on ``host:port`` or ``unix:/path``; ``fd://n`` is taken as is.

    Raises RuntimeError when the address cannot be had; gunicorn shows its message.
    """
    parsed = util.parse_address(every_interface(address)[0])
    if isinstance(parsed, int):
        return socket.socket(fileno=parsed)
    try:
        return _listening(parsed)
    except OSError as error:
        raise RuntimeError(f"cannot listen on {address}: {error.strerror}") from error


def _listening(address: str | tuple[str, int]) -> socket.socket:
    if isinstance(address, str):
        # A socket that a dead process left is replaced, as gunicorn does.
        if Path(address).is_socket():
            Path(address).unlink()
        family = socket.AF_UNIX
    else:
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address[0] == "::":
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(address)
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener
