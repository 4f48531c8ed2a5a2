"""Whether the origin is up, as an operator is told."""

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from edge.policy.http.breaker import CallOutcome
from edge.policy.http.origin_health import DOWN_AFTER, OriginHealth

AWAY, ANSWERED = CallOutcome.AWAY, CallOutcome.ANSWERED


def test_it_is_down_after_a_few_failures_in_a_row_and_up_with_the_first_answer() -> (
    None
):
    health = OriginHealth()
    told = []
    for at, outcome in enumerate((AWAY, AWAY, AWAY, AWAY, ANSWERED, AWAY), start=1):
        health.heard(outcome, float(at))
        told.append((health.up, health.changed))

    assert told == [
        (True, 0.0),
        (True, 0.0),
        (False, 3.0),
        (False, 3.0),
        (True, 5.0),
        (True, 5.0),
    ]


@pytest.mark.parametrize("outcomes", [[AWAY, AWAY, ANSWERED, AWAY, AWAY], [ANSWERED]])
def test_failures_that_are_not_in_a_row_say_nothing(
    outcomes: list[CallOutcome],
) -> None:
    health = OriginHealth()
    for outcome in outcomes:
        health.heard(outcome, 1.0)

    assert health.up and health.changed == 0.0


@given(st.lists(st.sampled_from(list(CallOutcome))))
def test_it_is_down_exactly_while_no_call_was_answered_since_enough_failed(
    outcomes: list[CallOutcome],
) -> None:
    health = OriginHealth()
    since_answer = 0
    for at, outcome in enumerate(outcomes):
        was = health.up
        health.heard(outcome, float(at))
        if outcome is ANSWERED:
            since_answer = 0
        elif outcome is AWAY:
            since_answer += 1
        assert health.up is (since_answer < DOWN_AFTER)
        assert health.well is (since_answer == 0)
        if health.up is not was:
            assert health.changed == at
            event("it changed")
