"""AdminServer: the admin address of one worker, served on a socket of its own.

gevent's own WSGI server, without logs: few clients ask, every few seconds. The master
binds the socket before it forks, so a taken address is an error at the start. A retired
worker stops accepting here once its successor serves. Otherwise a scraper would get
both by turns while the old one drains.
"""

import logging
import os
import socket
from collections.abc import Collection, Sequence

from gevent import socket as gevent_socket
from gevent.pool import Pool
from gevent.pywsgi import WSGIServer

from edge.admin.app import create_admin_app
from edge.admin.routes import AdminRoute
from edge.admin.status_feed import StatusFeed
from edge.core.counters import Counters
from edge.front.accepting import PausingServer

MAX_CONNECTIONS = 32
STOP_SECONDS = 1
"""How long an answer under way may take once the server stops, if nothing else is said:
no page of one worker waits for anybody."""


class _Listener(PausingServer, WSGIServer):
    """gevent's server, which rests without descriptors."""


class AdminServer:
    """Serves the pages that the parts of one worker contribute. ``feed`` is what those
    read who watch."""

    def __init__(
        self,
        routes: Sequence[AdminRoute],
        token: str | None,
        names: Collection[str],
        counters: Counters,
        stop_seconds: float = STOP_SECONDS,
        feed: StatusFeed | None = None,
    ) -> None:
        self._stop_seconds = stop_seconds
        self._feed = feed
        self._routes = routes
        self._token = token
        self._names = names
        self._counters = counters
        self._server: _Listener | None = None

    def start(self, bound: socket.socket | None) -> None:
        """Accept on a copy of the master's socket; None: there is no address."""
        if bound is None:
            return
        family, kind = bound.family, bound.type
        # No name leads to a socket file.
        names = None if family == socket.AF_UNIX else self._names
        # gevent would look up a name for the address, and wait for it.
        told = None if names is None else {"SERVER_NAME": bound.getsockname()[0]}
        listener = gevent_socket.socket(family, kind, fileno=os.dup(bound.fileno()))
        server = self._server = _Listener(
            listener,
            create_admin_app(self._routes, self._token, names),
            log=None,
            error_log=logging.getLogger("edge.admin"),
            spawn=Pool(MAX_CONNECTIONS),
            environ=told,
        )
        server.counters = self._counters
        server.start()

    def stop(self) -> None:
        """Stop accepting; answers under way may end, and those without an end do.
        Idempotent."""
        if self._feed is not None:
            self._feed.end()
        server, self._server = self._server, None
        if server is not None:
            server.stop(timeout=self._stop_seconds)
