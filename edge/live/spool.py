"""Spool: one answer that is too large to be held, on its way through a file (S1).

The origin's answer is written to files without a name as it arrives. All who ask for
the same range read it from there, each at its own pace. Nothing waits for a reader but
the file, and the origin is held back only while the disk is (``MAX_UNWRITTEN``), or
while there is no more room.

An answer comes in files of ``Room.file_size``. What all readers have passed may be
given back when room is wanted (``reclaim``): from then on nobody begins at its start.

A reader is given one block at a time: what is read for one serves all who stand at the
same place (``_recent``). So a crowd that reads in step costs one read a block, and no
more memory than one. It is cut, and never ended as if it were whole, when the origin
fails, when a file does, or when it is slow while room is wanted.

``edge.live.spools`` has the table of all of them, and hands out the room.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from edge.core.errors import EdgeError, Refusal
from edge.core.file_ports import Read, ReadFile, SpoolFile
from edge.core.ports import UpstreamCall
from edge.core.reasons import Reason
from edge.live.context import Guard
from edge.live.rows import Reader, Stream
from edge.live.upstream import next_turn
from edge.policy.streams.admission import LargeRange
from edge.streamlog.barriers import RequestSnapshot

BLOCK = 128 * 1024
"""Bytes that a reader is given at a time."""

MAX_UNWRITTEN = 512 * 1024
"""Bytes that may wait for the disk before the origin is held back."""

MAX_RECENT = 4
"""Blocks that are kept for who comes by soon."""

BLOCKS_AT_ONCE = 8
"""Blocks given to one reader before the event loop gets its turn."""

SLOW_RATE = 64 * 1024
SLOW_SECONDS = 60.0
"""A reader that took less than this rate for so long is slow (S1)."""

DISK_SECONDS = 30.0
"""A call of a file that has not ended after so long has failed (S1)."""


class Room(Protocol):
    """Who hands out what the files may take, and ends readers."""

    file_size: int
    guard: Guard

    def grow(self, spool: "Spool", size: int) -> bool:
        """Whether ``size`` more bytes may be written. No: ask at the next tick."""

    def cut(self, one: "SpoolReader", error: EdgeError) -> None:
        """End this reader so that its answer does not look whole."""

    def served(self, one: "SpoolReader") -> None:
        """This reader has been given all of it."""

    def may_give(self, one: "SpoolReader") -> bool:
        """Whether its lease goes on. If not, it was ended (B3)."""

    def given(self, size: int) -> None:
        """So many bytes went to a reader."""

    def taken(self, size: int) -> None:
        """So many bytes came from the origin."""

    def give_back(self, spool: "Spool", size: int) -> None:
        """So many bytes of its files are not needed any more."""

    def failed(self, error: OSError) -> None:
        """A file failed."""

    def over(self, spool: "Spool") -> None:
        """Nothing more comes of it and nobody reads it."""


class SpoolReader:
    """How far one reader has come. ``marked_at`` and ``mark``: since when, and from
    where, its pace is measured."""

    __slots__ = ("is_reading", "is_slow", "mark", "marked_at", "position", "reader")

    def __init__(self, reader: Reader, now: float) -> None:
        self.reader = reader
        self.position = 0
        # Whether a block is on its way to it, or its sink is full.
        self.is_reading = False
        self.is_slow = False
        self.mark = 0
        self.marked_at = now


class _Part:
    """One file, with the place of its first byte in the answer, and its size."""

    __slots__ = ("begin", "file", "size")

    def __init__(self, file: ReadFile, begin: int) -> None:
        self.file = file
        self.begin = begin
        self.size = 0

    @property
    def end(self) -> int:
        return self.begin + self.size


class Spool:
    """One answer to a read of ``stream`` from ``start``. A Receiver of its body.

    ``sent`` is the request that it answers, ``range`` what its head told.
    ``confirmed_at``: when the origin said so. ``heard_seq`` orders it among what was
    heard of the stream. ``length``: None where the origin did not tell it.
    """

    def __init__(
        self,
        stream: Stream,
        start: str,
        sent: RequestSnapshot,
        told: LargeRange,
        confirmed_at: float,
        length: int | None,
        room: Room,
        make: Callable[[], SpoolFile],
    ) -> None:
        self.stream = stream
        self.start = start
        self.sent = sent
        self.range = told
        self.length = length
        self.heard_seq = stream.log.tail.tick()
        self.confirmed_at = confirmed_at
        self.readers: dict[Reader, SpoolReader] = {}
        # Bytes of the room that are set aside for it; bytes that came into files.
        self.reserved = 0
        self.written = 0
        self.is_over = False
        # Whether all of it is in the files.
        self.is_whole = False
        self.is_starved = False
        # Since when nobody reads it, as far as was seen.
        self.idle_since: float | None = None
        # Why its readers are told that they have it, and how they came by it.
        self.how = Reason.SPOOLED
        # Told when a file fails, and when it is over, if anybody asks.
        self.on_failed: Callable[[OSError], None] = room.failed
        self.on_over: Callable[[], None] | None = None
        self.on_whole: Callable[[], None] | None = None
        # Whether it is kept for something else than readers.
        self.is_wanted: Callable[[], bool] = bool
        self._room = room
        self._make = make
        self._call: UpstreamCall | None = None
        self._parts: list[_Part] = []
        # The file of the last part, while it grows.
        self._last: SpoolFile
        self._unwritten: list[bytes] = []
        self._size_unwritten = 0
        self._is_paused = False
        self._is_writing = False
        self._has_ended = False
        self._recent: OrderedDict[int, bytes] = OrderedDict()
        self._reads: dict[int, list[SpoolReader]] = {}
        # Since when the calls of files wait, as far as was seen: reads by where they
        # begin, and None for the write.
        self._waits: dict[int | None, float] = {}

    def __repr__(self) -> str:
        words = "whole" if self.is_whole else "growing"
        size, of = self.written, self.length
        return f"<Spool {self.start} {words} {size}/{of} {len(self.readers)} readers>"

    @property
    def held(self) -> int:
        """Bytes that its files take."""
        return sum(part.size for part in self._parts)

    @property
    def has_start(self) -> bool:
        """Whether somebody may still begin at its start."""
        return (
            not self.is_over
            and (self._parts[0].begin if self._parts else self.written) == 0
        )

    # For ``Spools``.

    def begin(self, call: UpstreamCall) -> None:
        """Its body comes by this call. Called once, maybe after its first bytes."""
        self._call = call
        self._hold_back()

    def show(self, file: ReadFile, size: int) -> None:
        """All of it is in this file. Called once, in the place of ``begin``."""
        part = _Part(file, 0)
        part.size = self.written = size
        self._parts.append(part)
        self._has_ended = self.is_whole = True

    def copy(self, position: int, size: int, done: Read) -> None:
        """Read of the whole answer at most so much, or to the end of a file. Nothing
        is told once it is over."""
        parts = (one for one in self._parts if one.begin <= position < one.end)
        part = next(parts, None)
        if part is None:
            done(OSError("it was given back"))
            return
        size = min(size, part.end - position)
        part.file.read(position - part.begin, size, done)

    def add(self, one: SpoolReader) -> None:
        """One more, from the start on. Its answer has begun."""
        self.readers[one.reader] = one
        self._hold_back()
        next_turn(self._feed, one)

    def leave(self, reader: Reader) -> None:
        """It is done, or left. Nobody else notices, unless it was the last one."""
        self.readers.pop(reader, None)
        self._hold_back()

    def drained(self, reader: Reader) -> None:
        """Its sink can take more."""
        one = self.readers.get(reader)
        if one is not None:
            self._feed(one)

    def reclaim(self) -> int:
        """Give back files that all readers have passed. Bytes that were freed."""
        low = min((one.position for one in self.readers.values()), default=self.written)
        freed = 0
        while self._parts and not self._is_writing and self._parts[0].end <= low:
            part = self._parts.pop(0)
            part.file.close()
            freed += part.size
        self._room.give_back(self, freed)
        return freed

    def measure(self, now: float) -> None:
        """Look who is slow. One that waits for more of the answer is not; nor for a
        file, which may be."""
        for call in (*self._reads, *([None] if self._is_writing else ())):
            if now - self._waits.setdefault(call, now) >= DISK_SECONDS:
                self._file_failed(TimeoutError("the disk is too slow"))
                return
        for one in self.readers.values():
            if now - one.marked_at < SLOW_SECONDS:
                continue
            least = SLOW_RATE * (now - one.marked_at)
            behind = one.position < self.written
            one.is_slow = behind and one.position - one.mark < least
            one.mark, one.marked_at = one.position, now

    def close(self) -> None:
        """End it: nothing more is asked for, and the files are given back. It has no
        readers any more."""
        if self.is_over:
            return
        self.is_over = True
        call, self._call = self._call, None
        if call is not None and not self._has_ended:
            call.cancel()
        for part in self._parts:
            part.file.close()
        self._parts.clear()
        self._unwritten.clear()
        self._recent.clear()
        self._reads.clear()
        self._waits.clear()
        self._room.over(self)
        if self.on_over is not None:
            self.on_over()

    def fail(self, error: EdgeError) -> None:
        """Cut all who read it, and end it."""
        readers = tuple(self.readers.values())
        self.readers.clear()
        self.close()
        for one in readers:
            self._room.cut(one, error)

    # The answer's body (``upstream.BodyReceiver``).

    def data(self, piece: bytes) -> None:
        """See ``ports.Receiver``."""
        self._unwritten.append(piece)
        self._size_unwritten += len(piece)
        self._room.taken(len(piece))
        self._write()
        self._hold_back()

    def ended(self) -> None:
        """See ``ports.Receiver``."""
        self._has_ended = True
        self._write()

    def failed(self, fault: EdgeError) -> None:
        """See ``ports.Receiver``. What came before is not shown as all there is."""
        self._has_ended = True
        self.fail(fault)

    def _hold_back(self) -> None:
        """Let the origin go on, or wait for the disk, or for somebody who reads."""
        call, full = self._call, self._size_unwritten > MAX_UNWRITTEN
        full = full or not self.readers
        if call is None or self._has_ended or full is self._is_paused:
            return
        self._is_paused = full
        if full:
            call.pause()
        else:
            call.resume()

    # To the files.

    def go_on(self) -> None:
        """There may be room again."""
        self.is_starved = False
        self._write()

    def _write(self) -> None:
        if self.is_over or self._is_writing or self.is_starved:
            return
        if not self._unwritten:
            if self._has_ended and not self.is_whole:
                self._complete()
            return
        pieces, size = self._next_pieces()
        if not self._room.grow(self, size):
            self.is_starved = True
            return
        # Only now: making room may have given back the last one.
        part = self._parts[-1] if self._parts else None
        if part is None or part.size >= self._room.file_size:
            self._last = self._make()
            part = _Part(self._last, self.written)
            self._parts.append(part)
        del self._unwritten[: len(pieces)]
        self._size_unwritten -= size
        self._is_writing = True
        self._last.append(pieces, lambda error: self._was_written(part, size, error))

    def _next_pieces(self) -> tuple[list[bytes], int]:
        """What is written at once: no more than a file, but one piece at least."""
        pieces, size = [self._unwritten[0]], len(self._unwritten[0])
        for piece in self._unwritten[1:]:
            if size + len(piece) > self._room.file_size:
                break
            pieces.append(piece)
            size += len(piece)
        return pieces, size

    def _was_written(self, part: _Part, size: int, error: OSError | None) -> None:
        if self.is_over:
            # It came too late.
            return
        self._is_writing = False
        self._waits.pop(None, None)
        if error is not None:
            self._file_failed(error)
            return
        part.size += size
        self.written += size
        self._hold_back()
        self._write()
        for one in tuple(self.readers.values()):
            self._feed(one)

    def _complete(self) -> None:
        self.is_whole = True
        self._call = None
        if self.on_whole is not None:
            self.on_whole()
        for one in tuple(self.readers.values()):
            self._feed(one)

    # To the readers.

    def _feed(self, one: SpoolReader) -> None:
        """Give it what there is, until it is full, at the end, or must wait. A defect
        ends this reader alone."""
        self._room.guard.serve(lambda _: self._feed_on(one), one.reader)

    def _feed_on(self, one: SpoolReader) -> None:
        for _ in range(BLOCKS_AT_ONCE):
            reader = one.reader
            if self.is_over or one.is_reading or reader.done or reader.full:
                return
            if not self._room.may_give(one):
                return
            if one.position >= self.written:
                if self.is_whole:
                    self._room.served(one)
                return
            block = self._recent.get(one.position)
            if block is None:
                self._read(one)
                return
            self._give(one, block)
        next_turn(self._feed, one)

    def _give(self, one: SpoolReader, block: bytes) -> None:
        reader = one.reader
        one.position += len(block)
        self._room.given(len(block))
        reader.full = not reader.sink.write([block])
        if self.is_starved:
            self.go_on()

    def _read(self, one: SpoolReader) -> None:
        """Have a block read from where it stands, for all who stand there."""
        one.is_reading = True
        position = one.position
        waiting = self._reads.get(position)
        if waiting is not None:
            waiting.append(one)
            return
        self._reads[position] = [one]
        part = next(part for part in self._parts if position < part.end)
        size = min(BLOCK - position % BLOCK, part.end - position)
        part.file.read(
            position - part.begin, size, lambda data: self._was_read(position, data)
        )

    def _was_read(self, position: int, data: bytes | OSError) -> None:
        if self.is_over:
            # It came too late.
            return
        waiting = self._reads.pop(position)
        self._waits.pop(position, None)
        for one in waiting:
            one.is_reading = False
        if isinstance(data, OSError):
            self._file_failed(data)
            return
        self._recent[position] = data
        if len(self._recent) > MAX_RECENT:
            self._recent.popitem(last=False)
        for one in waiting:
            self._feed(one)

    def _file_failed(self, error: OSError) -> None:
        self.on_failed(error)
        detail = "the answer could not be kept on its way"
        cause = error.strerror or str(error)
        slow = isinstance(error, TimeoutError)
        reason = Reason.DISK_SLOW if slow else Reason.SPOOL_FAILED
        self.fail(EdgeError(detail, reason=reason, status=503, cause=cause))


def too_slow() -> Refusal:
    """Told to a reader that is cut because room is wanted."""
    detail = "the answer was read too slowly to be kept for it"
    return Refusal(detail, reason=Reason.SPOOL_SLOW)
