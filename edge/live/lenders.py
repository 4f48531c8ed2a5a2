"""Lenders: with whose credentials one stream's shared fetch may go upstream (A4, B7).

Where the origin judges each credential, the edge has none of its own. The fetch that
all share is *lent* the credential of a reader whom the origin has let in. A stream's
row holds this table of them; ``edge.live.lending`` asks by it.

A credential lends while a reader who brought it waits here, while the origin's word on
it is fresh, and while it was not refused since. They take turns, one for each poll,
in the order in which they came. To find the next one takes no walk over the others:
what turns out not to lend leaves the line, and comes back with a newer verdict.

It also notes who lent for what the log holds: bytes that contradict those which another
one's credential brought mean that the two do not read the same.

Pure data, with the time as an argument. It never asks, and ends nobody.
"""

from collections import OrderedDict
from collections.abc import Container
from typing import Generic, Protocol, TypeVar

from edge.core import costs
from edge.core.lent_refusals import LentRefusals
from edge.core.values import Lease, LentCredential
from edge.live.refusal_marks import RefusalMarks

MAX_NOTED = 256
"""Credentials of which a stream remembers that they were refused, or that they rest. If
there are more, those go first that may lend again soonest."""

UNKNOWN_REFUSAL = 401
"""Stands for what the origin said to another process."""

SLACK_SECONDS = 1.0
"""One verdict may be dated so differently in two leases, as two clocks are read."""

GONE = frozenset({404, 410})
"""What is said of a stream that is not there, and of one that is hidden from some."""

_MANY = "*"
"""Stands for more than one digest."""


class Holder(Protocol):
    """Who holds a lease: a reader."""

    @property
    def lease(self) -> Lease: ...


H = TypeVar("H", bound=Holder)
N = TypeVar("N", float, tuple[float, int])


class _Lender(Generic[H]):
    """One credential that is here: who brought it, and by its newest verdict."""

    __slots__ = ("holders", "lease")

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self.holders: dict[H, None] = {}


class Lenders(Generic[H]):
    """The lenders of one stream."""

    __slots__ = (
        *("_doubted", "_here", "_line", "_read_by", "_refused", "_resting"),
        *("agreed", "answered", "heard", "latest", "log"),
    )

    def __init__(self) -> None:
        self._here: dict[str, _Lender[H]] = {}
        # Whose turn is next comes first.
        self._line: OrderedDict[str, None] = OrderedDict()
        # Refused: up to which freshness a verdict is older than that, and by which
        # status. Resting: until when. By the digests of their credentials.
        self._refused: dict[str, tuple[float, int]] = {}
        self._resting: dict[str, float] = {}
        # Of which incarnation the log is, and who lent for it: a digest, or _MANY.
        self._read_by: tuple[int, str] = (-1, "")
        # Who lent for the answer that is being judged: a digest. And whether another
        # one has heard the same just before.
        self.latest = ""
        self.agreed = False
        # Who was answered last: a digest.
        self.answered = ""
        # In a keeper: what it tells fronts (W16). In a front: up to which mark it was
        # told, and up to which freshness all verdicts are too old.
        self.log: RefusalMarks | None = None
        self.heard = 0
        self._doubted = 0.0

    def __repr__(self) -> str:
        return f"<Lenders {len(self._here)} here, {len(self._line)} in line>"

    @property
    def cost(self) -> int:
        """Bytes of what is remembered of those who may have left."""
        noted = costs.NOTED_LENDER * (len(self._refused) + len(self._resting))
        return noted if self.log is None else noted + self.log.cost

    # Who is here

    def moved(self, holder: H, *, waits: bool) -> None:
        """A reader waits here from now on, or does no more. Idempotent."""
        lent = holder.lease.lends
        if lent is None:
            return
        lender = self._here.get(lent.digest)
        if not waits:
            if lender is not None and lender.holders.pop(holder, holder) is None:
                self._leave(lent.digest, lender)
            return
        if lender is None:
            lender = self._here[lent.digest] = _Lender(holder.lease)
        elif holder in lender.holders:
            return
        elif _fresh_until(holder.lease) >= _fresh_until(lender.lease):
            lender.lease = holder.lease
        lender.holders[holder] = None
        self._line.setdefault(lent.digest)

    def _leave(self, digest: str, lender: _Lender[H]) -> None:
        if not lender.holders:
            del self._here[digest]
            self._line.pop(digest, None)

    def holds(self, lent: LentCredential, now: float) -> bool:
        """Whether one of them has a lease that holds."""
        lender = self._here.get(lent.digest)
        return lender is not None and now < lender.lease.ends_at

    # Whose turn it is

    def lends(self, lease: Lease, now: float) -> bool:
        """Whether its holder, being here, would lend."""
        lent = lease.lends
        if lent is None or now >= min(lent.fresh_until, lease.ends_at):
            return False
        if now < self._resting.get(lent.digest, now):
            return False
        return self.refused(lease) is None

    def refused(self, lease: Lease) -> int | None:
        """The status by which the credential of this lease was refused, if its verdict
        is no newer than that."""
        lent = lease.lends
        if lent is None:
            return None
        if lent.fresh_until <= self._doubted:
            return UNKNOWN_REFUSAL
        told = self._refused.get(lent.digest)
        if told is None:
            return None
        until, status = told
        return None if lent.fresh_until > until + SLACK_SECONDS else status

    def next(
        self, now: float, but: Container[str] = (), *, last: bool = False
    ) -> Lease | None:
        """Whose turn it is; None if nobody lends but those with a digest in ``but``.
        Its turn comes again when all others have had theirs.

        ``last``: nobody is tried after it. Then it is who was answered before, if that
        one lends: any number of others may be refused.
        """
        self._wake(now)
        answered = None if self.answered in but else self._here.get(self.answered)
        if last and answered is not None and self.lends(answered.lease, now):
            return answered.lease
        for _ in range(len(self._line)):
            digest, _ = self._line.popitem(last=False)
            lease = self._here[digest].lease
            if not self.lends(lease, now):
                continue
            self._line[digest] = None
            if digest not in but:
                return lease
        return None

    def keep_turn(self, lent: LentCredential) -> None:
        """Let this one, whose turn it was, have the next one too, if it stands in
        line."""
        if lent.digest in self._line:
            self._line.move_to_end(lent.digest, last=False)

    def _wake(self, now: float) -> None:
        """Who has rested stands in line again."""
        over = [digest for digest, until in self._resting.items() if now >= until]
        for digest in over:
            del self._resting[digest]
            if digest in self._here:
                self._line.setdefault(digest)

    def rest(self, lent: LentCredential, until: float) -> None:
        """The origin has had enough of this credential for a while."""
        self._resting[lent.digest] = until
        soonest = _surplus(self._resting)
        if soonest in self._here:
            self._line.setdefault(soonest)

    def refuse(self, lent: LentCredential, status: int) -> tuple[H, ...]:
        """The origin has refused this credential by ``status``: it lends no more until
        the origin was asked about it anew. Returns the readers that brought it."""
        lender = self._here.get(lent.digest)
        newest = 0.0 if lender is None else _fresh_until(lender.lease)
        before, _ = self._refused.get(lent.digest, (0.0, 0))
        self._refused[lent.digest] = max(before, lent.fresh_until, newest), status
        _surplus(self._refused)
        return () if lender is None else tuple(lender.holders)

    def made_anew(self) -> None:
        """Another stream is there: what some were told of one that was gone is nobody's
        refusal any more."""
        gone = [one for one, (_, status) in self._refused.items() if status in GONE]
        for digest in gone:
            del self._refused[digest]

    # What others have heard

    def untold(self, lent: LentCredential, oldest: float) -> LentRefusals | None:
        """What a front that lends this is to hear before anything else."""
        if lent.heard is None or self.log is None:
            return None
        return self.log.since(lent.heard, oldest)

    def fronts(self) -> list[H]:
        """Who waits here for a front that hears of refusals."""
        return [
            holder
            for lender in self._here.values()
            for holder in lender.holders
            if holder.lease.lends is not None and holder.lease.lends.heard is not None
        ]

    def hear(self, told: LentRefusals, trust: float) -> list[H]:
        """A keeper has told of refusals. Returns the readers that came by a verdict
        which is older; ``trust`` is for how many seconds a verdict is fresh."""
        self.heard = max(self.heard, told.up_to)
        if told.lost:
            self._doubted = max(self._doubted, told.lost / 1000 + trust)
        until = told.up_to / 1000 + trust - SLACK_SECONDS
        for digest in told.digests:
            before, _ = self._refused.get(digest, (0.0, 0))
            self._refused[digest] = max(before, until), UNKNOWN_REFUSAL
            _surplus(self._refused)
        named = self._here if told.lost else told.digests
        lenders = [one for d in named if (one := self._here.get(d)) is not None]
        return [
            holder
            for lender in lenders
            if self.refused(lender.lease) is not None
            for holder in lender.holders
        ]

    # Who has read what is held

    def is_latest(self, lease: Lease) -> bool:
        """Whether the latest answer was asked for with this credential."""
        return lease.lends is not None and lease.lends.digest == self.latest

    def has_read(self, incarnation: int) -> None:
        """The latest answer has become part of this incarnation, or agrees with it."""
        known, before = self._read_by
        differs = known == incarnation and before != self.latest
        self._read_by = (incarnation, _MANY if differs else self.latest)

    def disagree(self, incarnation: int) -> bool:
        """Whether the latest answer, which contradicts what is held of this
        incarnation, came by another credential than that, and by no other."""
        known, before = self._read_by
        differs = known == incarnation and before != self.latest
        return differs and not self.agreed


def _fresh_until(lease: Lease) -> float:
    return 0.0 if lease.lends is None else lease.lends.fresh_until


def _surplus(noted: dict[str, N]) -> str | None:
    """What had to be forgotten so that no more than MAX_NOTED are noted."""
    if len(noted) <= MAX_NOTED:
        return None
    soonest = min(noted, key=lambda digest: noted[digest])
    del noted[soonest]
    return soonest
