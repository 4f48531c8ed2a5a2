"""How much memory a process may hold, by files as a kernel shows them."""

import os
from pathlib import Path

import pytest

from edge.process.memory_bound import bounds, memory_bound

MIB = 1 << 20


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def found(root: Path, own: str) -> list[int]:
    write(root.parent / "own", own)
    return list(bounds(root, root.parent / "own"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cgroup"


def test_a_bound_counts_wherever_it_is_set(root: Path) -> None:
    """What slows down counts as well as what kills."""
    write(root / "pod/container/memory.max", "max\n")
    write(root / "pod/container/memory.high", f"{256 * MIB}\n")
    write(root / "pod/memory.max", f"{512 * MIB}\n")

    assert found(root, "0::/pod/container\n") == [256 * MIB, 512 * MIB]


def test_the_first_version_of_cgroups_has_its_own_file(root: Path) -> None:
    write(root / "memory/a/memory.limit_in_bytes", f"{64 * MIB}\n")
    write(root / "memory/memory.limit_in_bytes", "9223372036854771712\n")

    assert found(root, "4:memory:/a\n3:cpu,cpuacct:/a\n") == [
        64 * MIB,
        9223372036854771712,
    ]


@pytest.mark.parametrize("text", ["", "max", "0\n", "-1\n", "a b\n"])
def test_what_is_no_bound_bounds_nothing(root: Path, text: str) -> None:
    write(root / "memory.max", text)

    assert found(root, "0::/\n") == []
    assert found(root, "odd\n") == []


def test_this_machine_is_no_bound_of_itself() -> None:
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    bound = memory_bound()

    assert bound is None or 0 < bound < machine
