"""RefusalMarks: whom the origin has refused lately, for the fronts of a node (W16).

A keeper has one for each stream for which credentials are lent. A credential may be
lent by any front, and the origin's *no* is heard by the keeper alone. Each refusal gets
a *mark*, which only grows; a front tells up to which mark it has heard, and is told of
what is later.

Bounded: above ``MAX_TOLD`` the oldest refusal is forgotten, and the log remembers its
mark. Whoever had not heard of it is told that something is lost, and then believes no
verdict on this stream that is older than that. So a flood of refusals makes fronts ask
the origin anew, and never lets a refusal go unheard.

Pure data, with the time as an argument. Marks are monotonic milliseconds, which all
processes of a machine have in common: those of a keeper's successor are later.
"""

from collections import OrderedDict

from edge.core import costs
from edge.core.lent_refusals import LentRefusals

MAX_TOLD = 64
"""Refusals that are remembered: as many as a field of an answer holds well."""


class RefusalMarks:
    """The latest refusals of one stream's lenders."""

    __slots__ = ("_lost", "_marks", "up_to")

    def __init__(self) -> None:
        # By the digests of the credentials, the oldest first.
        self._marks: OrderedDict[str, int] = OrderedDict()
        self._lost = 0
        # The latest mark; 0: nobody was refused.
        self.up_to = 0

    @property
    def cost(self) -> int:
        """Bytes of what is remembered."""
        return costs.NOTED_LENDER * len(self._marks)

    def add(self, digest: str, now: float) -> None:
        """The origin has refused this credential just now."""
        self.up_to = max(self.up_to + 1, int(now * 1000))
        self._marks.pop(digest, None)
        self._marks[digest] = self.up_to
        if len(self._marks) > MAX_TOLD:
            _, self._lost = self._marks.popitem(last=False)

    def lose(self, now: float) -> None:
        """There were others, of whom nobody knows any more."""
        self._lost = self.up_to = max(self.up_to + 1, int(now * 1000))

    def since(self, heard: int, oldest: float) -> LentRefusals | None:
        """What is later than the mark that was ``heard``; None: nothing is. What was
        before ``oldest`` (monotonic seconds) concerns no verdict any more."""
        known = max(heard, int(oldest * 1000))
        if self.up_to <= known:
            return None
        digests = tuple(d for d, mark in self._marks.items() if mark > known)
        lost = self._lost if self._lost > known else 0
        return LentRefusals(digests, self.up_to, lost)
