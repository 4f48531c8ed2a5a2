"""ConnectionServer: accepts on one listener of a worker and serves its connections.

There is one for each listener, the fast way or not, and one more in a keeper: at a
socket of its own boot its successor asks for what is held there (W2). That one listens
before there is a successor, and to the end: a drain closes nothing there, and answers
there do not say ``Connection: close``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from edge.front.dependencies import Dependencies
from edge.front.fast.context import FastContext
from edge.front.fast.listener import FastServer
from edge.front.http1.context import ServerContext
from edge.front.http1.server import GreenletServer
from edge.process.open_node import LinkListener

MAX_REFUSED_CONNECTIONS = 256
"""Connections beyond the limit that may be receiving their refusal at one time."""


class ConnectionServer(Protocol):
    """Accepts on one listener and serves its connections, the fast way or not."""

    def start(self) -> None: ...

    def close(self) -> None:
        """Accept what waits in the backlog, then no more."""

    def stop(self) -> None:
        """Cut the connections that are left."""


class DrainableConnection(Protocol):
    """A connection, as draining sees it."""

    @property
    def idle_since(self) -> float | None:
        """Since when it waits for a request of which no byte was read (monotonic
        seconds); None: it does not."""

    def dismiss(self) -> None:
        """Close it, unless a request has come meanwhile."""


def server_on(
    listener: Any,
    context: ServerContext,
    fast: FastContext | None,
    connections: set[DrainableConnection],
    proxied: bool = False,
) -> ConnectionServer:
    """One that is not started. It keeps its connections in ``connections``."""
    most = MAX_REFUSED_CONNECTIONS
    if fast is None:
        return GreenletServer(context, listener, connections, most, proxied)
    return FastServer(fast, listener, connections, most, proxied)


@contextmanager
def await_successor(
    path: str,
    parts: Dependencies,
    context: ServerContext,
    connections: set[DrainableConnection],
) -> Iterator[None]:
    """Listen meanwhile where the successor of a keeper asks for what is held here.
    ``context`` is of these connections alone."""
    listener = LinkListener(path)
    fast = FastContext(parts, context) if parts.options.fast else None
    server = server_on(listener.sock, context, fast, connections)
    try:
        server.start()
        yield
    finally:
        server.close()
        server.stop()
        Path(path).unlink(missing_ok=True)
