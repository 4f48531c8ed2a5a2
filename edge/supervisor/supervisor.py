"""Supervisor: an origin, an edge, and what happens to them (a state machine).

    STARTING  the origin starts; once it listens, the edge is started
    SERVING   both run; a dead origin is started again after a pause
    STOPPING  told to stop: the edge ends first, since it needs the origin
    KILLING   told twice, or it took too long: everything is killed

The table ``SIGNAL_ACTIONS`` says what a signal does in each state. Called by
``edge.supervisor.__main__``; blocks until both have ended.
"""

import enum
import os
import signal
import time
from collections.abc import Callable, Sequence

from edge.supervisor.backoff import pause_after
from edge.supervisor.child import Child
from edge.supervisor.inherited import inherited
from edge.supervisor.signals import Signals

KILL_MARGIN_SECONDS = 4.0
"""Seconds beyond the grace, before what has not ended is killed. For both children
together: the edge's master kills a worker a second earlier (docs/operating.md)."""

READY_FLAG = "--ready-fd"

Say = Callable[[str], None]


class ServiceState(enum.Enum):
    """See the module."""

    STARTING = "starting"
    SERVING = "serving"
    STOPPING = "stopping"
    KILLING = "killing"


class SignalAction(enum.Enum):
    """What a signal asks for."""

    STOP = "stop"
    KILL = "kill"
    PASS_TO_EDGE = "pass to the edge"


_STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
_FOR_EDGE = (signal.SIGHUP, signal.SIGUSR1)

SIGNAL_ACTIONS: dict[ServiceState, dict[int, SignalAction]] = {
    ServiceState.STARTING: dict.fromkeys(_STOPS, SignalAction.STOP),
    ServiceState.SERVING: {
        **dict.fromkeys(_STOPS, SignalAction.STOP),
        **dict.fromkeys(_FOR_EDGE, SignalAction.PASS_TO_EDGE),
    },
    ServiceState.STOPPING: dict.fromkeys(_STOPS, SignalAction.KILL),
    ServiceState.KILLING: {},
}
"""Any other signal is ignored in that state. With USR2 gunicorn would replace its
program, and the supervisor would be left with the old process. TTIN and TTOU would
change the number of workers."""

IGNORED = (signal.SIGUSR2, signal.SIGTTIN, signal.SIGTTOU)
HANDLED = (*_STOPS, *_FOR_EDGE, *IGNORED, signal.SIGCHLD)


class Supervisor:
    """Both children, from the first start to the last end. ``say`` writes a line."""

    def __init__(
        self, origin: Sequence[str], edge: Sequence[str], grace: float, say: Say
    ) -> None:
        self.state = ServiceState.STARTING
        self.origin = Child("origin", origin)
        self.edge = Child("edge", edge)
        self._grace = grace
        self._say = say
        self._signals = Signals(HANDLED)
        self._listening: int | None = None
        self._pause: float | None = None
        self._restart_at: float | None = None
        self._kill_at: float | None = None
        self._code: int | None = None

    def run(self) -> int:
        """Block until both children have ended; the exit code."""
        self._start_origin()
        while self.origin.running or self.edge.running or self._restart_at is not None:
            for number in self._signals.wait(self._timeout(), self._listening):
                self._on_signal(number)
            self._check_listening()
            self._check_edge()
            self._check_origin()
            self._check_clock()
        return self._code or 0

    # Events from outside.

    def _on_signal(self, number: int) -> None:
        match SIGNAL_ACTIONS[self.state].get(number):
            case SignalAction.PASS_TO_EDGE:
                self.edge.send(number)
            case SignalAction.STOP:
                self._stop()
            case SignalAction.KILL:
                self._kill("told twice to stop")

    def _stop(self) -> None:
        self.state = ServiceState.STOPPING
        self._kill_at = time.monotonic() + self._grace + KILL_MARGIN_SECONDS
        if self.edge.running:
            self.edge.send(signal.SIGTERM)
        else:
            self._stop_origin()

    def _kill(self, why: str) -> None:
        self._say(f"{why}: killing what is left")
        self.state = ServiceState.KILLING
        self._kill_at = self._restart_at = None
        self._code = self._code or 128 + signal.SIGKILL
        self.edge.kill()
        self.origin.kill()

    # Events from the children.

    def _check_listening(self) -> None:
        """A byte says that the origin listens. End of file: it died before that."""
        if self._listening is None:
            return
        try:
            said = os.read(self._listening, 1)
        except BlockingIOError:
            return
        os.close(self._listening)
        self._listening = None
        if said and self.state is ServiceState.STARTING:
            self.state = ServiceState.SERVING
            self.edge.start(keep_open=inherited())

    def _check_edge(self) -> None:
        code = self.edge.ended()
        if code is None:
            return
        if self.state is ServiceState.SERVING:
            self._say(f"the edge ended with {code}")
        if self._code is None:
            # TERM came before the master had its handler: this is a stop, too.
            asked = self.state is ServiceState.STOPPING and code == 128 + signal.SIGTERM
            self._code = 0 if asked else code
        if self.state is not ServiceState.KILLING:
            self.state = ServiceState.STOPPING
            if self._kill_at is None:
                self._kill_at = time.monotonic() + KILL_MARGIN_SECONDS
            self._stop_origin()

    def _check_origin(self) -> None:
        code = self.origin.ended()
        if code is None:
            return
        if self.state is ServiceState.STARTING:
            # It has logged the cause; a second start would only repeat that.
            self._code = code
        elif self.edge.running and self.state is not ServiceState.KILLING:
            lived = time.monotonic() - self.origin.started
            self._pause = pause_after(self._pause, lived)
            self._restart_at = time.monotonic() + self._pause
            self._say(f"the origin ended with {code}; again in {self._pause:.1f} s")

    def _stop_origin(self) -> None:
        self._restart_at = None
        self.origin.send(signal.SIGTERM)

    def _start_origin(self) -> None:
        read, write = os.pipe()
        os.set_blocking(read, False)
        self.origin.start(READY_FLAG, str(write), keep_open=[write])
        os.close(write)
        if self._listening is not None:
            os.close(self._listening)
        self._listening = read

    # Events of time.

    def _timeout(self) -> float | None:
        moments = [at for at in (self._restart_at, self._kill_at) if at is not None]
        return max(0.0, min(moments) - time.monotonic()) if moments else None

    def _check_clock(self) -> None:
        now = time.monotonic()
        if self._kill_at is not None and now >= self._kill_at:
            self._kill("took too long to stop")
        if self._restart_at is not None and now >= self._restart_at:
            self._restart_at = None
            self._start_origin()
