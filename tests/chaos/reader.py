"""A small client of our own for chaos tests: one connection, raw frames, threads.

It keeps what a careful client keeps: it goes on from ``Stream-Next-Offset``, takes
the data of an event only with the control event behind it, and asks again after
any failure. Independent of the edge's own readers and of the official client.
"""

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

TIMEOUT = 60.0
BROKEN = (OSError, http.client.HTTPException)
"""How a connection ends that was cut; the reader goes on from where it stands."""


def call(
    method: str, base: str, target: str, body: bytes = b"", **headers: str
) -> tuple[int, str, bytes]:
    """One request on a connection of its own: status, next offset, body.

    ``producer_id="a"`` sends ``producer-id: a``. Raises what BROKEN lists.
    """
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    connection = http.client.HTTPConnection(urlsplit(base).netloc, timeout=TIMEOUT)
    try:
        fields.setdefault("content-type", "text/plain")
        connection.request(method, target, body or None, fields)
        answer = connection.getresponse()
        offset = answer.headers.get("Stream-Next-Offset", "")
        return answer.status, offset, answer.read()
    finally:
        connection.close()


class Follower(threading.Thread):
    """Follows ``path`` in one mode until ``enough`` says that it has everything.

    ``seen`` are the bytes in the order of their arrival; ``odd`` what no reader
    may ever see (an offset that went back, a status that blames the client).
    """

    def __init__(
        self, base: str, path: str, live: str, enough: Callable[[bytes], bool]
    ) -> None:
        super().__init__(daemon=True)
        self._netloc = urlsplit(base).netloc
        self._path = path
        self._live = live
        self._enough = enough
        self._connection: http.client.HTTPConnection | None = None
        self.offset = "-1"
        self.seen = b""
        self.odd: list[str] = []

    def run(self) -> None:
        while not self.odd and not self._enough(self.seen):
            try:
                self._ask()
            except BROKEN:
                self._hang_up()
        self._hang_up()

    def _ask(self) -> None:
        live = f"&live={self._live}" if self._live else ""
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self._netloc, timeout=TIMEOUT)
        self._connection.request("GET", f"{self._path}?offset={self.offset}{live}")
        answer = self._connection.getresponse()
        if answer.status >= 400:
            answer.read()
            self._judge(answer.status)
        elif self._live == "sse":
            self._take_events(answer)
        else:
            body = answer.read()
            self._advance(answer.headers["Stream-Next-Offset"], body)

    def _judge(self, status: int) -> None:
        if status < 500:
            self.odd.append(f"status {status} at {self.offset}")

    def _take_events(self, answer: http.client.HTTPResponse) -> None:
        data = b""
        for kind, value in _events(answer):
            if kind == b"data":
                data += value
                continue
            self._advance(json.loads(value)["streamNextOffset"], data)
            data = b""
            if self._enough(self.seen):
                self._hang_up()
                return

    def _advance(self, offset: str, data: bytes) -> None:
        if self.offset != "-1" and (
            offset < self.offset or (data and offset == self.offset)
        ):
            self.odd.append(f"{data!r} led from {self.offset} to {offset}")
        self.offset = offset
        self.seen += data

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _events(answer: http.client.HTTPResponse) -> Iterator[tuple[bytes, bytes]]:
    """Kind and data of each whole event; lines of data are joined by newlines."""
    kind, lines = b"", list[bytes]()
    while line := answer.readline():
        name, _, value = line.rstrip(b"\n").partition(b":")
        if name == b"event":
            kind, lines = value.strip(), []
        elif name == b"data":
            lines.append(value)
        elif not line.strip() and kind:
            yield kind, b"\n".join(lines)
            kind = b""
