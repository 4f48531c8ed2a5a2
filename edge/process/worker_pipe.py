"""WorkerPipe: what workers tell their master, as short lines in a pipe.

A line is a word and the worker's pid. The word is ``READY``, ``ENDED``, or the reason
word for which the worker asks to be replaced. The pipe is made in the master before it
forks. The master reads it once a second, and at once when the worker sends it WAKE.
(SIGCHLD would not do: gevent takes it for itself, and tells only of children that
ended.)
"""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress

READY = "ready"
"""The worker accepts connections."""

ENDED = "ended"
"""The process has said all that it had to say. One that ends without this has died.
Said only where there are several."""

WAKE = signal.SIGUSR1
"""To the master: look into the pipe. It has no other meaning there."""

_MAX_READ = 1 << 16


class WorkerPipe:
    """One pipe: workers write, the master reads."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)

    def write(self, word: str, master: int) -> None:
        """Tell the master. Called in a worker."""
        # Shorter than PIPE_BUF, so lines of two workers never mix (pipe(7)).
        os.write(self._writing, f"{word} {os.getpid()}\n".encode())
        # Who has its pid now, if it is dead, is somebody else.
        if os.getppid() == master:
            with suppress(ProcessLookupError):  # the heartbeat notices
                os.kill(master, WAKE)

    def read(self) -> Iterator[tuple[str, int]]:
        """What was told since the last call: word and pid. Called in the master."""
        try:
            text = os.read(self._reading, _MAX_READ).decode()
        except BlockingIOError:
            return
        for line in text.splitlines():
            word, _, pid = line.partition(" ")
            yield word, int(pid)
