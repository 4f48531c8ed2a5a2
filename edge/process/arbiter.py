"""EdgeArbiter: gunicorn's master, which starts a new worker before an old one goes.

gunicorn tells the old workers to go as soon as the new ones are forked, before any of
them accepts; blocks for as long as they drain, deaf to signals; ends everything when a
new one cannot start; and replaces a worker that leaves by itself only when it has
ended, so that nobody accepts while it drains. Here ``rollover`` says who is started
and who may go. Workers say what they have to by a pipe (``edge.process.worker_pipe``).

The number of workers is fixed, and a new program needs a restart: TTIN, TTOU and USR2
mean nothing.
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
"""Tells a worker to go because a successor serves (TERM: because it is over)."""


class Reloadable(Protocol):
    """What the master needs of the gunicorn application that it runs."""

    worker_pipe: WorkerPipe
    replaced: Mapping[str, int]

    def renew(self) -> bool:
        """Take over what was set anew; False, once it has said why not."""

    def revert(self) -> None:
        """Go by what was in force before ``renew``."""


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
        for pid in rollover.may_go(self.num_workers):
            rollover.told(pid)
            self.kill_worker(pid, RETIRE)

    def spawn_worker(self) -> int:
        """Fork one; returns in the master only. See gunicorn."""
        pid: int = super().spawn_worker()
        self._rollover.started(pid)
        return pid

    def reload(self) -> None:
        """HUP: replace everybody, by what is set now. See gunicorn."""
        if self._reloadable.renew():
            self.setup(self.app)
            self._rollover.replace_all(Reason.RELOAD)

    def reap_workers(self) -> None:
        """Take note of who ended. See gunicorn.

        Raises HaltServer when a worker could not start, unless another one serves.
        """
        try:
            super().reap_workers()
        except HaltServer:
            self._rollover.ended(self.WORKERS.keys())
            if not self._rollover.served:
                raise
            _log.error("the new worker did not start: the old one stays")
            self._rollover.call_off()
            self._reloadable.revert()
            self.setup(self.app)
            self.reap_workers()

    def handle_ttin(self) -> None:
        """See the module."""
        _log.warning("the number of workers is fixed; a new program needs a restart")

    handle_ttou = handle_usr2 = handle_ttin
