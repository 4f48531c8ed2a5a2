"""DisconnectWatch: hears that a client left while the edge has nothing to say to it.

A parked reader neither sends nor is sent to, so nobody would notice its FIN (E46).
The watch looks at the next unread byte and leaves it there. The end means that the
client closed. A byte begins its next request and stays for the parser; the watch ends
then, for it would be called again at once, for ever.
"""

from collections.abc import Callable

from edge.front.blocking_stream import BlockingStream


class DisconnectWatch:
    """Calls ``gone`` once, from the event loop, when the client has closed.

    While it watches, nobody else may wait for bytes of this client.
    """

    def __init__(self, stream: BlockingStream, gone: Callable[[], None]) -> None:
        self._transport = stream.transport
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
