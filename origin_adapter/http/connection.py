"""One connection to the origin on the event loop: bytes in, bytes out.

An ``UpstreamConnection`` is a socket, what wakes it, and a time. It never blocks and
never switches greenlets. What happens to it is told to its ``holder``: the call that
uses it, or the pool while it is idle. One watcher for reading stays active from the
connection's making to its end, through all calls and between them; only a pause stops
it. So a call costs no change of what the kernel watches, and the end of an idle
connection is seen at once. One for writing is made when the socket first takes no more.

A callback makes one receive, into one buffer that all connections of an origin share;
what it returns is a copy. A connection parses nothing. Every failure of the socket
becomes ``ConnectionLost``; the holder knows what that means.

TLS differs in three ways, all hidden here. Bytes that OpenSSL holds wake nobody: after
each receive, and when reading goes on after a pause, the loop is asked to call back.
Reading may need to write and the reverse: the call that was wanted is repeated when the
socket is ready for what OpenSSL wants. A session's own records are no bytes.
"""

import _socket
import ssl
from socket import socket as Socket
from typing import Any, Protocol

from gevent.hub import get_hub

from edge.core.errors import OriginUnreachable
from edge.core.timer_wheel import Slot

READ = 1
WRITE = 2
"""Events of the loop's io watchers."""

RECEIVE_SIZE = 64 * 1024
"""Bytes that are received at once: what one turn of the loop may take in."""


class ConnectionLost(OriginUnreachable):
    """The connection ended, by a reset or before anything could be read."""


class ConnectionHolder(Protocol):
    """Who is told what happens to a connection. Guards itself: nothing is raised."""

    def readable(self, connection: "UpstreamConnection", /) -> None:
        """``receive`` may have something to tell. It may also be told in vain."""

    def writable(self, connection: "UpstreamConnection", /) -> None:
        """``send`` may take more. Told once for each ``await_room``."""

    def late(self, connection: "UpstreamConnection", /) -> None:
        """``due_at`` has passed."""


class UpstreamConnection:
    """A connected socket. ``reused`` is set from its second call on.

    It is an entry of a timer wheel (``edge.core.timer_wheel.Timed``).
    """

    __slots__ = (
        "_buffer",
        "_loop",
        "_reading",
        "_send_wants_read",
        "_socket",
        "_tls",
        "_watching",
        "_writing",
        "due_at",
        "holder",
        "reused",
        "slot",
    )

    def __init__(
        self, connected: Socket, buffer: memoryview, holder: ConnectionHolder
    ) -> None:
        self.holder = holder
        self.reused = False
        self.due_at = 0.0
        self.slot: Slot | None = None
        self._buffer = buffer
        self._tls = isinstance(connected, ssl.SSLSocket)
        # Watchers of the loop; gevent gives their types no public names.
        self._loop: Any = get_hub().loop
        self._socket: Any = connected if self._tls else _innermost(connected)
        self._reading: Any = self._loop.io(self._socket.fileno(), READ)
        self._writing: Any = None
        self._watching = False
        self._send_wants_read = False
        self.watch()

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._socket is None

    # Reading.

    def watch(self) -> None:
        """Tell the holder of what comes, from now on. Idempotent."""
        if not self._watching and self._socket is not None:
            self._watching = True
            self._reading.start(self._on_readable)
            if self._tls:
                self._loop.run_callback(self._on_readable)

    def rest(self) -> None:
        """Tell the holder nothing of what comes, until ``watch``. Idempotent."""
        self._watching = False
        if self._socket is not None:
            self._reading.stop()

    def receive(self) -> bytes | None:
        """What has come: None when nothing has, b"" once the origin has ended.

        Never waits. Raises ConnectionLost.
        """
        if self._socket is None:
            raise _closed()
        try:
            size = self._socket.recv_into(self._buffer)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None
        except ssl.SSLWantWriteError:
            self._await_writable()
            return None
        except OSError as error:
            raise _lost("receiving", error) from error
        if self._tls and size:
            self._loop.run_callback(self._on_readable)
        return bytes(self._buffer[:size])

    def is_stale(self) -> bool:
        """Whether an idle connection is dead, or the origin sent unasked bytes."""
        try:
            return self.receive() is not None
        except ConnectionLost:
            return True

    def _on_readable(self) -> None:
        if self._socket is None:
            return
        if self._send_wants_read:
            self._send_wants_read = False
            self.holder.writable(self)
        if self._watching:
            self.holder.readable(self)

    # Writing.

    def send(self, data: bytes | memoryview) -> int:
        """Send what the socket takes now; 0 when it is full. Raises ConnectionLost."""
        if self._socket is None:
            raise _closed()
        try:
            sent: int = self._socket.send(data)
        except (BlockingIOError, ssl.SSLWantWriteError):
            return 0
        except ssl.SSLWantReadError:
            self._send_wants_read = True
            return 0
        except OSError as error:
            raise _lost("sending", error) from error
        return sent

    def await_room(self) -> None:
        """Tell the holder once when ``send`` is worth another try."""
        if not self._send_wants_read:
            self._await_writable()

    def stop_sending(self) -> None:
        """Forget ``await_room``."""
        self._send_wants_read = False
        if self._writing is not None:
            self._writing.stop()

    def _await_writable(self) -> None:
        if self._writing is None:
            self._writing = self._loop.io(self._socket.fileno(), WRITE)
        if not self._writing.active:
            self._writing.start(self._on_writable)

    def _on_writable(self) -> None:
        self._writing.stop()
        self.holder.writable(self)
        if self._tls:
            # It may have been a receive that waited to write.
            self._on_readable()

    def lapse(self) -> None:
        """See ``pool.Due``."""
        self.holder.late(self)

    def close(self) -> None:
        """Close. Never switches, idempotent. No watcher outlives the descriptor: the
        next connection could have the same number."""
        if self._socket is None:
            return
        connected, self._socket = self._socket, None
        self._watching = False
        for watcher in (self._reading, self._writing):
            if watcher is not None:
                watcher.stop()
                watcher.close()
        connected.close()

    def __repr__(self) -> str:
        state = "closed" if self.closed else "reused" if self.reused else "new"
        return f"<UpstreamConnection {state}>"


def _innermost(connected: Socket) -> _socket.socket:
    """The same socket without the layers that gevent and ``socket`` put around it:
    they are for greenlets, which nobody here is."""
    family, kind, proto = int(connected.family), int(connected.type), connected.proto
    plain = _socket.socket(family, kind, proto, connected.detach())
    plain.setblocking(False)
    return plain


def _lost(doing: str, error: OSError) -> ConnectionLost:
    return ConnectionLost(
        "the connection to the origin failed", cause=f"{doing}: {error}"
    )


def _closed() -> ConnectionLost:
    return ConnectionLost("the connection was closed here")
