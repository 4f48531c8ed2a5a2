"""One client's connection: heads in, answers out, as HTTP/1.1 (RFC 9112).

``server`` calls ``serve`` in a greenlet of the connection's own. Heads are read by
``request_head``, strictly; what a request means, ``app`` knows. A request that is no
request is refused here, and the connection ends with it.

Every wait for a client is bounded: for a request to begin, for its head, for the part
of its body that no handler reads, and for some of an answer to be taken.
"""

import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from email.utils import formatdate
from http import HTTPStatus
from typing import Protocol

import gevent
from gevent import socket

from edge.core.errors import ClientFault, EdgeError
from origin_adapter.embedded.http import request_head
from origin_adapter.embedded.http.answers import COMMON
from origin_adapter.embedded.http.bodies import BodyInput
from origin_adapter.embedded.http.exchange import Buffers, ServerRequest, ServerResponse
from origin_adapter.embedded.http.request_head import HeardHead
from origin_adapter.embedded.http.turns import let_others_go
from origin_adapter.embedded.rules.refusals import Refused

IDLE_TIMEOUT = 75.0
HEAD_TIMEOUT = 10.0
DISCARD_TIMEOUT = 5.0
REFUSE_TIMEOUT = 1.0
MAX_DISCARD = 1024 * 1024
MAX_RECEIVED = 65536
MAX_COPIED = 65536
"""An answer of at most so many bytes is copied, to go out together with its head."""

MAX_BUFFERS = 512
"""The system takes at most 1,024 buffers at once."""

TURN = 256
REQUEST = 16
"""What a request costs of a turn. A line within a body costs 1."""

_CRLF = b"\r\n"
_END = b"\r\n\r\n"
_BARE_LF = re.compile(rb"(?<!\r)\n")
_BODILESS = frozenset({204, 304})
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_STATUS = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n" for s in HTTPStatus}
_COMMON = "".join(f"{name}: {value}\r\n" for name, value in COMMON)

_log = logging.getLogger(__name__)


class ConnectionHost(Protocol):
    """What a connection knows of its server.

    ``idle`` are the sockets between two requests. Once it is ``draining``, connections
    end with the answer that is under way. ``send_timeout``: within so many seconds a
    client must take some bytes.
    """

    idle: set[socket.socket]
    draining: bool
    send_timeout: float
    host: str


class Connection:
    """A client's connection; ``app`` answers its requests."""

    def __init__(
        self,
        sock: socket.socket,
        client: str,
        server: ConnectionHost,
        app: Callable[[ServerRequest], ServerResponse],
    ) -> None:
        self._sock = sock
        self._client = client
        self._server = server
        self._app = app
        self._held = b""
        # What is before it was read. Chunks are small at times: the rest stays put.
        self._at = 0
        self._used = 0

    def serve(self) -> None:
        """Answer one request after the other, until either side ends it."""
        try:
            while self._serve_one():
                pass
        except OSError:
            # The client left, or takes nothing.
            return

    def _serve_one(self) -> bool:
        """One request, or its refusal. False: the connection is over."""
        self._use(REQUEST)
        try:
            head = self._head()
        except ClientFault as fault:
            refuse(self._sock, fault)
            return False
        if head is None:
            return False
        request = self._request(head)
        response = self._app(request)
        keep = (
            head.keep_alive
            and not self._server.draining
            and response.fields.get("Connection") != "close"
        )
        keep = self._send(response, head, keep) and keep
        return self._discard(request.body) and keep

    # --- In: a head, and what bodies are read from.

    def _head(self) -> HeardHead | None:
        """The next head; None: none comes. Raises ClientFault."""
        self._held, self._at = self._held[self._at :], 0
        if not self._begins():
            return None
        end = self._held.find(_END)
        if end < 0 and (end := self._wait_for_head()) < 0:
            return None
        self._at = end + len(_END)
        return request_head.parse(self._held[:end].decode("latin-1"))

    def _wait_for_head(self) -> int:
        """Receive until a head is here; where it ends. -1: none comes.

        What can become no head is refused at once. Each byte is looked at once, however
        slowly they come. Raises ClientFault.
        """
        until = time.monotonic() + HEAD_TIMEOUT
        begun = False
        seen = lines = 0
        while (end := self._held.find(_END, max(0, seen - len(_END)))) < 0:
            if _BARE_LF.search(self._held, max(0, seen - 1)):
                raise ClientFault("a line ends with CRLF")
            lines += self._held.count(b"\n", seen)
            seen = len(self._held)
            if lines and not begun:
                line = self._held.partition(b"\r\n")[0]
                request_head.parse_line(line.decode("latin-1"))
                begun = True
            request_head.check_size(seen, lines)
            try:
                more = self._receive(until - time.monotonic())
            except TimeoutError:
                if begun:
                    raise ClientFault("the head is too slow", status=408) from None
                return -1
            if not more:
                if self._held:
                    raise ClientFault("the head ended early")
                return -1
            self._held += more
        return end

    def _begins(self) -> bool:
        """Wait for a request to begin; whether it did.

        Some clients end a body with one CRLF too many (RFC 9112 section 2.2). It begins
        nothing, however it is cut.
        """
        skipped = False
        while not self._server.draining:
            if not skipped and self._held[:2] == _CRLF:
                self._held = self._held[2:]
                skipped = True
            if self._held and (skipped or self._held != b"\r"):
                return True
            self._server.idle.add(self._sock)
            try:
                more = self._receive(IDLE_TIMEOUT)
            except TimeoutError:
                return False
            finally:
                self._server.idle.discard(self._sock)
            if not more:
                return False
            self._held += more
        return False

    def _receive(self, timeout: float) -> bytes:
        """Some bytes; b"": the client sends no more. Raises OSError, TimeoutError."""
        self._sock.settimeout(max(timeout, 0.001))
        received: bytes = self._sock.recv(MAX_RECEIVED)
        return received

    def _request(self, head: HeardHead) -> ServerRequest:
        fields = head.fields
        path, _, query = head.target.partition("?")
        # No 100 to a client of HTTP/1.0 (RFC 9110 section 10.1.1).
        expects = head.http11 and fields.get("expect", "").lower() == "100-continue"
        return ServerRequest(
            head.method,
            path,
            query,
            fields,
            head.repeated,
            head.authority or fields.get("host") or self._server.host,
            self._client,
            BodyInput(self, head.length, head.chunked, expects),
        )

    def has(self, size: int) -> bool:
        """See BodySource."""
        return len(self._held) - self._at >= size

    def read(self, size: int) -> bytes:
        """See BodySource. However long it takes: the caller has a time-out."""
        left = size - (len(self._held) - self._at)
        if left > 0:
            self._sock.settimeout(None)
            pieces = [self._held[self._at :]]
            while left > 0 and (piece := self._sock.recv(max(left, MAX_RECEIVED))):
                pieces.append(piece)
                left -= len(piece)
            self._held, self._at = b"".join(pieces), 0
        begin, self._at = self._at, self._at + size
        return self._held[begin : self._at]

    def line(self, most: int) -> bytes:
        """See ChunkSource. As ``read``."""
        self._use(1)
        while (end := self._held.find(_CRLF, self._at, self._at + most + 2)) < 0:
            if len(self._held) - self._at > most:
                raise EOFError("a line has no end")
            self._sock.settimeout(None)
            more = self._sock.recv(MAX_RECEIVED)
            if not more:
                raise EOFError("the body ended early")
            self._held, self._at = self._held[self._at :] + more, 0
        begin, self._at = self._at, end + len(_CRLF)
        return self._held[begin:end]

    def _use(self, work: int) -> None:
        """Let others go after a while. Who sends faster than it is answered would never
        be waited for."""
        self._used += work
        if self._used >= TURN:
            self._used = 0
            let_others_go()

    def go_on(self) -> None:
        """See BodySource."""
        self._write([_CONTINUE])

    def _discard(self, body: BodyInput) -> bool:
        """Skip what nobody read of a body, up to two bounds; whether all of it came."""
        if body.is_read:
            return True
        if body.is_awaited:
            # It was never asked for, and may come or not.
            return False
        left = MAX_DISCARD
        with suppress(OSError, EOFError), gevent.Timeout(DISCARD_TIMEOUT, TooSlow()):
            while left > 0 and (piece := body.read(min(left, MAX_RECEIVED))):
                left -= len(piece)
        return body.is_read

    # --- Out: an answer.

    def _send(self, response: ServerResponse, head: HeardHead, keep: bool) -> bool:
        """Send an answer; whether the connection may be kept after it."""
        bodiless = head.method == "HEAD" or response.status in _BODILESS
        length, pieces = response.length, response.pieces
        if pieces is None:
            length = len(response.body)
        chunked = length is None and head.http11 and not bodiless
        keep = keep and (length is not None or chunked or bodiless)
        lines = [_STATUS[response.status], _COMMON, date()]
        if response.content_type is not None:
            lines.append(f"Content-Type: {response.content_type}\r\n")
        lines += [f"{name}: {value}\r\n" for name, value in response.fields.items()]
        # How long the body of a stream would be, HEAD does not know without a read.
        if length is not None and response.status not in _BODILESS:
            if length or head.method != "HEAD":
                lines.append(f"Content-Length: {length}\r\n")
        elif chunked:
            lines.append("Transfer-Encoding: chunked\r\n")
        if not keep and "Connection" not in response.fields:
            lines.append("Connection: close\r\n")
        elif keep and not head.http11:
            lines.append("Connection: keep-alive\r\n")
        lines.append("\r\n")
        raw = "".join(lines).encode("latin-1")
        if pieces is None or bodiless:
            self._write([raw] if bodiless else [raw, response.body])
        else:
            self._write_pieces(raw, response, chunked)
        return keep

    def _write_pieces(
        self, raw: bytes, response: ServerResponse, chunked: bool
    ) -> None:
        assert response.pieces is not None
        with closing(response.pieces) as pieces:
            for buffers in _until_gone(pieces):
                if chunked:
                    size = sum(map(len, buffers))
                    buffers = [b"%x\r\n" % size, *buffers, b"\r\n"]
                self._write([raw, *buffers] if raw else buffers)
                raw = b""
                # Not held while the next piece is read.
                del buffers
        self._write([raw, b"0\r\n\r\n"] if chunked else [raw])

    def _write(self, buffers: Buffers) -> None:
        """All of it. Raises TooSlow when the client takes nothing for too long."""
        size = sum(map(len, buffers))
        if size <= MAX_COPIED:
            buffers = [b"".join(buffers)]
        self._sock.settimeout(self._server.send_timeout)
        while size:
            # Not sendall: its time-out covers the whole answer, however large.
            sent = self._sock.sendmsg(buffers[:MAX_BUFFERS])
            size -= sent
            if size:
                buffers = _after(buffers, sent)


class TooSlow(OSError):
    """A client that keeps a connection and neither sends nor takes anything."""


class ContentGone(OSError):
    """What an answer was to hold went away while it was sent."""


def _until_gone(pieces: Iterator[Buffers]) -> Iterator[Buffers]:
    """These pieces. Raises ContentGone, not a refusal: the head was sent long ago."""
    try:
        yield from pieces
    except Refused as refusal:
        raise ContentGone from refusal


def _after(buffers: Buffers, sent: int) -> Buffers:
    """What is left of them when so many bytes are sent."""
    index = 0
    while sent and sent >= len(buffers[index]):
        sent -= len(buffers[index])
        index += 1
    rest = [*buffers[index:]]
    if sent:
        rest[0] = memoryview(rest[0])[sent:]
    return rest


class _Date:
    """The Date of answers, made once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._line = ""

    def __call__(self) -> str:
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._line = f"Date: {formatdate(second, usegmt=True)}\r\n"
        return self._line


date = _Date()


def refuse(sock: socket.socket, error: EdgeError) -> None:
    """Answer ``error`` without reading the request, and let the client close first.

    Closing with unread bytes would reset the connection, and the answer with it.
    """
    with suppress(OSError), gevent.Timeout(REFUSE_TIMEOUT, TooSlow()):
        sock.settimeout(None)
        sock.sendall(_refusal(error))
        sock.shutdown(socket.SHUT_WR)
        left = MAX_DISCARD
        while left > 0 and (piece := sock.recv(MAX_RECEIVED)):
            left -= len(piece)


def _refusal(error: EdgeError) -> bytes:
    """The whole answer to a connection without a request; it closes afterwards."""
    after = error.retry_after
    more = "" if after is None else f"Retry-After: {after}\r\n"
    return (
        f"{_STATUS[error.status]}Connection: close\r\n"
        "Content-Length: 0\r\nX-Content-Type-Options: nosniff\r\n"
        "Cross-Origin-Resource-Policy: cross-origin\r\n"
        f"Access-Control-Allow-Origin: *\r\nCache-Control: no-store\r\n{more}\r\n"
    ).encode()
