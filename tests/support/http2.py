"""HTTP/2 over TLS, for tests of what stands before the edge: many streams at once.

A ``Connection`` is one TLS connection that speaks nothing but HTTP/2; each request on
it is an ``Exchange``, which fills as frames come. One thread reads them all: ``until``
waits, on any number of connections, for what a test wants to see. Nothing odd is
forgiven: a stream that is reset or a connection that ends raises ``Http2Fault`` in
``until``, unless the exchange was left by the test itself.
"""

import select
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)

PATIENCE = 60.0
"""Seconds after which a wait is a failed test."""

WINDOW = 1 << 20
"""What a server may send of one stream before it has to wait."""


class Http2Fault(Exception):
    """A server ended a stream or a connection in a way that nobody asked for."""


@dataclass(eq=False, slots=True)
class Exchange:
    """One request and as much of its answer as came. ``reset`` is the error code by
    which the server gave it up."""

    stream: int
    status: int = 0
    fields: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    ended: bool = False
    reset: int | None = None


class Connection:
    """To ``host:port``; the server's certificate must be for ``localhost``, from an
    authority of the file ``believed``. ``source``: the address to call from."""

    def __init__(self, address: str, believed: Path, source: str = "127.0.0.1") -> None:
        host, _, port = address.rpartition(":")
        plain = socket.create_connection((host, int(port)), PATIENCE, (source, 0))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        terms = ssl.create_default_context(cafile=str(believed))
        terms.set_alpn_protocols(["h2"])
        self.sock = terms.wrap_socket(plain, server_hostname="localhost")
        if self.sock.selected_alpn_protocol() != "h2":
            raise Http2Fault("the server does not speak HTTP/2")
        self.sock.settimeout(PATIENCE)
        self._port = port
        self._exchanges: dict[int, Exchange] = {}
        # Names in requests are sent as they are given: some tests send odd ones.
        self._state = H2Connection(H2Configuration(client_side=True))
        self._state.initiate_connection()
        self._state.update_settings({4: WINDOW})
        self._state.increment_flow_control_window(64 * WINDOW)
        self._flush()

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def begin(
        self,
        method: str,
        path: str,
        fields: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> Exchange:
        """Send a request whole, its body as fast as the server takes it."""
        stream = self._state.get_next_available_stream_id()
        head = [
            *((":method", method), (":scheme", "https")),
            *((":authority", f"localhost:{self._port}"), (":path", path)),
            *fields,
        ]
        self._exchanges[stream] = found = Exchange(stream)
        self._state.send_headers(stream, head, end_stream=not body)
        self._flush()
        while body and not found.ended and found.reset is None:
            room = self._state.local_flow_control_window(stream)
            size = min(len(body), room, self._state.max_outbound_frame_size)
            if size:
                piece, body = body[:size], body[size:]
                self._state.send_data(stream, piece, end_stream=not body)
                self._flush()
            else:
                self.receive()
        return found

    def ask(
        self,
        method: str,
        path: str,
        fields: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> Exchange:
        """``begin``, and wait for all of the answer, however the stream ends."""
        found = self.begin(method, path, fields, body)
        until([self], lambda: found.ended or found.reset is not None)
        return found

    def leave(self, exchange: Exchange) -> None:
        """Give a request up, as a browser does for a tab that is closed."""
        self._exchanges.pop(exchange.stream)
        self._state.reset_stream(exchange.stream, 8)
        self._flush()

    def receive(self) -> None:
        """Take in what has come; waits for something if nothing has."""
        while True:
            octets = self.sock.recv(1 << 18)
            if not octets:
                raise Http2Fault("the server closed the connection")
            for event in self._state.receive_data(octets):
                self._take(event)
            if not self.sock.pending():
                break
        self._flush()

    def _take(self, event: Event) -> None:
        if isinstance(event, ConnectionTerminated) and event.error_code:
            raise Http2Fault(f"GOAWAY with {event.error_code}")
        found = self._exchanges.get(getattr(event, "stream_id", None) or 0)
        if isinstance(event, DataReceived):
            size = event.flow_controlled_length or 0
            self._state.acknowledge_received_data(size, event.stream_id or 0)
        if found is None:
            return
        if isinstance(event, ResponseReceived):
            for name, value in event.headers or ():
                found.fields[_text(name)] = _text(value)
            found.status = int(found.fields.pop(":status"))
        elif isinstance(event, DataReceived):
            found.body += event.data or b""
        elif isinstance(event, StreamEnded):
            found.ended = True
        elif isinstance(event, StreamReset):
            found.reset = int(event.error_code or 0)

    def _flush(self) -> None:
        if octets := self._state.data_to_send():
            self.sock.sendall(octets)


def until(connections: Iterable[Connection], seen: Callable[[], bool]) -> None:
    """Take in frames until ``seen``. Raises TimeoutError, Http2Fault."""
    by_file = {one.sock.fileno(): one for one in connections}
    poll = select.poll()
    for number in by_file:
        poll.register(number, select.POLLIN)
    ends = time.monotonic() + PATIENCE
    while not seen():
        ready = poll.poll(max(0.0, ends - time.monotonic()) * 1000)
        if not ready:
            raise TimeoutError("the server sent nothing more")
        for number, _ in ready:
            by_file[number].receive()


def _text(octets: bytes | str) -> str:
    return octets if isinstance(octets, str) else octets.decode("latin-1")
