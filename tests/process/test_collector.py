"""The collector in this very process: what it takes over, finds, and gives back."""

import gc
import weakref
from collections.abc import Iterator

import gevent
import pytest

from edge.core.counters import Counters
from edge.process import collector, gc_schedule
from edge.process.collector import NEVER, Collector
from edge.process.gc_schedule import TOO_MANY, GcMoment, GcSample


class Knot:
    """Holds itself."""

    def __init__(self) -> None:
        self.end = self


@pytest.fixture
def running() -> Iterator[tuple[Collector, Counters]]:
    """A collector that is started, and what it counts with."""
    counters = Counters()
    made = Collector(counters)
    made.start()
    yield made, counters
    made.stop()


def test_only_younger_collections_begin_by_themselves() -> None:
    """And whoever stops it finds everything as it was."""
    before = gc.get_threshold()
    made = Collector(Counters())
    made.start()
    assert gc.get_threshold() == (*before[:2], NEVER)
    assert gc.get_freeze_count() > 0
    made.stop()

    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


def test_a_collection_finds_what_holds_itself_and_is_counted_and_timed(
    running: tuple[Collector, Counters],
) -> None:
    collecting, counters = running
    knot = weakref.ref(Knot())
    collecting.collect(GcMoment.QUIET)

    assert knot() is None
    assert counters.collections == {"quiet": 1}
    gauges = collecting.gauges()
    assert gauges["longest_collection_seconds"] >= gauges["last_collection_seconds"] > 0


def test_it_collects_when_it_sees_that_it_must(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Looks are what the rule goes by; here they are given."""
    looks = iter(
        [GcSample(0.0, 0.0, 0), GcSample(1.0, 1.0, TOO_MANY), GcSample(1.0, 1.0, 0)]
    )
    over = gevent.event.Event()

    def look() -> GcSample:
        given = next(looks, None)
        if given is None:
            over.set()
            raise gevent.GreenletExit
        return given

    monkeypatch.setattr(gc_schedule, "SELDOM", 0.0)
    monkeypatch.setattr(collector, "look", look)
    counters = Counters()
    made = Collector(counters)
    made.start()
    over.wait(5)
    made.stop()

    assert counters.collections == {"overdue": 1}


def test_a_look_tells_how_often_younger_objects_were_collected() -> None:
    gc.collect()
    before = collector.look()
    gc.collect(1)
    after = collector.look()

    assert after.younger == before.younger + 1
    assert after.now >= before.now and after.cpu > 0
