"""Results: whatever is heard of the origin is judged here, and the hub does the rest.

A flight lands, a poll is answered, an event stream brings a batch. First the board is
looked at (W5), so that an answer is held against all writes that were acknowledged
before it counts. Then the judges (``fetch_results``, ``poll_results``,
``event_results``) yield steps, and each is executed before the next one is computed.
Runs on the event loop; never switches greenlets.
"""

from collections.abc import Callable

from edge.core.errors import OriginFault
from edge.core.reasons import Reason
from edge.core.values import Provenance
from edge.live.contacts import Contacts
from edge.live.context import HubContext
from edge.live.delivery import Delivery
from edge.live.event_results import EventResults
from edge.live.event_streams import EventsTaken
from edge.live.fetch_results import FetchResults
from edge.live.ingest import Ingest
from edge.live.lineage_results import LineageResults
from edge.live.poll_results import PollResults
from edge.live.polls import Next, Poll
from edge.live.registry import StreamRegistry
from edge.live.rows import Flight, Stream
from edge.live.spools import Spools
from edge.live.steps import Judged, Step
from edge.live.upstream import Outcome
from edge.policy.streams.followed_events import EventBatch
from edge.streamlog.barriers import RequestSnapshot


class Results:
    """All judges of one hub. ``do`` executes a step (``Hub``). ``caught_up``: viewers
    may be told now that they have all."""

    def __init__(
        self,
        context: HubContext,
        streams: StreamRegistry,
        contacts: Contacts,
        delivery: Delivery,
        spools: Spools,
        do: Callable[[Step], None],
        caught_up: Callable[[Stream], None],
    ) -> None:
        ingest = Ingest(context, streams)
        lineages = LineageResults(context, ingest)
        self.events = EventsTaken(self._events_heard, self._events_opened, do)
        self._looks, self._clock, self._guard = (
            context.looks,
            context.clock,
            context.guard,
        )
        self._streams = streams
        self._delivery = delivery
        self._do = do
        self._caught_up = caught_up
        self._fetches = FetchResults(context, ingest, contacts, lineages, spools)
        self._polls = PollResults(context, ingest, contacts, lineages)
        self._events = EventResults(context, ingest, lineages)

    def landed(self, flight: Flight, outcome: Outcome) -> None:
        """A flight ended: release all readers that waited for it."""
        self._look(flight.stream)
        try:
            for step in self._fetches.landed(flight, outcome):
                self._do(step)
            self._streams.weigh(flight.stream)
            if self._looks is not None:
                self._caught_up(flight.stream)
        except Exception:
            # A defect, which whoever called this reports. No reader is left waiting.
            fault = OriginFault("the answer was not understood", reason=Reason.INTERNAL)
            for reader in flight.waiting(late=True):
                self._guard.serve(lambda it: self._delivery.refuse(it, fault), reader)
            raise

    def polled(self, stream: Stream, poll: Poll) -> Next:
        """A poll was answered; what its follower does next."""
        self._look(stream)
        steps = self._polls.polled(stream, poll)
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                verdict: Next = end.value
                break
            self._do(step)
        self._streams.weigh(stream)
        return verdict

    def _events_opened(self, stream: Stream, provenance: Provenance) -> Judged[bool]:
        """An event stream begins; whether it is heard."""
        self._look(stream)
        return self._events.opened(stream, provenance)

    def _events_heard(
        self, stream: Stream, batch: EventBatch, sent: RequestSnapshot, since: float
    ) -> Judged[Reason | None]:
        """A batch came by an event stream; by which reason that ends, if it does."""
        self._look(stream)
        return self._events.heard(stream, batch, sent, since)

    def _look(self, stream: Stream) -> None:
        if self._looks is not None:
            self._looks.look(stream, self._clock.monotonic())
