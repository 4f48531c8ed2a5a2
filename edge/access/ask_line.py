"""AskLine: how many are asked at once, and who is next (B18).

Whoever is asked (an endpoint, the origin) can take so many asks at a time. Half of them
are kept for credentials that were let in before: a flood of new ones does not end those
who are there. Whoever finds no room waits in line. The lines of all addresses take
turns, so one address with a thousand credentials waits behind itself. The line is
bounded: when it is full, the longest one gives way. Blocks its greenlet alone; used by
``asked_verdicts``.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager

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

    __slots__ = ("called", "has_turn")

    def __init__(self) -> None:
        self.called = Event()
        self.has_turn = False


class _Lines:
    """Those who wait, by address: each address in turn, first come, first served."""

    def __init__(self) -> None:
        self._lines: OrderedDict[str, deque[_Waiting]] = OrderedDict()
        self.count = 0

    def add(self, address: str, waiting: _Waiting) -> None:
        self._lines.setdefault(address, deque()).append(waiting)
        self.count += 1

    def length(self, address: str) -> int:
        return len(self._lines.get(address, ()))

    def next(self) -> _Waiting | None:
        """The next one, taken out; its address goes behind all others."""
        if not self._lines:
            return None
        address, line = self._lines.popitem(last=False)
        waiting = line.popleft()
        self.count -= 1
        if line:
            self._lines[address] = line
        return waiting

    def longest(self) -> str:
        """The address with most of them."""
        return max(self._lines, key=lambda one: len(self._lines[one]))

    def take_last(self, address: str) -> _Waiting:
        """Who came last at this address, taken out."""
        waiting = self._lines[address][-1]
        self.remove(address, waiting)
        return waiting

    def remove(self, address: str, waiting: _Waiting) -> None:
        """Take one out, if it is there."""
        line = self._lines.get(address)
        if line is None or waiting not in line:
            return
        line.remove(waiting)
        self.count -= 1
        if not line:
            del self._lines[address]


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
        self._max_waiting = max_waiting
        self._patience = patience
        self._under_way = 0
        self._of_new = 0
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
        if self._has_turn(is_new) and not self._lines(is_new).count:
            self._take(is_new)
        else:
            self._wait(address, is_new)
        try:
            yield
        finally:
            self._under_way -= 1
            self._of_new -= is_new
            self._call()

    def _lines(self, is_new: bool) -> _Lines:
        return self._new if is_new else self._known

    def _has_turn(self, is_new: bool) -> bool:
        fits = self._under_way < self._asks
        return fits and (not is_new or self._of_new < self._for_new)

    def _take(self, is_new: bool) -> None:
        self._under_way += 1
        self._of_new += is_new

    def _wait(self, address: str, is_new: bool) -> None:
        """Stand in line until called. The caller took the turn on its behalf.

        Whoever gives up (late, or killed) may have been called meanwhile: then the turn
        is its own, and goes to the next.
        """
        lines = self._lines(is_new)
        self._make_room(lines, address)
        waiting = _Waiting()
        lines.add(address, waiting)
        try:
            waiting.called.wait(self._patience)
        except BaseException:
            self._give_up(lines, address, waiting, is_new)
            raise
        if not waiting.has_turn:
            lines.remove(address, waiting)
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

    def _give_up(
        self, lines: _Lines, address: str, waiting: _Waiting, is_new: bool
    ) -> None:
        lines.remove(address, waiting)
        if waiting.has_turn:
            self._under_way -= 1
            self._of_new -= is_new
            self._call()

    def _call(self) -> None:
        """Let those come whose turn it is; who was let in before comes first."""
        for lines, is_new in ((self._known, False), (self._new, True)):
            while lines.count and self._has_turn(is_new):
                waiting = lines.next()
                assert waiting is not None
                self._take(is_new)
                waiting.has_turn = True
                waiting.called.set()


def _busy() -> Refusal:
    detail = "Too many credentials are being asked about."
    return Refusal(detail, reason=Reason.ACCESS_BUSY)
