"""The counter counts: itself on small figures, and on a real edge with the bars held.

Calls are the same from run to run but for the pieces that an answer of the origin
comes in; files hardly vary. So bars are asserted, and no figure.
"""

from collections.abc import Iterator

import pytest

from tests.ways.entry import Counter
from tests.ways.measure import (
    MAX_CALLS,
    MAX_FILES,
    WAYS,
    Figures,
    House,
    house,
    measure,
)


@pytest.fixture(scope="module")
def measured() -> Iterator[House]:
    with house() as found:
        yield found


def test_files_come_in_order_of_first_entry_with_their_calls() -> None:
    figures = Figures((("b", "f"), ("a", "g"), ("b", "f"), ("b", "h")))
    assert list(figures.files) == ["b", "a"]
    assert figures.files["b"] == {"f": 2, "h": 1}
    assert figures.changes == 2


def test_a_counter_that_is_off_has_no_calls() -> None:
    assert Counter().end() == []


@pytest.mark.parametrize("way", WAYS)
def test_a_way_is_counted_and_keeps_its_bars(measured: House, way: str) -> None:
    figures = measure(measured, way, rounds=4)
    assert 0 < figures.changes < len(figures.calls)
    assert len(figures.calls) <= MAX_CALLS.get(way, len(figures.calls))
    assert len(figures.files) <= MAX_FILES.get(way, len(figures.files))
    assert all(f.startswith(("edge/", "origin_adapter/")) for f in figures.files)


def test_a_known_function_appears(measured: House) -> None:
    figures = measure(measured, "hit", rounds=3)
    functions = {name for entered in figures.files.values() for name in entered}
    assert "AccessLog.put" in functions


def test_greenlets_that_serve_and_fetch_are_counted(measured: House) -> None:
    figures = measure(measured, "cold", rounds=3)
    assert any(file.startswith("origin_adapter/http/") for file in figures.files)


def test_a_worker_at_rest_calls_nothing(measured: House) -> None:
    measured.control.learn()
    assert [] in [measured.count(lambda: None) for _ in range(4)]
