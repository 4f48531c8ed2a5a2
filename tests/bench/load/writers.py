"""Connections that append: each sends a request, waits for its answer, sends the next.

A stream belongs to one writer, so its events are appended in order. ``Writers`` goes
through all streams in turn: as fast as the server answers, at a rate, or as streams are
said to be ready. What is due while a writer waits is sent as soon as it is answered.
"""

import enum
import time
from array import array
from collections import deque
from collections.abc import Callable, Sequence

from edge.cli.bench.framing import AnswerEnd, AnswerFraming, AnswerHead
from tests.bench.load.events import Wrong
from tests.bench.load.loop import Address, Loop, send

_BLANK = b"\r\n\r\n"
_NO_CONTENT = b"HTTP/1.1 204 "

Next = Callable[[int, float], bytes]
"""Makes the next append of a stream, sent now."""


class Writer:
    """One connection. ``waited``: seconds of each answer that came."""

    def __init__(self, loop: Loop, at: Address, answered: Callable[[], None]) -> None:
        self.waited = array("d")
        self._answered = answered
        self._framing = AnswerFraming()
        self._status = 0
        self._sent = 0.0
        self.busy = False
        self._loop, self._at = loop, at
        self._number: int | None = loop.connect(at, self._heard)

    def append(self, request: bytes, now: float) -> None:
        """Send an append, as of ``now``."""
        if self._number is None:
            self._number = self._loop.connect(self._at, self._heard)
        self.busy, self._sent = True, now
        send(self._number, request)

    def _heard(self, data: bytes, now: float) -> None:
        # One answer is awaited, and nearly all have no body and come in one piece.
        if data.startswith(_NO_CONTENT) and data.endswith(_BLANK):
            self._done(now)
            return
        if not data:
            self._ended()
            return
        for part in self._framing.feed(data):
            if isinstance(part, AnswerHead):
                self._status = part.status
            elif isinstance(part, AnswerEnd):
                if self._status >= 300:
                    raise Wrong(
                        f"an append was answered {self._status}: {data[:300]!r}"
                    )
                self._done(now)

    def _ended(self) -> None:
        """Servers close connections that rest; in an append's middle it is wrong."""
        if self.busy:
            raise Wrong("a writer's connection was closed before its answer")
        if self._number is not None:
            self._loop.drop(self._number)
            self._number = None

    def _done(self, now: float) -> None:
        if not self.busy:
            raise Wrong("an answer came that nobody asked for")
        self.busy = False
        self.waited.append(now - self._sent)
        self._answered()


class Pace(enum.Enum):
    """When the next event of a stream is due, if it has no rate."""

    FLOOD = "as soon as a writer is free"
    READY = "when it is said to be ready"


class Writers:
    """``count`` writers of ``streams`` streams."""

    def __init__(
        self, loop: Loop, at: Address, streams: int, count: int, make: Next
    ) -> None:
        self._make = make
        self._of: list[Sequence[int]] = [
            range(first, streams, count) for first in range(min(count, streams))
        ]
        self._all = [
            Writer(loop, at, self._go_on(number)) for number in range(len(self._of))
        ]
        self._due: list[deque[int]] = [deque() for _ in self._of]
        self._turn = [0] * len(self._of)
        self._streams = streams
        self._pace: Pace | float = Pace.FLOOD
        self._start = 0.0
        self._begun = self._total = 0

    def begin(self, total: int, pace: Pace | float, now: float) -> None:
        """Append ``total`` events from ``now`` on.

        ``pace``: a number is events a second, of all streams together. Where streams
        are said to be ready, all are at first.
        """
        self._begun, self._total = 0, total
        self._pace, self._start = pace, now
        if pace is Pace.FLOOD:
            for number in range(len(self._all)):
                self._next(number)
        elif pace is Pace.READY:
            for stream in range(self._streams):
                self.ready(stream)

    def ready(self, stream: int) -> None:
        """The next event of this stream is due."""
        if self._begun < self._total:
            self._begun += 1
            number = stream % len(self._all)
            self._due[number].append(stream)
            self._next(number)

    def look(self, now: float) -> float:
        """Send what is due; seconds until something is."""
        if isinstance(self._pace, Pace):
            return 1.0
        while self._begun < self._total:
            left = self._start + self._begun / self._pace - now
            if left > 0:
                return left
            self.ready(self._begun % self._streams)
        return 1.0

    def stop(self) -> None:
        """Begin nothing more."""
        self._total = self._begun
        for due in self._due:
            due.clear()

    @property
    def done(self) -> bool:
        """Whether everything was sent and answered."""
        waits = any(one.busy for one in self._all) or any(self._due)
        return self._begun >= self._total and not waits

    @property
    def waited(self) -> "array[float]":
        """Seconds of all answers."""
        every: array[float] = array("d")
        for one in self._all:
            every.extend(one.waited)
        return every

    def forget(self) -> None:
        """Begin to count anew."""
        for one in self._all:
            del one.waited[:]

    def _go_on(self, number: int) -> Callable[[], None]:
        return lambda: self._next(number)

    def _next(self, number: int) -> None:
        writer, due = self._all[number], self._due[number]
        if writer.busy:
            return
        if due:
            stream = due.popleft()
        elif self._pace is Pace.FLOOD and self._begun < self._total:
            self._begun += 1
            mine = self._of[number]
            stream = mine[self._turn[number] % len(mine)]
            self._turn[number] += 1
        else:
            return
        now = time.monotonic()
        writer.append(self._make(stream, now), now)
