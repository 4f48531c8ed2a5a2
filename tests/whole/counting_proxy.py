"""CountingProxy: bytes between an edge and its origin, and the requests in them.

The origin behind it may be killed and begun anew elsewhere; the edge goes on calling
one address. While there is none, connections end before an answer.
"""

import contextlib
import re
import socket
import socketserver
from collections import Counter
from collections.abc import Iterator
from threading import Lock, Thread
from urllib.parse import urlsplit

_REQUEST = re.compile(rb"\A(GET|HEAD|PUT|POST|DELETE) (\S+) HTTP/1\.1\r\n")
SIZE = 1 << 16


class CountingProxy(socketserver.ThreadingTCPServer):
    """``asked`` counts requests by method; ``live`` stands for a GET that waits.
    ``brought`` counts the bytes of answers.

    Call ``lead_to`` before anybody comes.
    """

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 512

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Passage)
        self.asked: Counter[str] = Counter()
        self.brought = 0
        self._counting = Lock()
        self.upstream = ("127.0.0.1", 0)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def lead_to(self, origin: str) -> None:
        """From now on, new connections go to this origin."""
        parts = urlsplit(origin)
        self.upstream = (parts.hostname or "", parts.port or 0)

    def note(self, piece: bytes) -> None:
        """Count a request, if one begins here. This edge sends each at once, and none
        before the last one is answered."""
        begins = _REQUEST.match(piece)
        if begins:
            live = b"live=" in begins[2]
            self.asked["live" if live else begins[1].decode()] += 1

    def count(self, piece: bytes) -> None:
        """Count a piece of an answer."""
        with self._counting:
            self.brought += len(piece)


class _Passage(socketserver.BaseRequestHandler):
    server: CountingProxy
    request: socket.socket

    def handle(self) -> None:
        try:
            upstream = socket.create_connection(self.server.upstream)
        except OSError:
            return
        with upstream:
            pump = (upstream, self.request, self.server)
            back = Thread(target=_pump, args=pump, daemon=True)
            back.start()
            with contextlib.suppress(OSError):
                while piece := self.request.recv(SIZE):
                    self.server.note(piece)
                    upstream.sendall(piece)
            _end(upstream)
            back.join()


def _pump(source: socket.socket, sink: socket.socket, proxy: CountingProxy) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(SIZE):
            proxy.count(piece)
            sink.sendall(piece)
    _end(sink)


def _end(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def counting_proxy() -> Iterator[CountingProxy]:
    """A proxy that leads nowhere yet."""
    with CountingProxy() as proxy:
        keeper = Thread(target=proxy.serve_forever, args=(0.05,), daemon=True)
        keeper.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            keeper.join()
