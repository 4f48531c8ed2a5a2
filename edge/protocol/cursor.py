"""Cursor arithmetic (PROTOCOL.md section 10.1, L22).

A cursor makes a client's next URL differ from its last one: a cache downstream cannot
answer it with the same bytes for ever. It counts intervals of 20 seconds. A minted
cursor is strictly above the client's own. One wake-up gives one value to all its
viewers except outliers, which keeps the crowd on one URL. There is no randomness, and a
cursor is in no key.

The hub keeps one integer per stream, ``highest``: the largest value minted for
its crowd. For one wake-up at interval ``now`` it does::

    value = crowd(now, highest, (viewer.cursor for viewer in viewers))
    highest = advance(highest, value)
    ... for each viewer: for_client(value, now, highest, viewer.cursor)

An outlier is a viewer whose cursor is more than ``WINDOW`` ahead of both the
clock and ``highest``. It is answered above its own cursor, and never moves the crowd.
Outliers of equal cursor get equal values, so they can share the bytes of an answer.
Only CursorClock has state; the rest are pure functions.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

EPOCH = datetime(2024, 10, 9, tzinfo=UTC).timestamp()
"""Unix seconds at which interval 0 begins."""

INTERVAL = 20
"""Seconds in one interval."""

WINDOW = 180
"""How many intervals a cursor may be ahead and still belong to the crowd."""

MAX_DIGITS = 18
"""Longest cursor taken from a client (E13)."""


def interval(wall: float) -> int:
    """The number of the interval that Unix time ``wall`` lies in; never negative."""
    return max(0, int((wall - EPOCH) // INTERVAL))


def left(wall: float) -> float:
    """Seconds from Unix time ``wall`` to the end of its interval."""
    return INTERVAL - (wall - EPOCH) % INTERVAL


def parse(text: str | None) -> int | None:
    """The client's cursor; None when it is absent or not ASCII digits.

    A cursor that is no number came from another origin and counts as none. ASCII
    digits only: ``int`` would take those of other scripts, too.
    Raises ValueError for more than 18 digits.
    """
    if text is None or not (text.isascii() and text.isdigit()):
        return None
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a cursor has at most {MAX_DIGITS} digits")
    return int(text)


def own(now: int, client: int | None) -> int:
    """What one viewer alone would get: the interval, or one above its cursor."""
    return now if client is None else max(now, client + 1)


def crowd(now: int, highest: int, clients: Iterable[int | None]) -> int:
    """The one value for all ``clients`` but outliers.

    It is the largest ``own`` among them, and never below ``highest``. A viewer that
    brought no cursor must not be taken back behind an earlier value (an SSE viewer
    brings its cursor once and hears many).
    """
    bound = _bound(now, highest)
    value = max(now, highest)
    for client in clients:
        if client is not None and value <= client <= bound:
            value = client + 1
    return value


def for_client(crowd_value: int, now: int, highest: int, client: int | None) -> int:
    """What this viewer gets: the crowd's value, or its own if it is an outlier.

    It is strictly above ``client`` in any case, also for a viewer that arrived after
    ``crowd_value`` was made. ``highest`` may be the one before the wake-up or the one
    after it: the value is the same.
    """
    mine = own(now, client)
    if client is not None and client > _bound(now, highest):
        return mine
    return max(crowd_value, mine)


def advance(highest: int, minted: int) -> int:
    """The new ``highest`` once the crowd was given ``minted``. Not for outliers."""
    return max(highest, minted)


def _bound(now: int, highest: int) -> int:
    """The largest cursor that still belongs to the crowd."""
    return max(now, highest) + WINDOW


class CursorClock:
    """The current interval, which never goes back when the wall clock does (E52).

    One per process; a step back of the clock repeats the last interval until
    time has caught up.
    """

    __slots__ = ("_ends_at", "_highest")

    def __init__(self) -> None:
        self._highest = 0
        self._ends_at = EPOCH

    def interval(self, wall: float) -> int:
        """The interval of Unix time ``wall``, or the largest one told so far."""
        if wall >= self._ends_at:
            self._highest = max(self._highest, interval(wall))
            self._ends_at = EPOCH + (self._highest + 1) * INTERVAL
        return self._highest
