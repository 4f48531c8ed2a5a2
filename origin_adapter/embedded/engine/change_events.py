"""ChangeEvents: tells parked readers that a stream changed.

There is one event per awaited stream, shared by all its readers. A reader first takes
the event and then looks at the stream: a change in between sets the event. An event is
set once, and the next wait takes a new one. It is not promised that a set event brings
something new to this reader.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from gevent.event import Event


class ChangeEvents:
    """One event for each stream that a reader waits for, by stream id."""

    def __init__(self) -> None:
        self._changes: dict[int, Event] = {}
        self._waiting: dict[int, int] = {}
        self.stopped = False

    @contextmanager
    def waiting(self, id: int) -> Iterator[None]:
        """Count a reader as waiting for a stream; that keeps its TTL from ending."""
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
        """The server stops: set all events, and every event asked for later."""
        self.stopped = True
        for id in list(self._changes):
            self.notify(id)

    def ids(self) -> list[int]:
        """The ids of the streams that readers wait for."""
        return list(self._waiting)

    def count(self) -> int:
        """How many readers wait."""
        return sum(self._waiting.values())
