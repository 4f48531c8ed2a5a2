"""Child: one child process, from its start to its end.

It dies with the supervisor (``parent_death``). It leads a process group of its own.
Ctrl-C in a terminal thus reaches the supervisor alone, which ends its children in their
order. What a child leaves behind is found by the group.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

DIE_WITH_PARENT = (
    sys.executable,
    "-IS",
    str(Path(__file__).with_name("parent_death.py")),
)


class Child:
    """A command, and the process that runs it while there is one."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self.name = name
        self.command = list(command)
        self.started = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether it was started, and its end was not seen yet."""
        return self._process is not None

    def start(self, *more: str, keep_open: Sequence[int] = ()) -> None:
        """Start the command and ``more``; ``keep_open`` are files that it inherits."""
        self.started = time.monotonic()
        self._process = subprocess.Popen(
            [*DIE_WITH_PARENT, str(os.getpid()), *self.command, *more],
            stdin=subprocess.DEVNULL,
            pass_fds=keep_open,
            process_group=0,
        )

    def ended(self) -> int | None:
        """The exit code, once after each end. 128 and more: ended by a signal."""
        if self._process is None or (code := self._process.poll()) is None:
            return None
        self._group(signal.SIGKILL)
        self._process = None
        return code if code >= 0 else 128 - code

    def send(self, number: int) -> None:
        """Send a signal to the process, if there is one."""
        if self._process is not None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """End the process and all that it started, now."""
        if self._process is not None:
            self._group(signal.SIGKILL)

    def _group(self, number: int) -> None:
        if self._process is not None:
            # The group is gone once its last member is.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)
