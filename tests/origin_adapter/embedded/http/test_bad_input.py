"""What must never get in: odd heads, cut bodies, unminted offsets, bad JSON."""

import json
from collections.abc import Callable

import gevent
import pytest

from origin_adapter.embedded.serve import RunningOrigin
from tests.origin_adapter.embedded.wire import Wire

S = "/v1/stream/s"
Connect = Callable[[RunningOrigin], Wire]


def make(wire: Wire, kind: str = "text/plain", path: str = S) -> None:
    assert wire.ask("PUT", path, content_type=kind).status == 201


def content(wire: Wire, path: str = S) -> bytes:
    return wire.ask("GET", path).body


def raw(body: bytes, *fields: str) -> bytes:
    head = [f"POST {S} HTTP/1.1", "Host: a", "Content-Type: text/plain", *fields]
    return "\r\n".join([*head, "", ""]).encode() + body


@pytest.mark.parametrize(
    "cut",
    [
        raw(b"hel", "Content-Length: 5"),
        raw(b"5\r\nhel", "Transfer-Encoding: chunked"),
        raw(b"5\r\nhello\r\n", "Transfer-Encoding: chunked"),
        raw(b"5\r\nhello\r\n0\r\n", "Transfer-Encoding: chunked"),
        raw(b"5\r\nhelloX0\r\n\r\n", "Transfer-Encoding: chunked"),
        raw(b"-5\r\nhello\r\n0\r\n\r\n", "Transfer-Encoding: chunked"),
        raw(b"5;" + b"x" * 20000, "Transfer-Encoding: chunked"),
        raw(b"\r\nhello\r\n0\r\n\r\n", "Transfer-Encoding: chunked"),
        raw(b"5;a\nb\r\nhello\r\n0\r\n\r\n", "Transfer-Encoding: chunked"),
        raw(b"5\r\nhello\r\n0\r\nno field\r\n\r\n", "Transfer-Encoding: chunked"),
        raw(
            b"5\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\n",
            "Transfer-Encoding: chunked",
        ),
    ],
)
def test_a_body_that_is_cut_appends_nothing(
    origin: RunningOrigin, connect: Connect, cut: bytes
) -> None:
    """A writer that dies in the middle: 400, and the connection is over (E44)."""
    make(connect(origin))
    writer = connect(origin)

    writer.send(cut)
    writer.sock.shutdown(1)
    reply = writer.reply()

    assert (reply.status, reply.reason) == (400, "body-cut")
    assert writer.at_end()
    assert content(connect(origin)) == b""


def test_a_whole_chunked_body_is_one_append(wire: Wire) -> None:
    """Chunks are framing, not messages."""
    make(wire)
    wire.send(
        raw(b"3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n", "Transfer-Encoding: chunked")
    )
    assert wire.reply().status == 204
    assert content(wire) == b"hello"


def test_a_client_that_asks_first_is_told_to_go_on(wire: Wire) -> None:
    """Expect: 100-continue (RFC 9110 section 10.1.1)."""
    make(wire)
    wire.send(raw(b"", "Content-Length: 5", "Expect: 100-continue"))
    assert wire.head()[0] == 100
    wire.send(b"hello")
    assert wire.reply().status == 204


def test_a_client_of_http_1_0_is_not_told_to_go_on(wire: Wire) -> None:
    """It would take the 100 for the answer (RFC 9110 section 10.1.1)."""
    make(wire)
    fields = ("Content-Length: 2", "Expect: 100-continue")
    wire.send(raw(b"", *fields).replace(b"HTTP/1.1", b"HTTP/1.0"))
    gevent.sleep(0.05)
    wire.send(b"hi")
    assert wire.head()[0] == 204


def test_a_body_that_is_too_large_is_refused_unread(
    start: Callable[..., RunningOrigin], connect: Connect
) -> None:
    """413 by what is announced, and by what comes."""
    origin = start(max_body=1000)
    make(connect(origin))
    announced, chunked = connect(origin), connect(origin)

    announced.send(raw(b"", "Content-Length: 100000000000"))
    chunked.send(raw(b"400\r\n" + b"x" * 1024 + b"\r\n", "Transfer-Encoding: chunked"))

    for writer in (announced, chunked):
        reply = writer.reply()
        assert (reply.status, reply.reason) == (413, "body-too-large")
    assert content(connect(origin)) == b""


def test_bodies_share_a_bound(
    start: Callable[..., RunningOrigin], connect: Connect
) -> None:
    """503 with Retry-After when it is full; room again when one is answered."""
    origin = start(max_bodies=200_000)
    make(connect(origin))
    slow, other, chunked = (connect(origin) for _ in range(3))
    slow.send(raw(b"x" * 140_000, "Content-Length: 150000"))
    gevent.sleep(0.05)
    refused = [other.ask("POST", S, b"y" * 100_000, content_type="text/plain")]
    chunked.send(raw(b"222E0\r\n" + b"z" * 140_000, "Transfer-Encoding: chunked"))
    refused.append(chunked.reply())
    for reply in refused:
        assert (reply.status, reply.reason) == (503, "busy")
        assert int(reply.headers["retry-after"]) > 0
    assert other.at_end()

    slow.send(b"x" * 10_000)
    assert slow.reply().status == 204
    last = connect(origin)
    assert last.ask("POST", S, b"y" * 200_000, content_type="text/plain").status == 204
    assert content(last) == b"x" * 150_000 + b"y" * 200_000


@pytest.mark.parametrize(
    "head",
    [
        b"GET /v1/stream/s HTTP/1.1\r\n\r\n",
        b"GET /v1/stream/s HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        b"GET /v1/stream/s HTTP/1.1\nHost: a\n\n",
        b"GET /v1/stream/s HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
        b"GET /v1/stream/s HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET /v1/stream/s HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
        b"GET /v1/stream/s HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n",
        b"GET /v1/stream/s HTTP/2.0\r\nHost: a\r\n\r\n",
        b"GET  /v1/stream/s HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /v1/stream/s\r\n\r\n",
        b"GET http://u@a/v1/stream/s HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET ftp://a/v1/stream/s HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /v1/stream/s HTTP/1.1\r\nHost:\r\n\r\n",
        b"GET /v1/stream/s HTTP/1.1\r\nHost: a, b\r\n\r\n",
        b"POST /v1/stream/s HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
        b"Content-Length: 1\r\n\r\nx",
        b"POST /v1/stream/s HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx",
        b"POST /v1/stream/s HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/stream/s HTTP/1.0\r\nHost: a\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_a_head_that_two_parsers_could_read_differently(
    wire: Wire, head: bytes
) -> None:
    """400, and whatever follows on the connection is not read as a request."""
    wire.send(head + b"GET /v1/stream/s HTTP/1.1\r\nHost: a\r\n\r\n")
    assert wire.reply().status == 400
    assert wire.at_end()


def test_a_head_that_is_too_large(wire: Wire) -> None:
    """431, before it takes memory."""
    wire.send(b"GET /v1/stream/s HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 5000)
    assert wire.reply().status == 431


@pytest.mark.parametrize(
    "path",
    [
        "/v1/stream/a/../b",
        "/v1/stream/a/./b",
        "/v1/stream/%2e%2E/b",
        "/v1/stream/a%2f..%2Fb",
        "/v1/stream/a%00b",
        "/v1/stream/a%5cb",
        "/v1/stream/a%0d%0ab",
        "/v1/stream/a%zz",
        "/v1/stream/a\\b",
        "/v1/stream/" + "x" * 2000,
    ],
)
def test_paths_that_others_read_as_another_path(wire: Wire, path: str) -> None:
    """L26: refused, plain or encoded."""
    reply = wire.ask("PUT", path, content_type="text/plain")
    assert (reply.status, reply.reason) == (400, "bad-path")


def test_a_path_is_a_key_as_it_was_sent(wire: Wire) -> None:
    """L26: ``a%2Fb`` and ``a%2fb`` are two streams."""
    make(wire, path="/v1/stream/a%2Fb")
    assert wire.ask("HEAD", "/v1/stream/a%2fb").status == 404
    assert wire.ask("HEAD", "/v1/stream/a/b").status == 404
    assert wire.ask("HEAD", "/v1/stream/a%2Fb").status == 200


@pytest.mark.parametrize(
    ("field", "twice"),
    [
        ("Producer-Id", "p"),
        ("Producer-Epoch", "0"),
        ("Producer-Seq", "0"),
        ("Stream-Seq", "1"),
        ("Stream-Closed", "true"),
        ("Content-Type", "text/plain"),
    ],
)
def test_a_writers_field_that_comes_twice(wire: Wire, field: str, twice: str) -> None:
    """Two producers in one request cannot both be meant."""
    make(wire)
    fields = ["Content-Length: 1", f"{field}: {twice}", f"{field}: {twice}"]
    wire.send(raw(b"x", *fields))
    reply = wire.reply()
    assert (reply.status, reply.reason) == (400, "duplicate-header")
    assert content(wire) == b""


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("offset=", "empty-offset"),
        ("offset=1&offset=1", "duplicate-parameter"),
        ("offset=%6fffset", "bad-offset"),
        ("offset=0000000000000000_00000000000000001", "bad-offset"),
        ("offset=0000000000000000_0000000000000002", "bad-offset"),
        ("offset=%D9%A0000000000000000_0000000000000001", "bad-offset"),
        ("offset=-2", "bad-offset"),
        ("offset=-1&live=push", "bad-live"),
        ("live=sse", "offset-required"),
        ("live=long-poll", "offset-required"),
        ("offset=-1&live=sse&live=sse", "duplicate-parameter"),
        ("offset=-1&live=long-poll&cursor=" + "9" * 19, "bad-cursor"),
    ],
)
def test_queries_that_nobody_can_mean(wire: Wire, query: str, reason: str) -> None:
    """Offsets that were never minted among them: the second byte of five."""
    make(wire)
    wire.ask("POST", S, b"hello", content_type="text/plain")
    reply = wire.ask("GET", f"{S}?{query}")
    assert (reply.status, reply.reason) == (400, reason)
    assert reply.headers["cache-control"] == "no-store"


def test_an_offset_beyond_the_tail_is_answered_from_the_tail(wire: Wire) -> None:
    """As other servers do, so a reader of a lost tail finds its way (L1)."""
    make(wire)
    beyond = "0000000000000000_0000000000000009"
    for live in ("", "&live=long-poll"):
        reply = wire.ask("GET", f"{S}?offset={beyond}{live}")
        assert reply.status == (204 if live else 200)
        assert reply.body == b""
        assert reply.offset == "0000000000000000_0000000000000000"
        assert reply.headers["stream-up-to-date"] == "true"


@pytest.mark.parametrize("body", [b'"\xff"', b"[1,", b"[" * 5000, b"[]"])
def test_json_that_is_none_appends_nothing(wire: Wire, body: bytes) -> None:
    """Invalid UTF-8 and deep nesting among it."""
    make(wire, "application/json")
    assert wire.ask("POST", S, body, content_type="application/json").status == 400
    assert content(wire) == b"[]"


def test_a_closed_stream_is_said_before_bad_json(wire: Wire) -> None:
    """Section 5.2: the reader of the refusal must learn that it is closed."""
    make(wire, "application/json")
    wire.ask("POST", S, stream_closed="true")
    reply = wire.ask("POST", S, b"{", content_type="application/json")
    assert (reply.status, reply.reason) == (409, "closed")
    assert reply.headers["stream-closed"] == "true"


def test_the_conflict_of_a_writers_order_says_sequence(wire: Wire) -> None:
    """The official client tells it from other conflicts by that word."""
    make(wire)
    assert (
        wire.ask("POST", S, b"x", stream_seq="2", content_type="text/plain").status
        == 204
    )
    reply = wire.ask("POST", S, b"x", stream_seq="1", content_type="text/plain")

    assert reply.status == 409
    assert b"sequence" in reply.body


def test_every_answer_may_be_read_by_a_page_of_another_origin(wire: Wire) -> None:
    """Section 12.7, refusals and preflights included."""
    make(wire)
    replies = [
        wire.ask("GET", S),
        wire.ask("GET", "/nowhere"),
        wire.ask("PATCH", S),
        wire.ask("OPTIONS", S),
        wire.ask("GET", "/v1/stream/__ds/nothing"),
        wire.ask("POST", S, stream_seq="x"),
    ]
    assert [reply.status for reply in replies] == [200, 404, 405, 204, 404, 400]
    for reply in replies:
        assert reply.headers["access-control-allow-origin"] == "*"
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["cross-origin-resource-policy"] == "cross-origin"
    assert "If-None-Match" in replies[3].headers["access-control-allow-headers"]
    assert "GET" in replies[2].headers["allow"]


def test_too_many_requests(
    start: Callable[..., RunningOrigin], connect: Connect
) -> None:
    """429 with Retry-After, per client."""
    wire = connect(start(rate=0.001, burst=2))
    make(wire)
    assert wire.ask("HEAD", S).status == 200
    reply = wire.ask("GET", S)
    assert (reply.status, reply.reason) == (429, "rate")
    assert int(reply.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    "body",
    [
        {"type": "webhook", "pattern": "*", "webhook": {"url": "https://10.0.0.1/"}},
        {"type": "webhook", "pattern": "*", "webhook": {"url": "http://127.0.0.1/"}},
    ],
)
def test_webhooks_to_private_addresses(wire: Wire, body: dict[str, object]) -> None:
    """Section 12.8; loopback needs the switch for development."""
    target = "/v1/stream/__ds/subscriptions/x"
    reply = wire.ask("PUT", target, json.dumps(body).encode())
    assert reply.status == 400
    assert reply.json["error"]["code"] == "WEBHOOK_URL_REJECTED"
