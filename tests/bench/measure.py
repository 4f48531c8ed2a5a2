"""Takes the measurements: starts servers, lets the generator ask, keeps what it says.

``ds-edge bench`` asks, as a process of its own on core 1; the origin is there too. Its
work for an event is done before the crowd is woken, and it has none while closed ranges
are read, so nobody gains from it; the server under test has core 0 for itself. For the
reference server alone both are the same process, on core 0.

Closed ranges: all servers run, and those whose turn it is not are silent. Crowds: a
fresh server for each, so that the memory that is counted is that crowd's. Events are
appended at the origin, not through the peer: all have the same way to hear of them.

``small`` takes what has no crowd: small streams, writes, single requests.
"""

import json
import re
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache

import requests

from tests.bench.cases import Case, FanoutCase, HitsCase, Plan
from tests.bench.load.streams import Figures
from tests.bench.peers import GENERATOR, PEERS, READY, Peer, Served, Work, on_core
from tests.bench.small import SmallBench
from tests.support.node import ROOT
from tests.support.processes import TETHER, NodeOrigin, ds_edge, node_origin

CONNECTIONS = 64
EVENT = 100
"""Bytes of an event."""

PROBED_BY = FanoutCase(Work.LONG_POLL, 20), FanoutCase(Work.SSE, 20)
PATIENCE = 600.0
"""Seconds for one measurement; longer ones hang."""

ALIKE = 1.5
"""Origin requests for an event from which on a crowd is not shared."""

Say = Callable[[str], None]


class Unfit(Exception):
    """A peer does not do what it is compared for; the text says what."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What one measurement told. ``figures`` are those of ``ds-edge bench --json``,
    with the origin's own count of its reads, or of ``tests.bench.load``; with ``error``
    where it failed."""

    round: int
    case: Case
    peer: str
    figures: Figures


@contextmanager
def origin() -> Iterator[NodeOrigin]:
    """The reference server in memory, with its reads counted."""
    with on_core(GENERATOR), node_origin(long_poll_ms=30_000, counts=True) as node:
        _put(node.url + READY, b"ready")
        yield node


class Bench:
    """All measurements of a plan before one origin; ``samples`` as they come."""

    def __init__(self, plan: Plan, behind: NodeOrigin, say: Say) -> None:
        self._plan = plan
        self._origin = behind
        self._say = say
        self._peers = [PEERS[name] for name in plan.peers]
        self.samples: list[Sample] = []

    def run(self) -> None:
        """All of it. Raises Unfit."""
        for peer in self._peers:
            if peer.shares:
                self._prove(peer)
        self._hits()
        for number in range(self._plan.rounds):
            for case in self._plan.crowds:
                for peer in self._peers:
                    if case.work not in peer.cannot:
                        told = self._crowd(peer, case)
                        self._keep(number, case, peer.name, told)
        SmallBench(self._plan, self._keep).run()

    # A peer is what it is taken for

    def _prove(self, peer: Peer) -> None:
        """A hit is a hit, and a crowd costs one request. Raises Unfit."""
        if self._plan.hits:
            with peer.start(self._origin.url, Work.HITS) as served:
                self._prove_hits(peer, served)
        wanted = {case.work for case in self._plan.crowds} - set(peer.cannot)
        for case in PROBED_BY:
            if case.work in wanted:
                self._prove_sharing(peer, case)

    def _prove_hits(self, peer: Peer, served: Served) -> None:
        path = f"/v1/stream/proof-{uuid.uuid4().hex}"
        _put(served.writes + path, b"x" * 1024)
        for fields in [_credential(peer.name)] * 10:
            url = f"{served.url}{path}?offset=-1"
            requests.get(url, headers=fields, timeout=10).raise_for_status()
        asked = sum(self._reads(path))
        if asked != 1:
            raise Unfit(f"{peer.name}: 10 reads cost {asked} origin requests")
        self._say(f"{peer.name}: 10 reads of a closed range cost 1 origin request")

    def _prove_sharing(self, peer: Peer, case: FanoutCase) -> None:
        told = self._crowd(peer, case, events=3, warmup=0.5)
        if "error" in told:
            raise Unfit(f"{peer.name}: {case.name}: {told['error']}")
        asked = told["origin_requests_per_event"]
        if asked is None or asked > ALIKE:
            raise Unfit(f"{peer.name}: {case.name} cost {asked} requests an event")
        self._say(f"{peer.name}: {case.name} cost {asked} origin requests an event")

    # Closed ranges

    def _hits(self) -> None:
        if not self._plan.hits:
            return
        with ExitStack() as stack:
            servers = {
                peer.name: stack.enter_context(peer.start(self._origin.url, Work.HITS))
                for peer in self._peers
            }
            for case in self._plan.hits:
                self._turns(case, servers)

    def _turns(self, case: HitsCase, servers: dict[str, Served]) -> None:
        path = f"/v1/stream/hits-{case.size}"
        for writes in {served.writes for served in servers.values()}:
            _put(writes + path, b"x" * case.size)
        for name, served in servers.items():
            self._load(PEERS[name], served, path, case, seconds=1)
        for number in range(self._plan.rounds):
            for name, served in servers.items():
                told = self._load(PEERS[name], served, path, case, self._plan.seconds)
                self._keep(number, case, name, told)

    def _load(
        self, peer: Peer, served: Served, path: str, case: HitsCase, seconds: int
    ) -> Figures:
        words = ["hits", f"{served.url}{path}?offset=-1", "--seconds", str(seconds)]
        words += ["--connections", str(CONNECTIONS)]
        for name, value in _credential(peer.name).items():
            words += ["--header", f"{name}: {value}"]
        return ask([*words, *(["--different-heads"] if case.different_heads else [])])

    # Crowds

    def _crowd(
        self,
        peer: Peer,
        case: FanoutCase,
        events: int | None = None,
        warmup: float | None = None,
    ) -> Figures:
        events = events or self._plan.events
        warmup = self._plan.warmup if warmup is None else warmup
        path = f"/v1/stream/crowd-{uuid.uuid4().hex}"
        words = [f"--viewers={case.viewers}", f"--events={events}", f"--size={EVENT}"]
        words += [f"--mode={case.work}", f"--rate={1 / case.period}"]
        with ExitStack() as stack:
            served = stack.enter_context(peer.start(self._origin.url, case.work))
            if peer.tokens is not None:
                tokens = stack.enter_context(tempfile.NamedTemporaryFile("w"))
                tokens.write("\n".join(peer.tokens(case.viewers)))
                tokens.flush()
                words += ["--tokens", tokens.name]
            words += [f"--warmup={warmup}", f"--pid={served.pid}"]
            words += ["--write-to", served.writes + path]
            told = ask(["fanout", served.url + path, *words])
            if served.metrics is not None:
                told["longest_collection_ms"] = _longest_collection(served.metrics)
        if peer.shares and "events" in told:
            told["origin_requests_per_event"] = between(self._reads(path))
        return told

    def _reads(self, path: str) -> list[int]:
        """Reads of a stream that came to the origin, by appends before them."""
        assert self._origin.counts is not None
        counts = requests.get(self._origin.counts, timeout=10).json()
        found: list[int] = counts.get(path, [])
        return found

    def _keep(self, number: int, case: Case, peer: str, told: Figures) -> None:
        self.samples.append(Sample(number, case, peer, told))
        self._say(f"round {number + 1}: {case.name}: {peer}: {short(told)}")


def ask(words: list[str]) -> Figures:
    """One run of ``ds-edge bench``: what it measured; ``error`` if it says so."""
    command = [*TETHER, *ds_edge("bench", *words, "--json")]
    with on_core(GENERATOR):
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE
        )
    try:
        told: Figures = json.loads(done.stdout)
    except json.JSONDecodeError:
        raise Unfit(f"ds-edge bench {' '.join(words)}: {done.stderr}") from None
    return told


def between(reads: list[int]) -> float | None:
    """Origin requests from one event to the next, on average.

    ``reads`` by appends before them: while the crowd comes, after the event that does
    not count, after each that does; who leaves after the last one is not counted.
    """
    counted = reads[2:-1]
    return round(sum(counted) / len(counted), 3) if counted else None


@cache
def _credential(name: str) -> Mapping[str, str]:
    """The header field that a reader of this server needs."""
    make = PEERS[name].tokens
    return {} if make is None else {"Authorization": f"Bearer {make(1)[0]}"}


def short(told: Figures) -> str:
    """A measurement in a few words."""
    if "error" in told:
        return f"failed: {told['error']}"
    if told["kind"] in ("hits", "writes"):
        return f"{told['requests_per_second']:,.0f} requests/s"
    if told["kind"] in ("streams", "tokens"):
        return f"{told['delivered_per_second']:,.0f} events/s"
    if told["kind"] == "single":
        return f"{told['ms']['p50']:.2f} ms"
    return f"the last of {told['viewers']:,} after {told['last_ms']['p50']:.1f} ms"


def _longest_collection(metrics: str) -> float:
    """Milliseconds that the longest full garbage collection stopped an edge."""
    page = requests.get(metrics, timeout=10).text
    pattern = r"^ds_edge_longest_collection_seconds (\S+)"
    (seconds,) = re.findall(pattern, page, re.MULTILINE)
    return round(float(seconds) * 1000, 3)


def _put(url: str, body: bytes) -> None:
    """A closed stream; it may be there already."""
    fields = {"Content-Type": "text/plain", "Stream-Closed": "true"}
    requests.put(url, body, headers=fields, timeout=10).raise_for_status()
