"""A log line: one schema for every process of the edge. Pure.

A line says when (``time``), how severe (``level``), who speaks (``logger``; where there
are several processes, ``process`` says which) and what (``message``). More fields may
follow; ``exception`` is a whole traceback, in one field.
The format is ``json`` (one object to a line) or ``text`` (logfmt: ``key=value``). A
line is printable ASCII: it holds no line end, and nothing that a terminal acts on.

Who writes a line decides where it goes. ``edge.front.log`` makes the lines of requests
itself, in the same form and faster.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime

Fields = Mapping[str, str | int | float]

DROPPED = "lines were dropped: nothing reads the log"
"""The message of the line that counts (``lines``) what could not be written."""

LOG = "edge.log"
"""The logger that speaks of the log itself."""

_LEVELS = ("debug", "info", "warning", "error")
_BARE = re.compile(r"""[!#-<>-\[\]-~]+""", re.ASCII)
"""What logfmt writes without quotes: visible, but no ``"``, ``=`` and ``\\``."""


def log_line(
    form: str,
    unix: float,
    level: str,
    logger: str,
    message: str,
    more: Fields | None = None,
    process: str = "",
) -> str:
    """One line, without its end. ``form`` is json or text; ``unix`` is in seconds."""
    known = level if level in _LEVELS else "error"
    fields: dict[str, str | int | float] = {
        "time": timestamp(unix),
        "level": known,
        "logger": logger,
        **({"process": process} if process else {}),
        "message": message,
        **(more or {}),
    }
    return json.dumps(fields) if form == "json" else logfmt(fields)


def dropped_line(form: str, unix: float, lines: int, process: str = "") -> str:
    """The line that says how many could not be written."""
    more = {"lines": lines}
    return log_line(form, unix, "warning", LOG, DROPPED, more, process)


def logfmt(fields: Fields) -> str:
    """``key=value`` pairs; a value that is not one plain word is a JSON string."""
    return " ".join(f"{key}={logfmt_value(value)}" for key, value in fields.items())


def logfmt_value(value: str | int | float) -> str:
    """A value as logfmt has it."""
    if isinstance(value, str) and not _BARE.fullmatch(value):
        return json.dumps(value)
    return str(value)


def timestamp(unix: float) -> str:
    """RFC 3339, UTC, milliseconds."""
    second = int(unix)
    day = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{day}.{int((unix - second) * 1000):03d}Z"
