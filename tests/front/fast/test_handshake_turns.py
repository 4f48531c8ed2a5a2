"""Handshakes take turns: a few in each iteration of the loop, as they came."""

import ssl
from collections.abc import Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import gevent

from edge.core.timer_wheel import TimerWheel
from edge.front.fast.handshake import HandshakingConnection
from edge.front.fast.handshake_turns import STEPS, HandshakeTurns
from edge.policy.http.client_address import Peer
from tests.front.test_tls_transport import held_client
from tests.support.patience import PATIENCE


class Loop:
    """An event loop whose iterations a test begins."""

    def __init__(self) -> None:
        self.next: list[Callable[[], None]] = []

    def turn(self) -> None:
        acts, self.next = self.next, []
        for act in acts:
            act()


def test_a_few_steps_are_made_in_each_turn() -> None:
    """U31: between them, everybody else is served."""
    loop, made = Loop(), list[int]()
    turns = HandshakeTurns(lambda act: loop.next.append(act))
    for number in range(2 * STEPS + 1):
        turns.put(lambda number=number: made.append(number))  # type: ignore[misc]
    counts = []
    while loop.next:
        loop.turn()
        counts.append(len(made))

    assert counts == [STEPS, 2 * STEPS, 2 * STEPS + 1]
    assert made == sorted(made)


def test_a_step_that_has_another_one_behind_it_waits_for_all_others() -> None:
    """Who sends its handshake in many pieces gets no more than others."""
    loop, made = Loop(), list[str]()
    turns = HandshakeTurns(lambda act: loop.next.append(act))

    def eager() -> None:
        made.append("eager")
        if made.count("eager") < 3:
            turns.put(eager)

    turns.put(eager)
    for _ in range(STEPS):
        turns.put(lambda: made.append("other"))
    while loop.next:
        loop.turn()

    assert made == ["eager", *["other"] * STEPS, "eager", "eager"]


def test_what_has_begun_does_not_wait_for_all_who_came_behind_it() -> None:
    """Its client would give it up meanwhile, and its first step was for nothing."""
    loop, made = Loop(), list[str]()
    turns = HandshakeTurns(lambda act: loop.next.append(act))
    for _ in range(3 * STEPS):
        turns.put(lambda: made.append("new"))
    for _ in range(2 * STEPS):
        turns.put(lambda: made.append("begun"), begun=True)
    loop.turn()

    assert made == ["begun", "new"] * (STEPS // 2)
    while loop.next:
        loop.turn()
    assert (made.count("new"), made.count("begun")) == (3 * STEPS, 2 * STEPS)


def test_time_that_a_step_waits_for_its_turn_is_not_the_clients() -> None:
    """A hello has come, and everybody else's before it."""
    loop, now, times = Loop(), [0.0], [30.0, 34.0, 36.0]
    context: Any = SimpleNamespace(
        wheel=TimerWheel(0.0),
        monotonic=lambda: now[0],
        limits=SimpleNamespace(head_timeout=10.0),
    )
    turns = HandshakeTurns(lambda act: loop.next.append(act))
    with held_client() as client:
        shaking = HandshakingConnection(
            *(context, client.transport, Peer("192.0.2.1"), client.among, turns),
            *(lambda *_: None, lambda *_: None),
        )
        shaking.begin()
        with suppress(ssl.SSLWantReadError):
            client.session.do_handshake()
        client.theirs.sendall(client.says())
        with gevent.Timeout(PATIENCE):
            while not loop.next:
                gevent.sleep(0)
        now[0] = 25.0
        assert context.wheel.pop(now[0]) == []
        loop.turn()

        assert [context.wheel.pop(time) for time in times] == [[], [], [shaking]]
        shaking.cut()
