"""FastServer: a listener, its connections, and the ticker that looks at them."""

from typing import Any

import gevent

from edge.front.fast.context import Floor
from edge.front.fast.listener import Listener
from edge.front.fast.wheel import GRAIN


class FastServer:
    """Serves one bound socket. ``connections`` are the worker's."""

    def __init__(
        self, floor: Floor, bound: Any, connections: set[Any], most_refused: int
    ) -> None:
        self._floor = floor
        self._bound = bound
        self._connections = connections
        self._listener = Listener(floor, bound, connections, most_refused)
        self._ticker: Any = floor.loop.timer(GRAIN, repeat=GRAIN)

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
            self._floor.wheel.turn(self._floor.monotonic())
        except Exception as error:
            self._floor.report(error)
