"""The fast way on the wire: what clients do to it, and that nothing is left behind."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.process.worker import MAX_UNSENT_BYTES
from tests.front.edge_process import Client, EdgeProcess, over_both
from tests.front.fake_edge import LARGE

HIT = "/v1/stream/hit"
PARK = "/v1/stream/park?offset=7&live=long-poll"
HEAD = f"GET {HIT} HTTP/1.1\r\nHost: edge.test\r\nAccept: */*\r\n\r\n".encode()


def release(edge: EdgeProcess) -> None:
    """Answer whoever is parked."""
    with edge.connect() as writer:
        writer.request("PUT", "/v1/stream/park", "Content-Type: text/plain", body=b"x")
        writer.read()


def metric(edge: EdgeProcess, name: str) -> float:
    """One of the edge's own numbers."""
    with edge.admin() as operator:
        operator.get("/metrics")
        lines = operator.read().body.decode().splitlines()
    [line] = [line for line in lines if line.startswith(f"ds_edge_{name} ")]
    return float(line.split()[1])


@over_both
def test_a_head_may_trickle_in_byte_by_byte(client: Client) -> None:
    """An incomplete head is not odd: it is judged when it is complete."""
    for number in range(len(HEAD)):
        client.send(HEAD[number : number + 1])

    assert client.read().body == b"hello\n"
    client.get(HIT)
    assert client.read().body == b"hello\n"


def test_an_incomplete_head_that_can_never_be_plain_is_judged_at_once(
    client: Client,
) -> None:
    """As the slow way does: its answer does not wait for the rest of the head."""
    client.send(b"GET /v1/stream/hit HTTX/1.1\r\nHost: a")

    assert client.read().status == 400


def test_a_hundred_kib_of_fields_is_refused(client: Client) -> None:
    """At 64 KiB, whatever follows."""
    client.send(
        HEAD[:-2] + b"".join(b"X%d: %b\r\n" % (n, b"a" * 1000) for n in range(100))
    )

    assert client.read().status == 431


@pytest.mark.parametrize("fields", [(), ("X-Twice: a", "X-Twice: b")])
def test_both_ways_know_the_clients_address(
    client: Client, fields: tuple[str, ...]
) -> None:
    """The fast one, and that of requests which are not plain (L15)."""
    client.get("/v1/stream/client", *fields)

    assert client.read().body == b"127.0.0.1"


@over_both
def test_many_requests_sent_ahead_are_answered_in_order(client: Client) -> None:
    """Plain ones and others, more than one read takes."""
    wanted = 1500
    for number in range(wanted):
        method = "HEAD" if number % 100 == 50 else "GET"
        client.request(method, HIT, f"X-Request-Id: n{number}")

    for number in range(wanted):
        method = "HEAD" if number % 100 == 50 else "GET"
        assert client.read(method)["x-request-id"] == f"n{number}"


@over_both
def test_a_client_that_half_closes_after_its_request_is_answered(
    client: Client,
) -> None:
    """Only one that waits is taken for gone."""
    client.send(HEAD)
    client.half_close()

    assert client.read().body == b"hello\n"
    assert client.ended()


@over_both
def test_a_large_answer_goes_on_when_a_slow_reader_reads(client: Client) -> None:
    """What the socket did not take waits for it, and the connection stays usable."""
    client.get("/v1/stream/large")
    client.get(HIT)
    answered = client.read()

    assert (answered.body, answered.complete) == (LARGE, True)
    assert client.read().body == b"hello\n"


def test_the_kernel_holds_little_of_an_answer_that_is_not_read(
    edge: EdgeProcess, client: Client
) -> None:
    """A client that reads nothing costs no megabytes of its memory (E48)."""
    client.get(HIT)
    client.read()
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(edge.address)
        slow.sendall(HEAD.replace(b"/hit", b"/large"))
        assert slow.recv(1, socket.MSG_PEEK)
        # The answer's send is over when the loop has served somebody else.
        client.get(HIT)
        client.read()
        held = unsent(slow.getpeername()[1], slow.getsockname()[1])

    assert 0 < held < 2 * MAX_UNSENT_BYTES < len(LARGE)


def unsent(port: int, to: int) -> int:
    """Bytes that the kernel holds for sending, from one port of ours to another."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, queues, *_ = line.split()
        if (local[-5:], remote[-5:]) == (f":{port:04X}", f":{to:04X}"):
            return int(queues.partition(":")[0], 16)
    raise AssertionError("there is no such connection")


@over_both
def test_more_than_fits_may_be_sent_ahead_while_parked(
    edge: EdgeProcess, client: Client
) -> None:
    """64 KiB are kept, the rest stays in the socket, and all is answered."""
    client.get(PARK)
    edge.expect("parked")
    filler = "X: " + "a" * 900
    for _ in range(100):
        client.get(HIT, filler)
    release(edge)

    assert client.read().status == 204
    for _ in range(100):
        assert client.read().body == b"hello\n"


@over_both
def test_a_client_that_resets_within_a_head_is_forgotten(edge: EdgeProcess) -> None:
    """And nobody else notices."""
    with edge.connect() as other:
        resetting = edge.connect()
        resetting.send(HEAD[:20])
        resetting.reset()
        other.send(HEAD)
        assert other.read().status == 200


@over_both
def test_a_parked_crowd_is_released_though_one_of_them_reset(
    edge: EdgeProcess,
) -> None:
    """One viewer's end is not another's."""
    crowd = [edge.connect() for _ in range(20)]
    for viewer in crowd:
        viewer.get(PARK)
        edge.expect("parked")
    crowd.pop(7).reset()
    release(edge)

    for viewer in crowd:
        with viewer:
            assert viewer.read().status == 204


def test_no_descriptor_is_left_behind() -> None:
    """However connections end: closed, reset, handed over, refused, timed out."""
    limits = {"head_timeout": 0.1, "max_connections": 50}
    with EdgeProcess({"limits": limits}) as edge:
        _use(edge)
        before = _settled(edge)
        for _ in range(2):
            _use(edge)

        # One more may be the operator's own connection, which is just closing; a
        # leak of any kind of end would show in each of the rounds.
        assert _settled(edge) <= before + 1


def _use(edge: EdgeProcess) -> None:
    """Everything that a connection can go through."""
    for _ in range(2):
        with edge.connect() as client:
            client.send(HEAD)
            client.read()
        with edge.connect() as client:
            client.request("OPTIONS", HIT)
            client.read()
        with edge.connect() as client:
            client.send(b"odd\r\n\r\n")
            client.read()
        with edge.connect() as client:
            client.send(HEAD[:30])
            assert client.read().status == 408
        client = edge.connect()
        client.get(PARK)
        edge.expect("parked")
        client.reset()
        edge.expect("gone")
        with edge.connect() as client:
            client.get("/v1/stream/cut?offset=-1&live=sse")
            client.read()


def _settled(edge: EdgeProcess) -> int:
    """Open descriptors once no client is left."""
    while metric(edge, "connections"):
        pass
    return len(os.listdir(f"/proc/{edge.worker}/fd"))


@pytest.fixture
def poor_edge() -> Iterator[EdgeProcess]:
    """An edge with few descriptors."""
    with EdgeProcess({"files": 48}) as edge:
        yield edge


def test_accepting_pauses_when_descriptors_run_out(poor_edge: EdgeProcess) -> None:
    """E49: counted, no spinning, and it goes on when there are some."""
    with poor_edge.admin() as operator:
        operator.get("/health")
        operator.read()
        clients = [poor_edge.connect() for _ in range(60)]
        clients[0].send(HEAD)
        assert clients[0].read().status == 200
        operator.get("/metrics")
        text = operator.read().body.decode()
        while "ds_edge_accept_pauses_total 0.0" in text:
            operator.get("/metrics")
            text = operator.read().body.decode()
        for client in clients[:50]:
            client.close()
        clients[59].send(HEAD)

        assert clients[59].read().status == 200
    for client in clients[50:]:
        client.close()


def test_the_processor_rests_while_connections_wait(
    impatient_edge: EdgeProcess,
) -> None:
    """Idle, parked and half-read connections cost no time."""
    edge = impatient_edge
    clients = [edge.connect() for _ in range(3)]
    clients[0].get(PARK)
    edge.expect("parked")
    clients[1].send(HEAD)
    clients[1].read()
    stat = Path(f"/proc/{edge.worker}/stat")
    before = stat.read_text().split()[13:15]
    clients[2].send(HEAD[:10])
    assert clients[2].read().status == 408
    after = stat.read_text().split()[13:15]

    assert sum(map(int, after)) - sum(map(int, before)) <= 10
    for client in clients:
        client.close()
