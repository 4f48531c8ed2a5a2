"""Where the processes of a node have their sockets, on real folders."""

import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.process.open_node import open_node
from edge.process.run_folder import (
    MAX_SOCKET_PATH,
    RunFolder,
    RunFolderFault,
    sweep,
    usual,
)


@pytest.fixture
def base() -> Iterator[Path]:
    """With a short name: a socket's path has a bound."""
    with tempfile.TemporaryDirectory(prefix="run-") as path:
        yield Path(path)


@pytest.fixture
def folder(base: Path) -> Iterator[RunFolder]:
    made = RunFolder.make(str(base), {})
    yield made
    made.remove()


def test_each_start_has_a_folder_of_its_own_that_nobody_else_enters(
    base: Path, folder: RunFolder
) -> None:
    other = RunFolder.make(str(base), {})

    assert other.path != folder.path
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert Path(folder.link(1)).name == "keeper-1.sock"
    other.remove()
    assert not other.path.exists() and folder.path.exists()


def test_what_is_held_is_never_swept(base: Path, folder: RunFolder) -> None:
    """Nor what somebody else made, whatever it is called."""
    for name in ("ds-edge-run-plain", "ds-edge-odd", "other"):
        (base / name).mkdir()
    (base / "ds-edge-run-file").write_text("x")
    sweep(base)

    assert folder.path.exists()
    assert len(list(base.iterdir())) == 5


HOLDER = """
import os, sys
from edge.process.run_folder import RunFolder
made = RunFolder.make(sys.argv[1], {})
child = os.fork()
if child == 0:
    sys.stdin.read()
    os._exit(0)
print(made.path, flush=True)
os.kill(os.getpid(), 9)
"""


def test_a_dead_edge_s_folder_goes_when_its_last_process_has(base: Path) -> None:
    """A killed master leaves it; its children hold it until they end, too."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(base)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as master:
        assert master.stdin is not None and master.stdout is not None
        left = Path(master.stdout.readline().strip())
        assert master.wait() == -signal.SIGKILL
        sweep(base)
        assert left.exists()
        master.stdin.close()
        # Its end of the pipe closes when the child has gone.
        assert master.stdout.read() == ""
    RunFolder.make(str(base), {}).remove()

    assert not left.exists()


def test_a_child_removes_nothing(folder: RunFolder) -> None:
    pid = os.fork()
    if pid == 0:
        folder.remove()
        os._exit(0)
    os.waitpid(pid, 0)

    assert folder.path.exists()


def test_a_folder_that_cannot_be_written_is_said_in_one_line(base: Path) -> None:
    plain = base / "file"
    plain.write_text("")
    with pytest.raises(RunFolderFault) as missing:
        RunFolder.make(str(base / "nowhere"), {})
    with pytest.raises(RunFolderFault) as file:
        RunFolder.make(str(plain), {})

    assert str(missing.value) == (
        f"run_folder: {base}/nowhere: No such file or directory"
    )
    assert str(file.value) == f"run_folder: {plain}: Not a directory"


@pytest.mark.parametrize(
    ("blocks", "files", "said"),
    [
        ((1000, 15), (1000, 900), "60 KiB are free, and 1024 KiB are needed"),
        ((9999, 9000), (1000, 7), "7 files are free, and 256 are needed"),
    ],
)
def test_a_folder_without_room_is_said_before_anything_is_in_it(
    blocks: tuple[int, int],
    files: tuple[int, int],
    said: str,
    base: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else its processes would die of it, one after the other, for ever."""
    told = (4096, 4096, blocks[0], *blocks[1:] * 2, files[0], *files[1:] * 2, 0, 255)
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(told))
    with pytest.raises(RunFolderFault, match=said):
        RunFolder.make(str(base), {})

    assert not list(base.iterdir())


def test_a_file_system_that_tells_of_no_bound_has_room(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = (4096, 4096, 0, 0, 0, 0, 0, 0, 0, 255)
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(told))
    made = RunFolder.make(str(base), {})

    assert made.path.is_dir()
    made.remove()


def test_a_path_that_is_too_long_for_a_socket_is_said(base: Path) -> None:
    deep = base / ("d" * MAX_SOCKET_PATH)
    deep.mkdir()
    with pytest.raises(RunFolderFault, match="too long: a socket's path may have 107"):
        RunFolder.make(str(deep), {})

    assert list(deep.iterdir()) == []


def test_without_a_name_the_first_that_takes_it_is_taken(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for a user who may not write to /run, or a container with a read-only root."""
    assert [str(p) for p in usual({"XDG_RUNTIME_DIR": "/run/user/7"})][:3] == [
        "/run",
        "/run/user/7",
        "/dev/shm",
    ]
    candidates = [base / "missing", base]
    monkeypatch.setattr("edge.process.run_folder.usual", lambda _: candidates)
    made = RunFolder.make(None, {})
    assert made.path.parent == base
    made.remove()
    monkeypatch.setattr("edge.process.run_folder.usual", lambda _: candidates[:1])
    with pytest.raises(RunFolderFault, match="run_folder is not set, and none will do"):
        RunFolder.make(None, {})


def test_a_node_that_cannot_have_its_sockets_leaves_nothing(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system that is full, or knows no sockets."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("edge.process.open_node.LinkListener", full)
    with pytest.raises(RunFolderFault, match=r"no socket can be made in .*: No space"):
        open_node(2, 1, str(base), {})

    assert list(base.iterdir()) == []


def test_a_node_has_a_socket_for_each_keeper(base: Path) -> None:
    node = open_node(2, 3, str(base), {})

    assert (node.parts.fronts, node.parts.keepers) == (2, 3)
    assert all(Path(link).is_socket() for link in node.parts.links)
    node.close()
    assert list(base.iterdir()) == []
