"""Looks: asks the node's board what has happened, before anything is claimed (W5).

A node of many processes has a board (``edge.core.ports.Board``). What it tells is told
to the row's tail here (``edge.streamlog.board_news``), and whoever decides goes by the
tail, as always. A process that is alone has no board, and no ``Looks``.

It must be looked at in the turn in which something goes out, and before whatever says
what that is:

=================== ==================================================================
``Hub.ask``         before the reader's barrier is made, and before a park hint
``answer_cache``    before an answer is given again
``Hub._step``       before each decision, so behind whatever a reader waited for
``results``         before an answer is judged: what it was sent before does not count
``wakeup``          before each batch, which makes one decision for many
``waiters``         before a control event says that this is all
``Hub.tick``        for the viewers that are parked, of whom nothing is asked
=================== ==================================================================

Nothing here asks the origin or switches greenlets.
"""

from collections.abc import Callable
from functools import partial

from edge.core.node_board import COVERS_NOBODY, News, SlotWatch
from edge.core.ports import Board
from edge.live.rows import Stream
from edge.streamlog.board_news import hear_news


class Looks:
    """One process's looks at the board. ``polls_origin``: see ``hear_news``;
    ``on_written`` is told of a row that backs off, and of which the origin has taken a
    write: it asks at once (U7)."""

    __slots__ = ("_board", "_polls_origin", "on_written")

    def __init__(self, board: Board, *, polls_origin: bool) -> None:
        self._board = board
        self._polls_origin = polls_origin
        self.on_written: Callable[[Stream], None] | None = None

    def watch(self, path: str) -> SlotWatch:
        """For a new row: what is known of the path now counts as seen."""
        return self._board.watch(path)

    def look(self, stream: Stream, now: float) -> bool:
        """Take in what has happened since the last look. Returns whether anything has.

        ``now`` is monotonic seconds.
        """
        watch, tail = stream.watch, stream.log.tail
        if watch is None:
            return False
        news = self._board.news(watch, now)
        if news is None:
            if tail.is_silent:
                tail.hear_beats(now, silent=False)
                return True
            return False
        ends = set(news.ends)
        by_sight = len(ends) == 1 and COVERS_NOBODY not in ends
        matches = partial(self._covers, watch, news) if by_sight else None
        hear_news(tail, news, matches, now, polls_origin=self._polls_origin)
        if stream.contact is not None and (news.lives or any(ends)):
            # The origin took it, whoever was told: nothing is held back any longer. A
            # write that was lost, or that the origin refused, has no end.
            stream.contact.write_worked()
            if self.on_written is not None:
                self.on_written(stream)
        return True

    def look_for_doubt(self, stream: Stream, now: float) -> bool:
        """The same of a stream of which nothing is asked. Returns whether somebody has
        to ask, and may (U3, U7): the board has cast a doubt, which can be looked into
        now; or there are viewers who cannot be told that they have all, since a write
        elsewhere has not come by the poll."""
        news, tail = self.look(stream, now), stream.log.tail
        contact = stream.contact
        if tail.is_silent or (contact is not None and contact.holds_reads(now)):
            return False
        waits = bool(stream.awaiting_caught_up) and tail.is_behind
        return (news and tail.unverified) or waits

    def _covers(self, watch: SlotWatch, news: News, end: str) -> bool:
        return self._board.covers(watch, news, (end,))
