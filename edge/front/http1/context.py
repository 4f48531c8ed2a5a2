"""ServerContext: what all connections of a worker share."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from gunicorn.config import Config

from edge.core.counters import Counters
from edge.core.ports import Clock
from edge.front.access_log import AccessLog
from edge.front.app.wsgi import Environ
from edge.front.options import FrontOptions
from edge.front.request_context import RequestContext

Application = Callable[[Environ, Any], Iterable[bytes]]
"""A WSGI application (PEP 3333)."""


@dataclass(slots=True, eq=False)
class ServerContext:
    """The application and what goes with it. ``draining``: keep no connection."""

    app: Application
    cfg: Config
    options: FrontOptions
    counters: Counters
    clock: Clock
    access_log: AccessLog
    draining: bool = False

    def log(self, ctx: RequestContext, status: int, sent: int) -> None:
        """Write the request's line; called once, when it is over."""
        seconds = self.clock.monotonic() - ctx.started
        self.access_log.write(ctx, status, sent, seconds)

    def put_line(self, ctx: RequestContext, status: int, sent: int) -> None:
        """Write the line of a request for which ``access_log.wants`` one."""
        seconds = self.clock.monotonic() - ctx.started
        self.access_log.put(ctx, status, sent, seconds)
