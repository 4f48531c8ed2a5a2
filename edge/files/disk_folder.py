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
import re
import secrets
from collections import OrderedDict
from contextlib import suppress
from functools import partial
from hashlib import blake2b
from pathlib import Path

from edge.core.file_ports import (
    ChosenKept,
    Forgotten,
    Found,
    KeptHead,
    KeptName,
    NotKept,
    Written,
)
from edge.core.values import Headers
from edge.files import piece_format
from edge.files.disk_purges import DiskPurges
from edge.files.open_range import OpenRange, close_all, open_first, open_others
from edge.files.piece_format import Damaged, PieceHead
from edge.files.threads import FileThreads

FOLDERS = 256

_Seen = tuple[float, str, int]
"""When a range was last read, its name, and its size."""

_PIECE = re.compile(r"([0-9a-f]{32}-[0-9a-f]{32})\.(0|[1-9][0-9]*)")


def is_written_by_another(folder: str) -> bool:
    """Whether a process that is none of ours keeps its ranges in ``folder``: asked
    before ours begin. Whoever keeps there has all of it."""
    try:
        lock = os.open(Path(folder) / "00" / "lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False


class DiskFolder:
    """All ranges below ``folder``, within ``size`` bytes. ``origin`` says whose."""

    def __init__(
        self, folder: str, size: int, origin: str, share: tuple[int, int] = (0, 1)
    ) -> None:
        self._folder = Path(folder)
        self.size = size
        self._origin = origin
        self._number, self._of = share
        self._index = FileThreads(1)
        self.readers = FileThreads(2)
        # On the thread of the index alone.
        self._locks: dict[str, int] = {}
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._opened: dict[str, int] = {}
        self._unlinked: dict[str, int] = {}
        self.writers: set[PieceWriter] = set()
        folders = range(self._number, FOLDERS, self._of)
        names = tuple(f"{number:02x}" for number in folders)
        self._purges = DiskPurges(self._folder, names, self._delete)
        self._is_purging = False
        # Bytes of all ranges in folders that this process writes, and of those that
        # are on their way there.
        self.used = 0
        self._index.run(self._take_all, _heard)

    def __repr__(self) -> str:
        return f"<DiskFolder {self._folder} {self.used}/{self.size}>"

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

    def forget(self, path: str, done: Forgotten | None = None) -> None:
        """See ``file_ports.Disk``."""
        self._index.run(partial(self._forget, path), done or _heard)

    def purge(self, chooses: ChosenKept, done: Forgotten) -> None:
        """See ``file_ports.Disk``."""
        begin = partial(self._begin_purge, chooses, done)
        self._index.run(begin, self._go_on_purging)

    def _go_on_purging(self, begun: object) -> None:
        if not self._is_purging and self._purges.is_at_work:
            self._is_purging = True
            self._index.run(self._purges.step, self._purged)

    def _purged(self, told: list[tuple[Forgotten, int | OSError]] | OSError) -> None:
        self._is_purging = False
        if isinstance(told, OSError):
            # A defect, which is reported; the next order walks on.
            return
        for done, result in told:
            done(result)
        self._go_on_purging(None)

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
            # One that cannot be had costs nothing but itself.
            with suppress(OSError):
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
        for _, stem, size in sorted(found):
            self._sizes[stem] = size
            self.used += size

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
        """What lies there. What was never finished is deleted, and what lacks a piece
        that must be there; what has no name of ours is left alone."""
        pieces: dict[str, dict[int, os.DirEntry[str]]] = {}
        for entry in os.scandir(self._folder / folder):
            known = _PIECE.fullmatch(entry.name)
            if entry.is_dir(follow_symlinks=False):
                continue
            if entry.name.startswith(".new-"):
                os.unlink(entry.path)
            elif known is not None:
                pieces.setdefault(known[1], {})[int(known[2])] = entry
        found = []
        for stem, parts in pieces.items():
            told = [one.stat(follow_symlinks=False) for one in parts.values()]
            if set(parts) != set(range(len(parts))):
                self._unlink_all(f"{folder}/{stem}")
                continue
            when, size = max(one.st_mtime for one in told), _sum_of(told)
            found.append((when, f"{folder}/{stem}", size))
        return found

    def _find(self, name: KeptName) -> "OpenRange | None":
        stem = _stem(name)
        try:
            piece, first = open_first(self._piece(stem, 0))
            ours = (piece.origin, piece.name, piece.number) == (self._origin, name, 0)
            if not ours or self._purges.dooms(name, piece.head):
                close_all([first])
                raise Damaged
            pieces = open_others(piece, first, partial(self._piece, stem))
        except FileNotFoundError:
            return None
        except Damaged:
            self._delete(stem)
            return None
        self._opened[stem] = self._opened.get(stem, 0) + 1
        if stem in self._sizes:
            self._sizes.move_to_end(stem)
            with suppress(OSError):
                os.utime(first[0])
        return OpenRange(self, stem, piece, pieces)

    def _was_closed(self, stem: str) -> None:
        self._opened[stem] -= 1
        if not self._opened[stem]:
            del self._opened[stem]
            self.used -= self._unlinked.pop(stem, 0)

    def _begin_purge(self, chooses: ChosenKept, done: Forgotten) -> None:
        for writer in tuple(self.writers):
            if chooses(*writer.kept):
                writer.doom()
        self._purges.begin(chooses, done)

    def dooms(self, name: KeptName, head: KeptHead) -> bool:
        """For its writers: whether this range is not to be found any more."""
        return self._purges.dooms(name, head)

    def _forget(self, path: str) -> int:
        folder, digest = _place(path)
        for writer in tuple(self.writers):
            if writer.is_of(f"{folder}/{digest}-"):
                writer.doom()
        place = self._folder / folder
        if not place.is_dir():
            return 0
        stems = {
            name.rpartition(".")[0]
            for name in os.listdir(place)
            if name.startswith(f"{digest}-")
        }
        for stem in stems:
            self._delete(f"{folder}/{stem}")
        return len(stems)

    def _delete(self, stem: str) -> None:
        self._unlink_all(stem)
        size = self._sizes.pop(stem, 0)
        if stem in self._opened:
            self._unlinked[stem] = self._unlinked.get(stem, 0) + size
        else:
            self.used -= size

    def _unlink_all(self, stem: str) -> None:
        """Piece 0 first: without it nobody finds the others. Some may be gone."""
        folder, _, rest = stem.partition("/")
        with suppress(FileNotFoundError, IsADirectoryError):
            self._piece(stem, 0).unlink()
        with suppress(FileNotFoundError, NotADirectoryError):
            for one in os.listdir(self._folder / folder):
                if one.startswith(f"{rest}."):
                    with suppress(FileNotFoundError, IsADirectoryError):
                        (self._folder / folder / one).unlink()

    def _piece(self, stem: str, number: int) -> Path:
        return self._folder / f"{stem}.{number}"

    def make_room(self, stem: str, size: int) -> None:
        """For a writer: so many bytes more. Raises OSError if they do not fit, or if
        another process writes there."""
        if not self._may_write(stem.partition("/")[0]):
            raise NotKept("another process writes there")
        if size > self.size:
            raise NotKept("it is larger than cache.disk.size")
        while self.used + size > self.size:
            # To delete what is read gives nothing back yet.
            oldest = next((one for one in self._sizes if one not in self._opened), None)
            if oldest is None:
                raise NotKept("what is read and written takes all of cache.disk.size")
            self._delete(oldest)
        self.used += size

    def give_back(self, size: int) -> None:
        """For a writer: so much of its room is not needed."""
        self.used -= size

    def publish(self, stem: str, parts: list[Path], size: int) -> None:
        """For a writer: give its files their names. They have their room."""
        self._delete(stem)
        try:
            for number in reversed(range(len(parts))):
                parts[number].rename(self._piece(stem, number))
        except OSError:
            self._unlink_all(stem)
            raise
        self._sizes[stem] = size

    def place_for(self, stem: str) -> Path:
        """For a writer: a name for a file that is not there yet."""
        folder = stem.partition("/")[0]
        return self._folder / folder / f".new-{secrets.token_hex(8)}"

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
        # Of the room, until its files have their names.
        self._reserved = 0
        self._is_over = False
        self._is_doomed = False

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

    def is_of(self, stems: str) -> bool:
        """Whether its name begins so."""
        return self._stem.startswith(stems)

    @property
    def kept(self) -> tuple[KeptName, Headers]:
        """Whose bytes it writes, and with which headers."""
        return self._name, self._head.headers

    def doom(self) -> None:
        """What it writes is not to be found any more."""
        self._is_doomed = True
        self._drop()

    def _append(self, data: bytes) -> None:
        try:
            self._go_on()
            if self._records % piece_format.PIECE_RECORDS == 0:
                self._next_piece()
            self._write(piece_format.write_record(self._id, self._records, data))
        except OSError:
            self._drop()
            raise
        self._records += 1

    def _go_on(self) -> None:
        if self._is_doomed or self._folder.dooms(self._name, self._head):
            raise NotKept("the path was forgotten meanwhile")

    def _next_piece(self) -> None:
        number = len(self._parts)
        piece = PieceHead(self._id, number, self._folder.origin, self._name, self._head)
        head = piece_format.write_head(piece)
        if number == 0:
            size = piece_format.size_on_disk(self._head, len(head))
            self._folder.make_room(self._stem, size)
            self._reserved = size
            self._folder.writers.add(self)
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
            self._go_on()
            self._folder.publish(self._stem, self._parts, self._size)
        except OSError:
            self._drop()
            raise
        self._parts.clear()
        self._reserved -= self._size
        self._drop()

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _drop(self) -> None:
        self._close()
        self._folder.writers.discard(self)
        reserved, self._reserved = self._reserved, 0
        self._folder.give_back(reserved)
        parts, self._parts = self._parts, []
        for path in parts:
            path.unlink(missing_ok=True)


def _sum_of(told: list[os.stat_result]) -> int:
    return sum(one.st_size for one in told)


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
