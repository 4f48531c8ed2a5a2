"""FalconSink: one reader's answer, for a greenlet that waits for it.

The hub hands bytes over and never blocks; the greenlet that serves the request
takes them and sends them. Between the two lies one write: ``write`` says False
(full), the greenlet takes it, sends it, and tells ``Ticket.drained``. The
greenlet waits on this sink's own event and on nothing else, so the hub's
promise that every ticket ends is what releases it.
"""

from collections.abc import Sequence

from gevent.event import Event

from edge.core.errors import EdgeError
from edge.core.ports import Ready
from edge.core.values import Answer, PerResponse


class ClientGone(ConnectionResetError):
    """The client left before its answer was complete. Nobody is at fault."""


class AnswerCut(ConnectionAbortedError):
    """An answer that had begun cannot be completed.

    The connection must end so that the body cannot look complete.
    """

    def __init__(self, error: EdgeError) -> None:
        super().__init__(error.detail)
        self.error = error


class FalconSink:
    """Implements ``edge.core.ports.Sink``; the rest is for the greenlet."""

    __slots__ = (
        "_buffers",
        "_changed",
        "answer",
        "ended",
        "error",
        "gone",
        "per_response",
    )

    def __init__(self) -> None:
        self.answer: Answer | None = None
        self.per_response: PerResponse | None = None
        self.ended = False
        self.error: EdgeError | None = None
        self.gone = False
        self._buffers: list[bytes] = []
        self._changed: Event | None = None

    # What the hub calls. Nothing here blocks or switches greenlets.

    def send_whole(self, ready: Ready, pause_reads: bool = False) -> None:
        """See ``ports.Sink``. What the client sends next waits for its greenlet."""
        self.begin(ready.answer, ready.per_response)
        self.finish()

    def resume(self) -> None:
        """See ``ports.Sink``: nothing was held."""

    def begin(self, answer: Answer, per_response: PerResponse) -> None:
        """See ``ports.Sink``."""
        self.answer = answer
        self.per_response = per_response
        self._wake()

    def write(self, buffers: Sequence[bytes]) -> bool:
        """See ``ports.Sink``. Always full afterwards, until the socket took it."""
        self._buffers.extend(buffers)
        self._wake()
        return False

    def finish(self) -> None:
        """See ``ports.Sink``."""
        self.ended = True
        self._wake()

    def abort(self, error: EdgeError) -> None:
        """See ``ports.Sink``."""
        self.error = error
        self.ended = True
        self._wake()

    # What the watch on the client's socket calls, from the event loop.

    def hang_up(self) -> None:
        """The client is gone; whoever waits hears of it."""
        self.gone = True
        self._wake()

    def _wake(self) -> None:
        if self._changed is not None:
            self._changed.set()

    # What the greenlet calls.

    def take(self) -> bytes:
        """What was written since the last take, b"" when nothing was."""
        buffers, self._buffers = self._buffers, []
        return buffers[0] if len(buffers) == 1 else b"".join(buffers)

    def wait(self) -> None:
        """Block until something changed. Raises ClientGone.

        Call it only after looking: what changed before the call is not waited
        for again, because nothing switches between the look and the wait.
        """
        if self._changed is None:
            self._changed = Event()
        self._changed.clear()
        if not self.gone:
            self._changed.wait()
        if self.gone:
            raise ClientGone("the client closed the connection while it waited")
