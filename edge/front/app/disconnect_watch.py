"""DisconnectWatch: hears that a client left while it has nothing to say.

A parked reader neither sends nor is sent to, so nobody would notice its FIN
(E46). The watch looks into the socket's buffer without taking anything out:
nothing there means the client closed; bytes are its next request, which stays
for the parser, and the watch ends (a level-triggered watcher would spin).
"""

import socket
from collections.abc import Callable

import gevent

_READ = 1


class DisconnectWatch:
    """Calls ``gone`` once, from the event loop, when the client has closed."""

    def __init__(self, sock: socket.socket, gone: Callable[[], None]) -> None:
        self._sock = sock
        self._gone = gone
        self._watcher = gevent.get_hub().loop.io(sock.fileno(), _READ)
        self._watching = False
        self._over = False

    def start(self) -> None:
        """Watch, unless the watch has ended."""
        if not self._over and not self._watching:
            self._watching = True
            self._watcher.start(self._readable)

    def pause(self) -> None:
        """Do not watch; ``start`` goes on."""
        if self._watching:
            self._watching = False
            self._watcher.stop()

    def close(self) -> None:
        """Never watch again. May be called twice."""
        if not self._over:
            self.pause()
            self._over = True
            self._watcher.close()

    def _readable(self) -> None:
        found = peek(self._sock)
        if found is None:
            return
        self.close()
        if not found:
            self._gone()


def peek(sock: socket.socket) -> bytes | None:
    """The first unread byte, b"" at the end, None when there is none yet.

    Never waits, never raises: a connection that failed is at its end. The
    time-out is 0 meanwhile, since in a watcher's callback nothing may wait.
    """
    before = sock.gettimeout()
    sock.settimeout(0.0)
    try:
        return sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return None
    except OSError:
        return b""
    finally:
        sock.settimeout(before)
