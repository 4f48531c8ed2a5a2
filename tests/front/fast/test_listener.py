"""The listener: how it rests when it may not accept, and what it still takes."""

import socket
from pathlib import Path

import gevent
import pytest

from edge.core import accepting
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
        server = listener.FastServer(bench.context, bound, connections, 8)
        server.start()
        clients = [socket.socket(socket.AF_UNIX) for _ in range(10)]
        for client in clients:
            client.connect(address)
        server.close()

    assert len(connections) == len(clients)
    for connection in tuple(connections):
        connection.cut()
    for client in clients:
        client.close()
    bench.close()


def test_a_pause_in_accepting_is_a_rest_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the first time alone: a client waits, and the loop must not turn for it."""
    monkeypatch.setattr(accepting, "PAUSE_SECONDS", 0.001)
    bench = Bench()
    counters = bench.context.server_context.counters
    address = str(tmp_path / "edge")
    with socket.socket(socket.AF_UNIX) as bound, socket.socket(socket.AF_UNIX) as one:
        bound.bind(address)
        bound.listen(1)
        server = listener.FastServer(bench.context, bound, set(), 0)
        server.start()
        one.connect(address)
        while counters.accept_pauses == 0:
            gevent.sleep(0)
        monkeypatch.setattr(accepting, "PAUSE_SECONDS", 1000.0)
        while counters.accept_pauses == 1:
            gevent.sleep(0.001)
        for _ in range(500):
            gevent.sleep(0)
            gevent.idle()

        assert counters.accept_pauses == 2
        server.close()
    bench.close()
