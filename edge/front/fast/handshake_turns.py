"""HandshakeTurns: in which order, and how fast, handshakes of TLS go on.

Each step costs as much as some tens of answers, and a crowd that comes back comes all
at once. So a few steps are made in each iteration of the event loop, whoever came first
is first, and between them everybody else is served.
"""

from collections import deque
from collections.abc import Callable

STEPS = 4
"""Steps in one iteration of the loop. One takes 0.2 to 1 ms."""


class HandshakeTurns:
    """The steps that wait for their turn. One per worker."""

    def __init__(self, call_next_iteration: Callable[..., object]) -> None:
        self._call_next_iteration = call_next_iteration
        self._waiting: deque[Callable[[], None]] = deque()
        self._called = False

    def put(self, step: Callable[[], None]) -> None:
        """Call ``step``, which must not raise, when its turn comes."""
        self._waiting.append(step)
        self._call()

    def _call(self) -> None:
        if self._waiting and not self._called:
            self._called = True
            self._call_next_iteration(self._take)

    def _take(self) -> None:
        self._called = False
        for _ in range(min(STEPS, len(self._waiting))):
            self._waiting.popleft()()
        self._call()
