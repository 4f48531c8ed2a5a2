"""Relays: reads that are passed through, one upstream request for each reader.

They serve what may not be joined (L15) or cannot be held (L11). One greenlet per reader
pumps the origin's answer into its sink as it arrives, as fast as the sink takes it, and
nothing is kept. A client that leaves ends its greenlet and the upstream request. A
relayed event stream ends with its life-time, and when the edge drains (E54), as the
edge's own streams do: behind a whole event, and not between data and its control event.
Otherwise each would hold a connection to the origin for as long as its client likes,
and would be cut at the end of a drain.

There is a bound for all of them, for those of one stream, and for those of one client
(by its address, of IPv6 by its network). None of these can take the connections that
others need to pass. What a front asks of a keeper since it is large costs the origin no
connection, and counts in none of them: the keeper has these bounds for what it passes.
"""

from dataclasses import dataclass, replace

import gevent
from gevent.event import Event

from edge.core.client_bounds import counted
from edge.core.errors import EdgeError, OriginFault, Refusal
from edge.core.ports import Exchange
from edge.core.reasons import Reason
from edge.core.values import (
    NO_END,
    Answer,
    CacheStatus,
    Lease,
    OriginRequest,
    PerResponse,
    Result,
)
from edge.live.client_counts import RelayCounts
from edge.live.context import HubContext
from edge.live.rows import Reader, State
from edge.live.upstream import Upstream
from edge.live.waiters import paced
from edge.policy.http.forwarding import cache_members
from edge.policy.streams import upstream_requests
from edge.policy.streams.answers import is_endless, unbuffered, unshared_headers
from edge.protocol import sse


class _LifeOver(Exception):
    """A relayed read has lived long enough."""


@dataclass(slots=True)
class _Relay:
    """One pump: its client's address, the event that its sink has drained, and the
    greenlet.

    ``linked``: a keeper is asked. ``cut_at``: when its lease ends, as it was told.
    ``events``: it sends an event stream, of which ``tail`` were the last bytes.
    ``ends``: it is to end as soon as it may.
    """

    client: str
    linked: bool
    drained: Event
    cut_at: float
    greenlet: "gevent.Greenlet[..., None] | None" = None
    events: bool = False
    tail: bytes = b""
    ends: bool = False

    @property
    def may_end(self) -> bool:
        """Whether it sends an event stream that may end where it is."""
        return self.events and sse.may_end_behind(self.tail)


class Relays:
    """All relayed reads of the hub."""

    def __init__(self, context: HubContext, upstream: Upstream) -> None:
        self._upstream = upstream
        self._counters = context.counters
        self._first_byte = context.first_byte
        self._clock = context.clock
        self._options = context.options
        self._guard = context.guard
        self._running: dict[Reader, _Relay] = {}
        self._draining = False
        self._counts = RelayCounts(context.options)
        self._stopped = False

    def __len__(self) -> int:
        return len(self._running)

    def start(self, reader: Reader, reason: Reason) -> None:
        """Pass the reader's own read through.

        Raises Refusal: limit-relays when it would be one too many, draining after
        ``stop``.
        """
        if self._stopped:
            raise _stopping()
        stream, client = reader.read.key.path, counted(reader.sink.client)
        # What may not be joined is asked of the origin; what is only large, of the
        # keeper, which alone may hold it on its way (W11).
        is_front = self._options.is_front
        linked = is_front and reason is Reason.TOO_LARGE
        if not linked:
            self._counts.take(stream, client)
        self._counters.passes[reason.value] += 1
        reader.move(State.RELAYED)
        ends_at, draining = reader.lease.ends_at, self._draining
        relay = _Relay(client, linked, Event(), ends_at, ends=draining)
        self._running[reader] = relay
        relay.greenlet = gevent.spawn(self._run, reader, relay, reason)

    def drained(self, reader: Reader) -> None:
        """The reader's sink can take more."""
        relay = self._running.get(reader)
        if relay is not None:
            relay.drained.set()

    def forget(self, reader: Reader) -> None:
        """The reader is done; a pump that still runs is ended."""
        relay = self._running.pop(reader, None) if self._running else None
        if relay is None:
            return
        if not relay.linked:
            self._counts.give_back(reader.read.key.path, relay.client)
        if relay.greenlet not in (None, gevent.getcurrent()):
            relay.greenlet.kill(block=False)

    def begin_drain(self) -> None:
        """An event stream that begins from now on ends as soon as it may."""
        self._draining = True

    def drain(self, grace: float) -> None:
        """End all event streams, spread over ``grace`` seconds (E54). Blocks."""
        self.begin_drain()
        for reader in paced(tuple(self._running), grace, self._clock):
            self._guard.serve(self._let_go, reader)

    def let_go(self) -> None:
        """The grace is over: whose turn has not come is let go at once."""
        for reader in tuple(self._running):
            self._guard.serve(self._let_go, reader)

    def _let_go(self, reader: Reader) -> None:
        """End an event stream: now, if it may end where it is, else behind what comes
        next. Other answers are finished.

        1: its pump waits; 2: a piece comes; 3: this ends the stream; 4: the pump goes
        on, finds its reader done, and drops the piece, which nobody was given.
        """
        relay = self._running.get(reader)
        if relay is None:
            return
        relay.ends = True
        if relay.may_end:
            self._counters.viewers_ended[Reason.DRAINING.value] += 1
            self._finish(reader)

    def lapse(self) -> None:
        """Leases may end earlier than they were to. A pump that waits does not know."""
        now = self._clock.monotonic()
        for reader, relay in tuple(self._running.items()):
            ends = reader.lease.ends_at
            if ends >= relay.cut_at:
                continue
            relay.cut_at = ends
            if now >= ends:
                self._guard.serve(self._cut, reader)
            else:
                gevent.spawn_later(ends - now, self._guard.serve, self._cut, reader)

    def _cut(self, reader: Reader) -> None:
        """End it if its lease has ended; not a byte more (B3). A piece that comes in
        the same turn is dropped, as in ``_let_go``."""
        relay, lease = self._running.get(reader), reader.lease
        if relay is None or self._clock.monotonic() < lease.ends_at:
            return
        if relay.may_end:
            self._counters.viewers_ended[lease.why.value] += 1
            self._finish(reader)
        else:
            self._break_off(reader, _grant_ended(lease))

    def stop(self) -> None:
        """End all of them, and begin none; a body that was not sent whole is cut."""
        self._stopped = True
        for reader in list(self._running):
            self._break_off(reader, _stopping())

    def _break_off(self, reader: Reader, error: EdgeError) -> None:
        """A body that was not sent whole must not look whole."""
        reader.move(State.DONE)
        self._counters.answers["error"] += 1
        reader.sink.abort(error)

    def _run(self, reader: Reader, relay: _Relay, reason: Reason) -> None:
        error: EdgeError = OriginFault("the relay broke", reason=Reason.INTERNAL)
        try:
            self._pump(reader, relay, reason)
        except (OriginFault, Refusal) as fault:
            error = fault
        finally:
            # However it ended, the reader is released.
            if not reader.done:
                self._break_off(reader, error)

    def _pump(self, reader: Reader, relay: _Relay, reason: Reason) -> None:
        # From where the reader stands: after ``now`` it may have waited (L20).
        read = replace(reader.read, offset=reader.offset)
        route = reader.stream.route
        # Where the origin judges, each one asks for itself (B8).
        lent = None if reader.stream.lenders is None else reader.lease.lends
        request = upstream_requests.relay_read(
            *(read, route),
            node=self._options.node,
            lent=lent,
            linked=relay.linked,
            until=reader.lease.ends_at,
        )
        exchange = self._open(reader, request)
        try:
            _stop_if_done(reader)
            self._begin(reader, relay, exchange, reason)
            while piece := self._next(reader, relay, exchange):
                _stop_if_done(reader)
                if relay.events:
                    relay.tail = sse.tail_behind(relay.tail, piece)
                relay.drained.clear()
                self._counters.bytes_out += len(piece)
                if not reader.sink.write([piece]):
                    relay.drained.wait()
        finally:
            exchange.close()
        _stop_if_done(reader)
        self._finish(reader)

    def _finish(self, reader: Reader) -> None:
        """The answer is whole."""
        self._counters.delivered += 1
        reader.move(State.DONE)
        reader.sink.finish()

    def _open(self, reader: Reader, request: OriginRequest) -> Exchange:
        """The answer's head. Raises OriginFault, and Refusal when the grant ends."""
        trace = reader.sink.trace
        if reader.lease.ends_at == NO_END:
            return self._upstream.open(request, trace=trace)
        left = reader.lease.ends_at - self._clock.monotonic()
        try:
            if left > 0:
                with gevent.Timeout(left, _LifeOver):
                    return self._upstream.open(request, trace=trace)
        except _LifeOver:
            pass
        raise _grant_ended(reader.lease)

    def _next(self, reader: Reader, relay: _Relay, exchange: Exchange) -> bytes:
        """The next piece, or b"" at the end. An event stream also ends with its
        life-time, and in a drain.

        Raises Refusal when the grant ends, and the body is not whole (B3).
        """
        between = relay.may_end
        if between and relay.ends:
            self._counters.viewers_ended[Reason.DRAINING.value] += 1
            return b""
        ends = reader.life_ends if between else reader.lease.ends_at
        if ends == NO_END:
            return exchange.read()
        left = ends - self._clock.monotonic()
        try:
            if left > 0:
                with gevent.Timeout(left, _LifeOver):
                    return exchange.read()
        except _LifeOver:
            # Between two events: closing the exchange loses none of them.
            pass
        if not between:
            raise _grant_ended(reader.lease)
        over = ends >= reader.lease.ends_at
        reason = reader.lease.why if over else Reason.LIFETIME
        self._counters.viewers_ended[reason.value] += 1
        return b""

    def _begin(
        self, reader: Reader, relay: _Relay, exchange: Exchange, reason: Reason
    ) -> None:
        self._counters.answers["pass"] += 1
        self._first_byte(reader, Result.PASS)
        length = exchange.content_length
        kind = reader.read.key.partition.kind
        own = reader.stream.lenders is not None
        headers = unshared_headers(exchange.headers, kind, reader.stream.route, own)
        if is_endless(exchange.headers, length):
            headers = unbuffered(headers)
        answer = Answer(exchange.status, headers, None, length)
        relay.events = reader.is_sse and is_endless(exchange.headers, length)
        upstream = cache_members(exchange.headers)
        status = CacheStatus(fwd="bypass", detail=reason, upstream=upstream)
        reader.sink.begin(answer, PerResponse(status))


def _stop_if_done(reader: Reader) -> None:
    """End this pump if its reader left while it waited: what it waited for may come
    in the same turn of the event loop as that, and so before the kill."""
    if reader.done:
        raise gevent.GreenletExit


def _grant_ended(lease: Lease) -> Refusal:
    detail = "What let this request in has ended."
    return Refusal(detail, reason=lease.why)


def _stopping() -> Refusal:
    return Refusal("the edge is stopping", reason=Reason.DRAINING)
