"""One worker, or a front and its keeper, in a process: real hubs, a fake origin.

``main`` takes a ``NodeEntry`` from its argument. In a node the keeper's server listens
on a unix socket of the same event loop: the two meet on the wire, and share nothing
else. Whoever starts it patches first.
"""

import os
import pickle
import resource
import socket
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from gunicorn.config import Config

from edge.core.counters import Counters
from edge.core.node_counters import CounterSet
from edge.core.values import OriginRequest
from edge.front.app.app import create_app
from edge.front.dependencies import Dependencies
from edge.front.fast.context import FastContext
from edge.front.fast.listener import FastServer
from edge.front.http1.context import Application, ServerContext
from edge.front.log import AccessLog
from edge.front.options import FrontOptions, LogOptions
from edge.link.terms_authorizer import authorizer_of
from edge.live.context import HubOptions
from edge.live.control import HubControl
from edge.live.hub import Hub
from edge.node_wiring import (
    FrontOrigin,
    front_front_options,
    front_hub_options,
    keeper_front_options,
    keeper_hub_options,
)
from edge.policy.http.link_fields import KeeperEnd
from edge.policy.streams.authorize import Authorizer, authorize
from edge.policy.streams.routes import Route
from edge.process.gunicorn_app import EdgeApplication, Plan, gunicorn_settings
from edge.process.options import ServerOptions
from edge.process.seat import Seat
from origin_adapter.http import HttpOptions
from tests.front.fake_edge import FakeOrigin, RealClock

BOARD = "b0a4d"
QUIET = LogOptions(format="json", level="error", access=0)


@dataclass(frozen=True, slots=True)
class NodeEntry:
    """What it is started with. ``keepers`` 0: one worker alone."""

    options: ServerOptions
    front: FrontOptions
    hub: HubOptions
    http: HttpOptions
    events: int
    keepers: int
    routes: tuple[Route, ...] = (Route(),)


@dataclass(eq=False)
class TellingOrigin(FakeOrigin):
    """Tells each request: what the origin of a node is asked."""

    def open(self, request: OriginRequest, on_sent: Any = None) -> Any:
        self.tell(f"asked {request.method} {request.target}")
        return super().open(request, on_sent)


@dataclass(eq=False)
class View:
    """Implements ``KeepersView``: as a test says."""

    round: bool = False
    lives: list[str] = field(default_factory=list)

    def owner(self, path: str) -> int:
        return 0

    def goes_round(self, keeper: int, now: float) -> bool:
        return self.round

    def is_leaving(self, keeper: int) -> bool:
        return False

    def store_life(self, path: str) -> None:
        self.lives.append(path)


@dataclass(eq=False)
class Process:
    """Implements ``Runtime``: the parts of one role."""

    hub: Hub
    parts: Dependencies
    tell: Any
    revoker: None = None
    also: Any = None

    @property
    def control(self) -> HubControl:
        return HubControl(self.hub)

    @property
    def counter_set(self) -> CounterSet:
        return CounterSet(self.parts.counters)

    def end_hand_over(self) -> None:
        """It is handed nothing."""

    def start(self) -> None:
        if self.also is not None:
            self.also.start()
        self.hub.start()
        self.tell(f"started {os.getpid()}")

    def ready(self) -> bool:
        return not self.hub.draining

    def drain(self, grace: float) -> None:
        self.hub.begin_drain()

    def let_go(self) -> None:
        self.hub.let_go()

    def stop(self) -> None:
        self.hub.stop()


def made(
    origin: Any,
    hub_options: HubOptions,
    front_options: FrontOptions,
    judge: Authorizer,
    tell: Any,
) -> Process:
    """The parts of a worker, of a front or of a keeper."""
    counters, clock = Counters(), RealClock()
    hub = Hub(origin, hub_options, counters, clock)
    parts = Dependencies(
        *(hub, origin, tuple(hub_options.routes), counters, clock, front_options),
        *(hub.answer_cache.peek, hub.ticker, judge, lambda: hub.draining),
    )
    return Process(hub, parts, tell)


class KeeperServer:
    """A keeper's hub, and its server on a link socket."""

    def __init__(self, entry: NodeEntry, origin: Any, path: str) -> None:
        end = KeeperEnd(BOARD, 7)
        self._process = made(
            origin,
            keeper_hub_options(entry.hub, end.boot),
            keeper_front_options(entry.front, end),
            authorizer_of(BOARD),
            lambda line: None,
        )
        self._path = path
        self._config = Config()
        for name, value in gunicorn_settings(entry.options).items():
            self._config.set(name, value)

    def start(self) -> None:
        parts = self._process.parts
        self._process.hub.start()
        app = cast(Application, create_app(parts))
        log = AccessLog(QUIET, lambda line: None, parts.clock)
        options = parts.options, parts.counters, parts.clock
        context = ServerContext(app, self._config, *options, log)
        bound = socket.socket(socket.AF_UNIX)
        bound.bind(self._path)
        bound.listen(64)
        FastServer(FastContext(parts, context), bound, set(), 8).start()


def runtime_of(entry: NodeEntry, tell: Any) -> Process:
    """What the entry asks for."""
    origin = TellingOrigin(tell)
    if not entry.keepers:
        return made(origin, entry.hub, entry.front, authorize, tell)
    folder = tempfile.mkdtemp()
    path = str(Path(folder) / "keeper-0.sock")
    keeper = KeeperServer(entry, origin, path)
    counters = Counters()
    # The same origin, as the front asks it itself.
    direct = TellingOrigin(lambda line: tell(f"direct {line}"), origin.living)
    front = FrontOrigin(
        *(View(), (path,), direct, entry.http, BOARD),
        *(entry.hub.long_poll_timeout, RealClock(), counters.origin_requests),
        entry.hub.max_object,
    )
    process = made(
        front.origin,
        front_hub_options(entry.hub),
        front_front_options(entry.front),
        authorize,
        tell,
    )
    process.also = keeper
    tell(f"keeper {path}")
    return process


def main() -> None:
    """Serve until told to stop."""
    entry: NodeEntry = pickle.loads(bytes.fromhex(sys.argv[1]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def tell(line: str) -> None:
        os.write(entry.events, line.encode() + b"\n")

    def make(_seat: Seat) -> Process:
        return runtime_of(entry, tell)

    EdgeApplication(Plan(make, entry.options), None).run()
