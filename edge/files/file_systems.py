"""What a folder lies on: a disk, or memory that only looks like one.

What is written to a tmpfs is memory, which is what a spool is to save. ``refusal`` says
why a folder will not do; it tries it. Called before the start, and when a worker is
made.
"""

import ctypes
import os
import sys
import tempfile

_IN_MEMORY = {0x01021994: "tmpfs", 0x858458F6: "ramfs", 0x958458F6: "hugetlbfs"}
"""File systems without a disk, by the number that statfs(2) tells."""

USUAL_FOLDERS = ("/var/tmp",)
"""Where large temporary files belong (Filesystem Hierarchy Standard 5.15)."""


def refusal(folder: str) -> str | None:
    """Why large files cannot be kept in ``folder``; None when they can."""
    try:
        kind = _in_memory(folder)
        if kind is not None:
            return f"lies on a {kind}, which is memory"
        with tempfile.TemporaryFile(dir=folder, buffering=0) as probe:
            probe.write(b"probe")
    except OSError as error:
        return f"cannot be written: {error.strerror or error}"
    return None


def usual_folder() -> str | None:
    """A folder that will do where none is named; None: this machine has none."""
    return next((one for one in USUAL_FOLDERS if refusal(one) is None), None)


def _in_memory(folder: str) -> str | None:
    """The file system's name if it has no disk. Raises OSError."""
    if sys.platform != "linux":
        os.stat(folder)
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    # struct statfs begins with the type, of the width of a long; it has 120 bytes.
    told = (ctypes.c_long * 64)()
    if libc.statfs(os.fsencode(folder), ctypes.byref(told)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), folder)
    return _IN_MEMORY.get(told[0] & 0xFFFFFFFF)
