"""What a process of this machine costs (Linux): memory and processor time.

With all its children, as a server's workers are. Reads ``/proc`` and nothing else.
"""

import os
import re
import resource
from pathlib import Path

from edge.cli.streams.exit_faults import wrong

_TICK = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")
SPARE_FILES = 64
"""Open files beside those of the connections."""


class Household:
    """A process and whatever it has for children when it is looked at."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        if not _alive(pid):
            raise wrong("--pid", f"there is no process {pid} here")

    def memory_kib(self) -> int:
        """KiB that are resident, all members together."""
        return sum(map(_resident, _family(self._pid)))

    def cpu_seconds(self) -> float:
        """Processor time so far, user and system, all members together."""
        return sum(map(_cpu, _family(self._pid)))


def _alive(pid: int) -> bool:
    return pid > 0 and (_PROC / str(pid) / "stat").exists()


def _read(pid: int, name: str) -> str:
    """A file of ``/proc``; empty when the process has ended meanwhile."""
    try:
        return (_PROC / str(pid) / name).read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _family(pid: int) -> list[int]:
    family = [pid]
    for task in _tasks(pid):
        for child in _read(pid, f"task/{task}/children").split():
            family += _family(int(child))
    return family


def _tasks(pid: int) -> list[str]:
    """Threads; each has the children that it began."""
    try:
        return os.listdir(_PROC / str(pid) / "task")
    except FileNotFoundError:
        return []


def _resident(pid: int) -> int:
    found = re.search(r"^VmRSS:\s+(\d+)", _read(pid, "status"), re.MULTILINE)
    return int(found[1]) if found else 0


def _cpu(pid: int) -> float:
    # The name stands in brackets and may hold anything, brackets too.
    fields = _read(pid, "stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK if fields else 0.0


def allow_files(option: str, connections: int) -> None:
    """Raise the limit of open files to the hard one. Raises Fault if that is low."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    needed = connections + SPARE_FILES
    if hard != resource.RLIM_INFINITY and needed > hard:
        message = (
            f"{connections} connections need {needed} open files, and the hard limit "
            f"is {hard} (ulimit -Hn); at most {max(0, hard - SPARE_FILES)} fit"
        )
        raise wrong(option, message)
