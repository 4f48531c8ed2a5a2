"""ProxiedConnection: an accepted connection until its PROXY header has come.

With the header it gives its transport to ``let_in``, together with the peer and the
bytes that came behind. Otherwise it closes it, and says why
(``edge.front.http1.proxied``). It never answers: nobody knows yet what is spoken.
"""

from collections.abc import Callable
from typing import Any

from edge.core.errors import ClientFault
from edge.front.fast.arriving import ArrivingConnection
from edge.front.fast.context import FastContext
from edge.front.http1.proxied import READ_SIZE, Greeting, late
from edge.front.transport import Transport
from edge.policy.http.client_address import Peer

LetIn = Callable[[Transport, Peer, bytes], object]
"""Takes over a transport, its peer, and bytes that were read already."""


class ProxiedConnection(ArrivingConnection):
    """Waits for the header of one connection. ``among``: the worker's connections."""

    __slots__ = ("_greeting", "_let_in")

    def __init__(
        self,
        context: FastContext,
        transport: Transport,
        own: Peer,
        among: set[Any],
        let_in: LetIn,
    ) -> None:
        super().__init__(context, transport, own, among)
        self._let_in = let_in
        proxies = context.server_context.options.trusted_proxies
        self._greeting = Greeting(proxies, own)

    def dismiss(self) -> None:
        """Close it, unless something has come."""
        if not self._transport.peek():
            self._end()

    def _check(self) -> None:
        self._greeting.check()

    def _late(self) -> ClientFault:
        return late()

    def _take(self) -> None:
        data = self._transport.recv(READ_SIZE)
        if not data:
            self._end()
            return
        found = self._greeting.take(data)
        if found is not None:
            self._transport.reading.stop()
            self._leave()
            self._let_in(self._transport, *found)
