"""SpoolFolder: files without a name in one folder (``edge.core.file_ports``).

A name would outlive a process that is killed; these files end with their last handle.
"""

import os
import tempfile
from collections.abc import Callable, Sequence
from errno import EBADF, EIO
from functools import partial
from typing import TypeVar

from edge.core.file_ports import Read, Written
from edge.files.threads import FileThreads

T = TypeVar("T")


class SpoolFolder:
    """Makes ``SpoolFile``s in ``folder``. ``threads`` do all that touches it."""

    def __init__(self, folder: str, threads: FileThreads) -> None:
        self._folder = folder
        self._threads = threads

    def __repr__(self) -> str:
        return f"<SpoolFolder {self._folder}>"

    def make(self) -> "UnlinkedFile":
        """See ``file_ports.SpoolFiles``."""
        return UnlinkedFile(self._folder, self._threads)


class UnlinkedFile:
    """Implements ``file_ports.SpoolFile``.

    Its descriptor is closed when no call is under way: a number that was given back
    may be another file's.
    """

    def __init__(self, folder: str, threads: FileThreads) -> None:
        self._folder = folder
        self._threads = threads
        self._file: int | None = None
        self._under_way = 0
        self._is_closed = False

    def append(self, pieces: Sequence[bytes], done: Written) -> None:
        """See ``file_ports.SpoolFile``."""
        self._run(partial(self._append, pieces), done)

    def read(self, position: int, size: int, done: Read) -> None:
        """See ``file_ports.SpoolFile``."""
        self._run(partial(self._read, position, size), done)

    def close(self) -> None:
        """See ``file_ports.SpoolFile``."""
        if not self._is_closed:
            self._is_closed = True
            self._close_idle()

    def _run(self, work: Callable[[], T], done: Callable[[T | OSError], None]) -> None:
        self._under_way += 1
        self._threads.run(work, partial(self._ended, done))

    def _ended(self, done: Callable[[T | OSError], None], result: T | OSError) -> None:
        self._under_way -= 1
        if self._is_closed:
            self._close_idle()
        else:
            done(result)

    def _close_idle(self) -> None:
        if self._file is not None and not self._under_way:
            file, self._file = self._file, None
            # To give back many blocks takes its time, too.
            self._threads.run(partial(os.close, file), _heard)

    # On a thread.

    def _append(self, pieces: Sequence[bytes]) -> None:
        if self._file is None:
            self._file = _open_unnamed(self._folder)
        for piece in pieces:
            left = memoryview(piece)
            while left:
                left = left[os.write(self._file, left) :]

    def _read(self, position: int, size: int) -> bytes:
        if self._file is None:
            raise OSError(EBADF, "nothing was written")
        data = os.pread(self._file, size, position)
        if len(data) != size:
            raise OSError(EIO, "the file is shorter than what was written")
        return data


def _heard(result: object) -> None:
    """That a file was closed interests nobody."""


def _open_unnamed(folder: str) -> int:
    """Without a name from the beginning where the file system can (O_TMPFILE)."""
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        return os.dup(file.fileno())
