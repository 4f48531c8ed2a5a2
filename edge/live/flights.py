"""Flights: fetches of the origin, and how several readers share one.

A flight belongs to a stream and a start (None for the HEAD); there is one at a time for
each. It is a row of the hub's own (``rows.Flight``), never a request's: a reader that
leaves changes nothing for the others (E42). It is sent in the turn of the event loop
after the one in which it was begun, and whoever joins it by then shares a request that
begins after its own arrival. However it ends, by an answer, a fault, the stop or a
defect, all its readers are told, once.

Which readers may get its answer is judged when it lands (L4). A reader that needs a
request begun after its own arrival waits behind the one on its way (``after``), and is
decided again when that one has landed.
"""

from collections.abc import Callable
from functools import partial

from edge.core.errors import OriginFault, Refusal
from edge.core.ports import UpstreamCall
from edge.core.reasons import Reason
from edge.core.values import Headers, LentCredential, OriginRequest
from edge.live.context import HubContext
from edge.live.lending import Lending
from edge.live.rows import Flight, Reader, State, Stream
from edge.live.upstream import Outcome, Upstream, next_turn
from edge.policy.streams import upstream_requests
from edge.policy.streams.decisions import Fetch


class Flights:
    """All flights of the hub. ``land`` is called once for each, on the event loop, and
    not before ``join`` has returned; it never switches."""

    def __init__(
        self,
        context: HubContext,
        upstream: Upstream,
        lending: Lending,
        land: Callable[[Flight, Outcome], None],
    ) -> None:
        self._upstream = upstream
        self._lending = lending
        self._counters = context.counters
        self._clock = context.clock
        self._guard = context.guard
        self._node = context.options.node
        self._asks_keeper = context.asks_keeper
        self._max = context.options.max_flights
        self._land = land
        self._all: set[Flight] = set()
        self._stopped = False

    def __len__(self) -> int:
        return len(self._all)

    def join(self, reader: Reader, fetch: Fetch) -> None:
        """Let the reader wait for a flight that answers ``fetch``.

        Raises Refusal: limit-flights when it would take one too many, draining
        after ``stop``.
        """
        stream = reader.stream
        flight = stream.flights.get(fetch.start)
        if flight is None:
            trace = reader.sink.trace
            flight = self._open(stream, fetch.start, reader.read.hops, trace)
            flight.passes_keepers = fetch.reason is Reason.TAIL_WENT_BACK
            flight.opens = fetch.reason is Reason.COLD_OPEN
            reader.is_leader = True
        elif fetch.fresh and not _may_share(flight, fetch):
            # 1: it was sent; 2: this reader arrives; 3: it lands. What it
            # brings is from before 2, so the reader asks again after 3.
            reader.move(State.WAITING)
            flight.after.append(reader)
            return
        reader.move(State.WAITING)
        flight.waiters.append(reader)

    def may_join(self, reader: Reader, fetch: Fetch) -> bool:
        """Whether the reader may wait for this: a flight is begun with a lent
        credential only for who lends one (B7)."""
        lenders, now = reader.stream.lenders, self._clock.monotonic()
        if lenders is None or fetch.start in reader.stream.flights:
            return True
        return lenders.lends(reader.lease, now)

    def begin(
        self, stream: Stream, start: str | None, hops: tuple[str, ...], trace: Headers
    ) -> None:
        """Begin a flight that nobody waits for, unless there is one (U3).

        Raises Refusal as ``join`` does.
        """
        if start not in stream.flights:
            self._open(stream, start, hops, trace)

    def stop(self) -> None:
        """Give all flights up, and begin none; all their readers are told."""
        self._stopped = True
        for flight in list(self._all):
            flight.turn.stop()
            if flight.call is not None:
                flight.call.cancel()
            self._guard.call(self._end, flight, _given_up())

    def _open(
        self, stream: Stream, start: str | None, hops: tuple[str, ...], trace: Headers
    ) -> Flight:
        if self._stopped:
            raise Refusal("the edge is stopping", reason=Reason.DRAINING)
        if len(self._all) >= self._max:
            raise Refusal("too many fetches are under way", reason=Reason.LIMIT_FLIGHTS)
        flight = Flight(stream, start, hops)
        stream.flights[start] = flight
        self._all.add(flight)
        self._counters.flights += 1
        flight.turn = next_turn(self._send, flight, trace)
        return flight

    def _send(self, flight: Flight, trace: Headers) -> None:
        """Ask the origin. A defect ends the flight, as anything else does."""
        log = flight.stream.log
        # From here on no reader that needs a fresh request may join: the snapshot
        # of what was known must be older than the request itself.
        flight.sent = log.tail.request_snapshot(
            self._clock.monotonic(), log.incarnation
        )
        try:
            flight.call = self._call(flight, trace)
        except Exception:
            self._guard.report(flight)
            self._guard.call(self._end, flight, _given_up())

    def _call(self, flight: Flight, trace: Headers) -> UpstreamCall:
        land = partial(self._end, flight)
        if flight.stream.lenders is None:
            return self._upstream.begin(self._request(flight), land, trace=trace)
        # Whoever it is for asks by itself: nobody can spend what others may ask.
        asker = next(flight.waiting(), None)
        return self._lending.begin(
            flight.stream,
            lambda lease: self._request(flight, lease.lends),
            land,
            first=None if asker is None else asker.lease,
            trace=trace,
        )

    def _end(self, flight: Flight, outcome: Outcome) -> None:
        """Make room first: a reader that is decided again may need another flight.

        Its row stays until all its readers are released: one that is answered may ask
        for another stream at once, which may need the room (U15).
        """
        stream = flight.stream
        del stream.flights[flight.start]
        self._all.discard(flight)
        stream.landings += 1
        try:
            self._land(flight, outcome)
        finally:
            stream.landings -= 1

    def _request(
        self, flight: Flight, lent: LentCredential | None = None
    ) -> OriginRequest:
        key, route = flight.stream.key, flight.stream.route
        node, hops = self._node, flight.hops
        # What judges, or confirms what a keeper has said, is the origin's word (W9).
        linked = self._asks_keeper(flight.stream) and not flight.passes_keepers
        if flight.start is None:
            how: dict[str, bool] = {"linked": linked, "opens": flight.opens}
            return upstream_requests.head_request(
                key, route, node=node, hops=hops, lent=lent, **how
            )
        return upstream_requests.read_request(
            key, flight.start, route, node=node, hops=hops, lent=lent, linked=linked
        )


def _may_share(flight: Flight, fetch: Fetch) -> bool:
    """Whether a flight will do for a reader that needs a request which begins after it
    came. What is to say whether the tail went back is asked of the origin (L2, W9)."""
    if flight.sent is not None:
        return False
    flight.passes_keepers |= fetch.reason is Reason.TAIL_WENT_BACK
    flight.opens &= fetch.reason is Reason.COLD_OPEN
    return True


def _given_up() -> OriginFault:
    return OriginFault("the fetch was given up", reason=Reason.INTERNAL)
