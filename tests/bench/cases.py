"""What is measured: the cases, and how often each is taken. Pure.

A case is one row of a table: a size that is read again and again, a crowd that follows
one stream, many small streams, writes, one kind of single request. ``Plan`` holds what
the command line asks for.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar

from edge.settings.schema import OriginSettings
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

STREAMS = (100, 500, 2_000)
FEW = 5
"""Viewers of a small stream, where it has not one."""

PACED = 1_000.0
"""Events a second of all small streams together, where their number is given: as many
as every server can do. An event costs more where a processor slept before it, so what
it costs is compared at one rate."""

TOKENS, TOKEN_RATE = 200, 30.0
"""Streams of a model's words, and the words of each a second."""

SINGLES = ("POST", "HEAD", "PUT", "cold GET", "offset=now")
"""The single requests (``tests/bench/load/single.py`` says what each is)."""

MAX_FOLLOWERS: int = OriginSettings.model_fields["max_followers"].default
"""Streams that an edge follows at once, as its settings come."""

KINDS = ("hits", "fanout", "streams", "writes", "single", "tokens")

_UNITS = {"": 1, "k": KIB, "kib": KIB, "m": MIB, "mib": MIB}


@dataclass(frozen=True, slots=True)
class HitsCase:
    """A closed range that everybody reads. ``size`` in bytes."""

    size: int
    different_heads: bool = False
    kind: ClassVar = "hits"

    @property
    def work(self) -> Work:
        return Work.HITS

    @property
    def name(self) -> str:
        said = words_of(self.size)
        return f"{said}, all-different heads" if self.different_heads else said


@dataclass(frozen=True, slots=True)
class FanoutCase:
    """A crowd that waits for the same events."""

    work: Work
    viewers: int
    kind: ClassVar = "fanout"

    @property
    def name(self) -> str:
        return f"{self.viewers:,} {_spoken(self.work)}"

    @property
    def period(self) -> float:
        """Seconds from one event to the next."""
        return LATER if self.viewers >= LARGE else SOON


@dataclass(frozen=True, slots=True)
class StreamsCase:
    """Many small streams with a few viewers each, written at the origin.

    ``lockstep``: the next event of a stream waits until its viewers have the last one,
    so that none come together. ``paced``: events a second of all of them together;
    None: as fast as the origin takes them. ``room``: an edge may follow all of them,
    also where that is more than its settings allow as they come.
    """

    work: Work
    streams: int
    viewers: int = 1
    lockstep: bool = False
    paced: float | None = None
    room: bool = True
    kind: ClassVar = "streams"

    @property
    def name(self) -> str:
        said = f"{self.streams:,} streams"
        said += f" of {self.viewers} viewers" if self.viewers > 1 else ""
        said += f", {_spoken(self.work)}"
        said += ", in lockstep" if self.lockstep else ""
        said += "" if self.paced is None else f", {self.paced:,.0f} events/s"
        return said if self.room else f"{said}, limits as they come"


@dataclass(frozen=True, slots=True)
class WritesCase:
    """Connections that append through the server, each as fast as it is answered."""

    connections: int
    size: int
    work: ClassVar = Work.PASSING
    kind: ClassVar = "writes"

    @property
    def name(self) -> str:
        many = "connection" + ("s" if self.connections > 1 else "")
        return f"{self.connections} {many}, {words_of(self.size)}"


@dataclass(frozen=True, slots=True)
class SingleCase:
    """One request at a time, with nothing else under way."""

    what: str
    work: ClassVar = Work.PASSING
    kind: ClassVar = "single"

    @property
    def name(self) -> str:
        return self.what


@dataclass(frozen=True, slots=True)
class TokensCase:
    """Streams that grow by many small events, written through the server."""

    streams: int
    rate: float
    work: ClassVar = Work.PASSING
    kind: ClassVar = "tokens"

    @property
    def name(self) -> str:
        return f"{self.streams:,} streams of {self.rate:g} events/s"


SmallCase = StreamsCase | WritesCase | SingleCase | TokensCase
Case = HitsCase | FanoutCase | SmallCase


def words_of(size: int) -> str:
    """Bytes as people say them."""
    if size >= MIB:
        return f"{size // MIB} MiB"
    return f"{size // KIB} KiB" if size >= KIB else f"{size} B"


def _spoken(work: Work) -> str:
    return "SSE" if work is Work.SSE else str(work)


@dataclass(frozen=True, slots=True)
class Plan:
    """How it is measured. ``seconds`` of one load; ``events`` that count, of one crowd;
    ``warmup``: seconds that a crowd is parked before its memory is looked at;
    ``appends`` that count, of all small streams together; ``asked``: single requests of
    each kind; ``follow``: ways to follow that an edge is told, each a server more."""

    cases: tuple[Case, ...]
    peers: tuple[str, ...]
    rounds: int
    seconds: int
    events: int
    warmup: float = 2.0
    appends: int = 10_000
    asked: int = 500
    follow: tuple[str, ...] = ()

    @property
    def hits(self) -> list[HitsCase]:
        """The sizes, in order."""
        return [case for case in self.cases if isinstance(case, HitsCase)]

    @property
    def crowds(self) -> list[FanoutCase]:
        """The crowds, in order."""
        return [case for case in self.cases if isinstance(case, FanoutCase)]

    @property
    def small(self) -> list[SmallCase]:
        """All others, in order."""
        return [case for case in self.cases if isinstance(case, SmallCase)]


def cases(
    only: Collection[str],
    sizes: tuple[int, ...],
    viewers: tuple[int, ...],
    streams: tuple[int, ...] = (),
    quick: bool = False,
) -> tuple[Case, ...]:
    """All cases of these kinds, sizes, crowds and numbers of streams."""
    made: dict[str, Sequence[Case]] = {
        "hits": _hits(sizes),
        "fanout": [
            FanoutCase(work, number)
            for work in (Work.LONG_POLL, Work.SSE)
            for number in viewers
        ],
        "streams": _streams(streams, quick),
        "writes": [
            WritesCase(connections, size)
            for size in ((100,) if quick else (100, 10 * KIB))
            for connections in (1, 32)
        ],
        "single": [SingleCase(what) for what in SINGLES],
        "tokens": [TokensCase(TOKENS, TOKEN_RATE)],
    }
    return tuple(case for kind in KINDS if kind in only for case in made[kind])


def _hits(sizes: tuple[int, ...]) -> list[HitsCase]:
    """The smallest is read with heads of its own for each request too: there a head
    costs most."""
    found = [HitsCase(size) for size in sizes]
    if sizes:
        found.insert(1, HitsCase(min(sizes), different_heads=True))
    return found


def _streams(streams: tuple[int, ...], quick: bool) -> list[StreamsCase]:
    """Flooded in both modes, with one viewer and a few; in lockstep, and at a rate, by
    SSE; and the most of them on an edge whose limits are too low for that."""
    found = [
        StreamsCase(work, number, viewers)
        for work in (Work.SSE, Work.LONG_POLL)
        for viewers in ((1,) if quick else (1, FEW))
        for number in streams
    ]
    found += [StreamsCase(Work.SSE, number, lockstep=True) for number in streams]
    found += [StreamsCase(Work.SSE, number, paced=PACED) for number in streams]
    most = max(streams, default=0)
    if most > MAX_FOLLOWERS:
        found.append(StreamsCase(Work.SSE, most, room=False))
    return found


def size(text: str) -> int:
    """Bytes: ``1024``, ``64k``, ``64KiB``, ``1m``. Raises ValueError."""
    found = re.fullmatch(r"(\d+) ?([a-z]*)", text.strip().lower())
    if found is None or found[2] not in _UNITS or not int(found[1]):
        raise ValueError(f"{text!r} is no size: try 1024, 64KiB or 1MiB")
    return int(found[1]) * _UNITS[found[2]]
