"""Bodies of clients on the wire: streamed, counted, cut, refused early.

``swallow`` is a path whose origin counts what it gets and says so.
"""

import contextlib
import threading

import pytest

from edge.front.fast.plain_writes import MAX_BODY_BYTES
from tests.front.edge_process import Client, EdgeProcess, over_both

SWALLOW = "/v1/stream/swallow"
TEXT = "Content-Type: text/plain"


def chunks(*pieces: bytes) -> bytes:
    """A chunked body."""
    coded = (b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return b"".join(coded) + b"0\r\n\r\n"


@over_both
def test_a_body_with_a_length_reaches_the_origin(client: Client) -> None:
    """Whole, and the connection is kept."""
    client.request("POST", SWALLOW, TEXT, body=b"x" * 100_000)
    assert client.read().body == b"100000 bytes, 65536 at most"
    client.request("POST", SWALLOW, TEXT, body=b"abc")

    assert client.read().body == b"3 bytes, 3 at most"


@over_both
def test_a_chunked_body_reaches_the_origin(client: Client) -> None:
    """Falcon's own bounded stream would read it as empty."""
    client.request("POST", SWALLOW, TEXT, "Transfer-Encoding: chunked")
    client.send(chunks(b"abc", b"defgh"))

    assert client.read().body == b"8 bytes, 8 at most"


def test_an_empty_body_reaches_the_origin(client: Client) -> None:
    """Announced as empty, or not at all."""
    for fields in ([], ["Content-Length: 0"]):
        client.request("POST", SWALLOW, *fields)
        assert client.read().body == b"0 bytes, 0 at most"


@over_both
def test_a_large_body_takes_constant_memory(edge: EdgeProcess) -> None:
    """An append of any size is streamed: never more than a piece at a time (E50)."""
    size = 256 << 20
    with edge.connect() as client:
        client.request("POST", SWALLOW, TEXT, f"Content-Length: {size}")
        before = edge.peak_memory()
        piece = b"x" * (1 << 20)
        for _ in range(size >> 20):
            client.send(piece)

        assert client.read().body == f"{size} bytes, 65536 at most".encode()
    assert edge.peak_memory() - before < 16 << 20


@over_both
def test_100_continue_is_sent_before_the_body_is(client: Client) -> None:
    """RFC 9110 section 10.1.1."""
    client.request("POST", SWALLOW, TEXT, "Content-Length: 3", "Expect: 100-continue")
    assert client.head().status == 100
    client.send(b"abc")

    assert client.read().body == b"3 bytes, 3 at most"


@pytest.mark.parametrize(
    ("fields", "part", "received"),
    [
        (["Content-Length: 10"], b"abc", None),
        (["Content-Length: 100000"], b"x" * 70_000, 70_000),
        (["Transfer-Encoding: chunked"], b"a\r\nabc", 0),
        (["Transfer-Encoding: chunked"], b"3\r\nabc\r\n", 0),
    ],
    ids=["short", "long", "within a chunk", "without the last chunk"],
)
@over_both
def test_a_body_that_ends_early_is_never_taken_for_whole(
    edge: EdgeProcess,
    client: Client,
    fields: list[str],
    part: bytes,
    received: int | None,
) -> None:
    """E44, upstream: the origin's request is broken off, nothing is appended. Of a
    small body, nothing is sent (U27)."""
    client.request("POST", SWALLOW, TEXT, *fields)
    client.send(part)
    client.half_close()
    answered = client.read()

    assert (answered.status, answered.problem()["reason"]) == (400, "body-cut")
    if received is None:
        with edge.connect() as other:
            other.request("PUT", "/v1/stream/behind-it", TEXT)
            other.read()
        assert edge.expect("").endswith("/v1/stream/behind-it PUT 201")
    else:
        assert edge.expect("aborted") == f"aborted body-cut after {received}"


def test_the_hub_hears_of_a_write_that_nobody_can_know_the_end_of(
    edge: EdgeProcess, client: Client
) -> None:
    """L4, L5: the origin had begun to hear a body that was cut."""
    client.request("POST", SWALLOW, TEXT, "Content-Length: 100000")
    client.send(b"x" * 70_000)
    client.half_close()
    client.read()

    assert edge.expect("wrote").endswith(f"{SWALLOW} POST None")


@pytest.mark.parametrize("length", [10, 100_000])
def test_a_body_that_stops_arriving_is_given_up(
    impatient_edge: EdgeProcess, impatient_client: Client, length: int
) -> None:
    """E51: the time-out is one of progress. The origin hears of a large one alone."""
    client = impatient_client
    client.request("POST", SWALLOW, TEXT, f"Content-Length: {length}")
    client.send(b"abc")
    answered = client.read()

    assert (answered.status, answered.problem()["reason"]) == (408, "body-timeout")
    if length > MAX_BODY_BYTES:
        impatient_edge.expect("aborted body-timeout")
    assert client.ended()


@pytest.mark.parametrize(
    "body",
    [b"x\r\nabc\r\n", b"3\r\nabcde\r\n", b"3\nabc\r\n", b"-1\r\n", b"3 ;=\r\nabc\r\n"],
)
def test_a_malformed_chunked_body_is_refused(
    edge: EdgeProcess, client: Client, body: bytes
) -> None:
    """And the origin's request is broken off."""
    client.request("POST", SWALLOW, TEXT, "Transfer-Encoding: chunked")
    client.send(body)
    answered = client.read()

    assert answered.status == 400
    assert answered.problem()["reason"] == "unsupported-framing"
    edge.expect("aborted")
    assert client.ended()


@over_both
def test_an_early_refusal_can_be_read_by_a_client_that_is_still_sending(
    edge: EdgeProcess,
) -> None:
    """RFC 9112 section 9.6: a close with unread bytes would reset the connection."""
    with edge.connect() as client:
        client.request("POST", "/v1/stream/away", TEXT, "Content-Length: 1000000000")
        sending = threading.Thread(target=_send_until_refused, args=(client,))
        sending.start()
        answered = client.read()
        client.close()
        sending.join()

    assert answered.status == 502
    assert answered["connection"] == "close"
    assert answered.problem()["reason"] == "origin-unreachable"


def _send_until_refused(client: Client) -> None:
    """Send as fast as the edge takes it, until it has closed."""
    with contextlib.suppress(OSError):
        for _ in range(100):
            client.send(b"x" * 65536)


@over_both
def test_a_client_that_leaves_while_it_writes_is_no_error(
    edge: EdgeProcess, client: Client
) -> None:
    """There is nobody to answer; the origin's request is broken off all the same."""
    client.request("POST", SWALLOW, TEXT, "Content-Length: 100000")
    client.send(b"abc")
    client.close()

    edge.expect("aborted body-cut")
