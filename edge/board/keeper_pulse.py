"""KeeperPulse: what a process knows of one keeper's beats, and of its own (W6).

Rows look at it before every claim, so it is kept as a time up to which all is fresh
(``edge.core.node_board.Pulse``), and read again only past that time or at the next own
beat. A keeper that was silent and came back counted that itself, in its lane, before
it beat again. So a row that was not looked at meanwhile learns of it afterwards.
"""

from dataclasses import dataclass, field

from edge.board.layout import DOUBTS, KEEPER_LANES, Field, Layout
from edge.core.node_board import BoardEpoch, Pulse

FRESH_SECONDS = 1.5
"""A beat older than this vouches for nothing."""

NEVER = float("-inf")


@dataclass(slots=True, eq=False)
class OwnBeat:
    """When this process last gave a sign of life, and how often it was without one."""

    beat: float = NEVER
    gaps: int = 0

    def give(self, now: float) -> None:
        """A sign of life, now."""
        if now - self.beat > FRESH_SECONDS and self.beat != NEVER:
            self.gaps += 1
        self.beat = max(now, self.beat)


@dataclass(slots=True, eq=False)
class KeeperPulse(Pulse):
    """The pulse of the keeper with this number; None: a keeper's own rows, which have
    none above them.

    ``beat`` is its newest beat in monotonic seconds; ``lane`` and ``keeper_gaps`` are
    where it was read, and how often that process was silent by then. ``own_gaps``: the
    same of this process. ``is_silent``: it was, when it was last looked at.
    """

    fresh_until: float = NEVER
    epoch: BoardEpoch = field(default_factory=BoardEpoch)
    keeper: int | None = None
    beat: float = NEVER
    lane: int | None = None
    keeper_gaps: int = 0
    own_gaps: int = 0
    is_silent: bool = False

    def read(self, words: memoryview, layout: Layout) -> int:
        """Read the keeper's newest beat; how often it was silent since last read."""
        if self.keeper is None:
            return 0
        installed = words[KEEPER_LANES + self.keeper]
        if not installed:
            # It was taken back. Its last beat ages like any other.
            return 0
        lane = installed - 1
        # The beat first: whoever was silent stores that before it beats again.
        told = words[layout.field(Field.BEAT) + lane] / 1000
        gaps = words[layout.field(Field.GAPS) + lane]
        # 0 is no beat: the lane was given, and its holder has not begun. One that is
        # older than the last is not this keeper's.
        if told > self.beat:
            self.beat = told
        new = gaps - self.keeper_gaps if lane == self.lane else 0
        self.lane, self.keeper_gaps = lane, gaps
        return new

    def renew(
        self,
        words: memoryview,
        layout: Layout,
        own: OwnBeat,
        now: float,
    ) -> None:
        """Look at all that rows must think of."""
        gaps = self.epoch.gaps + own.gaps - self.own_gaps + self.read(words, layout)
        self.own_gaps = own.gaps
        oldest = own.beat if self.keeper is None else min(own.beat, self.beat)
        self.fresh_until = oldest + FRESH_SECONDS
        was_silent, self.is_silent = self.is_silent, now >= self.fresh_until
        # When it begins, and when it ends: a row may have been armed again in between.
        gaps += self.is_silent is not was_silent
        epoch = BoardEpoch(words[DOUBTS], gaps)
        if epoch != self.epoch:
            self.epoch = epoch
