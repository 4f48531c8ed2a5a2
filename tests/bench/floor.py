"""The floor: a server that does nothing but answer, with bytes that were made before.

One epoll loop that looks at the first bytes of a request and at two of its words. What
the benchmarks show against it is the cost of the system calls and of the load
generator: where a real server comes near it, the generator may be the limit.

It serves what the others serve: closed ranges, whose path names their size; and one
stream, by long-poll or SSE, whose offsets are counts::

    python -m tests.bench.floor        # one JSON line with its URL; ends with TERM
"""

import json
import re
import select
import socket

EMPTY = b"HTTP/1.1 %s\r\nStream-Next-Offset: %016d\r\nContent-Length: 0\r\n%s\r\n"
NO_CONTENT = b"HTTP/1.1 204 No Content\r\nStream-Next-Offset: %016d\r\n\r\n"
TEXT = b"Content-Type: text/plain\r\n"
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nStream-Next-Offset: %016d\r\n"
    b"Stream-Cursor: 1\r\nStream-Up-To-Date: true\r\nContent-Length: %d\r\n\r\n%s"
)
STREAM = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
CONTROL = (
    b'event: control\ndata: {"streamNextOffset":"%016d","streamCursor":"1",'
    b'"upToDate":true}\n\n'
)
STATUS = {b"P": b"201 Created", b"H": b"200 OK", b"D": b"200 OK"}
_SIZE = re.compile(rb"/hits-(\d+)")


class Floor:
    """The server; ``serve`` has no end."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=16384)
        self._listener.setblocking(False)
        self._epoll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._unsent: dict[int, memoryview] = {}
        self._ranges: dict[bytes, bytes] = {}
        self._parked: dict[int, socket.socket] = {}
        self._streams: dict[int, socket.socket] = {}
        self._appended = 0
        self._latest = b""
        self._here = b""

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def serve(self) -> None:
        """Answer for ever."""
        listener = self._listener.fileno()
        self._epoll.register(listener, select.EPOLLIN)
        poll, one, answer = self._epoll.poll, self._sockets, self._ready
        while True:
            for file, events in poll(-1, 1024):
                if file == listener:
                    self._accept()
                elif events == select.EPOLLOUT:
                    self._send(one[file], self._unsent.pop(file))
                else:
                    answer(file, one[file])

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sockets[client.fileno()] = client
        self._epoll.register(client.fileno(), select.EPOLLIN)

    def _ready(self, file: int, client: socket.socket) -> None:
        try:
            request = client.recv(65536)
        except ConnectionResetError:
            request = b""
        if not request:
            self._drop(file)
        elif request[:1] != b"G":
            self._write(client, request)
        elif b"live=" in request:
            self._live(file, client, request)
        else:
            self._send(client, self._range(request[4 : request.find(b" ", 4)]))

    def _drop(self, file: int) -> None:
        for table in (self._parked, self._streams, self._unsent):
            table.pop(file, None)
        self._sockets.pop(file).close()

    def _range(self, target: bytes) -> bytes:
        """A closed range; the empty tail where the path names no size."""
        if target not in self._ranges:
            found = _SIZE.search(target)
            size = int(found[1]) if found else 0
            made = ANSWER % (size or self._appended, size, b"x" * size)
            if not size:
                return made
            self._ranges[target] = made
        return self._ranges[target]

    def _live(self, file: int, client: socket.socket, request: bytes) -> None:
        """Park a reader, unless there is news for it."""
        if b"live=sse" in request:
            self._streams[file] = client
            self._send(client, STREAM + chunk(CONTROL % self._appended))
        elif self._here in request:
            self._parked[file] = client
        else:
            self._send(client, self._latest)

    def _write(self, client: socket.socket, request: bytes) -> None:
        """A stream begins, or an event comes, and everybody has it."""
        method = request[:1]
        if request.startswith(b"POST"):
            self._append(request.partition(b"\r\n\r\n")[2])
            self._send(client, NO_CONTENT % self._appended)
            return
        if method == b"P":
            self._move(0)
        status = STATUS.get(method, b"200 OK")
        # Whether there is a stream is asked before it is made.
        status = b"404 Not Found" if method == b"H" else status
        self._send(client, EMPTY % (status, self._appended, TEXT))

    def _append(self, body: bytes) -> None:
        self._move(self._appended + 1)
        self._latest = answer = ANSWER % (self._appended, len(body), body)
        parked, self._parked = self._parked, {}
        for client in parked.values():
            self._send(client, answer)
        event = b"event: data\ndata: %s\n\n%s" % (body, CONTROL % self._appended)
        event = chunk(event)
        for client in self._streams.values():
            self._send(client, event)

    def _move(self, offset: int) -> None:
        self._appended = offset
        self._here = b"offset=%016d" % offset

    def _send(self, client: socket.socket, data: bytes | memoryview) -> None:
        try:
            sent = client.send(data)
        except BlockingIOError:
            sent = 0
        except (BrokenPipeError, ConnectionResetError):
            return  # the next poll tells that it is gone
        file = client.fileno()
        if sent < len(data):
            self._unsent[file] = memoryview(data)[sent:]
            self._epoll.modify(file, select.EPOLLOUT)
        elif isinstance(data, memoryview):
            self._epoll.modify(file, select.EPOLLIN)


def chunk(body: bytes) -> bytes:
    """One piece of a chunked answer."""
    return b"%x\r\n%s\r\n" % (len(body), body)


if __name__ == "__main__":
    floor = Floor()
    print(json.dumps({"url": floor.url}), flush=True)
    floor.serve()
