"""TimedReader: bytes of one connection for gunicorn's parser, in bounded time.

gunicorn's own reader waits as long as its socket does, and takes heads of any size
that its limits for single fields allow. This one knows what is being waited for:

======= ============================ =====================================
phase   ends with                    waits at most
======= ============================ =====================================
IDLE    the first byte of a head     ``idle_timeout``
HEAD    a whole head                 ``head_timeout`` from the first byte on
BODY    the next request             ``body_timeout`` for each piece
======= ============================ =====================================

A time-out raises TimeoutError; a head that is too large, what gunicorn raises
for its own limits.
"""

import enum
import time
from typing import Any, cast

from gunicorn.http.errors import LimitRequestHeaders
from gunicorn.http.unreader import SocketUnreader

from edge.front.options import Limits
from edge.front.transport import BlockingStream

_READ = 8 * 1024
_READ_AHEAD = 256 * 1024


class Phase(enum.Enum):
    """What the connection waits for."""

    IDLE = "idle"
    HEAD = "head"
    BODY = "body"


class TimedReader(SocketUnreader):
    """Put into a gunicorn parser as its ``unreader``."""

    def __init__(self, stream: BlockingStream, limits: Limits) -> None:
        super().__init__(cast(Any, stream))
        self._limits = limits
        self._deadline = 0.0
        self._head_size = 0
        self.phase = Phase.IDLE

    def await_head(self) -> None:
        """The next bytes begin a head. Some may have come already."""
        self.phase = Phase.IDLE
        self._head_size = self.buf.getbuffer().nbytes
        if self._head_size:
            self._begin_head()

    def await_body(self) -> None:
        """The head is complete; what follows is the application's to read."""
        self.phase = Phase.BODY

    def chunk(self, size_hint: int | None = None) -> bytes:
        """The next bytes, b"" at the end; at most what may still be consumed.

        ``size_hint`` is how much of a body is still wanted.
        """
        if self.phase is Phase.BODY:
            return self._receive(size_hint, self._limits.body_timeout)
        if self._head_size > self._limits.head:
            raise LimitRequestHeaders("the head is too large")
        data = self._receive(None, self._patience())
        self._head_size += len(data)
        if self.phase is Phase.IDLE and data:
            self._begin_head()
        return data

    def _begin_head(self) -> None:
        self.phase = Phase.HEAD
        self._deadline = time.monotonic() + self._limits.head_timeout

    def _patience(self) -> float:
        if self.phase is Phase.IDLE:
            return self._limits.idle_timeout
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the head did not come in time")
        return left

    def _receive(self, size_hint: int | None, patience: float) -> bytes:
        before = self.sock.gettimeout()
        self.sock.settimeout(patience)
        try:
            return self.sock.recv(max(_READ, min(size_hint or 0, _READ_AHEAD)))
        finally:
            self.sock.settimeout(before)
