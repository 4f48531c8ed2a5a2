"""One kept connection that asks and waits: to set up, and for single requests."""

import socket
import time
from typing import NamedTuple
from urllib.parse import urlsplit

from edge.cli.bench.framing import AnswerEnd, AnswerFraming, AnswerHead, head_of
from tests.bench.load.events import Wrong
from tests.bench.load.loop import CONNECT_WITHIN, PIECE, Address

_BLANK = b"\r\n\r\n"
ANSWER_WITHIN = 60.0


def address(url: str) -> Address:
    """Where ``http://host:port`` is."""
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname is None:
        raise Wrong(f"{url!r} is no http://host:port")
    return parts.hostname, parts.port or 80


def request(
    method: str, host: str, path: str, body: bytes = b"", *fields: str
) -> bytes:
    """A whole request; ``fields`` are further header lines."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *fields]
    if method in ("POST", "PUT"):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


class Answer(NamedTuple):
    """``seconds`` from the first byte that was sent to the last that came."""

    head: AnswerHead
    body: bytes
    seconds: float


class Kept:
    """A connection to ``http://host:port``; one request after the other."""

    def __init__(self, url: str) -> None:
        self.host = urlsplit(url).netloc
        self._at = address(url)
        self._socket = self._connected()

    def _connected(self) -> socket.socket:
        made = socket.create_connection(self._at, CONNECT_WITHIN)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.settimeout(ANSWER_WITHIN)
        return made

    def close(self) -> None:
        """Leave."""
        self._socket.close()

    def ask(self, method: str, path: str, body: bytes = b"", *fields: str) -> Answer:
        """Send and wait. Raises Wrong: the connection ended; OSError."""
        asked = request(method, self.host, path, body, *fields)
        begun = time.monotonic()
        self._socket.sendall(asked)
        found = self._head() if method == "HEAD" else self._whole()
        answer = Answer(*found, time.monotonic() - begun)
        if answer.head.last:
            self._socket.close()
            self._socket = self._connected()
        return answer

    def _whole(self) -> tuple[AnswerHead, bytes]:
        framing, head, body = AnswerFraming(), None, []
        while True:
            for part in framing.feed(self._read()):
                if isinstance(part, AnswerHead):
                    head = part
                elif isinstance(part, bytes):
                    body.append(part)
                elif isinstance(part, AnswerEnd) and head is not None:
                    return head, b"".join(body)

    def _head(self) -> tuple[AnswerHead, bytes]:
        held = b""
        while not held.endswith(_BLANK):
            held += self._read()
        return head_of(held), b""

    def _read(self) -> bytes:
        data = self._socket.recv(PIECE)
        if not data:
            raise Wrong(f"{self.host} closed a connection before its answer")
        return data


def expect(answer: Answer, what: str, *statuses: int) -> Answer:
    """The answer, if it has one of these statuses. Raises Wrong."""
    if answer.head.status not in statuses:
        raise Wrong(f"{what}: {answer.head.status} {answer.body[:200]!r}")
    return answer
