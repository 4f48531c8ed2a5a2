"""What a run costs beside its times, and whether it has room for its connections.

``ProcessTree``: memory and processor time of the server's processes, out of ``/proc``
(Linux). ``CpuUsage``: processor time of this process, the load generator.
``origin_reads``: requests to the origin, out of an edge's metrics.
"""

import os
import re
import time
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from edge.cli import open_files
from edge.cli.streams.address import StreamAddress
from edge.cli.streams.client import Client, StreamRequest
from edge.cli.streams.exit_faults import Exit, Fault, wrong

SPARE_FILES = 64
"""Open files beside those of the connections."""

_TICK = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")
_FAMILY = "ds_edge_origin_requests"


def allow_files(option: str, connections: int) -> None:
    """Raise the limit of open files to the hard one. Raises Fault if that is low."""
    hard = open_files.raise_to_hard_limit()
    needed = connections + SPARE_FILES
    if hard is not None and needed > hard:
        message = (
            f"{connections} connections need {needed} open files, and the hard limit "
            f"is {hard} (ulimit -Hn); at most {max(0, hard - SPARE_FILES)} fit"
        )
        raise wrong(option, message)


class ProcessTree:
    """A process and the children that it has when it is looked at."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        if not _alive(pid):
            raise wrong("--pid", f"there is no process {pid} here")

    def memory_kib(self) -> int:
        """KiB that are resident, of all processes together."""
        return sum(map(_resident, _tree(self._pid)))

    def cpu_seconds(self) -> float:
        """Processor time so far, user and system, of all processes together."""
        return sum(map(_cpu, _tree(self._pid)))


def _alive(pid: int) -> bool:
    return pid > 0 and (_PROC / str(pid) / "stat").exists()


def _read(pid: int, name: str) -> str:
    """A file of ``/proc``; empty when the process has ended meanwhile."""
    try:
        return (_PROC / str(pid) / name).read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _tree(pid: int) -> list[int]:
    tree = [pid]
    for task in _tasks(pid):
        for child in _read(pid, f"task/{task}/children").split():
            tree += _tree(int(child))
    return tree


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


class CpuUsage:
    """Processor time of this process while there was work.

    The caller says when work begins and ends.
    """

    def __init__(self) -> None:
        self._wall = self._cpu = 0.0
        self._begun: tuple[float, float] | None = None

    def begin(self) -> None:
        """Work is there. A second call changes nothing."""
        if self._begun is None:
            self._begun = time.monotonic(), time.process_time()

    def end(self) -> None:
        """All work is done."""
        if self._begun is not None:
            wall, cpu = self._begun
            self._wall += time.monotonic() - wall
            self._cpu += time.process_time() - cpu
            self._begun = None

    @property
    def cpu(self) -> float:
        """Seconds of processor time."""
        return self._cpu

    @property
    def share(self) -> float:
        """Processor time divided by time: 1 is a whole core."""
        return self._cpu / self._wall if self._wall else 0.0


def origin_reads(address: StreamAddress) -> float:
    """Requests to the origin so far, without writes. Raises Fault."""
    client = Client(address)
    try:
        with client.once(StreamRequest("GET", {}, {})) as answer:
            text = b"".join(answer.pieces()).decode("utf-8", "replace")
    except Fault as fault:
        raise Fault(fault.exit_code, f"--metrics: {fault}") from None
    finally:
        client.close()
    return _reads(text)


def _reads(text: str) -> float:
    try:
        families = {one.name: one for one in text_string_to_metric_families(text)}
        samples = families[_FAMILY].samples
    except (ValueError, KeyError):
        raise Fault(Exit.FAILED, "--metrics: these are not an edge's metrics") from None
    return sum(
        one.value
        for one in samples
        if one.name == f"{_FAMILY}_total" and one.labels.get("purpose") != "write"
    )
