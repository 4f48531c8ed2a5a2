"""How much memory this process and its children may hold, by their cgroup.

Beyond ``memory.max`` the kernel kills one of them, beyond ``memory.high`` it slows all
of them down. Read once, at the start, by ``edge.cli``. Only the standard library.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from edge.process.cgroups import CGROUPS, OWN, folders

_FILES = {1: ("memory.limit_in_bytes",), 2: ("memory.max", "memory.high")}


def memory_bound() -> int | None:
    """Bytes; None: no cgroup bounds it below what the machine has."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    least = min(bounds(CGROUPS, OWN), default=machine)
    return least if least < machine else None


def bounds(root: Path, own: Path) -> Iterator[int]:
    """The bounds in force, in bytes: of the cgroup and of all around it, as far as they
    can be seen from here. The first version of cgroups has a huge one where there is
    none, the second the word ``max``."""
    for version, folder in folders(root, own, "memory"):
        for name in _FILES[version]:
            with suppress(OSError, ValueError):
                bound = int((folder / name).read_text("ascii"))
                if bound > 0:
                    yield bound
