"""WrittenEvents: an event stream that answers a write, and where it may end.

Nothing of the protocol answers a write so, but an origin may. Like every event stream
that passes, it ends when the edge drains (E54): behind a whole event, and then it is
whole. ``write_exchange`` makes one, shows it each piece, and ends the answer when it is
told to. It holds no more than the last bytes of the stream, and sends nothing.
"""

from collections.abc import Callable

from edge.front.app.passed_body import PassedEvents
from edge.protocol import sse


class WrittenEvents:
    """Implements ``PassedEventStream``, and is among those that pass until ``stop``.
    ``end`` is called where the stream may end, and must stop it."""

    __slots__ = ("_end", "_ends", "_leave", "_over", "_tail")

    def __init__(self, passed: PassedEvents, end: Callable[[], None]) -> None:
        self._end = end
        self._ends = self._over = False
        self._tail = b""
        self._leave = passed.add(self)

    def stop(self) -> None:
        """It has ended, however that came. May be called again."""
        self._over = True
        self._leave()

    def let_go(self) -> None:
        """End it: now, if it may end where it is, else behind what comes next. May be
        called again, also when it is over."""
        self._ends = True
        self._look()

    def sent(self, piece: bytes) -> None:
        """``piece`` has been given to the client."""
        self._tail = sse.tail_behind(self._tail, piece)
        if self._ends:
            self._look()

    def _look(self) -> None:
        if not self._over and sse.may_end_behind(self._tail):
            self._end()
