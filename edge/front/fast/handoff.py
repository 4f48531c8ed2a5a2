"""Handoff: a connection that a greenlet serves for one request, the whole way.

It owns the socket meanwhile, as a gevent socket over the same descriptor, and
runs the code that serves connections without the fast way: gunicorn's parser,
Falcon, refusals, lingering. Then it gives the descriptor back, or says that
there is none any more.
"""

from collections.abc import Callable
from typing import Any

import gevent
from gevent import socket as gevent_socket

from edge.core.errors import EdgeError
from edge.front.fast.context import FastContext, plain_socket
from edge.front.http1.connection import Connection

Back = Callable[[Any, bytes], None]


class Handoff:
    """One hand-over. ``back`` is called once: socket or None, bytes read ahead."""

    def __init__(
        self, context: FastContext, sock: Any, listener: Any, back: Back
    ) -> None:
        self._context = context
        self._sock = sock
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

    def _spawn(self, act: Callable[[Connection], bytes | None]) -> None:
        self._greenlet = gevent.spawn(self._run, act)
        # A greenlet that is killed before it began must give back, too.
        self._greenlet.link(self._ended)

    def _run(self, act: Callable[[Connection], bytes | None]) -> None:
        family, kind, proto = self._sock.family, self._sock.type, self._sock.proto
        sock = gevent_socket.socket(family, kind, proto, fileno=self._sock.detach())
        held = self._served(act, sock)
        if held is not None:
            self._sock = plain_socket(family, kind, proto, sock.detach())
            back, self._back = self._back, _nobody
            back(self._sock, held)

    def _served(
        self, act: Callable[[Connection], bytes | None], sock: Any
    ) -> bytes | None:
        try:
            peer = sock.getpeername()
        except OSError:
            sock.close()
            return None
        return act(Connection(self._context.server_context, sock, self._listener, peer))

    def _ended(self, _greenlet: object) -> None:
        """However it ended: if it did not give back, there is nothing left."""
        back, self._back = self._back, _nobody
        if self._sock.fileno() >= 0 and back is not _nobody:
            self._sock.close()
        back(None, b"")


def _nobody(_sock: Any, _held: bytes) -> None:
    """Has been told already."""
