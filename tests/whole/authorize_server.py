"""Somebody who is asked who is let in, as an app has it: a server on threads.

By the path of what is asked for, and by who asks: ``Bearer NAME`` and ``session=NAME``
name somebody, and whoever ``barred`` names is not let in.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread


class AuthorizeServer(ThreadingHTTPServer):
    """``asked`` are the targets that it was asked about, with who asked. While ``may``
    is not set it answers nobody; ``came`` is set when somebody waits for that. Whom
    ``brief`` names is let in once, for so many seconds, by ``Cache-Control``."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Judge)
        self.barred: set[str] = set()
        self.brief: dict[str, int] = {}
        self.away = False
        self.may = Event()
        self.may.set()
        self.came = Event()
        self.lock = Lock()
        self.asked: list[tuple[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/authorize"


class _Judge(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: AuthorizeServer

    def do_GET(self) -> None:
        name = self._name()
        with self.server.lock:
            self.server.asked.append((self.headers["X-Forwarded-Uri"], name))
        self.server.came.set()
        self.server.may.wait()
        if self.server.away:
            self._answer(503)
        elif not name:
            self._answer(302, ("Location", "https://login.example/"))
        elif name in self.server.barred:
            self._answer(403, ("Content-Type", "text/plain"), body=b"barred")
        elif name == "new":
            self._answer(200, ("Set-Cookie", "session=renewed"), ("X-User", name))
        elif name in self.server.brief:
            told = f"max-age={self.server.brief.pop(name)}"
            self.server.barred.add(name)
            self._answer(200, ("X-User", name), ("Cache-Control", told))
        else:
            self._answer(200, ("X-User", name))

    def _name(self) -> str:
        scheme, _, name = (self.headers["Authorization"] or "").partition(" ")
        if scheme == "Bearer":
            return name
        return (self.headers["Cookie"] or "").removeprefix("session=")

    def _answer(self, status: int, *fields: tuple[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in fields:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def authorize_server() -> Iterator[AuthorizeServer]:
    """One that listens."""
    with AuthorizeServer() as standing:
        keeper = Thread(target=standing.serve_forever, daemon=True)
        keeper.start()
        try:
            yield standing
        finally:
            standing.may.set()
            standing.shutdown()
            keeper.join()
