"""EdgeApplication: gunicorn's application, configured as this edge needs it.

Wiring gives a factory; ``load`` calls it in the worker, after fork and patch,
so that no part ever crosses a fork. Every default of gunicorn's that does not
fit is set here and nowhere else, and nothing of gunicorn's own configuration
files, environment or command line is read.

The monkey patch must be the first statement of the entry module; this module
is imported long after it.
"""

import math
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gunicorn import util
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from edge.front.app.app import WsgiApp, create_app
from edge.front.dependencies import Runtime
from edge.front.log_writer import configure, put_now
from edge.front.options import ServerOptions
from edge.process.arbiter import EdgeArbiter
from edge.process.worker import REFUSALS_AT_ONCE, EdgeWorker
from edge.process.worker_pipe import WorkerPipe

MARGIN = 3
"""Seconds that the master waits longer than a worker's own grace."""


class PlainLogger(Logger):
    """gunicorn's own messages by way of the standard logging, like all others."""

    def setup(self, cfg: Any) -> None:
        """See gunicorn. Handlers and levels are the root logger's."""
        self.cfg = cfg
        self._access_log_enabled = False
        for log in (self.error_log, self.access_log):
            log.handlers.clear()
            log.propagate = True

    def access(self, *_args: Any) -> None:
        """The edge writes its own."""

    def reopen_files(self) -> None:
        """There are none: lines go to standard error."""

    def close_on_exec(self) -> None:
        """There are none."""


def gunicorn_settings(options: ServerOptions) -> dict[str, Any]:
    """What gunicorn is told. Each line that is not obvious says why."""
    limits = options.limits
    return {
        "bind": options.listen,
        "workers": options.workers,
        "worker_class": EdgeWorker,
        "worker_connections": limits.max_connections + REFUSALS_AT_ONCE,
        "timeout": options.heartbeat,
        "graceful_timeout": math.ceil(options.grace) + MARGIN,
        "keepalive": math.ceil(limits.idle_timeout),
        "limit_request_line": limits.request_line,
        "limit_request_fields": limits.fields,
        "limit_request_field_size": limits.field_size,
        # The C parser is laxer on odd heads, and would be taken if installed.
        "http_parser": "python",
        # One path for all instances of a user; they would fight for it.
        "control_socket_disable": True,
        # No proxy is trusted to say what a request was before it came here.
        "forwarded_allow_ips": "",
        "forwarder_headers": "",
        "secure_scheme_headers": {},
        "header_map": "drop",
        "proxy_protocol": "off",
        "logger_class": PlainLogger,
        "accesslog": None,
        "proc_name": "ds-edge",
        "backlog": 4096,
    }


@dataclass(frozen=True, slots=True)
class Plan:
    """What workers are made of, and how the process goes by it."""

    make: Callable[[], Runtime]
    options: ServerOptions


class EdgeApplication(BaseApplication):
    """Runs an edge: ``EdgeApplication(plan).run()`` does not return.

    ``again`` is called for each reload: the plan from then on, or None once it has
    said why there is none. Addresses and the number of workers stay what they are.
    """

    built: Runtime
    admin_socket: socket.socket | None = None

    def __init__(
        self, plan: Plan, again: Callable[[], Plan | None] | None = None
    ) -> None:
        self._plan = self._before = plan
        self._again = again or (lambda: plan)
        self.worker_pipe = WorkerPipe()
        self.replaced: Mapping[str, int] = {}
        configure(plan.options.log, put_now)
        super().__init__()

    @property
    def options(self) -> ServerOptions:
        """What is in force."""
        return self._plan.options

    def run(self) -> None:
        """Become the master. See gunicorn."""
        try:
            EdgeArbiter(self).run()
        except RuntimeError as error:
            print(f"\nError: {error}\n", file=sys.stderr, flush=True)
            sys.exit(1)

    def renew(self) -> bool:
        """See ``edge.process.arbiter.Turning``."""
        plan = self._again()
        if plan is None:
            return False
        self._before, self._plan = self._plan, plan
        self._go_by_plan()
        return True

    def revert(self) -> None:
        """See ``edge.process.arbiter.Turning``."""
        self._plan = self._before
        self._go_by_plan()

    def _go_by_plan(self) -> None:
        configure(self.options.log, put_now)
        self.do_load_config()

    def load_config(self) -> None:
        """See gunicorn. Reads nothing but the options given."""
        for name, value in gunicorn_settings(self.options).items():
            self.cfg.set(name, value)
        self.cfg.set("on_starting", self._bind_admin)

    def load(self) -> WsgiApp:  # type: ignore[override]
        """Build this worker's parts. Called in the worker, once."""
        self.built = self._plan.make()
        return create_app(self.built.parts)

    def _bind_admin(self, _arbiter: Any) -> None:
        """Bind the admin address in the master, before any worker is forked."""
        if self.options.admin:
            self.admin_socket = bind(self.options.admin)


def bind(address: str) -> socket.socket:
    """A listening socket on ``host:port`` or ``unix:/path``, or ``fd://`` as it is.

    Raises RuntimeError, which gunicorn shows as it is, when it cannot be had.
    """
    parsed = util.parse_address(address)
    if isinstance(parsed, int):
        return socket.socket(fileno=parsed)
    try:
        return _listening(parsed)
    except OSError as error:
        raise RuntimeError(f"cannot listen on {address}: {error.strerror}") from error


def _listening(address: str | tuple[str, int]) -> socket.socket:
    if isinstance(address, str):
        # What a process left that died is taken over, as gunicorn does.
        if Path(address).is_socket():
            Path(address).unlink()
        family = socket.AF_UNIX
    else:
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener
