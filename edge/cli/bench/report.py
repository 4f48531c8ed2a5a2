"""How a bench ends: figures on standard output, faults on stderr, an exit code.

What was measured before a fault or an interruption is told too. 0: done. 1: it could
not be done. 2: the command line is wrong. 130: interrupted.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from edge.cli import console
from edge.cli.bench import plot as drawing
from edge.cli.bench.progress import Bar, bar
from edge.cli.bench.results import Figures, warnings
from edge.cli.streams.exit_faults import Exit, Fault


class Run(Protocol):
    """Something to measure."""

    def run(self) -> None:
        """Measure. Raises Fault."""

    def figures(self) -> Figures | None:
        """What was measured so far."""


def conclude(
    kind: str, make: Callable[[Bar], Run], as_json: bool, plot: Path | None
) -> int:
    """Run it, tell and draw what it measured; the exit code."""
    run: Run | None = None
    code, error = Exit.OK, None
    try:
        if plot is not None:
            drawing.check(plot)
        with bar() as painted:
            run = make(painted)
            run.run()
    except Fault as fault:
        code = Exit.WRONG if fault.exit_code is Exit.WRONG else Exit.FAILED
        error = str(fault)
    except KeyboardInterrupt:
        code, error = Exit.INTERRUPTED, "interrupted"
    figures = None if run is None else run.figures()
    _tell(kind, figures, error, as_json)
    if figures is not None and plot is not None and not _drawn(figures, plot):
        code = code or Exit.FAILED
    return code


def _drawn(figures: Figures, plot: Path) -> bool:
    try:
        drawing.draw(figures, plot)
    except Fault as fault:
        console.error(str(fault))
        return False
    console.note(f"plot: {plot}")
    return True


def _tell(kind: str, figures: Figures | None, error: str | None, as_json: bool) -> None:
    if as_json:
        told = {"kind": kind} if figures is None else figures.data()
        if error is not None:
            told = told | {"error": error}
        print(json.dumps(told), flush=True)
    elif figures is not None:
        from edge.cli.bench.table import show

        show(figures)
    for warning in [] if figures is None else warnings(figures):
        console.note(warning)
    if error is not None:
        console.error(error)
