"""ChangeEvents: how parked readers hear that a stream changed.

One event per stream that somebody waits for, shared by all who do. A reader
takes the event first and looks at the stream second: what happens in between sets
the event. It is set once, and the next wait takes a new one. What is not promised:
that there is something new for this reader when it is set.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from gevent.event import Event


class ChangeEvents:
    """One event for each stream that somebody waits for, by stream id."""

    def __init__(self) -> None:
        self._changes: dict[int, Event] = {}
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
                self._changes.pop(id, None)

    def next_change(self, id: int) -> Event:
        """The event that will be set at the stream's next change."""
        change = self._changes.get(id)
        if change is None:
            change = self._changes[id] = Event()
            if self.stopped:
                change.set()
        return change

    def notify(self, id: int) -> None:
        """The stream changed."""
        change = self._changes.pop(id, None)
        if change is not None:
            change.set()

    def stop(self) -> None:
        """Set all events, now and for ever: the server stops."""
        self.stopped = True
        for id in list(self._changes):
            self.notify(id)

    def ids(self) -> list[int]:
        """The ids of the streams that somebody waits for."""
        return list(self._waiting)

    def count(self) -> int:
        """How many readers wait."""
        return sum(self._waiting.values())
