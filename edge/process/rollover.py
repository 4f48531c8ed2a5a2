"""Rollover: which worker is started, and which may go. Pure.

A worker is replaced by starting its successor first; once that one accepts
connections, the old one is told to go, and drains. So somebody accepts at every
moment, and a successor that cannot start costs nothing: the old one stays. The same
whatever the reason is: a reload, a worker that asks for it, one that died.

    started -> ready -> (to be replaced) -> told to go -> ended

Called by ``edge.process.arbiter`` in the master, which does what this says.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from edge.core.reasons import Reason


@dataclass(slots=True)
class WorkerSlot:
    """A worker as the master sees it. ``wish``: why it is to be replaced."""

    ready: bool = False
    wish: Reason | None = None
    told: bool = False

    @property
    def stays(self) -> bool:
        return self.wish is None and not self.told


class Rollover:
    """All workers that were started and have not ended, oldest first, by pid.

    ``replaced`` counts, by reason word, the workers for which another one came.
    """

    def __init__(self) -> None:
        self.replaced: Counter[str] = Counter()
        self._places: dict[int, WorkerSlot] = {}

    # What happened.

    def started(self, pid: int) -> None:
        """A worker was forked."""
        self._places[pid] = WorkerSlot()

    def ready(self, pid: int) -> None:
        """It accepts connections."""
        if pid in self._places:
            self._places[pid].ready = True

    def ended(self, alive: Collection[int]) -> None:
        """Only these are left. One that was not told to go has died."""
        for pid in self._places.keys() - alive:
            place = self._places.pop(pid)
            if place.stays:
                self.replaced[Reason.WORKER_DIED.value] += 1

    def replace(self, pid: int, reason: Reason) -> None:
        """A worker is to be replaced; once is enough."""
        place = self._places.get(pid)
        if place is not None and place.stays:
            place.wish = reason
            self.replaced[reason.value] += 1

    def replace_all(self, reason: Reason) -> None:
        """Everybody is, be it ready or not."""
        for pid in self._places:
            self.replace(pid, reason)

    def call_off(self) -> None:
        """A successor could not start: who was not told to go yet stays."""
        for place in self._places.values():
            if place.wish is not None and not place.told:
                self.replaced[place.wish.value] -= 1
                place.wish = None

    def told(self, pid: int) -> None:
        """It was told to go."""
        self._places[pid].told = True

    # What is to be done.

    @property
    def served(self) -> bool:
        """Whether somebody accepts connections, and was not told to go."""
        return any(one.ready and not one.told for one in self._places.values())

    def missing(self, wanted: int) -> int:
        """How many are to be started, so that ``wanted`` stay."""
        return max(0, wanted - sum(one.stays for one in self._places.values()))

    def may_go(self, wanted: int) -> list[int]:
        """Who may be told to go now, oldest first.

        One for each successor that is ready; and only who is ready itself, since
        one that is just starting might not hear it.
        """
        accepting = {p: one for p, one in self._places.items() if one.ready}
        going = [p for p, one in accepting.items() if one.wish and not one.told]
        server_context = sum(not one.told for one in accepting.values())
        return going[: max(0, server_context - wanted)]
