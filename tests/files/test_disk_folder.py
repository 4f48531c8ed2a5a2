"""Ranges that outlive the process, and what becomes of them when a disk decays (S2)."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from gevent.event import AsyncResult
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import DataObject, data, integers, sampled_from

from edge.core.file_ports import NotKept
from edge.files import piece_format
from edge.files.disk_folder import DiskFolder, is_written_by_another
from tests.files.disk_talk import find, head, keep, name, read, until
from tests.support.patience import PATIENCE

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
    if where in ("head", "cut"):
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

    assert find(disk) is None and pieces(tmp_path) == []


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


def test_whoever_starts_is_told_of_another_edge_that_writes_there(
    make: Make, tmp_path: Path
) -> None:
    folder = str(tmp_path / "disk")
    assert not is_written_by_another(folder)
    first = make()
    until(lambda: is_written_by_another(folder))
    end(first)

    assert not is_written_by_another(folder)


@pytest.mark.parametrize("missing", [[0], [1, 0], [1]])
def test_what_was_never_finished_is_deleted_at_the_start(
    missing: list[int], make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process was killed while it wrote, or while it gave the pieces their names, or
    while it deleted them."""
    monkeypatch.setattr(piece_format, "PIECE_RECORDS", 1)
    disk = make()
    keep(disk, BODY)
    end(disk)
    folder = pieces(tmp_path)[0].parent
    for number in missing:
        pieces(tmp_path)[0].with_suffix(f".{number}").unlink()
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


def test_who_reads_a_range_reads_on_whatever_becomes_of_it(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All its pieces were opened with the first."""
    monkeypatch.setattr(piece_format, "PIECE_RECORDS", 1)
    disk = make()
    keep(disk, BODY)
    kept = find(disk)
    assert kept is not None
    disk.forget("/a")
    until(lambda: not disk.under_way)

    assert pieces(tmp_path) == [] and disk.used > len(BODY)
    assert read(kept, 0, len(BODY)) == BODY
    kept.close()
    until(lambda: not disk.under_way)
    assert disk.used == 0


def test_what_is_read_is_not_deleted_for_room(make: Make) -> None:
    """It would give none."""
    disk = make(5 * MIB)
    for path in ("/a", "/b"):
        keep(disk, b"x" * (2 * MIB), name(path))
    kept = find(disk, name("/a"))
    other = find(disk, name("/b"))
    assert kept is not None and other is not None
    assert isinstance(keep(disk, b"x" * (2 * MIB), name("/c")), NotKept)
    kept.close()

    assert keep(disk, b"x" * (2 * MIB), name("/c")) is None
    assert find(disk, name("/a")) is None and disk.used <= 5 * MIB
    other.close()


def test_what_is_on_its_way_takes_its_room(make: Make) -> None:
    """However many are written at once."""
    disk = make(3 * MIB)
    one, two = (disk.keep(name(path), head(2 * MIB)) for path in ("/a", "/b"))
    first: AsyncResult[OSError | None] = AsyncResult()
    second: AsyncResult[OSError | None] = AsyncResult()
    one.append(b"x" * MIB, first.set)
    two.append(b"x" * MIB, second.set)

    assert first.get(timeout=PATIENCE) is None
    assert isinstance(second.get(timeout=PATIENCE), NotKept)
    one.abandon()
    until(lambda: not disk.under_way)
    assert disk.used == 0
    assert keep(disk, b"x" * (2 * MIB)) is None


def test_what_was_forgotten_while_it_was_written_is_not_found(
    make: Make, tmp_path: Path
) -> None:
    disk = make()
    writer = disk.keep(name(), head(4))
    done: AsyncResult[OSError | None] = AsyncResult()
    writer.append(b"abcd", done.set)
    disk.forget("/a")
    finished: AsyncResult[OSError | None] = AsyncResult()
    writer.finish(finished.set)

    assert isinstance(finished.get(timeout=PATIENCE), NotKept)
    assert find(disk) is None and disk.used == 0
    assert list((tmp_path / "disk").glob("??/.new-*")) == []


@pytest.mark.parametrize("what", ["link", "pipe", "folder", "empty"])
def test_only_a_file_of_its_own_is_opened(
    what: str, make: Make, tmp_path: Path
) -> None:
    """A link leads elsewhere, and a pipe would have it wait for ever."""
    disk = make()
    keep(disk, BODY)
    [piece] = pieces(tmp_path)
    piece.rename(tmp_path / "away")
    if what == "link":
        piece.symlink_to(tmp_path / "away")
    elif what == "pipe":
        os.mkfifo(piece)
    elif what == "folder":
        piece.mkdir()
    else:
        piece.touch()

    assert find(disk) is None
    assert piece.is_dir() == piece.exists()
    assert (tmp_path / "away").stat().st_size > len(BODY)


def test_strangers_in_the_folder_are_left_alone(make: Make, tmp_path: Path) -> None:
    """They cost no more than the folder that they make useless."""
    disk = make()
    keep(disk, BODY)
    [piece] = pieces(tmp_path)
    end(disk)
    (piece.parent / ".new-folder").mkdir()
    (piece.parent / "README").write_text("Mine.")
    stranger = tmp_path / "disk" / ("00" if piece.parent.name != "00" else "01")
    shutil.rmtree(stranger)
    stranger.write_text("Not a folder.")
    disk = make()

    assert disk.used == piece.stat().st_size
    kept = find(disk)
    assert kept is not None and read(kept, 0, len(BODY)) == BODY
    kept.close()
    assert (piece.parent / "README").exists()


@given(data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_damage_is_ever_read(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drawn: DataObject
) -> None:
    """A bit that turned over, a file that was cut or grew, a piece of another place:
    what is read is what was kept, or nothing."""
    monkeypatch.setattr(piece_format, "PIECE_RECORDS", 1)
    disk = make()
    keep(disk, BODY)
    parts = pieces(tmp_path)
    piece = drawn.draw(sampled_from(parts))
    octets = bytearray(piece.read_bytes())
    match drawn.draw(sampled_from(["bit", "cut", "grown", "other"])):
        case "bit":
            # As often in the head as in the rest of it.
            most = drawn.draw(sampled_from([1000, len(octets)]))
            octets[drawn.draw(integers(0, most - 1))] ^= 1 << drawn.draw(integers(0, 7))
        case "cut":
            del octets[drawn.draw(integers(0, len(octets) - 1)) :]
        case "grown":
            octets += b"x" * drawn.draw(integers(1, 2 * MIB))
        case "other":
            others = [one for one in parts if one != piece]
            octets[:] = drawn.draw(sampled_from(others)).read_bytes()
    piece.write_bytes(octets)
    kept = find(disk)
    if kept is not None:
        assert kept.head == head(len(BODY))
        for at in range(0, len(BODY), MIB):
            size = min(MIB, len(BODY) - at)
            told = read(kept, at, size)
            assert isinstance(told, OSError) or told == BODY[at : at + size]
        kept.close()
    end(disk)
