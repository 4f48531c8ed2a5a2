"""Upstream and Flights: fetches of the origin, and how several readers share one.

``Upstream`` is one read of the origin, whole, and counted. It runs in a flight's or a
follower's greenlet and blocks only that one. What an answer means is judged elsewhere.
All reads go through it, and so past the breaker of the origin (U6). Writes, and what
else the front passes on, do not: they are always tried, and open and close nothing.
Each read says for which request it is asked (``traceparent``, ``X-Request-Id``): for
that of the reader who began it. Neither field is in a key.

A flight belongs to a stream and a start (None for the HEAD); there is one at a time for
each. It is a greenlet of the hub's own, never of a request: a reader that leaves
changes nothing for the others (E42). However it ends, by an answer, a fault, a kill or
a defect, all its readers are told, once.

Which readers may get its answer is judged when it lands (L4). A reader that needs a
request begun after its own arrival waits behind the one on its way (``after``), and is
decided again when that one has landed.
"""

import random
from collections.abc import Callable
from dataclasses import replace

import gevent

from edge.core.errors import NotAsked, OriginFault, Refusal
from edge.core.ports import Exchange, Origin
from edge.core.reasons import Reason
from edge.core.values import (
    DIRECT,
    Framing,
    Headers,
    LentCredential,
    OriginAnswer,
    OriginRequest,
    Provenance,
)
from edge.live.context import HubContext
from edge.live.lending import Lending
from edge.live.rows import Flight, Reader, State, Stream
from edge.policy.http.breaker import (
    Breaker,
    CallOutcome,
    outcome_of_fault,
    outcome_of_status,
)
from edge.policy.streams import upstream_requests
from edge.policy.streams.contact import REFUSES_WORK
from edge.policy.streams.decisions import Fetch


class TooLarge(Exception):
    """The answer is larger than ``max_object``; its exchange was given up (L11)."""


Outcome = OriginAnswer | OriginFault | TooLarge
"""How a fetch ended."""


class Upstream:
    """Fetches whole answers of at most ``max_object`` bytes.

    ``from_an_edge`` tells from its fields whether an answer was made by another edge,
    and not by the next hop itself (U11).
    """

    def __init__(
        self,
        origin: Origin,
        context: HubContext,
        from_an_edge: Callable[[Headers], bool],
    ) -> None:
        self.breaker = Breaker()
        self._origin = origin
        self._counters = context.counters
        self._clock = context.clock
        self._max_object = context.options.max_object
        self._may_break = context.options.breaker
        self._from_an_edge = from_an_edge

    def fetch(
        self,
        request: OriginRequest,
        on_sent: Callable[[], None] | None = None,
        trace: Headers = (),
    ) -> OriginAnswer:
        """The whole answer. Raises OriginFault, or TooLarge for a 200."""
        exchange = self.open(request, on_sent, trace)
        try:
            body = self._collect(exchange)
        except OriginFault as fault:
            self._counters.origin_faults[fault.reason.value] += 1
            raise
        finally:
            exchange.close()
        provenance: Provenance = getattr(exchange, "provenance", DIRECT)
        if provenance is DIRECT:
            provenance = Provenance.told_by(exchange.headers)
        return OriginAnswer(
            exchange.status, exchange.headers, body, exchange.framing, provenance
        )

    def open(
        self,
        request: OriginRequest,
        on_sent: Callable[[], None] | None = None,
        trace: Headers = (),
    ) -> Exchange:
        """The answer as it arrives, counted. Raises OriginFault; NotAsked if nothing
        was sent, for a limit of this edge or while the breaker is open.

        ``trace``: the fields that tell for which request it is asked, if for one.
        """
        headers = (*request.headers, *(trace or _new_trace()))
        request = replace(request, headers=headers)
        breaker = self.breaker
        # Nothing to ask and nothing to tell while all is well.
        call = breaker.latest if breaker.calm else self._let_through()
        self._counters.origin_requests[request.purpose.value] += 1
        try:
            exchange = self._origin.open(request, on_sent)
        except NotAsked as fault:
            self._counters.refusals[fault.reason.value] += 1
            raise
        except OriginFault as fault:
            self._counters.origin_faults[fault.reason.value] += 1
            self._heard(call, request, outcome_of_fault(fault))
            raise
        if exchange.status >= 500 or exchange.status in REFUSES_WORK:
            self._counters.origin_statuses[str(exchange.status)] += 1
        if exchange.status >= 500 or not breaker.calm:
            self._heard(call, request, self._judged(exchange))
        return exchange

    def _let_through(self) -> int:
        """The number of a call that may be made. Raises NotAsked (origin-down)."""
        now = self._clock.monotonic()
        call = self.breaker.let_through(now, random.random())
        if call is None:
            self._counters.refusals[Reason.ORIGIN_DOWN.value] += 1
            raise NotAsked(
                "the origin is down; it is tried again in a moment",
                retry_after=self.breaker.retry_after(now),
            )
        return call

    def _judged(self, exchange: Exchange) -> CallOutcome:
        return outcome_of_status(
            exchange.status, from_an_edge=self._from_an_edge(exchange.headers)
        )

    def _heard(self, call: int, request: OriginRequest, outcome: CallOutcome) -> None:
        """Tell the breaker how a call ended: by a fault, or once its head is there."""
        if self._may_break:
            # One stream, whoever reads it and with whatever parameters.
            stream = request.target.partition("?")[0]
            now, chance = self._clock.monotonic(), random.random()
            opened = self.breaker.heard(call, stream, outcome, now, chance)
            self._counters.breaker_opened += opened

    def _collect(self, exchange: Exchange) -> bytes:
        # A HEAD announces the length of a body that does not come.
        comes = exchange.framing is Framing.LENGTH
        if comes and (exchange.content_length or 0) > self._max_object:
            raise TooLarge
        pieces: list[bytes] = []
        size = 0
        while piece := exchange.read():
            size += len(piece)
            if size > self._max_object:
                raise TooLarge
            pieces.append(piece)
        self._counters.bytes_from_origin += size
        return b"".join(pieces)


class Flights:
    """All flights of the hub. ``land`` is called once for each, in its greenlet."""

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
        self._node = context.options.node
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
            reader.is_leader = True
        elif fetch.fresh and flight.sent is not None:
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
        """Kill all flights, and begin none; all their readers are told."""
        self._stopped = True
        for flight in list(self._all):
            assert flight.greenlet is not None
            flight.greenlet.kill(block=False)
            if flight.sent is None:
                # Its greenlet has not begun; a killed greenlet never will.
                self._end(flight, _given_up())

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
        flight.greenlet = gevent.spawn(lambda it: self._fly(it, trace), flight)
        return flight

    def _fly(self, flight: Flight, trace: Headers) -> None:
        outcome: Outcome | None = None
        try:
            outcome = self._fetch(flight, trace)
        except (OriginFault, TooLarge) as error:
            outcome = error
        finally:
            # Also when killed, or on a defect that goes on to gevent's hub.
            self._end(flight, outcome or _given_up())

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

    def _fetch(self, flight: Flight, trace: Headers) -> OriginAnswer:
        log = flight.stream.log
        # From here on no reader that needs a fresh request may join: the snapshot
        # of what was known must be older than the request itself.
        flight.sent = log.tail.request_snapshot(
            self._clock.monotonic(), log.incarnation
        )
        if flight.stream.lenders is None:
            return self._upstream.fetch(self._request(flight), trace=trace)
        # Whoever it is for asks by itself: nobody can spend what others may ask.
        asker = next(flight.waiting(), None)
        return self._lending.fetch(
            flight.stream,
            lambda lease: self._request(flight, lease.lends),
            first=None if asker is None else asker.lease,
            trace=trace,
        )

    def _request(
        self, flight: Flight, lent: LentCredential | None = None
    ) -> OriginRequest:
        key, route = flight.stream.key, flight.stream.route
        node, hops = self._node, flight.hops
        if flight.start is None:
            return upstream_requests.head_request(
                key, route, node=node, hops=hops, lent=lent
            )
        return upstream_requests.read_request(
            key, flight.start, route, node=node, hops=hops, lent=lent
        )


def _new_trace() -> Headers:
    """For what is asked for no reader: a follower's poll. It is not sampled."""
    trace, span = random.getrandbits(128) or 1, random.getrandbits(64) or 1
    return (
        ("traceparent", f"00-{trace:032x}-{span:016x}-00"),
        ("x-request-id", f"{random.getrandbits(96):024x}"),
    )


def _given_up() -> OriginFault:
    return OriginFault("the fetch was given up", reason=Reason.INTERNAL)
