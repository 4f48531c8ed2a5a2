"""Raw heads on the wire: each malformed one gets its clear answer, and no more.

Every refusal is a problem document that says why in one of the reason words,
carries what every answer carries, and closes the connection.
"""

import pytest

from tests.front.edge_process import Answered, Client, EdgeProcess

HIT = "/v1/stream/hit"


def refused(client: Client, raw: bytes | str) -> Answered:
    """The answer to a head that is refused, checked for what all have."""
    client.send(raw)
    answered = client.read()
    assert answered["x-content-type-options"] == "nosniff"
    assert answered["cross-origin-resource-policy"] == "cross-origin"
    assert answered["access-control-allow-origin"] == "*"
    assert answered["cache-control"] == "no-store"
    assert answered["server"] == "ds-edge"
    assert answered["x-request-id"] == answered.problem()["instance"]
    assert answered["connection"] == "close"
    assert client.ended()
    return answered


def head(*fields: str, line: str = f"GET {HIT} HTTP/1.1") -> str:
    """A head of a request line and these fields."""
    return "".join(f"{text}\n" for text in (line, *fields)) + "\n"


POST = f"POST {HIT} HTTP/1.1"
HOST = "Host: edge.test"
CHUNKED = "Transfer-Encoding: chunked"

MALFORMED = {
    "no Host": (head(), 400, "bad-host"),
    "two Hosts": (head(HOST, HOST), 400, "bad-host"),
    "Hosts joined": (head("Host: a, b"), 400, "bad-host"),
    "Host with a path": (head("Host: a/b"), 400, "bad-host"),
    "Host with a user": (head("Host: u@a"), 400, "bad-host"),
    "empty Host": (head("Host:"), 400, "bad-host"),
    "Host with a bad port": (head("Host: a:9x"), 400, "bad-host"),
    "no colon": (head(HOST, "No colon"), 400, "bad-head"),
    "space in a name": (head(HOST, "X : b"), 400, "bad-head"),
    "folded line": (head(HOST, "X: b", " c"), 400, "bad-head"),
    "NUL": (head(HOST, "X: b\0c"), 400, "bad-head"),
    "one word": (head(line="GET"), 400, "bad-head"),
    "lower-case method": (head(HOST, line=f"get {HIT} HTTP/1.1"), 400, "bad-head"),
    "another version": (head(HOST, line=f"GET {HIT} HTTP/2.0"), 400, "bad-head"),
    "another protocol": (head(HOST, line=f"GET {HIT} HTTX/1.1"), 400, "bad-head"),
    "high byte": (head(HOST, line="GET /\xe9 HTTP/1.1"), 400, "bad-head"),
    "no slash": (head(HOST, line="GET a HTTP/1.1"), 400, "bad-head"),
    "odd expectation": (head(HOST, "Expect: tea", line=POST), 417, "bad-head"),
    "both framings": (
        head(HOST, "Content-Length: 3", CHUNKED, line=POST),
        *(400, "unsupported-framing"),
    ),
    "two lengths": (
        head(HOST, "Content-Length: 3", "Content-Length: 3", line=POST),
        *(400, "unsupported-framing"),
    ),
    "negative length": (
        head(HOST, "Content-Length: -1", line=POST),
        *(400, "unsupported-framing"),
    ),
    "coded body": (
        head(HOST, "Transfer-Encoding: gzip, chunked", line=POST),
        *(400, "unsupported-framing"),
    ),
    "coded, not chunked": (
        head(HOST, "Transfer-Encoding: gzip", line=POST),
        *(400, "unsupported-framing"),
    ),
    "unknown coding": (
        head(HOST, "Transfer-Encoding: xchunked", line=POST),
        *(400, "unsupported-framing"),
    ),
    "chunked in 1.0": (
        head(CHUNKED, line=f"POST {HIT} HTTP/1.0"),
        *(400, "unsupported-framing"),
    ),
    "long line": (
        head(HOST, line=f"GET {HIT}?{'a' * 80_000} HTTP/1.1"),
        *(414, "head-too-large"),
    ),
    "large field": (head(HOST, f"X: {'a' * 80_000}"), 431, "head-too-large"),
    "many fields": (head(HOST, *["X: a"] * 2100), 431, "head-too-large"),
    "too long a body": (
        head(HOST, f"Content-Length: {2**63}", line=POST),
        *(400, "unsupported-framing"),
    ),
    "too long a body, written long": (
        head(HOST, f"Content-Length: {'0' * 30}{2**64 + 3}", line=POST),
        *(400, "unsupported-framing"),
    ),
    "large head of small fields": (
        head(HOST, *[f"X: {'a' * 9_000}"] * 9),
        *(431, "head-too-large"),
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_head_is_refused_with_its_reason(client: Client, name: str) -> None:
    """P6; gunicorn's own answer would be a page of HTML."""
    raw, status, reason = MALFORMED[name]
    answered = refused(client, raw)

    assert (answered.status, answered.problem()["reason"]) == (status, reason)


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /v1/stream/hit HTTP/1.1\nHost: a\n\n",
        b"GET /v1/stream/hit HTTP/1.1\r\nHost: a\n\r\n",
        b"GET /v1/stream/hit HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
    ],
)
def test_the_strict_parser_is_the_one_in_use(client: Client, raw: bytes) -> None:
    """A bare LF or CR ends no line: the optional C parser is laxer, and not used."""
    assert refused(client, raw).status == 400


def test_a_head_that_does_not_come_in_time_is_refused(impatient_client: Client) -> None:
    """E51: the time runs from the first byte on, whatever trickles in."""
    answered = refused(impatient_client, b"GET /v1/stream/hit HTTP/1.1\r\nHost:")

    assert answered.status == 408


def test_a_client_that_leaves_within_a_head_is_no_error(
    edge: EdgeProcess, client: Client
) -> None:
    """There is nobody to answer, and nothing to log."""
    client.send(b"GET /v1/stream/hit HTTP")
    client.half_close()

    assert client.ended()


@pytest.mark.parametrize("option", ["close", "Close", "x, close", "keep-alive, close"])
def test_close_is_honoured_wherever_connection_names_it(
    client: Client, option: str
) -> None:
    """RFC 9110 section 7.6.1: Connection is a list; gunicorn looks at one member."""
    client.get(HIT, f"Connection: {option}")

    assert client.read()["connection"] == "close"
    assert client.ended()


def test_what_follows_a_close_does_not_reset_the_answer_away(client: Client) -> None:
    """RFC 9112 section 9.6: it stays unanswered, and unread bytes would reset."""
    asked = head(HOST, "Connection: close").replace("\n", "\r\n")
    client.send(asked.encode() + b"x" * 50_000)

    assert client.read().body == b"hello\n"
    assert client.ended()


def test_a_connection_is_kept_in_http_1_1(client: Client) -> None:
    """Requests follow one another on one connection."""
    for _ in range(3):
        client.get(HIT)
        assert client.read().body == b"hello\n"


def test_requests_sent_ahead_are_answered_in_order(client: Client) -> None:
    """RFC 9112 section 9.3.2."""
    for number in range(5):
        client.get(HIT, f"X-Request-Id: n{number}")

    assert [client.read()["x-request-id"] for _ in range(5)] == [
        f"n{number}" for number in range(5)
    ]


LARGE_HEADS = {
    "one field": head(HOST, f"Cookie: {'a' * 60_000}"),
    "many fields": head(HOST, *[f"X-{number}: a" for number in range(1500)]),
    "target": head(HOST, line=f"GET {HIT}?ext={'a' * 60_000} HTTP/1.1"),
}


@pytest.mark.parametrize("name", LARGE_HEADS)
def test_a_head_within_its_limit_is_taken_whatever_it_is_made_of(
    client: Client, name: str
) -> None:
    """limits.head is the one bound of a head; here it is the default."""
    client.send(LARGE_HEADS[name])

    assert client.read().status == 200


@pytest.mark.parametrize("minor", ["0", "1", "2", "9"])
@pytest.mark.parametrize("path", [HIT, "/v1/stream/hit?offset=-1"])
def test_every_answer_is_one_of_http_1_1(client: Client, minor: str, path: str) -> None:
    """RFC 9110 sections 2.5 and 6.2: the highest version that this server speaks."""
    client.send(head(HOST, line=f"GET {path} HTTP/1.{minor}"))

    assert client.until(b"\n") == b"HTTP/1.1 200 OK\r\n"


def test_http_1_0_is_answered_and_closed(client: Client) -> None:
    """Without Host, which it need not have; never with chunked coding."""
    client.send(f"GET {HIT} HTTP/1.0\n\n")
    answered = client.read()

    assert answered.body == b"hello\n"
    assert not answered.all("transfer-encoding")
    assert client.ended()


def test_the_absolute_form_is_taken(client: Client) -> None:
    """RFC 9112 section 3.2.2: every server must."""
    client.send(f"GET http://other.test{HIT} HTTP/1.1\nHost: edge.test\n\n")

    assert client.read().body == b"hello\n"


def test_each_answer_has_one_date_and_one_server(client: Client) -> None:
    """gunicorn adds both itself."""
    client.get(HIT)
    answered = client.read()

    assert len(answered.all("date")) == 1
    assert answered.all("server") == ["ds-edge"]


def test_fields_whose_names_would_be_confused_are_dropped(client: Client) -> None:
    """P9: X_Request_Id is not X-Request-Id."""
    client.get(HIT, "X_Request_Id: spoofed")

    assert client.read()["x-request-id"] != "spoofed"
