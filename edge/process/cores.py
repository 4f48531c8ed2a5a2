"""How many cores this process may keep busy: by its affinity and its cgroup's quota.

A container with half a core has one. Read once, at the start, by ``edge.cli``. Only the
standard library.
"""

import math
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")


def cores() -> int:
    """At least one."""
    affinity = len(os.sched_getaffinity(0))
    return max(1, min([affinity, *(math.ceil(q) for q in quotas(CGROUPS, OWN))]))


def quotas(root: Path, own: Path) -> Iterator[float]:
    """The quotas in force, in cores: of the cgroup and of all around it, as far as they
    can be seen from here. None where there is no bound."""
    with suppress(OSError, ValueError):
        for line in own.read_text("ascii").splitlines():
            number, controllers, path = line.split(":", 2)
            if number == "0":
                yield from _quotas_around(root, path, _version_2)
            elif "cpu" in controllers.split(","):
                for mount in ("cpu", "cpu,cpuacct"):
                    yield from _quotas_around(root / mount, path, _version_1)


def _quotas_around(
    root: Path, path: str, read: Callable[[Path], tuple[int, int]]
) -> Iterator[float]:
    # In a container the root may be the cgroup itself, whatever its path is outside.
    folder = root / path.strip("/")
    while True:
        with suppress(OSError, ValueError):
            quota, period = read(folder)
            if quota > 0 and period > 0:
                yield quota / period
        if folder == root or root not in folder.parents:
            return
        folder = folder.parent


def _version_2(folder: Path) -> tuple[int, int]:
    """cpu.max has a quota and a period, or ``max`` (ValueError)."""
    quota, period = (folder / "cpu.max").read_text("ascii").split()
    return int(quota), int(period)


def _version_1(folder: Path) -> tuple[int, int]:
    """A quota of -1 is none."""
    names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
    quota, period = (int((folder / name).read_text("ascii")) for name in names)
    return quota, period
