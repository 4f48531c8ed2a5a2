"""How a command ends: one line or one JSON object, and the exit code.

``read`` and ``tail`` keep standard output for the stream's bytes, so their result goes
to stderr, in JSON too. The other commands print JSON on standard output. Nothing that
is foreseen ends in a traceback.
"""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from edge.cli.streams.exit_faults import Exit, Fault, NoReader


class Reportable(Protocol):
    """The result of a command so far, also when it is cut short."""

    def data(self) -> dict[str, object]:
        """For programs."""

    def line(self) -> str:
        """For people."""


@dataclass(slots=True)
class CommandReport:
    """Runs a command's work and prints how it ended.

    ``told`` is None until there is a result. ``printing``: standard output belongs to
    the stream's bytes.
    """

    as_json: bool
    printing: bool
    told: Reportable | None = None

    def note(self, message: str) -> None:
        """A line while the work goes on, for people only."""
        if not self.as_json:
            _console("note", message)

    def of(self, work: Callable[[], None]) -> Exit:
        """Run ``work``, print how it ended, return the exit code."""
        try:
            work()
        except Fault as fault:
            return self._failed(fault)
        except KeyboardInterrupt:
            return self._interrupted()
        except NoReader:
            _drop_output()
            return Exit.NO_READER
        self._say({"ok": True, "exit": 0}, None)
        return Exit.OK

    def _failed(self, fault: Fault) -> Exit:
        data = {"ok": False, "exit": int(fault.exit_code), "error": str(fault)}
        self._say(data | {"status": fault.status}, str(fault))
        return fault.exit_code

    def _interrupted(self) -> Exit:
        data = {"ok": False, "exit": int(Exit.INTERRUPTED), "error": "interrupted"}
        self._say(data, "interrupted")
        return Exit.INTERRUPTED

    def _say(self, data: dict[str, object], error: str | None) -> None:
        if self.as_json:
            told = self.told.data() if self.told else {}
            out = sys.stderr if self.printing else sys.stdout
            print(json.dumps(data | told), file=out, flush=True)
            return
        if error is not None:
            _console("error", error)
        if self.told is not None:
            _console("note", self.told.line())


def _console(word: str, message: str) -> None:
    # Imported when needed: rich takes longer to load than most requests.
    from edge.cli import console

    {"error": console.error, "note": console.note}[word](message)


def _drop_output() -> None:
    """Send what Python flushes at its end to nowhere: the pipe has no reader."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
