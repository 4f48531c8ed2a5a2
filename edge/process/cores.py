"""How many cores this process may keep busy: by its affinity and its cgroup's quota.

A container with half a core has one. Read once, at the start, by ``edge.cli``. Only the
standard library.
"""

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from edge.process.cgroups import CGROUPS, OWN, folders


def cores() -> int:
    """At least one."""
    affinity = len(os.sched_getaffinity(0))
    return max(1, min([affinity, *(math.ceil(q) for q in quotas(CGROUPS, OWN))]))


def quotas(root: Path, own: Path) -> Iterator[float]:
    """The quotas in force, in cores: of the cgroup and of all around it, as far as they
    can be seen from here. None where there is no bound."""
    for version, folder in folders(root, own, "cpu"):
        with suppress(OSError, ValueError):
            quota, period = (_version_2 if version == 2 else _version_1)(folder)
            if quota > 0 and period > 0:
                yield quota / period


def _version_2(folder: Path) -> tuple[int, int]:
    """cpu.max has a quota and a period, or ``max`` (ValueError)."""
    quota, period = (folder / "cpu.max").read_text("ascii").split()
    return int(quota), int(period)


def _version_1(folder: Path) -> tuple[int, int]:
    """A quota of -1 is none."""
    names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
    quota, period = (int((folder / name).read_text("ascii")) for name in names)
    return quota, period
