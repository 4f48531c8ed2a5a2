"""GreenletServer: each connection in a greenlet of its own, from accept to close.

It serves everything the whole way when the fast way is switched off. The fast way must
answer like it.
"""

import time
from typing import Any

import gevent
from gevent.pool import Pool

from edge.core.errors import ClientFault, EdgeError, Refusal
from edge.core.reasons import Reason
from edge.front.accepting import PausingServer
from edge.front.http1 import handshakes
from edge.front.http1.connection import GreenletConnection
from edge.front.http1.context import ServerContext
from edge.front.http1.proxied import greet, refused
from edge.front.link_peers import is_ours
from edge.front.tls import ListenerTls, TlsTransport
from edge.front.transport import BlockingStream, PlainTransport
from edge.policy.http.client_address import Peer


class GreenletServer:
    """Accepts on one listener. ``connections`` are the worker's. ``proxied``: each
    begins with a header of the PROXY protocol. ``tls``: it speaks TLS."""

    def __init__(
        self,
        server_context: ServerContext,
        listener: Any,
        connections: set[Any],
        max_refused: int,
        proxied: bool = False,
        tls: ListenerTls | None = None,
    ) -> None:
        self._proxied = proxied
        self._tls = tls
        self._server_context = server_context
        self._name = listener.getsockname()
        self._connections = connections
        most = server_context.options.limits.max_connections_each
        pool = Pool(most + max_refused)
        self._server = PausingServer(listener, self._handle, spawn=pool)
        self._server.counters = server_context.counters
        self._server.balance = server_context.balance
        self._server.connections = connections

    def start(self) -> None:
        """Begin to accept."""
        self._server.start()

    def close(self) -> None:
        """Accept no more."""
        self._server.close()

    def stop(self) -> None:
        """Cut the connections that are left."""
        self._server.stop(timeout=1)

    def _handle(self, accepted: Any, name: Any) -> None:
        """Serve one connection."""
        context, held = self._server_context, b""
        transport = PlainTransport.of(gevent.get_hub().loop, accepted)
        stream = BlockingStream(transport)
        peer = context.options.trusted_proxies.peer(name)
        is_link = context.options.link is not None
        if is_link and not is_ours(transport, context.counters):
            stream.close()
            return
        if self._proxied:
            try:
                peer, held = greet(context, stream, peer)
            except (ClientFault, OSError) as error:
                stream.close()
                if isinstance(error, ClientFault):
                    refused(context, peer, error)
                return
        if self._tls is not None:
            found = self._secure(self._tls, transport, peer, held)
            if found is None:
                return
            (stream, peer), held = found, b""
        connection = GreenletConnection(context, stream, self._name, peer)
        if context.is_full(len(self._connections)):
            self._refuse(connection)
            return
        self._connections.add(connection)
        try:
            connection.serve(held)
        finally:
            self._connections.discard(connection)

    def _secure(
        self, tls: ListenerTls, plain: PlainTransport, peer: Peer, held: bytes
    ) -> tuple[BlockingStream, Peer] | None:
        """A handshake; None: it failed, and the connection is closed."""
        context = self._server_context
        transport = TlsTransport(tls, plain, self._connections, held)
        try:
            handshakes.shake(context, transport, time.monotonic())
        except ClientFault as fault:
            handshakes.failed(context, peer, fault)
            if fault.reason is Reason.HTTP_TO_TLS:
                self._answer_plain(plain, peer, fault)
        except OSError:
            handshakes.left(context)
        else:
            peer = handshakes.done(context, transport, peer)
            return BlockingStream(transport), peer
        transport.close()
        return None

    def _answer_plain(
        self, plain: PlainTransport, peer: Peer, error: EdgeError
    ) -> None:
        """Tell a client of plain HTTP that this listener speaks TLS."""
        context, stream = self._server_context, BlockingStream(plain)
        GreenletConnection(context, stream, self._name, peer).refuse(error)

    def _refuse(self, connection: GreenletConnection) -> None:
        reason = Reason.LIMIT_CONNECTIONS
        self._server_context.counters.refusals[reason.value] += 1
        detail = "This edge serves as many connections as it may."
        connection.refuse(Refusal(detail, reason=reason))
