"""Rollover: which worker is started, and which is retired. Pure.

A worker is replaced by starting its successor first. Once the successor accepts
connections, the old worker is retired: it drains and ends. So some worker accepts at
every moment, and a successor that cannot start costs nothing: the old one stays. This
holds for every reason: a reload, a worker that asks for it, a worker that died.

    started -> ready -> to be replaced -> retiring -> ended

Called by ``edge.process.arbiter`` in the master, which does what this says.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from edge.core.reasons import Reason


@dataclass(slots=True)
class WorkerSlot:
    """A worker as the master sees it.

    ``ready``: it accepts connections. ``replace_reason``: why it has to be replaced,
    None if it has not. ``retiring``: it was told to drain and end.
    """

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

    ``replaced`` counts, by reason word, the workers that got a successor.
    """

    def __init__(self) -> None:
        self.replaced: Counter[str] = Counter()
        self._slots: dict[int, WorkerSlot] = {}

    # What happened.

    def started(self, pid: int) -> None:
        """A worker was forked."""
        self._slots[pid] = WorkerSlot()

    def ready(self, pid: int) -> None:
        """The worker accepts connections."""
        if pid in self._slots:
            self._slots[pid].ready = True

    def ended(self, alive: Collection[int]) -> None:
        """Only these are left. Of the others, one that was neither replaced nor retired
        has died."""
        for pid in self._slots.keys() - alive:
            if self._slots.pop(pid).stays:
                self.replaced[Reason.WORKER_DIED.value] += 1

    def replace(self, pid: int, reason: Reason) -> None:
        """The worker has to be replaced. Asking again changes nothing."""
        slot = self._slots.get(pid)
        if slot is not None and slot.stays:
            slot.replace_reason = reason
            self.replaced[reason.value] += 1

    def replace_all(self, reason: Reason) -> None:
        """Every worker has to be replaced, ready or not."""
        for pid in self._slots:
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
        """
        serving = {pid: slot for pid, slot in self._slots.items() if slot.serving}
        replaced = [pid for pid, slot in serving.items() if slot.replace_reason]
        return replaced[: max(0, len(serving) - wanted)]
