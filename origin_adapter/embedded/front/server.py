"""The server: gevent's pywsgi with strict heads, time-outs and raw paths.

pywsgi was chosen over gunicorn's gevent worker by measuring (7,000 against
5,500 small appends a second here) and because a keep has one process: there is
nothing for a master to manage. Its parser is replaced by ``front.heads``; its
connection loop, chunked bodies and responses stay.
"""

import errno
import os
from http import HTTPStatus
from typing import Any, Literal

import gevent
from gevent import socket
from gevent.pywsgi import Input, WSGIHandler, WSGIServer

from origin_adapter.embedded.front.heads import (
    MAX_FIELDS,
    MAX_HEAD,
    BadHead,
    Head,
    parse,
    parse_line,
)

IDLE_TIMEOUT = 75.0
HEAD_TIMEOUT = 10.0
MAX_LINE = 16384
MAX_DISCARD = 1024 * 1024
SEND_TIMEOUT_MS = 30_000


class TooSlow(OSError):
    """A client that keeps a connection and sends nothing. pywsgi closes it."""


class Body(Input):
    """A request's body. What nobody reads is skipped, up to a bound."""

    __slots__ = ("abandoned",)

    def _discard(self) -> None:
        """Called after every response; ``abandoned``: the rest is still coming."""
        self.abandoned = True
        left = MAX_DISCARD
        while left > 0:
            piece = self.read(min(left, 65536))
            if not piece:
                self.abandoned = False
                return
            left -= len(piece)


class Handler(WSGIHandler):
    """One connection."""

    head: Head

    def __init__(self, sock: socket.socket, address: str, server: WSGIServer) -> None:
        super().__init__(sock, address, server)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(
                socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SEND_TIMEOUT_MS
            )

    def handle_one_request(self) -> tuple[str, bytes] | Literal[True] | None:
        """One request; None: the connection is over; a pair: a refused head."""
        try:
            line = self._request_line()
        except OSError:
            return None
        if not line:
            return None
        self.response_length = 0
        try:
            self._read_head(line)
        except BadHead as bad:
            return str(bad.status), _refusal(bad)
        except OSError:
            return None
        self.environ = self.get_environ()
        self.application = self.server.application
        self.handle_one_response()
        return None if self.close_connection or self.rfile.closed else True

    def _request_line(self) -> bytes:
        with gevent.Timeout(IDLE_TIMEOUT, TooSlow()):
            return self.rfile.readline(MAX_LINE)

    def _read_head(self, raw: bytes) -> None:
        """The head. Raises BadHead."""
        self.requestline = raw.decode("latin-1").rstrip()
        self.request_version = "HTTP/1.1"
        if len(raw) >= MAX_LINE:
            raise BadHead("the request line is too long", 414)
        line = parse_line(raw)
        with gevent.Timeout(HEAD_TIMEOUT, BadHead("the head is too slow", 408)):
            self.head = parse(line, self._field_lines())
        self.command = line.method
        self.path = line.target
        self.request_version = "HTTP/1.1" if line.http11 else "HTTP/1.0"
        self.close_connection = not self.head.keep_alive

    def _field_lines(self) -> list[bytes]:
        lines: list[bytes] = []
        left = MAX_HEAD
        while True:
            line: bytes = self.rfile.readline(left)
            left -= len(line)
            if line == b"\r\n":
                return lines
            if not line:
                raise BadHead("the head ended early")
            if left <= 0 or len(lines) == MAX_FIELDS:
                raise BadHead("the head is too large", 431)
            lines.append(line)

    def get_environ(self) -> dict[str, Any]:
        """The WSGI environment, with the path as it was sent."""
        env: dict[str, Any] = self.server.get_environ()
        path, _, query = self.head.line.target.partition("?")
        address: object = self.client_address
        env["REQUEST_METHOD"] = self.head.line.method
        env["SCRIPT_NAME"] = ""
        env["PATH_INFO"] = path
        env["QUERY_STRING"] = query
        env["SERVER_PROTOCOL"] = self.request_version
        env["ds.repeated"] = self.head.repeated
        if isinstance(address, tuple):
            env["REMOTE_ADDR"] = str(address[0])
        for name, value in self.head.fields.items():
            if "_" not in name:
                env["HTTP_" + name.replace("-", "_").upper()] = value
        for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            if (said := env.pop("HTTP_" + name, None)) is not None:
                env[name] = said
        expects = env.get("HTTP_EXPECT", "").lower() == "100-continue"
        self.wsgi_input = Body(
            self.rfile,
            self.head.length,
            socket=self.socket if expects else None,
            chunked_input=self.head.chunked,
        )
        env["wsgi.input"] = self.wsgi_input
        env["wsgi.input_terminated"] = True
        return env

    def handle_one_response(self) -> None:
        """Answer, and keep the connection only when the body was taken."""
        super().handle_one_response()
        if getattr(self.wsgi_input, "abandoned", False):
            self.close_connection = True

    def finalize_headers(self) -> None:
        """pywsgi's fields, but no length for HEAD: it is not known unread."""
        if self.command == "HEAD":
            self.provided_content_length = "unsaid"
        super().finalize_headers()


class Server(WSGIServer):
    """Listens on a TCP or a Unix socket."""

    handler_class = Handler


def _refusal(bad: BadHead) -> bytes:
    """The whole answer to a head that cannot be read; the connection closes."""
    phrase = HTTPStatus(bad.status).phrase
    return (
        f"HTTP/1.1 {bad.status} {phrase}\r\nConnection: close\r\n"
        "Content-Length: 0\r\nX-Content-Type-Options: nosniff\r\n"
        "Cross-Origin-Resource-Policy: cross-origin\r\n"
        "Access-Control-Allow-Origin: *\r\nCache-Control: no-store\r\n\r\n"
    ).encode()


def listen(address: str, backlog: int = 2048) -> socket.socket:
    """A listening socket for ``HOST:PORT`` or ``unix:PATH``. Raises OSError.

    A socket file that a dead process left behind is replaced; a living one's
    is not.
    """
    if address.startswith("unix:"):
        return _listen_unix(address.removeprefix("unix:"), backlog)
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
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
