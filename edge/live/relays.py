"""Relays: reads that are passed through, one upstream request for each reader.

They serve what may not be joined (L15) or cannot be held (L11). One greenlet per reader
pumps the origin's answer into its sink as it arrives, as fast as the sink takes it, and
nothing is kept. A client that leaves ends its greenlet and the upstream request. A
relayed event stream ends with its life-time, after a whole event, as the edge's own
streams do. Otherwise each would hold a connection to the origin for as long as its
client likes.
"""

from dataclasses import dataclass, replace

import gevent
from gevent.event import Event

from edge.core.errors import EdgeError, OriginFault, Refusal
from edge.core.ports import Exchange
from edge.core.reasons import Reason
from edge.core.values import (
    NO_END,
    Answer,
    CacheStatus,
    OriginRequest,
    PerResponse,
)
from edge.live.context import HubContext
from edge.live.flights import Upstream
from edge.live.rows import Reader, State
from edge.policy.http.forwarding import cache_members
from edge.policy.streams import upstream_requests
from edge.policy.streams.answers import unshared_headers

_EVENT_ENDS = (b"\n\n", b"\r\r", b"\r\n\r\n")


class _LifeOver(Exception):
    """A relayed read has lived long enough."""


@dataclass(slots=True)
class _Relay:
    """One pump: the greenlet, and the event that its sink has drained."""

    greenlet: "gevent.Greenlet[..., None] | None"
    drained: Event


class Relays:
    """All relayed reads of the hub."""

    def __init__(self, context: HubContext, upstream: Upstream) -> None:
        self._upstream = upstream
        self._counters = context.counters
        self._clock = context.clock
        self._options = context.options
        self._running: dict[Reader, _Relay] = {}
        self._stopped = False

    def __len__(self) -> int:
        return len(self._running)

    def start(self, reader: Reader, reason: Reason) -> None:
        """Pass the reader's own read through.

        Raises Refusal: limit-flights when it would be one too many, draining after
        ``stop``.
        """
        if self._stopped:
            raise _stopping()
        if len(self._running) >= self._options.max_flights:
            raise Refusal("too many reads are passed on", reason=Reason.LIMIT_FLIGHTS)
        self._counters.passes[reason.value] += 1
        reader.move(State.RELAYED)
        relay = self._running[reader] = _Relay(None, Event())
        relay.greenlet = gevent.spawn(self._run, reader, relay, reason)

    def drained(self, reader: Reader) -> None:
        """The reader's sink can take more."""
        relay = self._running.get(reader)
        if relay is not None:
            relay.drained.set()

    def forget(self, reader: Reader) -> None:
        """The reader is done; a pump that still runs is ended."""
        relay = self._running.pop(reader, None) if self._running else None
        if relay is not None and relay.greenlet not in (None, gevent.getcurrent()):
            relay.greenlet.kill(block=False)

    def stop(self) -> None:
        """End all of them, and begin none; a body that was not sent whole is cut."""
        self._stopped = True
        for reader in list(self._running):
            reader.move(State.DONE)
            self._counters.answers["error"] += 1
            reader.sink.abort(_stopping())

    def _run(self, reader: Reader, relay: _Relay, reason: Reason) -> None:
        error: EdgeError = OriginFault("the relay broke", reason=Reason.INTERNAL)
        try:
            self._pump(reader, relay, reason)
        except (OriginFault, Refusal) as fault:
            error = fault
        finally:
            # However it ended, the reader is released. A body that was not sent whole
            # must not look whole.
            if not reader.done:
                reader.move(State.DONE)
                self._counters.answers["error"] += 1
                reader.sink.abort(error)

    def _pump(self, reader: Reader, relay: _Relay, reason: Reason) -> None:
        # From where the reader stands: after ``now`` it may have waited (L20).
        read = replace(reader.read, offset=reader.offset)
        request = upstream_requests.relay_read(
            read, reader.stream.route, node=self._options.node
        )
        exchange = self._open(reader, request)
        try:
            _stop_if_done(reader)
            self._begin(reader, exchange, reason)
            end = b"\n\n"
            while piece := self._next(reader, exchange, end):
                _stop_if_done(reader)
                end = (end + piece)[-4:]
                relay.drained.clear()
                self._counters.bytes_out += len(piece)
                if not reader.sink.write([piece]):
                    relay.drained.wait()
        finally:
            exchange.close()
        _stop_if_done(reader)
        self._counters.delivered += 1
        reader.move(State.DONE)
        reader.sink.finish()

    def _open(self, reader: Reader, request: OriginRequest) -> Exchange:
        """The answer's head. Raises OriginFault, and Refusal when the grant ends."""
        if reader.grant_ends == NO_END:
            return self._upstream.open(request)
        left = reader.grant_ends - self._clock.monotonic()
        try:
            if left > 0:
                with gevent.Timeout(left, _LifeOver):
                    return self._upstream.open(request)
        except _LifeOver:
            pass
        raise _grant_ended()

    def _next(self, reader: Reader, exchange: Exchange, end: bytes) -> bytes:
        """The next piece, or b"" at the end. An event stream also ends with its
        life-time. ``end`` is how the body ends so far.

        Raises Refusal when the grant ends, and the body is not whole (B3).
        """
        between = reader.is_sse and end.endswith(_EVENT_ENDS)
        ends = reader.life_ends if between else reader.grant_ends
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
            raise _grant_ended()
        over = ends == reader.grant_ends
        reason = Reason.GRANT_ENDED if over else Reason.LIFETIME
        self._counters.viewers_ended[reason.value] += 1
        return b""

    def _begin(self, reader: Reader, exchange: Exchange, reason: Reason) -> None:
        self._counters.answers["pass"] += 1
        kind = reader.read.key.partition.kind
        headers = unshared_headers(exchange.headers, kind)
        answer = Answer(exchange.status, headers, None, exchange.content_length)
        upstream = cache_members(exchange.headers)
        status = CacheStatus(fwd="bypass", detail=reason, upstream=upstream)
        reader.sink.begin(answer, PerResponse(status))


def _stop_if_done(reader: Reader) -> None:
    """End this pump if its reader left while it waited: what it waited for may come
    in the same turn of the event loop as that, and so before the kill."""
    if reader.done:
        raise gevent.GreenletExit


def _grant_ended() -> Refusal:
    detail = "What let this request in has ended."
    return Refusal(detail, reason=Reason.GRANT_ENDED)


def _stopping() -> Refusal:
    return Refusal("the edge is stopping", reason=Reason.DRAINING)
