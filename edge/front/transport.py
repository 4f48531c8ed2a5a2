"""Transport: what a connection reads from and writes to, as an argument.

A transport is one client's end of a byte stream. It never blocks and never switches
greenlets: a call that cannot be done now raises BlockingIOError, and a ``Watch`` calls
back when it is worth another try. Above this module only the listeners, which accept,
touch a socket or a file descriptor. The module knows nothing of HTTP.
``PlainTransport`` is a socket; ``tests/front`` has one that is a list of bytes.

Three things stand on a transport, for three ways to wait:

=================== ==============================================================
``WriteBuffer``     on the event loop: sends bit by bit what was not taken at once
``DisconnectWatch`` on the event loop: notices that a client left while nothing is
                    said to it
``BlockingStream``  in a greenlet: waits until a call can be done
=================== ==============================================================

TLS is another transport (``edge.front.tls``): an ``SSLObject`` between two
``MemoryBIO``, over a plain one. The contract leaves room for what is different there:

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
- ``shutdown_writing`` and ``close`` send the closing alert. ``abort`` sends none: a
  body cut short must never look complete.
"""

import _socket
import struct
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Protocol

import gevent

READABLE = 1
WRITABLE = 2
"""What libev calls them."""

_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER on, for no time: close sends RST."""

_PEER = struct.Struct("3i")
_SO_PEERCRED = getattr(_socket, "SO_PEERCRED", 17)
"""What Linux tells of a unix socket's other end: process, user, group."""

_LINGER_READ = 4096
"""Bytes that are read at once from a client whose connection is being closed."""


class Watch(Protocol):
    """Calls back from the event loop, repeatedly, as long as there is reason to.

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
        """The first unread byte, which stays; b"" at the end, None while there is none
        yet. Never raises: a transport that failed is at its end."""

    def shutdown_reading(self) -> None:
        """Read the end after what has come already."""

    def shutdown_writing(self) -> None:
        """Tell the client that nothing more comes."""

    def close(self) -> None:
        """Close. What was sent is still delivered, unless something was left unread.
        Never raises, and may be called twice. Watches end and release their callbacks.
        """

    def abort(self) -> None:
        """Close with a reset: what the client got must not look complete."""


class PlainTransport(_socket.socket):
    """A socket. ``recv``, ``send`` and ``sendmsg`` are the system's calls: this is
    Python's innermost socket class, without the layers of ``socket`` and gevent."""

    __slots__ = ("_writing", "loop", "reading")

    def __init__(
        self, loop: Any, family: int, kind: int, proto: int, descriptor: int
    ) -> None:
        """Take over an open, connected descriptor."""
        super().__init__(family, kind, proto, descriptor)
        self.setblocking(False)
        self.loop = loop
        self.reading: Any = loop.io(descriptor, READABLE)
        self._writing: Any = None

    @classmethod
    def of(cls, loop: Any, sock: Any) -> "PlainTransport":
        """Take the descriptor of another socket object over."""
        family, kind, proto = int(sock.family), int(sock.type), sock.proto
        return cls(loop, family, kind, proto, sock.detach())

    @property
    def writing(self) -> Any:
        """See ``Transport``. Made when it is first needed; most are never full."""
        if self._writing is None:
            self._writing = self.loop.io(self.fileno(), WRITABLE)
        return self._writing

    def peer_user(self) -> int | None:
        """The user that the process at the other end of a unix socket ran as when it
        connected; None where the system does not say."""
        try:
            told = self.getsockopt(_socket.SOL_SOCKET, _SO_PEERCRED, _PEER.size)
        except OSError:
            return None
        user: int = _PEER.unpack(told)[1]
        return user

    def peek(self) -> bytes | None:
        """See ``Transport``."""
        try:
            return self.recv(1, _socket.MSG_PEEK)
        except BlockingIOError:
            return None
        except OSError:
            return b""

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
            # An error that came late: there is no one to tell.
            super().close()

    def abort(self) -> None:
        """See ``Transport``."""
        with suppress(OSError):
            # If it is lost already, closing is all that can be done.
            self.setsockopt(_socket.SOL_SOCKET, _socket.SO_LINGER, _RESET)
        self.close()


# Waiting on the event loop.


class WriteBuffer:
    """The part of one response that ``transport`` did not take at once.

    ``writable`` is called when the transport can take some; the owner then calls
    ``flush``. The owner thus sees each bit of progress, and can give up a client that
    takes nothing. At most one write lies here, never a queue: a writer that is told
    that the transport is full waits until it has drained. Large bodies are not copied.
    """

    __slots__ = ("_left", "_transport")

    def __init__(
        self,
        transport: Transport,
        left: list[memoryview],
        writable: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._left = left
        transport.writing.start(writable)

    def add(self, data: bytes) -> None:
        """Send ``data`` after the rest: the few bytes that end a stream."""
        if data:
            self._left.append(memoryview(data))

    def flush(self) -> bool:
        """Send what can be sent; whether all is out. Raises OSError."""
        try:
            sent = self._transport.sendmsg(self._left)
        except BlockingIOError:
            return False
        self._left = rest(self._left, sent)
        return not self._left

    def close(self) -> None:
        """Stop waiting. Call before the transport is closed or handed over."""
        self._transport.writing.stop()


def rest(pieces: list[memoryview], sent: int) -> list[memoryview]:
    """The part of ``pieces`` that is left after ``sent`` bytes."""
    for number, piece in enumerate(pieces):
        if sent < len(piece):
            return [piece[sent:], *pieces[number + 1 :]]
        sent -= len(piece)
    return []


class DisconnectWatch:
    """Calls ``gone`` once, from the event loop, when the client has closed.

    A parked reader neither sends nor is sent to, so its FIN would go unnoticed (E46).
    The watch looks at the next unread byte and leaves it there. The end means that the
    client closed. A byte begins the next request and stays for the parser; the watch
    then ends, because it would be called again at once, for ever. While it watches, no
    other part may wait for bytes of this client.
    """

    def __init__(self, transport: Transport, gone: Callable[[], None]) -> None:
        self._transport = transport
        self._gone = gone
        self._watching = False
        self._over = False

    def start(self) -> None:
        """Watch, unless the watch has ended."""
        if not self._over and not self._watching:
            self._watching = True
            self._transport.reading.start(self._readable)

    def pause(self) -> None:
        """Do not watch; ``start`` goes on."""
        if self._watching:
            self._watching = False
            self._transport.reading.stop()

    def close(self) -> None:
        """Never watch again. May be called twice."""
        self.pause()
        self._over = True

    def _readable(self) -> None:
        found = self._transport.peek()
        if found is None:
            return
        self.close()
        if not found:
            self._gone()


# Waiting in a greenlet.


class BlockingStream:
    """``transport`` for a greenlet. Raises TimeoutError, and OSError if it is lost.

    Has what gunicorn's parser and response use of a socket (``recv``, ``send``,
    ``sendall``, the time-outs) and what the whole way needs beside that. A call that
    the transport cannot do now lets other greenlets run until it can. One greenlet at
    a time: while it waits for bytes, ``reading`` is in use. Nobody else closes the
    transport meanwhile: the wait would never end. Kill the greenlet instead.
    """

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self._timeout: float | None = None
        # An interim response that goes out once its client is waited for.
        self._interim = b""

    def gettimeout(self) -> float | None:
        """Seconds that a call may take; None for ever."""
        return self._timeout

    def settimeout(self, seconds: float | None) -> None:
        """Let each call take so many seconds at most."""
        self._timeout = seconds

    def recv(self, size: int) -> bytes:
        """Up to ``size`` bytes, as soon as there are any; b"" at the end."""
        if self._interim:
            self.sendall(self._interim)
        transport = self.transport
        while True:
            try:
                return transport.recv(size)
            except BlockingIOError:
                self._wait(transport.reading, self._timeout)

    def shaken(self, shake: Callable[[], None], ends: float) -> None:
        """Call ``shake`` with all that comes, until it is done; ``ends`` is monotonic.

        Raises TimeoutError, and whatever ``shake`` raises but BlockingIOError.
        """
        while True:
            try:
                return shake()
            except BlockingIOError:
                self._wait(self.transport.reading, ends - time.monotonic())

    def sendall(self, data: bytes) -> None:
        """Send all of ``data``; the time-out is for the whole of it."""
        self._interim = b""
        transport = self.transport
        left = memoryview(data)
        ends: float | None = None
        while left:
            try:
                left = left[transport.send(left) :]
            except BlockingIOError:
                if self._timeout is None:
                    self._wait(transport.writing, None)
                    continue
                now = time.monotonic()
                ends = now + self._timeout if ends is None else ends
                self._wait(transport.writing, ends - now)

    def send(self, data: bytes) -> int:
        """What gunicorn calls for ``100 Continue``, before anybody has looked at the
        request. It goes out when the body is read, and never if it is answered first:
        what is refused by its head need not be sent (RFC 9110 section 10.1.1)."""
        self._interim = data
        return len(data)

    def close_gracefully(self, seconds: float, most: int) -> None:
        """Say the end, read up to ``most`` bytes for up to ``seconds`` until the
        client has read it, and close (RFC 9112 section 9.6)."""
        ends = time.monotonic() + seconds
        try:
            self.transport.shutdown_writing()
            while most > 0:
                self._timeout = ends - time.monotonic()
                data = self.recv(_LINGER_READ)
                if not data:
                    break
                most -= len(data)
        except OSError:
            # Too slow, or gone: the client had its time.
            return
        finally:
            self.close()

    def peek(self) -> bytes | None:
        """See ``Transport``."""
        return self.transport.peek()

    def close(self) -> None:
        """See ``Transport``."""
        self.transport.close()

    def abort(self) -> None:
        """See ``Transport``."""
        self.transport.abort()

    def _wait(self, watch: Watch, seconds: float | None) -> None:
        late = TimeoutError("timed out")
        if seconds is not None and seconds <= 0:
            raise late
        hub: Any = gevent.get_hub()
        with gevent.Timeout(seconds, late):
            hub.wait(watch)
