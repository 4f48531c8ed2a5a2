"""TailCache: the newest rows of the streams that are being written, in memory.

A reader that an append wakes finds the bytes here and needs no disk. The cache is
bounded in bytes over all streams. The stream written longest ago is forgotten first,
and one stream takes at most an eighth. Only committed rows come in, in order.
"""

from collections import deque

from origin_adapter.embedded.rules.lineage import Row
from origin_adapter.embedded.rules.values import StoredStream
from origin_adapter.embedded.store.pages import StoredPage, check_joint, is_full

ROW_OVERHEAD = 200
"""Bytes that a row costs beside its body."""


class _StreamTail:
    __slots__ = ("rows", "size")

    def __init__(self) -> None:
        self.rows: deque[Row] = deque()
        self.size = 0

    def push(self, row: Row) -> int:
        cost = len(row.body) + ROW_OVERHEAD
        self.rows.append(row)
        self.size += cost
        return cost

    def pop(self) -> int:
        cost = len(self.rows.popleft().body) + ROW_OVERHEAD
        self.size -= cost
        return cost


class TailCache:
    """Newest rows by stream id. Used by the event loop only."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.size = 0
        self._tails: dict[int, _StreamTail] = {}

    def add(self, id: int, rows: list[Row]) -> None:
        """Add rows that were just committed. They follow the rows already here."""
        tail = self._tails.pop(id, None) or _StreamTail()
        self._tails[id] = tail
        for row in rows:
            self.size += tail.push(row)
        while tail.size > self.budget // 8 and len(tail.rows) > 1:
            self.size -= tail.pop()
        while self.size > self.budget:
            self.forget(next(iter(self._tails)))

    def forget(self, id: int) -> None:
        """Drop a stream's rows: it ended, or has to make room."""
        tail = self._tails.pop(id, None)
        if tail is not None:
            self.size -= tail.size

    def page(self, stream: StoredStream, start: int, limit: int) -> StoredPage | None:
        """The page at ``start`` if all of it is here; None: ask the disk.

        Raises Refused (bad-offset) when ``start`` lies inside a row.
        """
        tail = self._tails.get(stream.id)
        if tail is None or tail.rows[0].start > start:
            return None
        parts: list[bytes] = []
        size = 0
        end = start
        for row in self._from(tail, start):
            if row.end > stream.tail:
                break
            if parts and is_full(len(parts), size + len(row.body), limit):
                break
            check_joint(end, row.start, first=not parts)
            parts.append(row.body)
            size += len(row.body)
            end = row.end
        return StoredPage(start, end, parts) if parts else None

    def _from(self, tail: _StreamTail, start: int) -> list[Row]:
        """The rows that end after ``start``, searched from the newest one."""
        found: list[Row] = []
        for row in reversed(tail.rows):
            if row.end <= start:
                break
            found.append(row)
        found.reverse()
        return found
