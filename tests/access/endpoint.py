"""Somebody who is asked who is let in: a real server, with a barrier in a test's hand.

And a gate before it: the pipeline of a worker with real pools, and a clock that stands.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import gevent
from gevent import socket
from gevent.event import Event
from gevent.server import StreamServer

from edge.access.authorizer import AccessAuthorizer
from edge.access.check_budget import CheckBudget
from edge.access.credentials import by_ways
from edge.access.judges import Askers
from edge.access.key_ring import KeyRings
from edge.access.leases import Leases
from edge.access.revocations import Revocations
from edge.access.revoker import Revoker
from edge.ask_wiring import AskPools
from edge.core.counters import Counters
from edge.core.errors import EdgeError
from edge.core.values import Node
from edge.policy.http.client_address import Caller
from edge.policy.streams.authorize import Ask, Denied, RequestHead
from edge.policy.streams.pipeline import RequestPipeline, Resolved
from edge.policy.streams.routes import Route
from edge.policy.streams.ways import Way
from edge.settings import Settings
from edge.settings.schema import OriginSettings
from tests.live.support import TestClock

NODE = Node("pop", "00ff")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came."""

    method: str
    target: str
    fields: dict[str, str]


def said(status: int = 200, body: bytes = b"", *fields: str) -> bytes:
    """An answer on a connection that is kept."""
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Endpoint:
    """``answer`` says what each ask gets; while ``may`` is not set, nothing. ``most``
    is how many waited for it at once."""

    def __init__(self, listener: socket.socket) -> None:
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.asked: list[Asked] = []
        self.answer: Callable[[Asked], bytes] = lambda asked: said()
        self.may = Event()
        self.may.set()
        self.most = 0
        self._waiting = 0
        self._server = StreamServer(listener, self._serve)
        self._server.start()

    def _serve(self, connected: socket.socket, _address: object) -> None:
        stream = connected.makefile("rb")
        try:
            while asked := _read(stream):
                self.asked.append(asked)
                self._waiting += 1
                self.most = max(self.most, self._waiting)
                self.may.wait()
                self._waiting -= 1
                answer = self.answer(asked)
                connected.sendall(answer)
                if not answer.startswith(b"HTTP/1.1 ") or b"\r\n\r\n" not in answer:
                    break
        except OSError:
            # The edge hung up, which is its right.
            pass
        finally:
            stream.close()
            connected.close()

    def stop(self) -> None:
        self.may.set()
        self._server.stop(timeout=1)


def _read(stream: Any) -> Asked | None:
    line = stream.readline().decode("latin-1").split()
    if len(line) != 3:
        return None
    fields = {}
    while (raw := stream.readline().decode("latin-1").strip()) != "":
        name, _, value = raw.partition(":")
        assert name.lower() not in fields, raw
        fields[name.lower()] = value.strip()
    return Asked(line[0], line[1], fields)


@contextmanager
def endpoint() -> Iterator[Endpoint]:
    """One that listens on a free port."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(1024)
    listener.setblocking(False)
    made = Endpoint(listener)
    try:
        yield made
    finally:
        made.stop()
        listener.close()


@dataclass(eq=False)
class Gate:
    """The pipeline of a worker whose origin, too, is the endpoint at ``url``."""

    url: str
    ways: tuple[Way, ...]
    route: Route = field(default_factory=lambda: Route("/v1/stream/**"))
    others: tuple[Route, ...] = ()
    public_url: str | None = None
    fetch: Callable[[str], bytes] = lambda url: _nothing(url)
    budget: CheckBudget | None = None

    def __post_init__(self) -> None:
        self.clock = TestClock()
        self.counters = Counters()
        settings = Settings(origin=OriginSettings(url=self.url))
        self.pools = AskPools(settings)
        made = self.pools.askers("00ff")
        askers = Askers(
            endpoint=made.endpoint,
            origin=made.origin,
            timeout=0.3,
            node=NODE,
        )
        routes = (by_ways(self.route, self.ways), *self.others)
        rings = KeyRings(routes, _nothing, self.fetch, self.clock, self.counters)
        revocations, self.leases = Revocations(86_400.0), Leases()
        self.authorizer = AccessAuthorizer(
            routes,
            rings,
            self.clock,
            self.counters,
            self.public_url,
            self.budget,
            askers=askers,
            revocations=revocations,
            leases=self.leases,
        )
        self.revoker = Revoker(
            revocations, self.leases, None, self.clock, self.counters
        )
        self.revoker.forget = self.authorizer.forget
        self.rings = rings
        self.pipeline = RequestPipeline(routes, self.authorizer)

    def at_once(
        self, target: str, client: str | None = "192.0.2.1", /, **fields: str
    ) -> Resolved | Denied | Ask:
        """What is said on the event loop's callback."""
        head = _head("GET", target, client, fields)
        route = self.pipeline.find_route(target)
        return self.pipeline.resolve(head, route, self.clock.wall())

    def ask(
        self,
        target: str,
        client: str | None = "192.0.2.1",
        method: str = "GET",
        /,
        **fields: str,
    ) -> Resolved | Denied | EdgeError:
        """What is said in a greenlet that may wait."""
        head = _head(method, target, client, fields)
        route = self.pipeline.find_route(target)
        assert route is not None
        try:
            found = self.pipeline.resolve(head, route, self.clock.wall())
            if isinstance(found, Ask):
                return self.pipeline.settle(head, route, found.verdict())
        except EdgeError as error:
            return error
        return found

    def asks(self) -> dict[str, int]:
        """What was counted of asks."""
        return dict(self.counters.asks)


def _head(
    method: str, target: str, client: str | None, fields: dict[str, str]
) -> RequestHead:
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    named.setdefault("host", "edge.example")
    return RequestHead.of(method, target, named.get, lambda: Caller(client or ""))


def _nothing(where: str) -> bytes:
    raise AssertionError(where)


def together(*calls: Callable[[], Any]) -> list[Any]:
    """What these calls give that are made at once."""
    greenlets = [gevent.spawn(call) for call in calls]
    gevent.joinall(greenlets, raise_error=True)
    return [greenlet.value for greenlet in greenlets]


def until(is_so: Callable[[], bool]) -> None:
    """Let others run until it is so. A test that hangs here has failed."""
    with gevent.Timeout(60.0):
        while not is_so():
            gevent.idle()
