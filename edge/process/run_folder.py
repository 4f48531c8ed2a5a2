"""RunFolder: where the processes of one node have their sockets and their files.

It is made anew at each start, under a name that nobody has had (0700), and removed at
the end. So two edges in one folder never meet, and what a dead edge left stands in
nobody's way. A lock file in it is held by every process of the node, for as long as
one of them lives: a start removes the folders that nobody holds any more.

Where: what ``run_folder`` names, or the first of the usual ones that takes it. Only for
a node of several processes; made in the master before any fork.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

PREFIX = "ds-edge-run-"
LOCK = "lock"

MAX_SOCKET_PATH = 107
"""What a unix socket's path may have in bytes (unix(7))."""

LONGEST_NAME = "keeper-63.4294967295.sock"

LEAST_ROOM = 1 << 20
"""Bytes that must be free: for what an operator orders, and for reports of that."""

LEAST_FILES = 256
"""Files that must be free."""


class RunFolderFault(Exception):
    """There is no folder for the node's sockets. The message says why, in one line."""


class RunFolder:
    """The folder of one node. ``path`` is absolute."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock
        self._owner = os.getpid()

    @classmethod
    def make(cls, named: str | None, environment: Mapping[str, str]) -> "RunFolder":
        """A new one in the folder ``named``, or where there is room.

        Raises RunFolderFault.
        """
        faults = []
        for base in [Path(named).absolute()] if named else usual(environment):
            try:
                return cls._made_in(base)
            except RunFolderFault as fault:
                faults.append(str(fault))
            except OSError as error:
                faults.append(f"{base}: {error.strerror or error}")
        key = "run_folder" if named else "run_folder is not set, and none will do"
        raise RunFolderFault(f"{key}: {'; '.join(faults)}")

    @classmethod
    def _made_in(cls, base: Path) -> "RunFolder":
        longest = base / f"{PREFIX}xxxxxxxx" / LONGEST_NAME
        if len(os.fsencode(longest)) > MAX_SOCKET_PATH:
            said = f"{base}: too long: a socket's path may have {MAX_SOCKET_PATH} bytes"
            raise RunFolderFault(said)
        sweep(base)
        if (why := _no_room(base)) is not None:
            raise RunFolderFault(f"{base}: {why}")
        # The name is free, and the folder nobody else's (0700).
        path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
        try:
            return cls(path, _locked(path))
        except OSError:
            shutil.rmtree(path, ignore_errors=True)
            raise

    def link(self, keeper: int) -> str:
        """The path of the socket at which a keeper answers fronts."""
        return str(self.path / f"keeper-{keeper}.sock")

    def remove(self) -> None:
        """Remove it, with all that is in it. Does nothing in a child."""
        if os.getpid() == self._owner:
            shutil.rmtree(self.path, ignore_errors=True)


def hand_over_path(folder: Path, keeper: int, boot: int) -> str:
    """The path of the socket at which one keeper answers its successor, in the run
    ``folder``."""
    return str(folder / f"keeper-{keeper}.{boot}.sock")


def usual(environment: Mapping[str, str]) -> list[Path]:
    """Where a run folder may be made if none is named, best first: in memory, and gone
    after a restart of the machine."""
    own = environment.get("XDG_RUNTIME_DIR")
    places = ["/run", *([own] if own else []), "/dev/shm", tempfile.gettempdir()]
    return [Path(place) for place in places]


def sweep(base: Path) -> None:
    """Remove the run folders in ``base`` that no process holds any more."""
    for folder in _own_folders(base):
        with suppress(OSError):
            lock = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


def _no_room(base: Path) -> str | None:
    """Why there is no room for a run folder; None: there is. Raises OSError."""
    told = os.statvfs(base)
    # Some file systems have no bound, and tell 0 of all.
    if told.f_blocks and (free := told.f_bavail * told.f_frsize) < LEAST_ROOM:
        return f"{free >> 10} KiB are free, and {LEAST_ROOM >> 10} KiB are needed"
    if told.f_files and told.f_favail < LEAST_FILES:
        return f"{told.f_favail} files are free, and {LEAST_FILES} are needed"
    return None


def _own_folders(base: Path) -> Iterator[Path]:
    """Those that could be run folders of this user's."""
    with suppress(OSError):
        for entry in os.scandir(base):
            if not entry.name.startswith(PREFIX):
                continue
            if not entry.is_dir(follow_symlinks=False):
                continue
            if entry.stat(follow_symlinks=False).st_uid == os.geteuid():
                yield Path(entry.path)


def _locked(folder: Path) -> int:
    """A descriptor that holds the folder's lock, here and in all children."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    lock = os.open(folder / f"{LOCK}.new", flags, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    # Held before it can be seen: who sweeps would take it for left.
    os.rename(folder / f"{LOCK}.new", folder / LOCK)
    return lock
