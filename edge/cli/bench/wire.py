"""How a bench's connections are read and written: as they are, or over TLS.

``PlainWire`` is two calls of the system. ``TlsWire`` has an OpenSSL session for each
descriptor, and the same two calls: a read gives all that has come, and what is written
before the handshake is done waits for it. So the crowd knows nothing of TLS.

A server's certificate must be believed: by the system's authorities, or by those in the
file that ``REQUESTS_CA_BUNDLE`` or ``SSL_CERT_FILE`` names.
"""

import os
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from edge.cli.streams.exit_faults import Exit, Fault

PIECE = 64 * 1024
"""Bytes of ciphertext that are read at once."""


class Wire(Protocol):
    """Reads and writes by descriptor; both raise BlockingIOError and other OSErrors."""

    def read(self, descriptor: int, size: int, /) -> bytes:
        """What has come; b"" at the end. ``TlsWire`` gives more than ``size``, too."""

    def write(self, descriptor: int, data: bytes, /) -> int:
        """Send a request, which always fits."""

    def open(self, sock: socket.socket, name: str | None) -> None:
        """Know this connection, which may still be connecting. ``name`` is whom its
        server must prove to be; None: it speaks no TLS."""

    def send_all(self, sock: socket.socket, data: bytes) -> None:
        """Send it, and wait until it is sent; of a socket with a time-out."""


class PlainWire:
    """Implements ``Wire``."""

    def __init__(self) -> None:
        self.read = os.read
        self.write = os.write

    def open(self, sock: socket.socket, name: str | None) -> None:
        """See ``Wire``."""

    def send_all(self, sock: socket.socket, data: bytes) -> None:
        """See ``Wire``."""
        sock.sendall(data)


@dataclass(slots=True)
class TlsSession:
    """One connection: its session, and the request that waits for the handshake."""

    session: ssl.SSLObject
    waiting: bytes = b""
    shaken: bool = False


class TlsWire:
    """Implements ``Wire``, also for connections that speak no TLS: an append may go
    where the viewers do not read."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        bundle = os.environ.get("REQUESTS_CA_BUNDLE")
        self._context = context or ssl.create_default_context(cafile=bundle)
        # OpenSSL takes everything out of the one, and the other is emptied after each
        # call: they serve all sessions.
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._sessions: dict[int, TlsSession] = {}

    def open(self, sock: socket.socket, name: str | None) -> None:
        """See ``Wire``."""
        if name is None:
            self._sessions.pop(sock.fileno(), None)
            return
        made = self._context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=name
        )
        self._sessions[sock.fileno()] = TlsSession(made)

    def read(self, descriptor: int, size: int, /) -> bytes:
        """See ``Wire``. Raises Fault where the server is not believed."""
        found = self._sessions.get(descriptor)
        if found is None:
            return os.read(descriptor, size)
        told: list[bytes] = []
        ended = False
        while not ended:
            try:
                data = os.read(descriptor, PIECE)
            except BlockingIOError:
                break
            ended = not data or self._decrypt(descriptor, found, data, told)
            if len(data) < PIECE:
                # All that has come: the epoll tells of it once.
                break
        if told or ended:
            return b"".join(told)
        raise BlockingIOError

    def _decrypt(
        self, descriptor: int, found: TlsSession, data: bytes, told: list[bytes]
    ) -> bool:
        """Add to ``told`` what can be read now. Whether the server said its end."""
        self._incoming.write(data)
        try:
            if not found.shaken:
                self._shake(found)
            while True:
                told.append(found.session.read(PIECE))
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            return True
        except ssl.SSLCertVerificationError as error:
            raise Fault(Exit.UNREACHABLE, f"TLS: {error.verify_message}") from None
        finally:
            self._flush(descriptor)
        return False

    def _shake(self, found: TlsSession) -> None:
        found.session.do_handshake()
        found.shaken = True
        if found.waiting:
            found.session.write(found.waiting)
            found.waiting = b""

    def write(self, descriptor: int, data: bytes, /) -> int:
        """See ``Wire``."""
        found = self._sessions.get(descriptor)
        if found is None:
            return os.write(descriptor, data)
        if found.shaken:
            found.session.write(data)
        else:
            found.waiting += data
            with suppress(ssl.SSLWantReadError):
                self._shake(found)
        self._flush(descriptor)
        return len(data)

    def _flush(self, descriptor: int) -> None:
        if self._outgoing.pending:
            os.write(descriptor, self._outgoing.read())

    def send_all(self, sock: socket.socket, data: bytes) -> None:
        """See ``Wire``."""
        found = self._sessions.get(sock.fileno())
        if found is None:
            sock.sendall(data)
            return
        while not found.shaken:
            try:
                self._shake(found)
            except ssl.SSLWantReadError:
                sock.sendall(self._outgoing.read())
                self._incoming.write(sock.recv(PIECE))
        found.session.write(data)
        sock.sendall(self._outgoing.read())
