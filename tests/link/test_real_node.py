"""A node of real processes: two fronts and a keeper, before a real origin.

Which front a connection meets is the system's choice, so everything here is asked over
many connections. What many workers must show by counts is in ``tests/scale``.
"""

from collections.abc import Iterator

import pytest

from tests.front.edge_process import Client
from tests.support.patience import until
from tests.support.processes import Edge, NodeOrigin, edge, node_origin
from tests.support.talk import ask
from tests.whole.token_gate import TokenGate, token_gate

PATH = "/v1/stream/linked"
TIMES = 24
TEXT = {"content_type": "text/plain"}
NODE = {"workers": 2, "keepers": 1, "log": {"access": "off"}}


@pytest.fixture(scope="module")
def origin() -> Iterator[NodeOrigin]:
    with node_origin(long_poll_ms=30_000) as running:
        yield running


@pytest.fixture(scope="module")
def node(origin: NodeOrigin) -> Iterator[Edge]:
    with edge(origin.url, **NODE) as running:
        yield running


def test_what_is_written_by_any_front_is_read_by_any_front(node: Edge) -> None:
    """W1, W3, W8: and nobody is told that there are several processes."""
    status, _, _ = ask(node.url + PATH, "PUT", b"", **TEXT)
    assert status == 201
    written = b""
    for number in range(TIMES):
        word = b"<%d>" % number
        assert ask(node.url + PATH, "POST", word, **TEXT)[0] == 204
        written += word
        status, fields, body = ask(node.url + PATH + "?offset=-1")

        assert (status, body) == (200, written)
        assert fields["stream-up-to-date"] == "true"
        assert not [name for name in fields if name.startswith("ds-link")]
        assert fields["cache-status"].count("ds-edge/") == 1
        assert fields["via"].count(",") == 0


def test_a_stream_that_is_not_there_is_so_by_any_front(node: Edge) -> None:
    for _ in range(TIMES):
        status, fields, _ = ask(node.url + PATH + "-missing?offset=-1")
        assert status == 404
        assert not [name for name in fields if name.startswith("ds-link")]


def test_what_a_client_sends_in_a_field_of_the_link_is_nothing_to_the_keeper(
    node: Edge,
) -> None:
    """It would be a read of somebody else's partition, by a credential of the client's
    choice."""
    target = node.url + PATH + "-forged"
    assert ask(target, "PUT", b"x", **TEXT)[0] == 201
    forged = {"ds_link": 'x;r="/v1/stream/**";k=granted', "ds_link_lent": "x;d=1"}
    for _ in range(TIMES):
        status, fields, body = ask(target + "?offset=-1", "GET", b"", **forged)
        assert (status, body) == (200, b"x")
        assert "public" in fields["cache-control"]


@pytest.fixture
def gate(origin: NodeOrigin) -> Iterator[TokenGate]:
    with token_gate(origin.url, "ann", "ben") as standing:
        yield standing


def test_a_credential_that_is_refused_ends_for_those_who_brought_it_alone(
    origin: NodeOrigin, gate: TokenGate
) -> None:
    """W10: at all fronts within ``trust``; whom another one lets in reads on."""
    path = "/v1/stream/linked-lent"
    assert ask(origin.url + path, "PUT", b"one", **TEXT)[0] == 201
    access = {"match": "/v1/stream/**", "access": {"origin": {"trust": "1s"}}}
    with edge(gate.url, **{**NODE, "routes": [access]}) as running:

        def statuses(name: str) -> set[int]:
            told = {"authorization": f"Bearer {name}"}
            url = running.url + path + "?offset=-1"
            return {ask(url, "GET", b"", **told)[0] for _ in range(TIMES)}

        assert statuses("ann") == statuses("ben") == {200}
        assert statuses("cai") == {401}
        gate.valid.discard("ann")
        until(lambda: statuses("ann") == {401})
        assert statuses("ben") == {200}


def test_a_kept_connection_is_answered_on_and_on(node: Edge) -> None:
    """W12: no front is hung up on by its keeper."""
    address = node.url.removeprefix("http://").split(":")
    target = PATH + "-kept"
    assert ask(node.url + target, "PUT", b"", **TEXT)[0] == 201
    with Client((address[0], int(address[1]))) as client:
        for number in range(TIMES):
            client.request("POST", target, "Content-Type: text/plain", body=b"x")
            assert client.read().status == 204
            client.get(f"{target}?offset=-1")
            assert client.read().body == b"x" * (number + 1)
