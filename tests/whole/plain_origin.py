"""PlainOrigin: answers on the wire, byte by byte as a test wrote them.

A test gives it a play: a function from a request's head to the bytes of the answer.
Each connection serves one request, then ends. What came is kept.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread

Play = Callable[[str], bytes]
"""From the head of a request, as text, to all bytes of its answer."""


class PlainOrigin(ThreadingTCPServer):
    """``asked`` are the heads that came, in order."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, play: Play) -> None:
        super().__init__(("127.0.0.1", 0), _Served)
        self.play = play
        self.asked: list[str] = []

    @property
    def authority(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    @property
    def url(self) -> str:
        return f"http://{self.authority}"


class _Served(StreamRequestHandler):
    server: PlainOrigin

    def handle(self) -> None:
        lines = iter(self.rfile.readline, b"\r\n")
        head = b"".join(line for line in lines if line).decode("latin-1")
        self.server.asked.append(head)
        self.wfile.write(self.server.play(head))


def answer(status: str, *fields: str, body: bytes = b"", version: str = "1.1") -> bytes:
    """An answer of a length, behind which the connection closes."""
    lines = [f"HTTP/{version} {status}", *fields, f"Content-Length: {len(body)}"]
    if version == "1.1":
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


@contextmanager
def playing(play: Play) -> Iterator[PlainOrigin]:
    """A running one, ended with the ``with``."""
    with PlainOrigin(play) as origin:
        thread = Thread(target=origin.serve_forever, daemon=True)
        thread.start()
        try:
            yield origin
        finally:
            origin.shutdown()
            thread.join()
