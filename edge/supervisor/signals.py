"""Signals: waiting for a signal, a file or a time-out at once.

Handlers run in the middle of other code and are easy to get wrong. So the handlers here
do nothing. Python writes a byte for each signal (``set_wakeup_fd``), and ``wait`` reads
it. Main thread only.
"""

import select
import signal
import socket
from collections.abc import Iterable


class Signals:
    """Takes over the signals named; they no longer end this process."""

    def __init__(self, numbers: Iterable[signal.Signals]) -> None:
        self._read, write = socket.socketpair()
        self._write = write
        for end in (self._read, write):
            end.setblocking(False)
        signal.set_wakeup_fd(write.fileno(), warn_on_full_buffer=False)
        for number in numbers:
            signal.signal(number, lambda _number, _frame: None)

    def wait(self, timeout: float | None, also: int | None = None) -> list[int]:
        """The signals that came; empty when time is up or ``also`` can be read."""
        files: list[int] = [self._read.fileno()]
        if also is not None:
            files.append(also)
        select.select(files, [], [], timeout)
        try:
            return list(self._read.recv(4096))
        except BlockingIOError:
            return []
