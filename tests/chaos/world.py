"""World: what writers, readers and the judge share during one run.

The streams with their histories, the addresses, and two lists: what was *met* (each
mode, coding, fault and sort of answer, counted, so that a run can show that it tried
them) and what is wrong. No rule is here.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from math import inf

from tests.chaos.fault_proxy import FaultProxy
from tests.chaos.grants import Grants
from tests.chaos.history import Bounds, Incarnation, Span
from tests.chaos.judge import Absence, Answer

MOST_SHOWN = 20
"""Complaints of one law that are kept whole."""


class Turns:
    """Who writes to a stream: many at a time, or one alone, who may delete it."""

    def __init__(self) -> None:
        self._writers = 0
        self._alone = asyncio.Lock()
        self._none = asyncio.Event()
        self._none.set()

    @property
    def is_taken(self) -> bool:
        """Whether somebody is there alone, or waits to be."""
        return self._alone.locked()

    @asynccontextmanager
    async def shared(self) -> AsyncIterator[None]:
        async with self._alone:
            self._writers += 1
            self._none.clear()
        try:
            yield
        finally:
            self._writers -= 1
            if not self._writers:
                self._none.set()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        async with self._alone:
            await self._none.wait()
            yield


@dataclass(slots=True)
class Stream:
    """One address, with all that lived there.

    ``readers`` is how many come, beside those of other streams. What is hardly read
    tells who never asks the origin again, and what it is taken for if it was replaced
    meanwhile (L6, L7). ``offsets`` are those that readers know,
    ``tags`` what each entity tag stood for, by request. ``answers`` and ``absences``
    wait for the judge.
    """

    number: int
    path: str
    readers: float = 1.0
    turns: Turns = field(default_factory=Turns)
    audit: asyncio.Lock = field(default_factory=asyncio.Lock)
    lives: list[Incarnation] = field(default_factory=list)
    offsets: list[str] = field(default_factory=lambda: ["-1"])
    tags: dict[tuple[str, str], list[Answer]] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    absences: list[Absence] = field(default_factory=list)

    @property
    def is_quiet(self) -> bool:
        """Whether it is hardly read."""
        return self.readers < 1.0

    @property
    def alive(self) -> Incarnation | None:
        """The incarnation that lives there, as far as anybody here knows."""
        one = self.lives[-1] if self.lives else None
        return one if one is not None and one.death is None else None


@dataclass(slots=True)
class World:
    """One run. Ports of 127.0.0.1: of the edge, and of the origin behind it.

    ``revoked`` says since when a subject is refused by the origin. ``loses_spaces``:
    its own event streams lose the space at the beginning of a line, as the Node
    server's do. ``grants``: in a run with access, who may read what;
    ``admin``: the edge's port for operators.
    """

    seed: int
    edge: int
    origin: int
    proxy: FaultProxy
    bounds: Bounds
    until: float
    loses_spaces: bool = False
    streams: list[Stream] = field(default_factory=list)
    met: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    laws: Counter[str] = field(default_factory=Counter)
    revoked: dict[str, float] = field(default_factory=dict)
    grants: Grants | None = None
    admin: int = 0
    begun: float = field(default_factory=time.monotonic)
    first_wrong: float | None = None
    stop_at_first: bool = False
    awaited: frozenset[str] = frozenset()

    @property
    def storms(self) -> list[Span]:
        """When there were faults."""
        return self.bounds.storms

    def is_stopped(self) -> bool:
        """Whether something is wrong, and that is enough."""
        found = self.laws.keys() & (self.awaited or self.laws.keys())
        return self.stop_at_first and bool(found)

    def goes_on(self) -> bool:
        """Whether writers and readers begin anything more."""
        return not self.is_stopped() and time.monotonic() < self.until

    async def rest(self, seconds: float, until: float = inf) -> None:
        """Wait so long, or until that time, or until the run is over."""
        until = min(until, time.monotonic() + seconds)
        while self.goes_on() and (left := until - time.monotonic()) > 0:
            await asyncio.sleep(min(left, 0.25))

    def refuse(self, subject: str, since: float) -> None:
        """The origin refuses this subject from now on."""
        self.proxy.refused.add(subject)
        self.revoked[subject] = since

    def dice(self, who: str) -> random.Random:
        """Dice of one's own: what others throw changes nothing."""
        return random.Random(f"{self.seed} {who}")

    def complain(self, complaint: str, about: object = "") -> None:
        """Something is wrong; ``complaint`` begins with the word of a law."""
        law = complaint.partition(":")[0]
        self.laws[law] += 1
        if self.first_wrong is None:
            self.first_wrong = time.monotonic() - self.begun
        if self.laws[law] <= MOST_SHOWN:
            since = time.monotonic() - self.begun
            self.wrong.append(f"[{since:.2f}] {complaint} {about}".rstrip())
