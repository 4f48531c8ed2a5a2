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


class LineageResults:
    """Judges lineages."""

    def __init__(self, context: HubContext, ingest: Ingest) -> None:
        self._clock = context.clock
        self._counters = context.counters
        self._ingest = ingest

    def is_of_this_life(self, stream: Stream, told: Lineage) -> Judged[bool]:
        """Whether an answer with this lineage may be judged. If not, it is thrown away:
        who waits for it asks again, of the life that it told of if that is a newer one.

        If nobody knows, the stream is in doubt from now on: the answer may serve who
        waited for it, and the next one must prove itself (L7).
        """
        log = stream.log
        descent = compare(log.lineage, told, log.is_empty)
        if descent is Descent.OLDER:
            self._counters.not_stored[Reason.OLD_INCARNATION.value] += 1
            return False
        if descent is Descent.NEWER:
            self._counters.not_stored[Reason.OLD_INCARNATION.value] += 1
            yield from self._ingest.replaced(stream, Reason.NEW_LINEAGE)
            stream.log.lineage = told
            return False
        if descent is Descent.UNPROVEN:
            log.tail.mark_unverified(self._clock.monotonic())
        log.lineage = told
        return True
