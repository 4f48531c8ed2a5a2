"""The desk: hands writes to the keep and takes reads to the disk.

Commands that arrive while a batch is being committed form the next batch: many
writers share one fsync, and a lone writer waits for nobody. The batch runs on
a thread of its own; the greenlet that asked sleeps until its outcome is there.
After a commit, and before anybody is answered, the freshest rows are put where
readers look, and the bells ring.
"""

import logging
import sqlite3
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import NoReturn, TypeVar

import gevent
from gevent.event import AsyncResult, Event
from gevent.lock import BoundedSemaphore
from gevent.threadpool import ThreadPool

from origin_adapter.embedded.engine.change_events import ChangeEvents
from origin_adapter.embedded.engine.tail_cache import Recent
from origin_adapter.embedded.options import Options
from origin_adapter.embedded.rules import lifetimes, stream_rules, subscription_commands
from origin_adapter.embedded.rules.refusals import Refused, Why
from origin_adapter.embedded.rules.subscriptions import Denied
from origin_adapter.embedded.rules.values import Stream
from origin_adapter.embedded.store import pages, schema
from origin_adapter.embedded.store.store import (
    Command,
    Committed,
    Outcome,
    Store,
    Tick,
    disk_refusal,
    look_up,
)

MAX_BATCH = 512
READERS = 4
SHRINK_EVERY = 40
"""Ticks between two looks at the file's free pages."""

_log = logging.getLogger(__name__)
T = TypeVar("T")
Deliver = Callable[[subscription_commands.Delivery], None]


class Engine:
    """The origin's state as greenlets see it. Blocks the calling greenlet only."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.keep = Store(options)
        self.known = self.keep.known
        self.bells = ChangeEvents()
        self.recent = Recent(options.recent_memory)
        self.deliver: Deliver = lambda delivery: None
        self._pending: deque[tuple[Command, AsyncResult[Outcome]]] = deque()
        self._wanted = Event()
        self._stopping = False
        self._writer = ThreadPool(1)
        self._readers = ThreadPool(READERS)
        self._slots = BoundedSemaphore(READERS)
        self._free = [schema.open_reader(options.data) for _ in range(READERS)]
        self._greenlets = [gevent.spawn(self._write), gevent.spawn(self._keep_up)]

    # --- Writes.

    def submit(self, command: Command) -> Outcome:
        """Do a command durably; returns its outcome, or raises its refusal."""
        if self._stopping:
            raise Refused(
                503, Why.STOPPING, "the server stops", (("Retry-After", "1"),)
            )
        result: AsyncResult[Outcome] = AsyncResult()
        self._pending.append((command, result))
        self._wanted.set()
        outcome = result.get()
        if isinstance(outcome, (Refused, Denied)):
            raise outcome
        return outcome

    # --- Reads.

    def living(self, path: str) -> Stream:
        """The stream at a path; raises Refused (not-found, gone)."""
        stream = self.known.at(path)
        if stream is None:
            found = self._read(look_up, path)
            # A commit may have come in between: what it published is newer.
            stream = self.known.at(path) or found
        if stream is not None and self._over(stream):
            stream = None
        return stream_rules.living(stream)

    def page(self, stream: Stream, start: int) -> pages.Page:
        """The page of a stream that begins at ``start``, at or below its tail.

        Raises Refused (bad-offset, below-retention, not-found).
        """
        for _ in range(2):
            if start < stream.floor:
                raise Refused(410, Why.BELOW_RETENTION, "before what is retained")
            if start == stream.tail:
                return pages.Page(start, start, [])
            limit = self.options.max_page
            try:
                found = self.recent.page(stream, start, limit)
                return found or self._read(pages.page, stream, start, limit)
            except pages.Vanished:
                stream = self.same(stream)
        raise Refused(503, Why.DISK_FAILED, "stored bytes are missing")

    def awaits(self, delivery: subscription_commands.Delivery) -> bool:
        """Whether a webhook is still to be sent: its wake is not over."""
        return self.keep.subscribers.awaits(delivery.id, delivery.wake_id)

    def touch(self, stream: Stream) -> None:
        """The stream was read: its TTL starts again."""
        self.known.touch(stream, time.time())

    def stop(self) -> None:
        """Finish what was submitted, and close the file."""
        self._stopping = True
        self._wanted.set()
        self._greenlets[0].join()
        self._greenlets[1].kill()
        self._readers.join()
        for db in self._free:
            db.close()
        self._writer.apply(self.keep.close)
        self._writer.join()

    # --- Inside.

    def _over(self, stream: Stream) -> bool:
        """Whether a stream's time is over; raises Refused when forks read it."""
        if stream.soft_deleted:
            return False
        if not lifetimes.expired(stream, self.known.touched(stream), time.time()):
            return False
        if stream.references:
            raise Refused(410, Why.GONE, "its time is over; forks still read it")
        return True

    def same(self, stream: Stream) -> Stream:
        """The stream as it is now; raises Refused when it is another one."""
        fresh = self.living(stream.path)
        if fresh.id != stream.id:
            raise Refused(404, Why.NOT_FOUND, "the stream was deleted")
        return fresh

    def _read(self, act: Callable[..., T], *args: object) -> T:
        """Run a read on a connection of its own, off the event loop."""
        with self._slots:
            db = self._free.pop()
            try:
                return _apply(self._readers, act, db, *args)
            except sqlite3.Error as error:
                raise disk_refusal(error) from error
            finally:
                self._free.append(db)

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
            done = _apply(self._writer, self.keep.commit, commands, time.time())
        except Refused as refusal:
            for _, result in batch:
                result.set(refusal)
            return
        except Exception as error:
            # The outermost guard of the writer: a mistake of ours must not end
            # it for everybody. Whoever asked raises it, and the server logs it.
            for _, result in batch:
                result.set_exception(error)
            return
        try:
            self._publish(done)
        except Exception:
            # As above; it is on disk, so whoever asked is answered all the same.
            _log.exception("publishing a commit")
        for (_, result), outcome in zip(batch, done.outcomes, strict=True):
            result.set(outcome)

    def _publish(self, done: Committed) -> None:
        for id in done.news.ended:
            self.recent.forget(id)
            self.bells.ring(id)
        for id, rows in done.news.rows.items():
            if id not in done.news.ended:
                self.recent.add(id, rows)
        for id in done.news.changed:
            self.bells.ring(id)
        for delivery in done.deliveries:
            self.deliver(delivery)

    def _keep_up(self) -> None:
        """Once a tick: let parked readers count as readers, then upkeep."""
        ticks = 0
        shrinking = False
        while not self._stopping:
            for id in self.bells.ids():
                stream = self.known.by_id(id)
                if stream is not None:
                    self.touch(stream)
            more = self._tick()
            ticks += 1
            if not more and (shrinking or ticks % SHRINK_EVERY == 0):
                # A step per tick until nothing is left: writers go first.
                shrinking = self._shrink()
            gevent.sleep(0 if more else self.options.tick)

    def _tick(self) -> bool:
        try:
            return self.submit(Tick()) is True
        except Refused:
            # The disk refuses; writers are told so, upkeep tries again later.
            return False
        except Exception:
            # A mistake of ours, perhaps another command's in the same batch.
            # Without upkeep no lease and no stream would ever end.
            _log.exception("upkeep")
            return False

    def _shrink(self) -> bool:
        try:
            return _apply(self._writer, self.keep.shrink)
        except Refused:
            return False


def _apply(pool: ThreadPool, act: Callable[..., T], *args: object) -> T:
    """``act`` on a thread of the pool; returns and raises what it does.

    An exception that crossed the pool by itself would be printed there, each
    time: a refusal is an answer and not worth a traceback.
    """
    done: Callable[[], T] = pool.apply(_caught, (act, *args))
    return done()


def _caught(act: Callable[..., T], *args: object) -> Callable[[], T]:
    try:
        result = act(*args)
    except Exception as error:
        return partial(_raise, error)
    return lambda: result


def _raise(error: Exception) -> NoReturn:
    raise error
