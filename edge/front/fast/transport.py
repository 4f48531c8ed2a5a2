"""Transport: this side of a client's socket on the event loop.

Watches for bytes, sends what the socket takes and keeps the rest until it takes
that too, and knows the deadline by which the next thing must have happened. What
is read, and what follows upon it, ``FastConnection`` says; this class knows
nothing of requests. Nothing blocks or switches greenlets.
"""

import socket
from abc import ABC, abstractmethod
from typing import Any

from edge.core.timer_wheel import Slot
from edge.front.fast import write_buffer
from edge.front.fast.context import FastContext
from edge.front.fast.stages import Stage, check
from edge.front.fast.write_buffer import WriteBuffer

_ON_READ = 1
_CLOSED = Stage.CLOSED


class Transport(ABC):
    """An accepted, non-blocking socket. ``due_at`` is its deadline, in monotonic
    seconds, ``slot`` the wheel's; ``stage`` moves by the table in ``stages``."""

    __slots__ = (
        "_context",
        "_lost",
        "_sock",
        "_unsent",
        "_watcher",
        "due_at",
        "slot",
        "stage",
    )

    def __init__(self, context: FastContext, sock: Any) -> None:
        self._context = context
        self._sock = sock
        self._unsent: WriteBuffer | None = None
        self._lost = False
        self.stage = Stage.IDLE
        self.slot: Slot | None = None
        self.due_at = 0.0
        self._watcher = context.loop.io(sock.fileno(), _ON_READ)
        self._watcher.start(self._readable)
        self._until(context.limits.idle_timeout)

    # What FastConnection does when something happens.

    @abstractmethod
    def expire(self) -> None:
        """The deadline has passed (see ``TimerWheel``)."""

    @abstractmethod
    def _readable(self) -> None:
        """Bytes have come, or the end of them."""

    @abstractmethod
    def _drained(self) -> None:
        """All that was kept is out."""

    @abstractmethod
    def _gone(self) -> None:
        """The client left, or must."""

    @abstractmethod
    def _broken(self, error: Exception) -> None:
        """A defect met this connection."""

    # Reading and time.

    def _watch(self) -> None:
        """Hear of bytes that come; again, if it was stopped."""
        if not self._watcher.active:
            self._watcher.start(self._readable)

    def _has_unread(self) -> bool:
        try:
            return bool(self._sock.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    def _until(self, seconds: float) -> None:
        """The next thing must happen within so many seconds."""
        context = self._context
        context.wheel.set(self, context.monotonic() + seconds)

    # Sending.

    def send(self, head: bytes, body: bytes = b"") -> bool:
        """Send both; False when some of it has to wait for the socket."""
        if self._lost or self.stage is _CLOSED:
            return False
        if self._unsent is not None:
            self._unsent.add(head)
            self._unsent.add(body)
            return False
        try:
            sent = write_buffer.send(self._sock, head, body)
        except OSError:
            # The hub is calling: it hears of it when this call is over.
            self._lost = True
            self._context.soon(self._gone)
            return False
        if sent == len(head) + len(body):
            return True
        self._keep(head, body, sent)
        return False

    def _keep(self, head: bytes, body: bytes, sent: int) -> None:
        """Send what is left when the socket has room for it."""
        left = write_buffer.rest([memoryview(head), memoryview(body)], sent)
        if left:
            self.stage = check(self.stage, Stage.SENDING)
            self._watcher.stop()
            self._unsent = WriteBuffer(
                self._context.loop, self._sock, left, self._writable
            )
            self._until(self._context.limits.send_timeout)

    def _writable(self) -> None:
        """The write watcher's callback."""
        try:
            assert self._unsent is not None
            if self._unsent.resume():
                self._drop_outgoing()
                self._drained()
            else:
                self._until(self._context.limits.send_timeout)
        except OSError:
            self._gone()
        except Exception as error:
            self._broken(error)

    def _drop_outgoing(self) -> None:
        if self._unsent is not None:
            self._unsent.close()
            self._unsent = None
