"""A real listening socket that plays raw bytes, for the tests of the http origin.

Each accepted connection takes the next play: bytes (read one request, send
them, close), or a function of the connection, a ``Peer``. A play that fails
fails the test that ran it.
"""

import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import gevent
from gevent import socket
from gevent.event import Event
from gevent.server import StreamServer

from origin_adapter.http import HttpOrigin

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


class Peer:
    """The origin's end of one connection."""

    def __init__(
        self, connected: socket.socket, requests: list[bytes], over: Event
    ) -> None:
        self._socket = connected
        self._requests = requests
        self._buffer = b""
        self._over = over

    def request(self) -> bytes | None:
        """Read one request whole and record it; None when the edge hung up."""
        head = self.until(b"\r\n\r\n")
        if head is None:
            return None
        body: bytes | None = b""
        lower = head.lower()
        if b"\r\ntransfer-encoding: chunked\r\n" in lower:
            body = self.until(b"0\r\n\r\n")
        elif b"\r\ncontent-length: " in lower:
            length = int(lower.split(b"\r\ncontent-length: ")[1].split(b"\r\n")[0])
            body = self.exactly(length)
        self._requests.append(head + (body or b""))
        return None if body is None else head + body

    def until(self, end: bytes) -> bytes | None:
        """Read up to and with ``end``; None when the edge hung up before."""
        while end not in self._buffer:
            if not self._more():
                return None
        found, _, self._buffer = self._buffer.partition(end)
        return found + end

    def exactly(self, size: int) -> bytes | None:
        """Read ``size`` bytes; None when the edge hung up before."""
        while len(self._buffer) < size:
            if not self._more():
                return None
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        return found

    def _more(self) -> bool:
        try:
            data = self._socket.recv(65536)
        except ConnectionError:
            return False
        self._buffer += data
        return bool(data)

    def to_the_end(self) -> bytes:
        """Everything that still comes until the edge hangs up."""
        while self._more():
            pass
        return self._buffer

    def send(self, data: bytes) -> bool:
        """Send all of ``data``; that the edge hung up is no failure."""
        try:
            self._socket.sendall(data)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def reset(self) -> None:
        """Hang up with a reset."""
        linger = struct.pack("ii", 1, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._socket.close()

    def stay(self) -> None:
        """Say nothing more until the test is over."""
        self._over.wait()


Play = bytes | Callable[[Peer], object]
"""What one accepted connection does."""


class RawOrigin:
    """The server; ``requests`` are what it read, ``accepted`` counts connections."""

    def __init__(
        self, listener: socket.socket, url: str, plays: tuple[Play, ...]
    ) -> None:
        self.url = url
        self.requests: list[bytes] = []
        self.accepted = 0
        self.failures: list[Exception] = []
        self._plays = iter(plays)
        self._over = Event()
        self._server = StreamServer(listener, self._handle)
        self._server.start()

    def _handle(self, connected: socket.socket, _address: object) -> None:
        self.accepted += 1
        peer = Peer(connected, self.requests, self._over)
        try:
            self._play(peer, next(self._plays))
        except (AssertionError, OSError, StopIteration) as failure:
            self.failures.append(failure)
        finally:
            connected.close()

    def _play(self, peer: Peer, play: Play) -> None:
        if isinstance(play, bytes):
            peer.request()
            peer.send(play)
        else:
            play(peer)

    def stop(self) -> None:
        self._over.set()
        self._server.stop(timeout=1)


def answering(*answers: bytes) -> Callable[[Peer], None]:
    """A play: one kept connection that answers one request after another."""

    def play(peer: Peer) -> None:
        for answer in answers:
            peer.request()
            peer.send(answer)
        peer.stay()

    return play


@contextmanager
def listening(
    *plays: Play, unix: Path | None = None, backlog: int = 128
) -> Iterator[RawOrigin]:
    """A RawOrigin on a free port, or on a socket file."""
    if unix is None:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    else:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(os.fspath(unix))
        url = f"unix:{unix}"
    listener.listen(backlog)
    listener.setblocking(False)
    origin = RawOrigin(listener, url, plays)
    try:
        yield origin
    finally:
        origin.stop()
        listener.close()
    assert origin.failures == []


Origins = Callable[..., tuple[RawOrigin, HttpOrigin]]
"""What the fixture ``origins`` is: plays and options to a server and its pool."""


def settle() -> None:
    """Let the loop look at its sockets, and every greenlet run that can.

    ``sleep(0)`` would not do: the loop runs many of those before it looks again.
    """
    for _ in range(5):
        gevent.idle()
