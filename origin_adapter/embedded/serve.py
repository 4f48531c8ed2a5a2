"""RunningOrigin: the parts put together, from start to stop.

The command line runs ``RunningOrigin``; tests run it beside their own greenlets. A
store belongs to one process: a lock file says so.
"""

import fcntl
import os
import resource
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType

from origin_adapter.embedded.engine.engine import Engine
from origin_adapter.embedded.engine.signing import SigningKeys
from origin_adapter.embedded.engine.webhook_dispatcher import WebhookDispatcher
from origin_adapter.embedded.http.app import OriginApp
from origin_adapter.embedded.http.server import OriginServer, address_of, listen
from origin_adapter.embedded.options import Options
from origin_adapter.embedded.store.schema import make_folder

LOCK = "lock"
MAX_FILES = 1_048_576
OWN_FILES = 128
"""Open files that are no client connections: the store, webhooks, the event loop."""


class AlreadyRunning(Exception):
    """Another process serves this folder."""


class RunningOrigin:
    """A running origin. Stop it with ``stop``, or as a context manager."""

    def __init__(self, options: Options, address: str) -> None:
        self._stopped = False
        with ExitStack() as undo:
            make_folder(options.data)
            self._lock = _lock(options.data)
            undo.callback(os.close, self._lock)
            self._socket = listen(address)
            undo.callback(self._socket.close)
            self.engine = Engine(options)
            undo.callback(self.engine.stop)
            keys = SigningKeys(self.engine.store.secret)
            self.dispatcher = WebhookDispatcher(self.engine, keys)
            self.engine.deliver = self.dispatcher.dispatch
            app = OriginApp(self.engine, keys)
            self._server = OriginServer(
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
        return address_of(self._socket)

    def stop(self, timeout: float = 10.0) -> None:
        """Answer waiting readers, finish what was begun, close the file. Call once."""
        if self._stopped:
            return
        self._stopped = True
        self._server.drain()
        self.engine.change_events.stop()
        self._server.stop(timeout)
        self.dispatcher.stop()
        self.engine.stop()
        os.close(self._lock)

    def __enter__(self) -> "RunningOrigin":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _raise_file_limit() -> int:
    """Let this process open as many files as it may; how many connections fit.

    Each waiting reader is an open file. If the system refuses more, the limit stays as
    it is.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MAX_FILES if hard == resource.RLIM_INFINITY else hard
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, (MAX_FILES if soft == resource.RLIM_INFINITY else soft) - OWN_FILES)


def _lock(data: Path) -> int:
    """Take the lock until this process ends, however it ends. Raises AlreadyRunning."""
    file = os.open(data / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        raise AlreadyRunning(f"another process serves {data}") from None
    return file
