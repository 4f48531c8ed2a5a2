"""Tries come later and later, never together, and as the server asks."""

import pytest

from edge.cli.streams import retry_policy
from edge.cli.streams.exit_faults import Exit, Fault, lost
from edge.cli.streams.retry_policy import FOREVER, RetryPolicy


def test_waits_grow_to_a_bound_and_vary(waits: list[float]) -> None:
    one = RetryPolicy(FOREVER)
    for _ in range(40):
        one.failed(lost("away"))

    for number, wait in enumerate(waits):
        most = min(retry_policy.MAX_PAUSE, retry_policy.FIRST_PAUSE * 2**number)
        assert most / 2 <= wait <= most
    assert len(set(waits)) > 30


def test_after_the_last_try_the_fault_is_raised(waits: list[float]) -> None:
    one = RetryPolicy(2)
    one.failed(lost("away"))
    one.failed(lost("away"))

    with pytest.raises(Fault, match="still away"):
        one.failed(lost("still away"))
    assert len(waits) == 2


def test_progress_counts_from_zero_again(waits: list[float]) -> None:
    one = RetryPolicy(1)
    for _ in range(5):
        one.failed(lost("away"))
        one.progressed()

    assert max(waits) <= retry_policy.FIRST_PAUSE


def test_the_server_may_ask_for_a_longer_wait_but_not_for_ever(
    waits: list[float],
) -> None:
    RetryPolicy(1).failed(Fault(Exit.UNREACHABLE, "busy", retry_after=30))
    assert waits == [30]

    with pytest.raises(Fault):
        RetryPolicy(1).failed(Fault(Exit.UNREACHABLE, "busy", retry_after=3600))


def test_a_live_exchange_that_brought_nothing_lasts_a_second(
    waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """L21: an origin that answers at once must not make us spin."""
    monkeypatch.setattr(retry_policy, "clock", lambda: 100.25)
    RetryPolicy(1).hold(began=100.0)
    RetryPolicy(1).hold(began=99.0)

    (wait,) = waits
    assert 0.75 < wait <= 0.75 + retry_policy.FIRST_PAUSE
