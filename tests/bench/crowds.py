"""The largest crowds that one node is asked to bear, and whether each had everything.

Counts are what it shows, no times: on a machine with few cores all that takes part
shares them. Two loads (``ds-edge bench fanout``), each with a stream and half of the
viewers, call two addresses of this machine, for from one address to one port there are
no more than 28,232 connections. It takes minutes. Each of the two fronts and of the two
loads needs an open file for each of its viewers (``ulimit -Hn``)::

    python -m tests.bench.crowds --mode long-poll --viewers 32000
    python -m tests.bench.crowds --mode sse --viewers 20000

Exits with 1 if anything was missed, came twice, or failed.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.bench.load.streams import Figures
from tests.bench.scale import reads, told_by
from tests.scale.nodes import Node, node
from tests.support.processes import (
    NodeOrigin,
    ProcessFault,
    ds_edge,
    free_port,
    node_origin,
)

HOSTS = ("127.0.0.1", "127.0.0.2")
LOOK_SECONDS = 2.0
MIB = 1 << 20
SETTLED = "10"
"""Seconds from the last viewer to the first event."""

EACH_WITHIN = "120"
"""Seconds that an event may take to everybody."""


@dataclass(slots=True)
class Highest:
    """The most that one process was seen to hold, and to have open."""

    pid: int
    memory: int = 0
    files: int = 0

    def look(self) -> None:
        """Look now. One that has ended is passed over."""
        own = Path(f"/proc/{self.pid}")
        try:
            pages = int((own / "statm").read_text().split()[1])
            self.files = max(self.files, len(os.listdir(own / "fd")))
        except OSError:
            return
        self.memory = max(self.memory, pages * os.sysconf("SC_PAGE_SIZE"))


@dataclass(slots=True)
class Seen:
    """What was counted of one run."""

    loads: list[Figures] = field(default_factory=list)
    polls: list[float | None] = field(default_factory=list)
    processes: dict[str, Highest] = field(default_factory=dict)
    refused: Mapping[str, float] = field(default_factory=dict)

    def lines(self) -> Iterator[str]:
        """For people."""
        for load, polls in zip(self.loads, self.polls, strict=True):
            yield (
                f"{load['viewers']:,} {load['mode']}, {load['events']} events: "
                f"delivered {load['delivered']:,} of {load['expected']:,}, "
                f"repeated {load['repeated']}, failed {load['failed']}, "
                f"origin polls per event {polls}"
            )
        for name, one in self.processes.items():
            yield f"{name}: {one.memory // MIB} MiB, {one.files:,} files at most"
        yield f"refused: {dict(self.refused) or 'nobody'}"

    @property
    def is_whole(self) -> bool:
        """Whether everybody had everything, once."""
        odd = ("repeated", "failed")
        return not self.refused and all(
            load["delivered"] == load["expected"] and not any(load[o] for o in odd)
            for load in self.loads
        )


@contextmanager
def served(viewers: int) -> Iterator[tuple[NodeOrigin, Node]]:
    """A node of two fronts and a keeper that may have so many viewers."""
    most = viewers + 1000
    limits = {"connections": most, "viewers": most, "viewers_per_stream": most}
    with (
        node_origin(long_poll_ms=30_000, counts=True) as origin,
        node(
            *(origin.url, 2, 1),
            listen=f"0.0.0.0:{free_port()}",
            limits=limits,
            live={"long_poll_timeout": "55s", "sse_lifetime": "10m"},
        ) as one,
    ):
        yield origin, one


def run(mode: str, viewers: int, events: int, rate: float) -> Seen:
    """One run. Raises OSError with what a load says that failed."""
    seen, each = Seen(), viewers // len(HOSTS)
    with served(viewers) as (origin, one), ThreadPoolExecutor(len(HOSTS)) as pool:
        pids = {"master": one.edge.process.pid, "keeper-0": one.keeper_pids()[0]}
        pids |= {f"front-{n}": pid for n, pid in enumerate(one.front_pids())}
        seen.processes = {name: Highest(pid) for name, pid in pids.items()}
        port = one.url.rpartition(":")[2]
        paths = [f"/v1/stream/crowd-{number}" for number in range(len(HOSTS))]
        words = [f"--viewers={each}", f"--events={events}", f"--rate={rate}"]
        words += [f"--mode={mode}", f"--warmup={SETTLED}", f"--patience={EACH_WITHIN}"]
        words += ["--keep", "--json"]
        urls = [f"http://{host}:{port}" for host in HOSTS]
        commands = [
            ds_edge("bench", "fanout", url + path, *words)
            for url, path in zip(urls, paths, strict=True)
        ]
        running = [pool.submit(told_by, command) for command in commands]
        while wait(running, LOOK_SECONDS).not_done:
            for process in seen.processes.values():
                process.look()
        seen.loads = [load.result() for load in running]
        seen.polls = [reads(origin, path) for path in paths]
        seen.refused = refusals(one.admin)
    return seen


def refusals(admin: str) -> dict[str, float]:
    """Who was refused, by reason."""
    told = requests.get(f"{admin}/metrics", timeout=60).text
    return {
        sample.labels["reason"]: sample.value
        for family in text_string_to_metric_families(told)
        for sample in family.samples
        if sample.name == "ds_edge_refusals_total" and sample.value
    }


def main() -> None:
    """Run it, and tell."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.crowds")
    add: Any = parser.add_argument
    add("--mode", choices=("long-poll", "sse"), default="long-poll")
    add("--viewers", type=int, default=32_000, help="of both streams together")
    add("--events", type=int, default=5)
    add("--rate", type=float, default=0.1, help="events a second")
    asked = parser.parse_args()
    try:
        seen = run(asked.mode, asked.viewers, asked.events, asked.rate)
    except (OSError, ProcessFault) as error:
        sys.exit("\n".join([f"crowds: {error}", *getattr(error, "__notes__", ())]))
    print("\n".join(seen.lines()))
    sys.exit(not seen.is_whole)


if __name__ == "__main__":
    main()
