"""Serving: the parts put together, from start to stop.

``Serving`` is what the command line runs, and what tests run beside their own
greenlets. A keep belongs to one process: a lock file says so.
"""

import fcntl
import os
import resource
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from origin_adapter.embedded.engine.engine import Engine
from origin_adapter.embedded.engine.signing import Keys
from origin_adapter.embedded.engine.webhook_dispatcher import Deliveries
from origin_adapter.embedded.http.app import create_app
from origin_adapter.embedded.http.server import Server, listen
from origin_adapter.embedded.options import Options
from origin_adapter.embedded.store.schema import make_folder

LOCK = "lock"
MAX_FILES = 1_048_576
OWN_FILES = 128
"""Files that are no connections: the keep's, webhooks', the loop's."""


class AlreadyRunning(Exception):
    """Another process serves this folder."""


class Serving:
    """A running origin. Stop it with ``stop``, or as a context manager."""

    def __init__(self, options: Options, address: str) -> None:
        self._stopped = False
        with ExitStack() as undo:
            make_folder(options.data)
            self._lock = _lock(options.data)
            undo.callback(os.close, self._lock)
            self._socket = listen(address)
            undo.callback(self._socket.close)
            self.desk = Engine(options)
            undo.callback(self.desk.stop)
            keys = Keys(self.desk.keep.secret)
            self.deliveries = Deliveries(self.desk, keys)
            self.desk.deliver = self.deliveries.order
            app = create_app(self.desk, keys)
            self._server = Server(
                self._socket,
                app,
                min(options.max_connections, _raise_file_limit()),
                options.send_timeout,
            )
            self._server.start()
            undo.pop_all()

    @property
    def address(self) -> str:
        """Where it listens, with the port that the system chose."""
        name = self._socket.getsockname()
        if isinstance(name, str):
            return f"unix:{name}"
        return f"{name[0]}:{name[1]}"

    def stop(self, timeout: float = 10.0) -> None:
        """Answer who waits, finish what was begun, close the file. Once."""
        if self._stopped:
            return
        self._stopped = True
        self._server.drain()
        self.desk.bells.stop()
        self._server.stop(timeout)
        self.deliveries.stop()
        self.desk.stop()
        os.close(self._lock)

    def __enter__(self) -> "Serving":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _raise_file_limit() -> int:
    """Let this process have all files it may have; how many connections fit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = max(soft, MAX_FILES)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return max(1, hard - OWN_FILES)


def _lock(data: Path) -> int:
    """Held until this process ends, however it ends. Raises AlreadyRunning."""
    file = os.open(data / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        raise AlreadyRunning(f"another process serves {data}") from None
    return file
