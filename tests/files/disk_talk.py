"""Calls of a disk, waited for: what its tests share."""

from collections.abc import Callable

import gevent
from gevent.event import AsyncResult

from edge.core.file_ports import RECORD_SIZE, KeptHead, KeptName, KeptRange
from edge.files.disk_folder import DiskFolder
from tests.support.patience import PATIENCE


def until(ready: Callable[[], object]) -> None:
    """Let threads and the event loop go on until something is so."""
    with gevent.Timeout(PATIENCE):
        while not ready():
            gevent.sleep(0.001)


def until_idle(disk: DiskFolder) -> None:
    """Let all that is under way end."""
    until(lambda: not disk.under_way)


def name(path: str = "/a", route: str = "/**") -> KeptName:
    return KeptName(path, "", "public ", route)


def head(size: int, end: str = "9") -> KeptHead:
    fields = (("x-kept", "1"),)
    boundaries = (("5", size // 2), (end, size))
    return KeptHead(end, size, "text/plain", False, False, False, fields, boundaries)


def keep(
    disk: DiskFolder, data: bytes, whose: KeptName | None = None
) -> OSError | None:
    """Keep these bytes, and how that ended."""
    writer = disk.keep(whose or name(), head(len(data)))
    for at in range(0, len(data), RECORD_SIZE):
        done: AsyncResult[OSError | None] = AsyncResult()
        writer.append(data[at : at + RECORD_SIZE], done.set)
        error = done.get(timeout=PATIENCE)
        if error is not None:
            return error
    done = AsyncResult()
    writer.finish(done.set)
    return done.get(timeout=PATIENCE)


def find(disk: DiskFolder, whose: KeptName | None = None) -> KeptRange | None:
    found: AsyncResult[KeptRange | OSError | None] = AsyncResult()
    disk.find(whose or name(), found.set)
    told = found.get(timeout=PATIENCE)
    assert not isinstance(told, OSError)
    return told


def read(kept: KeptRange, position: int, size: int) -> bytes | OSError:
    done: AsyncResult[bytes | OSError] = AsyncResult()
    kept.read(position, size, done.set)
    told = done.get(timeout=PATIENCE)
    assert told is not None
    return told
