"""An edge that speaks TLS, on the wire: who is let in, how it ends, what is told."""

import ssl
from collections.abc import Iterator
from typing import Any

import pytest

from tests.front.conftest import SHORT
from tests.front.edge_process import Client, EdgeProcess
from tests.front.fake_edge import LARGE
from tests.front.tls_client import NAME, TlsClient, TlsEdge, identity
from tests.support.certificates import Authority

HIT = "/v1/stream/hit"
CLOSING = ("Connection: close",)


@pytest.fixture
def over() -> str:
    return "tls"


def handshakes(edge: EdgeProcess) -> dict[str, int]:
    """What became of handshakes, by its word."""
    with edge.admin() as operator:
        operator.get("/metrics")
        lines = operator.read().body.decode().splitlines()
    begin = 'ds_edge_tls_handshakes_total{result="'
    found = (line.removeprefix(begin) for line in lines if line.startswith(begin))
    pairs = (line.split('"} ') for line in found)
    return {word: int(float(number)) for word, number in pairs}


def test_a_read_and_the_next_one_are_answered(edge: EdgeProcess) -> None:
    with TlsClient(edge.address) as client:
        assert client.tls.version() == "TLSv1.3"
        for _ in range(2):
            client.get(HIT)
            assert client.read().body == b"hello\n"


def test_a_client_that_prefers_it_speaks_http_1_1_by_name(edge: EdgeProcess) -> None:
    """ALPN: of what browsers offer, this is what is spoken here."""
    context = identity().context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with TlsClient(edge.address, context) as client:
        assert client.tls.selected_alpn_protocol() == "http/1.1"


def test_both_versions_are_spoken_and_older_ones_are_not(edge: EdgeProcess) -> None:
    context = identity().context(maximum_version=ssl.TLSVersion.TLSv1_2)
    with TlsClient(edge.address, context) as client:
        client.get(HIT)
        assert client.read().body == b"hello\n"
        assert client.tls.version() == "TLSv1.2"
        cipher = client.tls.cipher()
        assert cipher is not None and cipher[0].startswith("ECDHE-")
    old = hello_of_version_1_1()
    with Client(edge.address) as client:
        client.send(old)
        alert = client.rest()

    # A record of an alert, which says: fatal, protocol version.
    assert alert[:1] == b"\x15" and alert[-2:] == b"\x02\x46"
    assert handshakes(edge)["tls-version"] == 1


def hello_of_version_1_1() -> bytes:
    """The beginning of a handshake by which nothing newer is offered."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = identity().context().wrap_bio(incoming, outgoing, server_hostname=NAME)
    with pytest.raises(ssl.SSLWantReadError):
        session.do_handshake()
    hello = outgoing.read()
    # Without the extension that names newer ones: its number is taken away.
    return (
        hello.replace(b"\x00\x2b\x00", b"\x7f\x2b\x00")
        .replace(b"\x03\x03", b"\x03\x02", 1)
        .replace(b"\x03\x03", b"\x03\x02", 1)
    )


def test_plain_http_is_told_so_in_plain(edge: EdgeProcess) -> None:
    """As nginx does: a client that hears an alert would not know what is wrong."""
    with Client(edge.address) as client:
        client.get(HIT)
        answered = client.read()

        assert (answered.status, answered["connection"]) == (400, "close")
        assert answered.problem()["reason"] == "http-to-tls"
        assert client.ended()


def test_what_is_neither_is_closed_without_a_word(edge: EdgeProcess) -> None:
    before = handshakes(edge).get("not-tls", 0)
    with Client(edge.address) as client:
        client.send(b"\0\0\0\0")

        assert client.ended()
    assert handshakes(edge)["not-tls"] == before + 1
    edge.expect_log('"reason": "not-tls"')


def test_tls_to_a_plain_listener_is_a_bad_request(shared_edge: EdgeProcess) -> None:
    with pytest.raises(OSError):
        TlsClient(shared_edge.address)


def test_a_handshake_that_does_not_come_is_not_waited_for() -> None:
    """Neither one that never begins nor one that does not go on."""
    with (
        TlsEdge({"limits": SHORT}) as edge,
        Client(edge.address) as silent,
        Client(edge.address) as slow,
    ):
        slow.send(b"\x16\x03\x01")

        assert silent.ended()
        assert slow.ended()
        edge.expect_log('"reason": "tls-late"')


def test_a_handshake_of_many_bytes_is_cut(edge: EdgeProcess) -> None:
    """A hello may be as long as 16 MiB by its own word, and is never held so long."""
    hello = b"\x01\xff\xff\xff" + bytes(1 << 14)
    record = b"\x16\x03\x01\x40\x00" + hello[: 1 << 14]
    with Client(edge.address) as client, pytest.raises(OSError):
        while True:
            client.send(record)
    edge.expect_log('"reason": "tls-broken"')


def test_who_does_not_believe_the_certificate_is_counted(edge: EdgeProcess) -> None:
    """Its alert says so: most often a chain that is not whole, or another name."""
    with pytest.raises(ssl.SSLCertVerificationError):
        TlsClient(edge.address, ssl.create_default_context())
    edge.expect_log("alert unknown ca")

    assert handshakes(edge)["tls-refused"] >= 1


def test_the_end_of_an_answer_is_said_by_an_alert(edge: EdgeProcess) -> None:
    """U30: so that nobody can cut it and let it look whole."""
    with edge.connect() as client:
        client.get(HIT, *CLOSING)
        client.read()

        # Without the alert this is a reset.
        assert client.ended()


def test_a_client_that_leaves_without_an_alert_is_gone(edge: EdgeProcess) -> None:
    """Parked or idle, as many clients do."""
    with TlsClient(edge.address) as client:
        client.get("/v1/stream/park?offset=7&live=long-poll")
        edge.expect("parked")
        client.end_without_alert()
        edge.expect("gone")


def test_a_body_that_is_cut_off_is_not_whole(edge: EdgeProcess) -> None:
    """Chunks that end without an alert, or in the middle, append nothing."""
    with TlsClient(edge.address) as client:
        client.request("POST", "/v1/stream/swallow", "Transfer-Encoding: chunked")
        client.send(b"3\r\nabc\r\n")
        client.end_without_alert()
        edge.expect_log("detail=body-cut")


def test_a_slow_reader_gets_all_of_an_answer_that_closes(edge: EdgeProcess) -> None:
    """The last record is in no socket yet when the edge has closed."""
    with edge.connect() as client:
        client.get("/v1/stream/large", *CLOSING)
        answered = client.read()

        assert (answered.body, answered.complete) == (LARGE, True)
        assert client.ended()


def test_a_client_that_says_its_end_in_mid_answer_has_the_whole_of_it(
    edge: EdgeProcess,
) -> None:
    """Its alert is about what it sends. What it asked for before still comes, and then
    the edge's own end."""
    with TlsClient(edge.address) as client:
        client.get("/v1/stream/large")
        begun = client.until(b"\r\n\r\n")
        assert begun.startswith(b"HTTP/1.1 200")
        client.half_close()

        assert client.rest().count(b"x") == len(LARGE)


def test_the_origin_is_told_by_what_the_edge_was_called(edge: EdgeProcess) -> None:
    """By both ways of a write, and in the addresses of its answer."""
    for fields in ((), ("X-Odd: a", "X-Odd: b")):
        with edge.connect() as client:
            client.request("POST", "/v1/stream/fields", *fields, body=b"x")
            told = client.read().body

            assert b'["x-forwarded-proto", "https"]' in told
            assert b'["x-forwarded-host", "edge.test"]' in told


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_is_resumed(edge: EdgeProcess, version: Any) -> None:
    """And counted: a crowd that comes back costs half."""
    context = identity().context(maximum_version=version)
    before = handshakes(edge).get("resumed", 0)
    with TlsClient(edge.address, context) as client:
        client.get(HIT)
        client.read()
        session = client.tls.session
        assert not client.tls.session_reused
    with TlsClient(edge.address, context, session=session) as client:
        client.get(HIT)
        assert client.read().body == b"hello\n"
        assert client.tls.session_reused

    assert handshakes(edge)["resumed"] == before + 1


# Edges with settings of their own.


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeProcess]:
    """One that wants certificates of its clients, behind a balancer, with few places,
    and a second certificate for another name."""
    folder = tmp_path_factory.mktemp("other")
    cert, key = map(str, Authority(folder, "other.test").issue("*.other.test"))
    given = {
        "limits": {"max_connections": 2},
        "proxy_protocol": True,
        "tls": {
            "client_ca": str(identity().authority.certificate),
            "more": [{"cert": cert, "key": key}],
            "min_version": "1.3",
        },
    }
    with TlsEdge(given) as edge:
        yield edge


BALANCER = b"PROXY TCP4 192.0.2.9 192.0.2.1 4711 443\r\n"


def own_context(name: str = "viewer.test") -> ssl.SSLContext:
    """A client with a certificate."""
    context = identity().context()
    context.load_cert_chain(*identity().authority.issue(name))
    return context


def test_whom_a_clients_certificate_names_is_logged(guarded: EdgeProcess) -> None:
    """Beside the address that the balancer told, before all TLS."""
    with TlsClient(guarded.address, own_context(), before=BALANCER) as client:
        client.get(HIT)
        assert client.read().body == b"hello\n"
    guarded.expect_log('"certificate": "CN=viewer.test"')
    guarded.expect_log('"client": "192.0.2.9"')


def test_who_shows_no_certificate_is_not_let_in(guarded: EdgeProcess) -> None:
    """In version 1.3 the client hears that after its own handshake is done."""
    with (
        pytest.raises(OSError),
        TlsClient(guarded.address, before=BALANCER) as client,
    ):
        client.get(HIT)
        client.read()
    guarded.expect_log('"reason": "tls-certificate"')


def test_another_name_has_its_own_certificate(
    guarded: EdgeProcess,
) -> None:
    context = own_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    shown = set()
    for name in (NAME, "a.other.test", "b.other.test", "a.b.other.test", "else.test"):
        with TlsClient(guarded.address, context, name, before=BALANCER) as client:
            octets = client.tls.getpeercert(binary_form=True)
            assert octets is not None
            shown.add((name, b"other.test" in octets))

    assert {name for name, other in shown if other} == {"a.other.test", "b.other.test"}


def test_who_finds_no_room_is_told_so_by_tls(guarded: EdgeProcess) -> None:
    """E48: and a handshake takes a place, too."""
    with (
        TlsClient(guarded.address, own_context(), before=BALANCER) as first,
        Client(guarded.address) as second,
    ):
        first.get(HIT)
        assert first.read().status == 200
        second.send(BALANCER + b"\x16\x03\x01")
        first.get(HIT)
        assert first.read().status == 200
        with TlsClient(guarded.address, own_context(), before=BALANCER) as third:
            answered = third.read()
            assert answered.problem()["reason"] == "limit-connections"
            assert third.ended()


def test_the_end_is_as_on_plain_connections() -> None:
    """E54: whoever is parked is answered, whoever is idle hears an end, and who has not
    done its handshake is not waited for."""
    with TlsEdge() as edge, edge.connect() as parked, edge.connect() as idle:
        idle.get(HIT)
        idle.read()
        parked.get("/v1/stream/park?offset=7&live=long-poll")
        edge.expect("parked")
        with Client(edge.address) as begun:
            begun.send(b"\x16\x03\x01")
            edge.terminate()
            answered = parked.read()

            assert (answered.status, answered["connection"]) == (204, "close")
            assert parked.ended() and idle.ended()
            assert edge.ended() == 0


def test_without_the_fast_way_it_is_the_same() -> None:
    """The reference: a greenlet for each connection."""
    with TlsEdge({"front": {"fast": False}}) as edge:
        with edge.connect() as client:
            client.get(HIT)
            assert client.read().body == b"hello\n"
            client.get(HIT, *CLOSING)
            assert client.read().body == b"hello\n"
            assert client.ended()
        with Client(edge.address) as plain, Client(edge.address) as odd:
            plain.get(HIT)
            assert plain.read().problem()["reason"] == "http-to-tls"
            odd.send(b"\0")
            assert odd.ended()
