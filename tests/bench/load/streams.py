"""Many small streams, a few viewers each: what an event costs, and when it is there.

The streams are made where they are written, the viewers connect, and one event each
that does not count goes to all of them. Then the events come: as fast as the writers
are answered, or at a rate. The run ends when every viewer has every event; it is wrong
if one is missing after ``patience`` seconds without any that came.

A server that refuses viewers is another matter (``refusing``): what it delivered is
told, and how often it refused.
"""

import gc
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from edge.cli import open_files
from edge.cli.bench.quantiles import summary
from tests.bench.load.events import EventText, Journal, Wrong
from tests.bench.load.kept import Kept, address, expect
from tests.bench.load.loop import Loop
from tests.bench.load.processes import Spent, connections
from tests.bench.load.viewers import VIEWERS, Audience, Viewer
from tests.bench.load.writers import Pace, Writers

Figures = dict[str, Any]

JSON = "Content-Type: application/json"
AT_ONCE = 64
"""Viewers that connect before the servers are looked after."""
SETTLED = 0.3
"""Seconds of rest between the event that does not count and the first that does."""
STEP = 0.2


@dataclass(frozen=True, slots=True)
class StreamsPlan:
    """What a run is asked to do. ``url`` and ``writes``: ``http://host:port``."""

    url: str
    writes: str
    streams: int
    viewers: int = 1
    """Of each stream."""
    mode: str = "sse"
    events: int = 20_000
    """That count, of all streams together; at most."""
    seconds: float | None = None
    """No event is begun later than this."""
    rate: float | None = None
    """Events a second of each stream; None: as fast as writers are answered."""
    lockstep: bool = False
    """A stream's next event waits until all its viewers have the last one."""
    writers: int = 16
    size: int = 100
    patience: float = 20.0
    pid: int | None = None
    origin: str | None = None
    """The origin behind: its connections from the server are counted."""
    origin_pid: int | None = None
    refusing: bool = False


class ManyStreams:
    """One run; ``run`` tells what was measured."""

    def __init__(self, plan: StreamsPlan) -> None:
        self._plan = plan
        run = uuid.uuid4().hex[:8]
        self._paths = [f"/v1/stream/many-{run}-{n}" for n in range(plan.streams)]
        self._text = EventText(run, plan.size)
        self._journal = Journal(plan.streams, plan.viewers)
        self._server, self._origin = Spent(plan.pid), Spent(plan.origin_pid)
        self._viewers: list[Viewer] = []
        self._progressed = 0.0
        self._loop: Loop
        self._heads: list[bytes]
        self._writers: Writers
        self._audience: Audience

    def run(self) -> Figures:
        """All of it. Raises Wrong, OSError."""
        plan = self._plan
        open_files.raise_to_hard_limit()
        with ExitStack() as stack:
            gc.disable()  # what is made here has no cycles
            stack.callback(gc.enable)
            setup = Kept(plan.writes)
            stack.callback(setup.close)
            offset = self._create(setup)
            self._loop = Loop()
            stack.callback(self._loop.close)
            self._heads = self._requests(setup.host)
            self._writers = Writers(
                *(self._loop, address(plan.writes), plan.streams),
                *(plan.writers, self._append),
            )
            self._arrive(offset)
            self._warm_up()
            return self._measure()

    def _create(self, setup: Kept) -> str:
        for path in self._paths:
            made = expect(setup.ask("PUT", path, b"", JSON), f"PUT {path}", 201)
        return made.head.offset.decode()

    def _requests(self, host: str) -> list[bytes]:
        """The heads of appends, one for each stream: all have the same length."""
        size = self._plan.size
        return [
            f"POST {path} HTTP/1.1\r\nHost: {host}\r\n{JSON}\r\n"
            f"Content-Length: {size}\r\n\r\n".encode()
            for path in self._paths
        ]

    def _append(self, stream: int, now: float) -> bytes:
        number = self._journal.begin(stream, now)
        return self._heads[stream] + self._text.body(stream, number)

    def _arrive(self, offset: str) -> None:
        """Connect all viewers, a few at once."""
        plan = self._plan
        where = address(plan.url), urlsplit(plan.url).netloc
        self._audience = Audience(self._loop, *where, self._text, self._journal)
        make = VIEWERS[plan.mode]
        for _ in range(plan.viewers):
            for stream, path in enumerate(self._paths):
                viewer = make(self._audience, stream, path, offset)
                viewer.connect()
                self._viewers.append(viewer)
                if len(self._viewers) % AT_ONCE == 0:
                    self._until(self._not_here, "viewers connected")
        self._until(self._not_here, "viewers connected")

    def _not_here(self) -> int:
        """Of the latest viewers; a server that refuses is not waited for."""
        if self._plan.refusing:
            return 0
        return sum(not viewer.here for viewer in self._viewers[-2 * AT_ONCE :])

    def _warm_up(self) -> None:
        """One event to each stream."""
        self._writers.begin(self._plan.streams, Pace.READY, time.monotonic())
        self._until(self._missing, "viewers had the event that does not count")
        rest = time.monotonic() + SETTLED
        while time.monotonic() < rest:
            self._turn()
        self._writers.forget()

    def _missing(self) -> int:
        """Events that have not come yet, and appends under way."""
        return self._journal.missing + (not self._writers.done)

    def _turn(self) -> None:
        now = time.monotonic()
        patience = min(self._writers.look(now), STEP)
        self._audience.look(now)
        self._loop.turn(patience)

    def _until(self, missing: Callable[[], int], what: str) -> None:
        """Turn until nothing is missing. Raises Wrong when nothing comes any more."""
        heard, self._progressed = -1, time.monotonic()
        while left := missing():
            self._turn()
            now = time.monotonic()
            progress = self._journal.receptions - left
            if progress != heard:
                heard, self._progressed = progress, now
            elif now - self._progressed > self._plan.patience:
                if self._plan.refusing:
                    return
                told = self._audience.tally
                raise Wrong(f"not all {what}: {left} missing; {told}")

    def _measure(self) -> Figures:
        plan, journal = self._plan, self._journal
        journal.receptions = 0
        self._server.begin()
        self._origin.begin()
        cpu, begun = time.process_time(), time.monotonic()
        self._writers.begin(plan.events, self._pace(), begun)
        if plan.seconds is not None:
            until = begun + plan.seconds
            while time.monotonic() < until and not self._writers.done:
                self._turn()
            self._writers.stop()
        self._until(self._missing, "events came")
        # Where viewers are refused, the last patience brought nothing.
        seconds = self._progressed - begun
        spent = self._server.seconds, self._origin.seconds
        return self._figures(seconds, time.process_time() - cpu, *spent)

    def _pace(self) -> Pace | float:
        """How events are due; in lockstep, viewers say when a stream is ready."""
        if self._plan.rate is not None:
            return self._plan.rate * self._plan.streams
        if not self._plan.lockstep:
            return Pace.FLOOD
        viewers = self._plan.viewers
        left = [viewers] * self._plan.streams

        def reached(stream: int) -> None:
            left[stream] -= 1
            if not left[stream]:
                left[stream] = viewers
                self._writers.ready(stream)

        self._audience.reached = reached
        return Pace.READY

    def _figures(
        self, seconds: float, own: float, server: float | None, origin: float | None
    ) -> Figures:
        plan, journal = self._plan, self._journal
        events = sum(len(times) - 1 for times in journal.sent)
        received = len(journal.waited)
        told, port = self._audience.tally, urlsplit(plan.origin or "").port
        used = None
        if plan.pid is not None and port is not None:
            used = connections(plan.pid, port)
        return {
            "kind": "streams",
            "mode": plan.mode,
            "streams": plan.streams,
            "viewers": plan.viewers,
            "lockstep": plan.lockstep,
            "events": events,
            "asked_per_second": None if plan.rate is None else plan.rate * plan.streams,
            "seconds": round(seconds, 3),
            "delivered": received,
            "expected": events * plan.viewers,
            "delivered_per_second": round(received / seconds, 1),
            "events_per_second": round(events / seconds, 1),
            "events_per_reception": per(received, journal.receptions),
            "latency_ms": summary((t * 1000 for t in journal.waited), 0.5, 0.99),
            "append_ms": summary((t * 1000 for t in self._writers.waited), 0.5, 0.99),
            "cpu_per_event_us": per(server, events, 1e6),
            "origin_cpu_per_event_us": per(origin, events, 1e6),
            "server_cpu_share": per(server, seconds),
            "generator_us_per_event": per(own, events, 1e6),
            "generator_cpu_share": per(own, seconds),
            "origin_connections": used,
            "refused": sum(told.refused.values()),
            "statuses": {str(status): n for status, n in told.refused.items()},
            "short": told.short,
            "broken": told.broken,
            "ended": told.ended,
        }


def per(amount: float | None, by: float, unit: float = 1.0) -> float | None:
    """``amount`` by so many, in such a unit; None if it was not measured."""
    return None if amount is None or not by else round(amount * unit / by, 3)
