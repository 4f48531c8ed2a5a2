"""Same accounts both ways: what is logged, counted and told of a request.

The bytes are held by ``test_same_bytes``; here it is what an operator sees. The same
raw requests go through a fast connection and through the whole way, each before an
application and an origin of its own.
"""

import json
from dataclasses import dataclass, field, replace
from typing import Any

import gevent
import pytest
from gevent import socket as gevent_socket

from edge.front.app.app import create_app
from edge.front.http1.connection import GreenletConnection
from edge.front.log import AccessLog
from edge.front.transport import BlockingStream, PlainTransport
from edge.policy.http.client_address import Peer
from tests.front.fake_edge import FakeOrigin
from tests.front.fast.test_connection import Bench
from tests.support.options import log_options

ADDRESS = ("192.0.2.1", 8080)
OWN = {"time", "id", "ms"}
"""Of a line, what no two requests share."""


@dataclass(eq=False)
class Books:
    """One front, and everything that it keeps account of."""

    lines: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.bench = Bench()
        self.bench.read_service.tell = self.told.append
        origin = FakeOrigin(lambda line: None)
        made = replace(self.bench.made, origin=origin)
        self.bench.context.parts = made
        app: Any = create_app(made)
        context = self.bench.server_context
        context.app = app
        context.access_log = AccessLog(
            log_options(access=1), self.lines.append, made.clock
        )
        self.bench.context.logs = True
        self.bench.connection._listener = ADDRESS

    def fast(self, raw: bytes) -> None:
        self.bench.client.sendall(raw)
        self.bench.client.settimeout(0.0)
        while not self.lines:
            self.bench.turn()
            self.bench.catch_up()

    def whole(self, raw: bytes) -> None:
        edge, client = gevent_socket.socketpair()
        client.sendall(raw)
        client.shutdown(gevent_socket.SHUT_WR)
        stream = BlockingStream(PlainTransport.of(gevent.get_hub().loop, edge))
        context = self.bench.server_context
        GreenletConnection(context, stream, ADDRESS, Peer()).serve()
        client.close()

    @property
    def line(self) -> dict[str, object]:
        [line] = self.lines
        return {k: v for k, v in json.loads(line).items() if k not in OWN}

    @property
    def counters(self) -> dict[str, object]:
        counters = self.bench.made.counters
        return {name: getattr(counters, name) for name in counters.__slots__}


def request(method: str, path: str, *fields: str, body: bytes | None = None) -> bytes:
    lines = [f"{method} /v1/stream/{path} HTTP/1.1", "Host: edge.test", *fields]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + (body or b"")


AGENT = "User-Agent: tests"
REQUESTS = {
    "append": request("POST", "swallow", AGENT, body=b"hello"),
    "append with a query": request("POST", "swallow?a=1&token=x", body=b"hello"),
    "create": request("PUT", "new", "Content-Type: text/plain"),
    "delete": request("DELETE", "none"),
    "chunks": request("POST", "chunks", "Referer: https://a.test/b", body=b"hello"),
    "conflict": request("POST", "taken", body=b"hello"),
    "away": request("POST", "away", body=b"hello"),
    "away without a body": request("DELETE", "away"),
    "lost": request("POST", "lost", body=b"hello"),
    "half": request("POST", "half", body=b"hello"),
    "head": request("HEAD", "hit", AGENT),
    "head that fails": request("HEAD", "fail"),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_both_ways_keep_the_same_accounts(name: str) -> None:
    fast, whole = Books(), Books()
    fast.fast(REQUESTS[name])
    whole.whole(REQUESTS[name])

    assert fast.line == whole.line
    assert fast.told == whole.told
    assert fast.counters == whole.counters
    fast.bench.close()
    whole.bench.close()
