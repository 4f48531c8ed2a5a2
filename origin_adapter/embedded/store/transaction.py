"""Transaction: what the commands of one batch see and change.

Commands share it: the second append sees the first one. Streams, rows and producers are
collected and written when something has to read them, or at the end. Nothing outside
sees them before the commit. Ending a stream is decided here too, because a removal
cascades along the forks.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from origin_adapter.embedded.rules import lifetimes
from origin_adapter.embedded.rules.lineage import Row
from origin_adapter.embedded.rules.values import ProducerState, StoredStream
from origin_adapter.embedded.store import pages, stream_rows
from origin_adapter.embedded.store.stream_cache import StreamCache

_INSERT_ROW = "INSERT INTO message (stream, end, at, body) VALUES (?, ?, ?, ?)"
_SELECT_PRODUCER = "SELECT epoch, seq FROM producer WHERE stream = ? AND name = ?"
_UPSERT_PRODUCER = (
    "INSERT INTO producer (stream, name, epoch, seq) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (stream, name) DO UPDATE SET epoch = excluded.epoch, "
    "seq = excluded.seq"
)


@dataclass(slots=True)
class Changes:
    """What a commit changed, for waiting readers: streams by id, and their rows."""

    changed: dict[int, StoredStream] = field(default_factory=dict)
    rows: dict[int, list[Row]] = field(default_factory=dict)
    ended: dict[int, StoredStream] = field(default_factory=dict)


class Transaction:
    """One open transaction. Used by the writer's thread only."""

    def __init__(
        self,
        db: sqlite3.Connection,
        cache: StreamCache,
        now: float,
        on_end: Callable[[StoredStream], None] = lambda stream: None,
    ) -> None:
        self.db = db
        self.cache = cache
        self.now = now
        self._on_end = on_end
        self.changes = Changes()
        self._paths: dict[str, StoredStream | None] = {}
        self._dirty: set[int] = set()
        self._rows: list[tuple[int, int, float, bytes]] = []
        self._producers: dict[tuple[int, str], ProducerState] = {}
        self._unwritten: set[tuple[int, str]] = set()
        self._removed: list[StoredStream] = []
        self._gone: set[int] = set()
        self.touched: dict[int, float] = {}

    # --- Streams.

    def find(self, path: str) -> StoredStream | None:
        """The stream at a path as this transaction sees it, expired or not."""
        if path in self._paths:
            return self._paths[path]
        stream = self.cache.at(path)
        if stream is None:
            stream = self._select(stream_rows.SELECT_BY_PATH, path)
        return stream

    def by_id(self, id: int) -> StoredStream | None:
        """The stream with an id as this transaction sees it; None: it is removed."""
        if id in self._gone:
            # Until the commit, other parts still know it. Here it must not come back.
            return None
        stream = self.changes.changed.get(id) or self.cache.by_id(id)
        return stream or self._select(stream_rows.SELECT_BY_ID, id)

    def current(self, path: str) -> StoredStream | None:
        """The stream at a path. If its time is over, it is ended first."""
        stream = self.find(path)
        if stream is None or stream.soft_deleted or not self.expired(stream):
            return stream
        self.end(stream)
        return self.find(path)

    def expired(self, stream: StoredStream) -> bool:
        """Whether a stream's time is over, reads not yet on disk included."""
        return lifetimes.expired(stream, self.cache.touched(stream), self.now)

    def add(self, stream: StoredStream) -> StoredStream:
        """Write a new stream; returns it with its id."""
        cursor = self.db.execute(stream_rows.INSERT, stream_rows.to_insert(stream))
        if cursor.lastrowid is None:
            raise sqlite3.InternalError("a new stream got no id")
        stream = replace(stream, id=cursor.lastrowid)
        self._see(stream)
        return stream

    def put(self, stream: StoredStream) -> None:
        """Change a stream."""
        self._see(stream)
        self._dirty.add(stream.id)

    def end(self, stream: StoredStream) -> None:
        """Delete a stream, softly while forks read it (section 4.2)."""
        self.changes.ended[stream.id] = stream
        self._on_end(stream)
        if stream.references:
            self.put(replace(stream, soft_deleted=True))
            return
        doomed: StoredStream | None = stream
        while doomed is not None:
            self._remove(doomed)
            doomed = self._release_source(doomed)

    # --- Rows and producers.

    def append_row(self, stream: StoredStream, body: bytes) -> None:
        """Add the row that ends at the stream's (new) tail."""
        self._rows.append((stream.id, stream.tail, self.now, body))
        row = Row(stream.tail - len(body), stream.tail, body)
        self.changes.rows.setdefault(stream.id, []).append(row)

    def row_after(self, stream: StoredStream, position: int) -> Row | None:
        """The first row of a stream that ends after a position."""
        self.flush()
        return next(pages.rows(self.db, stream, position), None)

    def producer(self, stream: StoredStream, name: str) -> ProducerState | None:
        """What is known of a producer on a stream."""
        key = (stream.id, name)
        if key in self._producers:
            return self._producers[key]
        found = self.db.execute(_SELECT_PRODUCER, key).fetchone()
        return None if found is None else ProducerState(*found)

    def put_producer(
        self, stream: StoredStream, name: str, state: ProducerState
    ) -> None:
        """Remember a producer's newest request."""
        self._producers[stream.id, name] = state
        self._unwritten.add((stream.id, name))

    # --- The end of the transaction.

    def flush(self) -> None:
        """Write what was collected: SQL sees it from here on."""
        if self._dirty:
            changed = (self.changes.changed[id] for id in self._dirty)
            self.db.executemany(stream_rows.UPDATE, map(stream_rows.to_update, changed))
            self._dirty.clear()
        if self._rows:
            self.db.executemany(_INSERT_ROW, self._rows)
            self._rows.clear()
        if self._unwritten:
            self.db.executemany(_UPSERT_PRODUCER, map(self._cells, self._unwritten))
            self._unwritten.clear()

    def publish(self) -> None:
        """After the commit: publish the streams as they are now."""
        for stream in self._removed:
            self.cache.forget(stream)
        for there in self._paths.values():
            if there is not None:
                self.cache.learn(there)
        for id, at in self.touched.items():
            self.cache.written(id, at)

    def _see(self, stream: StoredStream) -> None:
        self._paths[stream.path] = stream
        self.changes.changed[stream.id] = stream

    def _select(self, statement: str, key: str | int) -> StoredStream | None:
        row = self.db.execute(statement, (key,)).fetchone()
        if row is None:
            return None
        if row[1] is None:
            # Removed, and waiting to be swept.
            return None
        stream = stream_rows.to_stream(row)
        self._paths.setdefault(stream.path, stream)
        return stream

    def _remove(self, stream: StoredStream) -> None:
        self.changes.ended.setdefault(stream.id, stream)
        self.db.execute(stream_rows.REMOVE, (stream.id,))
        self._dirty.discard(stream.id)
        self.changes.changed.pop(stream.id, None)
        self._paths[stream.path] = None
        self._removed.append(stream)
        self._gone.add(stream.id)

    def _release_source(self, fork: StoredStream) -> StoredStream | None:
        """Drop a fork's reference to its source; the source, if it has to go too."""
        source = None if fork.fork is None else self.by_id(fork.fork.source_id)
        if source is None:
            return None
        source = replace(source, references=max(0, source.references - 1))
        self.put(source)
        return source if source.soft_deleted and not source.references else None

    def _cells(self, key: tuple[int, str]) -> tuple[int, str, int, int]:
        state = self._producers[key]
        return (*key, state.epoch, state.seq)
