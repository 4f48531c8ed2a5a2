"""The subscriptions' table, fencing, leases and back-off (PROTOCOL.md section 7)."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from origin_adapter.embedded.rules import subscriptions as rules
from origin_adapter.embedded.rules.subscriptions import (
    ControlRefused,
    Fence,
    StreamLink,
    Subscription,
    SubscriptionConfig,
    SubscriptionEvent,
    SubscriptionKind,
    SubscriptionPhase,
)

NOW = 1000.0


def make(kind: SubscriptionKind) -> Subscription:
    config = SubscriptionConfig(
        kind.value, "*", (), "https://a.example/", "w", 2000, None
    )
    return Subscription("s", config, "", "")


PULL = make(SubscriptionKind.PULL_WAKE)
HOOK = make(SubscriptionKind.WEBHOOK)


def test_a_pull_wake_goes_round() -> None:
    """Woken without a lease, claimed with one, finished, woken again."""
    woken = rules.wake(PULL, "w1", NOW)
    held = rules.claim(woken, "worker", NOW)
    idle = rules.finish(held, SubscriptionEvent.DONE)
    again = rules.wake(idle, "w2", NOW)

    assert (woken.phase, woken.lease_until) == (SubscriptionPhase.WOKEN, None)
    assert (held.phase, held.lease_until) == (SubscriptionPhase.HELD, NOW + 2)
    assert (idle.phase, idle.lease_until) == (SubscriptionPhase.IDLE, None)
    assert again.generation == woken.generation + 1


def test_a_webhook_goes_round() -> None:
    """Its lease starts with the wake, and a delivery is due at once."""
    woken = rules.wake(HOOK, "w1", NOW)
    assert (woken.lease_until, woken.next_attempt) == (NOW + 2, NOW)
    assert rules.delivered(woken).next_attempt is None
    assert (
        rules.finish(woken, SubscriptionEvent.LEASE_OVER).phase
        is SubscriptionPhase.IDLE
    )


def act(sub: Subscription, event: SubscriptionEvent) -> Subscription:
    """The function of an event."""
    match event:
        case SubscriptionEvent.WAKE:
            return rules.wake(sub, "w9", NOW)
        case SubscriptionEvent.CLAIM:
            return rules.claim(sub, "other", NOW)
        case SubscriptionEvent.HEARTBEAT:
            return rules.heartbeat(sub, NOW)
        case _:
            return rules.finish(sub, event)


@pytest.mark.parametrize(
    ("kind", "phase", "event"),
    list(itertools.product(SubscriptionKind, SubscriptionPhase, SubscriptionEvent)),
)
def test_what_the_table_does_not_name_is_refused(
    kind: SubscriptionKind, phase: SubscriptionPhase, event: SubscriptionEvent
) -> None:
    """And what it names leads where it says."""
    sub = make(kind)
    if phase is not SubscriptionPhase.IDLE:
        sub = replace(sub, wake_id="w1", generation=1)
    if phase is SubscriptionPhase.HELD:
        sub = replace(sub, holder="worker")

    expected = rules.TABLE[kind].get((phase, event))
    if expected is None:
        with pytest.raises(ControlRefused):
            act(sub, event)
    else:
        assert act(sub, event).phase is expected


@pytest.mark.parametrize(
    "fence",
    [
        Fence(2, 3, "w3"),
        Fence(3, 2, "w3"),
        Fence(3, 3, "w2"),
        Fence(3, 3, None),
        Fence(3, "3", "w3"),
        Fence(3, 3.0, "w3"),
        Fence(1, True, "w3"),
    ],
)
def test_whoever_speaks_for_another_wake_is_fenced_off(fence: Fence) -> None:
    """Section 7.3: token, generation and wake id must all be the current ones."""
    sub = replace(PULL, generation=3, wake_id="w3")
    rules.check_fence(sub, Fence(3, 3, "w3"))
    with pytest.raises(ControlRefused) as denied:
        rules.check_fence(sub, fence)
    assert (denied.value.status, denied.value.code) == (409, "FENCED")


def test_nobody_speaks_for_a_wake_that_is_over() -> None:
    """Not even with its own generation."""
    over = replace(PULL, generation=3)
    with pytest.raises(ControlRefused):
        rules.check_fence(over, Fence(3, 3, None))


@given(st.integers(0, 50), st.floats(0, 1, exclude_max=True))
def test_back_off_doubles_up_to_a_minute(retries: int, chance: float) -> None:
    """From 1 s to 60 s, spread by 20 % (section 7.1)."""
    failed = rules.failed(replace(HOOK, retries=retries), NOW, chance)
    base = min(2.0**retries, 60.0)
    assert failed.next_attempt is not None
    assert base * 0.8 - 1e-6 <= failed.next_attempt - NOW <= base * 1.2 + 1e-6


def test_a_new_wake_does_not_jump_the_back_off() -> None:
    """The lease runs out first, and the schedule still holds."""
    woken = rules.wake(HOOK, "w1", NOW)
    failed = rules.failed(replace(woken, retries=4), NOW, 0.5)
    again = rules.wake(
        rules.finish(failed, SubscriptionEvent.LEASE_OVER), "w2", NOW + 2
    )

    assert again.next_attempt == NOW + 16
    assert again.lease_until == NOW + 16 + 2


@pytest.mark.parametrize("position", [4, 11])
def test_acks_neither_go_back_nor_beyond_the_tail(position: int) -> None:
    """Cursors only move forward over what is there."""
    link = StreamLink("a", True, False, acked=5)
    assert rules.check_ack(link, 5, tail=10).acked == 5
    assert rules.check_ack(link, 10, tail=10).acked == 10
    with pytest.raises(ControlRefused):
        rules.check_ack(link, position, tail=10)
