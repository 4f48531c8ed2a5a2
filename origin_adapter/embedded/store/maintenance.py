"""Maintenance: what time does to the file, a bounded piece per call.

It writes the times of reads to disk, ends streams whose time is over, moves the floors
of retention, drops the messages of removed streams, and shrinks the file. Each step
does so little that writers hardly wait for it, and says whether more is left.
"""

import sqlite3
from dataclasses import replace
from itertools import islice

from origin_adapter.embedded.options import Options
from origin_adapter.embedded.rules.stream_rules import trimmed
from origin_adapter.embedded.rules.values import StoredStream
from origin_adapter.embedded.store import stream_rows
from origin_adapter.embedded.store.transaction import Transaction

STEP_ROWS = 1000
STEP_TOUCHES = 1000
STEP_BYTES = 4 * 1024 * 1024
STEP_STREAMS = 50
STEP_PAGES = 512

_EXPIRED = (
    "SELECT path FROM stream WHERE deadline <= ? AND path IS NOT NULL "
    "AND soft_deleted = 0 LIMIT ?"
)
_REMOVED = "SELECT id FROM stream WHERE path IS NULL LIMIT ?"
_NEXT_STREAMS = (
    "SELECT id FROM stream WHERE id > ? AND path IS NOT NULL AND refs = 0 "
    "AND soft_deleted = 0 AND tail > base ORDER BY id LIMIT ?"
)
_OLDEST = (
    "SELECT end, length(body), at FROM message WHERE stream = ? ORDER BY end LIMIT ?"
)
_DROP = "DELETE FROM message WHERE stream = ? AND end <= ?"


def touch(transaction: Transaction) -> None:
    """Write down when streams with a TTL were last read, earliest reads first."""
    # A copy in one step: the event loop adds to the original meanwhile.
    for id, at in islice(transaction.cache.touches.copy().items(), STEP_TOUCHES):
        stream = transaction.by_id(id)
        if stream is not None and stream.touched < at:
            transaction.put(replace(stream, touched=at))
        transaction.touched[id] = at


def expire(transaction: Transaction) -> bool:
    """End streams whose time is over. True: there may be more."""
    transaction.flush()
    due = transaction.db.execute(_EXPIRED, (transaction.now, STEP_STREAMS)).fetchall()
    for (path,) in due:
        transaction.current(path)
    return len(due) == STEP_STREAMS


def sweep(transaction: Transaction) -> bool:
    """Drop messages of removed streams. True: there may be more."""
    transaction.flush()
    for (id,) in transaction.db.execute(_REMOVED, (STEP_STREAMS,)).fetchall():
        oldest = transaction.db.execute(_OLDEST, (id, STEP_ROWS)).fetchall()
        if oldest:
            transaction.db.execute(_DROP, (id, _within(oldest)))
            return True
        transaction.db.execute("DELETE FROM producer WHERE stream = ?", (id,))
        transaction.db.execute("DELETE FROM stream WHERE id = ?", (id,))
    return transaction.db.execute(_REMOVED, (1,)).fetchone() is not None


def retain(transaction: Transaction, options: Options, after: int) -> int:
    """Trim some streams with an id above ``after``; where to continue (0: restart).

    A stream that forks read is left whole: they may need its old rows.
    """
    if options.retention_age is None and options.retention_bytes is None:
        return 0
    transaction.flush()
    ids = transaction.db.execute(_NEXT_STREAMS, (after, STEP_STREAMS)).fetchall()
    for (id,) in ids:
        stream = transaction.by_id(id)
        if stream is not None:
            _trim(transaction, options, stream)
    return ids[-1][0] if len(ids) == STEP_STREAMS else 0


def shrink(db: sqlite3.Connection) -> bool:
    """Give free pages back, outside a transaction. True: there may be more."""
    free = db.execute("PRAGMA freelist_count").fetchone()[0]
    if free < STEP_PAGES:
        return False
    db.execute(f"PRAGMA incremental_vacuum({STEP_PAGES})").fetchall()
    return True


def _trim(transaction: Transaction, options: Options, stream: StoredStream) -> None:
    floor = stream.floor
    for end, _, at in transaction.db.execute(
        _OLDEST, (stream.id, STEP_ROWS)
    ).fetchall():
        if not _outdated(transaction, options, stream, end, at):
            break
        floor = end
    if floor > stream.floor:
        transaction.db.execute(_DROP, (stream.id, floor))
        transaction.put(trimmed(stream, floor))


def _outdated(
    transaction: Transaction,
    options: Options,
    stream: StoredStream,
    end: int,
    at: float,
) -> bool:
    """Whether a row that ends at ``end`` and was written at ``at`` may go."""
    age, size = options.retention_age, options.retention_bytes
    if age is not None and at < transaction.now - age:
        return True
    return size is not None and stream.tail - end >= size


def _within(oldest: list[stream_rows.Cells]) -> int:
    """The end of the last row of a step: bounded in rows and in bytes."""
    size = 0
    for end, length, _ in oldest:
        size += length
        if size >= STEP_BYTES:
            return int(end)
    return int(oldest[-1][0])
