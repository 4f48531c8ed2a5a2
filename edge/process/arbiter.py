"""EdgeArbiter: gunicorn's master; it starts a new worker before it retires an old one.

Told to stop (TERM), it first says for ``shutdown.delay`` that it is not ready, and goes
on with everything, so that balancers look elsewhere before anything ends.

gunicorn itself retires the old workers as soon as the new ones are forked, before any
of them accepts connections. While they drain it blocks and handles no signal. It ends
everything when a new one cannot start. A worker that ends by itself is replaced only
after its end, so nothing accepts connections while it drains.

Here ``rollover`` decides which worker is started and which is retired. Workers report
through ``worker_pipe``. The number of workers is fixed, and a new program needs a
restart: TTIN, TTOU and USR2 change nothing. USR1 is among master and workers: there
are no log files to open again.
"""

import logging
import signal
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer

from edge.core.reasons import Reason
from edge.process.options import ServerOptions
from edge.process.rollover import Rollover
from edge.process.seat import ALONE, Seat
from edge.process.systemd import ServiceManager
from edge.process.worker_pipe import READY, WAKE, WorkerPipe

_log = logging.getLogger("edge.front")

RETIRE = signal.SIGUSR2
"""Tells a worker to drain because its successor serves. (TERM: the whole edge ends.)"""


LEAVE = signal.SIGUSR1
"""Tells a worker to say that it is not ready: the whole edge will end."""

MAX_PAUSE_SECONDS = 1.0
"""Between two looks at the workers."""


class Reloadable(Protocol):
    """What the master needs from the gunicorn application that it runs.

    ``replaced`` is set by the master: workers that got a successor, by reason word.
    So is ``seat``, before each fork: that of the process that is forked next.
    """

    worker_pipe: WorkerPipe
    replaced: Mapping[str, int]
    seat: Seat
    manager: ServiceManager

    @property
    def options(self) -> ServerOptions:
        """Those in force."""

    def serving(self) -> None:
        """The first worker accepts connections. Called once."""

    def renew(self) -> bool:
        """Read the settings again and apply them. False: refused; the log says why."""

    def revert(self) -> None:
        """Return to the settings from before ``renew``."""


class EdgeArbiter(Arbiter):
    """One master."""

    def __init__(self, app: Any) -> None:
        self._rollover = Rollover()
        self._reloadable: Reloadable = app
        self._announced = self._reloading = False
        self._leaves_at: float | None = None
        self._boot = 0
        self._reloadable.replaced = self._rollover.replaced
        super().__init__(app)

    # Called by gunicorn.

    def manage_workers(self) -> None:
        """Called after every signal, and once a second. See gunicorn."""
        if self._leaves_at is not None and time.monotonic() >= self._leaves_at:
            raise StopIteration
        rollover = self._rollover
        for word, pid in self._reloadable.worker_pipe.read():
            if word == READY:
                self._accepts(pid)
            else:
                rollover.replace(pid, Reason(word))
        rollover.ended(self.WORKERS.keys())
        for _ in range(rollover.missing(self.num_workers)):
            self.spawn_worker()
        for pid in rollover.to_retire(self.num_workers):
            rollover.retiring(pid)
            self.kill_worker(pid, RETIRE)
        if self._reloading and rollover.settled:
            self._reloading = False
            self._reloadable.manager.ready()

    def _accepts(self, pid: int) -> None:
        """The worker accepts connections."""
        self._rollover.ready(pid)
        if not self._announced:
            self._announced = True
            self._reloadable.serving()
            self._reloadable.manager.ready()
        if self._leaves_at is not None:
            # It was started before, or replaces one: it has not heard.
            self.kill_worker(pid, LEAVE)

    def spawn_worker(self) -> int:
        """Fork one; returns in the master only. See gunicorn."""
        self._boot += 1
        self._reloadable.seat = replace(ALONE, boot=self._boot)
        pid: int = super().spawn_worker()
        self._rollover.started(pid)
        return pid

    def reload(self) -> None:
        """HUP: replace all workers, by the settings as they are now. See gunicorn."""
        if self._leaves_at is not None:
            _log.warning("no reload: the edge is about to stop")
            return
        self._reloadable.manager.reloading()
        self._reloading = True
        if self._reloadable.renew():
            self.setup(self.app)
            self._rollover.replace_all(Reason.RELOAD)

    def reap_workers(self) -> None:
        """Note which workers ended. See gunicorn.

        Raises HaltServer when a worker could not start and no other one serves.
        """
        try:
            super().reap_workers()
        except HaltServer:
            self._rollover.ended(self.WORKERS.keys())
            if not self._rollover.serving:
                raise
            _log.error("the new worker did not start: the old one stays")
            self._rollover.cancel()
            self._reloadable.revert()
            self.setup(self.app)
            self.reap_workers()

    def wait_for_signals(self, timeout: float | None = MAX_PAUSE_SECONDS) -> list[int]:
        """The signals that came, but for WAKE: it has done its work. See gunicorn."""
        if self._leaves_at is not None:
            timeout = min(MAX_PAUSE_SECONDS, self._leaves_at - time.monotonic())
            timeout = max(0.0, timeout)
        return [n for n in super().wait_for_signals(timeout) if n != WAKE]

    def handle_term(self) -> None:
        """TERM: stop, after ``shutdown.delay``; at once when told again. See gunicorn.

        Raises StopIteration, at which gunicorn stops.
        """
        delay = self._reloadable.options.delay
        if self._leaves_at is not None or delay <= 0:
            raise StopIteration
        self._reloadable.manager.stopping()
        _log.info("not ready any more; stopping in %g s", delay)
        self._leaves_at = time.monotonic() + delay
        # One that is just starting might die of it; it is told when it accepts.
        for pid in self._rollover.accepting:
            self.kill_worker(pid, LEAVE)

    def stop(self, graceful: bool = True) -> None:
        """Stop the workers. See gunicorn."""
        self._reloadable.manager.stopping()
        super().stop(graceful)

    def handle_ttin(self) -> None:
        """See the module."""
        _log.warning("the number of workers is fixed; a new program needs a restart")

    handle_ttou = handle_usr2 = handle_ttin
