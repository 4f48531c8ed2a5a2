"""Log lines, written off the hot path.

``put`` takes a finished line and returns: it never blocks and never switches
greenlets, so a callback of the event loop may log. One greenlet writes the lines that
have gathered, on a thread, because a full pipe would stop the whole event loop. When
nothing reads the pipe, lines past a bound are dropped; their number is written as soon
as something does.
"""

import json
import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

import gevent
from gevent.event import Event

from edge.front.options import LogOptions

STDERR = 2
MAX_WAITING_LINES = 20_000
GATHER_SECONDS = 0.05
"""How long lines gather before they are written together."""

STOP_SECONDS = 1.0
"""How long ``stop`` waits for the last lines to be written."""

Put = Callable[[str], None]


class LogWriter:
    """Writes lines to a file descriptor, in order."""

    def __init__(self, fd: int = STDERR, max_lines: int = MAX_WAITING_LINES) -> None:
        self.dropped = 0
        self._fd = fd
        self._max_lines = max_lines
        self._lines: list[str] = []
        self._waiting = Event()
        self._ending = False
        self._writer: gevent.Greenlet[[], None] | None = None

    def put(self, line: str) -> None:
        """Have ``line`` written soon. Never blocks, never switches."""
        if len(self._lines) >= self._max_lines:
            self.dropped += 1
            return
        self._lines.append(line)
        self._waiting.set()

    def start(self) -> None:
        """Begin to write in the background."""
        self._writer = gevent.spawn(self._run)

    def stop(self) -> None:
        """Write what is left, and end. Gives up on a pipe that nothing reads."""
        self._ending = True
        self._waiting.set()
        if self._writer is not None:
            self._writer.join(STOP_SECONDS)

    def _run(self) -> None:
        while not (self._ending and not self._lines):
            self._waiting.wait()
            self._waiting.clear()
            gevent.sleep(0 if self._ending else GATHER_SECONDS)
            gevent.get_hub().threadpool.apply(_write_all, (self._fd, self._take()))

    def _take(self) -> bytes:
        lines, self._lines = self._lines, []
        if self.dropped:
            lines.append(json.dumps({"event": "log-dropped", "lines": self.dropped}))
            self.dropped = 0
        return "".join(line + "\n" for line in lines).encode("utf-8", "replace")


def _write_all(fd: int, data: bytes) -> None:
    """Write ``data``; what a reader that went away does not take is lost.

    Runs whole on the thread. An error that left the thread would be reported by
    gevent, to the same stderr that nobody reads.
    """
    try:
        while data:
            data = data[os.write(fd, data) :]
    except OSError:
        return


class LineHandler(logging.Handler):
    """A logging handler that passes formatted lines to ``put``."""

    def __init__(self, put: Put) -> None:
        super().__init__()
        self._put = put

    def emit(self, record: logging.LogRecord) -> None:
        """See ``logging.Handler``."""
        try:
            self._put(self.format(record))
        except (TypeError, ValueError):
            self.handleError(record)


class JsonLines(logging.Formatter):
    """One JSON object per record."""

    def format(self, record: logging.LogRecord) -> str:
        """See ``logging.Formatter``."""
        document = {
            "time": timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            document["exception"] = self.formatException(record.exc_info)
        return json.dumps(document, ensure_ascii=False)


def timestamp(unix: float) -> str:
    """RFC 3339, UTC, milliseconds."""
    second = int(unix)
    return f"{_second(second)}.{int((unix - second) * 1000):03d}Z"


@lru_cache(maxsize=4)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def configure(options: LogOptions, put: Put) -> None:
    """Send all logging of this process to ``put``, in the format asked for."""
    handler = LineHandler(put)
    plain = logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s")
    handler.setFormatter(JsonLines() if options.format == "json" else plain)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(options.level.upper())


def put_now(line: str) -> None:
    """For processes without an event loop, such as the master."""
    _write_all(STDERR, (line + "\n").encode("utf-8", "replace"))
