"""Reads on the wire: parked, streamed, cut, abandoned.

The paths' last segments say how the hub behaves (see ``fake_edge``).
"""

import socket

import pytest

from tests.front.edge_process import Client, EdgeProcess, over_both
from tests.front.fake_edge import LARGE

PARK = "/v1/stream/park?offset=7&live=long-poll"


def test_a_hit_says_all_that_an_answer_says(client: Client) -> None:
    """docs/rules.md, What goes out; RFC 9211 for what the cache did."""
    client.get("/v1/stream/hit", "X-Request-Id: mine-1")
    answered = client.read()

    assert (answered.status, answered.body) == (200, b"hello\n")
    assert answered["content-length"] == "6"
    assert answered["age"] == "3"
    assert answered["via"] == "1.1 here"
    assert answered["cache-status"] == "ds-edge/here; hit; ttl=60"
    assert answered["x-request-id"] == "mine-1"
    assert answered["x-content-type-options"] == "nosniff"
    assert answered["cross-origin-resource-policy"] == "cross-origin"
    assert answered["access-control-allow-origin"] == "*"
    assert "Stream-Next-Offset" in answered["access-control-expose-headers"]


def test_an_unsafe_request_id_is_replaced(client: Client) -> None:
    """What goes into logs and back to the client is never taken raw."""
    client.get("/v1/stream/hit", 'X-Request-Id: a"b<script>')

    assert client.read()["x-request-id"].isalnum()


@over_both
def test_a_large_answer_arrives_whole(client: Client) -> None:
    """It goes out in pieces, within one Content-Length."""
    client.get("/v1/stream/large")
    answered = client.read()

    assert answered["content-length"] == str(len(LARGE))
    assert answered.body == LARGE


def test_a_head_announces_no_length_that_is_not_known(client: Client) -> None:
    """RFC 9110 section 8.6: a Content-Length of 0 would be a claim about the GET."""
    client.request("HEAD", "/v1/stream/hit")
    answered = client.read("HEAD")

    assert answered.status == 200
    assert not answered.all("content-length")
    client.get("/v1/stream/hit")
    assert client.read().body == b"hello\n"


@over_both
def test_an_answer_made_by_another_greenlet_reaches_the_one_that_waits(
    client: Client,
) -> None:
    """The sink wakes its own greenlet."""
    client.get("/v1/stream/two-step")

    assert client.read().body == b"later\n"


@over_both
def test_a_parked_reader_is_answered_when_the_stream_is_written(
    edge: EdgeProcess, client: Client
) -> None:
    """The hub hears of the write before its writer does (L4)."""
    client.get(PARK)
    edge.expect("parked")
    with edge.connect() as writer:
        writer.request("PUT", "/v1/stream/park", "Content-Type: text/plain", body=b"x")
        assert writer.read().status in (200, 201)

    assert client.read().status == 204


@over_both
def test_a_parked_client_that_leaves_is_noticed(
    edge: EdgeProcess, client: Client
) -> None:
    """E46: FIN while parked means gone, and the hub's pending read is let go of."""
    client.get(PARK)
    edge.expect("parked")
    client.close()

    edge.expect("gone /v1/stream/park")


@over_both
def test_a_parked_client_that_resets_is_noticed(
    edge: EdgeProcess, client: Client
) -> None:
    """E46, with RST instead."""
    client.get(PARK)
    edge.expect("parked")
    client.reset()

    edge.expect("gone /v1/stream/park")


@over_both
def test_what_is_sent_ahead_while_parked_waits_its_turn(
    edge: EdgeProcess, client: Client
) -> None:
    """The watch on the socket takes nothing out of it."""
    client.get(PARK)
    edge.expect("parked")
    client.get("/v1/stream/hit")
    with edge.connect() as writer:
        writer.request("PUT", "/v1/stream/park", "Content-Type: text/plain", body=b"x")
        writer.read()

    assert client.read().status == 204
    assert client.read().body == b"hello\n"


@over_both
def test_events_are_sent_one_by_one_as_they_come(client: Client) -> None:
    """An event stream is never gathered: each write is a chunk of its own."""
    client.get("/v1/stream/events?offset=-1&live=sse")
    head = client.head()

    assert head["content-type"] == "text/event-stream"
    assert head["transfer-encoding"] == "chunked"
    assert [client.chunk() for _ in range(4)] == [
        b"data:0\n\n",
        b"data:1\n\n",
        b"data:2\n\n",
        b"",
    ]


@over_both
def test_a_stream_that_ended_leaves_the_connection_for_the_next_request(
    client: Client,
) -> None:
    """Chunked coding says where it ended."""
    client.get("/v1/stream/events?offset=-1&live=sse")
    assert client.read().complete
    client.get("/v1/stream/hit")

    assert client.read().body == b"hello\n"


@over_both
def test_a_stream_that_fails_never_looks_complete(client: Client) -> None:
    """E44: the last chunk is missing, and the connection ends."""
    client.get("/v1/stream/cut?offset=-1&live=sse")
    answered = client.read()

    assert answered.body == b"data:0\n\ndata:1\n\n"
    assert not answered.complete


@pytest.mark.parametrize("fields", [(), ("X-Twice: a", "X-Twice: b")])
def test_the_caches_above_come_before_this_one(
    client: Client, fields: tuple[str, ...]
) -> None:
    """RFC 9211 section 2: on the fast way and on the whole way."""
    client.get("/v1/stream/events?offset=-1&live=sse", *fields)

    told = client.head()["cache-status"]
    assert told == "ds-edge/above; hit, ds-edge/here; fwd=miss"


@over_both
def test_a_stream_to_http_1_0_ends_with_the_connection(client: Client) -> None:
    """There is no chunked coding; its end is the connection's."""
    client.get("/v1/stream/events?offset=-1&live=sse", version="1.0")
    answered = client.read()

    assert not answered.all("transfer-encoding")
    assert answered.body.endswith(b"data:2\n\n")


@over_both
def test_a_stream_to_http_1_0_that_fails_is_reset(client: Client) -> None:
    """E44: a plain end would make the part look like the whole."""
    client.get("/v1/stream/cut?offset=-1&live=sse", version="1.0")

    with pytest.raises(ConnectionResetError):
        client.read()


@over_both
def test_a_reader_that_leaves_a_stream_is_let_go_of(
    edge: EdgeProcess, client: Client
) -> None:
    """Whether the edge is writing or waiting at that moment."""
    client.get("/v1/stream/endless?offset=-1&live=sse")
    client.head()
    client.close()

    edge.expect("gone /v1/stream/endless")


def test_the_hub_hears_when_a_write_has_gone_out(
    edge: EdgeProcess, client: Client
) -> None:
    """One write at a time lies between hub and socket: that is the backpressure."""
    client.get("/v1/stream/endless?offset=-1&live=sse")
    client.head()
    assert edge.expect("full") == "full /v1/stream/endless"
    for _ in range(1000):
        client.chunk()

    assert edge.expect("drained") == "drained /v1/stream/endless"


def test_an_error_of_the_hub_is_a_problem(client: Client) -> None:
    """504 with Retry-After, never stored, and the connection is kept."""
    client.get("/v1/stream/fail")
    answered = client.read()

    assert answered.status == 504
    assert answered["retry-after"] == "1"
    assert answered["cache-control"] == "no-store"
    assert answered["cache-status"] == "ds-edge/here; detail=origin-timeout"
    assert answered.problem()["reason"] == "origin-timeout"
    client.get("/v1/stream/hit")
    assert client.read().status == 200


def test_a_defect_is_a_500_that_tells_nothing(
    edge: EdgeProcess, client: Client
) -> None:
    """The traceback is in the log, under the request's id."""
    client.get("/v1/stream/broken", "X-Request-Id: broken-1")
    answered = client.read()

    assert answered.status == 500
    assert answered.problem()["reason"] == "internal"
    assert b"ZeroDivision" not in answered.body
    edge.expect_log("ZeroDivisionError")
    assert "unexpected error answering request broken-1" in edge.log()


def test_a_field_that_would_split_the_answer_is_never_sent(client: Client) -> None:
    """P7: refused as a whole."""
    client.get("/v1/stream/bad-field")

    assert client.read().problem()["reason"] == "internal"


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("/v1/stream/hit?offset=", "empty-offset"),
        ("/v1/stream/hit?offset=1&offset=2", "duplicate-parameter"),
        ("/v1/stream/hit?live=long-poll", "offset-required"),
        ("/v1/stream/hit?offset=a%2Cb", "bad-offset"),
        ("/v1/stream/../hit", "bad-path"),
        ("/v1/stream/a%00", "bad-path"),
        ("/v1/stream/hit#frag", "bad-path"),
        ("/elsewhere/%2e%2e/v1/stream/hit", "bad-path"),
    ],
)
def test_a_malformed_read_is_refused_with_its_reason(
    client: Client, target: str, reason: str
) -> None:
    """Judged before anything is looked up, on routes and off them."""
    client.get(target)
    answered = client.read()

    assert (answered.status, answered.problem()["reason"]) == (400, reason)


@pytest.mark.parametrize(
    "fields", [["Content-Length: 3"], ["Transfer-Encoding: chunked"]]
)
def test_a_read_with_a_body_is_refused(client: Client, fields: list[str]) -> None:
    """P4: a body on a GET."""
    client.get("/v1/stream/hit", *fields)
    client.send(b"3\r\nabc\r\n0\r\n\r\n" if "chunked" in fields[0] else b"abc")
    answered = client.read()

    assert (answered.status, answered.problem()["reason"]) == (400, "body-on-read")
    assert client.ended()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("field", "body"),
    [("Content-Length: 0", b""), ("Transfer-Encoding: chunked", b"0\r\n\r\n")],
)
def test_a_read_with_an_empty_body_is_a_read(
    client: Client, method: str, field: str, body: bytes
) -> None:
    """And what follows on the connection is the next request."""
    for _ in range(2):
        client.send(f"{method} /v1/stream/hit HTTP/1.1\nHost: edge.test\n{field}\n\n")
        client.send(body)

    assert [client.read(method).status, client.read(method).status] == [200, 200]


def test_a_read_whose_body_never_comes_is_given_up(impatient_client: Client) -> None:
    """E51: it is announced, and only its first chunk tells that it is empty."""
    impatient_client.get("/v1/stream/hit", "Transfer-Encoding: chunked")
    answered = impatient_client.read()

    assert (answered.status, answered.problem()["reason"]) == (408, "body-timeout")
    assert impatient_client.ended()


def test_a_client_that_does_not_read_is_given_up(impatient_edge: EdgeProcess) -> None:
    """E45: the send time-out is one of progress; the pending read is let go of."""
    with impatient_edge.connect() as slow:
        slow.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.get("/v1/stream/endless?offset=-1&live=sse")

        impatient_edge.expect("gone /v1/stream/endless")
