"""Who the client is, over real sockets, both ways through the front.

The path ``client`` answers whom the hub counts the reader as.
"""

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from edge.policy.http.client_address import NOBODY, TrustedProxies
from edge.protocol.http_grammar import trace_id
from tests.front.edge_process import Client, EdgeProcess
from tests.support.patience import until

CLIENT = "/v1/stream/client"
FIELDS = "/elsewhere/fields"
HERE = "127.0.0.1"
TRUSTING: dict[str, Any] = {"trusted_proxies": TrustedProxies.of(["127.0.0.0/8"])}
LINE = b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 443\r\n"
SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
IP4 = bytes([203, 0, 113, 9, 10, 0, 0, 1]) + b"\x12\x67\x01\xbb"
GET = f"GET {CLIENT} HTTP/1.1\r\nHost: edge.test\r\n\r\n".encode()
WHOLE = ("X-Twice: a", "X-Twice: b")
"""Fields that the fast way leaves to the whole way."""


def edge(proxied: bool = False, **front: Any) -> EdgeProcess:
    return EdgeProcess({"front": front, "proxy_protocol": proxied})


@pytest.fixture(scope="module")
def trusting() -> Iterator[EdgeProcess]:
    with edge(**TRUSTING) as made:
        yield made


@pytest.fixture(scope="module", params=[True, False], ids=["fast", "whole"])
def fast(request: pytest.FixtureRequest) -> bool:
    """By both ways through the front."""
    return bool(request.param)


@pytest.fixture(scope="module")
def proxied(fast: bool) -> Iterator[EdgeProcess]:
    """Each connection begins with a header of the PROXY protocol; all peers may."""
    with edge(proxied=True, fast=fast, trusted_proxies=NOBODY) as made:
        yield made


@pytest.fixture(scope="module")
def impatient(fast: bool) -> Iterator[EdgeProcess]:
    """The same, but it soon gives up who sends no header."""
    front, limits = {"fast": fast, "trusted_proxies": NOBODY}, {"head_timeout": 0.3}
    given = {"front": front, "proxy_protocol": True, "limits": limits}
    with EdgeProcess(given) as made:
        yield made


def requests_of(log: str) -> list[dict[str, Any]]:
    """The lines of an access log."""
    lines = [json.loads(line) for line in log.splitlines()]
    return [line for line in lines if line["message"] == "request"]


def asked(client: Client, *fields: str) -> str:
    client.get(CLIENT, *fields)
    return client.read().body.decode()


@pytest.mark.parametrize("way", [(), WHOLE], ids=["fast", "whole"])
@pytest.mark.parametrize(
    ("fields", "address"),
    [
        ((), HERE),
        (("X-Forwarded-For: 203.0.113.9",), "203.0.113.9"),
        (("x-forwarded-for:1.2.3.4 , 203.0.113.9, 127.0.0.2 ",), "203.0.113.9"),
        (('Forwarded: for="[2001:db8::1]:80";proto=https',), "2001:db8::1"),
        (("Forwarded: for=_hidden",), HERE),
        (("X-Forwarded-For: unknown",), HERE),
        (("X-Forwarded-For: 1.2.3.4", "Forwarded: for=5.6.7.8"), HERE),
        (("X-Forwarded-For: " + "9.9.9.9," * 1000 + "203.0.113.9",), "203.0.113.9"),
        (("X-Forwarded-For: 1.2.3.4", "X-Forwarded-For: 203.0.113.9"), "203.0.113.9"),
        (("Forwarded: for=1.2.3.4", "Forwarded: for=203.0.113.9"), "203.0.113.9"),
    ],
)
def test_a_trusted_peer_speaks_for_its_clients(
    trusting: EdgeProcess, way: tuple[str, ...], fields: tuple[str, ...], address: str
) -> None:
    with trusting.connect() as client:
        assert [asked(client, *way, *fields) for _ in range(4)] == [address] * 4


@pytest.mark.parametrize("way", [(), WHOLE], ids=["fast", "whole"])
def test_each_request_of_a_proxys_connection_has_its_own_client(
    trusting: EdgeProcess, way: tuple[str, ...]
) -> None:
    """A proxy keeps its connections, and one field is all that differs."""
    with trusting.connect() as client:
        for number in (1, 2, 3, 1, 2):
            field = f"X-Forwarded-For: 203.0.113.{number}"
            assert asked(client, *way, field) == f"203.0.113.{number}"


@pytest.mark.parametrize("way", [(), WHOLE], ids=["fast", "whole"])
def test_nobody_else_is_believed(edge: EdgeProcess, way: tuple[str, ...]) -> None:
    """P1: the field is there for anybody to send."""
    with edge.connect() as client:
        for field in ("X-Forwarded-For: 203.0.113.9", "Forwarded: for=203.0.113.9"):
            assert asked(client, *way, field) == HERE


def test_what_passes_says_anew_who_sent_it(trusting: EdgeProcess) -> None:
    """And by what it was called. What else came is dropped."""
    fields = [
        "X-Forwarded-For: 1.2.3.4, 203.0.113.9",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: streams.test",
        "X-Forwarded-Port: 99",
        "X-Real-Ip: 1.2.3.4",
    ]
    with trusting.connect() as client:
        client.request("POST", FIELDS, *fields, body=b"x")
        sent = dict(json.loads(client.read().body))

    told = {name: v for name, v in sent.items() if "forwarded" in name or "ip" in name}
    assert told == {
        "x-forwarded-for": "203.0.113.9",
        "x-forwarded-proto": "https",
        "x-forwarded-host": "streams.test",
    }


def test_the_log_tells_the_client_and_little_of_its_fields() -> None:
    """Both ways the same; of the page that it came from, only whose it was."""
    trace = "0af7651916cd43dd8448eb211c80319c"
    fields = [
        "X-Forwarded-For: 203.0.113.9",
        "X-Forwarded-Host: streams.test",
        'User-Agent: a "b" c',
        "Referer: https://app.test:8443/secret/page?token=s3cret",
        f"traceparent: 00-{trace}-b7ad6b7169203331-01",
        "Authorization: Bearer s3cret",
    ]
    with edge(**TRUSTING) as made:
        with made.connect() as client:
            for way in ((), (), (), WHOLE):
                asked(client, *way, *fields)
            asked(client, "Referer: https://u:s3cret@app.test/", "traceparent: 00-x")
        made.stop()
        log = made.log()

    *lines, last = requests_of(log)
    assert "s3cret" not in log and "/secret" not in log
    for line in lines:
        told = ("client", "host", "agent", "referer", "trace")
        assert [line[name] for name in told] == [
            "203.0.113.9",
            "streams.test",
            'a "b" c',
            "https://app.test:8443",
            trace,
        ]
    assert "referer" not in last and "trace" not in last


def test_a_client_that_left_is_known_in_the_log() -> None:
    with edge(**TRUSTING) as made:
        with made.connect() as client:
            client.get(
                "/v1/stream/park?offset=7&live=long-poll",
                "X-Forwarded-For: 203.0.113.9",
            )
            made.expect("parked")
        made.expect("gone")
        made.stop()
        log = made.log()

    [line] = requests_of(log)
    assert (line["client"], line["reason"]) == ("203.0.113.9", "client-gone")


# The PROXY protocol.


@pytest.mark.parametrize("apart", [False, True], ids=["at once", "in single bytes"])
@pytest.mark.parametrize(
    ("header", "address"),
    [
        (LINE, "203.0.113.9"),
        (b"PROXY TCP6 2001:db8::1 ::1 4711 443\r\n", "2001:db8::1"),
        (b"PROXY UNKNOWN\r\n", HERE),
        (SIGNATURE + b"\x21\x11\x00\x0c" + IP4, "203.0.113.9"),
        (SIGNATURE + b"\x20\x00\x00\x00", HERE),
        (SIGNATURE + b"\x21\x31\x00\xd8" + bytes(216), HERE),
    ],
)
def test_a_balancer_says_in_front_who_calls(
    proxied: EdgeProcess, header: bytes, address: str, apart: bool
) -> None:
    """For every request of the connection, the fast way and the whole way."""
    with proxied.connect() as client:
        sent = header + GET
        pieces = [bytes([byte]) for byte in sent] if apart else [sent]
        for piece in pieces:
            client.send(piece)
        assert client.read().body.decode() == address
        # Nobody trusts this client: what it says of itself is its own text.
        assert asked(client, "X-Forwarded-For: 10.9.9.9") == address
        assert asked(client, *WHOLE, "Forwarded: for=10.9.9.9") == address


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (GET, "no-proxy-header"),
        (b"\x16\x03\x01\x02\x00\x01" + bytes(500), "no-proxy-header"),
        (b"", "no-proxy-header"),
        (LINE[:-2], "no-proxy-header"),
        (SIGNATURE + b"\x21\x11\x00\x0c\xcb\x00", "no-proxy-header"),
        (b"PROXY " + b"x" * 200, "bad-proxy-header"),
        (SIGNATURE + b"\x21\x11\xff\xff", "bad-proxy-header"),
        (SIGNATURE + b"\x31\x11\x00\x0c" + bytes(12), "bad-proxy-header"),
    ],
)
def test_a_connection_without_a_good_header_is_closed_and_told(
    impatient: EdgeProcess, sent: bytes, reason: str
) -> None:
    """Without a word: nobody knows what is spoken there. Silence is bounded."""
    before = impatient.log().count(f'"reason": "{reason}"')
    with impatient.connect() as client:
        client.send(sent)
        assert closed_without_a_word(client)

    until(lambda: impatient.log().count(f'"reason": "{reason}"') > before)
    lines = [line for line in impatient.log().splitlines() if f'"{reason}"' in line]
    assert len(lines) == before + 1
    assert json.loads(lines[-1])["client"] == HERE
    with impatient.admin() as operator:
        operator.get("/metrics")
        counted = f'ds_edge_client_faults_total{{reason="{reason}"}} '
        page = operator.read().body.decode()
    [times] = [line for line in page.splitlines() if line.startswith(counted)]
    assert float(times.removeprefix(counted)) >= 1


def closed_without_a_word(client: Client) -> bool:
    try:
        return client.ended()
    except ConnectionResetError:
        # It had not read all that was sent.
        return True


def test_a_header_and_then_silence_is_a_client_that_may_begin(
    proxied: EdgeProcess,
) -> None:
    """It has its idle time, as everybody has."""
    with proxied.connect() as client, proxied.connect() as other:
        client.send(LINE)
        other.send(LINE + GET)
        assert other.read().status == 200
        client.send(GET)
        assert client.read().body == b"203.0.113.9"


def test_requests_behind_the_header_are_served_in_order(proxied: EdgeProcess) -> None:
    with proxied.connect() as client:
        client.send(LINE + GET * 3)
        assert [client.read().status for _ in range(3)] == [200, 200, 200]


def test_only_trusted_proxies_may_speak_where_some_are_named(fast: bool) -> None:
    others = TrustedProxies.of(["10.0.0.0/8"])
    with edge(proxied=True, fast=fast, trusted_proxies=others) as made:
        with made.connect() as client:
            client.send(LINE + GET)
            assert closed_without_a_word(client)
        made.expect_log("proxy-not-trusted")


def test_a_trusted_client_of_a_balancer_is_believed(fast: bool) -> None:
    """A CDN that calls through the balancer: its word counts, the balancer's says that
    it is the CDN."""
    both = TrustedProxies.of(["127.0.0.0/8", "203.0.113.0/24"])
    with (
        edge(proxied=True, fast=fast, trusted_proxies=both) as made,
        made.connect() as cdn,
        made.connect() as local,
    ):
        cdn.send(LINE)
        assert asked(cdn, "X-Forwarded-For: 198.51.100.7") == "198.51.100.7"
        # A header that tells no address: whose words the fields are is not known.
        local.send(b"PROXY UNKNOWN\r\n")
        assert asked(local, "X-Forwarded-For: 198.51.100.7") == HERE


def test_a_connection_that_sends_no_header_does_not_hold_up_the_end(fast: bool) -> None:
    with edge(proxied=True, fast=fast, trusted_proxies=NOBODY) as made:
        sock = socket.create_connection(made.address)
        with sock, made.connect() as client:
            client.send(LINE + GET)
            assert client.read().status == 200
            assert made.stop() == 0


# Traces.

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize("way", [(), WHOLE], ids=["fast", "whole"])
def test_the_hub_is_told_for_which_request_it_asks(
    edge: EdgeProcess, way: tuple[str, ...]
) -> None:
    """The client's own trace and id where they are good, new ones where not."""
    with edge.connect() as client:

        def told(*fields: str) -> tuple[str, str, str]:
            client.get("/v1/stream/trace", *way, *fields)
            answered = client.read()
            sent = dict(json.loads(answered.body))
            assert set(sent) == {"traceparent", "x-request-id"}
            return sent["traceparent"], sent["x-request-id"], answered["x-request-id"]

        own = (f"traceparent: {TRACEPARENT}", "X-Request-Id: mine")
        assert told(*own) == (TRACEPARENT, "mine", "mine")
        made = {told(*way, "traceparent: 00-garbage", "X-Request-Id: a b")}
        made |= {told() for _ in range(3)}

    assert len(made) == 4
    for traceparent, sent_id, answered_id in made:
        assert trace_id(traceparent) and traceparent.endswith("-00")
        assert sent_id == answered_id != ""


def test_what_passes_carries_a_good_trace_or_a_new_one(edge: EdgeProcess) -> None:
    """And the state of a trace only with it."""
    state = "tracestate: a=b"
    with edge.connect() as client:

        def sent(*fields: str) -> dict[str, str]:
            client.request("POST", FIELDS, *fields, body=b"x")
            return dict(json.loads(client.read().body))

        good = sent(f"traceparent: {TRACEPARENT}", state)
        assert (good["traceparent"], good["tracestate"]) == (TRACEPARENT, "a=b")
        for fields in ((state,), ("traceparent: x", state)):
            new = sent(*fields)
            assert trace_id(new["traceparent"]) and "tracestate" not in new
