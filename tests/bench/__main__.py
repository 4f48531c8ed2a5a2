"""``make bench``: our edge and its peers side by side, in one run on one machine.

Tables on stdout, progress on stderr. Needs Linux and two cores; nginx, Varnish and wrk
where they are to take part. About half an hour, four minutes with ``--quick``::

    make bench
    make bench ARGS="--quick"
    make bench ARGS="--only fanout --viewers 1000,5000 --peers edge,varnish --rounds 5"
    make bench ARGS="--only streams,tokens --streams 500 --follow sse --markdown"
    make bench ARGS="--only scale"
    make bench ARGS="--only lockstep --quick"
    make bench ARGS="--only tls --viewers 1000,5000"
    make bench ARGS="--json bench.json --plot bench.svg"

Exits with 1 when something fails, with 2 when the command line is wrong.
"""

import argparse
import json
import os
import resource
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from rich.console import Console

from edge.cli.bench.plot import check as check_plot
from edge.cli.streams.exit_faults import Fault
from tests.bench import machine, markdown, plot, results, scale, secure, tables
from tests.bench.cases import KIB, KINDS, SIZES, STREAMS, VIEWERS, Plan, cases, size
from tests.bench.measure import Bench, Unfit, origin
from tests.bench.peers import GENERATOR, PEERS, on_core
from tests.bench.servers import PASSING, servers
from tests.support.processes import ProcessFault

T = TypeVar("T")

SCALE = "scale"
"""Several processes against one (``tests.bench.scale``); only if it is asked for."""

LOCKSTEP = "lockstep"
"""The same of small streams in lockstep; only if it is asked for."""

TLS = "tls"
"""Over TLS, beside nginx (``tests.bench.secure``); only if it is asked for."""

ALONE = (SCALE, LOCKSTEP, TLS)
"""Kinds that have servers and tables of their own."""

SPARE_FILES = 200
"""Open files of a server beside those of its viewers."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured where the command line does not say."""

    sizes: tuple[int, ...]
    viewers: tuple[int, ...]
    streams: tuple[int, ...]
    rounds: int
    seconds: int
    events: int
    appends: int
    asked: int


FULL = Extent(
    SIZES, VIEWERS, STREAMS, rounds=2, seconds=3, events=5, appends=10_000, asked=500
)
QUICK = Extent(
    *((KIB, 64 * KIB), (1_000,), (100,)),
    rounds=1,
    seconds=1,
    events=4,
    appends=3_000,
    asked=100,
)


def main() -> None:
    """Measure, and tell."""
    parser = arguments()
    asked = parser.parse_args()
    if not set(ALONE).isdisjoint(asked.only):
        if len(asked.only) > 1:
            parser.error(f"--only: {', '.join(ALONE)} stand alone, each")
        _alone(asked)
        return
    absent = {name: how for name in asked.peers if (how := PEERS[name].missing())}
    plan = plan_of(asked, absent)
    if (wrong := unfit(plan, asked)) is not None:
        parser.error(wrong)
    try:
        run(plan, absent, asked)
    except (Unfit, ProcessFault, OSError) as error:
        # What a server that did not start had to say is a note of the error.
        sys.exit("\n".join([f"bench: {error}", *getattr(error, "__notes__", ())]))
    except KeyboardInterrupt:
        sys.exit(130)


def _alone(asked: argparse.Namespace) -> None:
    """Measure what has tables of its own."""
    extent = QUICK if asked.quick else FULL
    rounds, events = asked.rounds or extent.rounds, asked.events or extent.events
    if asked.only == (SCALE,):
        scale.run(rounds, events, asked.appends or extent.appends)
        return
    if asked.only == (LOCKSTEP,):
        scale.run_lockstep(rounds, asked.appends or extent.appends)
        return
    for name in ("nginx", "wrk"):
        if shutil.which(name) is None:
            sys.exit(f"bench: {name} is needed (Debian: apt-get install {name})")
    viewers = asked.viewers or ((1_000,) if asked.quick else (1_000, 5_000))
    secure.run(rounds, asked.seconds or extent.seconds, events, viewers)


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="make bench",
        description="Our edge and its peers side by side, in one run on one machine.",
        epilog='Options go into ARGS: make bench ARGS="--quick --plot bench.svg"',
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="a look in four minutes")
    add("--only", type=_each(_kind), default=KINDS, help=", ".join((*KINDS, *ALONE)))
    add("--sizes", type=_each(size), help="of closed ranges: 1KiB,64KiB,1MiB")
    add("--viewers", type=_each(_count), help="crowds: 100,1000,5000,10000")
    add(
        "--peers",
        type=_each(_peer),
        default=tuple(PEERS),
        help=", ".join(PEERS),
    )
    add("--streams", type=_each(_count), help="small ones: 100,500,2000")
    add("--follow", type=_each(_way), default=(), help="ways of the edge to follow")
    add("--rounds", type=_count, help="in each, the servers take turns")
    add("--seconds", type=_count, help="of one load on closed ranges")
    add("--events", type=_count, help="for one crowd, in each round")
    add("--appends", type=_count, help="to all small streams together")
    add("--asked", type=_count, help="single requests of each kind")
    add(
        "--markdown", action="store_true", help="tables as docs/performance.md has them"
    )
    add("--json", type=Path, metavar="FILE", help="write everything there")
    add("--plot", type=Path, metavar="FILE", help="draw it: .svg or .png")
    return parser


def _each(one: Callable[[str], T]) -> Callable[[str], tuple[T, ...]]:
    """Values with commas between them, each once."""

    def read(text: str) -> tuple[T, ...]:
        try:
            return tuple(dict.fromkeys(one(part) for part in text.split(",")))
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


def _count(text: str) -> int:
    if not text.strip().isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return int(text)


def _peer(text: str) -> str:
    if text.strip() not in PEERS:
        raise ValueError(f"{text!r} is none of {', '.join(PEERS)}")
    return text.strip()


def _kind(text: str) -> str:
    if text.strip() not in (*KINDS, *ALONE):
        raise ValueError(f"{text!r} is none of {', '.join((*KINDS, *ALONE))}")
    return text.strip()


def _way(text: str) -> str:
    """A value of a route's ``follow``; the edge itself judges it."""
    return text.strip()


def plan_of(asked: argparse.Namespace, absent: dict[str, str]) -> Plan:
    """What the command line asks for, of what is installed."""
    extent = QUICK if asked.quick else FULL
    return Plan(
        cases=cases(
            asked.only,
            asked.sizes or extent.sizes,
            asked.viewers or extent.viewers,
            asked.streams or extent.streams,
            asked.quick,
        ),
        peers=tuple(name for name in asked.peers if name not in absent),
        rounds=asked.rounds or extent.rounds,
        seconds=asked.seconds or extent.seconds,
        events=asked.events or extent.events,
        appends=asked.appends or extent.appends,
        asked=asked.asked or extent.asked,
        follow=asked.follow,
    )


def unfit(plan: Plan, asked: argparse.Namespace) -> str | None:
    """Why this machine cannot do it; found before minutes are spent."""
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = max((case.viewers for case in plan.crowds), default=0)
    if most + SPARE_FILES > files:
        return f"{most:,} viewers need more than {files:,} open files (ulimit -Hn)"
    if len(os.sched_getaffinity(0)) < 2:
        return "two cores are needed, one for the servers and one for the load"
    if plan.hits and shutil.which("wrk") is None:
        return "closed ranges need wrk (Debian: apt-get install wrk)"
    if not plan.peers:
        return "none of these servers is installed"
    if plan.small and not (plan.hits or plan.crowds or servers(plan.peers, ())):
        return f"--peers: without crowds and hits, none of {', '.join(PASSING)} is left"
    if asked.json is not None and not asked.json.absolute().parent.is_dir():
        return f"--json: there is no folder {asked.json.absolute().parent}"
    try:
        if asked.plot is not None:
            check_plot(asked.plot)
    except Fault as fault:
        return str(fault)
    return None


def run(plan: Plan, absent: dict[str, str], asked: argparse.Namespace) -> None:
    """Measure, then write and show what was measured, also after a Ctrl-C."""
    to_json: Path | None = asked.json
    to_plot: Path | None = asked.plot
    told = machine.here()
    versions = machine.versions(PEERS[name] for name in plan.peers)
    begun = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - begun:5.0f} s  {text}", file=sys.stderr, flush=True)

    with on_core(GENERATOR), origin() as behind:
        bench = Bench(plan, behind, say)
        try:
            bench.run()
        finally:
            found = results.rows(bench.samples, plan.cases)
            if to_json is not None and found:
                every = results.document(told, versions, absent, found, bench.samples)
                to_json.write_text(json.dumps(every, indent=1) + "\n")
            if to_plot is not None and found:
                plot.draw(found, told, to_plot)
            if found:
                tables.show(Console(width=tables.WIDTH), told, versions, absent, found)
            if asked.markdown:
                print("\n".join(markdown.lines(found)))


if __name__ == "__main__":
    main()
