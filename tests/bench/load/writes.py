"""Writes through a server: how many a second, how long each takes, what each costs.

Each connection appends to a stream of its own, one after the other, for some seconds.
A first second does not count. In the end every stream is read where it is kept: each
acknowledged event must be there once, in order.
"""

import gc
import time
import uuid
from contextlib import ExitStack
from dataclasses import dataclass

from edge.cli.bench.quantiles import summary
from tests.bench.load.events import EventText, Wrong
from tests.bench.load.kept import Kept, address, expect, request
from tests.bench.load.loop import Loop
from tests.bench.load.processes import Spent
from tests.bench.load.streams import JSON, Figures, per
from tests.bench.load.writers import Pace, Writers

WARM_UP = 0.5
STEP = 0.2
MAX_BYTES = 256 * 1024 * 1024
"""Of all events together: they stay in the origin's memory."""


@dataclass(frozen=True, slots=True)
class WritesPlan:
    """What a run is asked to do. ``url`` and ``origin``: ``http://host:port``."""

    url: str
    origin: str
    """Where the streams are read in the end."""
    connections: int = 1
    size: int = 100
    seconds: float = 3.0
    pid: int | None = None
    origin_pid: int | None = None


class Writes:
    """One run; ``run`` tells what was measured."""

    def __init__(self, plan: WritesPlan) -> None:
        self._plan = plan
        run = uuid.uuid4().hex[:8]
        self._paths = [f"/v1/stream/wrote-{run}-{n}" for n in range(plan.connections)]
        self._text = EventText(run, plan.size)
        self._sent = [0] * plan.connections
        self._server, self._origin = Spent(plan.pid), Spent(plan.origin_pid)

    def run(self) -> Figures:
        """All of it. Raises Wrong, OSError."""
        plan = self._plan
        with ExitStack() as stack:
            gc.disable()  # what is made here has no cycles
            stack.callback(gc.enable)
            setup = Kept(plan.url)
            stack.callback(setup.close)
            self._heads = [self._head(setup, path) for path in self._paths]
            self._loop = Loop()
            stack.callback(self._loop.close)
            count = plan.connections
            self._writers = Writers(
                self._loop, address(plan.url), count, count, self._append
            )
            self._write(WARM_UP)
            self._writers.forget()
            before = sum(self._sent)
            self._server.begin()
            self._origin.begin()
            cpu, begun = time.process_time(), time.monotonic()
            self._write(plan.seconds)
            told = self._figures(
                time.monotonic() - begun,
                sum(self._sent) - before,
                time.process_time() - cpu,
            )
        self._prove()
        return told

    def _head(self, setup: Kept, path: str) -> bytes:
        """Create the stream; the head of its appends."""
        expect(setup.ask("PUT", path, b"", JSON), f"PUT {path}", 201)
        body = self._text.body(0, 0)
        whole = request("POST", setup.host, path, body, JSON)
        return whole.removesuffix(body)

    def _append(self, stream: int, now: float) -> bytes:
        number = self._sent[stream]
        self._sent[stream] += 1
        return self._heads[stream] + self._text.body(stream, number)

    def _write(self, seconds: float) -> None:
        left = MAX_BYTES // self._plan.size - sum(self._sent)
        until = time.monotonic() + seconds
        self._writers.begin(left, Pace.FLOOD, time.monotonic())
        while (now := time.monotonic()) < until and not self._writers.done:
            self._loop.turn(min(STEP, until - now))
        self._writers.stop()
        late = time.monotonic() + STEP * 100
        while not self._writers.done:
            self._loop.turn(STEP)
            if time.monotonic() > late:
                raise Wrong("an append had no answer in time")

    def _figures(self, seconds: float, writes: int, own: float) -> Figures:
        server, origin = self._server.seconds, self._origin.seconds
        waited = [t * 1000 for t in self._writers.waited]
        return {
            "kind": "writes",
            "connections": self._plan.connections,
            "size": self._plan.size,
            "seconds": round(seconds, 3),
            "requests": writes,
            "requests_per_second": round(writes / seconds, 1),
            "latency_ms": summary(waited, 0.5, 0.99),
            "cpu_per_request_us": per(server, writes, 1e6),
            "origin_cpu_per_request_us": per(origin, writes, 1e6),
            "server_cpu_share": per(server, seconds),
            "generator_us_per_request": per(own, writes, 1e6),
            "generator_cpu_share": per(own, seconds),
        }

    def _prove(self) -> None:
        """Every event is kept, once and in order. Raises Wrong."""
        reader = Kept(self._plan.origin)
        try:
            for stream, path in enumerate(self._paths):
                self._prove_one(reader, stream, path)
        finally:
            reader.close()

    def _prove_one(self, reader: Kept, stream: int, path: str) -> None:
        offset, expected = "-1", 0
        while True:
            told = expect(reader.ask("GET", f"{path}?offset={offset}"), path, 200)
            for name, number in self._text.found(told.body):
                if (int(name), int(number)) != (stream, expected):
                    raise Wrong(f"{path}: {number!r} stands where {expected} was due")
                expected += 1
            if expected == self._sent[stream]:
                return
            if told.head.offset.decode() == offset:
                raise Wrong(f"{path}: {expected} of {self._sent[stream]} events")
            offset = told.head.offset.decode()
