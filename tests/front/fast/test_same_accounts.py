"""Same accounts both ways: what is logged, counted and told of a request.

The bytes are held by ``test_same_bytes``; here it is what an operator sees. The same
raw requests go through a fast connection and through the whole way, each before an
application and an origin of its own.
"""

import json
import socket
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import gevent
import pytest
from gevent import socket as gevent_socket

from edge.core.histograms import SUM, Timings
from edge.front.app.app import create_app
from edge.front.fast.connection import FastConnection
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
        self.until_logged()

    def whole(self, raw: bytes) -> None:
        edge, client = gevent_socket.socketpair()
        client.sendall(raw)
        client.shutdown(gevent_socket.SHUT_WR)
        self._serve_whole(edge)
        client.close()

    def fast_of_reset(self, raw: bytes) -> None:
        """The same of a client that sends this, and then resets its connection."""
        self.bench.close()
        transport = PlainTransport.of(self.bench.context.loop, reset_behind(raw))
        self.bench.connection = FastConnection(
            self.bench.context, transport, Peer(), ADDRESS, lambda ended: None
        )
        self.until_logged()

    def whole_of_reset(self, raw: bytes) -> None:
        self._serve_whole(gevent_socket.socket(fileno=reset_behind(raw).detach()))

    def until_logged(self) -> None:
        for _ in range(100):
            if self.lines:
                return
            self.bench.turn()
            self.bench.catch_up()
        raise AssertionError("there is no line of it")

    def _serve_whole(self, edge: Any) -> None:
        stream = BlockingStream(PlainTransport.of(gevent.get_hub().loop, edge))
        context = self.bench.server_context
        GreenletConnection(context, stream, ADDRESS, Peer()).serve()

    @property
    def line(self) -> dict[str, object]:
        [line] = self.lines
        return {k: v for k, v in json.loads(line).items() if k not in OWN}

    @property
    def counters(self) -> dict[str, object]:
        counters = self.bench.made.counters
        kept = {name: getattr(counters, name) for name in counters.__slots__}
        return {**kept, "timings": observed(counters.timings)}


@pytest.fixture
def fast() -> Iterator[Books]:
    made = Books()
    yield made
    made.bench.close()


@pytest.fixture
def whole() -> Iterator[Books]:
    made = Books()
    yield made
    made.bench.close()


def observed(timings: Timings) -> dict[str, Counter[str]]:
    """How often each was observed, however long it took."""
    found: dict[str, Counter[str]] = {}
    for name, counts in timings.as_counts().items():
        found[name] = Counter()
        for label, count in counts.items():
            labels, _, bucket = label.rpartition(" ")
            if bucket != SUM:
                found[name][labels] += count
    return found


def reset_behind(raw: bytes) -> socket.socket:
    """The edge's end of a connection on which ``raw`` came, and then a reset."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        edge, _ = server.accept()
    client.sendall(raw)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    return edge


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
def test_both_ways_keep_the_same_accounts(fast: Books, whole: Books, name: str) -> None:
    fast.fast(REQUESTS[name])
    whole.whole(REQUESTS[name])

    assert fast.line == whole.line
    assert fast.told == whole.told
    assert fast.counters == whole.counters


@pytest.mark.parametrize("leave", ["ends", "resets"])
def test_a_body_that_does_not_come_is_accounted_for_both_ways(
    fast: Books, whole: Books, leave: str
) -> None:
    """U27: but that on the fast way the origin is not asked, and so the hub hears of no
    write that may have happened."""
    cut = request("POST", "swallow", AGENT, body=b"hello")[:-2]
    if leave == "ends":
        fast.bench.client.sendall(cut)
        fast.bench.client.shutdown(socket.SHUT_WR)
        fast.until_logged()
        whole.whole(cut)
    else:
        fast.fast_of_reset(cut)
        whole.whole_of_reset(cut)

    assert fast.line == whole.line
    assert fast.line["reason"] == ("body-cut" if leave == "ends" else "client-gone")
    assert fast.counters["client_faults"] == {"body-cut": 1}
    # One counts what it gives to the transport, the other what was taken.
    own = {"origin_requests", "writes", "bytes_out"}
    assert {k: v for k, v in fast.counters.items() if k not in own} == {
        k: v for k, v in whole.counters.items() if k not in own
    }
    assert (fast.counters["origin_requests"], fast.counters["writes"]) == ({}, {})
