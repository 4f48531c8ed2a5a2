"""TLS as clients of the edge's own speak it, and what an edge is given to answer them.

``Identity`` is a private authority with a certificate of it for the edge.
``TlsClient`` is a raw connection over TLS: an end without a closing alert is
``ConnectionResetError``, so that no test takes a body that was cut for a whole one.
"""

import contextlib
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from edge.front.tls import ListenerTls
from edge.settings.listener_tls import TlsSettings, server_context
from tests.front.edge_process import Client, EdgeProcess
from tests.support.certificates import Authority

T = TypeVar("T")

NAME = "edge.test"


class Identity:
    """An authority, and the edge's certificate of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority(folder)
        self.cert, self.key = map(str, self.authority.issue(NAME))

    def settings(self, **more: Any) -> TlsSettings:
        """How an edge with this certificate speaks TLS."""
        return TlsSettings.model_validate({"cert": self.cert, "key": self.key, **more})

    def context(self, **options: Any) -> ssl.SSLContext:
        """A client that believes in it; ``options`` are attributes of the context."""
        context = ssl.create_default_context(cafile=str(self.authority.certificate))
        for name, value in options.items():
            setattr(context, name, value)
        return context


@cache
def identity() -> Identity:
    """One for all tests of a process."""
    folder = tempfile.TemporaryDirectory(prefix="ds-tls-")
    made = Identity(Path(folder.name))
    # It lives as long as this process.
    made.__dict__["folder_of"] = folder
    return made


def listener(settings: TlsSettings) -> ListenerTls:
    """What a worker takes for such a listener."""
    return ListenerTls(server_context(settings), settings.expires_at)


class TlsClient(Client):
    """A raw connection over TLS. Raises ssl.SSLError if the edge does not want it.

    OpenSSL sees what is given to it and nothing else: an alert can be sent without a
    look at what comes.
    """

    def __init__(
        self,
        address: Any,
        context: ssl.SSLContext | None = None,
        name: str = NAME,
        session: ssl.SSLSession | None = None,
        before: bytes = b"",
    ) -> None:
        super().__init__(address)
        # One thread may send while another one reads.
        self._lock = threading.RLock()
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = (context or identity().context()).wrap_bio(
            self._incoming, self._outgoing, server_hostname=name, session=session
        )
        try:
            self.sock.sendall(before)
            self._until_done(self.tls.do_handshake)
        except OSError:
            self.sock.close()
            raise

    def __enter__(self) -> "TlsClient":
        return self

    def half_close(self) -> None:
        """Send the closing alert, and go on reading."""
        with contextlib.suppress(ssl.SSLWantReadError):
            while True:
                # To OpenSSL it is an error that something waits to be read.
                self._held += self.tls.read(1 << 16)
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        self._flush()

    def end_without_alert(self) -> None:
        """Send FIN, as who is cut off does."""
        self.sock.shutdown(socket.SHUT_WR)

    def send(self, data: bytes | str) -> None:
        if isinstance(data, str):
            data = data.replace("\n", "\r\n").encode("latin-1")
        left = memoryview(data)
        while left:
            with self._lock:
                left = left[self.tls.write(left) :]
                self._flush()

    def _more(self) -> bool:
        try:
            data = self._until_done(lambda: self.tls.read(1 << 16))
        except ssl.SSLZeroReturnError:
            return False
        self._held += data
        return bool(data)

    def _until_done(self, act: Callable[[], T]) -> T:
        """Call ``act`` with all that comes, until it is done."""
        while True:
            with self._lock:
                try:
                    return act()
                except ssl.SSLWantReadError:
                    pass
                finally:
                    # Of what goes wrong the other end is told.
                    self._flush()
            data = self.sock.recv(1 << 16)
            if not data:
                raise ConnectionResetError("without an alert")
            with self._lock:
                self._incoming.write(data)

    def _flush(self) -> None:
        if self._outgoing.pending:
            self.sock.sendall(self._outgoing.read())


class TlsEdge(EdgeProcess):
    """An edge that speaks TLS; ``given["tls"]`` are more settings of it."""

    def _entry(self, listener: int, events: int) -> Any:
        entry = super()._entry(listener, events)
        entry.tls = identity().settings(**self.given.get("tls", {}))
        return entry

    def connect(self, **how: Any) -> TlsClient:
        return TlsClient(self.address, **how)
