"""The cgroups of this process, as the kernel shows them in files. Only the standard
library.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")

_MOUNTS = {"cpu": ("cpu", "cpu,cpuacct"), "memory": ("memory",)}
"""Where the first version mounts a controller."""


def folders(root: Path, own: Path, controller: str) -> Iterator[tuple[int, Path]]:
    """The cgroup that bounds this process by ``controller``, and all around it, as far
    as they can be seen from here; each with the version of cgroups, 1 or 2."""
    with suppress(OSError, ValueError):
        for line in own.read_text("ascii").splitlines():
            number, controllers, path = line.split(":", 2)
            if number == "0":
                for folder in _around(root, path):
                    yield 2, folder
            elif controller in controllers.split(","):
                for mount in _MOUNTS[controller]:
                    for folder in _around(root / mount, path):
                        yield 1, folder


def _around(root: Path, path: str) -> Iterator[Path]:
    # In a container the root may be the cgroup itself, whatever its path is outside.
    folder = root / path.strip("/")
    while True:
        yield folder
        if folder == root or root not in folder.parents:
            return
        folder = folder.parent
