"""Takes the measurements of small streams, writes, single requests and token streams.

Each has a fresh server on core 0, and a fresh origin on core 1 beside the load, which
``tests.bench.load`` makes as a process of its own. For the reference server alone both
are one process, on core 0. Single requests are asked of all servers in one run, in
turn, and the origin itself is one of them.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import requests

from tests.bench.cases import (
    Case,
    Plan,
    SingleCase,
    SmallCase,
    StreamsCase,
    TokensCase,
    WritesCase,
)
from tests.bench.load.streams import Figures
from tests.bench.peers import GENERATOR, READY, Served, Work, on_core
from tests.bench.servers import AS_IT_COMES, Server, room_for, servers
from tests.support.node import ROOT
from tests.support.processes import TETHER, NodeOrigin, node_origin

Keep = Callable[[int, Case, str, Figures], None]

PATIENCE = 600.0
"""Seconds for one measurement; longer ones hang."""

TOKENS_LONGER = 2
"""Seconds more than other loads: hundreds of writers begin at once, and settle."""

DIRECT = "node"
"""The origin itself, among the servers of single requests."""

LIVE = {Work.SSE: "sse", Work.LONG_POLL: "long-poll"}


class SmallBench:
    """All measurements of these kinds; ``keep`` is given each as it comes."""

    def __init__(self, plan: Plan, keep: Keep) -> None:
        self._plan = plan
        self._keep = keep
        self._servers = servers(plan.peers, plan.follow)

    def run(self) -> None:
        """All of them, the servers in turn."""
        single = [case for case in self._plan.small if isinstance(case, SingleCase)]
        for number in range(self._plan.rounds):
            for case in self._plan.small:
                if isinstance(case, SingleCase):
                    if case is single[0]:
                        self._single(number, single)
                    continue
                for server in asked_for(case, self._servers):
                    self._keep(number, case, server.name, self._one(server, case))

    def _one(
        self, server: Server, case: StreamsCase | WritesCase | TokensCase
    ) -> Figures:
        if (lack := server.lacks(case)) is not None:
            return {"kind": case.kind, "error": lack}
        room = room_for(case)
        with ExitStack() as stack:
            behind = None
            if server.name != DIRECT:
                behind = stack.enter_context(origin())
            url = "" if behind is None else behind.url
            served = stack.enter_context(server.start(url, room))
            words = words_of(case, served, self._plan)
            words += ["--pid", str(served.pid)]
            if behind is not None:
                words += ["--origin-pid", str(behind.process.pid)]
                words += ["--origin", behind.url]
            told = load(words)
        if server.follows and not isinstance(case, WritesCase):
            told |= {"max_followers": room.followers}
        return told | {"kind": case.kind}

    def _single(self, number: int, cases: list[SingleCase]) -> None:
        """All kinds of single requests, of all servers, in one run."""
        behind = [one for one in self._servers if one.name != DIRECT]
        with ExitStack() as stack:
            node = stack.enter_context(origin())
            urls = {DIRECT: node.url}
            for server in behind:
                served = stack.enter_context(server.start(node.url, AS_IT_COMES))
                urls[server.name] = served.url
            pairs = [f"{name}={url}" for name, url in urls.items()]
            told = load(["single", *pairs, "--rounds", str(self._plan.asked)])
        for case in cases:
            for name in urls:
                figures = {"kind": case.kind}
                if "error" in told:
                    figures |= {"error": told["error"]}
                else:
                    figures |= told["servers"][name][case.what]
                self._keep(number, case, name, figures)


def asked_for(case: SmallCase, servers: list[Server]) -> list[Server]:
    """Limits of followers are the edge's: others have no row with and without."""
    if isinstance(case, StreamsCase) and not case.room:
        return [server for server in servers if server.follows]
    return servers


@contextmanager
def origin() -> Iterator[NodeOrigin]:
    """A fresh reference server in memory, on the core of the load."""
    with on_core(GENERATOR), node_origin(long_poll_ms=30_000) as node:
        requests.put(node.url + READY, b"ready", timeout=10).raise_for_status()
        yield node


def load(words: list[str]) -> Figures:
    """One run of ``tests.bench.load``: what it measured; ``error`` if it says so."""
    command = [*TETHER, sys.executable, "-m", "tests.bench.load", *words]
    with on_core(GENERATOR):
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE
        )
    try:
        told: Figures = json.loads(done.stdout)
    except json.JSONDecodeError:
        return {"error": done.stderr.strip() or f"ended with {done.returncode}"}
    return told


def words_of(
    case: StreamsCase | WritesCase | TokensCase, served: Served, plan: Plan
) -> list[str]:
    """What ``tests.bench.load`` is asked to do."""
    if isinstance(case, WritesCase):
        return [
            *("writes", served.url, "--connections", str(case.connections)),
            *("--size", str(case.size), "--seconds", str(plan.seconds)),
        ]
    words = ["streams", served.url, "--streams", str(case.streams)]
    if isinstance(case, TokensCase):
        # One writer for each stream, as each has a model of its own.
        words += ["--rate", str(case.rate), "--writers", str(case.streams)]
        words += ["--seconds", str(plan.seconds + TOKENS_LONGER)]
        return [*words, "--events", str(10**9)]
    words += ["--viewers", str(case.viewers), "--mode", LIVE[case.work]]
    words += ["--events", str(plan.appends), "--write-to", served.writes]
    words += ["--lockstep"] if case.lockstep else []
    if case.paced is not None:
        words += ["--rate", str(case.paced / case.streams)]
    return words if case.room else [*words, "--refusing", "--patience", "8"]
