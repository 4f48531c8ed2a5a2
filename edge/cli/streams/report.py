"""How a command ends: one line or one JSON object, and the exit code.

Commands that print a stream keep standard output for its bytes, so what is told
of them goes to stderr, in JSON too; the others tell it on standard output when
JSON is asked for. Nothing that is foreseen ends in a traceback.
"""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from edge.cli.streams.exit_faults import Exit, Fault, NoReader


class Reportable(Protocol):
    """What a command has done so far, also when it is cut short."""

    def data(self) -> dict[str, object]:
        """For programs."""

    def line(self) -> str:
        """For people."""


@dataclass(slots=True)
class CommandReport:
    """Runs a command's work and tells how it ended.

    ``told`` is None until there is something to tell; ``printing`` says that
    standard output belongs to the stream's bytes.
    """

    as_json: bool
    printing: bool
    told: Reportable | None = None

    def note(self, message: str) -> None:
        """A word on the way, for people only."""
        if not self.as_json:
            _console("note", message)

    def of(self, work: Callable[[], None]) -> Exit:
        """The exit code of ``work``; what is to be told has been told."""
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
    # Loaded when it is needed: rich takes longer than most requests.
    from edge.cli import console

    {"error": console.error, "note": console.note}[word](message)


def _drop_output() -> None:
    """Nobody reads: what Python would flush at its end goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
