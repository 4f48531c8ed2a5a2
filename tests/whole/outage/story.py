"""The story: an origin is killed, is hidden by a page of 503, is back, is back empty.

``tell`` lets it happen, with real processes, and says what was met in each phase:

============ =====================================================================
calm         all is well
killed       the origin was killed, and nobody listens at its address
503          a proxy at its address answers 503
back         it is back with all its streams
gone         it was killed and is back with an empty folder: the stream is not there
made again   the stream was created again, through a PoP, and is written
============ =====================================================================

A phase lasts until each reader and the writer have asked ``rounds`` times, and until
everybody has what there is to have in it.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.patience import until
from tests.support.processes import (
    Edge,
    NodeOrigin,
    Process,
    edge,
    free_port,
    node_origin,
    running,
)
from tests.support.talk import ask
from tests.whole.outage.audience import (
    LAST,
    PATH,
    Asking,
    Reader,
    Viewer,
    Writer,
    judge,
)
from tests.whole.outage.tally import Phase, Tally

HELD = 5
"""Messages that are there before anybody comes."""

PATIENCE = 60.0
MODES = ("long-poll", "sse")
KILLED = ("killed", "gone")
"""Phases that begin with the origin's death."""

REGIONS = ("east", "west")


@dataclass(frozen=True)
class Plan:
    """How large and how long. ``viewers``: of each mode, in each region."""

    viewers: int = 20
    rounds: int = 20
    pace: float = 1.0
    long_poll: str = "5s"
    sse: str = "10s"


@dataclass
class Told:
    """One phase. ``origin``: requests that reached the switch, by what became of them.
    ``counters``: how far the shield's and the PoPs' counters went; ``log``: what they
    logged, but for requests."""

    phase: Phase
    seconds: float
    origin: Counter[str]
    counters: dict[str, Counter[str]]
    log: dict[str, Counter[str]]


@dataclass
class Story:
    """What was met, phase by phase, and what may not be (``wrong``)."""

    told: dict[str, Told] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


@dataclass
class Switch:
    """The proxy before the origin."""

    url: str
    process: Process

    def order(self, word: str) -> Counter[str]:
        """What it did so far; from now on it does this."""
        given, answers = self.process.handle.stdin, self.process.handle.stdout
        assert given is not None and answers is not None
        given.write(f"{word}\n".encode())
        given.flush()
        return Counter(json.loads(answers.readline()))


@contextlib.contextmanager
def switch(origin_port: int) -> Iterator[Switch]:
    port = free_port()
    module = [sys.executable, "-m", "tests.whole.outage.switch"]
    command = [*module, str(port), str(origin_port)]
    with running("switch", command, stdout=subprocess.PIPE) as process:
        assert process.handle.stdout is not None
        with process.handle.stdout:
            made = Switch(f"http://127.0.0.1:{port}", process)
            made.order("pass")
            yield made


@dataclass
class House:
    """All that runs. ``nodes``: the shield and the PoPs, by name."""

    switch: Switch
    nodes: dict[str, Edge]
    port: int
    stack: contextlib.ExitStack
    origin: NodeOrigin | None = None

    @property
    def pops(self) -> tuple[str, ...]:
        return tuple(self.nodes[name].url for name in REGIONS)

    def begin(self, folder: Path) -> None:
        """The origin runs, with the streams of this folder."""
        folder.mkdir(exist_ok=True)
        started = node_origin(30_000, port=self.port, dataDir=str(folder))
        self.origin = self.stack.enter_context(started)

    def kill(self) -> None:
        assert self.origin is not None
        os.killpg(self.origin.process.pid, signal.SIGKILL)
        self.origin.process.handle.wait()

    def read(self) -> bytes:
        """The whole stream, from the origin itself."""
        assert self.origin is not None
        read, offset = b"", "-1"
        while True:
            url = f"{self.origin.url}{PATH}?offset={offset}"
            status, fields, body = ask(url, connection="close")
            assert status == 200, status
            read, offset = read + body, fields["stream-next-offset"]
            if "stream-up-to-date" in fields:
                return read


@contextlib.contextmanager
def house(plan: Plan) -> Iterator[House]:
    live = {"long_poll_timeout": plan.long_poll, "sse_lifetime": plan.sse}
    with contextlib.ExitStack() as stack:
        port = free_port()
        before = stack.enter_context(switch(port))
        shield = stack.enter_context(_node("shield", before.url))
        nodes = {"shield": shield}
        for name in REGIONS:
            nodes[name] = stack.enter_context(_node(name, shield.url, **live))
        yield House(before, nodes, port, stack)


def _node(
    name: str, origin: str, **live: str
) -> contextlib.AbstractContextManager[Edge]:
    return edge(origin, node={"name": name}, live=live, log={"access": "off"})


class Teller:
    """Lets the phases happen, and looks at everything between two of them."""

    def __init__(self, house: House, plan: Plan, folder: Path) -> None:
        self._house = house
        self._plan = plan
        self._folder = folder
        self._tally = Tally()
        self._seen: dict[str, Counter[str]] = {}
        self._logged: dict[str, int] = {}
        self._logs: dict[str, bytes] = {}
        self._writer = Writer(self._tally, 0, plan.pace, house.pops)
        self._crowd: list[Viewer] = []
        self._readers: list[Reader] = []
        self.story = Story()

    def tell(self) -> Story:
        """The whole story. Raises TimeoutError if somebody never has what he wants,
        and AssertionError if somebody met what may not be."""
        phases = {
            "calm": self._calm,
            "killed": self._killed,
            "503": self._answers_503,
            "back": self._back,
            "gone": self._gone,
            "made again": self._made_again,
        }
        try:
            self._tell(phases)
        finally:
            for one in self._clients:
                one.stop.set()
        self._judge()
        return self.story

    def _tell(self, phases: Mapping[str, Callable[[], None]]) -> None:
        self._house.begin(self._folder / "first")
        offset = self._fill()
        for name, happens in phases.items():
            with self._writer.turn:
                if name in KILLED:
                    self._all_came_down()
                phase, begun = self._tally.begin(name), time.monotonic()
                self._look()
                if name in KILLED:
                    self._kill(hidden=name == "killed")
            if name == "calm":
                self._begin_clients(offset)
            happens()
            self._end(phase, time.monotonic() - begun)

    def _fill(self) -> str:
        """The stream, with a few messages; where it ends."""
        pop = self._house.pops[0]
        text = "text/plain"
        assert ask(f"{pop}{PATH}", "PUT", content_type=text)[0] == 201
        self._tally.begin("before")
        for number in range(LAST - HELD, LAST):
            assert self._writer.write(number)
        return ask(f"{pop}{PATH}", "HEAD", connection="close")[1]["stream-next-offset"]

    def _begin_clients(self, offset: str) -> None:
        plan, pops = self._plan, self._house.pops
        place = HELD * len(b"A000000;")
        for pop in pops:
            number = len(self._readers)
            reader = Reader(self._tally, number, plan.pace, pop, self._writer)
            self._readers.append(reader)
            for mode in MODES * plan.viewers:
                number = len(self._crowd)
                self._crowd.append(
                    Viewer(self._tally, number, plan.pace, pop, mode, offset, place)
                )
        for one in self._clients:
            one.start()

    @property
    def _clients(self) -> list[Asking]:
        return [*self._crowd, *self._readers, self._writer]

    # The phases.

    def _calm(self) -> None:
        self._everybody_has("bytes")
        self._rounds()

    def _all_came_down(self) -> None:
        """Everybody has all that the origin has; nobody writes. What comes down later
        would be told of the next phase."""
        log = self._logs["A"] = self._house.read()
        until(lambda: all(one.parts[-1].end == len(log) for one in self._crowd))

    def _kill(self, hidden: bool) -> None:
        """``hidden``: nobody listens at its address from now on."""
        if hidden:
            self._house.switch.order("refuse")
        self._house.kill()
        # What was acknowledged a moment ago may not have come down to readers yet.
        self._writer.last.clear()

    def _killed(self) -> None:
        self._rounds()

    def _answers_503(self) -> None:
        self._house.switch.order("503")
        self._rounds()

    def _back(self) -> None:
        self._house.begin(self._folder / "first")
        self._house.switch.order("pass")
        self._tally.restart_clock()
        self._everybody_has("bytes")
        self._readers_have("fresh A")
        self._rounds()

    def _gone(self) -> None:
        self._house.begin(self._folder / "second")
        self._tally.restart_clock()
        self._readers_have("gone")
        self._everybody_has("gone")
        self._rounds()

    def _made_again(self) -> None:
        self._writer.life = "B"
        made = ask(f"{self._house.pops[0]}{PATH}", "PUT", content_type="text/plain")
        assert made[0] == 201, made
        self._rounds()
        self._readers_have("fresh B")
        self._writer.stop.set()
        self._writer.join()
        assert self._writer.write(LAST)
        for one in self._crowd:
            one.join(PATIENCE)
        for reader in self._readers:
            reader.stop.set()
            reader.join()
        # Nobody met anything odd since.
        self._tally.await_met({}, 0)
        self._logs["B"] = self._house.read()

    def _rounds(self) -> None:
        """Each reader and the writer ask so many times, from now on."""
        phase, rounds = self._tally.phases[-1], self._plan.rounds
        least = {"catch-up": rounds * len(self._readers), "writer": rounds}
        wanted = {who: phase.count(who) + more for who, more in least.items()}
        self._tally.await_met(wanted, PATIENCE + rounds * self._plan.pace)

    def _everybody_has(self, what: str) -> None:
        each = self._plan.viewers * len(REGIONS)
        self._tally.await_first({f"{mode} {what}": each for mode in MODES}, PATIENCE)

    def _readers_have(self, what: str) -> None:
        wanted = {f"catch-up {what}": len(self._readers)}
        self._tally.await_first(wanted, PATIENCE)

    # Between two phases.

    def _look(self) -> dict[str, Counter[str]]:
        """How far everything has counted since the last look."""
        now = {"origin": self._house.switch.order("counts")}
        for name, node in self._house.nodes.items():
            now[name] = counters(node)
        grown = {name: now[name] - self._seen.get(name, Counter()) for name in now}
        self._seen = now
        return grown

    def _log(self) -> dict[str, Counter[str]]:
        """What was logged since the last look, but for requests."""
        found = {}
        for name, node in self._house.nodes.items():
            lines = node.process.log.read_text().splitlines()
            new = lines[self._logged.get(name, 0) :]
            self._logged[name] = len(lines)
            found[name] = Counter(_event(line) for line in new)
        return found

    def _end(self, phase: Phase, seconds: float) -> None:
        grown = self._look()
        origin = grown.pop("origin")
        self.story.told[phase.name] = Told(phase, seconds, origin, grown, self._log())

    def _judge(self) -> None:
        wrong = self.story.wrong
        for viewer in self._crowd:
            wrong += judge(viewer.parts, self._logs)
            last = viewer.parts[-1]
            if last.data != self._logs["B"]:
                wrong.append(f"{viewer.kind} {viewer.number} has not all: {last}")
        for reader in self._readers:
            wrong += judge(reader.parts, self._logs)
        wrong += self._writer.missing(self._logs)


def counters(node: Edge) -> Counter[str]:
    """The node's counters, by name and label: ``origin_faults origin-refused``."""
    page = ask(f"{node.admin}/metrics", connection="close")[2].decode()
    line = r'^ds_edge_(\w+?)(?:_total)?(?:\{\w+="([^"]*)"\})? (\d+)(?:\.0)?$'
    found = re.findall(line, page, re.MULTILINE)
    return Counter({f"{name} {label}".strip(): int(n) for name, label, n in found})


def _event(line: str) -> str:
    try:
        said = json.loads(line)
    except ValueError:
        return line
    return " ".join(str(said[key]) for key in ("message", "reason") if key in said)


def tell(plan: Plan, folder: Path) -> Story:
    """Let it happen. The folder is empty, and keeps the origin's streams."""
    with house(plan) as made:
        return Teller(made, plan, folder).tell()
