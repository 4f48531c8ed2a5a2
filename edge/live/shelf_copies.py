"""ShelfCopies: ranges on their way to a disk and back, one record after the other.

Each step begins when the last one is done, so no more than a record of each is in
memory on its way out. Told on the event loop; nothing here waits.
"""

from collections.abc import Callable
from typing import TypeVar

import gevent

from edge.core.file_ports import RECORD_SIZE, KeptRange, KeptWriter, NotKept, Read
from edge.streamlog.copies import LogCopy

Copy = Callable[[int, int, Read], None]
"""Tells at most so many bytes from a position on."""


T = TypeVar("T")

PATIENCE = 1.0
"""Seconds that a disk is waited for."""


def patient(
    told: Callable[[T | OSError], None], missed: Callable[[T | OSError], None]
) -> Callable[[T | OSError], None]:
    """``told``, called within PATIENCE, with a TimeoutError then; ``missed`` is told
    what comes later."""
    timer = gevent.get_hub().loop.timer(PATIENCE)
    over = False

    def heard(result: T | OSError) -> None:
        nonlocal over
        if over:
            missed(result)
            return
        over = True
        timer.stop()
        timer.close()
        told(result)

    def too_late() -> None:
        nonlocal over
        if not over:
            over = True
            timer.close()
            told(TimeoutError("the disk is too slow"))

    timer.start(too_late)
    return heard


class Loading:
    """Reads the whole body of ``file``; ``done`` is told it, or why there is none: that
    a record was waited for too long, say."""

    def __init__(self, file: KeptRange, done: Read) -> None:
        self._file = file
        self._done = done
        self._data = bytearray()
        self._go_on()

    def _go_on(self) -> None:
        left = self._file.head.size - len(self._data)
        if left > 0:
            size = min(RECORD_SIZE, left)
            heard = patient(self._heard, _nobody)
            self._file.read(len(self._data), size, heard)
        else:
            data, self._data = bytes(self._data), bytearray()
            self._end(data)

    def _heard(self, data: bytes | OSError) -> None:
        if isinstance(data, OSError):
            self._end(data)
        else:
            self._data += data
            self._go_on()

    def _end(self, data: bytes | OSError) -> None:
        self._file.close()
        self._done(data)


class Copying:
    """Writes ``size`` bytes that ``copy`` tells. ``ended`` is told how that went."""

    def __init__(
        self,
        writer: KeptWriter,
        size: int,
        copy: Copy,
        ended: Callable[[OSError | None], None],
    ) -> None:
        self._writer = writer
        self._left = size
        self._copy = copy
        self._ended = ended
        self._position = 0
        self._record = bytearray()
        self.is_over = False
        self._go_on()

    def abandon(self) -> None:
        """What is copied is gone. Idempotent, also after the end."""
        self._give_up(NotKept("it was gone before it was kept"))

    def _give_up(self, error: OSError) -> None:
        if not self.is_over:
            self.is_over = True
            self._writer.abandon()
            self._ended(error)

    def _go_on(self) -> None:
        """Read on, or write what makes a record."""
        size = len(self._record)
        if self.is_over:
            return
        if size == RECORD_SIZE or (size and not self._left):
            record, self._record = bytes(self._record), bytearray()
            self._writer.append(record, self._written)
        elif self._left:
            size = min(RECORD_SIZE - size, self._left)
            self._copy(self._position, size, self._read)
        else:
            self._writer.finish(self._finished)

    def _read(self, data: bytes | OSError) -> None:
        if isinstance(data, OSError):
            self._give_up(data)
            return
        self._record += data
        self._position += len(data)
        self._left -= len(data)
        self._go_on()

    def _written(self, error: OSError | None) -> None:
        if error is None:
            self._go_on()
        else:
            self._give_up(error)

    def _finished(self, error: OSError | None) -> None:
        if not self.is_over:
            self.is_over = True
            self._ended(error)


def reader_of(log: LogCopy) -> Copy:
    """What a log holds, as it is copied."""

    def read(position: int, size: int, done: Read) -> None:
        done(log.slice(position, size))

    return read


def _nobody(result: object) -> None:
    """Nobody waits for it any more."""
