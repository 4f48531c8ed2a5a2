"""The server: listens, accepts as many connections as it may, and ends them.

gevent's StreamServer with a greenlet for each connection, which ``connection`` serves.
A web server of its own is less code here than one that speaks WSGI: streams need no
routes, and their bodies are read and sent in pieces. A server that stops finishes what
was begun and keeps no idle connection.
"""

import errno
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import gevent
from gevent import socket
from gevent.pool import Pool
from gevent.server import StreamServer

from edge.core.accepting import EXHAUSTED, AcceptPause
from edge.core.errors import Refusal
from origin_adapter.embedded.http.connection import Connection, refuse
from origin_adapter.embedded.http.exchange import ServerRequest, ServerResponse

_log = logging.getLogger(__name__)


class OriginServer(StreamServer):
    """Listens on a TCP or a Unix socket, and answers requests with ``app``.

    ``max_connections`` is the limit of all connections. See ``ConnectionHost``.
    """

    def __init__(
        self,
        sock: socket.socket,
        app: Callable[[ServerRequest], ServerResponse],
        max_connections: int,
        send_timeout: float,
    ) -> None:
        self._handlers = Pool()
        self._pause = AcceptPause(gevent.get_hub().loop, self._accept_again)
        super().__init__(sock, spawn=self._handlers)
        self._app = app
        self.max_connections = max_connections
        self.send_timeout = send_timeout
        self.host = address_of(sock)
        self.idle: set[socket.socket] = set()
        self.draining = False

    def do_read(self) -> Any:
        """A connection; None when there is none, or no descriptor for it. Then it
        rests, where gevent would write a traceback each time."""
        try:
            return super().do_read()
        except OSError as error:
            if error.errno not in EXHAUSTED:
                raise
        self.stop_accepting()
        if self._pause.begin(self.loop.now()):
            _log.warning("too many open files: accepting nothing for a moment")
        return None

    def close(self) -> None:
        """See gevent."""
        self._pause.end()
        super().close()

    def _accept_again(self) -> None:
        if self.started:
            self.start_accepting()

    def handle(self, sock: socket.socket, address: Any) -> None:
        """One connection, or its refusal."""
        if len(self._handlers) > self.max_connections:
            refuse(sock, Refusal("too many connections"))
            return
        client = ""
        if isinstance(address, tuple):
            client = plain_address(str(address[0]))
            patience = int(self.send_timeout * 1000)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, patience)
        Connection(sock, client, self, self._app).serve()

    def drain(self) -> None:
        """Accept no more connections, and close the idle ones."""
        self.draining = True
        self.close()
        for sock in list(self.idle):
            # What has arrived by now is still read and answered.
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RD)


def address_of(sock: socket.socket) -> str:
    """Where a socket listens, as it stands in a URL; ``unix:PATH`` for a Unix one."""
    name = sock.getsockname()
    if isinstance(name, str):
        return f"unix:{name}"
    host = f"[{name[0]}]" if ":" in name[0] else name[0]
    return f"{host}:{name[1]}"


def plain_address(text: str) -> str:
    """A client's address. IPv4 that came through a socket of both families is IPv4."""
    mapped = text.removeprefix("::ffff:")
    return mapped if "." in mapped and ":" not in mapped else text


def listen(address: str, backlog: int = 2048) -> socket.socket:
    """A listening socket for ``HOST:PORT`` or ``unix:PATH``. Raises OSError.

    Without a host on every interface, by IPv6 and IPv4 as far as there is either.
    A socket file that a dead process left behind is replaced; that of a living one is
    not.
    """
    if address.startswith("unix:"):
        return _listen_unix(address.removeprefix("unix:"), backlog)
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if not host and socket.has_dualstack_ipv6():
        host = "::"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if host == "::":
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.bind((host, int(port)))
    sock.listen(backlog)
    return sock


def _listen_unix(path: str, backlog: int) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        probe.connect(path)
    except FileNotFoundError:
        pass
    except ConnectionRefusedError:
        os.unlink(path)
    else:
        sock.close()
        raise OSError(errno.EADDRINUSE, "another server listens", path)
    finally:
        probe.close()
    sock.bind(path)
    sock.listen(backlog)
    return sock
