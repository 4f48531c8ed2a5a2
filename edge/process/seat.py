"""Seat: what the master gives a process before it forks it.

Where the edge is one worker, its seat says just that (``ALONE``). Where it is many
processes, they share what was made once, in the master, before the first fork
(``NodeParts``); the seat says which of them this one is. Made by
``edge.process.arbiter``, read by wiring, which builds the parts of a process by it.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from edge.board.bounds import LaneBounds
from edge.board.lane_view import LaneView
from edge.board.node_board import NodeBoard
from edge.core.values import Place, Role
from edge.process.run_folder import hand_over_path


@dataclass(frozen=True, slots=True)
class NodeParts:
    """What all processes of a node share. None of it is ever replaced.

    ``board`` is shared memory. ``folder`` is the run folder, which nobody else can
    enter (0700). ``keepers`` and ``fronts`` are how many places there are, and
    ``links[k]`` is the path of the unix socket at which keeper k answers fronts.
    """

    board: NodeBoard
    folder: Path
    keepers: int
    fronts: int
    links: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Seat:
    """One process: its place, its lane on the board, and its boot.

    ``boot`` grows with every process that the master starts: of two processes in one
    place, the later one has the higher. ``node`` is None where there is one worker.

    ``view`` is the board as this process has it, and ``bounds`` what the node bounds of
    its clients: made in the process itself (``taken``). ``before`` is the boot of the
    process that serves in this place, and that this one is to replace; 0: none does.
    """

    place: Place
    lane: int
    boot: int
    node: NodeParts | None = None
    view: LaneView | None = None
    bounds: LaneBounds | None = None
    before: int = 0

    def taken(self) -> "Seat":
        """The seat as its process has it. Called there, once."""
        if self.node is None:
            return self
        view = self.node.board.view(self.lane, self.boot)
        return replace(self, view=view, bounds=LaneBounds(view))

    @property
    def hand_over_path(self) -> str | None:
        """The path of the socket at which a keeper answers its successor; None where
        there is one worker."""
        return self._hand_over_path(self.boot)

    @property
    def predecessor_path(self) -> str | None:
        """The path of that of the keeper before this one; None if there is none."""
        return self._hand_over_path(self.before) if self.before else None

    def _hand_over_path(self, boot: int) -> str | None:
        if self.node is None:
            return None
        return hand_over_path(self.node.folder, self.place.number, boot)


ALONE = Seat(Place(Role.WORKER, 0), lane=0, boot=1)
"""The first worker of an edge that has one."""
