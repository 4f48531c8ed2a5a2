"""NextIteration: what is done when the event loop has looked at all sockets once more.

``loop.run_callback`` does not wait for that: gevent does up to fifty things that
were put off, and what these put off, before it looks at a socket again. That is
right for the few bytes that end a call; who has much to do waits here instead.
"""

from collections.abc import Callable
from typing import Any


class NextIteration:
    """Calls back what was put into it, in order. A callback must not raise."""

    def __init__(self, loop: Any) -> None:
        # A timer that is due at once comes with the sockets.
        self._timer: Any = loop.timer(0)
        self._acts: list[Callable[[], None]] = []

    def put(self, act: Callable[[], None]) -> None:
        """Call ``act`` in the next turn."""
        if not self._acts:
            self._timer.start(self._take)
        self._acts.append(act)

    def _take(self) -> None:
        """The timer's callback. What is put in meanwhile waits for another turn."""
        acts, self._acts = self._acts, []
        self._timer.stop()
        for act in acts:
            act()
