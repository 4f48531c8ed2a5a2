"""When the last of a crowd has an event, by a load that takes no part meanwhile.

On two cores a load that reads 8,000 answers takes as much of them as two fronts save.
Here nobody reads while the edge sends. All viewers wait; the event is appended; the
load sleeps. The answers lie in the sockets, and the kernel notes when each arrived,
because the sockets ask it to (``SO_TIMESTAMPNS``). A second later they are read, with
the time of the last segment of each. What arrives on loopback is delivered within the
sender's own system call, so that work is the edge's. What is left beside the edge is
the origin, with one append and one answer for it, and the load's append.

One worker, on core 0 with the origin on core 1, against two fronts and a keeper on both
cores, event by event in turns, each with a stream and viewers of its own::

    python -m tests.bench.last_viewer
    python -m tests.bench.last_viewer --viewers 4000 --events 5 --mode sse

Times begin when the load sends the append. Each viewer must have exactly what was
appended; else there is no figure. On a machine that is busy with other things the last
viewer waits for a core most of the time, in either shape: so how long the busiest
process ran, and how long it waited to run, stand beside. Prints rows of Markdown.
"""

import argparse
import gc
import math
import os
import socket
import statistics
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from prometheus_client.parser import text_string_to_metric_families

from edge.cli import open_files
from edge.cli.bench.framing import AnswerEnd, AnswerFraming, AnswerHead
from edge.cli.bench.quantiles import quantile
from edge.cli.streams.sse_events import SseParser
from tests.bench.load.events import Wrong
from tests.bench.load.kept import Kept, address, expect, request
from tests.bench.peers import GENERATOR, READY, SERVERS, on_core
from tests.scale.nodes import node
from tests.support.processes import Edge, ProcessFault, edge, node_origin

MODES = ("long-poll", "sse")
TEXT = "Content-Type: text/plain"
SIZE = 100
PIECE = 64 * 1024

SO_TIMESTAMPNS = 35
"""``include/uapi/asm-generic/socket.h``; Python's ``socket`` does not name it. The same
number marks the time that ``recvmsg`` gives with the bytes."""
_TIME = struct.Struct("@qq")

SLEEP_SECONDS = 1.0
"""For so long the load does nothing after an append."""

SETTLED_SECONDS = 0.5
"""For so long all is quiet before the next one."""

PATIENCE = 60.0
STEP = 0.2


@dataclass(frozen=True, slots=True)
class Times:
    """Of one event: when each viewer had it, in order, and when its append was
    answered; ms from the append. ``busiest``: ms of processor time of the process that
    served most, and ``stood``: ms for which that one waited for a core. ``load``: ms of
    processor time that the load took until it read."""

    each: list[float]
    answered: float
    busiest: float
    stood: float
    load: float

    @property
    def last(self) -> float:
        return self.each[-1]

    @property
    def half(self) -> float:
        return quantile(self.each, 0.5)


class ParkedViewer:
    """One viewer: asks, and later reads what has come and when it came."""

    __slots__ = ("_events", "_framing", "_socket", "arrived", "body", "head")

    def __init__(self, at: tuple[str, int], is_sse: bool) -> None:
        self._socket = socket.create_connection(at)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)
        self._framing = AnswerFraming()
        self._events = SseParser() if is_sse else None
        self.head: AnswerHead | None = None
        self.body = b""
        """What has come of the stream since it was last taken."""
        self.arrived = 0
        """When the last of it came, in ns. 0: the kernel did not say, as it begins to
        take times a moment after the first socket has asked for them."""

    def ask(self, asked: bytes) -> None:
        """Send a request; it fits."""
        self._socket.sendall(asked)

    def read(self) -> bool:
        """Take what has come; whether an answer or an event is there. Raises Wrong."""
        try:
            data, notes, _, _ = self._socket.recvmsg(PIECE, 64)
        except BlockingIOError:
            return False
        if not data:
            raise Wrong("a viewer's connection was closed")
        self.arrived = _arrival(notes)
        return any([self._took(part) for part in self._framing.feed(data)])

    def _took(self, part: AnswerHead | bytes | AnswerEnd) -> bool:
        """Whether this part was the last of something."""
        if isinstance(part, AnswerHead):
            self.head = part
        elif isinstance(part, AnswerEnd):
            return True
        elif self._events is None:
            self.body += part
        else:
            # A control event ends what one wake-up brings.
            found = list(self._events.feed(part))
            self.body += b"".join(one.data for one in found if one.type == "data")
            return any(one.type == "control" for one in found)
        return False

    def take(self) -> bytes:
        """What has come; it is the viewer's no more."""
        body, self.body = self.body, b""
        return body

    def close(self) -> None:
        """Leave."""
        self._socket.close()


def _arrival(notes: list[tuple[int, int, bytes]]) -> int:
    for level, kind, data in notes:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
            seconds, ns = _TIME.unpack(data[: _TIME.size])
            return int(seconds) * 10**9 + int(ns)
    return 0


@dataclass(frozen=True, slots=True)
class Shape:
    """An edge that runs, and the processes that accept."""

    name: str
    edge: Edge
    fronts: list[int]

    def waiting(self) -> int:
        """How many live reads it has now, in all its processes."""
        told = requests.get(f"{self.edge.admin}/metrics", timeout=60).text
        return int(
            sum(
                sample.value
                for family in text_string_to_metric_families(told)
                for sample in family.samples
                if sample.name == "ds_edge_viewers"
            )
        )


@dataclass(slots=True)
class ParkedCrowd:
    """The viewers of one stream at one edge. ``spread``: how many each process has."""

    shape: Shape
    origin: str
    mode: str
    viewers: list[ParkedViewer] = field(default_factory=list)
    spread: list[int] = field(default_factory=list)
    times: list[Times] = field(default_factory=list)
    _offset: str = ""
    _cursor: str = ""

    @property
    def path(self) -> str:
        """Its stream."""
        name = self.shape.name.replace(" ", "-").replace(",", "")
        return f"/v1/stream/last-{self.mode}-{name}"

    def park(self, many: int) -> None:
        """Make the stream, and let so many wait for its first event. Raises Wrong."""
        writer = Kept(self.origin)
        made = expect(writer.ask("PUT", self.path, b"", TEXT), "PUT", 201)
        writer.close()
        self._offset = made.head.offset.decode()
        before = [_files(pid) for pid in self.shape.fronts]
        for _ in range(many):
            viewer = ParkedViewer(address(self.shape.edge.url), self.mode == "sse")
            self.viewers.append(viewer)
            viewer.ask(self._request())
        self._wait_until_parked()
        if self.mode == "sse":
            self._read_all("the head of an event stream")
        after = [_files(pid) for pid in self.shape.fronts]
        self.spread = [b - a for a, b in zip(before, after, strict=True)]

    def _request(self) -> bytes:
        query = f"?offset={self._offset}&live={self.mode}"
        query += f"&cursor={self._cursor}" if self._cursor else ""
        return request("GET", urlsplit(self.shape.edge.url).netloc, self.path + query)

    def _wait_until_parked(self) -> None:
        _until(lambda: self.shape.waiting() == len(self.viewers), "are parked")

    def event(self, number: int) -> Times:
        """Append, sleep, then read. Raises Wrong: somebody has another text."""
        text = f"<{self.path} {number:07d}>".encode().rjust(SIZE, b".")
        writer = Kept(self.origin)
        before = [_scheduled(pid) for pid in self.shape.fronts]
        began = time.process_time()
        sent = time.clock_gettime_ns(time.CLOCK_REALTIME)
        expect(writer.ask("POST", self.path, text, TEXT), "POST", 200, 204)
        answered = time.clock_gettime_ns(time.CLOCK_REALTIME)
        time.sleep(SLEEP_SECONDS)
        load = time.process_time() - began
        writer.close()
        self._read_all(f"event {number}")
        after = [_scheduled(pid) for pid in self.shape.fronts]
        for viewer in self.viewers:
            if (found := viewer.take()) != text:
                raise Wrong(f"a viewer had {found!r} in place of {text!r}")
            if not viewer.arrived:
                raise Wrong("the kernel tells no time of arrival")
        arrived = sorted((viewer.arrived - sent) / 1e6 for viewer in self.viewers)
        self._go_on()
        ran, stood = max(
            (b[0] - a[0], b[1] - a[1]) for a, b in zip(before, after, strict=True)
        )
        return Times(arrived, (answered - sent) / 1e6, ran, stood, load * 1000)

    def _read_all(self, what: str) -> None:
        """Read until each viewer has something whole. Raises Wrong."""
        left = self.viewers

        def missing() -> bool:
            nonlocal left
            left = [viewer for viewer in left if not viewer.read()]
            return not left

        _until(missing, f"have {what}")

    def _go_on(self) -> None:
        """Who polls asks again, and all is quiet for a while."""
        if self.mode == "long-poll":
            head = self.viewers[-1].head
            assert head is not None
            self._offset, self._cursor = head.offset.decode(), head.cursor.decode()
            for viewer in self.viewers:
                viewer.ask(self._request())
            self._wait_until_parked()

    def has_left(self) -> bool:
        """Whether the edge has noticed that all have gone."""
        return not self.shape.waiting()

    def close(self) -> None:
        """All leave."""
        for viewer in self.viewers:
            viewer.close()


def _until(happened: Callable[[], bool], what: str) -> None:
    ends = time.monotonic() + PATIENCE
    while not happened():
        if time.monotonic() > ends:
            raise Wrong(f"not all viewers {what} after {PATIENCE:g} s")
        time.sleep(STEP)


def _scheduled(pid: int) -> tuple[float, float]:
    """For how many ms its first thread ran so far, and waited for a core."""
    ran, waited, _ = Path(f"/proc/{pid}/schedstat").read_text().split()
    return int(ran) / 1e6, int(waited) / 1e6


def _files(pid: int) -> int:
    return len(os.listdir(Path(f"/proc/{pid}/fd")))


@contextmanager
def shapes(origin: str) -> Iterator[list[Shape]]:
    """Both edges, before one origin."""
    live = {"sse_lifetime": "10m", "long_poll_timeout": "55s"}
    log = {"access": "off"}
    with ExitStack() as stack:
        with on_core(SERVERS):
            alone = stack.enter_context(edge(origin, live=live, log=log))
        both = stack.enter_context(node(origin, 2, 1, live=live))
        tasks = Path(f"/proc/{alone.process.pid}/task").glob("*/children")
        workers = [int(pid) for one in tasks for pid in one.read_text().split()]
        yield [
            Shape("one worker", alone, workers),
            Shape("2 fronts, 1 keeper", both.edge, both.front_pids()),
        ]


HEAD = (
    "| case | edge (viewers of each process) | last viewer, ms | half of them, ms "
    "| busiest process ran, ms; waited for a core | append answered, load ran, ms "
    "| against one worker: last; half; ran |\n"
    "|---|---|---|---|---|---|---|"
)


def row(crowd: ParkedCrowd, beside: ParkedCrowd) -> str:
    """Medians over events, and the least and the most; the ratios are of events that
    came one after the other, ``beside`` being the one worker's."""
    times, shape = crowd.times, crowd.shape.name
    ratio = ""
    if crowd is not beside:
        names = ("last", "half", "busiest")
        last, half, ran = (_ratios(times, beside.times, name) for name in names)
        ratio = f"**{last}**; {half}; {ran}"
    middle = statistics.median
    return (
        f"| {len(crowd.viewers):,} {crowd.mode} "
        f"| {shape} ({', '.join(f'{n:,}' for n in crowd.spread)}) "
        f"| {_spread([one.last for one in times], '.1f')} "
        f"| {_spread([one.half for one in times], '.1f')} "
        f"| {_spread([one.busiest for one in times], '.1f')}; "
        f"{middle(one.stood for one in times):.1f} "
        f"| {middle(one.answered for one in times):.1f}, "
        f"{middle(one.load for one in times):.1f} | {ratio} |"
    )


def _ratios(times: list[Times], beside: list[Times], name: str) -> str:
    pairs = zip(times, beside, strict=True)
    found = [(getattr(a, name), getattr(b, name)) for a, b in pairs]
    return _spread([a / b if b else math.inf for a, b in found], ".2f")


def _spread(values: list[float], form: str) -> str:
    middle = statistics.median(values)
    return f"{middle:{form}} ({min(values):{form}} to {max(values):{form}})"


def run(modes: tuple[str, ...], viewers: int, events: int) -> None:
    """Measure, and print rows as they come. Raises Wrong, OSError."""
    open_files.raise_to_hard_limit()
    print(HEAD, flush=True)
    many = viewers, events
    with ExitStack() as stack:
        with on_core(GENERATOR):
            origin = stack.enter_context(node_origin(long_poll_ms=55_000))
        requests.put(origin.url + READY, b"ready", timeout=10).raise_for_status()
        both = stack.enter_context(shapes(origin.url))
        for mode in modes:
            _turns([ParkedCrowd(shape, origin.url, mode) for shape in both], *many)


def _turns(crowds: list[ParkedCrowd], viewers: int, events: int) -> None:
    """The same to each crowd, event by event; then they leave."""
    with ExitStack() as stack:
        for crowd in crowds:
            stack.callback(crowd.close)
            crowd.park(viewers)
        # The first does not count: it warms up what is made at first use.
        for number in range(events + 1):
            for crowd in crowds:
                time.sleep(SETTLED_SECONDS)
                times = crowd.event(number)
                if number:
                    crowd.times.append(times)
        for crowd in crowds:
            print(row(crowd, crowds[0]), flush=True)
    for crowd in crowds:
        _until(crowd.has_left, "have left")


def main() -> None:
    """Run it, and tell."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.last_viewer")
    add: Any = parser.add_argument
    add("--mode", choices=MODES, help="this one alone")
    add("--viewers", type=int, default=8_000, help="of each edge")
    add("--events", type=int, default=10, help="that count")
    asked = parser.parse_args()
    gc.disable()  # what is made here has no cycles
    try:
        run((asked.mode,) if asked.mode else MODES, asked.viewers, asked.events)
    except (OSError, ProcessFault, Wrong) as error:
        sys.exit("\n".join([f"last_viewer: {error}", *getattr(error, "__notes__", ())]))


if __name__ == "__main__":
    main()
