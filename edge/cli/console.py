"""What ``ds-edge`` says on stderr: to a person, or as lines of the log.

Most commands speak to a person: coloured on a terminal, plain text elsewhere. Lines are
never wrapped: they can be searched and clicked. A command that serves speaks as lines
of the log (``begin_log``), unless a person sits at a terminal: what collects the log
then reads one format from the first line on.
"""

import sys
import time
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.text import Text

from edge.core.log_lines import log_line
from edge.front.log_output import direct

if TYPE_CHECKING:  # commands that need no settings do not load them
    from edge.settings import SettingsError

_NAME = "edge.cli"


class _Voice:
    """How this process speaks. ``form`` None: to a person. ``stream`` is where."""

    form: str | None = None
    quiet = False
    stream: TextIO | None = None


def begin_log(form: str, *, quiet: bool = False) -> None:
    """Speak as lines of the log from now on, of the format ``form``; ``quiet`` without
    notes. On a terminal only the place is kept: what others print there may be caught
    later."""
    if _Voice.stream is None:
        _Voice.stream = sys.stderr
    if not _Voice.stream.isatty():
        _Voice.form = direct.form = form
        _Voice.quiet = quiet


def error(message: str) -> None:
    """One thing that went wrong."""
    _say("error", "error", "bold red", message)


def warn(message: str) -> None:
    """One thing that may not be meant."""
    _say("warning", "warning", "bold yellow", message)


def note(message: str) -> None:
    """One thing worth knowing."""
    _say("info", "ds-edge", "bold", message)


def plain(text: str) -> None:
    """Lines to read or to copy, as they are. In the log each is a note."""
    if _Voice.form is None:
        _console().print(Text(text), highlight=False)
        return
    for line in filter(str.strip, text.splitlines()):
        note(line.strip())


def problems(wrong: "SettingsError") -> None:
    """Every problem of the settings, one to a line."""
    for problem in wrong.problems:
        error(str(problem))


def _say(level: str, word: str, style: str, message: str) -> None:
    if _Voice.form is None:
        text = Text.assemble((f"{word}:", style), " ", message)
        _console().print(text, highlight=False)
    elif level == "error" or not _Voice.quiet:
        form, now, name = _Voice.form, time.time(), direct.process
        direct.put(log_line(form, now, level, _NAME, message, process=name))


def _console() -> Console:
    return Console(file=_Voice.stream or sys.stderr, soft_wrap=True)
