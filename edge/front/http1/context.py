"""ServerContext: what all connections of a worker share."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from gunicorn.config import Config

from edge.core.accepting import AcceptBalance
from edge.core.counters import Counters
from edge.core.ports import Clock
from edge.front.app.app import Environ
from edge.front.log import AccessLog
from edge.front.options import FrontOptions
from edge.front.spans import ServerSpans

Application = Callable[[Environ, Any], Iterable[bytes]]
"""A WSGI application (PEP 3333)."""


@dataclass(slots=True, eq=False)
class ServerContext:
    """The application and what goes with it. ``draining``: keep no connection.
    ``balance`` is asked before each one is taken; None: no other process accepts.
    ``spans`` None: no traces are made."""

    app: Application
    cfg: Config
    options: FrontOptions
    counters: Counters
    clock: Clock
    access_log: AccessLog
    draining: bool = False
    balance: AcceptBalance | None = None
    spans: ServerSpans | None = None

    def is_full(self, connections: int) -> bool:
        """Whether this process or the node has as many as it may, with so many here
        (W13)."""
        limits, balance = self.options.limits, self.balance
        if balance is None:
            return connections >= limits.max_connections
        if connections >= limits.max_connections_each:
            return True
        return not balance.has_room(connections, limits.max_connections)
