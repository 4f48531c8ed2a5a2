"""Spans wait for a collector, and nobody waits for them."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

import gevent
import pytest

from edge.core.counters import Counters
from edge.core.tracing import SpanContext, SpanKind, TraceSpan
from edge.telemetry.span_queue import BATCH, Export, SpanQueue
from tests.support.patience import PATIENCE


def lost_so_many(lost: Mapping[str, int], number: int) -> bool:
    return lost.get("spans-not-taken", 0) == number


CONTEXT = SpanContext("1" * 32, "1" * 16, True)


def until(happened: Callable[[], object]) -> None:
    """Let the event loop run until it has happened."""
    with gevent.Timeout(PATIENCE):
        while not happened():
            gevent.sleep(0.005)


def span(number: int) -> TraceSpan:
    return TraceSpan(str(number), SpanKind.CLIENT, CONTEXT, "", 1.0, 2.0)


class Collector:
    """Takes batches on a thread; ``says`` is what went wrong with the next one."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.says = ""
        self.threads: set[int] = set()

    def __call__(self, spans: Sequence[TraceSpan]) -> str:
        self.threads.add(threading.get_native_id())
        if not self.says:
            self.taken += [one.name for one in spans]
        return self.says


@contextmanager
def queue(export: Export, most: int = 8192) -> Iterator[tuple[SpanQueue, Counters]]:
    counters = Counters()
    made = SpanQueue(export, counters, most, gather=0.01)
    made.start()
    yield made, counters
    made.stop(0.0)


def test_spans_are_taken_in_order_on_a_thread_of_their_own() -> None:
    collector = Collector()
    with queue(collector) as (waiting, counters):
        for number in range(BATCH + 10):
            waiting.put(span(number))
        until(lambda: counters.spans_exported == BATCH + 10)
    assert collector.taken == [str(number) for number in range(BATCH + 10)]
    assert len(collector.threads) == 1
    assert threading.get_native_id() not in collector.threads


def test_what_finds_no_room_is_dropped_and_counted() -> None:
    counters = Counters()
    waiting = SpanQueue(Collector(), counters, max_spans=2)
    for number in range(5):
        waiting.put(span(number))
    assert len(waiting) == 2
    assert counters.spans_dropped == {"spans-full": 3}


def test_a_collector_that_is_away_is_told_of_once_and_so_is_its_return(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "edge.telemetry")
    collector = Collector()
    collector.says = "nobody listens"
    with queue(collector) as (waiting, counters):
        lost = counters.spans_dropped
        for number in range(3):
            waiting.put(span(number))
            until(partial(lost_so_many, lost, number + 1))
        collector.says = ""
        waiting.put(span(3))
        until(lambda: counters.spans_exported == 1)
    assert collector.taken == ["3"]
    assert [record.getMessage() for record in caplog.records] == [
        "traces are lost (spans-not-taken): nobody listens",
        "the collector of traces takes spans again",
    ]


def held() -> tuple[Export, threading.Event, Callable[[], bool]]:
    """A collector that takes nothing until it may, and whether it was asked."""
    # Of the system: it is waited for on a thread that has no event loop.
    may, asked = threading.Event(), threading.Event()

    def export(spans: Sequence[TraceSpan]) -> str:
        asked.set()
        may.wait(60)
        return ""

    return export, may, asked.is_set


def test_nobody_waits_for_a_collector_that_does_not_answer() -> None:
    export, may, asked = held()
    with queue(export) as (waiting, counters):
        waiting.put(span(1))
        until(asked)
        turns = 0
        for number in range(100):
            waiting.put(span(number))
            gevent.sleep(0)
            turns += 1
        assert (turns, len(waiting)) == (100, 100)
        may.set()
        until(lambda: counters.spans_exported == 101)


def test_what_is_left_at_the_end_is_exported() -> None:
    collector, counters = Collector(), Counters()
    waiting = SpanQueue(collector, counters, gather=3600.0)
    waiting.start()
    for number in range(BATCH * 2 + 1):
        waiting.put(span(number))
    waiting.stop(30.0)
    assert len(collector.taken) == BATCH * 2 + 1


def test_the_end_does_not_wait_for_a_collector_for_ever() -> None:
    export, may, asked = held()
    counters = Counters()
    waiting = SpanQueue(export, counters, gather=0.01)
    waiting.start()
    waiting.put(span(0))
    until(asked)
    waiting.put(span(1))
    waiting.stop(0.01)
    # The one that is on its way may still be taken; of the other one it is known.
    assert counters.spans_dropped == {"spans-not-taken": 1}
    may.set()
