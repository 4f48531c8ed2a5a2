"""Requests with bodies: streamed, counted, and never complete when they are not."""

import gc
import tracemalloc
from collections.abc import Iterator
from copy import copy

import gevent
import pytest
from gevent.event import AsyncResult, Event

from edge.core.errors import (
    ClientBodyCut,
    ClientFault,
    OriginTimeout,
    OriginUnreachable,
)
from edge.core.ports import Exchange
from edge.core.values import OriginRequest, Purpose
from origin_adapter.http.origin import HttpExchange
from tests.origin_adapter.http.raw_origin import OK, Origins, Peer, answering, settle
from tests.support.patience import PATIENCE

REFUSED = b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nno!"


def put(body: Iterator[bytes], length: int | None = None) -> OriginRequest:
    return OriginRequest(
        "PUT", "/s", purpose=Purpose.WRITE, body=body, content_length=length
    )


def whole(exchange: Exchange) -> bytes:
    return b"".join(iter(exchange.read, b""))


def endless() -> Iterator[bytes]:
    while True:
        yield b"x" * 65536


@pytest.mark.parametrize(
    ("length", "framing"),
    [(4, b"Content-Length: 4\r\n\r\nabcd"), (None, b"2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n")],
)
def test_a_body_is_streamed_in_its_framing(
    origins: Origins, length: int | None, framing: bytes
) -> None:
    raw, pool = origins(answering(OK, OK))

    for _ in range(2):
        assert whole(pool.open(put(iter([b"ab", b"", b"cd"]), length))) == b"hi"

    assert raw.requests[0] == raw.requests[1]
    assert raw.requests[0].endswith(framing)
    assert (raw.accepted, pool.counts.reused) == (1, 1)


@pytest.mark.parametrize("end", ["whole", "given up", "cut"])
def test_nothing_of_a_call_waits_for_a_collection(origins: Origins, end: str) -> None:
    """Thousands of writes that are cut would hold what was sent of each."""
    _, pool = origins(answering(OK))

    def body() -> Iterator[bytes]:
        yield b"x" * 1000
        if end == "cut":
            raise ClientBodyCut("it was cut")

    def ask() -> None:
        exchange = pool.open(put(body(), 1000))
        if end == "whole":
            whole(exchange)
        exchange.close()

    gc.collect()
    gc.disable()
    try:
        if end == "cut":
            with pytest.raises(ClientBodyCut):
                ask()
        else:
            ask()
        settle()
        left = [one for one in gc.get_objects() if type(one) is HttpExchange]
    finally:
        gc.enable()

    assert left == []


def test_a_large_body_needs_constant_memory(origins: Origins) -> None:
    """Bad input of the edge: an append of any size is streamed."""
    pieces = 1024

    def play(peer: Peer) -> None:
        peer.until(b"\r\n\r\n")
        for _ in range(pieces):
            peer.exactly(65536)
        peer.send(OK)

    _, pool = origins(play)
    body = (b"x" * 65536 for _ in range(pieces))
    tracemalloc.start()
    try:
        assert whole(pool.open(put(body, pieces * 65536))) == b"hi"
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 4 * 1024 * 1024


@pytest.mark.parametrize("length", [10, None])
def test_a_body_that_fails_is_never_complete_at_the_origin(
    origins: Origins, length: int | None
) -> None:
    """E22: the connection is dropped, and the failure reaches the caller."""
    seen: AsyncResult[bytes] = AsyncResult()

    def play(peer: Peer) -> None:
        seen.set(peer.to_the_end())

    def body() -> Iterator[bytes]:
        yield b"hello"
        settle()
        raise ClientBodyCut("the client left")

    _, pool = origins(play)

    with pytest.raises(ClientBodyCut, match="the client left"):
        pool.open(put(body(), length))

    came = seen.get(timeout=PATIENCE)
    assert came is not None
    assert came.endswith(b"hello" if length else b"5\r\nhello\r\n")
    assert pool.counts.faults == {}


def test_a_body_that_fails_at_once_costs_no_connection(origins: Origins) -> None:
    def body() -> Iterator[bytes]:
        yield from ()
        raise ClientBodyCut("nothing came")

    raw, pool = origins()

    with pytest.raises(ClientBodyCut):
        pool.open(put(body(), 5))

    assert raw.accepted == 0


@pytest.mark.parametrize(
    ("body", "fault"),
    [([b"abc", b"d"], ClientBodyCut), ([b"ab", b"cdef"], ClientFault)],
)
def test_a_body_of_another_length_is_never_complete(
    origins: Origins, body: list[bytes], fault: type[ClientFault]
) -> None:
    seen: AsyncResult[bytes] = AsyncResult()
    _, pool = origins(lambda peer: seen.set(peer.to_the_end()))

    with pytest.raises(fault):
        pool.open(put(iter(body), 5))

    came = seen.get(timeout=PATIENCE)
    assert came is not None
    assert len(came.partition(b"\r\n\r\n")[2]) < 5


def test_a_bad_request_reaches_nobody(origins: Origins) -> None:
    raw, pool = origins()

    with pytest.raises(ClientFault):
        pool.open(OriginRequest("GET", "/", (("x", "a\r\nb"),)))

    assert raw.accepted == 0


def test_on_sent_comes_after_the_last_byte_and_before_the_answer(
    origins: Origins,
) -> None:
    """L4 rests on it."""
    sent = Event()

    def play(peer: Peer) -> None:
        peer.request()
        sent.wait()
        peer.send(OK)

    raw, pool = origins(play)
    told = []

    def on_sent() -> None:
        told.append(len(raw.requests))
        sent.set()

    assert whole(pool.open(put(iter([b"ab", b"cd"]), 4), on_sent)) == b"hi"
    assert len(told) == 1


@pytest.mark.parametrize("size", [None, 1 << 30])
def test_an_early_answer_ends_the_sending(origins: Origins, size: int | None) -> None:
    """413 or 409 before the end: the rest is not sent, the connection not kept."""

    def play(peer: Peer) -> None:
        peer.until(b"\r\n\r\n")
        peer.send(REFUSED)
        peer.stay()

    raw, pool = origins(play, OK)
    told = []

    exchange = pool.open(put(endless(), size), lambda: told.append(1))

    assert (exchange.status, whole(exchange), told) == (413, b"no!", [])
    assert "write: 0 active, 0 idle" in repr(pool)
    assert whole(pool.open(put(iter([b"x"])))) == b"hi"
    assert raw.accepted == 2


def test_an_early_answer_is_found_between_two_pieces(origins: Origins) -> None:
    answered = Event()

    def play(peer: Peer) -> None:
        peer.until(b"\r\n\r\n")
        peer.send(REFUSED)
        answered.set()
        peer.stay()

    def body() -> Iterator[bytes]:
        yield b"one"
        answered.wait()
        settle()
        yield b"two"
        pytest.fail("asked for more after the answer had come")

    _, pool = origins(play)

    assert whole(pool.open(put(body()))) == b"no!"


@pytest.mark.parametrize("ending", ["close", "reset"])
def test_an_early_answer_survives_the_hang_up_behind_it(
    origins: Origins, ending: str
) -> None:
    def play(peer: Peer) -> None:
        peer.until(b"\r\n\r\n")
        peer.send(REFUSED)
        if ending == "close":
            peer.close()
        else:
            peer.reset()

    _, pool = origins(play)

    exchange = pool.open(put(endless()))

    assert (exchange.status, whole(exchange)) == (413, b"no!")


def test_interim_answers_do_not_end_the_sending(origins: Origins) -> None:
    def play(peer: Peer) -> None:
        peer.until(b"\r\n\r\n")
        peer.send(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Hi")
        rest.set()
        peer.until(b"0\r\n\r\n")
        peer.send(b"nts\r\n\r\n" + OK)

    def body() -> Iterator[bytes]:
        yield b"one"
        rest.wait()
        settle()
        yield b"two"

    rest = Event()
    _, pool = origins(play)

    assert whole(pool.open(put(body()))) == b"hi"


def test_an_origin_that_hangs_up_while_it_is_sent_to(origins: Origins) -> None:
    def play(peer: Peer) -> None:
        peer.until(b"\r\n\r\n")
        peer.reset()

    raw, pool = origins(play)
    told = []

    with pytest.raises(OriginUnreachable):
        pool.open(put(endless()), lambda: told.append(1))

    assert (raw.accepted, pool.counts.retries, told) == (1, 0, [])


def test_a_time_out_can_be_told_again_with_another_retry_after(
    origins: Origins,
) -> None:
    """Which is how the hub tells it, once the origin is known to be away (U2)."""
    _, pool = origins(lambda peer: peer.stay(), head_timeout=0.02)
    with pytest.raises(OriginTimeout) as caught:
        pool.open(OriginRequest("GET", "/s"))

    again = copy(caught.value)
    again.retry_after = 7

    assert isinstance(again, OriginTimeout)
    assert (again.status, again.detail) == (504, "the origin took too long")
    assert (again.retry_after, caught.value.retry_after) == (7, 1)


def test_an_origin_that_takes_no_more_is_given_up(origins: Origins) -> None:
    def play(peer: Peer) -> None:
        peer.until(b"\r\n\r\n")
        peer.stay()

    _, pool = origins(play, idle_timeout=0.02)

    with pytest.raises(OriginTimeout):
        pool.open(put(endless()))


def test_two_bodies_do_not_wait_for_each_other(origins: Origins) -> None:
    """A slow client's upload holds its own greenlet only."""
    go = Event()

    def slow() -> Iterator[bytes]:
        yield b"first"
        go.wait()
        yield b"last"

    _, pool = origins(OK, OK)
    waiting = gevent.spawn(lambda: whole(pool.open(put(slow()))))
    settle()

    assert whole(pool.open(put(iter([b"quick"])))) == b"hi"
    go.set()

    assert waiting.get(timeout=PATIENCE) == b"hi"
