"""The household: an origin, an edge, and what happens to them (a state machine).

    RAISING   the origin starts; when it listens, the edge is started
    SERVING   both live; a dead origin comes back after a pause
    LEAVING   told to stop: the edge finishes first, since it needs the origin
    FORCED    told twice, or it took too long: everything is killed

What a signal means in each state is the table ``MEANINGS``. Called by
``edge.supervisor.__main__``; blocks until it is over.
"""

import enum
import os
import signal
import time
from collections.abc import Callable, Sequence

from edge.supervisor.backoff import pause_after
from edge.supervisor.child import Child
from edge.supervisor.signals import Signals

MARGIN = 10.0
"""Seconds beside the grace before what does not end is killed."""

READY_FLAG = "--ready-fd"

Say = Callable[[str], None]


class State(enum.Enum):
    """See the module."""

    RAISING = "raising"
    SERVING = "serving"
    LEAVING = "leaving"
    FORCED = "forced"


class SignalAction(enum.Enum):
    """What a signal asks for."""

    LEAVE = "leave"
    FORCE = "force"
    TELL_EDGE = "tell the edge"


_STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
_FOR_EDGE = (signal.SIGHUP, signal.SIGUSR1)

MEANINGS: dict[State, dict[int, SignalAction]] = {
    State.RAISING: dict.fromkeys(_STOPS, SignalAction.LEAVE),
    State.SERVING: {
        **dict.fromkeys(_STOPS, SignalAction.LEAVE),
        **dict.fromkeys(_FOR_EDGE, SignalAction.TELL_EDGE),
    },
    State.LEAVING: dict.fromkeys(_STOPS, SignalAction.FORCE),
    State.FORCED: {},
}
"""A signal that has no meaning in a state is passed over. USR2 (gunicorn's way to
replace its program) would leave the supervisor with the old one, TTIN and TTOU would
change the number of workers."""

PASSED_OVER = (signal.SIGUSR2, signal.SIGTTIN, signal.SIGTTOU)
TAKEN = (*_STOPS, *_FOR_EDGE, *PASSED_OVER, signal.SIGCHLD)


class Supervisor:
    """Both children, from the first start to the last end."""

    def __init__(
        self, origin: Sequence[str], edge: Sequence[str], grace: float, say: Say
    ) -> None:
        self.state = State.RAISING
        self.origin = Child("origin", origin)
        self.edge = Child("edge", edge)
        self._grace = grace
        self._say = say
        self._signals = Signals(TAKEN)
        self._listening: int | None = None
        self._pause: float | None = None
        self._restart_at: float | None = None
        self._kill_at: float | None = None
        self._code: int | None = None

    def run(self) -> int:
        """Live until both children have ended; the exit code."""
        self._start_origin()
        while self.origin.running or self.edge.running or self._restart_at is not None:
            for number in self._signals.wait(self._timeout(), self._listening):
                self._heed(number)
            self._look_at_pipe()
            self._look_at_edge()
            self._look_at_origin()
            self._look_at_clock()
        return self._code or 0

    # What comes from outside.

    def _heed(self, number: int) -> None:
        match MEANINGS[self.state].get(number):
            case SignalAction.TELL_EDGE:
                self.edge.tell(number)
            case SignalAction.LEAVE:
                self._leave()
            case SignalAction.FORCE:
                self._force("told twice to stop")

    def _leave(self) -> None:
        self.state = State.LEAVING
        self._kill_at = time.monotonic() + self._grace + MARGIN
        if self.edge.running:
            self.edge.tell(signal.SIGTERM)
        else:
            self._dismiss_origin()

    def _force(self, why: str) -> None:
        self._say(f"{why}: killing what is left")
        self.state = State.FORCED
        self._kill_at = self._restart_at = None
        self._code = self._code or 128 + signal.SIGKILL
        self.edge.kill()
        self.origin.kill()

    # What children do.

    def _look_at_pipe(self) -> None:
        """A byte: the origin listens. The end: it died before it did."""
        if self._listening is None:
            return
        try:
            said = os.read(self._listening, 1)
        except BlockingIOError:
            return
        os.close(self._listening)
        self._listening = None
        if said and self.state is State.RAISING:
            self.state = State.SERVING
            self.edge.start()

    def _look_at_edge(self) -> None:
        code = self.edge.ended()
        if code is None:
            return
        if self.state is State.SERVING:
            self._say(f"the edge ended with {code}")
        if self._code is None:
            # A master that was told to stop before it could listen to it.
            asked = self.state is State.LEAVING and code == 128 + signal.SIGTERM
            self._code = 0 if asked else code
        if self.state is not State.FORCED:
            self.state = State.LEAVING
            self._kill_at = time.monotonic() + self._grace + MARGIN
            self._dismiss_origin()

    def _look_at_origin(self) -> None:
        code = self.origin.ended()
        if code is None:
            return
        if self.state is State.RAISING:
            # It has said why, and would only say it again.
            self._code = code
        elif self.edge.running and self.state is not State.FORCED:
            lived = time.monotonic() - self.origin.started
            self._pause = pause_after(self._pause, lived)
            self._restart_at = time.monotonic() + self._pause
            self._say(f"the origin ended with {code}; again in {self._pause:.1f} s")

    def _dismiss_origin(self) -> None:
        self._restart_at = None
        self.origin.tell(signal.SIGTERM)

    def _start_origin(self) -> None:
        read, write = os.pipe()
        os.set_blocking(read, False)
        self.origin.start(READY_FLAG, str(write), keep_open=[write])
        os.close(write)
        if self._listening is not None:
            os.close(self._listening)
        self._listening = read

    # What time does.

    def _timeout(self) -> float | None:
        moments = [at for at in (self._restart_at, self._kill_at) if at is not None]
        return max(0.0, min(moments) - time.monotonic()) if moments else None

    def _look_at_clock(self) -> None:
        now = time.monotonic()
        if self._kill_at is not None and now >= self._kill_at:
            self._force("took too long to stop")
        if self._restart_at is not None and now >= self._restart_at:
            self._restart_at = None
            self._start_origin()
