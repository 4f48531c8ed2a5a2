"""Rollover: which worker of a place is started, and which is retired. Pure.

A worker is replaced by starting its successor first. Once the successor accepts
connections, the old worker is retired: it drains and ends. So some worker accepts at
every moment, and a successor that cannot start costs nothing: the old one stays. This
holds for every reason: a reload, a worker that asks for it, a worker that died.

    started -> ready -> to be replaced -> retiring -> ended

``edge.process.places`` has one for each place, and asks it for one worker that stays.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from edge.core.reasons import Reason


@dataclass(slots=True)
class WorkerSlot:
    """A worker as the master sees it.

    ``ready``: it accepts connections. ``replace_reason``: why it has to be replaced,
    None if it has not. ``retiring``: it was told to drain and end. ``plan`` is the
    number of the settings that it was started with.
    """

    plan: int = 0
    ready: bool = False
    replace_reason: Reason | None = None
    retiring: bool = False

    @property
    def stays(self) -> bool:
        return self.replace_reason is None and not self.retiring

    @property
    def serving(self) -> bool:
        return self.ready and not self.retiring


class Rollover:
    """All workers that were started and have not ended, oldest first, by pid.

    ``replaced`` counts, by reason word, the workers that got a successor; several
    rollovers may share it.
    """

    def __init__(self, replaced: Counter[str] | None = None) -> None:
        self.replaced: Counter[str] = Counter() if replaced is None else replaced
        self._slots: dict[int, WorkerSlot] = {}

    # What happened.

    def started(self, pid: int, plan: int = 0) -> None:
        """A worker was forked."""
        self._slots[pid] = WorkerSlot(plan)

    def ready(self, pid: int) -> None:
        """The worker accepts connections."""
        if pid in self._slots:
            self._slots[pid].ready = True

    def ended(self, alive: Collection[int]) -> dict[int, WorkerSlot]:
        """Only these are left. Of the others, one that was neither replaced nor retired
        has died. Returns the others, as they were."""
        gone = {pid: self._slots.pop(pid) for pid in self._slots.keys() - alive}
        for slot in gone.values():
            if slot.stays:
                self.replaced[Reason.WORKER_DIED.value] += 1
        return gone

    def replace(self, pid: int, reason: Reason) -> None:
        """The worker has to be replaced. Asking again changes nothing."""
        slot = self._slots.get(pid)
        if slot is not None and slot.stays:
            slot.replace_reason = reason
            self.replaced[reason.value] += 1

    def replace_all(self, reason: Reason, plan: int | None = None) -> None:
        """Every worker has to be replaced, ready or not; with a ``plan``, those that
        were started with it."""
        for pid, slot in self._slots.items():
            if plan is None or slot.plan == plan:
                self.replace(pid, reason)

    def cancel(self) -> None:
        """A successor could not start: workers that are not retiring yet stay."""
        for slot in self._slots.values():
            if slot.replace_reason is not None and not slot.retiring:
                self.replaced[slot.replace_reason.value] -= 1
                slot.replace_reason = None

    def retiring(self, pid: int) -> None:
        """The worker was told to drain and end."""
        self._slots[pid].retiring = True

    # What is to be done.

    @property
    def accepting(self) -> list[int]:
        """The workers that have said that they accept connections."""
        return [pid for pid, slot in self._slots.items() if slot.ready]

    @property
    def pids(self) -> Collection[int]:
        """All workers."""
        return self._slots.keys()

    @property
    def replacing(self) -> bool:
        """Whether a worker is there that has to be replaced and is not retiring."""
        slots = self._slots.values()
        return any(slot.replace_reason and not slot.retiring for slot in slots)

    @property
    def newest(self) -> int | None:
        """The worker that was started last of those that serve; None: none does."""
        serving = [pid for pid, slot in self._slots.items() if slot.serving]
        return serving[-1] if serving else None

    def has(self, plan: int) -> bool:
        """Whether a worker stays that was started with this plan."""
        return any(s.plan == plan and s.stays for s in self._slots.values())

    @property
    def settled(self) -> bool:
        """Whether every worker serves or retires: no one starts, none is replaced."""
        slots = self._slots.values()
        return all(slot.retiring or (slot.ready and slot.stays) for slot in slots)

    @property
    def serving(self) -> bool:
        """Whether any worker accepts connections and is not retiring."""
        return any(slot.serving for slot in self._slots.values())

    def missing(self, wanted: int) -> int:
        """How many workers to start, for ``wanted`` of them to stay."""
        return max(0, wanted - sum(slot.stays for slot in self._slots.values()))

    def to_retire(self, wanted: int) -> list[int]:
        """The workers to retire now, oldest first: one for each ready successor.

        A worker must be ready itself: one that is just starting may miss the signal.
        Where a successor is not needed any more (``cancel``), it is the one that goes.
        """
        serving = {pid: slot for pid, slot in self._slots.items() if slot.serving}
        replaced = [pid for pid, slot in serving.items() if slot.replace_reason]
        youngest = [pid for pid in reversed(serving) if pid not in replaced]
        return (replaced + youngest)[: max(0, len(serving) - wanted)]
