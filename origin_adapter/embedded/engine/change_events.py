"""ChangeEvents: how parked readers hear that a stream changed.

One event per stream that somebody waits for, shared by all who do. A reader
takes the bell first and looks at the stream second, so that nothing that
happens in between is missed; a bell rings once, and the next wait takes a new
one. What is not promised: that there is news when it rings.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from gevent.event import Event


class ChangeEvents:
    """The bells of all streams that somebody waits for, by stream id."""

    def __init__(self) -> None:
        self._bells: dict[int, Event] = {}
        self._waiting: dict[int, int] = {}
        self.stopped = False

    @contextmanager
    def waiting(self, id: int) -> Iterator[None]:
        """Count a reader as waiting for a stream, which keeps its TTL from ending."""
        self._waiting[id] = self._waiting.get(id, 0) + 1
        try:
            yield
        finally:
            self._waiting[id] -= 1
            if not self._waiting[id]:
                del self._waiting[id]
                self._bells.pop(id, None)

    def take(self, id: int) -> Event:
        """The bell that will ring at the stream's next change."""
        bell = self._bells.get(id)
        if bell is None:
            bell = self._bells[id] = Event()
            if self.stopped:
                bell.set()
        return bell

    def ring(self, id: int) -> None:
        """The stream changed."""
        bell = self._bells.pop(id, None)
        if bell is not None:
            bell.set()

    def stop(self) -> None:
        """Ring all bells, now and for ever: the server stops."""
        self.stopped = True
        for id in list(self._bells):
            self.ring(id)

    def ids(self) -> list[int]:
        """The ids of the streams that somebody waits for."""
        return list(self._waiting)

    def count(self) -> int:
        """How many readers wait."""
        return sum(self._waiting.values())
