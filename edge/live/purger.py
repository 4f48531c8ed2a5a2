"""Purger: what becomes of the streams that an operator purges (L27).

======== ===========================================================================
soft     the stream is in doubt, as after a PUT that may have replaced it (U5): the
         origin is asked, by the next reader, before the next byte goes out, and must
         agree with what is held (L7). No poll that waits vouches for the end
hard     a new incarnation begins (L5): all is dropped, viewers are served on from what
         the origin is asked from then on. On the disk it is deleted
======== ===========================================================================

What is asked for now, and what is on its way, was asked for before the order. In both
modes it ends no doubt and joins nothing.

A long walk over the rows lets others have their turn. A row that is made meanwhile asks
the origin after the order. It finds nothing old on the disk: what is there is not found
any more before the walk begins, and what is meant is not written there until it is
over. Called by ``control``.
"""

import logging
from collections.abc import Iterable
from dataclasses import replace

import gevent
from gevent.event import AsyncResult

from edge.core.errors import EdgeError
from edge.core.purges import Purge, PurgeMode, PurgeReport
from edge.core.reasons import Reason
from edge.live.hub import Hub
from edge.live.rows import Stream
from edge.live.writes import doubt
from edge.policy.streams.purge_selection import PurgeSelection

ROWS_AT_ONCE = 256
"""Rows looked at before the event loop gets its turn."""

_log = logging.getLogger("edge.live")


class Purger:
    """Purges in one process."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._clock = hub.context.clock
        self._counters = hub.context.counters
        self._routes = hub.context.options.routes

    def purge(self, purge: Purge, patience: float) -> PurgeReport:
        """See ``edge.core.ports.Control``."""
        selection = PurgeSelection(purge, self._routes)
        if purge.mode is PurgeMode.SOFT or self._hub.shelf is None:
            return self._walk(purge, selection)
        told: AsyncResult[int | OSError] = AsyncResult()
        self._hub.shelf.begin_purge(selection, told.set)
        try:
            report = self._walk(purge, selection)
        finally:
            self._hub.shelf.purges.remove(selection)
        ranges = _within(told, patience)
        return replace(report, ranges=ranges or 0, disk_busy=ranges is None)

    def _walk(self, purge: Purge, selection: PurgeSelection) -> PurgeReport:
        matched = purged = held = 0
        for number, row in enumerate(self._rows(selection), 1):
            kept = row.log.kept_headers
            if selection.means(row.key, kept):
                matched += 1
                purged += _holds(row)
                held += row.log.cost if _holds(row) else 0
                self._purge_row(row, purge.mode)
            elif not row.log.holds_bytes and selection.cannot_tell(row.key, kept):
                self._purge_row(row, purge.mode)
            if number % ROWS_AT_ONCE == 0:
                gevent.sleep(0)
        self._counters.purged[purge.mode.value] += purged
        return PurgeReport(matched, purged, held)

    def _rows(self, selection: PurgeSelection) -> Iterable[Stream]:
        streams = self._hub.streams
        return streams if selection.path is None else streams.of_path(*selection.path)

    def _purge_row(self, row: Stream, mode: PurgeMode) -> None:
        if not (_holds(row) or row.flights or row.landings or row.spooled):
            # There is nothing, and nothing on its way.
            return
        if mode is PurgeMode.HARD:
            self._hub.replace(row, Reason.FORGOTTEN)
        else:
            doubt(row, self._clock.monotonic())


def _within(told: "AsyncResult[int | OSError]", seconds: float) -> int | None:
    """How many ranges the disk has deleted; None: it is not done. Raises EdgeError."""
    try:
        result = told.get(timeout=seconds)
    except gevent.Timeout:
        return None
    if isinstance(result, OSError):
        _log.error("a purge could not delete all on the disk: %s", result)
        detail = "The disk failed: it may still have some of that."
        raise EdgeError(detail, reason=Reason.DISK_FAILED)
    return result


def _holds(row: Stream) -> bool:
    return row.log.holds_bytes or row.log.tail.offset is not None
