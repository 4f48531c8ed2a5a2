"""WorkerFiles: all files of one process, and their threads. Made by wiring."""

import time

import gevent

from edge.files.disk_folder import DiskFolder
from edge.files.spool_folder import SpoolFolder
from edge.files.threads import FileThreads

FLUSH_SECONDS = 5.0
"""How long a process that ends waits for what is on its way to the disk (S2)."""


class WorkerFiles:
    """``spool`` and ``disk``; None: there is none.

    ``folder`` is the spool's; ``place`` has the disk's, its size, and whose answers
    they are; ``share``: which of its folders this process writes, of how many.
    """

    def __init__(
        self,
        folder: str | None,
        place: tuple[str, int, str] | None,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self._threads = FileThreads()
        self.spool = None if folder is None else SpoolFolder(folder, self._threads)
        self.disk = None if place is None else DiskFolder(*place, share)

    def stop(self) -> None:
        """Let what is on its way to the disk get there, for a while. May switch."""
        until = time.monotonic() + FLUSH_SECONDS
        while self.disk is not None and self.disk.under_way:
            if time.monotonic() > until:
                break
            gevent.sleep(0.01)
        self._threads.stop()
        if self.disk is not None:
            self.disk.stop()
