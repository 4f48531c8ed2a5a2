"""EdgeArbiter: gunicorn's master; it starts a new process before it retires an old one.

Told to stop (TERM), it first says for ``shutdown.delay`` that it is not ready, and goes
on with everything, so that balancers look elsewhere before anything ends. Then fronts
end, and keepers when no front is left.

gunicorn itself retires the old workers as soon as the new ones are forked, before any
of them accepts connections. While they drain it blocks and handles no signal. It ends
everything when a new one cannot start. A worker that ends by itself is replaced only
after its end, so nothing accepts connections while it drains.

Here ``places`` decides which process is started and which is retired. Processes report
through ``worker_pipe``. Their number is fixed, and a new program needs a restart: TTIN,
TTOU and USR2 change nothing. USR1 is among master and workers: there are no log files
to open again. What a process takes with it through the fork is its seat.
"""

import logging
import math
import os
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

from gunicorn import sock
from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer

from edge.core.reasons import Reason
from edge.core.values import Place, Role
from edge.process.node_figures import master_text
from edge.process.node_lanes import NodeLanes
from edge.process.open_node import OpenNode
from edge.process.options import ServerOptions
from edge.process.overdue import Overdue, Sign
from edge.process.places import Gone, Places, Start
from edge.process.reload_book import ReloadBook
from edge.process.run_folder import hand_over_path
from edge.process.seat import Seat
from edge.process.systemd import ServiceManager
from edge.process.worker_pipe import ENDED, READY, WAKE, WorkerPipe

_log = logging.getLogger("edge.front")

RETIRE = signal.SIGUSR2
"""Tells a worker to drain because its successor serves. (TERM: the whole edge ends.)"""


LEAVE = signal.SIGUSR1
"""Tells a worker to say that it is not ready: the whole edge will end."""

DID_NOT_START = "a new process did not start: its log says why"
SILENT = "{} (process {}) did not start: it gave no sign of life, and was ended"
DIED = "{} (process {}) did not start: it ended before it served, the log says how"
"""Why a reload has failed."""

CUT_OFF = "the run folder %s was removed: fronts reach no keeper, so this edge ends"

CUT_OFF_STATUS = 1
"""How the master ends then: whoever started it may start it again."""

MAX_PAUSE_SECONDS = 1.0
"""Between two looks at the workers."""

KEEPERS_STOP_SECONDS = 1.0
"""What keepers have at least of the time that all have to stop. They end at once when
no front is left."""

STOP_LOOK_SECONDS = 0.05
"""Between two looks at fronts that end."""


def name_process(name: str) -> None:
    """Have ``top`` and ``ps -o comm`` show it. The command line stays the master's."""
    with suppress(OSError), open("/proc/self/comm", "w") as file:
        file.write(name)


class Renewal(NamedTuple):
    """What came of reading the settings again. ``changed``: the names of those that
    differ; ``problems``: why they are refused, none if they are taken."""

    changed: Sequence[str] = ()
    problems: Sequence[str] = ()


class Reloadable(Protocol):
    """What the master needs from the gunicorn application that it runs.

    ``replaced`` is set by the master: workers that got a successor, by reason word.
    So is ``seat``, before each fork: that of the process that is forked next. What
    becomes of reloads it writes into ``reloads``.
    """

    worker_pipe: WorkerPipe
    reloads: ReloadBook
    replaced: Mapping[str, int]
    seat: Seat
    manager: ServiceManager

    @property
    def node(self) -> OpenNode | None:
        """What the processes share; None where there is one worker."""

    @property
    def options(self) -> ServerOptions:
        """Those in force."""

    def serving(self) -> None:
        """The edge accepts connections. Called once."""

    def renew(self) -> Renewal:
        """Read the settings again and apply them, unless something is wrong, which the
        log says, too."""

    def forked_off(self) -> None:
        """A process was forked. Called in the master."""

    def revert(self) -> None:
        """Return to the settings from before ``renew``."""


class EdgeArbiter(Arbiter):
    """One master."""

    def __init__(self, app: Any) -> None:
        self._reloadable: Reloadable = app
        node = self._node = self._reloadable.node
        parts = None if node is None else node.parts
        self._places = Places() if not parts else Places(parts.keepers, parts.fronts)
        self._lanes = None if parts is None else NodeLanes(parts.board)
        self._announced = self._reloading = self._again = self._stopping = False
        self._leaves_at: float | None = None
        self._boot = 0
        self._boots: dict[int, int] = {}
        self._ended_well: set[int] = set()
        # Those that were told to end since they gave no sign of life.
        self._silent: set[int] = set()
        self._told_replaced: dict[str, int] = {}
        self._overdue = Overdue(MAX_PAUSE_SECONDS)
        self._reloadable.replaced = self._places.replaced
        super().__init__(app)

    # Called by gunicorn.

    def manage_workers(self) -> None:
        """Called after every signal, and once a second. See gunicorn."""
        if self._leaves_at is not None and time.monotonic() >= self._leaves_at:
            raise StopIteration
        self._look_at_folder()
        self._hear()
        self._judge_starts(self._bury())
        self._tell_replaced()
        places = self._places
        more = True
        while more:
            for start in places.to_start(time.monotonic()):
                self._start(start)
            for pid in places.to_retire():
                places.retiring(pid)
                self.kill_worker(pid, RETIRE)
            more = places.advance()
        if self._reloading and not places.reloading:
            self._reloading = False
            self._reloadable.reloads.accept()
            self._reloadable.manager.ready()
            if self._again:
                self._again = False
                self.reload()

    def _look_at_folder(self) -> None:
        """Raises HaltServer if somebody has removed the run folder: to wait longer
        would be to answer every read with an error, and to be ready."""
        node = self._node
        if node is not None and not node.is_reachable():
            _log.critical(CUT_OFF, node.parts.folder)
            raise HaltServer("the run folder was removed", CUT_OFF_STATUS)

    def _tell_replaced(self) -> None:
        """Of several processes none tells of replacements: each would tell all."""
        replaced = dict(self._places.replaced)
        if self._node is not None and replaced != self._told_replaced:
            self._told_replaced = replaced
            self._node.parts.board.store_text(master_text(replaced))

    def _hear(self) -> None:
        """What the processes have said."""
        for word, pid in self._reloadable.worker_pipe.read():
            if word == READY:
                self._accepts(pid)
            elif word == ENDED:
                self._ended_well.add(pid)
            else:
                self._places.replace(pid, Reason(word))

    def _accepts(self, pid: int) -> None:
        """The process accepts connections."""
        self._places.ready(pid)
        place = self._places.place_of(pid)
        if self._lanes is not None and place is not None and place.role is Role.KEEPER:
            self._lanes.accepts(pid)
        if not self._announced and self._places.open:
            self._announced = True
            self._reloadable.serving()
            self._reloadable.manager.ready()
        if self._leaves_at is not None:
            # It was started before, or replaces one: it has not heard.
            self.kill_worker(pid, LEAVE)

    def _bury(self) -> list[Gone]:
        """Take note of the processes that have been reaped."""
        gone = self._places.ended(self.WORKERS.keys(), time.monotonic())
        for pid, place, *_ in gone:
            if self._lanes is not None:
                self._lanes.take_back(pid)
                # It may have written, and not said so.
                if place.role is Role.FRONT and pid not in self._ended_well:
                    self._lanes.raise_doubt()
            self._ended_well.discard(pid)
            self._tidy(place, self._boots.pop(pid, 0))
        return gone

    def _judge_starts(self, gone: Sequence[Gone]) -> None:
        """A reload fails with the first of its processes that ends before it serves,
        by itself or since it hung: it would be started again, for ever."""
        failed = [one for one in gone if one.newest and not one.began]
        begins = self._reloading and not self._places.reverting
        if failed and begins and not self._stopping:
            one = failed[0]
            why = SILENT if one.pid in self._silent else DIED
            self._could_not_start(why.format(one.place.name, one.pid))
        self._silent.difference_update(one.pid for one in gone)

    def _tidy(self, place: Place, boot: int) -> None:
        """Remove the socket at which a keeper with this boot was asked by its
        successor: one that was killed has left it."""
        if self._node is not None and place.role is Role.KEEPER:
            left = hand_over_path(self._node.parts.folder, place.number, boot)
            with suppress(OSError):
                os.unlink(left)

    def _start(self, start: Start) -> None:
        """Fork one, if it can have a lane. Returns in the master only."""
        lane, boot = 0, self._boot + 1
        if self._lanes is not None:
            given = self._lanes.give(start, boot, time.monotonic())
            if given is None:
                return
            lane = given
        self._boot = boot
        parts = None if self._node is None else self._node.parts
        before = self._boots.get(self._places.newest(start.place) or 0, 0)
        seat = Seat(start.place, lane, boot, parts, before=before)
        self._reloadable.seat = seat
        pid = self._fork(start, lane)
        if pid is None:
            return
        # Its start is its first sign: the file's own time is of another clock, far
        # ahead, and one that hangs before it speaks would never be ended.
        self.WORKERS[pid].tmp.notify()
        self._places.started(start.place, pid)
        self._boots[pid] = boot
        if self._lanes is not None:
            self._lanes.holds(pid, lane)

    def _fork(self, start: Start, lane: int) -> int | None:
        """The new process; None: there can be none now. Returns in the master only.

        Raises HaltServer where nobody serves yet.
        """
        try:
            pid: int = self.spawn_worker()
        except OSError as error:
            if os.getpid() != self.pid:
                raise
            if self._lanes is not None:
                self._lanes.give_back(lane)
            self._reloadable.forked_off()
            why = f"{start.place.name} cannot be started: {error.strerror or error}"
            if not self._announced:
                raise HaltServer(why, self.WORKER_BOOT_ERROR) from error
            _log.error("%s; it is tried again", why)
            self._places.put_off(start.place, time.monotonic())
            return None
        self._reloadable.forked_off()
        return pid

    def forked(self, worker: Any, place: Place) -> None:
        """In the child: take the listeners of its place, and close those of others,
        which could be called for as long as this one lives."""
        if self._node is None:
            return
        name_process(place.name)
        links = list(self._node.listeners)
        if place.role is Role.KEEPER:
            for public in self.LISTENERS:
                public.close()
            worker.sockets = [links.pop(place.number)]
        for other in links:
            other.close()

    def reload(self) -> None:
        """HUP: replace all workers, by the settings as they are now. See gunicorn."""
        reloads = self._reloadable.reloads
        if self._leaves_at is not None:
            _log.warning("no reload: the edge is about to stop")
            reloads.begin()
            reloads.refuse(Reason.DRAINING, ("the edge is about to stop",))
            return
        if self._reloading and not self._places.alone:
            _log.info("a reload is under way; the next one begins when it is over")
            self._again = True
            return
        self._reloadable.manager.reloading()
        self._reloading = True
        reloads.begin()
        renewal = self._reloadable.renew()
        if renewal.problems:
            reloads.refuse(Reason.SETTINGS_REFUSED, renewal.problems)
            return
        reloads.taken(renewal.changed)
        self.setup(self.app)
        self._places.reload()

    def reap_workers(self) -> None:
        """Note which workers ended. See gunicorn.

        Raises HaltServer when a worker could not start and no other one serves.
        """
        try:
            super().reap_workers()
        except HaltServer:
            self._hear()
            self._silent.difference_update(one.pid for one in self._bury())
            if not self._stopping:
                if not (self._places.serving and self._announced):
                    raise
                self._could_not_start(DID_NOT_START)
            self.reap_workers()

    def _could_not_start(self, why: str) -> None:
        """A process did not start, and others serve."""
        fails = self._reloading and not self._places.reverting
        if fails:
            self._reloadable.reloads.fail(why)
        _log.error("the new worker did not start: the old one stays (%s)", why)
        if fails:
            self._reloadable.revert()
            self._places.revert()
            self.setup(self.app)
        else:
            self._places.cancel()

    def murder_workers(self) -> None:
        """End the processes that give no sign of life. See gunicorn.

        Of several, a keeper that serves is looked at more closely: fronts claim nothing
        while its streams are unwatched.
        """
        if self._places.alone:
            super().murder_workers()
            self._silent.update(pid for pid, w in self.WORKERS.items() if w.aborted)
            return
        options, signs = self._reloadable.options, {}
        serving = set(self._places.accepting)
        for pid, worker in self.WORKERS.items():
            place = self._places.place_of(pid)
            keeps = place is not None and place.role is Role.KEEPER
            # Of who has said its last, only the interpreter has not ended yet.
            close = keeps and pid in serving and pid not in self._ended_well
            allowed = options.keeper_heartbeat if close else options.heartbeat
            signs[pid] = Sign(worker.tmp.last_update(), allowed)
        for pid in self._overdue.judge(time.monotonic(), signs):
            worker, place = self.WORKERS[pid], self._places.place_of(pid)
            name = "a process" if place is None else place.name
            _log.critical("no sign of life of %s (%d): it is ended", name, pid)
            self.kill_worker(pid, signal.SIGKILL if worker.aborted else signal.SIGABRT)
            worker.aborted = True
            self._silent.add(pid)

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
        for pid in self._places.accepting:
            self.kill_worker(pid, LEAVE)

    def stop(self, graceful: bool = True) -> None:
        """Stop the workers. See gunicorn."""
        self._stopping = True
        self._reloadable.manager.stopping()
        if graceful and not self._places.alone:
            self._stop_fronts()
        super().stop(graceful)

    def _stop_fronts(self) -> None:
        """Let fronts finish while keepers still serve them."""
        unlink = not self.systemd and self.reexec_pid == self.master_pid == 0
        sock.close_sockets(self.LISTENERS, unlink)  # type: ignore[arg-type]
        self.LISTENERS.clear()
        ends = time.monotonic() + self.cfg.graceful_timeout
        for pid in self._fronts():
            self.kill_worker(pid, signal.SIGTERM)
        while self._fronts() and time.monotonic() < ends - KEEPERS_STOP_SECONDS:
            told = super().wait_for_signals(STOP_LOOK_SECONDS)
            if signal.SIGINT in told or signal.SIGQUIT in told:
                self.kill_workers(signal.SIGQUIT)
                break
            self._hear()
            self.reap_workers()
        for pid in self._fronts():
            self.kill_worker(pid, signal.SIGKILL)
        left = max(ends - time.monotonic(), KEEPERS_STOP_SECONDS)
        self.cfg.set("graceful_timeout", math.ceil(left))

    def _fronts(self) -> list[int]:
        """The fronts that have not ended, and not said that they are about to."""
        left = self.WORKERS.keys() - self._ended_well
        return [pid for pid in self._places.pids(Role.FRONT) if pid in left]

    def handle_ttin(self) -> None:
        """See the module."""
        _log.warning("the number of workers is fixed; a new program needs a restart")

    handle_ttou = handle_usr2 = handle_ttin
