"""FastServer: a listener, its connections, and the ticker that looks at them."""

from typing import Any

import gevent

from edge.core.timer_wheel import GRAIN
from edge.front.fast.context import FastContext
from edge.front.fast.listener import Listener


class FastServer:
    """Serves one bound socket. ``connections`` are the worker's."""

    def __init__(
        self, context: FastContext, bound: Any, connections: set[Any], most_refused: int
    ) -> None:
        self._context = context
        self._bound = bound
        self._connections = connections
        self._listener = Listener(context, bound, connections, most_refused)
        self._ticker: Any = context.loop.timer(GRAIN, repeat=GRAIN)

    def start(self) -> None:
        """Begin to accept, and to look at the clock."""
        self._listener.start()
        self._ticker.start(self._tick)

    def close(self) -> None:
        """Accept no more."""
        self._listener.close()
        self._bound.close()

    def stop(self) -> None:
        """End what has not ended by itself."""
        for connection in tuple(self._connections):
            connection.cut()
        gevent.sleep(0)
        self._ticker.stop()
        self._ticker.close()

    def _tick(self) -> None:
        """The ticker's callback; a defect must not end it."""
        try:
            for connection in self._context.wheel.pop(self._context.monotonic()):
                # Each guards itself.
                connection.expire()
        except Exception as error:
            self._context.report(error)
