"""What is to be appended: standard input or a file, read as it arrives.

It is never held whole. A file can be read again from where it began, also one that
standard input is redirected from. A pipe cannot: what came out of it can be sent again
only while it is still in memory.
"""

import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from edge.cli.streams.exit_faults import Exit, Fault, wrong

PIECE = 64 * 1024
STANDARD_INPUT = "-"


class Source:
    """An input, its size where that is known, and whether it can be read again."""

    def __init__(
        self,
        file: BinaryIO,
        name: str,
        passed: Callable[[int], None] = lambda size: None,
    ) -> None:
        self._file = file
        self._name = name
        self._begin = _position(file)
        self.passed = passed
        self.size = _left(file, self._begin)

    @property
    def replayable(self) -> bool:
        """Whether ``rewind`` works."""
        return self._begin is not None

    def pieces(self) -> Iterator[bytes]:
        """What arrives, as soon as it does. Raises Fault when reading fails."""
        while piece := self._read():
            self.passed(len(piece))
            yield piece

    def head(self, size: int = PIECE) -> tuple[bytes, bool]:
        """The first ``size`` bytes at most, and whether that was all."""
        head = b""
        while len(head) < size:
            piece = self._read(size - len(head))
            if not piece:
                return head, True
            head += piece
        return head, False

    def rewind(self) -> None:
        """Go back to where it began."""
        if self._begin is not None:
            self._file.seek(self._begin)

    def _read(self, size: int = PIECE) -> bytes:
        try:
            # One raw read: bytes that a pipe has now do not wait for more.
            read1 = getattr(self._file, "read1", self._file.read)
            piece: bytes = read1(size)
        except OSError as error:
            text = f"{self._name}: {error.strerror or error}"
            raise Fault(Exit.FAILED, text) from None
        return piece


@contextmanager
def source(path: str) -> Iterator[Source]:
    """The input that ``path`` names, ``-`` being standard input. Raises Fault."""
    if path == STANDARD_INPUT:
        if sys.stdin is None:
            raise Fault(Exit.FAILED, "standard input is closed")
        yield Source(sys.stdin.buffer, "standard input")
        return
    with _opened(path) as file:
        yield Source(file, path)


def _opened(path: str) -> BinaryIO:
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise wrong(path, error.strerror or str(error)) from None


def _position(file: BinaryIO) -> int | None:
    try:
        regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
        return file.tell() if regular else None
    except (OSError, ValueError):
        # In-memory inputs have no file number; they are read once.
        return None


def _left(file: BinaryIO, begin: int | None) -> int | None:
    return None if begin is None else os.fstat(file.fileno()).st_size - begin
