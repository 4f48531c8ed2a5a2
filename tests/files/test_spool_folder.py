"""Files without a name, on a real disk and on what is none (S1)."""

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest
from gevent.event import AsyncResult

from edge.core.file_ports import SpoolFile
from edge.files import file_systems
from edge.files.spool_folder import SpoolFolder
from edge.files.threads import FileThreads
from tests.support import disks
from tests.support.patience import PATIENCE


@pytest.fixture
def threads() -> Iterator[FileThreads]:
    made = FileThreads(2)
    yield made
    made.stop()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own with a few MiB."""
    with disks.small_disk(tmp_path, 8 << 20) as place:
        yield place


def append(file: SpoolFile, *pieces: bytes) -> OSError | None:
    done: AsyncResult[OSError | None] = AsyncResult()
    file.append(pieces, done.set)
    return done.get(timeout=PATIENCE)


def read(file: SpoolFile, position: int, size: int) -> bytes | OSError | None:
    done: AsyncResult[bytes | OSError] = AsyncResult()
    file.read(position, size, done.set)
    return done.get(timeout=PATIENCE)


def test_what_was_written_is_read_from_anywhere(
    tmp_path: Path, threads: FileThreads
) -> None:
    file = SpoolFolder(str(tmp_path), threads).make()

    assert append(file, b"abc", b"def") is None
    assert append(file, b"ghi") is None
    assert read(file, 2, 5) == b"cdefg"
    assert isinstance(read(file, 7, 5), OSError)


def test_no_file_has_a_name(tmp_path: Path, threads: FileThreads) -> None:
    """Nothing is left of a process that is killed."""
    file = SpoolFolder(str(tmp_path), threads).make()
    append(file, b"x" * 1000)

    assert list(tmp_path.iterdir()) == []


def test_a_closed_file_gives_its_descriptor_back(
    tmp_path: Path, threads: FileThreads
) -> None:
    """Behind the call that is under way, which tells nothing any more."""
    before = set(os.listdir("/proc/self/fd"))
    files = [SpoolFolder(str(tmp_path), threads).make() for _ in range(20)]
    told: list[object] = []
    for file in files:
        append(file, b"abc")
        file.read(0, 3, told.append)
        file.close()
        file.close()
    while threads.under_way:
        gevent.sleep(0.001)
    kept = {
        one
        for one in set(os.listdir("/proc/self/fd")) - before
        if str(tmp_path) in os.path.realpath(f"/proc/self/fd/{one}")
    }

    assert not told and not kept


def test_what_finds_no_thread_free_waits_and_blocks_nobody(
    threads: FileThreads,
) -> None:
    """A disk that hangs takes its own threads, and the event loop goes on."""
    hangs = threading.Event()
    ended: list[object] = []
    for _ in range(5):
        threads.run(lambda: hangs.wait(10), ended.append)
    assert threads.under_way == 5
    gevent.sleep(0)
    assert not ended
    hangs.set()
    while threads.under_way:
        gevent.sleep(0.001)

    assert ended == [True] * 5


def test_a_disk_that_is_full_is_told_and_its_room_comes_back(
    small_disk: Path, threads: FileThreads
) -> None:
    folder = SpoolFolder(str(small_disk), threads)
    first, second = folder.make(), folder.make()
    assert append(first, b"x" * (4 << 20)) is None
    error = append(second, b"x" * (6 << 20))
    assert isinstance(error, OSError)
    first.close()
    second.close()
    while threads.under_way:
        gevent.sleep(0.001)

    assert append(folder.make(), b"x" * (4 << 20)) is None


def test_a_folder_that_is_gone_is_an_error(
    tmp_path: Path, threads: FileThreads
) -> None:
    place = tmp_path / "spool"
    place.mkdir()
    folder = SpoolFolder(str(place), threads)
    kept = folder.make()
    assert append(kept, b"abc") is None
    shutil.rmtree(place)

    assert isinstance(append(folder.make(), b"abc"), OSError)
    assert read(kept, 0, 3) == b"abc"


def test_memory_that_looks_like_a_disk_is_refused() -> None:
    """S1: a spool there would fill what it is to save."""
    if "/dev/shm" not in Path("/proc/mounts").read_text("utf-8"):
        pytest.skip("no tmpfs here")

    assert file_systems.refusal("/dev/shm") == "lies on a tmpfs, which is memory"


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    assert file_systems.refusal(str(tmp_path)) is None
    missing = file_systems.refusal(str(tmp_path / "none"))
    assert missing is not None and missing.startswith("cannot be written: No such")
    (tmp_path / "file").write_text("x")
    assert file_systems.refusal(str(tmp_path / "file")) is not None


def test_a_disk_that_is_read_only_is_refused(small_disk: Path) -> None:
    command = ["mount", "-o", "remount,ro", str(small_disk)]
    subprocess.run(command, check=True, capture_output=True)
    why = file_systems.refusal(str(small_disk))

    assert why is not None and "Read-only" in why


def test_without_a_folder_that_is_named_a_usual_one_will_do_or_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    places = (str(tmp_path / "none"), "/dev/shm", str(tmp_path))
    monkeypatch.setattr(file_systems, "USUAL_FOLDERS", places)
    assert file_systems.usual_folder() in ("/dev/shm", str(tmp_path))

    monkeypatch.setattr(file_systems, "USUAL_FOLDERS", places[:1])
    assert file_systems.usual_folder() is None
