"""SpanQueue: finished spans, on their way to a collector.

``put`` takes a span and returns: it never blocks, never switches greenlets, and never
raises. One greenlet has what has gathered exported on a thread of its own, a batch at a
time: to encode hundreds of spans, and to wait for a collector, would hold up the event
loop. Beyond a bound spans are dropped and counted (``spans-full``), and so is a batch
that the collector did not take (``spans-not-taken``). It is not sent again: the next
one waits. That a collector is away is said once in the log, and once when it is back.

Made after the fork: it has a thread. ``stop`` exports what is left, for a bounded time.
"""

import logging
from collections.abc import Callable, Sequence

import gevent
from gevent.event import Event
from gevent.threadpool import ThreadPool

from edge.core.counters import Counters
from edge.core.reasons import Reason
from edge.core.tracing import TraceSpan

_log = logging.getLogger("edge.telemetry")

MAX_SPANS = 8192
"""Spans that wait at once: at 1 KiB or so each, 8 MiB."""

BATCH = 512
"""Spans that are exported together."""

GATHER_SECONDS = 1.0
"""How long spans gather, unless a batch is full before."""

STOP_SECONDS = 2.0
"""How long ``stop`` waits for the last ones to be taken."""

Export = Callable[[Sequence[TraceSpan]], str]
"""Called on a thread: hands spans to a collector. Returns what went wrong, "" for
nothing. Must not raise."""


class SpanQueue:
    """Hands spans to ``export``. ``max_spans`` wait at most."""

    def __init__(
        self,
        export: Export,
        counters: Counters,
        max_spans: int = MAX_SPANS,
        gather: float = GATHER_SECONDS,
    ) -> None:
        self._export = export
        self._counters = counters
        self._max = max_spans
        self._gather = gather
        self._spans: list[TraceSpan] = []
        self._enough = Event()
        self._any = Event()
        self._ending = False
        self._is_away = False
        self._greenlet: gevent.Greenlet[[], None] | None = None

    def __len__(self) -> int:
        return len(self._spans)

    def put(self, span: TraceSpan) -> None:
        """Have ``span`` exported soon."""
        spans = self._spans
        if len(spans) >= self._max:
            self._counters.spans_dropped[Reason.SPANS_FULL.value] += 1
            return
        spans.append(span)
        self._any.set()
        if len(spans) >= BATCH:
            self._enough.set()

    def start(self) -> None:
        """Begin to export in the background."""
        self._greenlet = gevent.spawn(self._run)

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Export what is left, and end. Gives up after so many seconds: what is left
        then is dropped."""
        self._ending = True
        self._any.set()
        self._enough.set()
        if self._greenlet is not None:
            self._greenlet.join(seconds)
            self._greenlet.kill(block=False)
        if self._spans:
            self._drop(len(self._spans), "the edge ended before they were taken")
            self._spans = []

    def _run(self) -> None:
        pool = ThreadPool(1)
        while not self._ending or self._spans:
            self._any.wait()
            if not self._ending:
                self._enough.wait(self._gather)
            batch, self._spans = self._spans[:BATCH], self._spans[BATCH:]
            if not self._spans and not self._ending:
                self._any.clear()
            if len(self._spans) < BATCH and not self._ending:
                self._enough.clear()
            if batch:
                self._told(len(batch), pool.apply(self._export, (batch,)))

    def _told(self, number: int, fault: str) -> None:
        """What became of a batch."""
        if fault:
            self._drop(number, fault)
            return
        self._counters.spans_exported += number
        if self._is_away:
            self._is_away = False
            _log.info("the collector of traces takes spans again")

    def _drop(self, number: int, fault: str) -> None:
        word = Reason.SPANS_NOT_TAKEN.value
        self._counters.spans_dropped[word] += number
        if not self._is_away:
            self._is_away = True
            _log.warning("traces are lost (%s): %s", word, fault)
