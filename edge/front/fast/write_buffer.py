"""WriteBuffer: what of one response a transport did not take at once.

One write at most lies here, never a queue: a writer that is told that the
transport is full writes no more until it has drained. Large bodies are never
copied to be sent. The owner is called for each bit of progress: it gives up a client
that takes nothing.
"""

from collections.abc import Callable

from edge.front.transport import Transport


class WriteBuffer:
    """Bytes that wait until ``transport`` can take them.

    ``writable`` is called when it can take some: the owner then calls ``flush``.
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
        """Wait no more. Before the transport is closed or handed over."""
        self._transport.writing.stop()


def send(transport: Transport, head: bytes, body: bytes) -> int:
    """How many bytes of both the transport takes now. Raises OSError."""
    try:
        return transport.sendmsg((head, body)) if body else transport.send(head)
    except BlockingIOError:
        return 0


def rest(pieces: list[memoryview], sent: int) -> list[memoryview]:
    """What of ``pieces`` is left after ``sent`` bytes."""
    for number, piece in enumerate(pieces):
        if sent < len(piece):
            return [piece[sent:], *pieces[number + 1 :]]
        sent -= len(piece)
    return []
