"""ArrivingConnection: an accepted connection that cannot be served yet.

It is data on the event loop, like a FastConnection, and counts as a connection: for the
limit, and when the worker drains. Something must come first, within ``head_timeout``:
a header of the PROXY protocol (``greeting``), a handshake of TLS (``handshake``). Then
it gives its transport away.
"""

from typing import Any

from edge.core.errors import ClientFault
from edge.core.timer_wheel import Slot
from edge.front.fast.context import FastContext
from edge.front.http1.proxied import refused
from edge.front.transport import Transport
from edge.policy.http.client_address import Peer


class ArrivingConnection:
    """Waits for what must come first. ``among`` are the worker's connections.

    ``due_at`` and ``slot``: see ``TimerWheel``.
    """

    __slots__ = (
        "_among",
        "_context",
        "_over",
        "_peer",
        "_since",
        "_transport",
        "due_at",
        "slot",
    )

    def __init__(
        self, context: FastContext, transport: Transport, peer: Peer, among: set[Any]
    ) -> None:
        self._context = context
        self._transport = transport
        self._peer = peer
        self._among = among
        self._over = False
        self._since = context.monotonic()
        self.due_at = 0.0
        self.slot: Slot | None = None

    def begin(self) -> None:
        """Wait, if this peer may speak here."""
        self._among.add(self)
        try:
            self._check()
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
        """Close it."""
        self._end()

    def cut(self) -> None:
        """End now."""
        self._end()

    def expire(self) -> None:
        """The time is over (see ``TimerWheel``)."""
        self._refuse(self._late())

    # What each kind has of its own.

    def _check(self) -> None:
        """Raises ClientFault if this peer may not speak here."""

    def _late(self) -> ClientFault:
        """Why it is refused when the time is over."""
        raise NotImplementedError

    def _take(self) -> None:
        """Read what has come. Raises ClientFault, and OSError."""
        raise NotImplementedError

    def _told(self, fault: ClientFault) -> None:
        """Count and log that it is refused."""
        refused(self._context.server_context, self._peer, fault)

    # The read watch, and the end.

    def _readable(self) -> None:
        """Something has come."""
        try:
            self._take()
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
            self._told(fault)
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
