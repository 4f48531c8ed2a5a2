"""The server: gevent's pywsgi with strict heads, time-outs and raw paths.

pywsgi was chosen over gunicorn's gevent worker for two reasons: it was faster (7,000
against 5,500 small appends a second here), and a store has one process, so there is
nothing for a master to manage. Its parser is replaced by ``request_head``; its
connection loop, chunked bodies and responses stay.

Every wait for a client is bounded: for a request to begin, for its head, for the part
of its body that no handler reads, and for some of an answer to be taken. A server that
stops finishes what was begun and keeps no idle connection.
"""

import errno
import logging
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Literal

import gevent
from gevent import socket
from gevent.pool import Pool
from gevent.pywsgi import Input, WSGIHandler, WSGIServer

from edge.core.accepting import EXHAUSTED, AcceptPause
from edge.core.errors import ClientFault, EdgeError, Refusal
from origin_adapter.embedded.http import request_head
from origin_adapter.embedded.http.request_head import HeardHead

IDLE_TIMEOUT = 75.0
HEAD_TIMEOUT = 10.0
DISCARD_TIMEOUT = 5.0
REFUSE_TIMEOUT = 1.0
MAX_LINE = request_head.MAX_HEAD
MAX_DISCARD = 1024 * 1024
MAX_COPIED = 65536
"""An answer of at most so many bytes is copied, to go out together with its head."""

_log = logging.getLogger(__name__)

_WRITE_WITH_HEADERS = vars(WSGIHandler)["_write_with_headers"]
# A seam of pywsgi that its stubs do not know. Tests hold it.
Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


class TooSlow(OSError):
    """A client that keeps a connection and neither sends nor takes anything.

    pywsgi treats it like a client that left.
    """

    def __init__(self) -> None:
        super().__init__(errno.ECONNRESET, "the client is too slow")


class RequestInput(Input):
    """A request's body. The part that no handler reads is skipped, up to two bounds."""

    __slots__ = ("abandoned",)

    def _discard(self) -> None:
        """Called after every response. ``abandoned``: more of the body is coming."""
        if not self.chunked_input and self.position >= (self.content_length or 0):
            self.abandoned = False
            return
        self.abandoned = True
        left = MAX_DISCARD
        with gevent.Timeout(DISCARD_TIMEOUT, TooSlow()):
            while left > 0:
                piece = self.read(min(left, 65536))
                if not piece:
                    self.abandoned = False
                    return
                left -= len(piece)


class ConnectionHandler(WSGIHandler):
    """One connection."""

    head: HeardHead
    server: "OriginServer"

    def __init__(
        self, sock: socket.socket, address: str, server: "OriginServer"
    ) -> None:
        super().__init__(sock, address, server)
        self._corked: bytearray | None = None
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            patience = int(server.send_timeout * 1000)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, patience)

    def handle_one_request(self) -> Literal[True] | None:
        """One request, or its refusal; None: the connection is over."""
        try:
            line = self._request_line()
        except OSError:
            return None
        if not line:
            return None
        self.response_length = 0
        try:
            self._read_head(line)
        except ClientFault as fault:
            _refuse(self.socket, fault)
            return None
        except OSError:
            return None
        self.environ = self.get_environ()
        self.application = self.server.application
        self.handle_one_response()
        return None if self.close_connection or self.rfile.closed else True

    def _request_line(self) -> bytes:
        if self.server.draining:
            return b""
        self.server.idle.add(self.socket)
        try:
            with gevent.Timeout(IDLE_TIMEOUT, TooSlow()):
                line: bytes = self.rfile.readline(MAX_LINE)
                # Some clients end a body with one CRLF too many (RFC 9112, 2.2).
                return line if line != b"\r\n" else self.rfile.readline(MAX_LINE)
        finally:
            self.server.idle.discard(self.socket)

    def _read_head(self, raw: bytes) -> None:
        """The head. Raises ClientFault."""
        self.requestline = raw.decode("latin-1").rstrip()
        self.request_version = "HTTP/1.1"
        if len(raw) >= MAX_LINE:
            raise ClientFault("the request line is too long", status=414)
        line = request_head.parse_line(raw)
        slow = ClientFault("the head is too slow", status=408)
        with gevent.Timeout(HEAD_TIMEOUT, slow):
            self.head = request_head.parse(line, self._field_lines())
        self.command = line.method
        self.path = line.target
        self.request_version = "HTTP/1.1" if line.http11 else "HTTP/1.0"
        self.close_connection = not self.head.keep_alive

    def _field_lines(self) -> list[bytes]:
        lines: list[bytes] = []
        left = request_head.MAX_HEAD
        while True:
            line: bytes = self.rfile.readline(left)
            left -= len(line)
            if line == b"\r\n":
                return lines
            if not line:
                raise ClientFault("the head ended early")
            if left <= 0 or len(lines) == request_head.MAX_FIELDS:
                raise ClientFault("the head is too large", status=431)
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
            env["REMOTE_ADDR"] = plain_address(str(address[0]))
        for name, value in self.head.fields.items():
            if "_" not in name:
                env["HTTP_" + name.replace("-", "_").upper()] = value
        for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            if (said := env.pop("HTTP_" + name, None)) is not None:
                env[name] = said
        if self.head.line.authority is not None:
            env["HTTP_HOST"] = self.head.line.authority
        expects = env.get("HTTP_EXPECT", "").lower() == "100-continue"
        self.wsgi_input = RequestInput(
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
        """pywsgi's fields, but no length for HEAD: it is unknown without a read."""
        if self.command == "HEAD":
            self.provided_content_length = "unsaid"
        if self.server.draining and not self.close_connection:
            self.close_connection = True
            fields: list[Any] = self.response_headers or []
            fields.append((b"Connection", b"close"))
        super().finalize_headers()

    def log_request(self) -> None:
        """Nothing: pywsgi would format a line for a log that is off."""

    def _write_with_headers(self, data: bytes) -> None:
        """Send head and first piece in one packet, unless the piece is large."""
        if len(data) > MAX_COPIED:
            _WRITE_WITH_HEADERS(self, data)
            return
        self._corked = whole = bytearray()
        try:
            _WRITE_WITH_HEADERS(self, data)
        finally:
            self._corked = None
        self._sendall(whole)

    def _sendall(self, data: bytes | bytearray) -> None:
        if self._corked is not None:
            self._corked += data
            return
        sent, whole = 0, memoryview(data)
        self.socket.settimeout(self.server.send_timeout)
        try:
            # Not sendall: its time-out covers the whole answer, however large.
            while sent < len(data):
                sent += self.socket.send(whole[sent:])
            self.response_length += sent
        except TimeoutError:
            raise TooSlow from None
        finally:
            self.socket.settimeout(None)


class OriginServer(WSGIServer):
    """Listens on a TCP or a Unix socket.

    ``idle`` are the connections between two requests. ``max_connections`` is the limit
    of all. Within ``send_timeout`` seconds a client must take some bytes.
    """

    handler_class = ConnectionHandler

    def __init__(
        self,
        sock: socket.socket,
        app: Application,
        max_connections: int,
        send_timeout: float,
    ) -> None:
        self._handlers = Pool()
        self._pause = AcceptPause(gevent.get_hub().loop, self._accept_again)
        super().__init__(sock, app, log=None, spawn=self._handlers)
        self.max_connections = max_connections
        self.send_timeout = send_timeout
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

    def handle(self, sock: socket.socket, address: str) -> None:
        """One connection, or its refusal."""
        if len(self._handlers) > self.max_connections:
            _refuse(sock, Refusal("too many connections"))
        else:
            super().handle(sock, address)

    def drain(self) -> None:
        """Accept no more connections, and close the idle ones."""
        self.draining = True
        self.close()
        for sock in list(self.idle):
            # What has arrived by now is still read and answered.
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RD)


def _refuse(sock: socket.socket, error: EdgeError) -> None:
    """Answer ``error`` without reading the request, and let the client close first.

    Closing with unread bytes would reset the connection, and the answer with it.
    """
    with suppress(OSError), gevent.Timeout(REFUSE_TIMEOUT, TooSlow()):
        sock.sendall(_refusal(error))
        sock.shutdown(socket.SHUT_WR)
        left = MAX_DISCARD
        while left > 0 and (piece := sock.recv(65536)):
            left -= len(piece)


def _refusal(error: EdgeError) -> bytes:
    """The whole answer to a connection without a request; it closes afterwards."""
    phrase = HTTPStatus(error.status).phrase
    after = error.retry_after
    more = "" if after is None else f"Retry-After: {after}\r\n"
    return (
        f"HTTP/1.1 {error.status} {phrase}\r\nConnection: close\r\n"
        "Content-Length: 0\r\nX-Content-Type-Options: nosniff\r\n"
        "Cross-Origin-Resource-Policy: cross-origin\r\n"
        f"Access-Control-Allow-Origin: *\r\nCache-Control: no-store\r\n{more}\r\n"
    ).encode()


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
