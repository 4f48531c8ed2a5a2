"""``--only scale`` and ``--only lockstep``: one worker against two fronts and a keeper,
by processor time.

With two cores for everybody, times say little of many processes: fronts, keeper, origin
and load share them. So what is told is the processor time of all processes of the edge,
for each message delivered or each event, beside that of the load, which is a process of
its own and counts itself. The kernel's work for a socket counts for whoever asks it to:
what a front sends is in the front's figure, what the load reads is in the load's.

``scale`` has one large crowd, and many streams with one viewer. ``lockstep`` has fewer
of these, whose next events wait until their viewers have the last: nothing comes
together. Nothing is tied to a core.
"""

import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests

from tests.bench.load.streams import Figures
from tests.bench.peers import READY
from tests.support.node import ROOT
from tests.support.processes import TETHER, Edge, NodeOrigin, ds_edge, edge, node_origin

CROWD, RATE = 8_000, 0.5
"""Viewers of the crowd, and its events a second."""

STREAMS = 1_000
LOCKSTEP = 300
"""Streams of which each waits for its viewer before its next event."""

ROOM = {"max_followers": 1_100, "connections": 1_600}
"""What an edge may use of its origin, to follow all of them."""

PATIENCE = 900.0

SHAPES: dict[str, dict[str, Any]] = {
    "one worker": {"workers": 1},
    "2 fronts, 1 keeper": {"workers": 2, "keepers": 1},
}


@dataclass(frozen=True, slots=True)
class Row:
    """What one case cost in one shape: µs of processor time, of all processes of the
    edge and of the load, for each unit."""

    case: str
    shape: str
    edge: float
    load: float
    requests: float | None

    def markdown(self) -> str:
        asked = "" if self.requests is None else f"{self.requests:.2f}"
        return (
            f"| {self.case} | {self.shape} | {self.edge:,.0f} | {self.load:,.0f} "
            f"| {asked} |"
        )


HEAD = (
    "| case | edge | its µs each | load's µs each | origin requests an event |\n"
    "|---|---|---|---|---|"
)


def run(rounds: int, events: int, appends: int) -> None:
    """Measure in turns, and print each row as it comes."""
    print(HEAD, flush=True)
    for _ in range(rounds):
        for mode in ("long-poll", "sse"):
            for shape in SHAPES:
                print(_crowd(shape, mode, events).markdown(), flush=True)
        for mode in ("sse", "long-poll"):
            for shape in SHAPES:
                print(_small(shape, mode, appends).markdown(), flush=True)


def run_lockstep(rounds: int, appends: int) -> None:
    """The same of small streams in lockstep; behind each pair what it comes to."""
    print(HEAD, flush=True)
    for _ in range(rounds):
        for mode in ("sse", "long-poll"):
            rows = [_small(shape, mode, appends, lockstep=True) for shape in SHAPES]
            for row in rows:
                print(row.markdown(), flush=True)
            print(
                f"| {rows[0].case} | ratio | **{ratio(*rows):.2f}** | | |", flush=True
            )


def ratio(alone: Row, node: Row) -> float:
    """How many times the processor time of one worker a node takes."""
    return node.edge / alone.edge


def _crowd(shape: str, mode: str, events: int) -> Row:
    """A message is one event to one viewer."""
    path = f"/v1/stream/crowd-{uuid.uuid4().hex}"
    with _served(shape) as (origin, running):
        words = [f"--viewers={CROWD}", f"--events={events}", "--size=100"]
        words += [f"--mode={mode}", f"--rate={RATE}", "--warmup=3"]
        words += [f"--pid={running.process.pid}", f"--write-to={origin.url}{path}"]
        told = told_by(ds_edge("bench", "fanout", running.url + path, *words, "--json"))
        asked = reads(origin, path)
    return Row(
        f"{CROWD:,} {mode}, a message",
        shape,
        told["cpu_per_message_us"],
        told["generator_us_per_message"],
        asked,
    )


def _small(shape: str, mode: str, appends: int, lockstep: bool = False) -> Row:
    """Each event has one viewer; written at the origin."""
    many = LOCKSTEP if lockstep else STREAMS
    with _served(shape) as (origin, running):
        words = ["streams", running.url, "--streams", str(many), "--viewers", "1"]
        words += ["--lockstep"] if lockstep else []
        words += ["--mode", mode, "--events", str(appends), "--write-to", origin.url]
        words += ["--pid", str(running.process.pid), "--origin", origin.url]
        words += ["--origin-pid", str(origin.process.pid)]
        told = told_by([sys.executable, "-m", "tests.bench.load", *words])
    name = f"{many:,} streams of one viewer, {mode}, an event"
    name += ", in lockstep" if lockstep else ""
    return Row(
        name, shape, told["cpu_per_event_us"], told["generator_us_per_event"], None
    )


@contextmanager
def _served(shape: str) -> Iterator[tuple[NodeOrigin, Edge]]:
    settings = {"live": {"sse_lifetime": "10m"}, "log": {"access": "off"}}
    with node_origin(long_poll_ms=30_000, counts=True) as origin:
        requests.put(origin.url + READY, b"ready", timeout=10).raise_for_status()
        with edge(origin.url, origin=ROOM, **settings, **SHAPES[shape]) as running:
            yield origin, running


def reads(origin: NodeOrigin, path: str) -> float | None:
    """Reads of the origin between two events that count."""
    assert origin.counts is not None
    reads = requests.get(origin.counts, timeout=10).json().get(path, [])[2:-1]
    return sum(reads) / len(reads) if reads else None


def told_by(command: list[str]) -> Figures:
    """What a load measured. Raises OSError with what it says, if it failed."""
    done = subprocess.run(
        [*TETHER, *command], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE
    )
    try:
        told: Figures = json.loads(done.stdout)
    except json.JSONDecodeError:
        raise OSError(done.stderr) from None
    if "error" in told:
        raise OSError(told["error"])
    return told
