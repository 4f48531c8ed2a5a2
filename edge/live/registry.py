"""StreamRegistry: the table of all stream keys, by key and by path, within its budgets.

It makes rows, finds them, weighs them, and forgets some when the memory budget or the
number of rows is exceeded: first those that were read once, then those that were read
longest ago (U15). A row of which anything is under way is never forgotten; the oldest
part of its log may be. The hub makes and weighs rows, and says which are worth keeping;
``ingest``, ``writes`` and ``control`` find those of a path, ``answer_cache`` says that
one was read again.
"""

import enum
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from itertools import islice
from typing import Generic, TypeVar

from edge.core.errors import Refusal
from edge.core.reasons import Reason
from edge.core.values import StreamKey
from edge.live.context import HubContext
from edge.live.rows import Stream
from edge.policy.streams.routes import Route
from edge.streamlog.stream_log import StreamLog

PROBATION_SHARE = 8
"""Rows in probation always have so much of the memory, and of the number of rows: an
eighth."""

MAX_ROWS_OF_PATH = 256
"""When a path has this many rows, an idle one is forgotten for each new one. A write
looks at all of them (L5), and a client that invents parameters must not add rows to it
for ever."""

_Path = tuple[str, str]

Key = TypeVar("Key", bound=Hashable)


class Part(enum.StrEnum):
    """Where a row stands in the budget (U15)."""

    PROBATION = "probation"
    PROTECTED = "protected"


class _Rows(OrderedDict[Key, int]):
    """The rows of a part with their costs, the least recently read first. ``held`` is
    what they cost together."""

    def __init__(self) -> None:
        super().__init__()
        self.held = 0

    def put(self, key: Key, cost: int) -> None:
        self.held += cost - self.get(key, 0)
        self[key] = cost

    def take(self, key: Key) -> int:
        cost = self.pop(key)
        self.held -= cost
        return cost

    def each(self) -> Iterator[Key]:
        """Each row. One that is left counts as just read when the next one is asked
        for: later calls then do not start with the same ones."""
        for _ in range(len(self)):
            key = next(iter(self), None)
            if key is None:
                return
            yield key
            if next(iter(self), None) == key:
                self.move_to_end(key)


class Budget(Generic[Key]):
    """At most ``limit`` bytes over all rows: a segmented LRU (U15).

    A new row is in probation; one that is worth keeping is *promoted*. While over the
    limit, rows in probation go first, the least recently read of them before the
    others. So while the protected rows leave ``probation`` bytes to them, new ones
    never make a protected one go, however many come. Where the protected ones do not,
    the least recently read of them are put back into probation, behind what is there.
    """

    __slots__ = ("_probation", "_protected", "limit", "probation")

    def __init__(self, limit: int, probation: int) -> None:
        self.limit = limit
        self.probation = probation
        self._probation: _Rows[Key] = _Rows()
        self._protected: _Rows[Key] = _Rows()

    def __repr__(self) -> str:
        parts = f"{self._probation.held} B in probation, {len(self)} rows"
        return f"<Budget {self.total}/{self.limit} B, {parts}>"

    def __len__(self) -> int:
        return len(self._probation) + len(self._protected)

    def __contains__(self, key: Key) -> bool:
        return key in self._protected or key in self._probation

    @property
    def total(self) -> int:
        """Bytes that all rows cost together."""
        return self._probation.held + self._protected.held

    @property
    def in_probation(self) -> int:
        """Bytes that the rows in probation cost together."""
        return self._probation.held

    def part_of(self, key: Key) -> Part:
        """Where the row stands; one that is not counted is in probation."""
        return Part.PROTECTED if key in self._protected else Part.PROBATION

    def touch(self, key: Key) -> None:
        """The row was asked for. No effect on one that is not counted."""
        rows = self._rows_of(key)
        if key in rows:
            rows.move_to_end(key)

    def promote(self, key: Key) -> None:
        """The row is worth keeping, and was asked for just now. No effect on one that
        is not counted."""
        if key in self._protected:
            self._protected.move_to_end(key)
        elif key in self._probation:
            self._protected.put(key, self._probation.take(key))
            self._demote()

    def set_cost(self, key: Key, cost: int) -> None:
        """Set what the row costs now, in bytes. A new one is in probation, and counts
        as just read; growth does not count as a read."""
        rows = self._rows_of(key)
        rows.put(key, cost)
        if rows is self._protected:
            self._demote()

    def forget(self, key: Key) -> None:
        """The row is gone. It may be one that is not counted."""
        rows = self._rows_of(key)
        if key in rows:
            rows.take(key)

    def over(self) -> bool:
        """Whether a row must go."""
        return self.total > self.limit

    def victims(self) -> Iterator[Key]:
        """Rows to drop, in the order in which they go, while over the limit.

        Each is named once. The caller forgets it, makes it cheaper, or leaves it
        because something of it is under way. If that does not do, protected ones
        follow. The budget may be changed meanwhile.
        """
        for rows in (self._probation, self._protected):
            for key in rows.each():
                if not self.over():
                    return
                yield key

    def oldest(self, fewest: int) -> Iterator[Key]:
        """All rows in the order in which they go where their number counts. Those in
        probation come first, unless there are no more than ``fewest``."""
        parts = (self._probation, self._protected)
        for rows in parts if len(self._probation) > fewest else reversed(parts):
            yield from rows.each()

    def _rows_of(self, key: Key) -> _Rows[Key]:
        return self._protected if key in self._protected else self._probation

    def _demote(self) -> None:
        """Leave probation its room: protected rows have the rest."""
        protected = self._protected
        while protected and protected.held > self.limit - self.probation:
            key = next(iter(protected))
            self._probation.put(key, protected.take(key))


class _PathRows:
    """The keys of one path's rows. ``fresh`` were never promoted, the first made come
    first; ``kept`` were, the least recently read come first."""

    __slots__ = ("fresh", "kept")

    def __init__(self) -> None:
        self.fresh: dict[StreamKey, None] = {}
        self.kept: dict[StreamKey, None] = {}

    def __len__(self) -> int:
        return len(self.fresh) + len(self.kept)

    def __iter__(self) -> Iterator[StreamKey]:
        yield from self.fresh
        yield from self.kept

    def promote(self, key: StreamKey) -> None:
        """The row was read just now, and is worth keeping."""
        self.drop(key)
        self.kept[key] = None

    def drop(self, key: StreamKey) -> None:
        """The row is gone."""
        self.fresh.pop(key, None)
        self.kept.pop(key, None)


class StreamRegistry:
    """All rows of one hub."""

    def __init__(self, context: HubContext) -> None:
        options = self._options = context.options
        self._counters, self._clock = context.counters, context.clock
        self._routes: dict[str, Route] = {r.match: r for r in options.routes}
        # Is told of a row before it is forgotten: the shelf (S2).
        self.on_forget: Callable[[Stream], None] | None = None
        # And of one whose log has grown.
        self.on_grown: Callable[[Stream], None] | None = None
        self._rows: dict[StreamKey, Stream] = {}
        self._by_path: dict[_Path, _PathRows] = {}
        # Prepared answers and events have a quarter of the memory.
        limit, probation = options.memory * 3 // 4, options.memory // PROBATION_SHARE
        self._budget: Budget[Stream] = Budget(limit, probation)
        self._incarnations = self._made = 0
        self._looks = context.looks

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Stream]:
        return iter(list(self._rows.values()))

    @property
    def cost(self) -> int:
        """Bytes held by all logs and rows."""
        return self._budget.total

    @property
    def limit(self) -> int:
        """What they may cost together."""
        return self._budget.limit

    @property
    def cost_in_probation(self) -> int:
        """Bytes of these that go first."""
        return self._budget.in_probation

    def obtain(self, key: StreamKey) -> Stream:
        """The row of ``key``, made if need be, and now the latest read of its part.

        Raises Refusal (limit-streams) when all rows are taken and busy.
        """
        stream = self._rows.get(key)
        if stream is None:
            return self._make(key)
        self._budget.touch(stream)
        return stream

    def promote(self, stream: Stream) -> None:
        """The row is worth keeping (U15): bytes were read that it held already, a live
        reader waits on it, or it was written to."""
        self._budget.promote(stream)
        key = stream.key
        if self._rows.get(key) is stream:
            self._by_path[key.route, key.path].promote(key)

    def of_path(self, route: str, path: str) -> list[Stream]:
        """All rows of a path: every partition and extension (L5)."""
        return [self._rows[key] for key in self._by_path.get((route, path), ())]

    def renew(self, stream: Stream) -> None:
        """Begin a new incarnation: nothing of the old log is known any more."""
        stream.log = self._new_log(stream.log.row, began=True)
        stream.log.began_at = self._clock.monotonic()
        stream.large.clear()
        stream.gone_until = 0.0
        if stream.lenders is not None:
            stream.lenders.made_anew()
        if stream.head_missed:
            # U12: that HEAD spoke of the old one, or of none.
            stream.head_missed = False
            stream.no_head_until = 0.0
        self.weigh(stream)

    def weigh(self, stream: Stream, grew: bool = False) -> None:
        """The row changed its size; its log ``grew``. Forget what no longer fits."""
        if grew and self.on_grown is not None:
            self.on_grown(stream)
        # A row that is counted is in the table; that is told without its key.
        if stream in self._budget or self._rows.get(stream.key) is stream:
            self._budget.set_cost(stream, stream.cost)
        if self._budget.over():
            self._shrink(stream)

    def _make(self, key: StreamKey) -> Stream:
        if len(self._rows) >= self._options.max_streams and not self._forget_one():
            raise Refusal("too many streams are in use", reason=Reason.LIMIT_STREAMS)
        self._thin_path((key.route, key.path))
        self._made += 1
        stream = Stream(key, self._routes[key.route], self._new_log(self._made))
        if self._looks is not None:
            stream.watch = self._looks.watch(key.path)
        self._rows[key] = stream
        self._by_path.setdefault((key.route, key.path), _PathRows()).fresh[key] = None
        self.weigh(stream)
        return stream

    def _thin_path(self, path: _Path) -> None:
        """Forget one of the path's rows, if there are many: the oldest that was never
        promoted, or else the one that was read longest ago.

        A row of which something is under way is looked at again after the others.
        """
        rows = self._by_path.get(path)
        if rows is None or len(rows) < MAX_ROWS_OF_PATH:
            return
        for keys in (rows.fresh, rows.kept):
            for key in list(islice(keys, MAX_ROWS_OF_PATH)):
                if self._rows[key].idle:
                    self._forget(self._rows[key])
                    return
                del keys[key]
                keys[key] = None

    def _new_log(self, row: int, *, began: bool = False) -> StreamLog:
        self._incarnations += 1
        hold = self._options.hold
        return StreamLog(self._incarnations, hold, row, began=began)

    def _forget_one(self) -> bool:
        """Forget one row of which nothing is under way; whether there was any."""
        fewest = self._options.max_streams // PROBATION_SHARE
        for stream in self._budget.oldest(fewest):
            if stream.idle:
                self._forget(stream)
                return True
        return False

    def _shrink(self, at_work: Stream) -> None:
        """Evict until the budget holds again (see ``Budget``).

        The row ``at_work`` is spared: it has just grown, and is still in use.
        """
        for stream in self._budget.victims():
            if stream.idle and stream is not at_work:
                self._forget(stream)
            else:
                self._evict_ranges(stream)

    def _evict_ranges(self, stream: Stream) -> None:
        """Drop the oldest ranges of a row that stays, until the budget holds."""
        part = self._budget.part_of(stream)
        while self._budget.over() and stream.log.evict_first():
            self._counters.evictions[part] += 1
            self._budget.set_cost(stream, stream.cost)

    def _forget(self, stream: Stream) -> None:
        key = stream.key
        if self.on_forget is not None:
            self.on_forget(stream)
        # Writes do not find the row any more, so what is known of it no longer holds.
        # A reader that still has the row must not hold bytes that no budget counts.
        stream.log.tail.version += 1
        stream.log = self._new_log(stream.log.row)
        self._counters.evictions[self._budget.part_of(stream)] += 1
        self._budget.forget(stream)
        del self._rows[key]
        path = key.route, key.path
        self._by_path[path].drop(key)
        if not self._by_path[path]:
            del self._by_path[path]
