"""A bar for long work, on stderr, if stderr is a terminal.

It is not shown if standard output goes to the terminal too: the data would run through
the bar. It shows bytes, speed and time, and a share if the whole is known.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

Passed = Callable[[int], None]


def _unseen(size: int) -> None:
    """Shows nothing."""


@contextmanager
def shown(doing: str, total: int | None = None, *, printing: bool) -> Iterator[Passed]:
    """A bar while the block runs; call what it yields with each size that passed."""
    if not _seen(sys.stderr) or (printing and _seen(sys.stdout)):
        yield _unseen
        return
    with _bar(doing, total) as passed:
        yield passed


def _seen(stream: TextIO | None) -> bool:
    """Whether it is a terminal; None when it was closed from the start."""
    return stream is not None and stream.isatty()


@contextmanager
def _bar(doing: str, total: int | None) -> Iterator[Passed]:
    # rich is loaded only where something is to be seen.
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn(doing),
        *([BarColumn()] if total else []),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True)
    bar = Progress(*columns, console=console, transient=True, redirect_stdout=False)
    with bar:
        task = bar.add_task(doing, total=total)
        yield lambda size: bar.advance(task, size)
