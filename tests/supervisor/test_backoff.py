"""How long a dead origin waits to be started again."""

from hypothesis import given
from hypothesis import strategies as st

from edge.supervisor.backoff import (
    FIRST_SECONDS,
    HEALTHY_SECONDS,
    MAX_SECONDS,
    pause_after,
)


def test_a_first_death_is_hardly_noticed() -> None:
    assert pause_after(None, lived=0.0) == FIRST_SECONDS


def test_one_that_cannot_run_is_tried_less_and_less_often() -> None:
    pauses = [pause_after(None, 0.0)]
    for _ in range(9):
        pauses.append(pause_after(pauses[-1], 0.0))

    assert pauses == sorted(pauses)
    assert pauses[-1] == MAX_SECONDS


@given(st.floats(FIRST_SECONDS, MAX_SECONDS), st.floats(HEALTHY_SECONDS, 1e9))
def test_a_long_life_is_forgiven(last: float, lived: float) -> None:
    assert pause_after(last, lived) == FIRST_SECONDS
