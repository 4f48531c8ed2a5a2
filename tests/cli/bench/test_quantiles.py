"""Quantiles are values that were measured, and a grid of them has a known shape."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.cli.bench.quantiles import GRID, grid, name, quantile, summary

values = st.lists(st.floats(0, 1e6), min_size=1)
shares = st.floats(0, 1)


@given(values, shares)
def test_a_quantile_is_a_value_that_enough_do_not_exceed(
    given_: list[float], share: float
) -> None:
    ordered = sorted(given_)
    found = quantile(ordered, share)

    assert found in ordered
    assert sum(one <= found for one in ordered) >= share * len(ordered) - 1e-9


@pytest.mark.parametrize(
    ("share", "value"), [(0, 1), (0.5, 50), (0.99, 99), (0.999, 100), (1, 100)]
)
def test_of_a_hundred(share: float, value: int) -> None:
    assert quantile([float(n) for n in range(1, 101)], share) == value


def test_names_are_those_of_the_figures() -> None:
    assert [name(share) for share in (0.5, 0.9, 0.99, 0.999)] == [
        *("p50", "p90", "p99", "p99_9")
    ]


def test_a_summary_is_named_and_rounded_and_ends_with_the_worst() -> None:
    assert summary([3.0, 1.00049, 2.0], 0.5, 0.99) == {"p50": 2, "p99": 3, "max": 3}


def test_of_nothing_there_is_no_summary_and_no_grid() -> None:
    assert summary([], 0.5) is None
    assert grid([]) == []


@given(values)
def test_a_grid_rises_from_the_best_to_the_worst(given_: list[float]) -> None:
    points = grid(given_)

    assert [share for share, _ in points] == list(GRID)
    assert [ms for _, ms in points] == sorted(ms for _, ms in points)
    assert points[-1][1] == round(max(given_), 3)


def test_the_grid_has_the_marks_that_people_ask_for() -> None:
    assert 55 <= len(GRID) <= 65
    assert {0.0, 0.9, 0.99, 0.999, 0.9999, 1.0} <= set(GRID)
