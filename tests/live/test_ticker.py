"""The one ticker: every look is called, whatever becomes of the others."""

from typing import Any

import gevent
import pytest
from gevent.event import Event

from edge.core.ports import NO_TICKS
from tests.live.support import scripted


def test_each_look_is_given_the_time_and_the_hub_looks_last() -> None:
    house, _ = scripted()
    seen: list[tuple[str, float]] = []
    house.hub.tick = lambda now: seen.append(("hub", now))  # type: ignore[method-assign]
    house.hub.ticker.register(lambda now: seen.append(("front", now)))
    house.hub.ticker.tick()

    assert seen == [("front", 1000.0), ("hub", 1000.0)]


def test_a_look_with_a_defect_is_reported_and_stops_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    house, _ = scripted()
    reported: list[type[BaseException]] = []
    ticked = Event()

    def broken(now: float) -> None:
        raise ZeroDivisionError

    def handle_error(context: Any, kind: Any, value: Any, trace: Any) -> None:
        reported.append(kind)

    monkeypatch.setattr(gevent.get_hub(), "handle_error", handle_error)
    house.hub.ticker.register(broken)
    house.hub.ticker.register(lambda now: ticked.set())
    house.hub.ticker.tick()

    assert ticked.is_set()
    assert reported == [ZeroDivisionError] and house.counters.internal_errors == 1


def test_without_a_hub_no_tick_comes() -> None:
    """A front that stands alone registers all the same."""
    NO_TICKS.register(lambda now: pytest.fail("a tick"))
