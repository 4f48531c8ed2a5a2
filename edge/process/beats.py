"""Beats: what one process of several tells all others, without being asked (W6, W13).

Each 0.25 s it stores on its lane that it lives, and how many clients it has, and looks
how many viewers the others have; once a second, and once at its end, it tells its
figures. By a timer of its own on the event loop: a process whose greenlets are busy
beats on, and one whose event loop stands still does not. Nothing here blocks or
switches greenlets.
"""

from collections.abc import Callable
from typing import Any, Protocol

from edge.board.lane_view import NodeLoad
from edge.core.elsewhere import Elsewhere

BEAT_SECONDS = 0.25
BEATS_PER_TELLING = 4


class BeatLane(Protocol):
    """What a process stores of itself (``edge.board.lane_view``)."""

    def beat(self, now: float) -> None: ...

    def store_load(self, connections: int, viewers: int) -> None: ...

    def others(self, now: float) -> NodeLoad: ...


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
        elsewhere: Elsewhere,
    ) -> None:
        self._lane = lane
        self._now = now
        self._load = load
        self._tell = tell
        self._elsewhere = elsewhere
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
            self._lane.store_load(0, 0)
            self._tell()

    def _beat(self) -> None:
        now = self._now()
        self._lane.beat(now)
        self._lane.store_load(*self._load())
        self._elsewhere.viewers = self._lane.others(now).viewers
        if self._beats % BEATS_PER_TELLING == 0:
            self._tell()
        self._beats += 1
