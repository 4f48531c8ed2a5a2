"""Transport: what a connection reads from and writes to, as an argument.

A transport is one client's end of a byte stream. It never blocks and never switches
greenlets: a call that cannot be done now raises BlockingIOError, and a ``Watch``
calls back when it is worth another try. Connections on the event loop use it as it
is; a greenlet that wants to wait wraps it in a ``BlockingStream``. Nothing above this
module and the listeners, which accept, touches a socket or a file descriptor, and
nothing here knows of HTTP. ``PlainTransport`` is a socket; ``tests/front`` has one
that is a list of bytes.

TLS is to be another one: an ``SSLObject`` between two ``MemoryBIO``, over a plain
transport. The contract leaves room for what is different there:

- A watch is about the transport, not about a descriptor. ``reading`` calls back when
  ``recv`` has something to say. That includes bytes which OpenSSL has decrypted
  already: no descriptor tells of them, so the transport asks the event loop to call
  back. A callback may also come in vain; ``recv`` raises BlockingIOError then.
- Reading may need writing (a handshake, a key update), and the reverse. That is the
  transport's own business: it watches its socket for what OpenSSL wants, and calls
  back when the call that was asked for can go on.
- ``send`` and ``sendmsg`` return how many of the caller's bytes were taken. Their
  encrypted form is the transport's to flush, and it takes no more until that is out.
  ``close`` flushes too, for a bounded time.
- A connection is handed to a greenlet and back as this object. No descriptor is
  passed on, for a session in OpenSSL could not follow it.
- ``shutdown_writing`` and ``close`` send the closing alert. ``abort`` sends none, so
  that a body cut short never looks complete.
"""

import _socket
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Protocol

READABLE = 1
WRITABLE = 2
"""What libev calls them."""

_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER on, for no time: close sends RST."""


class Watch(Protocol):
    """Calls back from the event loop, again and again, as long as there is reason to.

    Level-triggered: a reader that leaves something unread is called again. There is
    one callback at a time: only a watch that is not active may be started.
    """

    @property
    def active(self) -> bool: ...

    def start(self, callback: Callable[..., object], /, *args: object) -> None: ...

    def stop(self) -> None: ...


class Transport(Protocol):
    """One client's end of a byte stream. Once it failed, calls raise OSError."""

    @property
    def reading(self) -> Watch:
        """Calls back when ``recv`` has bytes, the end, or an error to tell."""

    @property
    def writing(self) -> Watch:
        """Calls back when ``send`` can take something, or has an error to tell."""

    def recv(self, size: int, /) -> bytes:
        """Up to ``size`` bytes; b"" at the end. Raises BlockingIOError."""

    def send(self, data: bytes | memoryview, /) -> int:
        """How many bytes were taken. Raises BlockingIOError when none can be."""

    def sendmsg(self, buffers: Iterable[bytes | memoryview], /) -> int:
        """``send`` for several buffers, in order."""

    def peek(self) -> bytes | None:
        """The first unread byte, which stays; b"" at the end, None while there is
        none yet. Never raises: one that failed is at its end."""

    def peername(self) -> Any:
        """The client's address, as ``socket.getpeername`` has it."""

    def shutdown_reading(self) -> None:
        """Read the end after what has come already."""

    def shutdown_writing(self) -> None:
        """Tell the client that nothing more comes."""

    def close(self) -> None:
        """Close; what was sent is still delivered, unless something was left unread.
        Never raises, and may be called twice. Watches end, and let go of what they
        would have called."""

    def abort(self) -> None:
        """Close with a reset: what the client got must not look complete."""


class PlainTransport(_socket.socket):
    """A socket. ``recv``, ``send`` and ``sendmsg`` are the system's calls: this is
    Python's innermost socket class, without the layers of ``socket`` and gevent."""

    __slots__ = ("_loop", "_writing", "reading")

    def __init__(
        self, loop: Any, family: int, kind: int, proto: int, descriptor: int
    ) -> None:
        """Take over an open, connected descriptor."""
        super().__init__(family, kind, proto, descriptor)
        self.setblocking(False)
        self._loop = loop
        self.reading: Any = loop.io(descriptor, READABLE)
        self._writing: Any = None

    @classmethod
    def of(cls, loop: Any, sock: Any) -> "PlainTransport":
        """Take the descriptor of another socket object over."""
        family, kind, proto = int(sock.family), int(sock.type), sock.proto
        return cls(loop, family, kind, proto, sock.detach())

    @property
    def writing(self) -> Any:
        """See ``Transport``. Made when it is needed first; most are never full."""
        if self._writing is None:
            self._writing = self._loop.io(self.fileno(), WRITABLE)
        return self._writing

    def peek(self) -> bytes | None:
        """See ``Transport``."""
        try:
            return self.recv(1, _socket.MSG_PEEK)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def peername(self) -> Any:
        """See ``Transport``."""
        return self.getpeername()

    def shutdown_reading(self) -> None:
        """See ``Transport``."""
        self.shutdown(_socket.SHUT_RD)

    def shutdown_writing(self) -> None:
        """See ``Transport``."""
        self.shutdown(_socket.SHUT_WR)

    def close(self) -> None:
        """See ``Transport``. No watch may outlive the descriptor: the next client's
        could have the same number."""
        if self.fileno() < 0:
            return
        for watch in (self.reading, self._writing):
            if watch is not None:
                watch.stop()
                watch.close()
        with suppress(OSError):
            # An error that came late; there is nobody left to tell.
            super().close()

    def abort(self) -> None:
        """See ``Transport``."""
        with suppress(OSError):
            # Where it is lost already, closing is all there is to do.
            self.setsockopt(_socket.SOL_SOCKET, _socket.SO_LINGER, _RESET)
        self.close()
