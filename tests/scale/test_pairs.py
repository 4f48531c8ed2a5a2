"""Whatever was acknowledged by one front is seen by each other one, at once.

L4, L5, W4, W5: real processes, one persistent connection to each front, every ordered
pair of them. Few rounds here; by hand as many as one likes:

    DS_EDGE_ROUNDS=1000 .venv/bin/python -m pytest -n0 tests/scale/test_pairs.py
"""

import itertools
import os
from collections.abc import Iterator

import pytest

from tests.front.edge_process import Client
from tests.scale.nodes import Node, node
from tests.support.processes import NodeOrigin, node_origin

ROUNDS = int(os.environ.get("DS_EDGE_ROUNDS", "15"))
TEXT = "Content-Type: text/plain"
SHAPES = [(2, 1), (2, 2)]
NAMES = ["2+1", "2+2"]


@pytest.fixture(scope="module")
def origin() -> Iterator[NodeOrigin]:
    with node_origin(long_poll_ms=30_000) as running:
        yield running


@pytest.fixture(scope="module", params=SHAPES, ids=NAMES)
def several(origin: NodeOrigin, request: pytest.FixtureRequest) -> Iterator[Node]:
    with node(origin.url, *request.param) as running:
        yield running


@pytest.fixture(scope="module")
def clients(several: Node) -> Iterator[list[Client]]:
    """One for each front."""
    made = [several.client(front) for front in several.front_pids()]
    yield made
    for one in made:
        one.close()


def ask(client: Client, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    """The status and body of an answer."""
    fields = (TEXT,) if method in ("PUT", "POST") else ()
    client.request(method, path, *fields, body=body)
    answered = client.read(method)
    assert answered.complete
    return answered.status, answered.body


def pairs(clients: list[Client]) -> Iterator[tuple[str, Client, Client]]:
    """Each ordered pair, with a path of its own; who writes, and who reads."""
    for a, b in itertools.product(range(len(clients)), repeat=2):
        yield f"{a}{b}", clients[a], clients[b]


def test_a_write_is_read_through_every_front(
    several: Node, clients: list[Client]
) -> None:
    """The reader has the stream at its end, and it is followed meanwhile."""
    for name, writer, reader in pairs(clients):
        path = f"/v1/stream/written-{several.keepers}-{name}"
        assert ask(writer, "PUT", path)[0] == 201
        expected = b""
        for number in range(ROUNDS):
            assert ask(writer, "POST", path, b"<%d>" % number)[0] in (200, 204)
            expected += b"<%d>" % number
            assert ask(reader, "GET", f"{path}?offset=-1") == (200, expected)


def test_an_event_stream_claims_nothing_before_what_was_written(
    several: Node, clients: list[Client]
) -> None:
    """A viewer who wrote through another front finds its write before the first
    claim to be up to date."""
    for name, writer, reader in pairs(clients):
        path = f"/v1/stream/claimed-{several.keepers}-{name}"
        assert ask(writer, "PUT", path)[0] == 201
        front = several.front_pids()[clients.index(reader)]
        for number in range(max(3, ROUNDS // 5)):
            assert ask(writer, "POST", path, b"<%d>" % number)[0] in (200, 204)
            with several.client(front) as viewer:
                viewer.get(f"{path}?offset=-1&live=sse")
                assert b"<%d>" % number in viewer.until(b"upToDate")


def test_what_was_deleted_is_shown_by_no_front(
    several: Node, clients: list[Client]
) -> None:
    """Deleted, it is gone; made anew, it has nothing of what it was."""
    for name, writer, reader in pairs(clients):
        path = f"/v1/stream/deleted-{several.keepers}-{name}"
        for number in range(ROUNDS):
            assert ask(writer, "PUT", path)[0] == 201
            old, new = b"<old %d>" % number, b"<new %d, longer>" % number
            assert ask(writer, "POST", path, old)[0] in (200, 204)
            assert ask(reader, "GET", f"{path}?offset=-1") == (200, old)
            assert ask(writer, "DELETE", path)[0] in (200, 204)
            if number % 2:
                assert ask(reader, "GET", f"{path}?offset=-1")[0] == 404
            assert ask(writer, "PUT", path)[0] == 201
            assert ask(writer, "POST", path, new)[0] in (200, 204)
            assert ask(reader, "GET", f"{path}?offset=-1") == (200, new)
            assert ask(writer, "DELETE", path)[0] in (200, 204)
