"""What an event, a write or a read costs the edge, in instructions and not in time.

Other work on a machine changes what a microsecond buys. It does not change how many
instructions the edge executes, so a step that saves two parts in a hundred can be told
from one that saves none. The parts of one worker (``tests.bench.alone``) run under
valgrind's callgrind, before the Node reference server, and serve the loads of
``make bench``. What a unit costs is the difference of two runs of unequal length, so
that making streams and connecting viewers is no part of it::

    python -m tests.bench.instructions [--units 200] [--only events,appends]

Counted is what the process does itself. The kernel's part is not: for that there are
the system calls of one unit, with ``--calls``, under strace. Needs valgrind, or strace
(Debian: ``apt-get install valgrind strace``). No test asserts a figure of it.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from tests.bench.load.kept import Kept, expect
from tests.bench.load.streams import JSON, ManyStreams, StreamsPlan
from tests.support.node import ROOT
from tests.support.processes import TETHER, node_origin

BODY = b'{"n":1,"text":"' + b"x" * 83 + b'"}'
SHORT = 3
"""A longer run has so many times the units of a shorter one."""

Load = Callable[[str, str, int], None]
"""Puts so many units on an edge: its address, its origin's, how many."""


def _events(streams: int, viewers: int, mode: str = "sse") -> Load:
    """Events in lockstep: each is awaited by its viewers, and comes alone."""

    def run(edge: str, origin: str, units: int) -> None:
        plan = StreamsPlan(
            url=edge,
            writes=origin,
            streams=streams,
            viewers=viewers,
            mode=mode,
            events=units,
            lockstep=True,
            writers=streams,
            patience=120.0,
        )
        ManyStreams(plan).run()

    return run


def _requests(method: str, statuses: tuple[int, ...], many: bool = False) -> Load:
    """One request at a time, of one stream or of ``many``, which the origin has."""

    def run(edge: str, origin: str, units: int) -> None:
        stem = f"/v1/stream/one-{uuid.uuid4().hex[:8]}"
        paths = [f"{stem}-{n}" for n in range(units)] if many else [stem] * units
        direct, kept = Kept(origin), Kept(edge)
        if method != "PUT":
            for path in dict.fromkeys(paths):
                expect(direct.ask("PUT", path, b"[" + BODY + b"]", JSON), path, 201)
        query, body = "?offset=-1" if method == "GET" else "", b""
        fields = (JSON,) if method in ("PUT", "POST") else ()
        if method == "POST":
            body = BODY
        for path in paths:
            expect(kept.ask(method, path + query, body, *fields), path, *statuses)
        direct.close()
        kept.close()

    return run


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that is done again and again. ``follow``: the route's."""

    load: Load
    follow: str = "sse"


CASES = {
    "events": Case(_events(10, 1)),
    "polled-events": Case(_events(10, 1), "long-poll"),
    "long-polls": Case(_events(10, 1, "long-poll")),
    "crowd-of-5": Case(_events(4, 5)),
    "crowd-of-100": Case(_events(1, 100)),
    "appends": Case(_requests("POST", (200, 204))),
    "puts": Case(_requests("PUT", (201,), many=True)),
    "heads": Case(_requests("HEAD", (200,))),
    "cold-gets": Case(_requests("GET", (200,), many=True)),
    "hits": Case(_requests("GET", (200,))),
}


@contextmanager
def _alone(
    program: list[str], origin: str, follow: str
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """An edge that ``program`` runs: its address, its process."""
    command = [*TETHER, *program, sys.executable, "-m", "tests.bench.alone"]
    process = subprocess.Popen(
        [*command, origin, follow],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        yield process.stdout.readline().strip(), process
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait(60)


def _tell(pid: int, *words: str) -> None:
    command = ["vgdb", f"--pid={pid}", *words]
    subprocess.run(command, check=True, capture_output=True)


def instructions(cases: dict[str, Case], units: int) -> Iterator[tuple[str, float]]:
    """Those of one unit of each, on one edge."""
    (follow,) = {case.follow for case in cases.values()}
    with tempfile.TemporaryDirectory() as folder, node_origin(30_000) as origin:
        out = Path(folder, "cost")
        program = ["valgrind", "-q", "--tool=callgrind", "--instr-atstart=no"]
        program.append(f"--callgrind-out-file={out}")
        with _alone(program, origin.url, follow) as (url, process):
            dumps = count(1)

            def counted(load: Load, number: int) -> int:
                load(url, origin.url, number)
                _tell(process.pid, "dump")
                return _total(Path(f"{out}.{next(dumps)}"))

            _tell(process.pid, "instrumentation", "on")
            for name, case in cases.items():
                # What is made at a first time is no part of it.
                counted(case.load, units // SHORT)
                fewer = counted(case.load, units)
                more = counted(case.load, SHORT * units)
                yield name, (more - fewer) / ((SHORT - 1) * units)


def _total(dump: Path) -> int:
    found = re.search(r"^(?:totals|summary): (\d+)", dump.read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


def calls(case: Case, units: int) -> dict[str, float]:
    """The system calls of one unit, by name."""
    told: list[dict[str, int]] = []
    for number in (units, SHORT * units):
        with tempfile.TemporaryDirectory() as folder, node_origin(30_000) as origin:
            out = Path(folder, "calls")
            program = ["strace", "-f", "-c", "-U", "name,calls", "-o", str(out)]
            with _alone(program, origin.url, case.follow) as (url, _):
                case.load(url, origin.url, number)
            rows = re.findall(r"^(\w+) +(\d+)$", out.read_text(), re.MULTILINE)
            told.append({name: int(many) for name, many in rows})
    fewer, more = told
    each = {name: more[name] - fewer.get(name, 0) for name in more}
    by = (SHORT - 1) * units
    return {name: many / by for name, many in each.items() if many >= by / 20}


def main() -> None:
    """Measure, and print a line for each case."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.instructions")
    parser.add_argument("--units", type=int, default=200)
    parser.add_argument("--only", default=",".join(CASES), help=", ".join(CASES))
    parser.add_argument("--calls", action="store_true", help="system calls, by strace")
    asked = parser.parse_args()
    chosen = {name: CASES[name] for name in asked.only.split(",")}
    if asked.calls:
        for name, case in chosen.items():
            each = sorted(calls(case, asked.units).items(), key=lambda one: -one[1])
            said = ", ".join(f"{many:.2f} {call}" for call, many in each)
            print(f"{name}: {said}", flush=True)
        return
    for follow in dict.fromkeys(case.follow for case in chosen.values()):
        some = {name: case for name, case in chosen.items() if case.follow == follow}
        for name, number in instructions(some, asked.units):
            print(f"{name}: {number / 1000:,.1f} thousand", flush=True)


if __name__ == "__main__":
    main()
