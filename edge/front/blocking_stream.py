"""BlockingStream: a transport for a greenlet that waits.

Has what gunicorn's parser and response use of a socket (``recv``, ``send``,
``sendall``, the time-outs) and what the whole way needs beside that, over any
transport. A call that the transport cannot do now lets other greenlets run until it
can. One greenlet at a time: while it waits for bytes, ``reading`` is in use.
"""

import time
from typing import Any

import gevent

from edge.front.transport import Transport, Watch

_LINGER_READ = 4096


class BlockingStream:
    """``transport`` in waiting. Raises TimeoutError, and OSError when it is lost."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self._timeout: float | None = None

    def gettimeout(self) -> float | None:
        """Seconds that a call may take; None for ever."""
        return self._timeout

    def settimeout(self, seconds: float | None) -> None:
        """Let each call take so many seconds at most."""
        self._timeout = seconds

    def recv(self, size: int) -> bytes:
        """Up to ``size`` bytes, as soon as there are any; b"" at the end."""
        transport = self.transport
        while True:
            try:
                return transport.recv(size)
            except BlockingIOError:
                self._wait(transport.reading, self._timeout)

    def sendall(self, data: bytes) -> None:
        """Send all of ``data``; the time-out is for the whole of it."""
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
        """``sendall``, in the shape that gunicorn calls for ``100 Continue``."""
        self.sendall(data)
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
            # Too slow, or gone: the client has had its chance.
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
