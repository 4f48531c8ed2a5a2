"""What else a process says on standard error becomes lines of the log.

Python and libraries write there without asking: tracebacks of exceptions that nobody
caught, in the main thread, another one, a destructor or a greenlet; warnings; what a
library prints. ``capture`` sends all of that to ``logging``, a traceback as one field.
What the interpreter or a library in C writes to the descriptor itself stays as it is.

Called once by each process that serves, by ``edge.cli``, when it knows the format.
"""

import io
import logging
import sys
import threading
from types import TracebackType
from typing import Any

from gevent.hub import get_hub

_log = logging.getLogger("edge.process")
_printed = logging.getLogger("edge.printed")

Kind = type[BaseException]


def capture() -> None:
    """From now on in this process, and in those that are forked from it."""
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread
    sys.unraisablehook = _unraisable
    # On this hub, which a fork keeps: an exception that ends a greenlet.
    get_hub().print_exception = _ended_greenlet  # type: ignore[method-assign, assignment]
    logging.captureWarnings(True)
    sys.stderr = PrintedLines()


def _uncaught(kind: Kind, error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        _log.error("interrupted")
        return
    _log.critical("an exception ended this process", exc_info=(kind, error, trace))


def _uncaught_in_thread(ended: Any) -> None:
    if ended.exc_value is not None:
        found = (ended.exc_type, ended.exc_value, ended.exc_traceback)
        _log.error("an exception ended a thread", exc_info=found)


def _unraisable(met: Any) -> None:
    error = met.exc_value
    found = None if error is None else (type(error), error, error.__traceback__)
    said = met.err_msg or "an exception was ignored"
    _log.error("%s: %r", said, met.object, exc_info=found)


def _ended_greenlet(context: object, kind: Any, value: Any, trace: Any) -> None:
    """See ``gevent.hub.Hub.print_exception``."""
    if not isinstance(value, BaseException):
        value = kind() if value is None else kind(value)
    _log.error("an exception ended %r", context, exc_info=(kind, value, trace))


class PrintedLines(io.TextIOBase):
    """Standard error, as others print to it: each line becomes one of the log."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self._begun = ""

    def writable(self) -> bool:
        """See ``io``."""
        return True

    def fileno(self) -> int:
        """See ``io``. For who asks whether it is a terminal, or writes there itself."""
        return 2

    def write(self, text: str) -> int:
        """See ``io``."""
        *lines, self._begun = (self._begun + text).split("\n")
        for line in filter(str.strip, lines):
            _printed.error("%s", line)
        return len(text)
