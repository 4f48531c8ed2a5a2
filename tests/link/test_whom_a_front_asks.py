"""Whom a front asks: a keeper for what is shared, the origin for what nobody shares."""

from collections.abc import Iterator

import pytest

from tests.front.edge_process import Answered
from tests.link.node_process import NodeProcess

LARGE = 1 << 16
TYPE = "Content-Type: text/plain"


@pytest.fixture(scope="module")
def node() -> Iterator[NodeProcess]:
    with NodeProcess({"hub": {"max_object": LARGE}}, keepers=1) as edge:
        yield edge


def ask(
    node: NodeProcess, method: str, target: str, *fields: str, body: bytes = b""
) -> tuple[Answered, list[bytes]]:
    """An answer, and what the origin was asked for it: ``direct`` by the front."""
    node.forget()
    with node.connect() as client:
        client.request(method, target, *fields, body=body)
        answered = client.read(method)
    told = [one for one in node.so_far() if b"asked" in one]
    return answered, told


@pytest.mark.parametrize(
    ("method", "query"),
    [("PUT", ""), ("POST", ""), ("GET", "?offset=-1"), ("HEAD", ""), ("DELETE", "")],
)
def test_what_streams_are_asked_goes_by_their_keeper(
    method: str, query: str, node: NodeProcess
) -> None:
    """W1, W3: writes go the way that reads go."""
    target = f"/v1/stream/way-{method}"
    if method != "PUT":
        ask(node, "PUT", target, TYPE)
    body = b"x" if method in ("PUT", "POST") else b""
    answered, told = ask(node, method, target + query, TYPE, body=body)

    assert answered.status in (200, 201, 204)
    assert told and not [one for one in told if one.startswith(b"direct")]


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/elsewhere"),
        ("POST", "/elsewhere"),
        ("GET", "/v1/stream/__ds/subscriptions/a"),
        ("GET", "/v1/stream/way-odd?offset=-1&live=odd"),
        ("PATCH", "/v1/stream/way-odd"),
    ],
)
def test_what_nobody_shares_is_asked_of_the_origin(
    method: str, target: str, node: NodeProcess
) -> None:
    """W11."""
    _, told = ask(node, method, target, TYPE)

    assert told == [f"direct asked {method} {target}".encode()]


def test_what_is_too_large_for_a_front_comes_whole_and_by_its_keeper(
    node: NodeProcess,
) -> None:
    """W11: the keeper alone may hold it on its way; the front relays it piece by piece,
    no faster than its client reads."""
    target, piece = "/v1/stream/way-large", b"0123456789abcdef" * 4096
    ask(node, "PUT", target, TYPE)
    for _ in range(64):
        answered, _ = ask(node, "POST", target, TYPE, body=piece)
        assert answered.status in (200, 204)
    before = node.peak_memory()
    for _ in range(2):
        node.forget()
        with node.connect() as client:
            client.get(f"{target}?offset=-1")
            head = client.head()
            assert head.status == 200
            client._read_body(head, "GET")
        assert head.complete and head.body == piece * 64
        told = [one for one in node.so_far() if b"asked" in one]
        assert told and not [one for one in told if one.startswith(b"direct")]

    # The scripted origin holds an answer whole; nobody else does.
    assert node.peak_memory() - before < 4 * len(piece) * 64
