"""Conducts a fan-out: viewers connect, events are appended, times are taken.

The first event does not count: it warms up what is made at first use. Events are
appended at their times as soon as the last append is answered, even if viewers still
wait for the last event. The run ends when an event has not reached every viewer within
the patience. Nothing is painted while an event is on its way.
"""

import gc
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from edge.cli.bench.appender import Appender, BenchStream, stream
from edge.cli.bench.costs import CpuUsage, ProcessTree, allow_files, origin_reads
from edge.cli.bench.crowd import FanoutCrowd, Tally
from edge.cli.bench.plan import FanoutPlan
from edge.cli.bench.progress import Bar
from edge.cli.bench.quantiles import grid, summary
from edge.cli.bench.requests import target
from edge.cli.bench.results import FanoutFigures
from edge.cli.bench.viewer_reader import EventMarkers
from edge.cli.bench.wire import PlainWire, TlsWire
from edge.cli.streams.exit_faults import Exit, Fault

MIN_READ = 4096
PAINTED_EVERY = 0.2
"""Seconds between two looks of a bar, where there is time to paint it."""


BASELINE_VIEWERS = 16
"""Viewers that connect before memory is measured. What a server allocates at its first
use is not counted for the others."""


@dataclass(slots=True)
class Costs:
    """What was counted beside the times; None if it was not asked for."""

    memory: float | None = None
    """KiB for each viewer."""
    cpu: float | None = None
    origin: float | None = None


class Fanout:
    """One run. ``figures`` tells what was measured, also when it was cut short."""

    def __init__(self, plan: FanoutPlan, bar: Bar) -> None:
        allow_files("--viewers", plan.viewers)
        self._plan = plan
        self._bar = bar
        self._target = target(plan.address, plan.fields)
        self._writes = target(plan.write_to, plan.fields)
        self._processes = None if plan.pid is None else ProcessTree(plan.pid)
        self._markers = EventMarkers(uuid.uuid4().hex[:8])
        self._cpu_usage = CpuUsage()
        self._oldest = 0
        self._spent = Costs()
        self._crowd: FanoutCrowd
        self._appender: Appender
        self._begun = False

    def run(self) -> None:
        """All of it. Raises Fault."""
        plan = self._plan
        self._origin()  # if it cannot be asked, the run fails before anybody connects
        with ExitStack() as stack:
            found = stack.enter_context(
                stream(plan.write_to, plan.fields, plan.mode, plan.keep)
            )
            stack.enter_context(_no_collections())
            self._gather(found)
            stack.callback(self._crowd.close)
            stack.callback(self._appender.close)
            self._park(found.offset)
            self._append()
            self._until(lambda: not self._open())
            self._measure()

    def _gather(self, found: BenchStream) -> None:
        plan = self._plan
        piece = max(MIN_READ, 2 * plan.size + MIN_READ // 2)
        secure = self._target.tls_name or self._writes.tls_name
        wire = TlsWire() if secure else PlainWire()
        self._crowd = FanoutCrowd(
            self._target, plan.mode, self._markers, piece, wire, plan.tokens
        )
        self._appender = Appender(
            *(self._writes, self._crowd, self._markers),
            *(plan.size, found.content_type, wire),
        )

    def _park(self, offset: str) -> None:
        """Connect every viewer, then wait for the warm-up."""
        viewers = self._plan.viewers
        first = min(BASELINE_VIEWERS, viewers // 2)
        self._crowd.join(first, offset)
        self._arrive(first)
        before = self._memory()
        self._crowd.join(viewers - first, offset)
        self._arrive(viewers)
        self._idle(self._plan.warmup)
        after = self._memory()
        if before is not None and after is not None:
            self._spent.memory = (after - before) / (viewers - first)

    def _arrive(self, viewers: int) -> None:
        """Wait until so many have connected. Raises Fault when no further one does."""
        came, since, painted = 0, time.monotonic(), 0.0
        while came < viewers:
            self._crowd.turn(0.1)
            now, before, came = time.monotonic(), came, self._crowd.live
            if came > before:
                since = now
            elif now - since > self._plan.patience:
                raise Fault(Exit.UNREACHABLE, f"{came} of {viewers} viewers came")
            if now - painted > PAINTED_EVERY:
                self._bar.show("viewers", came, viewers)
                painted = now

    def _idle(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._crowd.turn(left)

    def _measure(self) -> None:
        """The events that count."""
        origin, cpu = self._origin(), self._cpu()
        self._cpu_usage, self._crowd.tally = CpuUsage(), Tally()
        self._begun = True
        # Not at once: viewers are still asking again after the event before.
        start = time.monotonic() + 1 / self._plan.rate
        for number in range(self._plan.events):
            self._wait_for(start + number / self._plan.rate)
            self._append()
        self._until(lambda: not self._open())
        # The last append's answer may come after the last viewer's.
        self._until(lambda: not self._appender.busy)
        self._spent.cpu = _difference(cpu, self._cpu())
        self._spent.origin = _difference(origin, self._origin())

    def _wait_for(self, due: float) -> None:
        def ready() -> bool:
            return time.monotonic() >= due and not self._appender.busy

        self._until(ready, due)

    def _append(self) -> None:
        self._cpu_usage.begin()
        self._appender.append()

    def _open(self) -> bool:
        """Whether some event has not reached every viewer yet."""
        return self._oldest < len(self._appender.begun)

    def _until(self, ready: Callable[[], bool], due: float | None = None) -> None:
        """Turn until ``ready``; it is looked at again at ``due``."""
        while not ready():
            now = time.monotonic()
            patience = min(1.0, due - now) if due and due > now else 1.0
            self._crowd.turn(patience)
            self._look()

    def _look(self) -> None:
        """Note what this turn completed. Raises Fault when something takes too long."""
        begun, viewers = self._appender.begun, self._plan.viewers
        while self._open() and self._crowd.delivered(self._oldest) >= viewers:
            self._oldest += 1
            if not self._open():
                self._cpu_usage.end()
                self._bar.show("events", max(0, self._oldest - 1), self._plan.events)
        late = time.monotonic() - self._plan.patience
        if self._open() and begun[self._oldest] < late:
            came = self._crowd.delivered(self._oldest)
            self._cpu_usage.end()
            raise Fault(
                Exit.FAILED,
                f"event {self._oldest}: {came} of {viewers} viewers had it "
                f"within {self._plan.patience:g} s",
            )
        if self._appender.busy and begun[-1] < late:
            raise Fault(Exit.UNREACHABLE, "an append had no answer in time")

    def _memory(self) -> int | None:
        return None if self._processes is None else self._processes.memory_kib()

    def _cpu(self) -> float | None:
        return None if self._processes is None else self._processes.cpu_seconds()

    def _origin(self) -> float | None:
        asked = self._plan.metrics
        return None if asked is None else origin_reads(asked)

    def figures(self) -> FanoutFigures | None:
        """What was measured so far; None before the first event that counts."""
        if not self._begun or len(self._appender.begun) < 2:
            return None
        return self._figures()

    def _figures(self) -> FanoutFigures:
        plan, spent, tally = self._plan, self._spent, self._crowd.tally
        begun, answered = self._appender.begun[1:], self._appender.answered[1:]
        received = self._crowd.received[1:]
        each = [
            [(time_ - start) * 1000 for time_ in times]
            for start, times in zip(begun, received, strict=True)
        ]
        everybody = [times for times in each if len(times) == plan.viewers]
        delivered = sum(map(len, each))
        all_ = [one for times in each for one in times]
        appends = zip(begun, answered, strict=False)
        return FanoutFigures(
            url=plan.address.url(),
            mode=plan.mode,
            viewers=plan.viewers,
            events=len(begun),
            rate=plan.rate,
            size=plan.size,
            origin_requests_per_event=_per(spent.origin, len(begun)),
            first_ms=summary((times[0] for times in each if times), 0.5, 0.99),
            last_ms=summary((times[-1] for times in everybody), 0.5, 0.99),
            each_ms=summary(all_, 0.5, 0.9, 0.99, 0.999),
            append_ms=summary(((b - a) * 1000 for a, b in appends), 0.5, 0.99),
            delivered=delivered,
            expected=plan.viewers * len(begun),
            resumed=tally.resumed,
            repeated=tally.repeated,
            failed=tally.failed,
            generator_cpu_share=round(self._cpu_usage.share, 3),
            generator_us_per_message=_per(self._cpu_usage.cpu, delivered, 1e6),
            memory_per_viewer_kib=_per(spent.memory, 1),
            cpu_per_message_us=_per(spent.cpu, delivered, 1e6),
            latencies_ms=grid(all_),
        )


@contextmanager
def _no_collections() -> Iterator[None]:
    """Without the garbage collector: what the crowd makes has no cycles."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


def _per(amount: float | None, by: int, unit: float = 1.0) -> float | None:
    return None if amount is None or not by else round(amount * unit / by, 3)
