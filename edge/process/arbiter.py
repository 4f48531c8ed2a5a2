"""EdgeArbiter: gunicorn's master; it starts a new worker before it retires an old one.

gunicorn itself retires the old workers as soon as the new ones are forked, before any
of them accepts connections. While they drain it blocks and handles no signal. It ends
everything when a new one cannot start. A worker that ends by itself is replaced only
after its end, so nothing accepts connections while it drains.

Here ``rollover`` decides which worker is started and which is retired. Workers report
through ``worker_pipe``. The number of workers is fixed, and a new program needs a
restart: TTIN, TTOU and USR2 change nothing.
"""

import logging
import signal
from collections.abc import Mapping
from typing import Any, Protocol

from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer

from edge.core.reasons import Reason
from edge.process.rollover import Rollover
from edge.process.worker_pipe import READY, WorkerPipe

_log = logging.getLogger("edge.front")

RETIRE = signal.SIGUSR2
"""Tells a worker to drain because its successor serves. (TERM: the whole edge ends.)"""


class Reloadable(Protocol):
    """What the master needs from the gunicorn application that it runs.

    ``replaced`` is set by the master: workers that got a successor, by reason word.
    """

    worker_pipe: WorkerPipe
    replaced: Mapping[str, int]

    def renew(self) -> bool:
        """Read the settings again and apply them. False: refused; the log says why."""

    def revert(self) -> None:
        """Return to the settings from before ``renew``."""


class EdgeArbiter(Arbiter):
    """One master."""

    def __init__(self, app: Any) -> None:
        self._rollover = Rollover()
        self._reloadable: Reloadable = app
        self._reloadable.replaced = self._rollover.replaced
        super().__init__(app)

    # Called by gunicorn.

    def manage_workers(self) -> None:
        """Called after every signal, and once a second. See gunicorn."""
        rollover = self._rollover
        for word, pid in self._reloadable.worker_pipe.read():
            if word == READY:
                rollover.ready(pid)
            else:
                rollover.replace(pid, Reason(word))
        rollover.ended(self.WORKERS.keys())
        for _ in range(rollover.missing(self.num_workers)):
            self.spawn_worker()
        for pid in rollover.to_retire(self.num_workers):
            rollover.retiring(pid)
            self.kill_worker(pid, RETIRE)

    def spawn_worker(self) -> int:
        """Fork one; returns in the master only. See gunicorn."""
        pid: int = super().spawn_worker()
        self._rollover.started(pid)
        return pid

    def reload(self) -> None:
        """HUP: replace all workers, by the settings as they are now. See gunicorn."""
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

    def handle_ttin(self) -> None:
        """See the module."""
        _log.warning("the number of workers is fixed; a new program needs a restart")

    handle_ttou = handle_usr2 = handle_ttin
