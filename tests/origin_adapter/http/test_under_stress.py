"""Two hundred callers, an origin in a bad mood, and no slot lost afterwards."""

import random
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest

from edge.core.errors import ClientBodyCut, OriginFault
from edge.core.values import OriginRequest, Purpose
from origin_adapter.http import HttpOrigin
from tests.origin_adapter.http.raw_origin import OK, Peer, listening, settle
from tests.support.options import http_options

CALLERS = 200
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
GOOD = (OK, CHUNKED + b"2\r\nhi\r\n0\r\n\r\n")
PATIENT = [purpose for purpose in Purpose if purpose is not Purpose.EVENTS]
"""Event streams are outwaited for ever: only their receiver ends them."""
BAD = (
    b"",
    b"garbage",
    OK[:-1],
    OK + b"surplus",
    CHUNKED + b"2\r\nhi\r\n",
    CHUNKED + b"zz",
    b"HTTP/1.1 200 OK\r\n\r\nhi",
    b"HTTP/1.1 200 OK\r\nA: " + b"a" * 70_000,
)


class Moody:
    """Answers well three times in four; else badly, or not at all."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice

    def __call__(self, peer: Peer) -> None:
        while peer.request() is not None:
            if self._dice.random() < 0.75:
                peer.send(self._dice.choice(GOOD))
                continue
            peer.send(self._dice.choice(BAD))
            if self._dice.random() < 0.2:
                peer.to_the_end()
            elif self._dice.random() < 0.5:
                peer.reset()
            return


def body_of(dice: random.Random) -> Iterator[bytes] | None:
    """None, or a body that sometimes fails at the second piece."""

    def body() -> Iterator[bytes]:
        yield b"one"
        if dice.random() < 0.2:
            raise ClientBodyCut("gone")
        yield b"two"

    return body() if dice.random() < 0.3 else None


def caller(pool: HttpOrigin, dice: random.Random, outcomes: list[str]) -> None:
    for _ in range(5):
        request = OriginRequest(
            dice.choice(["GET", "HEAD", "POST"]),
            "/s",
            purpose=dice.choice(PATIENT),
            body=body_of(dice),
        )
        try:
            exchange = pool.open(request)
            if dice.random() < 0.1:
                exchange.close()
            else:
                assert b"".join(iter(exchange.read, b"")) in (b"", b"hi")
            outcomes.append("answered")
        except (OriginFault, ClientBodyCut) as fault:
            outcomes.append(type(fault).__name__)


def open_files() -> int:
    """How many descriptors this process holds."""
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_slot_is_lost(seed: int) -> None:
    dice = random.Random(seed)
    settle()
    files = open_files()
    with listening(*[Moody(dice)] * 5000, backlog=1024) as raw:
        pool = HttpOrigin(
            http_options(
                raw.url,
                head_timeout=0.05,
                hold_timeout=0.05,
                idle_timeout=0.05,
                write_connections=10,
                catch_up_connections=10,
                follow_connections=10,
            )
        )
        outcomes: list[str] = []
        callers = [gevent.spawn(caller, pool, dice, outcomes) for _ in range(CALLERS)]
        settle()
        victims = dice.sample(callers, 40)
        gevent.killall(victims)
        gevent.joinall(callers, raise_error=True)

        assert repr(pool).count("0 active") == 4, repr(pool)
        assert repr(pool).count("0 waiting") == 4, repr(pool)
        assert "answered" in outcomes
        pool.close()
        assert repr(pool).count("0 idle") == 4
    with gevent.Timeout(60):
        while open_files() > files:
            settle()


def test_a_crowd_is_served_by_few_connections() -> None:
    """Every call is answered, with as many connections as there are slots."""

    def play(peer: Peer) -> None:
        while peer.request() is not None:
            peer.send(OK)

    with listening(*[play] * 8, backlog=1024) as raw:
        pool = HttpOrigin(http_options(raw.url, catch_up_connections=8))
        calls = [
            gevent.spawn(pool.open, OriginRequest("GET", f"/{number}"))
            for number in range(CALLERS)
        ]
        gevent.joinall(calls, raise_error=True)

        assert raw.accepted <= 8
        assert len(raw.requests) == CALLERS
        pool.close()
