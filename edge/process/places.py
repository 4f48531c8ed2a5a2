"""Places: which processes of a node are started, and which are retired. Pure.

A node is one worker, or keepers and fronts. Each place has a rollover of its own, so
that the successor of keeper 1 is a keeper 1, and of what is kept there nothing moves.

    start    keepers, then fronts; nobody waits for anybody
    crash    whichever place has lost its process is filled again, at once
    reload   one keeper after the other, then all fronts: a step is over when its places
             are settled. With one worker there is one step

A process that ends before it is ready could not start. In a reload that ends the
reload: who was not replaced yet stays, and whoever was started with the refused
settings is replaced once more. Else its place waits a little longer each time before
it is filled again. (A node of one worker has nobody else: it ends, or the old worker
stays. Who calls decides that.)

Called by ``edge.process.arbiter`` in the master, which does what this says.
"""

from collections import Counter, deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from edge.core.reasons import Reason
from edge.core.values import Place, Role
from edge.process.rollover import Rollover

FIRST_PAUSE_SECONDS = 0.5
MAX_PAUSE_SECONDS = 15.0
"""How long a place waits whose process could not start: doubled each time."""


class Start(NamedTuple):
    """A process to start. ``successor``: the one before it is still there."""

    place: Place
    successor: bool


class Gone(NamedTuple):
    """A process that has ended. ``began``: it had been ready. ``newest``: it was
    started with the settings that are in force, or are being taken."""

    pid: int
    place: Place
    began: bool
    newest: bool


@dataclass(slots=True)
class Pause:
    """How long a place waits, and until when (monotonic seconds)."""

    seconds: float
    until: float


class Places:
    """All places of a node; with no ``keepers``, that of one worker.

    ``replaced`` counts, by reason word, the processes that got a successor.
    """

    def __init__(self, keepers: int = 0, fronts: int = 1) -> None:
        self.replaced: Counter[str] = Counter()
        self._keepers = [Place(Role.KEEPER, number) for number in range(keepers)]
        role = Role.FRONT if keepers else Role.WORKER
        self._fronts = [Place(role, number) for number in range(fronts)]
        self._rollovers = {
            place: Rollover(self.replaced) for place in self._keepers + self._fronts
        }
        self._pauses: dict[Place, Pause] = {}
        self._plan = 0
        self._steps: deque[list[Place]] = deque()
        self._step: list[Place] = []
        # Of a reload that was given up: the settings that must not be in force.
        self._refused: int | None = None

    @property
    def alone(self) -> bool:
        """Whether there is one worker, and nothing to share."""
        return not self._keepers

    # What happened.

    def started(self, place: Place, pid: int) -> None:
        """A process was forked."""
        self._rollovers[place].started(pid, self._plan)

    def ready(self, pid: int) -> None:
        """The process accepts connections."""
        for place, rollover in self._rollovers.items():
            if pid in rollover.pids:
                rollover.ready(pid)
                self._pauses.pop(place, None)

    def ended(self, alive: Collection[int], now: float) -> list[Gone]:
        """Only these are left; returns the others, each once."""
        gone = [
            Gone(pid, place, slot.ready, slot.plan == self._plan)
            for place, rollover in self._rollovers.items()
            for pid, slot in rollover.ended(alive).items()
        ]
        for one in gone:
            if not one.began and not self.alone:
                self._pause(one.place, now)
        return gone

    def put_off(self, place: Place, now: float) -> None:
        """No process could be forked for it: it waits, as behind one that could not
        start."""
        self._pause(place, now)

    def replace(self, pid: int, reason: Reason) -> None:
        """The process has to be replaced. Asking again changes nothing."""
        for rollover in self._rollovers.values():
            rollover.replace(pid, reason)

    def reload(self) -> None:
        """All have to be replaced, by others that are started with other settings."""
        self._plan += 1
        self._refused = None
        self._begin([[place] for place in self._keepers] + [self._fronts])

    def cancel(self) -> None:
        """A successor could not start: what was not replaced yet stays."""
        self._steps.clear()
        self._step = []
        for rollover in self._rollovers.values():
            rollover.cancel()

    def revert(self) -> None:
        """``cancel``, and the settings from before the reload are in force again: who
        was started with those after it is replaced by others."""
        self.cancel()
        self._refused, self._plan = self._plan, self._plan + 1
        wrong = [p for p, r in self._rollovers.items() if r.has(self._refused)]
        self._begin([place] for place in wrong)

    # What is to be done.

    def to_start(self, now: float) -> list[Start]:
        """The processes to start now, in order."""
        return [
            Start(place, rollover.replacing)
            for place, rollover in self._rollovers.items()
            if rollover.missing(1) and not self._pausing(place, now)
        ]

    def to_retire(self) -> list[int]:
        """The processes to retire now: their successors are ready."""
        return [
            pid
            for rollover in self._rollovers.values()
            for pid in rollover.to_retire(1)
        ]

    def retiring(self, pid: int) -> None:
        """The process was told to drain and end."""
        for rollover in self._rollovers.values():
            if pid in rollover.pids:
                rollover.retiring(pid)

    def advance(self) -> bool:
        """Begin the next step of a reload if the one before it is over. True: it has
        begun, and there is more to start."""
        if not self._settled(self._step):
            return False
        self._step = self._steps.popleft() if self._steps else []
        for place in self._step:
            self._rollovers[place].replace_all(Reason.RELOAD, self._refused)
        return bool(self._step)

    # How it stands.

    @property
    def reloading(self) -> bool:
        """Whether some are still to be replaced because of a reload, or of its end."""
        return bool(self._steps or self._step)

    @property
    def reverting(self) -> bool:
        """Whether that is since a reload was given up."""
        return self.reloading and self._refused is not None

    @property
    def open(self) -> bool:
        """Whether clients can be served: by a front, and the keeper of each stream."""
        kept = all(self._rollovers[place].serving for place in self._keepers)
        return kept and self.serving

    @property
    def serving(self) -> bool:
        """Whether any front accepts connections and is not retiring."""
        return any(self._rollovers[place].serving for place in self._fronts)

    @property
    def accepting(self) -> list[int]:
        """The processes that have said that they accept connections."""
        return [pid for r in self._rollovers.values() for pid in r.accepting]

    def place_of(self, pid: int) -> Place | None:
        """Where a process stands that has not ended; None: it is not known."""
        for place, rollover in self._rollovers.items():
            if pid in rollover.pids:
                return place
        return None

    def newest(self, place: Place) -> int | None:
        """The process that was started last of those that serve in this place."""
        return self._rollovers[place].newest

    def pids(self, role: Role) -> list[int]:
        """The processes of a role."""
        return [
            pid for p, r in self._rollovers.items() if p.role is role for pid in r.pids
        ]

    # Steps and pauses.

    def _begin(self, steps: Iterable[list[Place]]) -> None:
        self._steps = deque(steps)
        self._step = []
        self.advance()

    def _settled(self, places: Iterable[Place]) -> bool:
        rollovers = [self._rollovers[place] for place in places]
        return all(r.settled and not r.missing(1) for r in rollovers)

    def _pause(self, place: Place, now: float) -> None:
        before = self._pauses.get(place)
        seconds = FIRST_PAUSE_SECONDS if before is None else before.seconds * 2
        seconds = min(seconds, MAX_PAUSE_SECONDS)
        self._pauses[place] = Pause(seconds, now + seconds)

    def _pausing(self, place: Place, now: float) -> bool:
        pause = self._pauses.get(place)
        return pause is not None and now < pause.until
