"""Counters: plain integers, each described, and one word for every answer (E55)."""

import ast
import inspect
import itertools
import re
from typing import get_type_hints

import pytest

from edge.core import counters as module
from edge.core.counters import DESCRIPTIONS, Counters
from edge.core.reasons import Reason
from edge.core.values import CacheStatus, Result


def test_every_counter_is_described_once_and_typed_as_described() -> None:
    """The table drives the metrics endpoint; the annotations drive the reader."""
    hints = get_type_hints(Counters)
    names = [described.name for described in DESCRIPTIONS]

    assert len(names) == len(set(names))
    assert {*names, "timings"} == set(hints)
    for described in DESCRIPTIONS:
        expected = int if described.label is None else dict[str, int]
        assert hints[described.name] == expected


def test_names_and_help_fit_a_metrics_page() -> None:
    """Prometheus: names of letters and underscores, help that is a sentence."""
    for described in DESCRIPTIONS:
        assert re.fullmatch("[a-z]+(_[a-z]+)*", described.name)
        assert re.fullmatch("[A-Z][^\n]+[.]", described.help)
        assert described.label in (
            None,
            "mode",
            "moment",
            "part",
            "result",
            "purge",
            "purpose",
            "reason",
            "status",
            "verdict",
            "ask",
            "by",
        )


def test_all_begin_at_nothing() -> None:
    """Also a labelled one: no label is there before something happened."""
    assert set(map(repr, Counters().snapshot().values())) == {"0", "{}"}


def test_a_thing_is_counted_where_it_is_done() -> None:
    """Both forms, as the module's docstring shows them."""
    counters = Counters()

    counters.delivered += 2
    counters.refusals[Reason.DRAINING.value] += 1

    assert counters.snapshot()["delivered"] == 2
    assert counters.snapshot()["refusals"] == {"draining": 1}


def test_a_snapshot_stays_as_it_was_taken() -> None:
    """It is handed to whoever publishes, while counting goes on."""
    counters = Counters()
    counters.reads["sse"] += 1
    taken = counters.snapshot()

    counters.reads["sse"] += 1
    counters.stores += 1

    assert taken["reads"] == {"sse": 1}
    assert taken["stores"] == 0


def test_a_counter_that_is_not_declared_is_an_error() -> None:
    """A slip of the pen must not count into nothing."""
    slip = "delivred"

    with pytest.raises(AttributeError):
        setattr(Counters(), slip, 1)


def test_counters_know_nobody_who_publishes_them() -> None:
    """Plain integers underneath; Prometheus is the admin endpoint's affair."""
    tree = ast.parse(inspect.getsource(module))
    imported = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}

    assert not {name for name in imported if name and "prometheus" in name}


@pytest.mark.parametrize(
    ("cache", "status", "expected"),
    [
        (CacheStatus(hit=True), 200, Result.HIT),
        (CacheStatus(fwd="miss", stored=True), 200, Result.MISS),
        (CacheStatus(fwd="stale"), 200, Result.MISS),
        (CacheStatus(fwd="partial"), 200, Result.MISS),
        (CacheStatus(fwd="miss", collapsed=True), 200, Result.COLLAPSED),
        (CacheStatus(hit=True, detail=Reason.STALE), 200, Result.STALE),
        (CacheStatus(fwd="stale", detail=Reason.STALE), 200, Result.STALE),
        (CacheStatus(fwd="bypass", detail=Reason.PRIVATE), 200, Result.PASS),
        (CacheStatus(fwd="method"), 200, Result.PASS),
        (CacheStatus(hit=True), 304, Result.NOT_MODIFIED),
        (CacheStatus(fwd="miss", collapsed=True), 204, Result.EMPTY),
        (CacheStatus(fwd="miss", collapsed=True), 404, Result.ERROR),
        (CacheStatus(fwd="bypass"), 502, Result.ERROR),
    ],
)
def test_an_answers_result_follows_its_cache_status(
    cache: CacheStatus, status: int, expected: Result
) -> None:
    """E55: stored, collapsed, revalidated, stale, passed and failed are told apart."""
    assert cache.result(status) is expected


def test_every_result_can_happen() -> None:
    """No label that a dashboard would wait for in vain."""
    statuses = (200, 204, 304, 500)
    caches = (
        CacheStatus(hit=True),
        CacheStatus(fwd="miss"),
        CacheStatus(fwd="miss", collapsed=True),
        CacheStatus(fwd="bypass"),
        CacheStatus(detail=Reason.STALE),
    )

    happened = {c.result(s) for c, s in itertools.product(caches, statuses)}

    assert happened == set(Result)
