"""Leases: all that verdicts have given and somebody still holds, to end them early.

One lease is given with each verdict, and everybody who comes by that verdict holds it:
viewers, relays, passed bodies, and heads that the fast way remembers. Nobody lists
who they are. An order walks over the leases and ends those that it names. Then ``cut``
is called, and the hub lets go whoever holds an ended one (``edge.live.lapses``).

The index is weak: a lease that nobody holds is forgotten by itself. So it is no larger
than verdicts, remembered heads and viewers together. Called by the authorizer and the
revoker. Nothing here switches greenlets.
"""

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from weakref import ref

from edge.access.revocations import Revocation, RevokedBy, TokenFacts
from edge.core.reasons import Reason
from edge.core.values import Lease

SPREAD = 0.8
"""Share of a time over which ends are spread: a crowd must not come back in one
instant."""


@dataclass(slots=True, eq=False, kw_only=True)
class JudgedLease(Lease):
    """The lease of a verdict. ``facts``: whose. ``may_change``: what it was judged by
    may become something else, as keys at a URL do."""

    facts: TokenFacts
    may_change: bool = False


class Leases:
    """The leases of one worker. Times are monotonic seconds.

    ``cut`` is called when some of them end earlier than they would have.
    """

    def __init__(self) -> None:
        self.cut: Callable[[], None] = lambda: None
        self._refs: set[ref[JudgedLease]] = set()

    def __len__(self) -> int:
        return len(self._refs)

    def __iter__(self) -> Iterator[JudgedLease]:
        held = (known() for known in tuple(self._refs))
        return (lease for lease in held if lease is not None)

    def give(
        self, ends_at: float, facts: TokenFacts, may_change: bool = False
    ) -> JudgedLease:
        """A new lease."""
        lease = JudgedLease(ends_at, facts=facts, may_change=may_change)
        self._refs.add(ref(lease, self._refs.discard))
        return lease

    def named(self, orders: Iterable[Revocation]) -> list[JudgedLease]:
        """The leases that any of these orders may be about: the same subject, id or
        token. There may be very many others, so little is done for each."""
        names: dict[RevokedBy, set[str]] = {by: set() for by in RevokedBy}
        for order in orders:
            names[order.by].add(order.value)
        subjects, ids = names[RevokedBy.SUBJECT], names[RevokedBy.JTI]
        tokens = names[RevokedBy.TOKEN]
        return [
            lease
            for lease in self
            if lease.facts.subject in subjects
            or lease.facts.token_id in ids
            or not tokens.isdisjoint(lease.facts.digests)
        ]

    def end(
        self,
        orders: Iterable[Revocation],
        refuses: Callable[[TokenFacts], bool],
        now: float,
    ) -> int:
        """End those that these orders are about, now. Returns how many had not ended
        yet. ``refuses`` says it of each; what older orders are about has ended."""
        count = 0
        for lease in self.named(orders):
            if not refuses(lease.facts):
                continue
            count += now < lease.ends_at
            lease.end(now, Reason.REVOKED)
            # Also of one that has ended: a write may still be under way by it.
            lease.why = Reason.REVOKED
        if count:
            self.cut()
        return count

    def judge_again(self, now: float, within: float) -> None:
        """What some were judged by has changed: whoever holds such a lease comes again
        within so many seconds, not all at once."""
        for lease in self:
            if lease.may_change:
                lease.end(now + within * (1.0 - random.random() * SPREAD))
        self.cut()
