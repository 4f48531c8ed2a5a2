"""What an origin may answer, and what of it is trusted.

Every fault is played by a real socket. Each is also played byte by byte, for
where a packet ends must not matter.
"""

from collections.abc import Callable

import pytest
from gevent.event import Event

from edge.core.errors import (
    OriginBodyCut,
    OriginFault,
    OriginGarbage,
    OriginTimeout,
    OriginUnreachable,
)
from edge.core.ports import Exchange
from edge.core.reasons import Reason
from edge.core.values import Framing, OriginRequest, Purpose
from tests.origin_adapter.http.raw_origin import (
    OK,
    Origins,
    Peer,
    Play,
    answering,
    settle,
)

GET = OriginRequest("GET", "/s")
HEAD = OriginRequest("HEAD", "/s")
START = b"HTTP/1.1 200 OK\r\n"
CHUNKED = START + b"Transfer-Encoding: chunked\r\n\r\n"


def whole(exchange: Exchange) -> bytes:
    """The body to its verified end."""
    return b"".join(iter(exchange.read, b""))


def dribbling(answer: bytes) -> Callable[[Peer], None]:
    """A play that sends one byte per turn of the loop."""

    def play(peer: Peer) -> None:
        peer.request()
        for value in answer:
            settle()
            if not peer.send(bytes([value])):
                return

    return play


def test_an_answer_has_status_fields_and_body(origins: Origins) -> None:
    answer = (
        b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\nStream-Next-Offset: 7 \r\n"
        b"X-Twice: a\r\nx-twice: \tb\xe9\t\r\nX-Empty:\r\n\r\nhello"
    )
    _, pool = origins(answer)

    exchange = pool.open(GET)

    assert exchange.status == 201
    assert exchange.headers == (
        ("content-length", "5"),
        ("stream-next-offset", "7"),
        ("x-twice", "a"),
        ("x-twice", "b\xe9"),
        ("x-empty", ""),
    )
    assert (exchange.framing, exchange.content_length) == (Framing.LENGTH, 5)
    assert whole(exchange) == b"hello"
    assert exchange.read() == b""


def test_fields_of_the_connection_end_with_it(origins: Origins) -> None:
    """RFC 9110 section 7.6.1."""
    answer = (
        START + b"Connection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\n"
        b"X-Hop: 1\r\nTransfer-Encoding: chunked\r\nX-End: 1\r\n\r\n0\r\n\r\n"
    )
    _, pool = origins(answer)

    assert pool.open(GET).headers == (("x-end", "1"),)


@pytest.mark.parametrize("played", [bytes, dribbling], ids=["at once", "dribbled"])
@pytest.mark.parametrize(
    ("answer", "body", "framing"),
    [
        (OK, b"hi", Framing.LENGTH),
        (START + b"Content-Length: 0\r\n\r\n", b"", Framing.LENGTH),
        (CHUNKED + b"2\r\nhi\r\n1;x=y\r\n!\r\n0\r\n\r\n", b"hi!", Framing.CHUNKED),
        (CHUNKED + b"2\r\nhi\r\n0\r\nX-Trailer: 1\r\n\r\n", b"hi", Framing.CHUNKED),
        (CHUNKED + b"0\r\n\r\n", b"", Framing.CHUNKED),
        (CHUNKED + b"2 ;x\r\nhi\r\n0\r\n\r\n", b"hi", Framing.CHUNKED),
        (CHUNKED + b"002  \r\nhi\r\n0\r\n\r\n", b"hi", Framing.CHUNKED),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", b"hi", Framing.LENGTH),
        (b"HTTP/1.0 200 OK\r\n\r\nhi", b"hi", Framing.CLOSE),
        (START + b"\r\nhi", b"hi", Framing.CLOSE),
        (START + b"Connection: close\r\n\r\n", b"", Framing.CLOSE),
        (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi", b"hi", Framing.LENGTH),
        (b"HTTP/1.1 204 No\r\nContent-Length: 9\r\n\r\n", b"", Framing.NONE),
        (b"HTTP/1.1 304 N\r\nTransfer-Encoding: chunked\r\n\r\n", b"", Framing.NONE),
        (b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" + OK, b"hi", Framing.LENGTH),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 8 + OK, b"hi", Framing.LENGTH),
    ],
)
def test_each_framing_is_read_to_its_end(
    origins: Origins,
    played: Callable[[bytes], Play],
    answer: bytes,
    body: bytes,
    framing: Framing,
) -> None:
    _, pool = origins(played(answer))

    exchange = pool.open(GET)

    assert exchange.framing is framing
    assert whole(exchange) == body


@pytest.mark.parametrize("played", [bytes, dribbling], ids=["at once", "dribbled"])
@pytest.mark.parametrize(
    "answer",
    [
        b"not http at all",
        b"SSH-2.0-OpenSSH_9\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"\r\n" + OK,
        b"\n" + OK,
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        START + b"Content-Length: 9223372036854775808\r\n\r\nhi",
        START + b"Content-Length: 18446744073709551618\r\n\r\nhi",
        b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/0.9 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"http/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 099 Low\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 600 High\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 20 Short\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 2000 Long\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 N\x00L\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi",
        START + b"A: b\nContent-Length: 2\r\n\r\nhi",
        START + b"A: b\rContent-Length: 2\r\n\r\nhi",
        START + b"Content-Length: 2\r\n\nhi",
        START + b"A: b\r\n c\r\nContent-Length: 2\r\n\r\nhi",
        START + b"A: b\r\n\tc\r\nContent-Length: 2\r\n\r\nhi",
        START + b" A: b\r\nContent-Length: 2\r\n\r\nhi",
        START + b"A : b\r\nContent-Length: 2\r\n\r\nhi",
        START + b": b\r\nContent-Length: 2\r\n\r\nhi",
        START + b"no colon\r\nContent-Length: 2\r\n\r\nhi",
        START + b"A: b\x00\r\nContent-Length: 2\r\n\r\nhi",
        START + b"A: b\x01c\r\nContent-Length: 2\r\n\r\nhi",
        START + b"A: b\x7fc\r\nContent-Length: 2\r\n\r\nhi",
        START + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        START + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
        START + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi",
        START + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
        START + b"Content-Length: 2, 2\r\n\r\nhi",
        START + b"Content-Length: +2\r\n\r\nhi",
        START + b"Content-Length: -2\r\n\r\nhi",
        START + b"Content-Length: 0x2\r\n\r\nhi",
        START + b"Content-Length:\r\n\r\nhi",
        START + b"Content-Length: 99999999999999999999\r\n\r\nhi",
        START + b"Transfer-Encoding: gzip\r\n\r\nhi",
        START + b"Transfer-Encoding: identity\r\n\r\nhi",
        START + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        START + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        START + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        START + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n0\r\n\r\n",
        START + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 101 Switch\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 101 Switch\r\n\r\n" + OK,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 9 + OK,
        START + b"Content-Le",
        CHUNKED + b"zz\r\nhi\r\n0\r\n\r\n",
        CHUNKED + b"-2\r\nhi\r\n0\r\n\r\n",
        CHUNKED + b"0x2\r\nhi\r\n0\r\n\r\n",
        CHUNKED + b" 2\r\nhi\r\n0\r\n\r\n",
        CHUNKED + b"\r\nhi\r\n0\r\n\r\n",
        CHUNKED + b"fffffffffffffffff\r\nhi\r\n0\r\n\r\n",
        CHUNKED + b"2\nhi\r\n0\r\n\r\n",
        CHUNKED + b"2;a\nhi\r\n0\r\n\r\n",
        CHUNKED + b"2;a\x00\r\nhi\r\n0\r\n\r\n",
        CHUNKED + b"2\r\nhi\n0\r\n\r\n",
        CHUNKED + b"2\r\nhi!!0\r\n\r\n",
        CHUNKED + b"0\r\nbad trailer\r\n\r\n",
        CHUNKED + b"0\r\nContent-Length: 5\r\n\r\n",
    ],
)
def test_garbage_is_told_and_never_used(
    origins: Origins, played: Callable[[bytes], Play], answer: bytes
) -> None:
    raw, pool = origins(played(answer))

    with pytest.raises(OriginGarbage) as caught:
        whole(pool.open(GET))

    assert (caught.value.status, caught.value.reason) == (502, Reason.ORIGIN_GARBAGE)
    assert caught.value.retry_after is not None
    # Where, and what: the operator's log has no other line that would tell.
    place = raw.url.rpartition("/")[2]
    assert caught.value.cause.startswith(f"{place}: {caught.value.detail}")
    assert pool.counts.faults == {Reason.ORIGIN_GARBAGE: 1}
    assert raw.accepted == 1
    assert repr(pool).count("0 idle") == 4


@pytest.mark.parametrize(
    "endless",
    [
        START + b"A: " + b"a" * 70000,
        START + b"A: a\r\n" * 12000,
        b"HTTP/1.1 200 " + b"O" * 70000,
        (b"HTTP/1.1 103 H\r\nA: " + b"a" * 20000 + b"\r\n\r\n") * 4 + OK,
    ],
    ids=["one field", "many fields", "reason", "interim answers"],
)
def test_a_head_without_end_is_refused(origins: Origins, endless: bytes) -> None:
    _, pool = origins(endless)

    with pytest.raises(OriginGarbage) as caught:
        pool.open(GET)

    assert caught.value.reason is Reason.ORIGIN_HEAD_TOO_LARGE


def test_a_head_of_exactly_the_limit_is_taken(origins: Origins) -> None:
    start = START + b"Content-Length: 2\r\nA: "
    head = start + b"a" * (1000 - len(start) - 4) + b"\r\n\r\n"
    _, pool = origins(head + b"hi", head + b"hi", max_head=1000)
    _, smaller = origins(head + b"hi", max_head=999)

    assert whole(pool.open(GET)) == b"hi"
    with pytest.raises(OriginGarbage):
        smaller.open(GET)


@pytest.mark.parametrize(
    "endless", [b"1;" + b"x" * 200_000, b"0\r\n" + b"X-T: aaaaaaaa\r\n" * 20_000]
)
def test_chunk_heads_and_trailers_have_an_end(origins: Origins, endless: bytes) -> None:
    _, pool = origins(CHUNKED + endless)

    with pytest.raises(OriginGarbage):
        whole(pool.open(GET))


@pytest.mark.parametrize(
    "answer",
    [
        START + b"Content-Length: 5\r\n\r\nhi",
        START + b"Content-Length: 5\r\n\r\n",
        CHUNKED,
        CHUNKED + b"5\r\nhi",
        CHUNKED + b"2\r\nhi\r\n",
        CHUNKED + b"2\r\nhi\r\n0\r\n",
    ],
)
def test_a_body_cut_short_never_looks_complete(origins: Origins, answer: bytes) -> None:
    """E44."""
    _, pool = origins(answer)

    exchange = pool.open(GET)
    with pytest.raises(OriginBodyCut):
        whole(exchange)

    with pytest.raises(OriginBodyCut):
        exchange.read()
    assert pool.counts.faults == {Reason.ORIGIN_BODY_CUT: 1}


@pytest.mark.parametrize("head", [START + b"\r\n", CHUNKED + b"2\r\n"])
def test_a_body_cut_by_a_reset_never_looks_complete(
    origins: Origins, head: bytes
) -> None:
    """E44. Not even one that would have ended with its connection."""
    read = Event()

    def play(peer: Peer) -> None:
        peer.request()
        peer.send(head + b"hi")
        read.wait()
        peer.reset()

    _, pool = origins(play)
    exchange = pool.open(GET)
    assert exchange.read() == b"hi"

    read.set()

    with pytest.raises(OriginBodyCut):
        exchange.read()


@pytest.mark.parametrize(
    "answer",
    [
        START + b"Content-Length: 5\r\n\r\n",
        START + b"Transfer-Encoding: chunked\r\n\r\n",
        START + b"\r\n",
    ],
)
def test_head_has_no_body_whatever_it_declares(origins: Origins, answer: bytes) -> None:
    """RFC 9112 section 6.3: and its connection serves the next call."""
    raw, pool = origins(answering(answer, OK))

    exchange = pool.open(HEAD)

    assert (exchange.framing, exchange.read()) == (Framing.NONE, b"")
    assert whole(pool.open(GET)) == b"hi"
    assert (raw.accepted, pool.counts.reused) == (1, 1)


def test_an_origin_of_http_1_0_is_asked_over_a_connection_each(
    origins: Origins,
) -> None:
    """RFC 9112 section 9.3. Its word on keeping the connection is not believed."""
    old = b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi"
    raw, pool = origins(old, old)

    assert [whole(pool.open(GET)), whole(pool.open(GET))] == [b"hi", b"hi"]
    assert (raw.accepted, pool.counts.reused) == (2, 0)


def test_head_tells_the_length_that_get_would_have(origins: Origins) -> None:
    _, pool = origins(START + b"Content-Length: 5\r\n\r\n")

    assert pool.open(HEAD).content_length == 5


def test_no_content_has_no_length(origins: Origins) -> None:
    _, pool = origins(b"HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n")

    assert pool.open(GET).content_length is None


def test_a_fast_origin_is_read_in_bounded_pieces(origins: Origins) -> None:
    megabytes = 8

    def play(peer: Peer) -> None:
        peer.request()
        peer.send(START + b"Content-Length: %d\r\n\r\n" % (megabytes << 20))
        for _ in range(megabytes):
            peer.send(b"x" * (1 << 20))

    _, pool = origins(play)

    sizes = [len(piece) for piece in iter(pool.open(GET).read, b"")]

    assert sum(sizes) == megabytes << 20
    assert max(sizes) <= 64 * 1024


def test_nobody_listens(origins: Origins) -> None:
    raw, pool = origins()
    raw.stop()

    with pytest.raises(OriginUnreachable) as caught:
        pool.open(GET)

    assert (caught.value.status, caught.value.retry_after) == (502, 1)


def test_an_origin_that_hangs_up_before_a_byte_is_not_asked_again(
    origins: Origins,
) -> None:
    """Only a kept connection may have died of old age; this one was new."""
    raw, pool = origins(lambda peer: peer.request())

    with pytest.raises(OriginUnreachable):
        pool.open(GET)

    assert (raw.accepted, pool.counts.retries) == (1, 0)


@pytest.mark.parametrize(
    ("said", "purpose", "limits"),
    [
        (b"", Purpose.CATCH_UP, {"head_timeout": 0.02}),
        (b"", Purpose.WRITE, {"head_timeout": 0.02}),
        (b"", Purpose.FOLLOW, {"hold_timeout": 0.02}),
        (b"", Purpose.RELAY, {"hold_timeout": 0.02}),
        (b"", Purpose.CATCH_UP, {"total_timeout": 0.02}),
        (b"HTTP/1.1 200 O", Purpose.CATCH_UP, {"head_timeout": 0.02}),
        (START + b"\r\nhi", Purpose.CATCH_UP, {"idle_timeout": 0.02}),
        (START + b"\r\nhi", Purpose.CATCH_UP, {"total_timeout": 0.05}),
        (CHUNKED + b"2\r\nhi\r\n", Purpose.FOLLOW, {"idle_timeout": 0.02}),
        (CHUNKED + b"9\r\nhi", Purpose.FOLLOW, {"idle_timeout": 0.02}),
        (CHUNKED + b"2\r\nhi\r\n", Purpose.RELAY, {"hold_timeout": 0.02}),
    ],
)
def test_an_origin_that_falls_silent_is_given_up(
    origins: Origins, said: bytes, purpose: Purpose, limits: dict[str, float]
) -> None:
    def play(peer: Peer) -> None:
        peer.request()
        peer.send(said)
        peer.stay()

    patient = {"idle_timeout": 0.02} if "hold_timeout" in limits else {}
    _, pool = origins(play, **{**patient, **limits})

    with pytest.raises(OriginTimeout) as caught:
        whole(pool.open(OriginRequest("GET", "/s", purpose=purpose)))

    assert (caught.value.status, caught.value.reason) == (504, Reason.ORIGIN_TIMEOUT)


def test_an_endless_body_ends_with_the_time_of_its_call(origins: Origins) -> None:
    """It never stands still, so only the total counts."""

    def play(peer: Peer) -> None:
        peer.request()
        peer.send(START + b"\r\n")
        while peer.send(b"x" * 65536):
            settle()

    _, pool = origins(play, total_timeout=0.05)

    with pytest.raises(OriginTimeout):
        whole(pool.open(GET))


def test_chunk_heads_without_a_body_are_no_progress(origins: Origins) -> None:
    """The time between body bytes counts, not the time between packets."""

    def play(peer: Peer) -> None:
        peer.request()
        peer.send(CHUNKED + b"1;")
        while peer.send(b"x"):
            settle()

    _, pool = origins(play, idle_timeout=0.02)

    with pytest.raises(OriginTimeout):
        whole(pool.open(GET))


def test_every_fault_is_an_origin_fault() -> None:
    faults = (OriginGarbage, OriginBodyCut, OriginTimeout, OriginUnreachable)

    assert all(issubclass(fault, OriginFault) for fault in faults)
