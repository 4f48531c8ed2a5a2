"""FastServer: accepts connections on the event loop, as many as may be served.

Beyond the limit a client is refused, and is not left waiting in the backlog. When the
process runs out of descriptors, the server pauses and counts that: otherwise the event
loop would call it again at once, for ever. It also pauses where other processes accept
at the same listener, and have fewer connections (W13). No exception ends it.

Some listeners want more before anything is served: a header of the PROXY protocol, and
behind it a handshake of TLS.
"""

import _socket
import os
from typing import Any

import gevent

from edge.core.accepting import EXHAUSTED, AcceptPause
from edge.core.errors import EdgeError, Refusal
from edge.core.reasons import Reason
from edge.front.accepting import paused
from edge.front.fast.channel import Channels, LinkGreeting
from edge.front.fast.connection import FastConnection
from edge.front.fast.context import FastContext
from edge.front.fast.greeting import LetIn, ProxiedConnection
from edge.front.fast.handshake import HandshakingConnection
from edge.front.link_peers import is_ours
from edge.front.tls import ListenerTls, TlsTransport
from edge.front.transport import READABLE, PlainTransport, Transport
from edge.policy.http.client_address import Peer

BATCH_SIZE = 256
"""Connections accepted before other callbacks run."""


class FastServer:
    """Serves one bound socket. ``connections`` are the worker's; up to ``max_refused``
    more are told at once that there is no room. ``proxied``: each begins with a header
    of the PROXY protocol. ``tls``: it speaks TLS."""

    def __init__(
        self,
        context: FastContext,
        bound: Any,
        connections: set[Any],
        max_refused: int,
        proxied: bool = False,
        tls: ListenerTls | None = None,
    ) -> None:
        self._proxied = proxied
        self._tls = tls
        # Of a keeper alone: the channels of its fronts.
        self._channels = Channels(context) if context.is_link else None
        self._proxies = context.server_context.options.trusted_proxies
        self._context = context
        self._bound = bound
        self._connections = connections
        self._refused: set[FastConnection] = set()
        self._balance = context.server_context.balance
        self._is_full = context.server_context.is_full
        self._max_refused = max_refused
        self._kind = (int(bound.family), int(bound.type), bound.proto)
        # A copy without gevent's layers, whose accept never waits.
        descriptor = os.dup(bound.fileno())
        self._socket: Any = _socket.socket(*self._kind, descriptor)
        self._socket.setblocking(False)
        self._address = bound.getsockname()
        self._watcher: Any = context.loop.io(descriptor, READABLE)
        self._pause = AcceptPause(context.loop, self._go_on)

    def start(self) -> None:
        """Begin to accept."""
        self._watcher.start(self._acceptable)

    def close(self) -> None:
        """Accept what waits in the backlog, then no more."""
        while self._watcher.active and self._acceptable():
            pass
        self._watcher.stop()
        self._watcher.close()
        self._pause.end()
        self._socket.close()
        self._bound.close()

    def stop(self) -> None:
        """Cut the connections that are left."""
        for connection in tuple(self._connections):
            connection.cut()
        gevent.sleep(0)

    # Accepting.

    def _acceptable(self) -> bool:
        """The watcher's callback. Whether more may wait in the backlog."""
        try:
            for _ in range(BATCH_SIZE):
                if self._lets_others():
                    return False
                self._accept()
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno in EXHAUSTED:
                self._rest(Reason.LIMIT_DESCRIPTORS)
            return False
        except Exception as error:
            # The outermost guard of accepting: counted, logged, and goes on.
            self._context.report(error)
            return False
        return True

    def _lets_others(self) -> bool:
        """Whether this server rests, for others have fewer connections."""
        balance = self._balance
        if balance is None or not balance.must_pause(len(self._connections)):
            return False
        self._watcher.stop()
        self._pause.yield_to_others()
        return True

    def _accept(self) -> None:
        if len(self._refused) >= self._max_refused:
            self._rest(Reason.LIMIT_CONNECTIONS)
            raise BlockingIOError
        descriptor, name = self._socket._accept()
        transport = PlainTransport(self._context.loop, *self._kind, descriptor)
        counters = self._context.server_context.counters
        if self._channels is not None and not is_ours(transport, counters):
            transport.close()
            return
        peer = self._proxies.peer(name)
        if self._channels is not None:
            among = self._connections
            LinkGreeting(
                self._context, transport, peer, among, self._admit, self._channels
            ).begin()
        elif self._tls is not None:
            full = self._is_full(len(self._connections))
            self._secure(transport, peer, self._tls, full)
        elif self._is_full(len(self._connections)):
            self._refuse(transport, peer)
        elif self._proxied:
            self._greet(transport, peer, self._connections, self._admit)
        else:
            self._admit(transport, peer)

    def _greet(
        self, transport: Transport, peer: Peer, among: set[Any], let_in: LetIn
    ) -> None:
        """Let it in once its PROXY header has come."""
        ProxiedConnection(self._context, transport, peer, among, let_in).begin()

    def _secure(
        self, plain: PlainTransport, peer: Peer, tls: ListenerTls, full: bool
    ) -> None:
        """Let it in once its handshake is done. Where there is no room it is refused,
        and so that it hears that, not before."""
        among = self._refused if full else self._connections
        let_in = self._refuse if full else self._admit

        def answer(plain: Transport, peer: Peer, error: EdgeError) -> None:
            self._admit(plain, peer, among=among).refuse(error)

        def shake(_plain: Transport, peer: Peer, held: bytes) -> None:
            transport = TlsTransport(tls, plain, among, held)
            HandshakingConnection(
                *(self._context, transport, peer, among),
                *(self._context.handshake_turns, let_in, answer),
            ).begin()

        if self._proxied:
            self._greet(plain, peer, among, shake)
        else:
            shake(plain, peer, b"")

    def _admit(
        self,
        transport: Transport,
        peer: Peer,
        held: bytes = b"",
        among: set[Any] | None = None,
    ) -> FastConnection:
        among = self._connections if among is None else among
        connection = FastConnection(
            self._context, transport, peer, self._address, among.discard, held
        )
        among.add(connection)
        return connection

    def _refuse(self, transport: Transport, peer: Peer) -> None:
        reason = Reason.LIMIT_CONNECTIONS
        self._context.server_context.counters.refusals[reason.value] += 1
        detail = "This edge serves as many connections as it may."
        connection = self._admit(transport, peer, among=self._refused)
        connection.refuse(Refusal(detail, reason=reason))

    def _rest(self, reason: Reason) -> None:
        self._watcher.stop()
        counters = self._context.server_context.counters
        tell = self._pause.begin(self._context.loop.now())
        paused(counters, self._address, reason, tell)

    def _go_on(self) -> None:
        self._watcher.start(self._acceptable)
