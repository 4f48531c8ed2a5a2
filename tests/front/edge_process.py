"""An edge in a process of its own, and raw sockets to speak to it.

``EdgeProcess`` starts ``edge_entry`` with a listening socket that the test made,
so there is no port to guess and no readiness to wait for: a connection made
early waits in the backlog. What happens inside arrives as lines on a pipe;
``expect`` waits for one, which is how a test knows where the edge stands.
"""

import contextlib
import json
import os
import pickle
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from tests.front.edge_entry import Entry
from tests.support.options import (
    front_options,
    limits,
    log_options,
    recycle_options,
    server_options,
)

PATIENCE = 60.0
"""Seconds after which a wait is a failed test."""

ROOT = Path(__file__).resolve().parents[2]
_START = "import edge.cli.serve; from {0} import {1}; {1}.main()"


@dataclass(eq=False)
class Answered:
    """One response as it was on the wire."""

    status: int
    reason: str
    fields: list[tuple[str, str]]
    body: bytes
    complete: bool

    def __getitem__(self, name: str) -> str:
        """All values of a field, by lower-case name, joined; KeyError if absent."""
        values = self.all(name)
        if not values:
            raise KeyError(name)
        return ", ".join(values)

    def all(self, name: str) -> list[str]:
        """The values of a field, by lower-case name."""
        return [value for key, value in self.fields if key == name]

    def problem(self) -> dict[str, Any]:
        """The body as a problem document."""
        assert self["content-type"] == "application/problem+json"
        document: dict[str, Any] = json.loads(self.body)
        assert document["status"] == self.status
        return document


over_both = pytest.mark.parametrize("over", ["plain", "tls"])
"""A story that is the same by TLS (``conftest.edge``)."""


class Client:
    """A raw connection to the edge."""

    def __init__(self, address: Any) -> None:
        self.sock = socket.create_connection(address, PATIENCE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._held = b""

    @classmethod
    def over(cls, sock: socket.socket) -> "Client":
        """One over a connection that is there."""
        made = cls.__new__(cls)
        made.sock, made._held = sock, b""
        return made

    @classmethod
    def to_unix(cls, path: str | Path) -> "Client":
        """One to a unix socket. Raises OSError."""
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(PATIENCE)
        try:
            sock.connect(str(path))
        except OSError:
            sock.close()
            raise
        return cls.over(sock)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.sock.close()

    def send(self, data: bytes | str) -> None:
        """Send bytes as they are; text with its line ends made CRLF."""
        if isinstance(data, str):
            data = data.replace("\n", "\r\n").encode("latin-1")
        self.sock.sendall(data)

    def get(self, path: str, *fields: str, version: str = "1.1") -> None:
        """Send a GET with a Host and these fields."""
        self.request("GET", path, *fields, version=version)

    def request(
        self,
        method: str,
        path: str,
        *fields: str,
        body: bytes = b"",
        version: str = "1.1",
    ) -> None:
        """Send a whole request; Content-Length is added when there is a body."""
        lines = [f"{method} {path} HTTP/{version}", "Host: edge.test", *fields]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\n".join(lines) + "\n\n")
        if body:
            self.send(body)

    def reset(self) -> None:
        """Close with RST."""
        linger = struct.pack("ii", 1, 0)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close()

    def half_close(self) -> None:
        """Send FIN, and go on reading."""
        self.sock.shutdown(socket.SHUT_WR)

    # Reading.

    def read(self, method: str = "GET") -> Answered:
        """The next response, to the end of its body or of the connection."""
        while True:
            answered = self.head()
            if answered.status != 100:
                break
        self._read_body(answered, method)
        return answered

    def head(self) -> Answered:
        """The next head. ``complete`` is for the body still to come."""
        raw = self.until(b"\r\n\r\n")
        first, *lines = raw.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        _, status, reason = first.split(" ", 2)
        pairs = (line.split(": ", 1) for line in lines)
        fields = [(name.lower(), value) for name, value in pairs]
        return Answered(int(status), reason, fields, b"", False)

    def _read_body(self, answered: Answered, method: str) -> None:
        if method == "HEAD" or answered.status in (204, 304):
            answered.complete = True
        elif answered.all("transfer-encoding") == ["chunked"]:
            self._read_chunks(answered)
        elif answered.all("content-length"):
            size = int(answered["content-length"])
            answered.body = self.take(size)
            answered.complete = len(answered.body) == size
        else:
            answered.body = self.rest()
            answered.complete = True

    def _read_chunks(self, answered: Answered) -> None:
        while (chunk := self.chunk()) is not None:
            if not chunk:
                answered.complete = True
                return
            answered.body += chunk

    def chunk(self) -> bytes | None:
        """The next chunk, b"" for the last, None when the connection ended."""
        line = self.until(b"\r\n")
        if not line:
            return None
        size = int(line, 16)
        data = self.take(size + 2)
        return data[:-2] if len(data) == size + 2 else None

    def until(self, mark: bytes) -> bytes:
        """Bytes up to and with ``mark``, b"" when the connection ends first."""
        while mark not in self._held:
            if not self._more():
                return b""
        end = self._held.index(mark) + len(mark)
        taken, self._held = self._held[:end], self._held[end:]
        return taken

    def take(self, size: int) -> bytes:
        """That many bytes, fewer when the connection ends first."""
        while len(self._held) < size and self._more():
            pass
        taken, self._held = self._held[:size], self._held[size:]
        return taken

    def rest(self) -> bytes:
        """Everything up to the end of the connection."""
        while self._more():
            pass
        taken, self._held = self._held, b""
        return taken

    def ended(self) -> bool:
        """Whether the edge closed, with nothing left unread. Waits for it."""
        return self.rest() == b""

    def _more(self) -> bool:
        data = self.sock.recv(1 << 16)
        self._held += data
        return bool(data)


@dataclass(eq=False)
class EdgeProcess:
    """A running edge; use it as a context manager. ``given`` are its options."""

    given: dict[str, Any] = field(default_factory=dict)
    admin_address: str = ""
    entry_module = ("tests.front", "edge_entry")

    def __enter__(self) -> "EdgeProcess":
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            self.admin_path = str(folder / "admin")
            self.log_path = folder / "log"
            self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
            self.address = self._listener.getsockname()
            self._events, write_end = os.pipe()
            stack.callback(os.close, self._events)
            self._lines = b""
            with self._listener, self.log_path.open("wb") as log:
                self.process = self._start(write_end, log)
            stack.callback(self._end)
            os.close(write_end)
            self.first = self.expect("started")
            self.worker = int(self.first.split()[1])
            self._stack = stack.pop_all()
        return self

    def _start(self, events: int, log: Any) -> "subprocess.Popen[bytes]":
        listener = self._listener.fileno()
        entry = pickle.dumps(self._entry(listener, events)).hex()
        return subprocess.Popen(
            [sys.executable, "-c", _START.format(*self.entry_module), entry],
            pass_fds=(listener, events),
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=log,
            stderr=log,
        )

    def _entry(self, listener: int, events: int) -> Any:
        given = self.given
        bounds = limits(**given.get("limits", {}))
        options = server_options(
            listen=(f"fd://{listener}",),
            proxy_protocol=(given.get("proxy_protocol", False),),
            admin=self.admin_address or f"unix:{self.admin_path}",
            admin_token=given.get("token"),
            grace=given.get("grace", 5.0),
            idle_grace=given.get("idle_grace", 0.05),
            limits=bounds,
            recycle=recycle_options(**given.get("recycle", {})),
            log=log_options(**given.get("log", {})),
            workers=given.get("workers", 1),
            keepers=given.get("keepers", 0),
            heartbeat=given.get("heartbeat", 30),
            keeper_heartbeat=given.get("keeper_heartbeat", 5),
        )
        front = front_options(limits=bounds, **given.get("front", {}))
        broken_by = given.get("broken_by", "")
        run_folder = given.get("run_folder", "")
        return Entry(options, front, events, given.get("files"), broken_by, run_folder)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            error.add_note(self.log())
        self._stack.close()

    def _end(self) -> None:
        """End it, whatever it is doing."""
        self.terminate()
        try:
            self.ended()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def log(self) -> str:
        """Everything that the edge has written so far."""
        return self.log_path.read_text("utf-8", "replace")

    def expect_log(self, wanted: str) -> None:
        """Wait until the log says ``wanted``."""
        waited = threading.Event()
        for _ in range(int(PATIENCE / 0.02)):
            if wanted in self.log():
                return
            waited.wait(0.02)
        raise AssertionError(f"{wanted!r} was not logged:\n{self.log()}")

    def expect(self, wanted: str) -> str:
        """Wait for an event that begins with ``wanted``; others are passed over."""
        while True:
            line = self._next_line(wanted)
            if line.startswith(wanted):
                return line

    def forget(self) -> None:
        """Pass over all events so far."""
        while select.select([self._events], [], [], 0)[0]:
            os.read(self._events, 1 << 16)
        self._lines = b""

    def _next_line(self, wanted: str) -> str:
        while b"\n" not in self._lines:
            ready, _, _ = select.select([self._events], [], [], PATIENCE)
            assert ready, f"no event {wanted!r} came; the log says:\n{self.log()}"
            data = os.read(self._events, 4096)
            assert data, f"the edge ended before {wanted!r}; its log:\n{self.log()}"
            self._lines += data
        line, _, self._lines = self._lines.partition(b"\n")
        return line.decode()

    def peak_memory(self) -> int:
        """The most resident memory that the worker had so far, in bytes."""
        status = Path(f"/proc/{self.worker}/status").read_text("ascii")
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024

    def connect(self) -> Client:
        """A new connection."""
        return Client(self.address)

    def terminate(self) -> None:
        """Tell it to stop."""
        self.process.send_signal(signal.SIGTERM)

    def reload(self) -> None:
        """Tell it to replace its worker."""
        self.process.send_signal(signal.SIGHUP)

    def ended(self) -> int:
        """Wait for its end; the exit code."""
        return self.process.wait(PATIENCE)

    def stop(self) -> int:
        """Tell it to stop, wait for the end; its exit code."""
        self.terminate()
        return self.ended()

    def reloads(self) -> list[str]:
        """What became of the last reloads, as the admin address tells it."""
        with self.admin() as operator:
            operator.get("/reloads")
            told = json.loads(operator.read().body)["reloads"]
        return [one["result"] for one in told]

    @contextlib.contextmanager
    def admin(self) -> Iterator[Client]:
        """A connection to the admin address."""
        with Client.to_unix(self.admin_path) as client:
            yield client
