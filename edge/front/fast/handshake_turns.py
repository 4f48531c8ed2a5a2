"""HandshakeTurns: in which order, and how fast, handshakes of TLS go on.

Each step costs as much as some tens of answers, and a crowd that comes back comes all
at once. So a few steps are made in each iteration of the event loop, and between them
everybody else is served. Handshakes that have begun and those that have not take turns,
whoever came first is first: so what was begun is ended before its client gives it up,
however many have come behind it, and who begins waits for no end of pieces.
"""

from collections import deque
from collections.abc import Callable

STEPS = 4
"""Steps in one iteration of the loop. One takes 0.2 to 1 ms."""


class HandshakeTurns:
    """The steps that wait for their turn. One per worker."""

    def __init__(self, call_next_iteration: Callable[..., object]) -> None:
        self._call_next_iteration = call_next_iteration
        self._first: deque[Callable[[], None]] = deque()
        self._further: deque[Callable[[], None]] = deque()
        self._called = False

    def put(self, step: Callable[[], None], begun: bool = False) -> None:
        """Call ``step``, which must not raise, when its turn comes. ``begun``: it is
        not the first of its handshake."""
        (self._further if begun else self._first).append(step)
        self._call()

    def _call(self) -> None:
        if (self._first or self._further) and not self._called:
            self._called = True
            self._call_next_iteration(self._take)

    def _take(self) -> None:
        self._called = False
        first, further = self._first, self._further
        for number in range(min(STEPS, len(first) + len(further))):
            is_further = further and (not first or number % 2 == 0)
            (further if is_further else first).popleft()()
        self._call()
