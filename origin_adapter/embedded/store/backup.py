"""Backup: a copy of the whole file, taken while the origin runs.

The copy is of one moment. One reading transaction is held from the first page to the
last; in WAL mode that makes no writer wait. The copy gets its name only when it is
complete and on disk. It holds the signing keys too, so only its owner may read it.
"""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from origin_adapter.embedded.store import schema

STEP_PAGES = 1024

Progress = Callable[[int, int], None]
"""Called with the number of pages left, and of all pages."""


def backup(data: Path, target: Path, progress: Progress | None = None) -> int:
    """Copy the streams in ``data`` to the file ``target``; its size in bytes.

    Raises FileNotFoundError if there is no origin's file, and sqlite3.Error or OSError
    if a disk refuses; ``target`` is then as it was.
    """
    if not (data / schema.FILE).exists():
        raise FileNotFoundError(data / schema.FILE)
    partial = target.with_name(f"{target.name}.partial")
    partial.unlink(missing_ok=True)
    os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        _copy(data, partial, progress)
        _sync(partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    _sync(target.parent)
    return target.stat().st_size


def _copy(data: Path, target: Path, progress: Progress | None) -> None:
    tell = None if progress is None else lambda _, left, total: progress(left, total)
    with closing(schema.open_reader(data)) as source:
        # Without a transaction around it, every commit would restart the copy.
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM stream").fetchone()
        with closing(sqlite3.connect(target)) as copy:
            source.backup(copy, pages=STEP_PAGES, progress=tell)


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
