"""ConnectionServer: accepts on one listener of a worker and serves its connections.

There is one for each listener, the fast way or not, and one more in a keeper: at a
socket of its own boot its successor asks for what is held there (W2). That one listens
before there is a successor, and to the end: a drain closes nothing there, and answers
there do not say ``Connection: close``.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from edge.front.dependencies import Dependencies
from edge.front.fast.context import FastContext
from edge.front.fast.listener import FastServer
from edge.front.http1.context import ServerContext
from edge.front.http1.server import GreenletServer
from edge.front.tls import ListenerTls
from edge.process.open_node import LinkListener

_log = logging.getLogger("edge.process")

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


class ListenerKind(NamedTuple):
    """What is spoken at a listener: with a header of the PROXY protocol, and by TLS."""

    proxied: bool = False
    tls: ListenerTls | None = None


PLAIN = ListenerKind()


def kinds_for(
    kinds: Sequence[ListenerKind], sockets: Sequence[object]
) -> Sequence[ListenerKind]:
    """What is spoken at each of the listeners. RuntimeError if that cannot be told:
    others were inherited than the settings name."""
    if all(kind == PLAIN for kind in kinds):
        return [PLAIN] * len(sockets)
    if len(kinds) != len(sockets):
        said = "listen names %d addresses, and %d sockets were inherited"
        raise RuntimeError(said % (len(kinds), len(sockets)))
    return kinds


def expiry_of(listeners: Iterable[ListenerTls | None]) -> dict[str, float]:
    """The gauge that says when the first certificate expires; without one, none."""
    times = [one.expires_at for one in listeners if one is not None]
    return {"tls_certificate_expires_at": min(times)} if times else {}


def server_on(
    listener: Any,
    context: ServerContext,
    fast: FastContext | None,
    connections: set[DrainableConnection],
    kind: ListenerKind = PLAIN,
) -> ConnectionServer:
    """One that is not started. It keeps its connections in ``connections``."""
    most = MAX_REFUSED_CONNECTIONS
    if fast is None:
        return GreenletServer(context, listener, connections, most, *kind)
    return FastServer(fast, listener, connections, most, *kind)


@contextmanager
def await_successor(
    path: str,
    parts: Dependencies,
    context: ServerContext,
    connections: set[DrainableConnection],
) -> Iterator[None]:
    """Listen meanwhile where the successor of a keeper asks for what is held here.
    ``context`` is of these connections alone."""
    listener = _listener_at(path)
    if listener is None:
        yield
        return
    fast = FastContext(parts, context) if parts.options.fast else None
    server = server_on(listener.sock, context, fast, connections)
    try:
        server.start()
        yield
    finally:
        server.close()
        server.stop()
        Path(path).unlink(missing_ok=True)


def _listener_at(path: str) -> LinkListener | None:
    """None: none can be made. A successor asks the origin then, as where the one before
    it was lost."""
    try:
        return LinkListener(path)
    except OSError as error:
        _log.warning("no successor can ask what is held here: %s", error)
        return None
