"""DiskFolder: ranges that outlive the process, in 256 folders (``file_ports.Disk``).

=============================== ====================================================
``<nn>/lock``                   held by the one process that writes there
``<nn>/<path>-<key>.<piece>``   a piece (``piece_format``): digests of the path, by
                                which ``nn`` goes, and of the rest of the key
``<nn>/.new-...``               a range that is being written
=============================== ====================================================

A range is there when its piece 0 is, which gets its name last. All that changes folders
or the index runs on one thread, one call after the other, so nothing needs a lock;
records are read on others. A folder is written by whoever has its lock, and read by
everybody: a successor finds what its predecessor still writes.

Within ``size`` the ranges that were read longest ago go first. One that is read
meanwhile still counts until it is closed. What another origin or route has kept is
deleted when it is met.
"""

import fcntl
import os
import secrets
from collections import OrderedDict
from contextlib import suppress
from errno import ENOSPC, EROFS
from functools import partial
from hashlib import blake2b
from pathlib import Path

from edge.core.file_ports import (
    RECORD_SIZE,
    Found,
    KeptHead,
    KeptName,
    Read,
    Written,
)
from edge.files import piece_format
from edge.files.piece_format import Damaged, PieceHead
from edge.files.threads import FileThreads

FOLDERS = 256

_Seen = tuple[float, str, int, bool]
"""When a range was last read, its name, its size, and whether it is whole."""


class DiskFolder:
    """All ranges below ``folder``, within ``size`` bytes. ``origin`` says whose."""

    def __init__(
        self, folder: str, size: int, origin: str, share: tuple[int, int] = (0, 1)
    ) -> None:
        self._folder = Path(folder)
        self._size = size
        self._origin = origin
        self._number, self._of = share
        self._index = FileThreads(1)
        self.readers = FileThreads(2)
        # On the thread of the index alone.
        self._locks: dict[str, int] = {}
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._opened: dict[str, int] = {}
        self._unlinked: dict[str, int] = {}
        # Bytes of all ranges in folders that this process writes.
        self.used = 0
        self._index.run(self._take_all, _heard)

    def __repr__(self) -> str:
        return f"<DiskFolder {self._folder} {self.used}/{self._size}>"

    @property
    def under_way(self) -> int:
        """Calls that have not ended."""
        return self._index.under_way + self.readers.under_way

    def stop(self) -> None:
        """Begin nothing more. The last call."""
        self._index.stop()
        self.readers.stop()

    # file_ports.Disk

    def find(self, name: KeptName, done: Found) -> None:
        """See ``file_ports.Disk``."""
        self._index.run(partial(self._find, name), done)

    def keep(self, name: KeptName, head: KeptHead) -> "PieceWriter":
        """See ``file_ports.Disk``."""
        return PieceWriter(self, name, head)

    def forget(self, path: str) -> None:
        """See ``file_ports.Disk``."""
        self._index.run(partial(self._forget, path), _heard)

    def run(self, work: partial[None], done: Written) -> None:
        """For its writers: on the thread of the index."""
        self._index.run(work, done)

    def damaged(self, stem: str) -> None:
        """For its ranges: a piece is not what was written."""
        self._index.run(partial(self._delete, stem), _heard)

    def closed(self, stem: str) -> None:
        """For its ranges: nobody reads this one any more."""
        self._index.run(partial(self._was_closed, stem), _heard)

    # On the thread of the index.

    def _take_all(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found: list[_Seen] = []
        for number in range(self._number, FOLDERS, self._of):
            found += self._take(f"{number:02x}") or ()
        self._learn(found)

    def _may_write(self, folder: str) -> bool:
        if folder in self._locks:
            return True
        found = self._take(folder)
        self._learn(found or [])
        return found is not None

    def _learn(self, found: list["_Seen"]) -> None:
        """Take them into the index, those that were read longest ago first."""
        for _, stem, size, is_whole in sorted(found):
            self._sizes[stem] = size
            self.used += size
            if not is_whole:
                self._delete(stem)

    def _take(self, folder: str) -> "list[_Seen] | None":
        """Try to get the folder's lock; what lies there then."""
        place = self._folder / folder
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(place / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            return None
        self._locks[folder] = lock
        return self._scan(folder)

    def _scan(self, folder: str) -> "list[_Seen]":
        """What lies there. Files that were never finished are deleted."""
        found: dict[str, tuple[float, int]] = {}
        whole = set()
        for entry in os.scandir(self._folder / folder):
            if entry.name == "lock":
                continue
            stem, _, number = entry.name.rpartition(".")
            if entry.name.startswith(".new-"):
                os.unlink(entry.path)
                continue
            told = entry.stat()
            before = found.get(stem, (0.0, 0))
            found[stem] = max(before[0], told.st_mtime), before[1] + told.st_size
            if number == "0":
                whole.add(stem)
        return [
            (when, f"{folder}/{stem}", size, stem in whole)
            for stem, (when, size) in found.items()
        ]

    def _find(self, name: KeptName) -> "OpenRange | None":
        stem = _stem(name)
        try:
            file = os.open(self._piece(stem, 0), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            piece, at = _head_of(file)
            if piece.origin != self._origin or piece.name != name:
                raise Damaged
        except OSError as error:
            os.close(file)
            if not isinstance(error, Damaged):
                raise
            self._delete(stem)
            return None
        self._opened[stem] = self._opened.get(stem, 0) + 1
        if stem in self._sizes:
            self._sizes.move_to_end(stem)
            with suppress(OSError):
                os.utime(file)
        return OpenRange(self, stem, piece, file, at)

    def _was_closed(self, stem: str) -> None:
        self._opened[stem] -= 1
        if not self._opened[stem]:
            del self._opened[stem]
            self.used -= self._unlinked.pop(stem, 0)

    def _forget(self, path: str) -> None:
        folder, digest = _place(path)
        place = self._folder / folder
        if not place.is_dir():
            return
        stems = {
            name.rpartition(".")[0]
            for name in os.listdir(place)
            if name.startswith(f"{digest}-")
        }
        for stem in stems:
            self._delete(f"{folder}/{stem}")

    def _delete(self, stem: str) -> None:
        """Piece 0 first: without it nobody finds the others."""
        number = 0
        while number == 0 or self._piece(stem, number).exists():
            with suppress(FileNotFoundError):
                self._piece(stem, number).unlink()
            number += 1
        size = self._sizes.pop(stem, 0)
        if stem in self._opened:
            self._unlinked[stem] = self._unlinked.get(stem, 0) + size
        else:
            self.used -= size

    def _piece(self, stem: str, number: int) -> Path:
        return self._folder / f"{stem}.{number}"

    def make_room(self, stem: str, size: int) -> None:
        """For a writer: so many bytes more. Raises OSError if they do not fit, or if
        another process writes there."""
        if not self._may_write(stem.partition("/")[0]):
            raise OSError(EROFS, "another process writes there")
        if size > self._size:
            raise OSError(ENOSPC, "it is larger than cache.disk.size")
        while self.used + size > self._size:
            oldest = next((one for one in self._sizes), None)
            if oldest is None:
                raise OSError(ENOSPC, "what is read takes all of cache.disk.size")
            self._delete(oldest)

    def publish(self, stem: str, parts: list[Path], size: int) -> None:
        """For a writer: give its files their names."""
        self._delete(stem)
        for number in reversed(range(len(parts))):
            parts[number].rename(self._piece(stem, number))
        self._sizes[stem] = size
        self.used += size

    def place_for(self, stem: str) -> Path:
        """For a writer: a name for a file that is not there yet."""
        folder = stem.partition("/")[0]
        return self._folder / folder / f".new-{secrets.token_hex(8)}"

    def path_of(self, stem: str, number: int) -> Path:
        """For a range: where a piece lies."""
        return self._piece(stem, number)

    @property
    def origin(self) -> str:
        return self._origin


class PieceWriter:
    """Implements ``file_ports.KeptWriter``."""

    def __init__(self, folder: DiskFolder, name: KeptName, head: KeptHead) -> None:
        self._folder = folder
        self._stem = _stem(name)
        self._name = name
        self._head = head
        self._id = secrets.token_hex(8)
        self._parts: list[Path] = []
        self._file: int | None = None
        self._records = 0
        self._size = 0
        self._is_over = False

    def append(self, data: bytes, done: Written) -> None:
        """See ``file_ports.KeptWriter``."""
        self._folder.run(partial(self._append, data), done)

    def finish(self, done: Written) -> None:
        """See ``file_ports.KeptWriter``."""
        self._is_over = True
        self._folder.run(partial(self._finish), done)

    def abandon(self) -> None:
        """See ``file_ports.KeptWriter``."""
        if not self._is_over:
            self._is_over = True
            self._folder.run(partial(self._drop), _heard)

    # On the thread of the index.

    def _append(self, data: bytes) -> None:
        try:
            if self._records % piece_format.PIECE_RECORDS == 0:
                self._next_piece()
            self._write(piece_format.write_record(self._id, self._records, data))
        except OSError:
            self._drop()
            raise
        self._records += 1

    def _next_piece(self) -> None:
        number = len(self._parts)
        piece = PieceHead(self._id, number, self._folder.origin, self._name, self._head)
        head = piece_format.write_head(piece)
        if number == 0:
            size = piece_format.size_on_disk(self._head, len(head))
            self._folder.make_room(self._stem, size)
        self._close()
        path = self._folder.place_for(self._stem)
        self._file = os.open(
            path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600
        )
        self._parts.append(path)
        self._write(head)

    def _write(self, octets: bytes) -> None:
        assert self._file is not None
        left = memoryview(octets)
        while left:
            left = left[os.write(self._file, left) :]
        self._size += len(octets)

    def _finish(self) -> None:
        self._close()
        try:
            self._folder.publish(self._stem, self._parts, self._size)
        except OSError:
            self._drop()
            raise

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _drop(self) -> None:
        self._close()
        for path in self._parts:
            path.unlink(missing_ok=True)
        self._parts.clear()


class OpenRange:
    """Implements ``file_ports.KeptRange``. Made on the thread of the index."""

    def __init__(
        self, folder: DiskFolder, stem: str, piece: PieceHead, file: int, at: int
    ) -> None:
        self.head = piece.head
        self._folder = folder
        self._stem = stem
        self._id = piece.id
        self._files: dict[int, tuple[int, int]] = {0: (file, at)}
        # The last record that was read, and which one it was.
        self._last: tuple[int, bytes] = (-1, b"")
        self._under_way = 0
        self._is_closed = False

    def read(self, position: int, size: int, done: Read) -> None:
        """See ``file_ports.KeptRange``."""
        self._under_way += 1
        work = partial(self._read, position, size)
        self._folder.readers.run(work, partial(self._ended, done))

    def close(self) -> None:
        """See ``file_ports.KeptRange``."""
        if not self._is_closed:
            self._is_closed = True
            self._close_idle()

    def _ended(self, done: Read, result: bytes | OSError) -> None:
        self._under_way -= 1
        if isinstance(result, Damaged | FileNotFoundError):
            self._folder.damaged(self._stem)
        if self._is_closed:
            self._close_idle()
        else:
            done(result)

    def _close_idle(self) -> None:
        if not self._under_way and self._files:
            files, self._files = self._files, {}
            self._folder.readers.run(partial(_close_all, files), _heard)
            self._folder.closed(self._stem)

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
        piece, within = piece_format.record_place(number)
        file, at = self._piece(piece)
        length = min(RECORD_SIZE, self.head.size - number * RECORD_SIZE)
        size = length + piece_format.DIGEST_SIZE
        octets = os.pread(file, size, at + within)
        if length <= 0 or len(octets) != size:
            raise Damaged
        data = piece_format.read_record(self._id, number, octets)
        self._last = number, data
        return data

    def _piece(self, number: int) -> tuple[int, int]:
        found = self._files.get(number)
        if found is None:
            path = self._folder.path_of(self._stem, number)
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                piece, at = _head_of(file)
                if (piece.id, piece.number) != (self._id, number):
                    raise Damaged
            except BaseException:
                os.close(file)
                raise
            found = self._files.setdefault(number, (file, at))
            if found[0] != file:
                os.close(file)
        return found


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


def _close_all(files: dict[int, tuple[int, int]]) -> None:
    for file, _ in files.values():
        os.close(file)


def _place(path: str) -> tuple[str, str]:
    """The folder of a path, and how its files begin."""
    digest = blake2b(path.encode("utf-8", "surrogateescape"), digest_size=16)
    return digest.hexdigest()[:2], digest.hexdigest()


def _stem(name: KeptName) -> str:
    folder, digest = _place(name.path)
    rest = f"{name.extension}\0{name.partition}".encode("utf-8", "surrogateescape")
    return f"{folder}/{digest}-{blake2b(rest, digest_size=16).hexdigest()}"


def _heard(result: object) -> None:
    """Nobody asked how it ended."""
