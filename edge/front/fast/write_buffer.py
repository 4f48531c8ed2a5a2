"""WriteBuffer: a non-blocking socket that says when it is full, and when it is not.

One write at most lies here, never a queue: who is told that the socket is full
writes no more until it has drained. Large bodies are never copied to be sent.
The owner is told of progress, so that a client which takes nothing is noticed.
"""

from collections.abc import Callable
from typing import Any

_ON_WRITE = 2


class WriteBuffer:
    """What of one response the socket did not take at once."""

    __slots__ = ("_drained", "_left", "_sock", "_watcher")

    def __init__(
        self, loop: Any, sock: Any, left: list[memoryview], drained: Callable[[], None]
    ) -> None:
        self._sock = sock
        self._left = left
        self._drained = drained
        self._watcher = loop.io(sock.fileno(), _ON_WRITE)
        self._watcher.start(drained)

    def add(self, data: bytes) -> None:
        """Send ``data`` after the rest: the few bytes that end a stream."""
        if data:
            self._left.append(memoryview(data))

    def resume(self) -> bool:
        """Send what can be sent; whether all is out. Raises OSError."""
        try:
            sent = self._sock.sendmsg(self._left)
        except BlockingIOError:
            return False
        self._left = rest(self._left, sent)
        return not self._left

    def close(self) -> None:
        """Watch no more. Before the socket is closed or given away."""
        self._watcher.stop()
        self._watcher.close()


def send(sock: Any, head: bytes, body: bytes) -> int:
    """How many bytes of both the socket takes now. Raises OSError."""
    try:
        sent: int = sock.sendmsg((head, body)) if body else sock.send(head)
    except BlockingIOError:
        return 0
    return sent


def rest(pieces: list[memoryview], sent: int) -> list[memoryview]:
    """What of ``pieces`` is left after ``sent`` bytes."""
    for number, piece in enumerate(pieces):
        if sent < len(piece):
            return [piece[sent:], *pieces[number + 1 :]]
        sent -= len(piece)
    return []
