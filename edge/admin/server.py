"""AdminServer: the operator's application on its own socket, in the worker.

gevent's own server, small and without logs: what it serves is asked for every
few seconds by few. The socket is bound by the master before it forks, so that
a taken address is an error at the start; a worker that is relieved stops accepting
there once its successor serves, so that a scraper does not get both in turns while
it drains.
"""

import logging
import os
import socket
from collections.abc import Callable

from gevent import socket as gevent_socket
from gevent.pool import Pool
from gevent.pywsgi import WSGIServer

from edge.admin.app import AdminParts, create_operator_app
from edge.admin.metrics import Gauges, Metrics
from edge.front.dependencies import Runtime
from edge.front.options import ServerOptions

_AT_ONCE = 32


class AdminServer:
    """Serves health, readiness and metrics of one worker."""

    def __init__(
        self,
        built: Runtime,
        options: ServerOptions,
        gauges: Gauges,
        ready: Callable[[], bool],
    ) -> None:
        metrics = Metrics(built.parts.counters, gauges)
        parts = AdminParts(metrics, ready, options.admin_token)
        self._app = create_operator_app(parts)
        self._server: WSGIServer | None = None

    def start(self, bound: socket.socket | None) -> None:
        """Accept on a copy of the master's socket; None: there is no address."""
        if bound is None:
            return
        family, kind = bound.family, bound.type
        listener = gevent_socket.socket(family, kind, fileno=os.dup(bound.fileno()))
        self._server = WSGIServer(
            listener,
            self._app,
            log=None,
            error_log=logging.getLogger("edge.admin"),
            spawn=Pool(_AT_ONCE),
        )
        self._server.start()

    def stop(self) -> None:
        """Stop accepting; what is being answered may end. Idempotent."""
        server, self._server = self._server, None
        if server is not None:
            server.stop(timeout=1)
