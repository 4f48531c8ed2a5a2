"""Run a command that dies with its parent: ``python tethered.py COMMAND ...``.

The kernel sends TERM when the thread that started this process ends (prctl(2),
PR_SET_PDEATHSIG); the wish survives exec. So a test run that is killed leaves no
server behind. Elsewhere than on Linux the command simply runs. A program of its
own, because code between fork and exec is unsafe in a process with threads.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(command: list[str]) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
