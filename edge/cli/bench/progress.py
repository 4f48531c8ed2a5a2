"""A bar on stderr, if stderr is a terminal. It is painted only when ``show`` is called.

It has no thread of its own: painting would take time while an event is on its way.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Bar(Protocol):
    """Shows how far a run has come."""

    def show(self, doing: str, done: float, total: float) -> None:
        """So much of ``total`` is done."""


class Unseen:
    """Shows nothing."""

    def show(self, doing: str, done: float, total: float) -> None:
        """Nothing is shown."""


@contextmanager
def bar() -> Iterator[Bar]:
    """A bar for as long as the block runs; an unseen one without a terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield Unseen()
        return
    with _painted() as painted:
        yield painted


@contextmanager
def _painted() -> Iterator[Bar]:
    # rich is loaded only where something is to be seen.
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        auto_refresh=False,
        transient=True,
        redirect_stdout=False,
    )
    task = progress.add_task("")

    class Painted:
        def show(self, doing: str, done: float, total: float) -> None:
            progress.update(task, description=doing, completed=done, total=total)
            progress.refresh()

    with progress:
        yield Painted()
