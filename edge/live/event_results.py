"""EventResults: what a batch of events means for the log that it continues (U16, U18).

A batch is the answer to a read from where the last one ended. It joins the log by
proof, like any answer (L8). The first ones repeat what is held, which proves that the
events carry the bytes that catch-up reads do; if they do not, but hold the same
messages, the events are inexact, and the stream is what it was. Data wakes the viewers.

``heard`` yields steps, and ends with the reason by which the event stream ends, or
None: it goes on. It never asks the origin and never switches greenlets.
"""

from edge.core.reasons import Reason
from edge.core.values import PartitionKind, Provenance
from edge.live.context import HubContext
from edge.live.ingest import Ingest, WaiterOffsets
from edge.live.lineage_results import SAME, LineageResults
from edge.live.rows import Stream
from edge.live.steps import Judged, LogChanged, Wake
from edge.policy.streams.followed_events import EventBatch
from edge.streamlog.barriers import RequestSnapshot
from edge.streamlog.stream_log import Joined


class EventResults:
    """Judges batches."""

    def __init__(
        self, context: HubContext, ingest: Ingest, lineages: LineageResults
    ) -> None:
        self._clock = context.clock
        self._ingest = ingest
        self._lineages = lineages

    def opened(self, stream: Stream, provenance: Provenance) -> Judged[bool]:
        """An event stream begins; whether it is of the life that is held (W8). Of
        another one it brings nothing: it ends where one begins (L5)."""
        told = provenance.lineage
        return told is None or (yield from self._lineages.heard(stream, told)) is SAME

    def heard(
        self,
        stream: Stream,
        batch: EventBatch,
        sent: RequestSnapshot,
        since_confirmed: float = 0.0,
    ) -> Judged[Reason | None]:
        """A batch came, by an event stream that was ``sent`` then. Who answered had the
        origin's word ``since_confirmed`` seconds before (L6)."""
        log = stream.log
        odd = _doubt(stream, batch, sent)
        if odd is not None:
            return odd
        joined = Joined.SAME
        if batch.data:
            keep = WaiterOffsets(stream.parked)
            joined = log.join(batch.start, batch.next, batch.data, keep)
        if joined is Joined.NO_PROOF:
            return Reason.NO_PROOF
        if joined is Joined.DIFFERS:
            may_err = log.is_json and not batch.exact
            if may_err and log.agrees(batch.start, batch.data):
                return Reason.EVENTS_INEXACT
            # This ends the follower, too.
            yield from self._ingest.replaced(stream, Reason.BYTES_DIFFER)
            return None
        self._learn(stream, batch, sent, since_confirmed)
        log.by_events = log.by_events or not batch.exact
        if joined is Joined.GREW:
            yield LogChanged(stream, grew=True)
        elif batch.closed:
            yield Wake(stream)
        return None

    def _learn(
        self, stream: Stream, batch: EventBatch, sent: RequestSnapshot, since: float
    ) -> None:
        """What it says of the tail. In a credential's partition, only the request that
        the event stream answers was judged by the origin (U23)."""
        log, tail = stream.log, stream.log.tail
        log.last_read_sent = max(log.last_read_sent, sent.at)
        log.origin_cursor = batch.cursor or log.origin_cursor
        if stream.key.partition.kind is not PartitionKind.CREDENTIAL:
            tail.confirm(self._clock.monotonic() - since, sent)
        elif batch.proves:
            tail.confirm(sent.at - since, sent)
        is_all = batch.up_to_date or batch.closed
        tail.hear(sent, batch.next, batch.up_to_date, is_all=is_all)
        if batch.closed:
            tail.close(batch.next)
        if not batch.data:
            log.note_position(batch.next)


def _doubt(stream: Stream, batch: EventBatch, sent: RequestSnapshot) -> Reason | None:
    """Why the batch is not even offered to the log, or None."""
    tail, trust = stream.log.tail, stream.event_trust
    if tail.unverified:
        # Something odd was seen since: events from behind the end prove nothing (L7).
        return Reason.UNCONFIRMED
    if trust is not None and trust.is_over:
        return Reason.EVENTS_INEXACT
    if batch.up_to_date and tail.went_back(sent, batch.next, batch.closed):
        return Reason.TAIL_WENT_BACK
    return None
