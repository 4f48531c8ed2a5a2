"""The engine: hands writes to the store and takes reads to the disk.

``BatchWriter``: commands that arrive while a batch is being committed form the next
batch. Many writers share one fsync, and a lone writer waits for no other. The batch
runs on a thread of its own, and each submitting greenlet sleeps until its outcome is
there. ``PageReader``: reads run on threads too, each on a connection of its own.

``Engine`` joins the two to the readers. After a commit, and before any writer is
answered, it puts the freshest rows where readers look, and wakes the readers of the
stream.
"""

import logging
import sqlite3
import sys
import time
from collections import deque
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import NoReturn, TypeVar

import gevent
from gevent.event import AsyncResult, Event
from gevent.lock import BoundedSemaphore
from gevent.threadpool import ThreadPool

from origin_adapter.embedded.engine.change_events import ChangeEvents
from origin_adapter.embedded.engine.tail_cache import TailCache
from origin_adapter.embedded.options import Options
from origin_adapter.embedded.rules import lifetimes, stream_rules, subscription_commands
from origin_adapter.embedded.rules.refusals import RefusalReason, Refused
from origin_adapter.embedded.rules.subscriptions import ControlRefused
from origin_adapter.embedded.rules.values import StoredStream
from origin_adapter.embedded.store import pages, schema
from origin_adapter.embedded.store.store import (
    Command,
    Committed,
    Maintain,
    Outcome,
    Store,
    disk_refusal,
    look_up,
)

LOG_AGAIN_SECONDS = 60.0
MAX_BATCH = 512
READER_THREADS = 4
SHRINK_EVERY = 40
"""Ticks between two looks at the file's free pages."""

_log = logging.getLogger(__name__)
T = TypeVar("T")
Deliver = Callable[[subscription_commands.WebhookDelivery], None]


class RefusalLog:
    """What the disk refuses, logged at most once a minute for each reason: a full disk
    refuses every write, and clients come again."""

    def __init__(self) -> None:
        self._again_at: dict[RefusalReason, float] = {}

    def __call__(self, refusal: Refused, cause: BaseException | None = None) -> None:
        now = time.monotonic()
        if now < self._again_at.get(refusal.reason, now):
            return
        self._again_at[refusal.reason] = now + LOG_AGAIN_SECONDS
        cause = cause or refusal.__cause__
        _log.error("%s: %s: %s", schema.FILE, refusal.detail, cause)


class BatchWriter:
    """Commits commands in batches. ``publish`` is called after each, on the loop."""

    def __init__(
        self,
        store: Store,
        publish: Callable[[Committed], None],
        refused: RefusalLog,
    ) -> None:
        self._store = store
        self._refused = refused
        self._publish = publish
        self._pending: deque[tuple[Command, AsyncResult[Outcome]]] = deque()
        self._wanted = Event()
        self._stopping = False
        self._thread = ThreadPool(1)
        self._greenlet = gevent.spawn(self._write)

    def submit(self, command: Command) -> Outcome:
        """Do a command durably; returns its outcome, or raises its refusal."""
        if self._stopping:
            raise Refused(
                503,
                RefusalReason.STOPPING,
                "the server stops",
                (("Retry-After", "1"),),
            )
        result: AsyncResult[Outcome] = AsyncResult()
        self._pending.append((command, result))
        self._wanted.set()
        outcome = result.get()
        if isinstance(outcome, (Refused, ControlRefused)):
            raise outcome
        return outcome

    def apply(self, work: Callable[[], T]) -> T:
        """Run ``work`` on the writer's thread, between two batches."""
        return _apply(self._thread, work)

    def finish(self) -> None:
        """Take no more commands, and commit those that were taken."""
        self._stopping = True
        self._wanted.set()
        self._greenlet.join()

    def close(self) -> None:
        """Close the file. Nothing may be called afterwards."""
        self._thread.apply(self._store.close)
        self._thread.join()

    def _write(self) -> None:
        while not (self._stopping and not self._pending):
            self._wanted.wait()
            self._wanted.clear()
            while self._pending:
                size = min(len(self._pending), MAX_BATCH)
                self._commit([self._pending.popleft() for _ in range(size)])

    def _commit(self, batch: "list[tuple[Command, AsyncResult[Outcome]]]") -> None:
        commands = [command for command, _ in batch]
        try:
            done = _apply(self._thread, self._store.commit, commands, time.time())
        except Refused as refusal:
            self._refused(refusal)
            for _, result in batch:
                result.set(refusal)
            return
        except Exception as error:
            # The outermost guard of the writer: a defect must not end the writer for
            # all. Each submitter raises it, and the server logs it.
            for _, result in batch:
                result.set_exception(error)
            return
        try:
            self._publish(done)
        except Exception:
            # A defect after the commit: the batch is on disk, so submitters succeed.
            _log.exception("publishing a commit")
        for (_, result), outcome in zip(batch, done.outcomes, strict=True):
            result.set(outcome)


class PageReader:
    """Reads on ``READER_THREADS`` threads, each with a connection of its own."""

    def __init__(self, data: Path, refused: RefusalLog) -> None:
        self._refused = refused
        self._threads = ThreadPool(READER_THREADS)
        self._slots = BoundedSemaphore(READER_THREADS)
        self._free = [schema.open_reader(data) for _ in range(READER_THREADS)]

    def read(self, work: Callable[..., T], *args: object) -> T:
        """Run ``work`` with a connection, off the event loop. Raises Refused
        (disk-...)."""
        with self._slots:
            db = self._free.pop()
            try:
                return _apply(self._threads, work, db, *args)
            except sqlite3.Error as error:
                refusal = disk_refusal(error)
                self._refused(refusal, error)
                raise refusal from error
            finally:
                self._free.append(db)

    def close(self) -> None:
        """Wait for reads under way, and close the connections."""
        self._threads.join()
        for db in self._free:
            db.close()


class Engine:
    """The origin's state as greenlets see it. Blocks the calling greenlet only."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.store = Store(options)
        self.cache = self.store.cache
        self.change_events = ChangeEvents()
        self.tail_cache = TailCache(options.recent_memory)
        self.deliver: Deliver = lambda delivery: None
        self._refused = RefusalLog()
        self.reader = PageReader(options.data, self._refused)
        self.writer = BatchWriter(self.store, self._publish, self._refused)
        self._upkeep = gevent.spawn(self._maintain)

    def submit(self, command: Command) -> Outcome:
        """See BatchWriter."""
        return self.writer.submit(command)

    def stop(self) -> None:
        """Finish what was submitted, and close the file."""
        self.writer.finish()
        self._upkeep.kill()
        self.reader.close()
        self.writer.close()

    # --- Reads.

    def living(self, path: str) -> StoredStream:
        """The stream at a path; raises Refused (not-found, gone)."""
        stream = self.cache.at(path)
        if stream is None:
            found = self.reader.read(look_up, path)
            # A commit may have come in between: its published state is newer.
            stream = self.cache.at(path) or found
        if stream is not None and self._over(stream):
            stream = None
        return stream_rules.living(stream)

    def same(self, stream: StoredStream) -> StoredStream:
        """The stream as it is now. Raises Refused when another one is at its path."""
        fresh = self.living(stream.path)
        if fresh.id != stream.id:
            raise Refused(404, RefusalReason.NOT_FOUND, "the stream was deleted")
        return fresh

    def page(
        self, stream: StoredStream, start: int, most: int = sys.maxsize
    ) -> pages.StoredPage:
        """The page of a stream that begins at ``start``, at or below its tail, with
        ``most`` bytes at most, or one row.

        Raises Refused (bad-offset, below-retention, not-found).
        """
        limit = min(most, self.options.max_page)

        def read(stream: StoredStream) -> pages.StoredPage:
            found = self.tail_cache.page(stream, start, limit)
            return found or self.reader.read(pages.page, stream, start, limit)

        if start == stream.tail:
            return pages.StoredPage(start, start, [])
        return self._retained(stream, start, read)

    def opening(
        self, stream: StoredStream, start: int
    ) -> tuple[pages.StoredPage, pages.Extent]:
        """The first page of an answer that begins at ``start``, and how far it goes.

        Raises as ``page``.
        """
        most = self.options.max_answer
        limit = min(self.options.max_page, most)

        def read(stream: StoredStream) -> tuple[pages.StoredPage, pages.Extent]:
            page = self.tail_cache.page(stream, start, limit)
            if page is None:
                return self.reader.read(pages.opening, stream, start, limit, most)
            if page.end == stream.tail:
                return page, pages.Extent(start, page.end, len(page.parts))
            return page, self.reader.read(pages.extent, stream, page, most)

        if start == stream.tail:
            return pages.StoredPage(start, start, []), pages.Extent(start, start, 0)
        return self._retained(stream, start, read)

    def answer_pages(
        self, stream: StoredStream, first: pages.StoredPage, end: int
    ) -> Generator[pages.StoredPage]:
        """``first``, and the pages behind it up to ``end``, which is a row's end. Each
        is read when it is come for: what the system has to send bridges that.

        Raises Refused when bytes that were there are gone. Rows of another incarnation
        have another id: they never come instead.
        """
        # What is yielded is not held here: its user drops it as early as it can.
        held = [first]
        del first
        while held:
            at = held[0].end
            yield held.pop()
            if at < end:
                held.append(self.page(stream, at, end - at))

    def _retained(
        self, stream: StoredStream, start: int, read: Callable[[StoredStream], T]
    ) -> T:
        """What ``read`` finds at ``start``; once again if it vanished meanwhile."""
        for _ in range(2):
            if start < stream.floor:
                raise Refused(
                    410, RefusalReason.BELOW_RETENTION, "before what is retained"
                )
            try:
                return read(stream)
            except pages.Vanished:
                stream = self.same(stream)
        raise Refused(503, RefusalReason.DISK_FAILED, "stored bytes are missing")

    def touch(self, stream: StoredStream) -> None:
        """The stream was read: its TTL starts again."""
        self.cache.touch(stream, time.time())

    def awaits(self, delivery: subscription_commands.WebhookDelivery) -> bool:
        """Whether a webhook still has to be sent: its wake is not over."""
        return self.store.subscribers.awaits(delivery.id, delivery.wake_id)

    def _over(self, stream: StoredStream) -> bool:
        """Whether a stream's time is over. Raises Refused if it is, but forks read
        the stream."""
        if stream.soft_deleted:
            return False
        if not lifetimes.expired(stream, self.cache.touched(stream), time.time()):
            return False
        if stream.references:
            raise Refused(
                410, RefusalReason.GONE, "its time is over; forks still read it"
            )
        return True

    # --- After a commit.

    def _publish(self, done: Committed) -> None:
        for id in done.changes.ended:
            self.tail_cache.forget(id)
            self.change_events.notify(id)
        for id, rows in done.changes.rows.items():
            if id not in done.changes.ended:
                self.tail_cache.add(id, rows)
        for id in done.changes.changed:
            self.change_events.notify(id)
        for delivery in done.deliveries:
            self.deliver(delivery)

    # --- Maintenance.

    def _maintain(self) -> None:
        """Once a tick: count parked readers as readers, then do some maintenance."""
        ticks = 0
        shrinking = False
        while True:
            for id in self.change_events.ids():
                stream = self.cache.by_id(id)
                if stream is not None:
                    self.touch(stream)
            more = self._tick()
            ticks += 1
            if not more and (shrinking or ticks % SHRINK_EVERY == 0):
                # A step per tick until none is left: writers go first.
                shrinking = self._shrink()
            gevent.sleep(0 if more else self.options.tick)

    def _tick(self) -> bool:
        try:
            return self.submit(Maintain()) is True
        except Refused:
            # The disk refuses. Writers are told so; the next tick tries again.
            return False
        except Exception:
            # A defect, perhaps in another command of the same batch. The next tick
            # tries again: without maintenance no lease and no stream would ever end.
            _log.exception("maintenance")
            return False

    def _shrink(self) -> bool:
        try:
            return self.writer.apply(self.store.shrink)
        except Refused as refusal:
            self._refused(refusal)
            return False


def _apply(pool: ThreadPool, work: Callable[..., T], *args: object) -> T:
    """Run ``work`` on a thread of the pool; return its result or raise its error.

    gevent would print every exception that leaves a pool's thread. A refusal is an
    answer and not worth a traceback.
    """
    done: Callable[[], T] = pool.apply(_caught, (work, *args))
    return done()


def _caught(work: Callable[..., T], *args: object) -> Callable[[], T]:
    try:
        result = work(*args)
    except Exception as error:
        return partial(_raise, error)
    return lambda: result


def _raise(error: Exception) -> NoReturn:
    raise error
