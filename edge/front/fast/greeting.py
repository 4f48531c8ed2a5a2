"""ProxiedConnection: an accepted connection until its PROXY header has come.

It is data on the event loop, like a FastConnection, and counts as a connection: for the
limit, and when the worker drains. With the header it gives its transport to ``let_in``,
together with the peer and the bytes that came behind. Otherwise it closes it, and says
why (``edge.front.http1.proxied``). It never answers: nobody knows yet what is spoken.
"""

from collections.abc import Callable
from typing import Any

from edge.core.errors import ClientFault
from edge.core.timer_wheel import Slot
from edge.front.fast.context import FastContext
from edge.front.http1.proxied import READ_SIZE, Greeting, late, refused
from edge.front.transport import Transport
from edge.policy.http.client_address import Peer

LetIn = Callable[[Transport, Peer, bytes], object]
"""Takes over a transport, its peer, and bytes that were read already."""


class ProxiedConnection:
    """Waits for the header of one connection. ``among`` are the worker's connections.

    ``due_at`` and ``slot``: see ``TimerWheel``.
    """

    __slots__ = (
        "_among",
        "_context",
        "_greeting",
        "_let_in",
        "_over",
        "_own",
        "_since",
        "_transport",
        "due_at",
        "slot",
    )

    def __init__(
        self,
        context: FastContext,
        transport: Transport,
        own: Peer,
        among: set[Any],
        let_in: LetIn,
    ) -> None:
        self._context = context
        self._transport = transport
        self._own = own
        self._among = among
        self._let_in = let_in
        proxies = context.server_context.options.trusted_proxies
        self._greeting = Greeting(proxies, own)
        self._over = False
        self._since = context.monotonic()
        self.due_at = 0.0
        self.slot: Slot | None = None

    def begin(self) -> None:
        """Wait for the header, if this peer may speak here."""
        self._among.add(self)
        try:
            self._greeting.check()
        except ClientFault as fault:
            self._refuse(fault)
            return
        self._context.wheel.set(self, self._since + self._context.limits.head_timeout)
        self._transport.reading.start(self._readable)

    @property
    def idle_since(self) -> float | None:
        """See ``DrainableConnection``: since it was accepted."""
        return self._since

    def dismiss(self) -> None:
        """Close it, unless something has come."""
        if not self._transport.peek():
            self._end()

    def cut(self) -> None:
        """End now."""
        self._end()

    def expire(self) -> None:
        """The time is over (see ``TimerWheel``)."""
        self._refuse(late())

    def _readable(self) -> None:
        """The read watch's callback."""
        try:
            data = self._transport.recv(READ_SIZE)
            if not data:
                self._end()
                return
            found = self._greeting.take(data)
            if found is not None:
                self._transport.reading.stop()
                self._leave()
                self._let_in(self._transport, *found)
        except ClientFault as fault:
            self._refuse(fault)
        except BlockingIOError:
            return
        except OSError:
            self._end()
        except Exception as error:
            self._context.report(error)
            self._end()

    def _refuse(self, fault: ClientFault) -> None:
        if not self._over:
            refused(self._context.server_context, self._own, fault)
            self._end()

    def _end(self) -> None:
        if not self._over:
            self._leave()
            self._transport.close()

    def _leave(self) -> None:
        """This connection is no more, whatever becomes of its transport."""
        self._over = True
        self._context.wheel.drop(self)
        self._among.discard(self)
