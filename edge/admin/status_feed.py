"""StatusFeed: the status of the node once a second, for all who look at it.

The document is made and encoded once a second, however many watch, and not at all while
nobody does. A watcher who is slow misses documents, and gets the newest one next; one
who takes nothing for ``STALLED_SECONDS`` is cut, since each holds a connection of the
admin address. Watchers are few, and end with the feed: their page then asks again, and
reaches whoever serves by then.

An event of the stream is ``status``, its data the JSON of ``GET /status`` in one line.
"""

import json
import logging
from collections.abc import Callable

import gevent
from gevent.event import Event

from edge.core.errors import Refusal
from edge.core.reasons import Reason

_log = logging.getLogger("edge.admin")

MAX_WATCHERS = 12
"""Who may look at one process at a time. The admin address takes 32 connections."""

INTERVAL_SECONDS = 1.0
STALLED_SECONDS = 30.0


class Watcher:
    """One who looks: an iterator of events, in the greenlet that serves it. ``close``
    is for whoever serves it, also where nothing was read."""

    def __init__(self, others: "set[Watcher]", event: bytes) -> None:
        self._others = others
        self._event: bytes | None = event
        self._news = Event()
        self._news.set()
        self._greenlet = gevent.getcurrent()
        self._kept_waiting = 0.0
        others.add(self)

    def __iter__(self) -> "Watcher":
        return self

    def __next__(self) -> bytes:
        while self in self._others:
            self._news.wait()
            self._news.clear()
            event, self._event, self._kept_waiting = self._event, None, 0.0
            if event is not None:
                return event
        raise StopIteration

    def close(self) -> None:
        """Watch no more. Idempotent."""
        self._others.discard(self)
        self._news.set()

    def give(self, event: bytes, after: float, stalled: float) -> None:
        """The next event, so many seconds after the last one. Whoever has taken none
        for ``stalled`` seconds is cut."""
        if self._event is not None:
            self._kept_waiting += after
            if self._kept_waiting >= stalled:
                self._others.discard(self)
                gevent.kill(self._greenlet)
                return
        self._event = event
        self._news.set()


class StatusFeed:
    """The feed of one process. ``document`` makes the status; it never blocks."""

    def __init__(
        self,
        document: Callable[[], object],
        interval: float = INTERVAL_SECONDS,
        stalled: float = STALLED_SECONDS,
    ) -> None:
        self._document = document
        self._interval = interval
        self._stalled = stalled
        self._watchers: set[Watcher] = set()
        self._ticking: gevent.Greenlet[[], None] | None = None
        self._ended = False

    @property
    def watchers(self) -> int:
        """How many look at this moment."""
        return len(self._watchers)

    @property
    def ticks(self) -> bool:
        """Whether the status is being made each second."""
        return self._ticking is not None

    def watch(self) -> Watcher:
        """The events for one more, the first at once. Called in the greenlet that
        serves it. Raises Refusal (limit-watchers, draining)."""
        if self._ended:
            raise Refusal("This process is about to end.", reason=Reason.DRAINING)
        if len(self._watchers) >= MAX_WATCHERS:
            detail = f"{MAX_WATCHERS} are watching already."
            raise Refusal(detail, reason=Reason.LIMIT_WATCHERS)
        watcher = Watcher(self._watchers, self._made())
        if self._ticking is None:
            self._ticking = gevent.spawn(self._tick)
        return watcher

    def end(self) -> None:
        """End all streams, and take no more. Idempotent."""
        self._ended = True
        self._let_go()

    def _let_go(self) -> None:
        for watcher in tuple(self._watchers):
            watcher.close()

    def _tick(self) -> None:
        """Until nobody looks any more."""
        try:
            while True:
                gevent.sleep(self._interval)
                if not self._watchers:
                    return
                event = self._made()
                for watcher in tuple(self._watchers):
                    watcher.give(event, self._interval, self._stalled)
        except Exception:
            # A defect of the page ends nothing but the page.
            _log.exception("unexpected error telling the status")
            self._let_go()
        finally:
            self._ticking = None

    def _made(self) -> bytes:
        text = json.dumps(self._document(), separators=(",", ":"))
        return f"event: status\ndata: {text}\n\n".encode()
