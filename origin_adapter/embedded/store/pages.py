"""Pages: rows of a lineage in order, a bounded number of bytes at a time.

Readers use it on their own connections, the writer for the row at a divergence. A page
ends at a row's end. It holds at most ``MAX_ROWS`` rows and ``limit`` bytes, or one row
if that alone is longer. The largest append thus bounds the memory.

An answer may hold several pages. How far it goes is fixed before its first byte is
sent (``extent``), from the index alone: the pages behind the first one are read while
the answer is under way.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

from edge.protocol.names import is_json
from origin_adapter.embedded.rules import offsets
from origin_adapter.embedded.rules.lineage import Row, cut
from origin_adapter.embedded.rules.values import Span, StoredStream

_ROWS = "SELECT end, body FROM message WHERE stream = ? AND end > ? ORDER BY end"
_LAST = (
    "SELECT end, 0 FROM message WHERE stream = ? AND end > ? AND end <= ? "
    "ORDER BY end DESC LIMIT 1"
)
_LAST_COUNTED = (
    "SELECT max(end), count(*) FROM message WHERE stream = ? AND end > ? AND end <= ?"
)


MAX_ROWS = 16_384
"""Rows of a page. Of small ones each takes several times its bytes."""


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


@dataclass(frozen=True, slots=True)
class Extent:
    """The bytes ``[start, end)`` that one answer holds, stored in so many rows.

    Rows are only counted where an answer's length depends on them: in JSON mode.
    """

    start: int
    end: int
    rows: int


def opening(
    db: sqlite3.Connection, stream: StoredStream, start: int, limit: int, most: int
) -> tuple[StoredPage, Extent]:
    """The first page of an answer, and how far the answer goes. Raises as ``page``."""
    first = page(db, stream, start, limit)
    return first, extent(db, stream, first, most)


def extent(
    db: sqlite3.Connection, stream: StoredStream, first: StoredPage, most: int
) -> Extent:
    """How far an answer goes that begins with the page ``first``.

    It ends at a row's end, after at most ``most`` bytes or with that page. If rows go
    away meanwhile, it names bytes that can no longer be read: reading them raises
    Vanished.
    """
    counted = is_json(stream.content_type)
    rows, end = len(first.parts), first.end
    high = first.start + most
    for span in stream.spans:
        if span.high <= end:
            continue
        query = _LAST_COUNTED if counted else _LAST
        found = db.execute(query, (span.id, end, min(high, span.high))).fetchone()
        last, more = found or (None, 0)
        end = end if last is None else last
        rows += more
        if end < span.high:
            if span.high > high:
                break
            # The row that a divergence cuts: its own end lies beyond the span's.
            end = span.high
            rows += 1
    return Extent(first.start, end, rows)


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
        if parts and is_full(len(parts), size + len(row.body), limit):
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


def is_full(rows: int, size: int, limit: int) -> bool:
    """Whether a page of so many rows takes none that would make it so large."""
    return size > limit or rows >= MAX_ROWS


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
            if end < span.high:
                yield row
                continue
            if row.start < span.high:
                yield cut(row, span.high)
            return
