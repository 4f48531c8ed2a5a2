"""Beats: what one process of several tells all others, without being asked (W6, W13).

Each 0.25 s it stores on its lane that it lives, and how many clients it has, so that it
holds no place that it does not use; once a second, and once at its end, it tells its
figures. By a timer of its own on the event loop: a process whose greenlets are busy
beats on, and one whose event loop stands still does not. Nothing here blocks or
switches greenlets.
"""

from collections.abc import Callable
from typing import Any, Protocol

BEAT_SECONDS = 0.25
BEATS_PER_TELLING = 4


class BeatLane(Protocol):
    """What a process stores of itself (``edge.board.lane_view``)."""

    def beat(self, now: float) -> None: ...

    def store_connections(self, connections: int) -> None: ...


class ViewersQuota(Protocol):
    """As many viewers as a process may have (``edge.board.bounds``)."""

    def settle(self, own: int) -> None: ...


class Beats:
    """The beats of one process.

    ``load`` says how many connections and viewers it has now, and ``tell`` tells its
    figures; neither may raise. ``now`` is monotonic seconds.
    """

    def __init__(
        self,
        lane: BeatLane,
        now: Callable[[], float],
        load: Callable[[], tuple[int, int]],
        tell: Callable[[], None],
        viewers: ViewersQuota,
    ) -> None:
        self._lane = lane
        self._now = now
        self._load = load
        self._tell = tell
        self._viewers = viewers
        self._beats = 0
        self._timer: Any = None

    def start(self, loop: Any) -> None:
        """Begin on this event loop, with a beat at once."""
        self._beat()
        self._timer = loop.timer(BEAT_SECONDS, BEAT_SECONDS)
        self._timer.start(self._beat)

    def stop(self) -> None:
        """The last words. Idempotent."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.stop()
            timer.close()
            self._store(0, 0)
            self._tell()

    def _beat(self) -> None:
        now = self._now()
        self._lane.beat(now)
        self._store(*self._load())
        if self._beats % BEATS_PER_TELLING == 0:
            self._tell()
        self._beats += 1

    def _store(self, connections: int, viewers: int) -> None:
        self._lane.store_connections(connections)
        self._viewers.settle(viewers)
