"""QuietLogs: which logs have grown since they were written to the disk, and whose turn
it is (S2).

A log is due once it has not changed for a few seconds, so that what comes in bursts is
written once; one that never rests, or is in doubt, is due after a minute all the same.
One that was written is left alone for a minute, whatever it grows meanwhile. So
nothing is written more often than once a minute, and a process that is killed has lost
little.

What may be due is bounded for each tick, by bytes and by logs. Touches no file.
"""

from collections.abc import Callable
from typing import NamedTuple

from edge.live.rows import Stream

QUIET_SECONDS = 5.0
"""How long a log that is written has not changed."""

RESTLESS_SECONDS = 60.0
"""After this time a log is written though it changes."""

AGAIN_SECONDS = 60.0
"""A log that was written is left alone for so long."""

BYTES_PER_TICK = 8 * 1024 * 1024
"""What may be written for each tick, in the mean."""

LOGS_PER_TICK = 16
"""Each log counts as its share of the bytes at least: so many are looked at."""


class _Grown(NamedTuple):
    """A log that has grown: ``since`` when, and ``due`` when, monotonic seconds; and
    what its end was when that was said."""

    since: float
    due: float
    end: str | None


class _Rest:
    """A log that was written rests until a time; whether it has grown meanwhile."""

    __slots__ = ("grew", "until")

    def __init__(self, until: float) -> None:
        self.until = until
        self.grew = False


class QuietLogs:
    """The logs of one hub that wait to be written. ``now`` is monotonic seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        # Both in the order of their times, for each waits equally long.
        self._grown: dict[Stream, _Grown] = {}
        self._rests: dict[Stream, _Rest] = {}
        self._room = 0

    def __len__(self) -> int:
        return len(self._grown) + len(self._rests)

    def grew(self, stream: Stream) -> None:
        """The row's log has grown."""
        if stream in self._grown:
            return
        rest = self._rests.get(stream)
        if rest is None:
            now = self._now()
            self._grown[stream] = _Grown(now, now + QUIET_SECONDS, stream.log.end)
        else:
            rest.grew = True

    def begun(self, size: int) -> None:
        """So many bytes of the last one are on their way to the disk."""
        self._room -= size

    def wrote(self, stream: Stream) -> None:
        """The row's log is on the disk."""
        self._rests.pop(stream, None)
        self._rests[stream] = _Rest(self._now() + AGAIN_SECONDS)

    def drop(self, stream: Stream) -> None:
        """The row is gone, or what it holds is another stream's."""
        self._grown.pop(stream, None)
        self._rests.pop(stream, None)

    def tick(self) -> None:
        """Some time has passed: there is room for more."""
        self._room = min(BYTES_PER_TICK, self._room + BYTES_PER_TICK)
        now = self._now()
        for _ in range(LOGS_PER_TICK):
            stream, rest = next(iter(self._rests.items()), (None, None))
            if stream is None or rest is None or rest.until > now:
                return
            del self._rests[stream]
            if rest.grew:
                self.grew(stream)

    def next(self) -> Stream | None:
        """A row whose log is to be written now; None: there is none, or no room until
        the next tick."""
        now = self._now()
        while self._room > 0:
            stream, grown = next(iter(self._grown.items()), (None, None))
            if stream is None or grown is None or grown.due > now:
                return None
            del self._grown[stream]
            self._room -= BYTES_PER_TICK // LOGS_PER_TICK
            end = stream.log.end
            restless = end != grown.end or stream.log.tail.unverified
            if restless and now - grown.since < RESTLESS_SECONDS:
                self._grown[stream] = _Grown(grown.since, now + QUIET_SECONDS, end)
            else:
                return stream
        return None
