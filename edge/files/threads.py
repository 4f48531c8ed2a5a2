"""FileThreads: the bounded pool of threads that alone touch a disk.

A pool of its own: a disk that hangs takes these threads, and nobody else's. What finds
none free waits its turn here, so ``run`` never blocks and never switches greenlets.
"""

from collections import deque
from collections.abc import Callable
from errno import EIO
from functools import partial
from typing import Any, TypeVar, cast

from gevent.event import AsyncResult
from gevent.threadpool import ThreadPool

T = TypeVar("T")


class FileThreads:
    """``size`` threads, made in the process that uses them. They run what may raise
    OSError, and nothing that needs the event loop."""

    def __init__(self, size: int = 4) -> None:
        self._size = size
        self._pool: ThreadPool | None = None
        self._running = 0
        self._queue: deque[tuple[Callable[[], Any], Callable[[Any], None]]] = deque()

    def __repr__(self) -> str:
        return f"<FileThreads {self._running}/{self._size}, {len(self._queue)} wait>"

    @property
    def under_way(self) -> int:
        """Calls that were begun and have not ended, or wait for a thread."""
        return self._running + len(self._queue)

    def run(self, work: Callable[[], T], done: Callable[[T | OSError], None]) -> None:
        """Call ``work`` on a thread, then ``done`` on the event loop, with its result,
        or with the OSError that it raised."""
        if self._running < self._size:
            self._start(work, done)
        else:
            self._queue.append((work, done))

    def stop(self) -> None:
        """Begin nothing more, and let the threads end. The last call."""
        self._queue.clear()
        self._size = 0
        if self._pool is not None and not self._running:
            self._pool.kill()

    def _start(
        self, work: Callable[[], T], done: Callable[[T | OSError], None]
    ) -> None:
        if self._pool is None:
            self._pool = ThreadPool(self._size)
        self._running += 1
        # As many as there are threads, so it is never waited for.
        result: AsyncResult[T | OSError] = self._pool.spawn(_caught, work)
        result.rawlink(partial(self._ended, done))

    def _ended(
        self, done: Callable[[T | OSError], None], result: "AsyncResult[T | OSError]"
    ) -> None:
        self._running -= 1
        if self._queue and self._running < self._size:
            self._start(*self._queue.popleft())
        if result.exception is not None:
            # A defect, which gevent has reported.
            done(OSError(EIO, "the thread broke"))
        else:
            done(cast("T | OSError", result.value))


def _caught(work: Callable[[], T]) -> T | OSError:
    """What it returns, or the OSError that it raises: gevent would print that."""
    try:
        return work()
    except OSError as error:
        return error
