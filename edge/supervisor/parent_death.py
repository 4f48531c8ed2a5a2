"""Run a command that dies with its parent: ``parent_death.py PARENT COMMAND ...``.

The kernel is asked to send TERM when the process that started this one ends
(prctl(2), PR_SET_PDEATHSIG). The setting survives exec, so the command inherits it.
If the parent is dead already, that has no effect; therefore the parent's pid is given
and compared. On other systems than Linux the command simply runs.

It is a program of its own because code between fork and exec is unsafe in a process
with threads. It is started by path, and so imports nothing of this package.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1

ORPHANED = 75
"""The exit code when the parent is gone already (EX_TEMPFAIL)."""


def main(parent: int, command: list[str]) -> None:
    """Become ``command``. Does not return."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(ORPHANED)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
