"""Budget: which of many logs must go when they hold too many bytes together.

It knows what each log costs and which was read longest ago. It decides only:
the caller drops what ``victims`` names, and says so with ``forget`` or
``set_cost``. Keys are the caller's (a StreamKey). Pure, and every step takes
the same time however many logs there are.
"""

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Budget(Generic[Key]):
    """At most ``limit`` bytes over all logs, the least recently read first to go."""

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
        """The log was read. One that is not counted stays so."""
        if key in self._costs:
            self._costs.move_to_end(key)

    def set_cost(self, key: Key, cost: int) -> None:
        """What the log costs now, in bytes. A new one counts as just read;
        growing is not reading."""
        self._total += cost - self._costs.get(key, 0)
        self._costs[key] = cost

    def forget(self, key: Key) -> None:
        """The log is gone. One that is not counted may be forgotten too."""
        self._total -= self._costs.pop(key, 0)

    def over(self) -> bool:
        """Whether something must go."""
        return self._total > self.limit

    def victims(self) -> Iterator[Key]:
        """Logs to drop, the least recently read first, while over the limit.

        Each log is named once. The caller forgets it, or makes it cheaper, or
        leaves it because somebody stands on it; a log that it leaves counts as
        read just now when the next one is asked for, so that the same ones are
        not gone through each time. The budget may be changed meanwhile.
        """
        for _ in range(len(self._costs)):
            key = next(iter(self._costs), None)
            if key is None or not self.over():
                return
            yield key
            if next(iter(self._costs), None) == key:
                self._costs.move_to_end(key)
