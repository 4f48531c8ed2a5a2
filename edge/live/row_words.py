"""What a keeper tells a front of the row behind an answer (W8).

A front judges what it is told by the same rules as the word of any upstream (W1). For
that it must know what the answer alone does not say: which life of the stream it is of,
since when that is confirmed (L6), and when the origin last saw a read of it (L23). In a
process that answers no front there is no such word.
"""

from collections.abc import Callable

from edge.core.values import RowWord
from edge.live.rows import Stream
from edge.streamlog.tail import NEVER

Tell = Callable[[Stream, float, float | None], RowWord | None]
"""The word of a row; ``now`` is monotonic seconds. ``age``: of an answer that is not
the row's own, so many seconds ago the origin said it."""


def no_word(stream: Stream, now: float, age: float | None) -> None:
    """Nobody is told anything."""


def row_word(boot: int, stream: Stream, now: float, age: float | None) -> RowWord:
    """What a front is told of this row by a keeper with this boot. An answer of the
    origin's is confirmed by itself, also where it proved nothing to the row (L7)."""
    log = stream.log
    tail = log.tail
    log.named_life = True
    return RowWord(
        log.told_lineage(boot),
        confirmed_at=_known(tail.confirmed_at) if age is None else now - age,
        armed=age is None and tail.is_armed(now),
        read_at=_known(log.last_read_sent),
    )


def _known(at: float) -> float | None:
    return None if at == NEVER else at
