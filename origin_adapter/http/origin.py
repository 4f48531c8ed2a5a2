"""HttpOrigin: the origin over HTTP/1.1, its pools and what holds for all calls.

``begin`` makes a call that nobody waits for (``call``: the machine, which sends, sends
again where that does no harm, and tells the receiver). ``open`` makes the same call for
a greenlet that waits (``exchange``). On every way out, also when the greenlet is
killed, slot and connection go back.
"""

import ssl
from collections.abc import Callable
from dataclasses import replace
from socket import socket as Socket

from gevent.hub import get_hub

from edge.core.errors import ClientFault, OriginFault
from edge.core.ports import Exchange, Receiver, UpstreamCall
from edge.core.values import Headers, OriginRequest, Purpose
from origin_adapter.http.call import CallRules, HttpCall
from origin_adapter.http.dialing import dial
from origin_adapter.http.exchange import HttpExchange
from origin_adapter.http.options import HttpOptions, OriginAddress
from origin_adapter.http.pool import PoolCounts, Pools
from origin_adapter.http.request_encoder import EncodedRequest, checked_host
from origin_adapter.tls import client_context


class HttpOrigin:
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
        self._options = options
        name = options.tls.server_name or ""
        self._address = replace(OriginAddress.parse(options.url), server_name=name)
        self._host = checked_host(options.host or self._address.authority)
        self._tls: ssl.SSLContext | None = None
        if self._address.tls:
            self._tls = tls or client_context(options.tls)
        self._pools = Pools(options, self._dial, self.counts)
        self._rules = {
            purpose: CallRules(
                self._pools.of(purpose),
                options.timeouts(purpose),
                options.max_head,
                hidden,
                self._count,
            )
            for purpose in Purpose
        }

    def begin(self, request: OriginRequest, receiver: Receiver) -> UpstreamCall:
        """See ``ports.Origin.begin``."""
        if not isinstance(request.body, bytes | None):
            raise TypeError("a body that comes in pieces needs a greenlet: open")
        self.counts.requests += 1
        try:
            encoded = EncodedRequest.prepare(request, self._host, self._address.prefix)
        except ClientFault as fault:
            return _Refused(receiver, fault)
        call = HttpCall(self._rules[request.purpose], request.method, encoded, receiver)
        call.start()
        return call

    def open(
        self, request: OriginRequest, on_sent: Callable[[], None] | None = None
    ) -> Exchange:
        """See ``ports.Origin.open``.

        Also raises ClientFault, for a request that cannot be put on the wire.
        ``on_sent`` never switches greenlets: it is called on the event loop.
        """
        self.counts.requests += 1
        encoded = EncodedRequest.prepare(request, self._host, self._address.prefix)
        exchange = HttpExchange(on_sent)
        in_pieces = not isinstance(request.body, bytes | None)
        call = HttpCall(
            self._rules[request.purpose],
            request.method,
            encoded,
            exchange,
            exchange.drained if in_pieces else None,
        )
        exchange.begin(call, encoded.rest)
        return exchange

    def close(self) -> None:
        """Close every connection. Calls under way fail, and new ones too."""
        self._pools.close()

    def _dial(self) -> Socket:
        return dial(self._address, self._options.connect_timeout, self._tls)

    def _count(self, fault: OriginFault) -> None:
        """Count a fault, and have its cause tell the operator all: where, and what."""
        self.counts.faults[fault.reason] += 1
        if not fault.cause.startswith(self._address.place):
            told = (self._address.place, fault.detail, fault.cause)
            fault.cause = ": ".join(filter(None, told))

    def __repr__(self) -> str:
        return f"<HttpOrigin {self._options.url} [{self._pools!r}]>"


class _Refused:
    """Implements ``UpstreamCall`` for a request that cannot be put on the wire."""

    def __init__(self, receiver: Receiver, fault: ClientFault) -> None:
        self._telling = get_hub().loop.run_callback(receiver.failed, fault)

    def cancel(self) -> None:
        """See ``ports.UpstreamCall``."""
        self._telling.stop()

    def pause(self) -> None:
        """There is nothing to pause."""

    def resume(self) -> None:
        """There is nothing to resume."""
