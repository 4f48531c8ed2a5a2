"""Slots: bounded, first come first served, and never lost (L24, E49)."""

from collections.abc import Iterator

import gevent
import pytest

from edge.core.errors import OriginBodyCut, OriginFault, OriginUnreachable
from edge.core.ports import Exchange
from edge.core.reasons import Reason
from edge.core.values import OriginRequest, Purpose
from tests.origin_adapter.http.raw_origin import (
    OK,
    Origins,
    Peer,
    Play,
    answering,
    settle,
)
from tests.support.patience import PATIENCE

GET = OriginRequest("GET", "/s")
START = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi"


def silent(peer: Peer) -> None:
    peer.request()
    peer.stay()


def begun(peer: Peer) -> None:
    peer.request()
    peer.send(START)
    peer.stay()


def whole(exchange: Exchange) -> bytes:
    return b"".join(iter(exchange.read, b""))


def test_each_kind_of_call_has_its_own_bound(origins: Origins) -> None:
    """L24: followers cannot starve writes, nor what a client alone holds them."""
    _, pool = origins(
        *[begun] * 4,
        write_connections=1,
        catch_up_connections=1,
        follow_connections=1,
        relay_connections=1,
        queue_timeout=0.01,
    )
    kinds = (Purpose.RELAY, Purpose.FOLLOW, Purpose.WRITE, Purpose.CATCH_UP)
    held = [pool.open(OriginRequest("GET", "/s", purpose=kind)) for kind in kinds]
    assert repr(pool).count("1 active, 0 idle, 0 waiting") == 4

    for kind in kinds:
        with pytest.raises(OriginFault) as caught:
            pool.open(OriginRequest("GET", "/s", purpose=kind))
        assert (caught.value.reason, caught.value.status) == (Reason.LIMIT_ORIGIN, 503)

    for exchange in held:
        exchange.close()


def test_the_line_is_served_in_order(origins: Origins) -> None:
    _, pool = origins(begun, *[OK] * 8, catch_up_connections=1)
    held = pool.open(GET)
    served = []

    def call(number: int) -> None:
        exchange = pool.open(GET)
        served.append(number)
        exchange.close()

    waiting = [gevent.spawn(call, number) for number in range(8)]
    settle()
    assert "1 active, 0 idle, 8 waiting" in repr(pool)
    held.close()
    gevent.joinall(waiting, raise_error=True)

    assert served == list(range(8))


def test_the_line_has_an_end(origins: Origins) -> None:
    _, pool = origins(begun, catch_up_connections=1, queue_limit=1)
    held = pool.open(GET)
    waiting = gevent.spawn(pool.open, GET)
    settle()

    with pytest.raises(OriginFault) as caught:
        pool.open(GET)

    assert caught.value.reason is Reason.LIMIT_ORIGIN
    waiting.kill()
    held.close()


def test_who_is_killed_in_the_line_leaves_it(origins: Origins) -> None:
    _, pool = origins(begun, OK, catch_up_connections=1)
    held = pool.open(GET)
    waiting = gevent.spawn(pool.open, GET)
    settle()

    waiting.kill()

    assert "1 active, 0 idle, 0 waiting" in repr(pool)
    held.close()
    assert whole(pool.open(GET)) == b"hi"


def test_a_slot_handed_to_somebody_who_dies_goes_to_the_next(origins: Origins) -> None:
    """Killed between the hand-over and the waking: the slot is passed on."""
    _, pool = origins(begun, OK, catch_up_connections=1)
    held = pool.open(GET)
    heir = gevent.spawn(pool.open, GET)
    settle()
    next_one = gevent.spawn(lambda: whole(pool.open(GET)))
    settle()

    heir.kill(block=False)
    held.close()

    assert next_one.get(timeout=PATIENCE) == b"hi"


@pytest.mark.parametrize("play", [silent, begun], ids=["in the head", "in the body"])
def test_a_killed_call_gives_its_slot_back(origins: Origins, play: Play) -> None:
    _, pool = origins(play, OK, catch_up_connections=1)
    caller = gevent.spawn(lambda: whole(pool.open(GET)))
    settle()
    assert "catch-up: 1 active" in repr(pool)

    caller.kill()

    assert "catch-up: 0 active, 0 idle" in repr(pool)
    assert whole(pool.open(GET)) == b"hi"


def test_a_reader_killed_in_the_body_gives_its_slot_back(origins: Origins) -> None:
    _, pool = origins(begun, catch_up_connections=1)
    exchange = pool.open(GET)
    assert exchange.read() == b"hi"
    reader = gevent.spawn(exchange.read)
    settle()

    reader.kill()

    assert "catch-up: 0 active, 0 idle" in repr(pool)
    with pytest.raises(OriginBodyCut):
        exchange.read()


def test_a_call_killed_while_it_sends_gives_its_slot_back(origins: Origins) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * 65536

    _, pool = origins(Peer.stay, OK)
    request = OriginRequest("PUT", "/s", purpose=Purpose.WRITE, body=endless())
    caller = gevent.spawn(pool.open, request)
    settle()
    assert "write: 1 active" in repr(pool)

    caller.kill()

    assert "write: 0 active, 0 idle" in repr(pool)


@pytest.mark.usefixtures("hub_errors")
def test_a_closed_exchange_releases_its_reader(origins: Origins) -> None:
    """``Exchange.close`` from another greenlet (ports.Exchange)."""
    _, pool = origins(begun)
    exchange = pool.open(GET)
    assert exchange.read() == b"hi"
    reader = gevent.spawn(exchange.read)
    settle()

    exchange.close()
    exchange.close()

    with pytest.raises(OriginBodyCut):
        reader.get(timeout=PATIENCE)
    with pytest.raises(OriginBodyCut):
        exchange.read()
    assert pool.counts.faults == {}, "that was nobody's fault"
    assert "catch-up: 0 active, 0 idle" in repr(pool)


def test_closing_before_the_end_drops_the_connection(origins: Origins) -> None:
    raw, pool = origins(begun, OK)
    pool.open(GET).close()

    assert whole(pool.open(GET)) == b"hi"
    assert raw.accepted == 2


def test_closing_after_the_end_changes_nothing(origins: Origins) -> None:
    raw, pool = origins(answering(OK, OK))
    exchange = pool.open(GET)
    assert whole(exchange) == b"hi"

    exchange.close()

    assert exchange.read() == b""
    assert whole(pool.open(GET)) == b"hi"
    assert raw.accepted == 1


def test_a_closed_exchange_cannot_hurt_the_next_call(origins: Origins) -> None:
    """Its connection has another owner by now."""
    _, pool = origins(answering(OK, START + b"you"))
    early = pool.open(GET)
    assert whole(early) == b"hi"
    later = pool.open(GET)

    early.close()

    assert whole(later) == b"hiyou"


@pytest.mark.usefixtures("hub_errors")
def test_closing_the_pool_releases_everybody(origins: Origins) -> None:
    _, pool = origins(silent, begun, answering(OK), follow_connections=1)
    follow = OriginRequest("GET", "/s", purpose=Purpose.FOLLOW)
    in_head = gevent.spawn(pool.open, follow)
    settle()
    in_line = gevent.spawn(pool.open, follow)
    exchange = pool.open(GET)
    assert exchange.read() == b"hi"
    in_body = gevent.spawn(exchange.read)
    assert whole(pool.open(OriginRequest("GET", "/s", purpose=Purpose.WRITE))) == b"hi"
    settle()

    pool.close()

    for caller in (in_head, in_line):
        with pytest.raises(OriginUnreachable):
            caller.get(timeout=PATIENCE)
    with pytest.raises(OriginBodyCut):
        in_body.get(timeout=PATIENCE)
    with pytest.raises(OriginUnreachable):
        pool.open(GET)
    assert repr(pool).count("0 active, 0 idle, 0 waiting") == 4


@pytest.mark.usefixtures("hub_errors")
def test_a_pool_closed_while_a_call_connects(origins: Origins) -> None:
    _, pool = origins(OK)
    caller = gevent.spawn(pool.open, GET)
    gevent.sleep(0)
    assert "catch-up: 1 active" in repr(pool)

    pool.close()

    with pytest.raises(OriginUnreachable):
        caller.get(timeout=PATIENCE)


def test_what_is_counted(origins: Origins) -> None:
    _, pool = origins(answering(OK, OK), b"nonsense")
    whole(pool.open(GET))
    whole(pool.open(GET))
    with pytest.raises(OriginFault):
        pool.open(OriginRequest("GET", "/s", purpose=Purpose.WRITE))

    counts = pool.counts

    assert (counts.requests, counts.connects, counts.reused) == (3, 2, 1)
    assert counts.faults == {Reason.ORIGIN_GARBAGE: 1}
