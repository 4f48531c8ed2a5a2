"""Ranges that outlive the process, and what becomes of them when a disk decays (S2)."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.core.file_ports import RECORD_SIZE
from edge.files import piece_format
from edge.files.disk_folder import DiskFolder
from tests.files.disk_talk import find, head, keep, name, read, until

MIB = 1 << 20
Make = Callable[..., DiskFolder]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes disks in one folder, and lets them finish."""
    made: list[DiskFolder] = []

    def new(size: int = 64 * MIB, origin: str = "http://o") -> DiskFolder:
        made.append(DiskFolder(str(tmp_path / "disk"), size, origin))
        until(lambda: not made[-1].under_way)
        return made[-1]

    yield new
    for disk in made:
        end(disk)


def end(disk: DiskFolder) -> None:
    """The process ends: its locks go."""
    until(lambda: not disk.under_way)
    disk.stop()
    locks, disk._locks = disk._locks, {}
    for lock in locks.values():
        os.close(lock)


def pieces(tmp_path: Path) -> list[Path]:
    return sorted(one for one in (tmp_path / "disk").glob("??/*.*"))


BODY = b"".join(b"%07d\n" % number for number in range((5 * MIB // 2) // 8))


def test_what_was_kept_is_found_by_the_next_process(make: Make) -> None:
    first = make()
    assert keep(first, BODY) is None
    end(first)
    kept = find(make())

    assert kept is not None and kept.head == head(len(BODY))
    assert read(kept, 0, len(BODY)) == BODY
    assert read(kept, MIB - 3, 7) == BODY[MIB - 3 : MIB + 4]
    kept.close()


def test_a_range_lies_in_pieces(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(piece_format, "PIECE_RECORDS", 2)
    disk = make()
    keep(disk, BODY)
    kept = find(disk)

    assert len(pieces(tmp_path)) == 2
    assert kept is not None and read(kept, 0, len(BODY)) == BODY
    assert disk.used == sum(one.stat().st_size for one in pieces(tmp_path))
    kept.close()


def test_nothing_is_found_of_another_key_route_or_origin(
    make: Make, tmp_path: Path
) -> None:
    """What another route or origin has kept there is deleted."""
    disk = make()
    keep(disk, BODY)
    assert find(disk, name("/b")) is None
    assert len(pieces(tmp_path)) == 1
    assert find(disk, name(route="/other/**")) is None
    assert pieces(tmp_path) == [] and disk.used == 0

    keep(disk, BODY)
    end(disk)
    assert find(make(origin="http://other")) is None
    assert pieces(tmp_path) == []


@pytest.mark.parametrize("where", ["head", "record", "end", "cut", "gone"])
def test_what_is_damaged_is_told_and_deleted(
    where: str, make: Make, tmp_path: Path
) -> None:
    """Never shown: each record has its digest."""
    disk = make()
    keep(disk, BODY)
    [piece] = pieces(tmp_path)
    octets = bytearray(piece.read_bytes())
    at = {"head": 40, "record": len(octets) // 2, "end": len(octets) - 1}
    kept = None
    if where == "cut":
        piece.write_bytes(octets[: len(octets) // 2])
    elif where == "gone":
        kept = find(disk)
        piece.unlink()
    else:
        octets[at[where]] ^= 1
        piece.write_bytes(octets)
    kept = kept or find(disk)
    if where == "head":
        assert kept is None
    else:
        assert kept is not None
        told = read(kept, 0, len(BODY))
        assert (told == BODY) if where == "gone" else isinstance(told, OSError)
        kept.close()
    until(lambda: not disk.under_way)

    assert find(disk) is None
    assert pieces(tmp_path) == []


def test_pieces_of_two_ranges_do_not_fit_together(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(piece_format, "PIECE_RECORDS", 1)
    disk = make()
    keep(disk, BODY)
    stranger = pieces(tmp_path)[1].read_bytes()
    keep(disk, BODY[::-1])
    pieces(tmp_path)[1].write_bytes(stranger)
    kept = find(disk)

    assert kept is not None
    assert isinstance(read(kept, RECORD_SIZE, 8), OSError)
    kept.close()


def test_a_newer_range_takes_the_place_of_an_older_one(
    make: Make, tmp_path: Path
) -> None:
    """Who reads the old one reads on."""
    disk = make()
    keep(disk, BODY)
    old = find(disk)
    assert old is not None
    keep(disk, b"new")
    kept = find(disk)

    assert kept is not None and read(kept, 0, 3) == b"new"
    assert read(old, 0, len(BODY)) == BODY
    assert disk.used > len(BODY)
    old.close()
    kept.close()
    until(lambda: not disk.under_way)
    assert disk.used == sum(one.stat().st_size for one in pieces(tmp_path))


def test_what_was_read_longest_ago_goes_first(make: Make) -> None:
    disk = make(5 * MIB)
    for path in ("/a", "/b"):
        assert keep(disk, b"x" * (2 * MIB), name(path)) is None
    kept = find(disk, name("/a"))
    assert kept is not None
    kept.close()
    assert keep(disk, b"x" * (2 * MIB), name("/c")) is None

    assert find(disk, name("/b")) is None
    for path in ("/a", "/c"):
        kept = find(disk, name(path))
        assert kept is not None
        kept.close()
    assert disk.used <= 5 * MIB


def test_what_cannot_fit_is_refused_and_leaves_nothing(
    make: Make, tmp_path: Path
) -> None:
    disk = make(MIB)
    assert isinstance(keep(disk, BODY), OSError)
    until(lambda: not disk.under_way)

    assert list((tmp_path / "disk").glob("??/.new-*")) == [] == pieces(tmp_path)


def test_two_processes_do_not_write_in_one_folder(make: Make) -> None:
    """The successor reads what its predecessor keeps, and writes when that is gone."""
    first = make()
    second = make()
    assert isinstance(keep(second, BODY), OSError)
    assert keep(first, BODY) is None
    kept = find(second)
    assert kept is not None and read(kept, 0, 8) == BODY[:8]
    kept.close()
    end(first)

    assert keep(second, b"new") is None
    assert second.used > 0


def test_what_was_never_finished_is_deleted_at_the_start(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process was killed while it wrote, or while it gave the pieces their names."""
    monkeypatch.setattr(piece_format, "PIECE_RECORDS", 1)
    disk = make()
    keep(disk, BODY)
    end(disk)
    pieces(tmp_path)[0].unlink()
    folder = pieces(tmp_path)[0].parent
    (folder / ".new-abc").write_bytes(b"x" * 100)
    disk = make()

    assert pieces(tmp_path) == [] and disk.used == 0
    assert not (folder / ".new-abc").exists()


def test_a_path_is_forgotten_for_all(make: Make) -> None:
    disk = make()
    for whose in (name(), name()._replace(extension="x=1"), name("/b")):
        keep(disk, b"abc", whose)
    disk.forget("/a")

    assert find(disk) is None
    assert find(disk, name()._replace(extension="x=1")) is None
    kept = find(disk, name("/b"))
    assert kept is not None
    kept.close()


def test_a_disk_that_is_removed_while_it_runs(make: Make, tmp_path: Path) -> None:
    """Errors, and nothing worse; what is open is read on."""
    disk = make()
    keep(disk, BODY)
    kept = find(disk)
    assert kept is not None
    shutil.rmtree(tmp_path / "disk")

    assert read(kept, 0, 8) == BODY[:8]
    kept.close()
    assert find(disk) is None
    assert isinstance(keep(disk, b"abc"), OSError)
