"""A server that does nothing but park and answer: the floor of what can be measured.

One epoll loop; a long-poll or an event stream is parked, and an append answers all of
them with bytes that were made once. What ``ds-edge bench fanout`` shows against it is
the cost of one ``send`` a viewer and of the load generator itself::

    python -m tests.cli.bench.trivial            # prints its URL; ends with its stdin
"""

import select
import socket
import sys

_EMPTY = b"HTTP/1.1 %s\r\nStream-Next-Offset: %016d\r\nContent-Type: text/plain\r\n"
_END = b"Content-Length: 0\r\n\r\n"
_DATA = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nStream-Next-Offset: %016d\r\n"
    b"Stream-Cursor: %d\r\nStream-Up-To-Date: true\r\nContent-Length: %d\r\n\r\n%s"
)
_STREAM = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
_EVENT = (
    b"event: data\ndata: %s\n\n"
    b'event: control\ndata: {"streamNextOffset":"%016d","streamCursor":"%d"}\n\n'
)
_STATUS = {b"PUT": b"201 Created", b"POST": b"204 No Content"}


class Trivial:
    """The server; ``serve`` ends when its standard input does."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.listener.setblocking(False)
        self.epoll = select.epoll()
        self.connections: dict[int, socket.socket] = {}
        self.polls: list[socket.socket] = []
        self.streams: list[socket.socket] = []
        self.appended = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}/stream"

    def serve(self) -> None:
        self.epoll.register(self.listener.fileno(), select.EPOLLIN)
        self.epoll.register(sys.stdin.fileno(), select.EPOLLIN)
        while True:
            for descriptor, _ in self.epoll.poll():
                if descriptor == sys.stdin.fileno():
                    return
                self._ready(descriptor)

    def _ready(self, descriptor: int) -> None:
        if descriptor == self.listener.fileno():
            self._accept()
            return
        connection = self.connections[descriptor]
        request = connection.recv(65536)
        if request:
            self._request(connection, request)
        else:
            self._forget(connection)

    def _accept(self) -> None:
        connection, _ = self.listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connections[connection.fileno()] = connection
        self.epoll.register(connection.fileno(), select.EPOLLIN)

    def _forget(self, connection: socket.socket) -> None:
        del self.connections[connection.fileno()]
        connection.close()

    def _request(self, connection: socket.socket, request: bytes) -> None:
        line, _, rest = request.partition(b"\r\n")
        method = line.partition(b" ")[0]
        if b"live=long-poll" in line:
            self.polls.append(connection)
        elif b"live=sse" in line:
            self.streams.append(connection)
            connection.send(_STREAM)
        else:
            if method == b"POST":
                self._append(rest.partition(b"\r\n\r\n")[2])
            head = _EMPTY % (_STATUS.get(method, b"200 OK"), self.appended)
            connection.send(head + (b"\r\n" if method == b"POST" else _END))

    def _append(self, body: bytes) -> None:
        """Everybody has it before the append has its answer."""
        self.appended += 1
        number = self.appended
        answer = _DATA % (number, number, len(body), body)
        event = _EVENT % (body, number, number)
        chunk = b"%x\r\n%s\r\n" % (len(event), event)
        polls, self.polls = self.polls, []
        for one in polls:
            one.send(answer)
        for one in self.streams:
            one.send(chunk)


if __name__ == "__main__":
    server = Trivial()
    print(server.url, flush=True)
    server.serve()
