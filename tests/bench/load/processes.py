"""What a server's processes hold and take, out of ``/proc``."""

import os
from contextlib import suppress
from pathlib import Path

from edge.cli.bench.costs import ProcessTree

_PROC = Path("/proc")
_ESTABLISHED = "01"


class Spent:
    """Processor seconds, user and system, of a server since ``begin``.

    None where no process was named. A clock's tick is 10 ms.
    """

    def __init__(self, pid: int | None) -> None:
        self._tree = None if pid is None else ProcessTree(pid)
        self._before = 0.0

    def begin(self) -> None:
        """Count from now on."""
        if self._tree is not None:
            self._before = self._tree.cpu_seconds()

    @property
    def seconds(self) -> float | None:
        """Until now."""
        return None if self._tree is None else self._tree.cpu_seconds() - self._before


def connections(pid: int, port: int) -> int | None:
    """How many connections to ``port`` a process and its children have, by IPv4.

    None where that may not be seen: another user's processes.
    """
    with suppress(PermissionError):
        theirs = {one for each in _tree(pid) for one in _sockets(each)}
        lines = (_PROC / "net/tcp").read_text().splitlines()[1:]
        fields = [line.split() for line in lines]
        return sum(
            one[3] == _ESTABLISHED
            and int(one[2].partition(":")[2], 16) == port
            and one[9] in theirs
            for one in fields
        )
    return None


def _tree(pid: int) -> list[int]:
    found = [pid]
    for task in (_PROC / str(pid) / "task").iterdir():
        for child in (task / "children").read_text().split():
            found += _tree(int(child))
    return found


def _sockets(pid: int) -> set[str]:
    """The inodes of a process's sockets."""
    found = set()
    for one in (_PROC / str(pid) / "fd").iterdir():
        with suppress(FileNotFoundError):
            name = os.readlink(one)
            if name.startswith("socket:["):
                found.add(name[8:-1])
    return found
