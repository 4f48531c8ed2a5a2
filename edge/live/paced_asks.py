"""PacedAsks: readers above the end of a stream ask together, once a second (U14).

The first one's request goes out at once, as a flight like any other. Whoever would ask
the same while it is under way shares it. All others wait in the stream's row (``rows``,
AboveEnd) until a second is over. Then one is drawn at random and decided anew; if it
still has to ask, its request goes out, and all that waited share that one's landing:
either the answer helps them too, or they are decided again and wait for the next.
So a stream costs its origin one such request a second, however many readers ask for
however many offsets, and no reader can be kept from its turn by those who come before
it or after it.

Live readers that come back to a stream that was just found gone ask in the same way.

Readers that need not ask any more do not wait for the second: those that the log has
reached (``grew``), and all of them once another incarnation begins (``renewed``).

Called by the hub; never switches.
"""

import random

from edge.core.errors import NotAsked, Refusal
from edge.core.reasons import Reason
from edge.live.context import HubContext
from edge.live.flights import Flights
from edge.live.rows import AboveEnd, Reader, State, Stream
from edge.policy.streams.decisions import Fetch

PACE_SECONDS = 1.0
"""At least so long after one request above a stream's end, the next one begins."""


class PacedAsks:
    """All readers of one hub that ask above an end."""

    def __init__(self, context: HubContext, flights: Flights) -> None:
        self._clock = context.clock
        self._flights = flights
        # Streams where somebody asked within the last second, or waits to ask.
        self._paced: dict[Stream, None] = {}
        self._stopped = False

    def ask(self, reader: Reader, fetch: Fetch) -> None:
        """Let the reader wait for the answer to ``fetch``, in its turn where that is a
        request of those. Raises Refusal as ``Flights.join``."""
        if not self._paces(reader, fetch):
            self._flights.join(reader, fetch)
        elif not self._join(reader, fetch):
            reader.rounds -= 1  # it has shared no answer yet

    def _paces(self, reader: Reader, fetch: Fetch) -> bool:
        """Whether this request is one of those: above the end, or the first one of a
        live reader of a stream that was gone a moment ago."""
        if fetch.paced:
            return True
        first = reader.is_live and reader.rounds == 1
        return first and self._clock.monotonic() < reader.stream.gone_until

    def _join(self, reader: Reader, fetch: Fetch) -> bool:
        """Let the reader wait for the answer to ``fetch``, or for its turn to ask.

        Returns whether it waits for an answer. Raises Refusal as ``Flights.join``.
        """
        stream = reader.stream
        now, above = self._clock.monotonic(), stream.above
        flight = stream.flights.get(fetch.start)
        # One that is under way is no help to who needs one that begins now.
        helps = flight is not None and not (fetch.fresh and flight.sent is not None)
        shared = helps or self._stopped
        # Behind others it waits for the draw, even if the second is just over.
        turn = above is None or (now >= above.due and not above.readers)
        if above is not None and not (shared or turn):
            reader.move(State.WAITING)
            above.readers.append(reader)
            return False
        self._flights.join(reader, fetch)
        if not shared:
            begun = stream.flights[fetch.start]
            stream.above = AboveEnd(now + PACE_SECONDS, begun)
            self._paced[stream] = None
        return True

    def begin_due(self, now: float) -> None:
        """Let those whose second is over ask (called at each tick)."""
        for stream in list(self._paced):
            above = stream.above
            if above is None or now >= above.due:
                stream.above = None
                self._paced.pop(stream, None)
                if above is not None:
                    self._draw(stream, above.readers)

    def _draw(self, stream: Stream, readers: list[Reader]) -> None:
        """Decide them anew, in an order drawn by lot, until one asks."""
        random.shuffle(readers)
        while readers and stream.above is None:
            reader = readers.pop()
            if reader.state is State.WAITING:
                reader.owner.advance(reader)
        if stream.above is not None:
            flight = stream.above.flight
            # Behind a flight from before they came, as the one that was drawn.
            theirs = flight.waiters if flight.sent is None else flight.after
            for other in readers:
                if other.state is State.WAITING:
                    other.rounds += 1
                    theirs.append(other)

    def grew(self, stream: Stream) -> None:
        """The log grew: who is not above its end any more is decided anew."""
        above = stream.above
        if above is None or not above.readers:
            return
        reached = [r for r in above.readers if not stream.log.is_above(r.offset)]
        if reached:
            above.readers = [r for r in above.readers if stream.log.is_above(r.offset)]
        for reader in reached:
            if reader.state is State.WAITING:
                reader.owner.advance(reader)

    def renewed(self, stream: Stream) -> None:
        """Another incarnation begins: nobody has asked above its end, and who waits is
        decided anew at the next tick. Not now: what is heard may still be taken in."""
        if stream.above is not None:
            stream.above.due = self._clock.monotonic()

    def let_go(self) -> None:
        """Tell all that wait for their turn to come back: it will not be here."""
        for stream in list(self._paced):
            above = stream.above
            waiting = [] if above is None else above.readers[:]
            for reader in waiting:
                if reader.state is State.WAITING:
                    detail = "the edge is stopping"
                    reader.fault = NotAsked(detail, reason=Reason.DRAINING)
                    reader.owner.advance(reader)

    def stop(self) -> None:
        """Nobody waits for a turn any more."""
        self._stopped = True
        self.let_go()


def too_many(rounds: int) -> Refusal:
    """Told to a reader that has shared ``rounds`` answers, none of which was for it."""
    detail = f"{rounds} reads above the end of this stream did not tell of this offset"
    return Refusal(detail, reason=Reason.LIMIT_ABOVE)
