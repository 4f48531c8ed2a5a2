"""AskLine: how many are asked at once, and who is next (B18).

Whoever is asked (an endpoint, the origin) can take so many asks at a time. Half of them
are kept for credentials that were let in before: a flood of new ones does not end those
who are there. Of the other half one address has three quarters at most; who has no
address ("") is not bounded by it. Whoever finds no room waits in line. The lines of all
addresses take turns, so one address with a thousand credentials waits behind itself.
The line is bounded: when it is full, the longest one gives way. Blocks its greenlet
alone; used by ``asked_verdicts``.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from gevent.event import Event

from edge.core.errors import Refusal
from edge.core.reasons import Reason

ASKS = 64
"""Asks under way at once in one worker."""

MAX_WAITING = 4096
"""Asks that wait for one of them."""

PATIENCE_SECONDS = 10.0
"""How long one waits."""


class _Waiting:
    """One in line. ``called`` is set when its turn has come, or never will."""

    __slots__ = ("address", "called", "has_turn")

    def __init__(self, address: str) -> None:
        self.address = address
        self.called = Event()
        self.has_turn = False


class _Lines:
    """Those who wait, by address: each address in turn, first come, first served.

    Nothing here looks at all addresses: a flood comes from thousands.
    """

    def __init__(self) -> None:
        self._lines: OrderedDict[str, deque[_Waiting]] = OrderedDict()
        # The addresses by how many of them wait; the last is the longest line.
        self._by_length: list[dict[str, None]] = [{}]
        self.count = 0

    def add(self, waiting: _Waiting) -> None:
        address = waiting.address
        self._lines.setdefault(address, deque()).append(waiting)
        self._moved(address, self.length(address) - 1)
        self.count += 1

    def length(self, address: str) -> int:
        return len(self._lines.get(address, ()))

    def next(self, may: Callable[[str], bool]) -> _Waiting | None:
        """The next one whose address may, taken out; its address goes behind all
        others."""
        address = next(filter(may, self._lines), None)
        if address is None:
            return None
        self._lines.move_to_end(address)
        waiting = self._lines[address][0]
        self.remove(waiting)
        return waiting

    def longest(self) -> str:
        """The address with most of them."""
        return next(iter(self._by_length[-1]))

    def take_last(self, address: str) -> _Waiting:
        """Who came last at this address, taken out."""
        waiting = self._lines[address][-1]
        self.remove(waiting)
        return waiting

    def remove(self, waiting: _Waiting) -> None:
        """Take one out, if it is there."""
        line = self._lines.get(waiting.address)
        if line is None or waiting not in line:
            return
        line.remove(waiting)
        self._moved(waiting.address, len(line) + 1)
        self.count -= 1
        if not line:
            del self._lines[waiting.address]

    def _moved(self, address: str, before: int) -> None:
        """The line of an address has another length than before, by one."""
        by_length, after = self._by_length, self.length(address)
        if after == len(by_length):
            by_length.append({})
        by_length[before].pop(address, None)
        if after:
            by_length[after][address] = None
        if len(by_length) > 1 and not by_length[-1]:
            by_length.pop()


class AskLine:
    """The asks of one worker, of one judge."""

    def __init__(
        self,
        asks: int = ASKS,
        max_waiting: int = MAX_WAITING,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._asks = asks
        self._for_new = max(1, asks // 2)
        self._for_one = max(1, self._for_new * 3 // 4)
        self._max_waiting = max_waiting
        self._patience = patience
        self._under_way = 0
        self._of_new = 0
        self._of_address: Counter[str] = Counter()
        self._new = _Lines()
        self._known = _Lines()

    def __repr__(self) -> str:
        waiting = self._new.count + self._known.count
        return f"<AskLine {self._under_way} under way, {waiting} waiting>"

    @property
    def has_room(self) -> bool:
        """Whether one who was let in before could ask at once."""
        return self._under_way < self._asks and not self._known.count

    @contextmanager
    def turn(self, address: str, is_new: bool) -> Iterator[None]:
        """Hold one of the asks; waits for it. ``is_new``: nobody let it in before.

        Raises Refusal (access-busy) if there is none in time.
        """
        # For whom there is room, nobody stands in line: each end calls who may come.
        if self._fits(is_new) and self._may(address, is_new):
            self._take(address, is_new)
        else:
            self._wait(address, is_new)
        try:
            yield
        finally:
            self._end(address, is_new)

    def _lines(self, is_new: bool) -> _Lines:
        return self._new if is_new else self._known

    def _fits(self, is_new: bool) -> bool:
        fits = self._under_way < self._asks
        return fits and (not is_new or self._of_new < self._for_new)

    def _may(self, address: str, is_new: bool) -> bool:
        if not is_new or not address:
            return True
        return self._of_address[address] < self._for_one

    def _take(self, address: str, is_new: bool) -> None:
        self._under_way += 1
        if is_new:
            self._of_new += 1
            self._of_address[address] += 1

    def _end(self, address: str, is_new: bool) -> None:
        self._under_way -= 1
        if is_new:
            self._of_new -= 1
            self._of_address[address] -= 1
            if not self._of_address[address]:
                del self._of_address[address]
        self._call()

    def _wait(self, address: str, is_new: bool) -> None:
        """Stand in line until called. The caller took the turn on its behalf.

        Whoever gives up (late, or killed) may have been called meanwhile: then the turn
        is its own, and goes to the next.
        """
        lines = self._lines(is_new)
        self._make_room(lines, address)
        waiting = _Waiting(address)
        lines.add(waiting)
        try:
            waiting.called.wait(self._patience)
        except BaseException:
            self._give_up(lines, waiting, is_new)
            raise
        if not waiting.has_turn:
            lines.remove(waiting)
            raise _busy()

    def _make_room(self, lines: _Lines, address: str) -> None:
        """In a full line, take out who came last at the address with most of them.

        Raises Refusal if that would be this one.
        """
        if lines.count < self._max_waiting:
            return
        longest = lines.longest()
        if lines.length(address) + 1 >= lines.length(longest):
            raise _busy()
        lines.take_last(longest).called.set()

    def _give_up(self, lines: _Lines, waiting: _Waiting, is_new: bool) -> None:
        lines.remove(waiting)
        if waiting.has_turn:
            self._end(waiting.address, is_new)

    def _call(self) -> None:
        """Let those come whose turn it is; who was let in before comes first."""
        for lines, is_new in ((self._known, False), (self._new, True)):
            may = partial(self._may, is_new=is_new)
            while self._fits(is_new) and (waiting := lines.next(may)) is not None:
                self._take(waiting.address, is_new)
                waiting.has_turn = True
                waiting.called.set()


def _busy() -> Refusal:
    detail = "Too many credentials are being asked about."
    return Refusal(detail, reason=Reason.ACCESS_BUSY)
