"""The truth: what was written, closed, deleted and made again, and when.

Times are of one monotonic clock, taken around each call: something that was *asked* at
one time and *known* at another happened in between. What lies in the log of an
incarnation, and where, the origin itself has told, read past the edge (``writers``).
What an answer must and may show of it at its time is computed here. Pure; ``judge``
asks.
"""

import enum
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import inf

from tests.chaos.messages import Kind, Name


class Way(enum.Enum):
    """The way of a write: through the edge, or behind it, straight to the origin."""

    EDGE = "edge"
    BEHIND = "behind"


@dataclass(frozen=True, slots=True)
class Span:
    """It happened after ``asked``, and by ``known``."""

    asked: float
    known: float = inf


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the rules allow, in seconds.

    ``verify`` and ``trust`` as set (L6, L14). ``hold`` is how long the origin holds a
    poll: so long may a poll be armed that nobody answers, and 5 s longer (L3), though
    without a fault it is answered at once. ``storms``: when there were faults.
    ``granted``: all who are let in share what is held (B6).
    """

    verify: float
    trust: float
    hold: float
    granted: bool = False
    storms: list[Span] = field(default_factory=list)

    ARMED_SLACK = 5.0
    ROUND_TRIP = 1.0
    """Of a machine with more work than cores."""

    def late(self, at: float) -> float:
        """How much later than the origin the edge may know at ``at`` what happened
        behind it."""
        return self._rough if self.is_rough(at) else self.hold + self.ROUND_TRIP

    def is_rough(self, at: float) -> bool:
        """Whether there were faults, or something of them may still go on."""
        return any(one.asked <= at < one.known + self._rough for one in self.storms)

    @property
    def _rough(self) -> float:
        return self.hold + self.ARMED_SLACK + self.ROUND_TRIP


@dataclass(slots=True)
class Write:
    """One append. ``ok`` is None while its fate is unknown, as after a lost answer."""

    way: Way
    names: tuple[Name, ...]
    span: Span
    ok: bool | None = None
    offset: str | None = None


@dataclass(slots=True)
class Life:
    """How an incarnation began, ended, or was closed.

    ``way``: whence. ``heard``: the edge was told that it happened. ``doubted``: it was
    told that it may have (an answer that was lost, or a 5xx).
    """

    span: Span
    way: Way
    heard: bool
    doubted: bool = False


@dataclass(slots=True, eq=False)
class Incarnation:
    """The life of one stream at its URL.

    ``log`` and ``places`` (the index in the log at which each offset stands) are what
    the origin told; ``closure`` and ``death`` are None until they happen. ``closing``:
    when anybody first asked to close it. ``first``: the offset at which it was made, ""
    where nobody was told; in a fork the one behind ``base``.
    """

    number: int
    kind: Kind
    birth: Life
    base: tuple[Name, ...] = ()
    log: list[Name] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)
    writes: list[Write] = field(default_factory=list)
    closing: float = inf
    first: str = ""
    closure: Life | None = None
    death: Life | None = None
    _indexes: dict[Name, int] = field(default_factory=dict)
    _shown: dict[Way, "_Floor"] = field(default_factory=dict)
    _asked: list[float] = field(default_factory=list)
    _unnamed: set[int] = field(default_factory=set)

    def settle(self) -> None:
        """The log is known now: compute what ``at_least`` and ``find`` look up."""
        self._indexes = {name: at for at, name in enumerate(self.log)}
        for write in self.writes:
            if write.ok and write.offset and write.names[-1] in self._indexes:
                self.places[write.offset] = self._indexes[write.names[-1]] + 1
        lost = {w.names[-1] for w in self.writes if w.offset is None}
        self._unnamed = {at + 1 for at, name in enumerate(self.log) if name in lost}
        asked = {name: w.span.asked for w in self.writes for name in w.names}
        self._asked = list(accumulate((asked.get(n, -inf) for n in self.log), max))
        for way in Way:
            done = [w for w in self.writes if w.ok and w.way is way]
            self._shown[way] = _Floor(
                (w.span.known, self._indexes.get(w.names[-1], -1) + 1) for w in done
            )

    def find(self, names: Sequence[Name]) -> int | None:
        """Where these names stand in the log, in this order with nothing between."""
        at = self._indexes.get(names[0]) if names else None
        if at is None or tuple(self.log[at : at + len(names)]) != tuple(names):
            return None
        return at

    def may_end_at(self, index: int | None) -> bool:
        """Whether an offset may stand there that nobody here was told: behind a write
        whose answer was lost. None: anywhere."""
        return bool(self._unnamed) if index is None else index in self._unnamed

    def is_named_later(self, offset: str, index: int) -> bool:
        """Whether the origin named a later offset than this one for ``index`` from the
        beginning. A fork that was asked for at an offset between two messages ends
        there, and its last message ends before (E9)."""
        return index == len(self.base) and offset < self.first

    def at_least(self, sent: float, late: float) -> int:
        """How many messages an answer must show that claims to be all and was asked for
        at ``sent``: those acknowledged before (L4), or ``late`` earlier behind the
        edge (L3)."""
        known = max(
            self._shown[Way.EDGE].before(sent),
            self._shown[Way.BEHIND].before(sent - late),
        )
        return max(len(self.base), known)

    def missing(self, index: int, sent: float) -> list[Write]:
        """The acknowledged writes from ``index`` on, for who has to find out."""
        done = [w for w in self.writes if w.ok and w.span.known < sent]
        return [w for w in done if self._indexes.get(w.names[-1], -1) >= index]

    def was_written(self, index: int, by: float) -> bool:
        """Whether what lies before ``index`` could be there at ``by``."""
        return index == 0 or self._asked[index - 1] <= by

    def faults(self) -> list[str]:
        """What is wrong with the log itself: an acknowledged write that is not there, a
        refused one that is, anything twice."""
        wrong = []
        if len(self._indexes) != len(self.log):
            wrong.append("written-twice: the log holds a message twice")
        for write in self.writes:
            at = self.find(write.names)
            there = any(name in self._indexes for name in write.names)
            if write.ok and at is None:
                wrong.append(f"acknowledged-not-there: {write}")
            elif (write.ok is False and there) or (there and at is None):
                wrong.append(f"refused-but-there: {write}")
        return wrong


class _Floor:
    """A number that only grows: what it was before a time."""

    def __init__(self, steps: Iterable[tuple[float, int]]) -> None:
        ordered = sorted(steps)
        self._times = [time for time, _ in ordered]
        self._values = list(accumulate((value for _, value in ordered), max))

    def before(self, time: float) -> int:
        at = bisect_left(self._times, time)
        return self._values[at - 1] if at else 0
