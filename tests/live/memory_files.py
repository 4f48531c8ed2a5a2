"""Files of a spool that are memory, whose disk does what a test says.

They stand behind the same ports as ``edge.files``. ``hold`` makes every call wait until
``let_go``; ``error`` makes the next ones fail.
"""

from collections.abc import Callable, Sequence

from edge.core.file_ports import Read, Written
from edge.live.upstream import next_turn


class MemoryFiles:
    """Implements ``file_ports.SpoolFiles``. ``files`` are all that were made."""

    def __init__(self) -> None:
        self.files: list[MemoryFile] = []
        self.error: OSError | None = None
        self.reads = 0
        self._held: list[Callable[[], None]] | None = None

    def make(self) -> "MemoryFile":
        self.files.append(MemoryFile(self))
        return self.files[-1]

    @property
    def held(self) -> int:
        """Bytes that the files hold which were not closed."""
        return sum(len(file.data) for file in self.files if not file.closed)

    def hold(self) -> None:
        """The disk takes its time from now on."""
        self._held = []

    def let_go(self) -> None:
        """It has done what waits, and is quick again."""
        held, self._held = self._held, None
        for act in held or ():
            next_turn(act)

    def soon(self, act: Callable[[], None]) -> None:
        if self._held is None:
            next_turn(act)
        else:
            self._held.append(act)


class MemoryFile:
    """Implements ``file_ports.SpoolFile``."""

    def __init__(self, disk: MemoryFiles) -> None:
        self.data = b""
        self.closed = False
        self._disk = disk

    def append(self, pieces: Sequence[bytes], done: Written) -> None:
        def act() -> None:
            if not self.closed:
                error = self._disk.error
                self.data += b"".join(pieces) if error is None else b""
                done(error)

        self._disk.soon(act)

    def read(self, position: int, size: int, done: Read) -> None:
        self._disk.reads += 1

        def act() -> None:
            if not self.closed:
                error = self._disk.error
                done(error or self.data[position : position + size])

        self._disk.soon(act)

    def close(self) -> None:
        self.closed = True
