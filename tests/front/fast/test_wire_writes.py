"""Plain writes on the wire: what a worker that leaves does, and a client that does.

Real gunicorn. ``held`` is a path whose origin answers only once it is told to, by a
write to ``release``.
"""

import pytest

from edge.front.fast.plain_writes import MAX_BODY_BYTES
from tests.front.edge_process import Client, EdgeProcess, over_both

HELD = "/v1/stream/held"
RELEASE = "/v1/stream/release"
TEXT = "Content-Type: text/plain"


@pytest.mark.parametrize("how", ["stop", "reload"])
def test_a_write_under_way_is_answered_before_its_worker_ends(how: str) -> None:
    """U27: the hub hears of it, and its client does."""
    with (
        # Who releases the write has been idle, and must not be parted with meanwhile.
        EdgeProcess({"grace": 20.0, "idle_grace": 20.0}) as edge,
        edge.connect() as writer,
        edge.connect() as other,
    ):
        other.get("/v1/stream/hit")
        other.read()
        writer.request("POST", HELD, TEXT, body=b"abc")
        edge.expect("held")
        if how == "stop":
            edge.terminate()
        else:
            edge.reload()
        edge.expect("draining")
        other.request("POST", RELEASE, TEXT, body=b"x")
        assert other.read().status == 200
        answered = writer.read()

        assert (answered.status, answered.body) == (200, b"released")
        assert answered["connection"] == "close"
        assert edge.expect(f"wrote /v1/stream/** {HELD}").endswith("POST 200")
        edge.expect("stopped")


@pytest.mark.parametrize("how", ["half_close", "close", "reset"])
@over_both
def test_a_client_that_leaves_gives_no_write_up(
    edge: EdgeProcess, client: Client, how: str
) -> None:
    """U27: nobody else would know what became of it."""
    with edge.connect() as writer:
        writer.request("POST", HELD, TEXT, body=b"abc")
        edge.expect("held")
        getattr(writer, how)()
        client.request("POST", RELEASE, TEXT, body=b"x")
        client.read()

        assert edge.expect(f"wrote /v1/stream/** {HELD}").endswith("POST 200")
        if how == "half_close":
            assert writer.read().body == b"released"


@over_both
def test_what_is_sent_behind_a_write_is_answered_behind_it(
    edge: EdgeProcess, client: Client
) -> None:
    """In order, whatever it is, and however much."""
    with edge.connect() as writer:
        writer.request("POST", HELD, TEXT, body=b"abc")
        edge.expect("held")
        writer.get("/v1/stream/hit")
        writer.request("POST", "/v1/stream/swallow", TEXT, body=b"x" * MAX_BODY_BYTES)
        writer.request("HEAD", "/v1/stream/hit")
        writer.request("PATCH", "/v1/stream/swallow", TEXT, body=b"12")
        client.request("POST", RELEASE, TEXT, body=b"x")
        client.read()
        methods = ("POST", "GET", "POST", "HEAD", "PATCH")
        found = [writer.read(method).body for method in methods]

    size = MAX_BODY_BYTES
    swallowed = f"{size} bytes, {size} at most".encode()
    assert found == [b"released", b"hello\n", swallowed, b"", b"2 bytes, 2 at most"]


@over_both
def test_many_writes_at_once_are_all_told_and_answered(edge: EdgeProcess) -> None:
    """32 clients, each with a few in one go."""
    clients = [edge.connect() for _ in range(32)]
    for client in clients:
        for _ in range(4):
            client.request("POST", "/v1/stream/swallow", TEXT, body=b"abc")
    for client in clients:
        for _ in range(4):
            assert client.read().body == b"3 bytes, 3 at most"
        client.close()
    told = [edge.expect("wrote") for _ in range(4 * len(clients))]

    assert set(told) == {"wrote /v1/stream/** /v1/stream/swallow POST 200"}
