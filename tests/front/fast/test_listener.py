"""The listener: what waits in the backlog when it closes."""

import socket
from pathlib import Path

import pytest

from edge.front.fast import listener
from edge.front.fast.connection import FastConnection
from tests.front.fast.test_connection import Bench


def test_all_that_waits_in_the_backlog_is_still_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E54: however many are accepted at once; after that nobody is."""
    monkeypatch.setattr(listener, "BATCH_SIZE", 3)
    bench = Bench()
    address = str(tmp_path / "edge")
    connections: set[FastConnection] = set()
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(address)
        bound.listen(64)
        accepting = listener.FastServer(bench.context, bound, connections, 8)
        accepting.start()
        clients = [socket.socket(socket.AF_UNIX) for _ in range(10)]
        for client in clients:
            client.connect(address)
        accepting.close()

    assert len(connections) == len(clients)
    for connection in tuple(connections):
        connection.cut()
    for client in clients:
        client.close()
    bench.close()
