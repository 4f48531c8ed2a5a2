"""What is purged is not found on a disk any more, whatever it is named by (L27, S2)."""

import os
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest
from gevent.event import AsyncResult

from edge.core.file_ports import ChosenKept, KeptName, KeptRange, NotKept
from edge.core.values import Headers
from edge.files.disk_folder import DiskFolder
from tests.files.disk_talk import find, head, keep, name, until_idle
from tests.support.patience import PATIENCE

MIB = 1 << 20
BODY = b"<begin>" * 10
NAMES = [name(f"/rooms/{room}/{number}") for room in "ab" for number in range(3)]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[DiskFolder]:
    """Six ranges, in two rooms."""
    made = DiskFolder(str(tmp_path / "disk"), 64 * MIB, "http://o")
    until_idle(made)
    for one in NAMES:
        assert keep(made, BODY, one) is None
    yield made
    until_idle(made)
    made.stop()
    for lock in made._locks.values():
        os.close(lock)


def in_room_a(whose: KeptName, headers: Headers) -> bool:
    return whose.path.startswith("/rooms/a/")


def purged(disk: DiskFolder, chooses: ChosenKept) -> int | OSError:
    done: AsyncResult[int | OSError] = AsyncResult()
    disk.purge(chooses, done.set)
    result = done.get(timeout=PATIENCE)
    assert result is not None
    return result


def left(disk: DiskFolder) -> list[str]:
    found = {one.path: find(disk, one) for one in NAMES}
    for kept in filter(None, found.values()):
        kept.close()
    return [path for path, kept in found.items() if kept is not None]


def test_all_that_is_meant_is_deleted_and_nothing_else(
    disk: DiskFolder, tmp_path: Path
) -> None:
    before = disk.used
    assert purged(disk, in_room_a) == 3
    assert purged(disk, in_room_a) == 0

    assert left(disk) == [f"/rooms/b/{number}" for number in range(3)]
    assert disk.used == before // 2
    assert len(list((tmp_path / "disk").glob("??/*.0"))) == 3


def test_it_is_told_with_which_headers_a_range_was_kept(disk: DiskFolder) -> None:
    assert purged(disk, lambda _, headers: ("x-kept", "2") in headers) == 0
    assert purged(disk, lambda _, headers: ("x-kept", "1") in headers) == 6


def test_who_asks_behind_the_order_finds_nothing_however_long_it_takes(
    disk: DiskFolder,
) -> None:
    """The walk has 256 folders to look through, and a reader comes at once."""
    done: AsyncResult[int | OSError] = AsyncResult()
    disk.purge(in_room_a, done.set)
    found: list[AsyncResult[KeptRange | OSError | None]]
    found = [AsyncResult() for _ in NAMES]
    for whose, told in zip(NAMES, found, strict=True):
        disk.find(whose, told.set)
    kept = [told.get(timeout=PATIENCE) for told in found]

    assert [told is None for told in kept] == [True] * 3 + [False] * 3
    for range_ in kept[3:]:
        assert range_ is not None and not isinstance(range_, OSError)
        range_.close()
    assert isinstance(done.get(timeout=PATIENCE), int)


def test_what_is_on_its_way_there_is_not_kept(disk: DiskFolder) -> None:
    """Whether it had begun before the order, or begins while that is carried out."""
    early = disk.keep(name("/rooms/a/new"), head(len(BODY)))
    wrote: AsyncResult[OSError | None] = AsyncResult()
    early.append(BODY, wrote.set)
    assert wrote.get(timeout=PATIENCE) is None
    done: AsyncResult[int | OSError] = AsyncResult()
    disk.purge(in_room_a, done.set)
    ended: AsyncResult[OSError | None] = AsyncResult()
    early.finish(ended.set)
    late = keep(disk, BODY, name("/rooms/a/later"))
    done.get(timeout=PATIENCE)

    assert isinstance(ended.get(timeout=PATIENCE), NotKept)
    assert late is None or isinstance(late, NotKept)
    assert find(disk, name("/rooms/a/new")) is None


def test_two_orders_at_once_share_a_walk_and_both_are_carried_out(
    disk: DiskFolder,
) -> None:
    first: AsyncResult[int | OSError] = AsyncResult()
    disk.purge(in_room_a, first.set)
    second = gevent.spawn(purged, disk, lambda one, _: one.path.endswith("/1"))

    assert first.get(timeout=PATIENCE) == 3
    assert second.get(timeout=PATIENCE) in (1, 2)
    assert left(disk) == ["/rooms/b/0", "/rooms/b/2"]


def test_what_cannot_be_read_is_deleted(disk: DiskFolder, tmp_path: Path) -> None:
    """Nobody knows whose it is."""
    for piece in (tmp_path / "disk").glob("??/*.0"):
        piece.write_bytes(b"DSEDGE 1\n")

    assert purged(disk, in_room_a) == 0
    assert list((tmp_path / "disk").glob("??/*.0")) == []


def test_a_folder_that_cannot_be_listed_is_told(
    disk: DiskFolder, tmp_path: Path
) -> None:
    """All others are looked through."""
    folder = next((tmp_path / "disk").glob("??/*.0")).parent
    moved = folder.rename(tmp_path / "elsewhere")
    folder.write_text("no folder")
    assert isinstance(purged(disk, lambda _, __: True), NotADirectoryError)
    folder.unlink()
    moved.rename(folder)

    still = left(disk)
    assert 0 < len(still) < len(NAMES)
    assert purged(disk, lambda _, __: True) == len(still)
