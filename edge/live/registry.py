"""StreamRegistry: the table of all stream keys, by key and by path, within its budgets.

It makes rows, finds them, and forgets the least recently read when the memory budget or
the number of rows is exceeded. A row with a waiting reader is never forgotten; the
oldest part of its log may be. The hub makes and weighs rows; ``ingest`` and ``control``
find those of a path, ``answer_cache`` says that one was read.
"""

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from itertools import islice
from typing import Generic, TypeVar

from edge.core.errors import Refusal
from edge.core.reasons import Reason
from edge.core.values import StreamKey
from edge.live.context import HubContext
from edge.live.rows import Stream
from edge.policy.streams.routes import Route
from edge.streamlog.stream_log import StreamLog

_ROW_COST = 2048
"""Bytes that a row costs in the budget even when its log is empty."""

MAX_ROWS_OF_PATH = 256
"""When a path has this many rows, an idle one is forgotten for each new one. A write
looks at all of them (L5), and a client that invents parameters must not add rows to it
for ever."""

_MAX_LOOKED_AT = 8

_Path = tuple[str, str]

Key = TypeVar("Key", bound=Hashable)


class Budget(Generic[Key]):
    """At most ``limit`` bytes over all logs; the least recently read goes first."""

    __slots__ = ("_costs", "_total", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        # The least recently read first.
        self._costs: OrderedDict[Key, int] = OrderedDict()
        self._total = 0

    def __repr__(self) -> str:
        return f"<Budget {self._total}/{self.limit} B, {len(self._costs)} logs>"

    def __len__(self) -> int:
        return len(self._costs)

    def __iter__(self) -> Iterator[Key]:
        """All keys, the least recently read first."""
        return iter(self._costs)

    @property
    def total(self) -> int:
        """Bytes that all logs cost together."""
        return self._total

    def touch(self, key: Key) -> None:
        """The log was read. No effect on a log that is not counted."""
        if key in self._costs:
            self._costs.move_to_end(key)

    def set_cost(self, key: Key, cost: int) -> None:
        """Set what the log costs now, in bytes. A new log counts as just read; growth
        does not count as a read."""
        self._total += cost - self._costs.get(key, 0)
        self._costs[key] = cost

    def forget(self, key: Key) -> None:
        """The log is gone. It may be one that is not counted."""
        self._total -= self._costs.pop(key, 0)

    def over(self) -> bool:
        """Whether a log must go."""
        return self._total > self.limit

    def victims(self) -> Iterator[Key]:
        """Logs to drop, the least recently read first, while over the limit.

        Each log is named once. The caller forgets it, makes it cheaper, or leaves it
        because a viewer stands on it. A log that is left counts as just read when the
        next one is asked for: later calls then do not start with the same ones. The
        budget may be changed meanwhile.
        """
        for _ in range(len(self._costs)):
            key = next(iter(self._costs), None)
            if key is None or not self.over():
                return
            yield key
            if next(iter(self._costs), None) == key:
                self._costs.move_to_end(key)


class StreamRegistry:
    """All rows of one hub."""

    def __init__(self, context: HubContext) -> None:
        options = self._options = context.options
        self._counters = context.counters
        self._routes: dict[str, Route] = {r.match: r for r in options.routes}
        self._rows: dict[StreamKey, Stream] = {}
        self._by_path: dict[_Path, dict[StreamKey, None]] = {}
        # Prepared answers and events have a quarter of the memory.
        self._budget: Budget[StreamKey] = Budget(options.memory * 3 // 4)
        self._incarnations = 0

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Stream]:
        return iter(list(self._rows.values()))

    @property
    def cost(self) -> int:
        """Bytes held by all logs and rows."""
        return self._budget.total

    def obtain(self, key: StreamKey) -> Stream:
        """The row of ``key``, made if need be, and now the latest read.

        Raises Refusal (limit-streams) when all rows are taken and busy.
        """
        stream = self._rows.get(key)
        if stream is None:
            stream = self._make(key)
        self._budget.touch(key)
        return stream

    def touch(self, stream: Stream) -> None:
        """The row was read without being obtained: it is now the latest read."""
        self._budget.touch(stream.key)

    def of_path(self, route: str, path: str) -> list[Stream]:
        """All rows of a path: every partition and extension (L5)."""
        return [self._rows[key] for key in self._by_path.get((route, path), ())]

    def renew(self, stream: Stream) -> None:
        """Begin a new incarnation: nothing of the old log is known any more."""
        stream.log = self._new_log()
        stream.large.clear()
        stream.gone_until = 0.0
        if stream.head_missed:
            # U12: that HEAD spoke of the old one, or of none.
            stream.head_missed = False
            stream.no_head_until = 0.0
        self.weigh(stream)

    def weigh(self, stream: Stream) -> None:
        """The log changed its size: forget what no longer fits."""
        if self._rows.get(stream.key) is stream:
            self._budget.set_cost(stream.key, stream.log.cost + _ROW_COST)
        if self._budget.over():
            self._shrink(stream)

    def _make(self, key: StreamKey) -> Stream:
        if len(self._rows) >= self._options.max_streams and not self._forget_one():
            raise Refusal("too many streams are in use", reason=Reason.LIMIT_STREAMS)
        self._thin_path((key.route, key.path))
        stream = Stream(key, self._routes[key.route], self._new_log())
        self._rows[key] = stream
        self._by_path.setdefault((key.route, key.path), {})[key] = None
        self.weigh(stream)
        return stream

    def _thin_path(self, path: _Path) -> None:
        """Forget one of the path's oldest rows, if there are many.

        A row with a waiting reader is looked at again after the others.
        """
        keys = self._by_path.get(path, {})
        if len(keys) < MAX_ROWS_OF_PATH:
            return
        for key in list(islice(keys, _MAX_LOOKED_AT)):
            if self._rows[key].idle:
                self._forget(self._rows[key])
                return
            del keys[key]
            keys[key] = None

    def _new_log(self) -> StreamLog:
        self._incarnations += 1
        return StreamLog(self._incarnations, self._options.hold)

    def _forget_one(self) -> bool:
        """Forget the row read longest ago of those without a waiting reader.

        Rows with one count as just read when they are met: the next call then does not
        start with the same ones.
        """
        for _ in range(len(self._rows)):
            key = next(iter(self._budget))
            if self._rows[key].idle:
                self._forget(self._rows[key])
                return True
            self._budget.touch(key)
        return False

    def _shrink(self, at_work: Stream) -> None:
        """Evict, least recently read first, until the budget holds again.

        The row ``at_work`` is spared: it has just grown, and is still in use.
        """
        for key in self._budget.victims():
            stream = self._rows[key]
            if stream.idle and stream is not at_work:
                self._forget(stream)
            else:
                while self._budget.over() and stream.log.evict_first():
                    self._counters.evictions += 1
                    self._budget.set_cost(key, stream.log.cost + _ROW_COST)
            if not self._budget.over():
                return

    def _forget(self, stream: Stream) -> None:
        key = stream.key
        # Writes do not find the row any more, so what is known of it no longer holds.
        # A reader that still has the row must not hold bytes that no budget counts.
        stream.log.tail.version += 1
        stream.log = self._new_log()
        del self._rows[key]
        self._budget.forget(key)
        keys = self._by_path[key.route, key.path]
        del keys[key]
        if not keys:
            del self._by_path[key.route, key.path]
        self._counters.evictions += 1
