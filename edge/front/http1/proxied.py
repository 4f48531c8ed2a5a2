"""Connections that begin with a header of the PROXY protocol.

``Greeting`` takes the bytes of one as they come and says who the peer is: the client
that the balancer told, or the balancer where it told none. It is believed about others
only if it is trusted itself: what follows the header are its client's own words, and no
balancer of this kind looks into them. ``greet`` is for a greenlet; the fast way feeds a
Greeting from the event loop (``edge.front.fast.greeting``).

Where ``trusted_proxies`` are set, nobody else may speak here at all. A connection that
is not let in is closed without an answer, counted, and has a line in the access log.
Time and bytes are bounded: by ``head_timeout`` from the first moment on, and by
``proxy_protocol.MAX_HEADER``.
"""

import time

from edge.core.errors import ClientFault
from edge.core.reasons import Reason
from edge.front.exchange import ClientGone, RequestContext, request_id
from edge.front.http1.context import ServerContext
from edge.front.transport import BlockingStream
from edge.policy.http import proxy_protocol
from edge.policy.http.client_address import Peer, TrustedProxies

READ_SIZE = 4096
"""Bytes that are read at once; what comes behind the header is the connection's."""


class Greeting:
    """What a balancer says of one connection, as it comes. ``own`` is its own peer."""

    def __init__(self, proxies: TrustedProxies, own: Peer) -> None:
        self._proxies = proxies
        self._own = own
        self._held = b""

    def check(self) -> None:
        """Raises ClientFault (proxy-not-trusted) if ``own`` may not speak here."""
        if self._proxies.any and not self._own.believed:
            detail = "This listener is for trusted proxies alone."
            raise ClientFault(detail, reason=Reason.PROXY_NOT_TRUSTED)

    def take(self, data: bytes) -> tuple[Peer, bytes] | None:
        """More bytes. The peer and what came behind the header; None: not whole yet.

        Raises ClientFault as ``proxy_protocol.parse`` does.
        """
        self._held += data
        header = proxy_protocol.parse(self._held)
        if header is None:
            return None
        peer = Peer(self._own.address)
        if header.address is not None:
            peer = self._proxies.peer((header.address,))
        return peer, self._held[header.size :]


def late() -> ClientFault:
    """The header did not come in time."""
    detail = "No header of the PROXY protocol came in time."
    return ClientFault(detail, reason=Reason.NO_PROXY_HEADER)


def refused(server_context: ServerContext, own: Peer, fault: ClientFault) -> None:
    """Count a connection that is not let in, and log it."""
    server_context.counters.client_faults[fault.reason.value] += 1
    now = server_context.clock.monotonic()
    ctx = RequestContext("", "", request_id(None), now, client=own.address)
    ctx.reason, ctx.lost, ctx.cause = fault.reason, True, fault.cause
    server_context.access_log.write(ctx, 0, 0)


def greet(
    server_context: ServerContext, stream: BlockingStream, own: Peer
) -> tuple[Peer, bytes]:
    """Wait for the header; the peer, and what came behind it.

    Raises ClientFault, and OSError when the other end is gone.
    """
    greeting = Greeting(server_context.options.trusted_proxies, own)
    greeting.check()
    ends = time.monotonic() + server_context.options.limits.head_timeout
    while True:
        stream.settimeout(ends - time.monotonic())
        try:
            data = stream.recv(READ_SIZE)
        except TimeoutError:
            raise late() from None
        if not data:
            raise ClientGone("it ended within its header")
        found = greeting.take(data)
        if found is not None:
            return found
