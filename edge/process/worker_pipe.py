"""WorkerPipe: what workers say to their master, as short lines in a pipe.

A note is a word and a worker's pid: ``READY``, or the reason word for which it wants
to be replaced. Made in the master before it forks. The master looks once a second;
SIGCHLD, which whoever is no master ignores, may let it look sooner.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress

READY = "ready"
"""The worker accepts connections."""

_MOST = 1 << 16


class WorkerPipe:
    """One pipe, of which the master holds the reading end."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)

    def write(self, word: str, master: int) -> None:
        """Say it to the master. Called in a worker."""
        # Below PIPE_BUF: whole, whoever writes at the same time (pipe(7)).
        os.write(self._writing, f"{word} {os.getpid()}\n".encode())
        with suppress(ProcessLookupError):  # the heartbeat will see that it is gone
            os.kill(master, signal.SIGCHLD)

    def read(self) -> Iterator[tuple[str, int]]:
        """All notes since the last call: word and pid. Called in the master."""
        try:
            text = os.read(self._reading, _MOST).decode()
        except BlockingIOError:
            return
        for line in text.splitlines():
            word, _, pid = line.partition(" ")
            yield word, int(pid)
