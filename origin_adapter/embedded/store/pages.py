"""Pages: rows of a lineage in order, a bounded number of bytes at a time.

Readers use it on their own connections, the writer for the row at a divergence. A page
ends at a row's end. It holds at most ``limit`` bytes, or one row if that alone is
longer. The largest append thus bounds the memory.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

from origin_adapter.embedded.rules import offsets
from origin_adapter.embedded.rules.lineage import Row, cut
from origin_adapter.embedded.rules.values import Span, StoredStream

_ROWS = "SELECT end, body FROM message WHERE stream = ? AND end > ? ORDER BY end"


class Vanished(Exception):
    """Bytes are gone that the stream had when it was looked up.

    It was removed or trimmed in between, and the reader looks it up again.
    """


@dataclass(frozen=True, slots=True)
class StoredPage:
    """The bytes ``[start, end)`` of a stream, as the rows they were stored in."""

    start: int
    end: int
    parts: list[bytes]


def page(
    db: sqlite3.Connection, stream: StoredStream, start: int, limit: int
) -> StoredPage:
    """The page of ``stream`` that begins at ``start``, which is below its tail.

    Raises Refused (bad-offset) when ``start`` lies inside a row, and Vanished.
    """
    parts: list[bytes] = []
    size = 0
    end = start
    for row in rows(db, stream, start):
        check_joint(end, row.start, first=not parts)
        if parts and size + len(row.body) > limit:
            break
        parts.append(row.body)
        size += len(row.body)
        end = row.end
    else:
        if end < stream.tail:
            raise Vanished
    return StoredPage(start, end, parts)


def rows(db: sqlite3.Connection, stream: StoredStream, start: int) -> Iterator[Row]:
    """The rows of a stream that end after ``start``, its inherited ones first."""
    for span in stream.spans:
        if span.high > start:
            yield from _span_rows(db, span, max(start, span.low))


def check_joint(end: int, start: int, first: bool) -> None:
    """Check that a row that begins at ``start`` may follow bytes up to ``end``.

    Raises Refused (bad-offset) if the reader asked for the middle of a row, Vanished
    if bytes are missing in between.
    """
    if first and start < end:
        raise offsets.misplaced("this offset was never returned for this stream")
    if start != end:
        raise Vanished


def _span_rows(db: sqlite3.Connection, span: Span, start: int) -> Iterator[Row]:
    # An open cursor would hold its snapshot, and the WAL could not be reset.
    with closing(db.execute(_ROWS, (span.id, start))) as cursor:
        for end, body in cursor:
            row = Row(end - len(body), end, body)
            if row.start >= span.high:
                return
            yield cut(row, span.high)
            if end >= span.high:
                return
