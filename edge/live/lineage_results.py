"""LineageResults: what the lineage of an answer means for a row (W8).

Asked before an answer is judged in any other way, by all who judge answers: of flights,
HEADs among them, of polls, and of event streams. An answer of the origin itself has no
lineage, and is let through.

This module changes rows, and yields steps for everything else. It never asks the origin
and never switches greenlets.
"""

from edge.core.reasons import Reason
from edge.core.values import Lineage
from edge.live.context import HubContext
from edge.live.ingest import Ingest
from edge.live.rows import Stream
from edge.live.steps import Judged
from edge.streamlog.lineages import Descent, compare

SAME = Descent.SAME


class LineageResults:
    """Judges lineages."""

    def __init__(self, context: HubContext, ingest: Ingest) -> None:
        self._clock = context.clock
        self._counters = context.counters
        self._ingest = ingest
        self._boot = context.options.boot

    def heard(self, stream: Stream, told: Lineage) -> Judged[Descent]:
        """An answer with this lineage came. Only if it is the SAME it may be judged;
        otherwise it is thrown away, and who waits for it asks again.

        After a NEWER one that is asked of the new incarnation. After one that is
        UNPROVEN the stream is in doubt: the next read begins before the end, and its
        bytes must be those that are held (L7).
        """
        log = stream.log
        # A keeper's own life is later than any that the keeper before it knows.
        own = self._boot and log.has_own_life
        held = log.told_lineage(self._boot) if own else log.lineage
        descent = compare(held, told, log.is_empty)
        if descent is Descent.OLDER:
            self._counters.not_stored[Reason.OLD_INCARNATION.value] += 1
            return descent
        if descent is Descent.NEWER:
            self._counters.not_stored[Reason.OLD_INCARNATION.value] += 1
            yield from self._ingest.replaced(stream, Reason.NEW_LINEAGE)
        elif descent is Descent.UNPROVEN:
            log.tail.mark_unverified(self._clock.monotonic())
        stream.log.lineage = told
        return descent
