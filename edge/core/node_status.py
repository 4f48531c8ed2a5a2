"""What an operator is told of a node at one moment: values, made of the figures that
its processes publish. Where there is one worker, it is the only process.

Made by ``edge.process``, shown by ``edge.admin.status_page``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edge.core.fault_notes import FaultRun, FaultRuns
from edge.core.node_counters import Number
from edge.core.values import Role


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """One process. ``began``: Unix time of its start. ``beat``: seconds since its last
    sign of life; None where nobody waits for one. ``memory``: bytes that it holds.
    ``connections`` of a keeper are those of fronts, who have the ``viewers``."""

    name: str
    role: Role
    pid: int
    began: float
    beat: float | None
    memory: int
    connections: int
    viewers: int


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """The whole node. ``counters`` and ``gauges`` are those of its metrics.
    ``faults``: the last run of each counted failure (``edge.core.fault_notes``)."""

    counters: Mapping[str, Number]
    gauges: Mapping[str, float]
    processes: tuple[ProcessStatus, ...]
    faults: FaultRuns


def joined(parts: Iterable[FaultRuns]) -> dict[str, dict[str, FaultRun]]:
    """The last run of each failure, in all these processes together."""
    found: dict[str, dict[str, FaultRun]] = {}
    for part in parts:
        for kind, runs in part.items():
            known = found.setdefault(kind, {})
            for reason, run in runs.items():
                known[reason] = known.get(reason, run).joined(run)
    return found
