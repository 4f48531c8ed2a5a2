"""HttpOrigin: one call to the origin, from beginning to end.

A call takes a slot, then a connection, sends, and waits for the head of the answer. The
exchange that it returns has the rest. On every way out, also when the greenlet is
killed, slot and connection go back.

A request is sent twice only where that does no harm: a GET or a HEAD, over a kept
connection that died before the first byte of the answer. It is sent again once, over a
new connection.

An answer that comes while the body is still being sent (413, 409) ends the sending. It
is returned, and its connection is closed behind it, because the origin still expects
the rest. ``on_sent`` is not called then.
"""

import ssl
import time
from collections.abc import Callable
from dataclasses import replace

from edge.core.errors import OriginFault
from edge.core.ports import Exchange
from edge.core.values import Headers, OriginRequest, Purpose
from origin_adapter.blocking import BeginsByOpen
from origin_adapter.http.connection import ConnectionLost, UpstreamConnection, dial
from origin_adapter.http.exchange import Answered, Attempt, HttpExchange
from origin_adapter.http.options import CallTimeouts, HttpOptions, OriginAddress
from origin_adapter.http.pool import HeldSlot, PoolCounts, Pools
from origin_adapter.http.request_encoder import EncodedRequest, checked_host
from origin_adapter.tls import client_context


class HttpOrigin(BeginsByOpen):
    """Implements ``edge.core.ports.Origin`` over HTTP/1.1.

    Raises ValueError for a url that cannot be used. ``tls`` replaces the
    default context, which verifies the origin's certificate and name. ``hidden`` takes
    out of the fields of an answer what nobody is to be told of the origin. One object
    belongs to one process and its event loop: make it after the fork.
    """

    def __init__(
        self,
        options: HttpOptions,
        tls: ssl.SSLContext | None = None,
        hidden: Callable[[Headers], Headers] | None = None,
    ) -> None:
        self.counts = PoolCounts()
        self._hidden = hidden
        self._options = options
        name = options.tls.server_name or ""
        self._address = replace(OriginAddress.parse(options.url), server_name=name)
        self._host = checked_host(options.host or self._address.authority)
        self._tls: ssl.SSLContext | None = None
        if self._address.tls:
            self._tls = tls or client_context(options.tls)
        self._pools = Pools(options, self._dial, self.counts)
        self._timeouts = {purpose: options.timeouts(purpose) for purpose in Purpose}

    def open(
        self, request: OriginRequest, on_sent: Callable[[], None] | None = None
    ) -> Exchange:
        """See ``ports.Origin.open``.

        Also raises ClientFault, for a request that cannot be put on the wire.
        """
        self.counts.requests += 1
        encoded = EncodedRequest.prepare(request, self._host, self._address.prefix)
        try:
            return self._call(request, encoded, on_sent)
        except OriginFault as fault:
            self._count(fault)
            raise

    def close(self) -> None:
        """Close every connection. Calls under way fail, and new ones too."""
        self._pools.close()

    def _call(
        self,
        request: OriginRequest,
        encoded: EncodedRequest,
        on_sent: Callable[[], None] | None,
    ) -> Exchange:
        timeouts = self._timeouts[request.purpose]
        total = timeouts.total
        end_by = None if total is None else time.monotonic() + total
        slot = self._pools.take(request.purpose)
        try:
            call = _Call(
                request, encoded, self._options.max_head, timeouts, end_by, on_sent
            )
            head, body, rest = self._deliver(call, slot)
            if self._hidden is not None and _may_tell(head.headers):
                head = replace(head, headers=self._hidden(head.headers))
            exchange = HttpExchange(
                head,
                body,
                slot,
                progress_within=timeouts.body,
                end_by=end_by,
                on_fault=self._count,
            )
            exchange.begin(rest)
        except BaseException:
            slot.end()
            raise
        return exchange

    def _deliver(self, call: "_Call", slot: HeldSlot) -> Answered:
        """Send the request, and a second time where that does no harm."""
        connection = slot.connect()
        try:
            return call.over(connection)
        except ConnectionLost:
            if not (connection.reused and call.encoded.resendable):
                raise
        self.counts.retries += 1
        slot.discard()
        return call.over(slot.connect(fresh=True))

    def _dial(self) -> UpstreamConnection:
        return dial(self._address, self._options.connect_timeout, self._tls)

    def _count(self, fault: OriginFault) -> None:
        """Count a fault, and have its cause tell the operator all: where, and what."""
        self.counts.faults[fault.reason] += 1
        if not fault.cause.startswith(self._address.place):
            told = (self._address.place, fault.detail, fault.cause)
            fault.cause = ": ".join(filter(None, told))

    def __repr__(self) -> str:
        return f"<HttpOrigin {self._options.url} [{self._pools!r}]>"


def _may_tell(headers: Headers) -> bool:
    """Whether the origin's address may be in them: in most answers no URL is."""
    return any("//" in value or name == "set-cookie" for name, value in headers)


class _Call:
    """The part of a call that stays the same when its request is sent again."""

    def __init__(
        self,
        request: OriginRequest,
        encoded: EncodedRequest,
        max_head: int,
        timeouts: CallTimeouts,
        end_by: float | None,
        on_sent: Callable[[], None] | None,
    ) -> None:
        self.encoded = encoded
        self._request = request
        self._max_head = max_head
        self._timeouts = timeouts
        self._end_by = end_by
        self._on_sent = on_sent

    def over(self, connection: UpstreamConnection) -> Answered:
        """Send over ``connection`` and wait for the head of the answer.

        Raises ConnectionLost if it died before the first byte.
        """
        attempt = Attempt(
            connection, self._request, self._max_head, self._timeouts, self._end_by
        )
        if attempt.send(self.encoded):
            self._tell_sent()
        return attempt.answer()

    def _tell_sent(self) -> None:
        told, self._on_sent = self._on_sent, None
        if told is not None:
            told()
