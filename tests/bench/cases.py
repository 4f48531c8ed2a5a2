"""What is measured: the cases, and how often each is taken. Pure.

A case is one row of a table: a size that is read again and again, or a crowd that
follows one stream. ``Plan`` holds what the command line asks for.
"""

import re
from dataclasses import dataclass

from tests.bench.peers import Work

KIB, MIB = 1024, 1024 * 1024
SIZES = (KIB, 64 * KIB, MIB)
VIEWERS = (100, 1_000, 5_000, 10_000)
LARGE = 2_000
"""From so many viewers on, events come at the slower rate."""

SOON, LATER = 0.809, 1.309
"""Seconds from one event to the next. nginx looks every half second whether there is
one: these leave 0.309 over, so that events meet every part of its half second and not
always the same (0.309 / 0.5 is the golden section: points spread evenly)."""

_UNITS = {"": 1, "k": KIB, "kib": KIB, "m": MIB, "mib": MIB}


@dataclass(frozen=True, slots=True)
class HitsCase:
    """A closed range that everybody reads. ``size`` in bytes."""

    size: int
    different_heads: bool = False

    @property
    def work(self) -> Work:
        return Work.HITS

    @property
    def name(self) -> str:
        said = f"{self.size // MIB} MiB" if self.size >= MIB else f"{self.size} B"
        said = f"{self.size // KIB} KiB" if KIB <= self.size < MIB else said
        return f"{said}, all-different heads" if self.different_heads else said


@dataclass(frozen=True, slots=True)
class FanoutCase:
    """A crowd that waits for the same events."""

    work: Work
    viewers: int

    @property
    def name(self) -> str:
        return f"{self.viewers:,} {'SSE' if self.work is Work.SSE else self.work}"

    @property
    def period(self) -> float:
        """Seconds from one event to the next."""
        return LATER if self.viewers >= LARGE else SOON


Case = HitsCase | FanoutCase


@dataclass(frozen=True, slots=True)
class Plan:
    """How it is measured. ``seconds`` of one load; ``events`` that count, of one crowd;
    ``warmup``: seconds that a crowd is parked before its memory is looked at."""

    cases: tuple[Case, ...]
    peers: tuple[str, ...]
    rounds: int
    seconds: int
    events: int
    warmup: float = 2.0

    @property
    def hits(self) -> list[HitsCase]:
        """The sizes, in order."""
        return [case for case in self.cases if isinstance(case, HitsCase)]

    @property
    def crowds(self) -> list[FanoutCase]:
        """The crowds, in order."""
        return [case for case in self.cases if isinstance(case, FanoutCase)]


def cases(
    only: str | None, sizes: tuple[int, ...], viewers: tuple[int, ...]
) -> tuple[Case, ...]:
    """All cases of these sizes and crowds. The smallest is read with heads of its own
    for each request too: there a head costs most."""
    hits: list[Case] = [HitsCase(size) for size in sizes]
    if sizes:
        hits.insert(1, HitsCase(min(sizes), different_heads=True))
    live: list[Case] = [
        FanoutCase(work, number)
        for work in (Work.LONG_POLL, Work.SSE)
        for number in viewers
    ]
    return (*(hits if only != "fanout" else ()), *(live if only != "hits" else ()))


def size(text: str) -> int:
    """Bytes: ``1024``, ``64k``, ``64KiB``, ``1m``. Raises ValueError."""
    found = re.fullmatch(r"(\d+) ?([a-z]*)", text.strip().lower())
    if found is None or found[2] not in _UNITS or not int(found[1]):
        raise ValueError(f"{text!r} is no size: try 1024, 64KiB or 1MiB")
    return int(found[1]) * _UNITS[found[2]]
