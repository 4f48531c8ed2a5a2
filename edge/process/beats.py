"""Beats: what one process of several tells all others, without being asked (W6, W13).

Each 0.25 s it stores on its lane that it lives, and how many connections and viewers it
has; once a second, and once at its end, its counters in words. By a timer of its own on
the event loop: a process whose greenlets are busy beats on, and one whose event loop
stands still does not. Nothing here blocks or switches greenlets.
"""

from collections.abc import Callable
from typing import Any, Protocol

BEAT_SECONDS = 0.25
BEATS_PER_TEXT = 4


class BeatLane(Protocol):
    """What a process stores of itself (``edge.board.lane_view``)."""

    def beat(self, now: float) -> None: ...

    def store_load(self, connections: int, viewers: int) -> None: ...

    def store_text(self, text: bytes) -> None: ...


class Beats:
    """The beats of one process.

    ``load`` says how many connections and viewers it has now, ``text`` what it counted;
    neither may raise. ``now`` is monotonic seconds.
    """

    def __init__(
        self,
        lane: BeatLane,
        now: Callable[[], float],
        load: Callable[[], tuple[int, int]],
        text: Callable[[], bytes],
    ) -> None:
        self._lane = lane
        self._now = now
        self._load = load
        self._text = text
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
            self._lane.store_text(self._text())

    def _beat(self) -> None:
        self._lane.beat(self._now())
        self._lane.store_load(*self._load())
        if self._beats % BEATS_PER_TEXT == 0:
            self._lane.store_text(self._text())
        self._beats += 1
