"""When a connection serves again, and when a call is sent a second time."""

from collections.abc import Callable

import gevent
import pytest
from gevent.event import Event

from edge.core.errors import OriginGarbage, OriginUnreachable
from edge.core.ports import Exchange
from edge.core.values import OriginRequest, Purpose
from tests.origin_adapter.http.raw_origin import OK, Origins, Peer, answering, settle
from tests.support.patience import PATIENCE

GET = OriginRequest("GET", "/s")
POST = OriginRequest("POST", "/s", purpose=Purpose.WRITE)
START = b"HTTP/1.1 200 OK\r\n"
CHUNKED = START + b"Transfer-Encoding: chunked\r\n\r\n"


def whole(exchange: Exchange) -> bytes:
    return b"".join(iter(exchange.read, b""))


def dying(*, after: bytes | None = None) -> Callable[[Peer], None]:
    """A play that answers once, and hangs up instead of a second answer."""

    def play(peer: Peer) -> None:
        peer.request()
        peer.send(OK)
        peer.request()
        if after is not None:
            peer.send(after)

    return play


@pytest.mark.parametrize(
    "answer",
    [
        OK,
        CHUNKED + b"2\r\nhi\r\n0\r\n\r\n",
        START + b"Connection: keep-alive\r\nContent-Length: 2\r\n\r\nhi",
    ],
)
def test_a_clean_end_gives_the_connection_to_the_next(
    origins: Origins, answer: bytes
) -> None:
    raw, pool = origins(answering(answer, OK))

    assert [whole(pool.open(GET)), whole(pool.open(GET))] == [b"hi", b"hi"]
    assert (raw.accepted, pool.counts.reused) == (1, 1)


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"x",
        OK + b"\r\n",
        OK + OK,
        CHUNKED + b"2\r\nhi\r\n0\r\n\r\n\r\n",
        CHUNKED + b"2\r\nhi\r\n0\r\n\r\nx",
        CHUNKED + b"2\r\nhi\r\n0\r\n\r\n" + OK,
        CHUNKED + b"2\r\nhi\r\n0\r\nX-Trailer: 1\r\n\r\n",
        CHUNKED + b"2\r\nhi\r\n0\r\nX-Trailer: 0\r\n\r\n",
        START + b"Connection: close\r\nContent-Length: 2\r\n\r\nhi",
        START + b"Connection: foo, Close\r\nContent-Length: 2\r\n\r\nhi",
        START + b"Connection: keep-alive\r\nConnection: close\r\n"
        b"Content-Length: 2\r\n\r\nhi",
        START + b"\r\nhi",
    ],
)
def test_what_follows_a_message_costs_the_connection(
    origins: Origins, answer: bytes
) -> None:
    """Bytes behind the end are nobody's: neither this answer's nor the next one's."""
    by_closing = answer == START + b"\r\nhi"
    raw, pool = origins(answer if by_closing else answering(answer), OK)

    assert whole(pool.open(GET)) == b"hi"
    assert repr(pool).count("0 idle") == 4
    assert whole(pool.open(GET)) == b"hi"
    assert (raw.accepted, pool.counts.reused) == (2, 0)


def test_an_idle_connection_that_speaks_is_dropped(origins: Origins) -> None:
    """Unasked bytes must not become the next call's answer."""
    spoken = Event()

    def play(peer: Peer) -> None:
        peer.request()
        peer.send(OK)
        spoken.wait()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        peer.stay()

    raw, pool = origins(play, OK)
    assert whole(pool.open(GET)) == b"hi"

    spoken.set()
    settle()

    assert whole(pool.open(GET)) == b"hi"
    assert (raw.accepted, pool.counts.reused, pool.counts.retries) == (2, 0, 0)


@pytest.mark.parametrize("ending", [Peer.close, Peer.reset])
def test_an_idle_connection_that_hung_up_is_dropped(
    origins: Origins, ending: Callable[[Peer], None]
) -> None:
    def play(peer: Peer) -> None:
        peer.request()
        peer.send(OK)
        read.wait()
        ending(peer)

    read = Event()
    raw, pool = origins(play, OK)
    assert whole(pool.open(POST)) == b"hi"
    read.set()
    settle()

    assert whole(pool.open(POST)) == b"hi"
    assert (raw.accepted, pool.counts.reused) == (2, 0)


def test_idle_connections_are_closed_when_their_time_is_over(origins: Origins) -> None:
    """Node closes after five seconds; whoever is earlier loses no request."""
    gone = Event()

    def play(peer: Peer) -> None:
        peer.request()
        peer.send(OK)
        peer.to_the_end()
        gone.set()

    _, pool = origins(play, OK, keep_alive=0.01)
    assert whole(pool.open(GET)) == b"hi"

    assert gone.wait(PATIENCE)
    assert whole(pool.open(GET)) == b"hi"
    assert pool.counts.reused == 0


def test_what_is_idle_beyond_the_bound_is_closed_soon(origins: Origins) -> None:
    """Soon, not at once: polls that are answered together are sent again together."""
    closed = Event()

    def play(peer: Peer) -> None:
        peer.request()
        peer.send(OK)
        peer.to_the_end()
        closed.set()

    _, pool = origins(*[play] * 3, max_idle=2)

    calls = [gevent.spawn(lambda: whole(pool.open(GET))) for _ in range(3)]
    gevent.joinall(calls, raise_error=True)
    assert "catch-up: 0 active, 3 idle" in repr(pool)

    assert closed.wait(PATIENCE)
    assert "catch-up: 0 active, 2 idle" in repr(pool)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_kept_connection_that_died_before_a_byte_is_replaced_once(
    origins: Origins, method: str
) -> None:
    """L21: one retry, only for a pooled connection that died before the head."""
    raw, pool = origins(dying(), OK)
    assert whole(pool.open(GET)) == b"hi"
    sent = []

    exchange = pool.open(OriginRequest(method, "/s"), lambda: sent.append(method))

    assert exchange.status == 200
    assert (raw.accepted, pool.counts.retries, pool.counts.reused) == (2, 1, 1)
    assert sent == [method], "told once, at the first sending"
    exchange.close()


def test_the_second_sending_is_the_last(origins: Origins) -> None:
    raw, pool = origins(dying(), lambda peer: peer.request(), OK)
    assert whole(pool.open(GET)) == b"hi"

    with pytest.raises(OriginUnreachable):
        pool.open(GET)

    assert (raw.accepted, pool.counts.retries) == (2, 1)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_no_other_method_is_ever_sent_twice(origins: Origins, method: str) -> None:
    """E22: nobody knows whether the origin acted."""
    raw, pool = origins(dying(), OK)
    request = OriginRequest(method, "/s", purpose=Purpose.WRITE)
    assert whole(pool.open(request)) == b"hi"

    with pytest.raises(OriginUnreachable):
        pool.open(request)

    assert (raw.accepted, pool.counts.retries) == (1, 0)


def test_a_get_with_a_body_is_never_sent_twice(origins: Origins) -> None:
    raw, pool = origins(dying(), OK)
    assert whole(pool.open(GET)) == b"hi"

    with pytest.raises(OriginUnreachable):
        pool.open(OriginRequest("GET", "/s", body=iter([b"x"])))

    assert (raw.accepted, pool.counts.retries) == (1, 0)


@pytest.mark.parametrize("said", [b"H", b"HTTP/1.1 103 Hints\r\n\r\n"])
def test_a_single_byte_of_an_answer_forbids_the_retry(
    origins: Origins, said: bytes
) -> None:
    raw, pool = origins(dying(after=said), OK)
    assert whole(pool.open(GET)) == b"hi"

    with pytest.raises(OriginGarbage):
        pool.open(GET)

    assert (raw.accepted, pool.counts.retries) == (1, 0)


def test_lanes_do_not_share_connections(origins: Origins) -> None:
    """L24."""
    raw, pool = origins(answering(OK), answering(OK))

    assert whole(pool.open(GET)) == b"hi"
    assert whole(pool.open(POST)) == b"hi"

    assert raw.accepted == 2
    assert "catch-up: 0 active, 1 idle" in repr(pool)
    assert "write: 0 active, 1 idle" in repr(pool)
