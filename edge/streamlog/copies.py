"""Copies: what a log holds from the stream's beginning on, to be kept elsewhere, and a
log made of that again (S2).

Only offsets that the origin returned go along. Bytes are copied when they are asked
for. A log that was made of a copy is in doubt, as after lost contact: its first read
begins one boundary before the end and must match (L7). Pure.
"""

from typing import NamedTuple

from edge.protocol.offsets import BEGIN, order
from edge.streamlog.segments import Segment
from edge.streamlog.stream_log import Joined, StreamLog

Boundaries = tuple[tuple[str, int], ...]
"""Offsets behind the beginning with their places in the bytes, in order; the end is the
last."""


class LogCopy(NamedTuple):
    """A run of adjoining segments from the beginning. ``size``: their bytes."""

    segments: tuple[Segment, ...]
    boundaries: Boundaries
    size: int

    @property
    def end(self) -> str:
        return self.boundaries[-1][0]

    def slice(self, position: int, size: int) -> bytes:
        """At most ``size`` bytes from ``position`` on; fewer where a segment ends."""
        for segment in self.segments:
            if position < segment.length:
                return segment.copy(position, min(segment.length, position + size))
            position -= segment.length
        return b""


def copy_of(log: StreamLog) -> LogCopy | None:
    """What the log holds from the beginning on; None when it holds nothing there, or
    its end is none that the origin returned."""
    run: list[Segment] = []
    boundaries: list[tuple[str, int]] = []
    at, base = BEGIN, 0
    for segment in log.segments:
        if segment.start != at:
            break
        for offset, position in segment.boundaries:
            if segment.is_minted(offset) and order(offset) > order(BEGIN):
                boundaries.append((offset, base + position))
        run.append(segment)
        at, base = segment.end, base + segment.length
    if not base or not boundaries or boundaries[-1] != (at, base):
        return None
    return LogCopy(tuple(run), tuple(dict(boundaries).items()), base)


def has_proof(boundaries: Boundaries, max_probe: int) -> bool:
    """Whether a read may begin so near before the end that it proves the rest (L7)."""
    size = boundaries[-1][1]
    return any(size - max_probe <= place < size for _, place in boundaries[:-1])


def restore(log: StreamLog, boundaries: Boundaries, data: bytes, now: float) -> bool:
    """Let an empty log hold what was copied from another. Whether it does now."""
    start, position = BEGIN, 0
    for offset, place in boundaries:
        if order(offset) <= order(start) or not position <= place <= len(data):
            return False
        joined = log.join(start, offset, data[position:place])
        if joined not in (Joined.GREW, Joined.SAME):
            return False
        start, position = offset, place
    log.tail.mark_unverified(now)
    return True
