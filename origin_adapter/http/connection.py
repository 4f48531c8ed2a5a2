"""One connection to the origin: a socket that waits only where it says so.

The socket is non-blocking; ``wait`` is the only place that switches greenlets
for it, with one watcher that ``close`` can cancel from any other greenlet.
Plain, unix and TLS sockets differ only in which errors mean "not yet".

A connection is used by one call at a time. It never parses: bytes in, bytes
out. Every failure of the socket becomes ``ConnectionLost``; its caller knows
what that means at its point of the exchange.
"""

import errno
import ssl
import time
from socket import socket
from typing import Any

import gevent
from gevent.hub import get_hub
from gevent.socket import wait as wait_for

from edge.core.errors import OriginTimeout, OriginUnreachable

READ = 1
WRITE = 2
"""Events of the loop's io watchers."""

RECEIVE = 64 * 1024
FAIR_SHARE = 1024 * 1024
"""Bytes that a connection may move before it lets other greenlets run."""

_NOT_YET = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class ConnectionLost(OriginUnreachable):
    """The connection ended, by reset or before anything could be read."""


class Connection:
    """A connected socket. ``reused`` while it serves a second call or a later one.

    ``idle_since`` is monotonic seconds, for the pool.
    """

    __slots__ = ("_moved", "_received", "_socket", "_waiting", "idle_since", "reused")

    def __init__(self, connected: socket) -> None:
        self.reused = False
        self.idle_since = 0.0
        self._socket: socket | None = connected
        # A watcher of the loop; gevent gives its type no public name.
        self._waiting: Any = None
        self._received: bytes | None = None
        self._moved = 0

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._socket is None

    def try_send(self, data: memoryview) -> int:
        """Send what the socket takes now; 0 when it is full.

        Raises ConnectionLost.
        """
        try:
            sent = self._open().send(data)
        except _NOT_YET:
            return 0
        except OSError as error:
            raise ConnectionLost(f"sending failed: {error}") from error
        self._share(sent)
        return sent

    def receive(self, deadline: float) -> bytes:
        """The next bytes, waiting for them; b"" once the origin has ended.

        Raises ConnectionLost, and OriginTimeout at ``deadline`` (monotonic).
        """
        if time.monotonic() >= deadline:
            # An origin that never lets anybody wait has no longer than others.
            raise _late()
        while not self.arrived():
            self.wait(READ, deadline)
        received, self._received = self._received or b"", None
        self._share(len(received))
        return received

    def arrived(self) -> bool:
        """Whether bytes or the origin's end are here; never waits.

        What came is kept for ``receive``. A TLS session's own records are not
        bytes. Raises ConnectionLost.
        """
        if self._received is None:
            try:
                self._received = self._open().recv(RECEIVE)
            except _NOT_YET:
                return False
            except OSError as error:
                raise ConnectionLost(f"receiving failed: {error}") from error
        return True

    def wait(self, events: int, deadline: float) -> None:
        """Block until the socket is ready for one of ``events``.

        Raises OriginTimeout at ``deadline``, and ConnectionLost when ``close``
        is called meanwhile.
        """
        timeout = deadline - time.monotonic()
        if timeout <= 0:
            raise _late()
        watcher = get_hub().loop.io(self._open().fileno(), events)
        self._waiting = watcher
        self._moved = 0
        try:
            wait_for(watcher, timeout, _late())
        except OSError as error:
            raise ConnectionLost("the connection was closed here") from error
        finally:
            self._waiting = None
            watcher.close()

    def _share(self, moved: int) -> None:
        """A fast peer must not keep the loop from everybody else."""
        self._moved += moved
        if self._moved >= FAIR_SHARE:
            self._moved = 0
            gevent.sleep(0)

    def _open(self) -> socket:
        if self._socket is None:
            raise ConnectionLost("the connection was closed here")
        return self._socket

    def is_stale(self) -> bool:
        """Whether an idle connection is dead, or the origin spoke unasked."""
        try:
            return self.arrived()
        except ConnectionLost:
            return True

    def close(self) -> None:
        """Close; who waits in ``wait`` is released. Never switches, idempotent."""
        if self._socket is None:
            return
        connected, self._socket = self._socket, None
        if self._waiting is None:
            connected.close()
            return
        # The loop must have let go of the descriptor before it is freed.
        get_hub().cancel_waits_close_and_then(
            (self._waiting,), _closed_here(), connected.close
        )


def _late() -> OriginTimeout:
    return OriginTimeout("the origin took too long")


def _closed_here() -> OSError:
    return OSError(errno.EBADF, "closed by another greenlet")
