"""Gate: pre-signed URLs before an origin that knows nothing of them.

It lets a GET through if its address is signed, and no HEAD, which wants another
credential. Each reader may have a signature of its own. So speak services that hand out
signed addresses; the Durable Proxy of the durable-streams repository is one. What it
was asked is kept.
"""

import http.client
import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from time import monotonic
from typing import Any, TypeVar
from urllib.parse import urlsplit

SIGNED = "expires=4102444800&signature=good"
_IS_SIGNED = re.compile("expires=4102444800|signature=good(-\\d+)?")
_PASSES = {"content-type", "stream-next-offset", "stream-up-to-date", "stream-closed"}


@dataclass(slots=True)
class Poll:
    """A read that waits: when it came, its query, and the status of its answer; 0 while
    it has none, for ever if the edge gave it up."""

    at: float
    query: str
    status: int = 0


class Passage(BaseHTTPRequestHandler):
    """One connection to a gate. A subclass says who passes."""

    protocol_version = "HTTP/1.1"
    server: "Gate"

    def forward(self, target: str) -> int:
        """Let this request through to ``target`` of the origin; the answer's status."""
        upstream = http.client.HTTPConnection(self.server.netloc)
        try:
            upstream.request(self.command, target)
            answer = upstream.getresponse()
            fields = {k: v for k, v in answer.getheaders() if k.lower() in _PASSES}
            self.answer(answer.status, fields, answer.read())
            return answer.status
        finally:
            upstream.close()

    def answer(self, status: int, fields: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class SignedPassage(Passage):
    """A GET passes if it is signed."""

    def do_HEAD(self) -> None:
        self.server.asked["HEAD"] += 1
        self.answer(401, {}, b"")

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        parts = query.split("&")
        signed = [part for part in parts if _IS_SIGNED.fullmatch(part)]
        self.server.asked["live" if "live=" in query else "GET"] += 1
        poll = Poll(monotonic(), query)
        if "live=" in query:
            self.server.polls.append(poll)
        if len(signed) < 2:
            self.answer(401, {}, b"no")
            return
        plain = "&".join(part for part in parts if part not in signed)
        poll.status = self.forward(f"{path}?{plain}")


class Gate(ThreadingHTTPServer):
    """``asked`` counts requests: HEAD, GET, and live for a GET that waits. ``polls``
    are the signed ones that wait."""

    daemon_threads = True
    request_queue_size = 128
    passage: type[Passage] = SignedPassage

    def __init__(self, origin: str) -> None:
        super().__init__(("127.0.0.1", 0), self.passage)
        self.netloc = urlsplit(origin).netloc
        self.asked: Counter[str] = Counter()
        self.polls: list[Poll] = []

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tell what went wrong, unless an edge that has heard enough hung up."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


G = TypeVar("G", bound=Gate)


@contextmanager
def gate(origin: str) -> Iterator[Gate]:
    """A gate before this origin."""
    with kept(Gate(origin)) as standing:
        yield standing


@contextmanager
def kept(made: G) -> Iterator[G]:
    """Any kind of gate, open as long as it is needed."""
    with made as standing:
        keeper = Thread(target=standing.serve_forever, daemon=True)
        keeper.start()
        try:
            yield standing
        finally:
            standing.shutdown()
            keeper.join()
