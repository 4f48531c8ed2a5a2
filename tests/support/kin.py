"""The process tree, as the kernel shows it: children, and the ends of strangers."""

import os
import select
from pathlib import Path


def children(pid: int) -> list[int]:
    """The children of a process, oldest first (Linux)."""
    said = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in said.split()]


def command_of(pid: int) -> list[str]:
    """The words that a process was started with."""
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")


def ends(pid: int, within: float) -> bool:
    """Whether a process, no child of ours, ends within so many seconds."""
    try:
        file = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([file], [], [], within)[0])
    finally:
        os.close(file)
