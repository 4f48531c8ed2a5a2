"""Handoff: a connection that a greenlet serves for one request, the whole way.

The greenlet has the transport to itself meanwhile, as a blocking stream, and runs
the code that serves connections without the fast way: gunicorn's parser, Falcon,
refusals, lingering. Then it gives the transport back, or says that it is closed.
"""

from collections.abc import Callable
from typing import Any

import gevent

from edge.core.errors import EdgeError
from edge.front.fast.context import FastContext
from edge.front.http1.connection import GreenletConnection
from edge.front.transport import BlockingStream, Transport

Back = Callable[[bytes | None], None]
"""Called once: with the bytes read ahead, or None when the transport is closed."""


class Handoff:
    """One hand-over, and ``back`` from it. ``listener`` is an address."""

    def __init__(
        self, context: FastContext, transport: Transport, listener: Any, back: Back
    ) -> None:
        self._context = context
        self._transport = transport
        self._listener = listener
        self._back = back
        self._greenlet: gevent.Greenlet[..., None] | None = None

    def serve(self, held: bytes) -> None:
        """Serve one request, of which ``held`` has come."""
        self._spawn(lambda connection: connection.serve_one(held))

    def refuse(self, error: EdgeError) -> None:
        """Answer ``error`` and close."""
        self._spawn(lambda connection: connection.refuse(error))

    def linger(self) -> None:
        """Close, once the client has heard what it was sent."""
        self._spawn(lambda connection: connection.linger())

    def cut(self) -> None:
        """End now."""
        if self._greenlet is not None:
            self._greenlet.kill(block=False)

    def _spawn(self, act: Callable[[GreenletConnection], bytes | None]) -> None:
        self._greenlet = gevent.spawn(self._run, act)
        # A greenlet that is killed before it began must give back, too.
        self._greenlet.link(self._ended)

    def _run(self, act: Callable[[GreenletConnection], bytes | None]) -> None:
        try:
            peer = self._transport.peername()
        except OSError:
            # The client has gone already; ``_ended`` closes.
            return
        stream = BlockingStream(self._transport)
        server_context = self._context.server_context
        held = act(GreenletConnection(server_context, stream, self._listener, peer))
        if held is not None:
            self._give_back(held)

    def _ended(self, _greenlet: object) -> None:
        """However it ended: if it did not give back, there is nothing left."""
        if self._back is not _nobody:
            self._transport.close()
            self._give_back(None)

    def _give_back(self, held: bytes | None) -> None:
        back, self._back = self._back, _nobody
        back(held)


def _nobody(_held: bytes | None) -> None:
    """Has been told already."""
