"""How many cores a process may use, by files as a kernel shows them."""

import os
from pathlib import Path

import pytest

from edge.process.cores import cores, quotas


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def found(root: Path, own: str) -> list[float]:
    write(root.parent / "own", own)
    return list(quotas(root, root.parent / "own"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cgroup"


def test_a_quota_counts_wherever_it_is_set(root: Path) -> None:
    """Of the cgroup itself, and of all around it."""
    write(root / "pod/cpu.max", "150000 100000\n")
    write(root / "pod/container/cpu.max", "max 100000\n")
    write(root / "cpu.max", "50000 100000\n")

    assert found(root, "0::/pod/container\n") == [1.5, 0.5]


def test_in_a_container_the_root_is_the_cgroup(root: Path) -> None:
    """Its path outside leads nowhere here."""
    write(root / "cpu.max", "50000 100000\n")

    assert found(root, "0::/../../elsewhere\n") == [0.5]


def test_the_first_version_of_cgroups_has_its_own_files(root: Path) -> None:
    write(root / "cpu,cpuacct/a/cpu.cfs_quota_us", "200000\n")
    write(root / "cpu,cpuacct/a/cpu.cfs_period_us", "100000\n")
    write(root / "cpu,cpuacct/cpu.cfs_quota_us", "-1\n")
    write(root / "cpu,cpuacct/cpu.cfs_period_us", "100000\n")

    assert found(root, "4:memory:/a\n3:cpu,cpuacct:/a\n") == [2.0]


@pytest.mark.parametrize("text", ["", "max", "0 0\n", "a b\n", "1 2 3\n"])
def test_what_is_no_quota_bounds_nothing(root: Path, text: str) -> None:
    write(root / "cpu.max", text)

    assert found(root, "0::/\n") == []
    assert found(root, "odd\n") == []


def test_this_process_has_at_least_one() -> None:
    assert 1 <= cores() <= len(os.sched_getaffinity(0))
