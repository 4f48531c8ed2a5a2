"""HandshakingConnection: an accepted connection until its handshake of TLS is done.

Each step waits for its turn (``HandshakeTurns``). Bytes and time are bounded
(``edge.front.tls``, ``ArrivingConnection``). The time is the client's: while a step
waits for its turn it stands still. Else a crowd that comes back all at once would wait,
be sent away, and come back.

With the handshake it gives its transport to ``let_in``. Plain HTTP is answered by
``answer``, in plain: its client then knows what is wrong.
"""

from collections.abc import Callable
from typing import Any

from edge.core.errors import ClientFault
from edge.core.reasons import Reason
from edge.front.fast.arriving import ArrivingConnection
from edge.front.fast.context import FastContext
from edge.front.fast.handshake_turns import HandshakeTurns
from edge.front.http1 import handshakes
from edge.front.tls import TlsTransport
from edge.front.tls_faults import late
from edge.front.transport import Transport
from edge.policy.http.client_address import Peer


class HandshakingConnection(ArrivingConnection):
    """Waits for the handshake of one connection. ``among`` are the worker's."""

    __slots__ = ("_answer", "_begun", "_due", "_let_in", "_queued", "_tls", "_turns")

    def __init__(
        self,
        context: FastContext,
        transport: TlsTransport,
        peer: Peer,
        among: set[Any],
        turns: HandshakeTurns,
        let_in: Callable[[Transport, Peer], object],
        answer: Callable[[Transport, Peer, ClientFault], object],
    ) -> None:
        super().__init__(context, transport, peer, among)
        self._tls = transport
        self._turns = turns
        self._let_in = let_in
        self._answer = answer
        self._begun = False
        self._due = self._since + context.limits.head_timeout
        self._queued = 0.0

    def _late(self) -> ClientFault:
        return late()

    def _readable(self) -> None:
        """The read watch's callback: a step, when its turn comes."""
        self._tls.reading.stop()
        self._context.wheel.drop(self)
        self._queued = self._context.monotonic()
        self._turns.put(self._step, self._begun)

    def _step(self) -> None:
        """It is this connection's turn."""
        if self._over:
            return
        self._begun = True
        self._due += self._context.monotonic() - self._queued
        super()._readable()
        if not self._over:
            self._context.wheel.set(self, self._due)
            self._tls.reading.start(self._readable)

    def _take(self) -> None:
        try:
            self._tls.shake()
        except ClientFault as fault:
            if fault.reason is not Reason.HTTP_TO_TLS:
                raise
            self._told(fault)
            self._leave()
            self._answer(self._tls.plain, self._peer, fault)
            return
        except BlockingIOError:
            raise
        except OSError:
            handshakes.left(self._context.server_context)
            raise
        peer = handshakes.done(self._context.server_context, self._tls, self._peer)
        self._leave()
        self._let_in(self._tls, peer)

    def _told(self, fault: ClientFault) -> None:
        handshakes.failed(self._context.server_context, self._peer, fault)
