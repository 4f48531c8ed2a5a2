"""A server that does nothing but park and answer: the floor of what can be measured.

One epoll loop; a long-poll or an event stream is parked, and an append answers all of
them with bytes that were made once. What ``ds-edge bench fanout`` shows against it is
the cost of one ``send`` a viewer and of the load generator itself::

    python -m tests.cli.bench.trivial            # prints its URL; ends with its stdin

Tests make it misbehave by overriding ``event``, ``live`` and the like.
"""

import os
import select
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

EMPTY = b"HTTP/1.1 %s\r\nStream-Next-Offset: %016d\r\nContent-Type: text/plain\r\n"
NO_BODY = b"Content-Length: 0\r\n\r\n"
DATA = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nStream-Next-Offset: %016d\r\n"
    b"Stream-Cursor: %d\r\nStream-Up-To-Date: true\r\nContent-Length: %d\r\n\r\n%s"
)
NO_NEWS = (
    b"HTTP/1.1 204 No Content\r\nStream-Next-Offset: %016d\r\nStream-Cursor: 1\r\n\r\n"
)
STREAM = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
EVENT = (
    b"event: data\ndata: %s\n\n"
    b'event: control\ndata: {"streamNextOffset":"%016d","streamCursor":"%d"}\n\n'
)
LAST_CHUNK = b"0\r\n\r\n"
_STATUS = {b"PUT": b"201 Created", b"POST": b"204 No Content"}


class Trivial:
    """One stream in memory, at any path."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.epoll = select.epoll()
        self.connections: dict[int, socket.socket] = {}
        self.polls: list[socket.socket] = []
        self.streams: list[socket.socket] = []
        self.bodies: list[bytes] = []
        self.asked: list[bytes] = []
        """Methods of what was asked, but for reads."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}/stream"

    def serve(self, until: int) -> None:
        """Until the descriptor ``until`` can be read."""
        self.epoll.register(self.listener.fileno(), select.EPOLLIN)
        self.epoll.register(until, select.EPOLLIN)
        while True:
            for descriptor, _ in self.epoll.poll():
                if descriptor == until:
                    return
                self._ready(descriptor)

    def close(self) -> None:
        for connection in self.connections.values():
            connection.close()
        self.listener.close()
        self.epoll.close()

    def _ready(self, descriptor: int) -> None:
        if descriptor == self.listener.fileno():
            connection, _ = self.listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections[connection.fileno()] = connection
            self.epoll.register(connection.fileno(), select.EPOLLIN)
            return
        connection = self.connections[descriptor]
        try:
            request = connection.recv(65536)
        except ConnectionResetError:
            request = b""
        if request:
            self._request(connection, request)
        else:
            self.drop(connection)

    def drop(self, connection: socket.socket) -> None:
        """Close a connection."""
        for parked in (self.polls, self.streams):
            if connection in parked:
                parked.remove(connection)
        del self.connections[connection.fileno()]
        connection.close()

    def _request(self, connection: socket.socket, request: bytes) -> None:
        line, _, rest = request.partition(b"\r\n")
        if b"live=" in line:
            self.live(connection, line)
            return
        method = line.partition(b" ")[0]
        if method != b"GET":
            self.asked.append(method)
        if method == b"POST":
            self.posted(connection, rest.partition(b"\r\n\r\n")[2])
        else:
            connection.send(self.plain(method))

    def posted(self, connection: socket.socket, body: bytes) -> None:
        """An append has come."""
        self.append(body)
        connection.send(self.plain(b"POST"))

    def plain(self, method: bytes) -> bytes:
        """The answer to whatever is no live read."""
        head = EMPTY % (_STATUS.get(method, b"200 OK"), len(self.bodies))
        return head + (b"\r\n" if method == b"POST" else NO_BODY)

    def live(self, connection: socket.socket, line: bytes) -> None:
        """Park a live read, or answer it if it is behind."""
        since = int(line[line.index(b"offset=") + 7 :][:16])
        behind = since < len(self.bodies)
        if b"live=sse" in line:
            self.streams.append(connection)
            connection.send(STREAM + (self.chunk(since) if behind else b""))
        elif behind:
            connection.send(self.answer(since))
        else:
            self.polls.append(connection)

    def append(self, body: bytes) -> None:
        """Everybody has it before the append has its answer."""
        self.bodies.append(body)
        answer, chunk = self.answer(-1), self.chunk(-1)
        polls, self.polls = self.polls, []
        for one in polls:
            one.send(answer)
        for one in self.streams:
            one.send(chunk)

    def answer(self, since: int) -> bytes:
        """What a long-poll has that asked from there."""
        number, body = len(self.bodies), b"".join(self.bodies[since:])
        return DATA % (number, number, len(body), body)

    def chunk(self, since: int) -> bytes:
        """The same of an event stream."""
        number, body = len(self.bodies), b"".join(self.bodies[since:])
        event = EVENT % (body, number, number)
        return b"%x\r\n%s\r\n" % (len(event), event)


Server = TypeVar("Server", bound=Trivial)


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    """The server on a thread of its own, for as long as the block runs."""
    until, end = os.pipe()
    thread = threading.Thread(target=server.serve, args=(until,))
    thread.start()
    try:
        yield server
    finally:
        os.close(end)
        thread.join()
        os.close(until)
        server.close()


if __name__ == "__main__":
    alone = Trivial()
    print(alone.url, flush=True)
    alone.serve(sys.stdin.fileno())
