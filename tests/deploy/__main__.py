"""``python -m tests.deploy``: what viewers by HTTP/2 cost, in front and behind.

For each server of ``deploy/``: a fresh edge and a fresh server, then viewers of one
event stream, a hundred to a connection. Memory is the growth of PSS, for each viewer,
of the server's processes and of the edge's, a second after the last viewer came. Times
are from an append to the last viewer that has it: median and worst of the events. The
client is one Python process, which decrypts and parses: it is most of those times.
Bounded: as many viewers and events as are asked for, and all of it on this machine.
"""

import argparse
import contextlib
import statistics
import time
from functools import partial
from pathlib import Path

from tests.deploy.proxies import STARTS, anybodys, edge_behind, proxy
from tests.support.http2 import Connection, Exchange, until

TEXT = ("content-type", "text/plain")
STREAMS = 100
PATH = "/v1/stream/crowd"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.deploy")
    parser.add_argument("--viewers", type=int, default=2000)
    parser.add_argument("--events", type=int, default=10)
    asked = parser.parse_args()
    print("| server | KiB a viewer: in front | behind | last viewer, ms | worst |")
    print("|---|---|---|---|---|")
    for name in STARTS:
        print(row(name, asked.viewers, asked.events), flush=True)


def row(name: str, count: int, events: int) -> str:
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(anybodys())
        behind = stack.enter_context(edge_behind(folder))
        found = stack.enter_context(proxy(name, folder))
        connections = [
            stack.enter_context(Connection(found.address, found.believed))
            for _ in range(-(-count // STREAMS))
        ]
        for connection in connections:
            assert connection.ask("PUT", PATH, [TEXT]).status in (200, 201)
        # What the first viewers touch is not theirs.
        first = connections[0].begin("GET", f"{PATH}?offset=-1&live=sse")
        until(connections[:1], lambda: b"control" in first.body)
        before = pss(found.process.pid), pss(behind.process.pid)
        viewers = [
            connections[number // STREAMS].begin("GET", f"{PATH}?offset=-1&live=sse")
            for number in range(1, count)
        ]
        until(connections, lambda: all(b"control" in one.body for one in viewers))
        time.sleep(1)
        after = pss(found.process.pid), pss(behind.process.pid)
        took = []
        for number in range(events):
            mark = b"<%d>" % number
            begun = time.perf_counter()
            connections[0].begin("POST", PATH, [TEXT], mark)
            until(connections, partial(seen_by, viewers, mark))
            took.append((time.perf_counter() - begun) * 1000)
    grown = [
        (late - soon) / len(viewers) for soon, late in zip(before, after, strict=True)
    ]
    figures = f"{grown[0]:.1f} | {grown[1]:.1f}"
    return f"| {name} | {figures} | {statistics.median(took):.0f} | {max(took):.0f} |"


def seen_by(viewers: list[Exchange], mark: bytes) -> bool:
    return all(mark in viewer.body for viewer in viewers)


def pss(parent: int) -> int:
    """KiB of a process and of all below it, shared pages counted in parts."""
    below = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    rollup = Path(f"/proc/{parent}/smaps_rollup").read_text()
    own = next(line for line in rollup.splitlines() if line.startswith("Pss:"))
    return int(own.split()[1]) + sum(pss(int(child)) for child in below)


if __name__ == "__main__":
    main()
