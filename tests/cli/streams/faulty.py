"""A server of raw sockets that answers exactly what a test tells it to.

One connection for each answer, one answer after the other; what was asked is kept.
A connection that ends before its answer's framing says so is a cut.
"""

import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType, TracebackType
from typing import Self


class Faulty:
    """Give it answers, then ask it; ``asked`` holds the requests, heads and bodies."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self._answers: list[bytes] = []
        self.asked: list[str] = []

    @property
    def place(self) -> str:
        """Host and port."""
        host, port = self._listener.getsockname()
        return f"{host}:{port}"

    @property
    def url(self) -> str:
        """The URL of its stream."""
        return f"http://{self.place}/s"

    @property
    def targets(self) -> list[str]:
        """What was asked for, in order."""
        return [head.split(" ")[1] for head in self.asked]

    def answers(self, *answers: bytes) -> None:
        """What to answer, from the first request on; nothing is asked beyond it."""
        self._answers = list(answers)

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection, suppress(OSError):
                if not self._exchange(connection):
                    return

    def _exchange(self, connection: socket.socket) -> bool:
        connection.settimeout(20)
        request = _request(connection)
        if not request:
            return False
        self.asked.append(request)
        if self._answers:
            connection.sendall(self._answers.pop(0))
            connection.shutdown(socket.SHUT_WR)
            # Read on, so that what the client still sends draws no reset.
            while connection.recv(65536):
                pass
        return True

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A connection that asks nothing ends the thread.
        socket.create_connection(self._listener.getsockname()).close()
        self._thread.join()
        self._listener.close()


def _request(connection: socket.socket) -> str:
    """A head and its body, by either framing; empty when nothing came."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return ""
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    fields = head.decode("latin-1").lower()
    while _lacks(fields, body):
        body += connection.recv(65536)
    return f"{head.decode('latin-1')}\r\n\r\n{body.decode('latin-1')}"


def _lacks(fields: str, body: bytes) -> bool:
    if "transfer-encoding: chunked" in fields:
        return not body.endswith(b"0\r\n\r\n")
    _, _, length = fields.partition("content-length: ")
    return len(body) < int(length.partition("\r\n")[0] or 0)


def answer(
    status: int = 200,
    body: bytes = b"",
    length: int | None = None,
    more: Mapping[str, str] = MappingProxyType({}),
    **fields: str,
) -> bytes:
    """A whole answer; ``length`` above the body's makes a cut of it.

    Fields are written with underscores; the short names are the protocol's.
    """
    short = {"next": "Stream-Next-Offset", "done": "Stream-Up-To-Date",
             "closed": "Stream-Closed", "cursor": "Stream-Cursor",
             "type": "Content-Type"}  # fmt: skip
    lines = [f"HTTP/1.1 {status} Said", "Connection: close"]
    if status != 204:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    for name, value in {**more, **fields}.items():
        lines.append(f"{short.get(name, name.replace('_', '-'))}: {value}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def events(*blocks: bytes, cut: bool = True, **fields: str) -> bytes:
    """An event stream in chunks; ``cut`` leaves out the end that framing asks for."""
    lines = ["HTTP/1.1 200 OK", "Connection: close", "Transfer-Encoding: chunked",
             "Content-Type: text/event-stream",
             *(f"{k.replace('_', '-')}: {v}" for k, v in fields.items())]  # fmt: skip
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    chunks = [b"%x\r\n%b\r\n" % (len(block), block) for block in blocks]
    return head + b"".join(chunks) + (b"" if cut else b"0\r\n\r\n")


def data(text: str) -> bytes:
    """A data event."""
    return f"event: data\ndata:{text}\n\n".encode()


def control(offset: str, cursor: str = "7", **more: object) -> bytes:
    """A control event; ``more`` are further members, true when given."""
    members = "".join(f',"{name}":true' for name, given in more.items() if given)
    return (
        "event: control\n"
        f'data:{{"streamNextOffset":"{offset}","streamCursor":"{cursor}"{members}}}\n\n'
    ).encode()
