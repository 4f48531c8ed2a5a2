"""OpenRange: a range on the disk that is read (``file_ports.KeptRange``).

All its pieces are opened when it is found: whatever happens to their names later, who
reads it reads on. One that lacks a piece, or of which a piece is too short, is not
there. Only files are opened that are the disk's own: a link, a pipe or a folder in the
place of a piece is damage.
"""

import os
import stat
from collections.abc import Callable
from errno import ELOOP
from functools import partial
from pathlib import Path
from typing import Protocol

from edge.core.file_ports import RECORD_SIZE, Read
from edge.files import piece_format
from edge.files.piece_format import Damaged, PieceHead
from edge.files.threads import FileThreads

# A link would lead elsewhere; a pipe would have the thread wait.
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK

Opened = tuple[int, int]
"""A piece's descriptor, and where its records begin."""


class RangeOwner(Protocol):
    """Who keeps the index of the ranges."""

    readers: FileThreads

    def damaged(self, stem: str) -> None:
        """A piece is not what was written."""

    def closed(self, stem: str) -> None:
        """Nobody reads this one any more."""


class OpenRange:
    """Implements ``file_ports.KeptRange``. ``pieces`` are closed with it."""

    def __init__(
        self, owner: RangeOwner, stem: str, piece: PieceHead, pieces: list[Opened]
    ) -> None:
        self.head = piece.head
        self._owner = owner
        self._stem = stem
        self._id = piece.id
        self._pieces = pieces
        # The last record that was read, and which one it was.
        self._last: tuple[int, bytes] = (-1, b"")
        self._under_way = 0
        self._is_closed = False

    def read(self, position: int, size: int, done: Read) -> None:
        """See ``file_ports.KeptRange``."""
        self._under_way += 1
        work = partial(self._read, position, size)
        self._owner.readers.run(work, partial(self._ended, done))

    def close(self) -> None:
        """See ``file_ports.KeptRange``."""
        if not self._is_closed:
            self._is_closed = True
            self._close_idle()

    def _ended(self, done: Read, result: bytes | OSError) -> None:
        self._under_way -= 1
        if isinstance(result, Damaged):
            self._owner.damaged(self._stem)
        if self._is_closed:
            self._close_idle()
        else:
            done(result)

    def _close_idle(self) -> None:
        if not self._under_way and self._pieces:
            pieces, self._pieces = self._pieces, []
            self._owner.readers.run(partial(close_all, pieces), _heard)
            self._owner.closed(self._stem)

    # On a thread.

    def _read(self, position: int, size: int) -> bytes:
        found = []
        while size > 0:
            number, within = divmod(position, RECORD_SIZE)
            part = self._record(number)[within : within + size]
            if not part:
                raise Damaged
            found.append(part)
            position += len(part)
            size -= len(part)
        return found[0] if len(found) == 1 else b"".join(found)

    def _record(self, number: int) -> bytes:
        last, data = self._last
        if last == number:
            return data
        length = min(RECORD_SIZE, self.head.size - number * RECORD_SIZE)
        if length <= 0:
            raise Damaged
        piece, within = piece_format.record_place(number)
        file, at = self._pieces[piece]
        size = length + piece_format.DIGEST_SIZE
        octets = os.pread(file, size, at + within)
        if len(octets) != size:
            raise Damaged
        data = piece_format.read_record(self._id, number, octets)
        self._last = number, data
        return data


def open_first(path: Path) -> tuple[PieceHead, Opened]:
    """Open piece 0. Raises Damaged, OSError (FileNotFoundError: nothing is there)."""
    try:
        file = os.open(path, _FLAGS)
    except OSError as error:
        if error.errno == ELOOP:
            raise Damaged from None
        raise
    try:
        told = os.fstat(file)
        if not stat.S_ISREG(told.st_mode):
            raise Damaged
        piece, at = _head_of(file)
        if told.st_size != at + piece_format.records_size(piece):
            raise Damaged
    except BaseException:
        os.close(file)
        raise
    return piece, (file, at)


def open_others(
    first: PieceHead, opened: Opened, path_of: Callable[[int], Path]
) -> list[Opened]:
    """All pieces of a range, of which the first is opened. Raises Damaged, OSError;
    then all are closed."""
    pieces = [opened]
    try:
        for number in range(1, piece_format.pieces_of(first.head)):
            try:
                piece, one = open_first(path_of(number))
            except FileNotFoundError:
                raise Damaged from None
            pieces.append(one)
            if (piece.id, piece.number) != (first.id, number):
                raise Damaged
    except BaseException:
        close_all(pieces)
        raise
    return pieces


def close_all(pieces: list[Opened]) -> None:
    """Close their descriptors."""
    for file, _ in pieces:
        os.close(file)


def _head_of(file: int) -> tuple[PieceHead, int]:
    """The head of a piece, and how long it is. Raises Damaged, OSError."""
    size = piece_format.head_size(os.pread(file, piece_format.FIRST, 0))
    octets = os.pread(file, size, 0)
    if len(octets) != size:
        raise Damaged
    try:
        return piece_format.read_head(octets), size
    except (ValueError, TypeError):
        raise Damaged from None


def _heard(result: object) -> None:
    """Nobody asked how it ended."""
