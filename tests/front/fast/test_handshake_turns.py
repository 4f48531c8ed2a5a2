"""Handshakes take turns: a few in each iteration of the loop, as they came."""

from collections.abc import Callable

from edge.front.fast.handshake_turns import STEPS, HandshakeTurns


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
