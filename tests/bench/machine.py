"""What the figures were measured on: the machine, and the versions of all servers.

The load before the run is the one that tells whether the machine was quiet.
"""

import os
import platform
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.bench.peers import Peer


@dataclass(frozen=True, slots=True)
class Machine:
    """Where and when. ``load`` is the load average of 1, 5 and 15 minutes."""

    when: str
    processor: str
    cores: int
    memory_gib: float
    kernel: str
    python: str
    load: tuple[float, float, float]

    def words(self) -> str:
        """In one line."""
        load = " ".join(f"{one:.2f}" for one in self.load)
        return (
            f"{self.cores} cores of {self.processor}, {self.memory_gib:.0f} GiB, "
            f"Linux {self.kernel}, Python {self.python}; load before: {load}; "
            f"{self.when}"
        )


def here() -> Machine:
    """This machine, now."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return Machine(
        when=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        processor=_processor(Path("/proc/cpuinfo").read_text(encoding="utf-8")),
        cores=os.cpu_count() or 1,
        memory_gib=round(pages * size / 2**30, 1),
        kernel=platform.release(),
        python=platform.python_version(),
        load=os.getloadavg(),
    )


def _processor(info: str) -> str:
    found = re.search(r"^model name\s*: (.+)$", info, re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def versions(peers: Iterable[Peer]) -> dict[str, str]:
    """Of all servers, and of what else decides how fast ours is."""
    told = {peer.name: peer.version() for peer in peers}
    if "edge" in told:
        parts = ("gunicorn", "falcon")
        told["edge"] += "".join(f", {part} {version(part)}" for part in parts)
    return told
