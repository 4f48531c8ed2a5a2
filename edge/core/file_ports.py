"""The ports to files: what the hub needs of a disk, and never waits for.

Implemented by ``edge.files``. Each call returns at once; ``done`` is called later, on
the event loop, once, with what was asked for or with the OSError that came instead. It
never switches greenlets. Nothing is told after ``close``.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

Read = Callable[[bytes | OSError], None]
"""Is told the bytes, or why there are none."""

Written = Callable[[OSError | None], None]
"""Is told that all was written (None), or why not: then nobody knows how much was."""


class SpoolFile(Protocol):
    """A file without a name: what it takes of the disk ends with it (S1)."""

    def append(self, pieces: Sequence[bytes], done: Written) -> None:
        """Write all of them at the end. One call at a time."""

    def read(self, position: int, size: int, done: Read) -> None:
        """The ``size`` bytes from ``position`` on, all of which were written."""

    def close(self) -> None:
        """Forget the file. Idempotent; a call under way is still finished."""


class SpoolFiles(Protocol):
    """Where such files are made."""

    def make(self) -> SpoolFile:
        """A new file. It is opened by the first ``append``, which may so fail."""
