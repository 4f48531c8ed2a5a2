"""NodeFigures: what one process of a node says of itself, and what all of them say.

Each process publishes a text in its lane, once a second and once at its end: a JSON
object with its place, boot and pid, since when it lives, what it holds of memory, what
it contributes to the node's counters, its gauges, and when it last met which failure.
Any front adds them up when it is asked. The board keeps the counters of those that have
ended (``edge.board``), so that no sum goes back.

Only publishing costs anything while nobody asks. Called by the timer of beats, and by
the pages of the node (``edge.process.node_desk``).
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from edge.admin.node_metrics import NodeNumbers, ProcessFigures
from edge.core.fault_notes import FaultRun, FaultRuns, FaultTimes
from edge.core.histograms import Exemplar, Exemplars, latest
from edge.core.node_counters import (
    GAUGES,
    CounterSet,
    GaugeRule,
    Numbers,
    contribution,
    exemplars_of,
    node_gauges,
    whole,
)
from edge.core.node_status import NodeStatus, ProcessStatus, joined
from edge.core.values import Place, Role
from edge.process.recycling import resident


class TextLanes(Protocol):
    """What is published, and read, on the board (``edge.board``)."""

    def store_text(self, octets: bytes) -> None:
        """Publish this process's text; the one before is gone."""

    def totals(self) -> Numbers:
        """The sums of ``counters`` over the last texts of all processes that there
        are, and that have been. Never goes back."""

    def texts(self) -> Iterable[Mapping[str, Any]]:
        """The texts of the processes that give signs of life."""

    def processes(self) -> Iterable[tuple[float, Mapping[str, Any]]]:
        """The texts of all, with seconds since the last sign of life of each."""


class NodeFigures:
    """The figures of one process, and by its lane those of the node."""

    def __init__(
        self,
        place: Place,
        boot: int,
        lanes: TextLanes,
        counters: CounterSet,
        gauges: Callable[[], Mapping[str, float]],
        faults: FaultTimes,
        began: float,
    ) -> None:
        self._faults = faults
        self._began = began
        self._place = place
        self._boot = boot
        self._lanes = lanes
        self._counters = counters
        self._gauges = gauges

    def publish(self) -> None:
        """Say what is so now."""
        numbers = contribution(self._place.role, self._counters)
        about: dict[str, object] = {
            "began": self._began,
            "memory": resident(),
            "faults": self._faults.runs,
        }
        exemplars = exemplars_of(self._place.role, self._counters)
        if exemplars:
            about["exemplars"] = exemplars
        gauges = self._gauges()
        self._lanes.store_text(text_of(self._place, self._boot, numbers, gauges, about))

    def numbers(self) -> NodeNumbers:
        """The node's, with this process's as they are now."""
        self.publish()
        texts = [_Text(found) for found in self._lanes.texts()]
        return NodeNumbers(
            whole(self._lanes.totals()),
            node_gauges((text.role, text.gauges) for text in texts),
            tuple(_each(texts)),
            latest(text.exemplars for text in texts),
        )

    def status(self) -> NodeStatus:
        """The node's processes, and what they told last. Asks nobody."""
        self.publish()
        told = [(beat, _Text(found)) for beat, found in self._lanes.processes()]
        told.sort(key=lambda one: (one[1].name, one[1].boot))
        texts = [_Text(found) for found in self._lanes.texts()]
        return NodeStatus(
            whole(self._lanes.totals()),
            node_gauges((text.role, text.gauges) for text in texts),
            tuple(text.status(beat) for beat, text in told),
            joined(text.faults for _, text in told),
        )


def text_of(
    place: Place,
    boot: int,
    counters: Numbers,
    gauges: Mapping[str, float],
    about: Mapping[str, object],
) -> bytes:
    """A text for a lane. ``about``: what else its process tells of itself."""
    return json.dumps(
        {
            "role": place.role.value,
            "name": place.name,
            "boot": boot,
            "pid": os.getpid(),
            "counters": counters,
            "gauges": gauges,
            **about,
        },
        separators=(",", ":"),
    ).encode()


def master_text(replacements: Mapping[str, int]) -> bytes:
    """The text of the master: workers replaced, by reason word."""
    counters = {"replacements": dict(replacements)}
    return json.dumps({"counters": counters}, separators=(",", ":")).encode()


class _Text:
    """A text as it was read. The master's has no role, and tells no gauges."""

    def __init__(self, found: Mapping[str, Any]) -> None:
        self.role = Role(found["role"]) if "role" in found else Role.WORKER
        self.name: str = found.get("name", "")
        self.boot: int = found.get("boot", 0)
        self.pid: int = found.get("pid", 0)
        self.gauges: Mapping[str, float] = found.get("gauges", {})
        self.faults: FaultRuns = {
            kind: {reason: FaultRun(*run) for reason, run in runs.items()}
            for kind, runs in found.get("faults", {}).items()
        }
        self.exemplars: Exemplars = {
            name: {place: Exemplar(*told) for place, told in places.items()}
            for name, places in found.get("exemplars", {}).items()
        }
        self._began: float = found.get("began", 0.0)
        self._memory: int = found.get("memory", 0)

    def status(self, beat: float) -> ProcessStatus:
        """The process, whose last sign of life is so many seconds ago."""
        viewers = 0 if self.role is Role.KEEPER else self.gauges.get("viewers", 0)
        return ProcessStatus(
            self.name,
            self.role,
            self.pid,
            self._began,
            beat,
            self._memory,
            int(self.gauges.get("connections", 0)),
            int(viewers),
        )


def _each(texts: Iterable[_Text]) -> Iterable[ProcessFigures]:
    """What is told for each process; of two in one place, for the later one."""
    newest: dict[str, _Text] = {}
    for text in sorted(texts, key=lambda one: one.boot):
        if text.name:
            newest[text.name] = text
    for name, text in sorted(newest.items()):
        alone = {
            gauge: value
            for gauge, value in text.gauges.items()
            if GAUGES.get(gauge, GaugeRule.EACH) is GaugeRule.EACH
        }
        yield ProcessFigures(name, text.pid, alone)
