"""Purges: what an operator has the edge forget, or confirm, and what came of it.

Values alone (L27). ``edge.admin.purge_pages`` reads them out of a request,
``edge.live.purger`` executes them, and ``edge.process.node_desk`` carries them to all
processes of a node.
"""

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


class PurgeBy(enum.StrEnum):
    """By what streams are named: one path as clients ask for it, a glob over paths, or
    a tag."""

    PATH = "path"
    GLOB = "glob"
    TAG = "tag"


class PurgeMode(enum.StrEnum):
    """What becomes of them.

    SOFT: the bytes stay, and the origin must confirm the stream before the next of them
    goes out. HARD: all of it is forgotten.
    """

    SOFT = "soft"
    HARD = "hard"


@dataclass(frozen=True, slots=True)
class Purge:
    """One order. ``text`` is the path, the glob or the tag."""

    by: PurgeBy
    text: str
    mode: PurgeMode = PurgeMode.SOFT


@dataclass(frozen=True, slots=True)
class PurgeReport:
    """What came of it in one process.

    ``matched`` streams were meant, one for each partition and extension; of ``purged``
    something was held, ``bytes`` in all. ``ranges`` were deleted on the disk.
    ``disk_busy``: more are being deleted there. None of those is given out.
    """

    matched: int = 0
    purged: int = 0
    bytes: int = 0
    ranges: int = 0
    disk_busy: bool = False


@dataclass(frozen=True, slots=True)
class PurgeOutcome:
    """The reports of all processes that have done it, by their names; and the names of
    those that are late, or could not do it."""

    reports: Mapping[str, PurgeReport]
    late: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()

    @property
    def total(self) -> PurgeReport:
        """All of them added up."""
        return added(self.reports.values())


def added(reports: Iterable[PurgeReport]) -> PurgeReport:
    """The sum of some reports."""
    told = tuple(reports)
    return PurgeReport(
        matched=sum(one.matched for one in told),
        purged=sum(one.purged for one in told),
        bytes=sum(one.bytes for one in told),
        ranges=sum(one.ranges for one in told),
        disk_busy=any(one.disk_busy for one in told),
    )
