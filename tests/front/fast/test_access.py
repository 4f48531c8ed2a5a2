"""Bad tokens get the same answer both ways through the front, in every mode.

A1, A9, A15, B14, B23. The authorizer is the real one.
"""

from collections.abc import Iterator

import gevent
import pytest
from gevent import socket as gevent_socket

from edge.access.authorizer import AccessAuthorizer
from edge.access.credentials import by_ways
from edge.access.key_ring import KeyRings
from edge.core.counters import Counters
from edge.front.fast.stages import READ_SIZE
from edge.front.http1.connection import GreenletConnection
from edge.front.transport import BlockingStream, PlainTransport
from edge.policy.http.client_address import Peer
from edge.policy.streams.routes import Route
from tests.access.issuer import NOW, said, shared
from tests.access.test_authorizer import BAD, JWT, SIGNED, link
from tests.front.fast.test_grants import (
    ADDRESS,
    START,
    Gate,
    HeldClock,
    compared,
)

MODES = ("", "offset=-1", "offset=now", "live=long-poll&offset=7", "live=sse&offset=7")
PATH = "/v1/stream/a"


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A gate before the real authorizer, at the tokens' time."""
    route = by_ways(Route(), (SIGNED, JWT))
    clock = HeldClock(NOW - START)
    rings = KeyRings((route,), _nothing, _nothing, clock, Counters())
    judge = AccessAuthorizer((route,), rings, clock, Counters())
    made = Gate(judge, clock, (route,))  # type: ignore[arg-type]
    yield made
    made.bench.close()


def _nothing(where: str) -> bytes:
    raise AssertionError(where)


def head(target: str, *fields: str) -> bytes:
    lines = [f"GET {target} HTTP/1.1", "Host: edge.test", *fields, "", ""]
    return "\r\n".join(lines).encode()


def served_whole(made: Gate, sent: bytes) -> bytes:
    """What the same request is answered without the fast way."""
    edge, client = gevent_socket.socketpair()
    client.sendall(sent)
    client.shutdown(gevent_socket.SHUT_WR)
    stream = BlockingStream(PlainTransport.of(gevent.get_hub().loop, edge))
    context = made.bench.server_context
    GreenletConnection(context, stream, ADDRESS, Peer()).serve()
    with client:
        received = b""
        while piece := client.recv(READ_SIZE):
            received += piece
    return received


def both(made: Gate, target: str, *fields: str) -> bytes:
    """The one answer of both ways, but for what numbers each."""
    return alike(made, head(target, *fields))


def alike(made: Gate, sent: bytes) -> bytes:
    """The same of any request."""
    made.bench.client.settimeout(5.0)
    made.bench.client.sendall(sent)
    received = b""
    while b"\r\n\r\n" not in received:
        made.bench.turn()
        made.bench.catch_up()
        received += made.received()
    whole = served_whole(made, sent)
    assert compared(received) == compared(whole)
    return received


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", sorted(BAD.keys() - {"huge"}))
def test_a_bad_token_is_refused_alike_both_ways(
    gate: Gate, case: str, mode: str
) -> None:
    make, status, reason = BAD[case]
    query = f"?{mode}" if mode else ""
    told = both(gate, PATH + query, f"Authorization: Bearer {make()}")

    assert told.startswith(b"HTTP/1.1 %d " % status)
    assert b'"reason":"%s"' % reason.value.encode() in told
    assert not gate.bench.read_service.reads and not gate.remembered


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("target", "fields", "status"),
    [
        (PATH, (), 401),
        (PATH, ("Authorization: Bearer",), 401),
        (PATH, ("Authorization: Basic YTpi",), 401),
        (f"{PATH}?access_token=", (), 401),
        (f"{PATH}?access_token=a&access_token=b", (), 400),
        (f"{PATH}?access_token=a", ("Authorization: Bearer b",), 400),
        (link()[:-1], (f"Authorization: Bearer {shared()}",), 403),
        ("/v1/stream/%61", (f"Authorization: Bearer {shared()}",), 403),
        ("/v1/stream/a%2F", (f"Authorization: Bearer {shared()}",), 403),
        ("/v1/stream/x/../a", (f"Authorization: Bearer {shared()}",), 400),
        ("/v1/STREAM/a", (f"Authorization: Bearer {shared()}",), 400),
        ("/v2/a", (f"Authorization: Bearer {shared()}",), 404),
        (PATH, (f"Authorization: Bearer {'x' * 9000}",), 431),
    ],
)
def test_whatever_is_wrong_is_told_alike_both_ways(
    gate: Gate, target: str, fields: tuple[str, ...], status: int, mode: str
) -> None:
    if mode:
        target += ("&" if "?" in target else "?") + mode
    told = both(gate, target, *fields)

    assert told.startswith(b"HTTP/1.1 %d " % status)
    assert not gate.bench.read_service.reads and not gate.remembered


@pytest.mark.parametrize(
    ("method", "claims", "status"),
    [
        ("POST", {"write": [PATH]}, 404),
        ("DELETE", {"write": [PATH]}, 404),
        ("POST", {"read": [PATH]}, 403),
        ("PUT", {"read": [PATH]}, 403),
        ("DELETE", {"read": [PATH]}, 403),
        ("HEAD", {"write": [PATH]}, 403),
    ],
)
def test_who_may_write_is_told_alike_both_ways(
    gate: Gate, method: str, claims: dict[str, list[str]], status: int
) -> None:
    """A5, B5: the right that a method needs, whichever way it comes."""
    fields = (f"Authorization: Bearer {shared(said(streams=claims))}",)
    sent = head(PATH, *fields).replace(b"GET", method.encode(), 1)
    told = alike(gate, sent)

    assert told.startswith(b"HTTP/1.1 %d " % status)
