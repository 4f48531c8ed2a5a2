"""BoardNews: what the news on the node's board mean for one stream's tail (W5, W6).

Where a node has many processes, writes pass through some of them only. Before a process
claims or shows anything, it asks the board what has happened (``edge.live.looks``), and
here stands what follows:

======== =======================================================================
writes   only an answer that is sent after now covers who comes, unless the row's end
         is what was written (L4); who waits may be covered by the end of a later one
lives    the stream is suspect: nothing is shown or claimed before it was confirmed by
         a read that is sent after now; no log is dropped and no viewer ends for it
doubt    the stream must be confirmed once. A keeper's is, by the poll on the wire
silent   the stream must be confirmed, and a poll that waits tells nothing of the end,
         for as long as it lasts and until an answer that is sent after now
======== =======================================================================

Pure. It changes the tail alone.
"""

from collections.abc import Callable

from edge.core.node_board import News
from edge.streamlog.tail import Tail


def hear_news(
    tail: Tail,
    news: News,
    matches: Callable[[str], bool] | None,
    now: float,
    *,
    polls_origin: bool,
) -> None:
    """Take the news in, before anything is claimed or shown of the stream.

    ``matches``: whether who has reached an offset has all that was written; None: no
    offset tells.
    ``polls_origin``: this process asks the origin itself, and so its poll that is on
    the wire is proof enough in a doubt. It is none for a front: a keeper answers it.
    """
    proven = polls_origin and tail.is_armed(now)
    if news.silent is not tail.is_silent:
        tail.hear_beats(now, silent=news.silent)
    if news.lives:
        tail.suspect(now)
    elif news.writes and matches is None:
        tail.acknowledge(None, closed=False)
    elif news.writes and matches is not None:
        tail.acknowledge_elsewhere(matches)
    if news.doubt and not proven and not tail.unverified:
        tail.mark_unverified(now)
