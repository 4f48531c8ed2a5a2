"""One child process: started tethered, watched, ended.

Each leads a process group of its own, so that Ctrl-C in a terminal reaches the
supervisor alone, which then ends both in their order; and so that whatever a
child leaves behind can be found.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

TETHER = (sys.executable, "-IS", str(Path(__file__).with_name("parent_death.py")))


class Child:
    """A command, and the process that runs it when one does."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self.name = name
        self.command = list(command)
        self.started = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether it was started and its end was not yet seen."""
        return self._process is not None

    def start(self, *more: str, keep_open: Sequence[int] = ()) -> None:
        """Start the command and ``more``; ``keep_open`` are files that it inherits."""
        self.started = time.monotonic()
        self._process = subprocess.Popen(
            [*TETHER, str(os.getpid()), *self.command, *more],
            stdin=subprocess.DEVNULL,
            pass_fds=keep_open,
            process_group=0,
        )

    def ended(self) -> int | None:
        """Its exit code, once, when it has ended; 128 and more: by a signal."""
        if self._process is None or (code := self._process.poll()) is None:
            return None
        self._group(signal.SIGKILL)
        self._process = None
        return code if code >= 0 else 128 - code

    def tell(self, number: int) -> None:
        """Send a signal to the process, if there is one."""
        if self._process is not None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """End the process and all that it started, now."""
        if self._process is not None:
            self._group(signal.SIGKILL)

    def _group(self, number: int) -> None:
        if self._process is not None:
            # A group ends with its last member.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)
