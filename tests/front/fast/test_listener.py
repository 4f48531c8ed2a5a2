"""The listener: how it rests when it may not accept, and what it still takes."""

import contextlib
import os
import socket
from pathlib import Path
from typing import Any

import gevent
import gevent.socket
import pytest

from edge.core import accepting
from edge.front.fast import listener
from edge.front.fast.connection import FastConnection
from edge.front.http1.server import GreenletServer
from edge.process.connection_servers import ConnectionServer
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


class TooMany:
    """A process with clearly more connections than the others, until ``fewer``."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.fewer = False

    def must_pause(self, connections: int) -> bool:
        """See ``edge.core.accepting.AcceptBalance``."""
        self.asked.append(connections)
        return not self.fewer

    def has_room(self, connections: int, most: int) -> bool:
        """See ``edge.core.accepting.AcceptBalance``."""
        return connections < most


@pytest.mark.parametrize("fast", [True, False])
def test_who_has_clearly_more_connections_lets_others_accept(
    fast: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """W13: at one listener, and it rests a moment each time. It is no fault: nothing is
    counted. Once it has no more than others it accepts again."""
    monkeypatch.setattr(accepting, "BALANCE_SECONDS", 0.001)
    bench, others = Bench(), Bench()
    balance = bench.server_context.balance = TooMany()
    connections: set[Any] = set()
    taken: set[Any] = set()
    address = str(tmp_path / "edge")
    with socket.socket(socket.AF_UNIX) as bound, contextlib.ExitStack() as cleanup:
        bound.bind(address)
        bound.listen(8)

        def connect() -> None:
            client = cleanup.enter_context(socket.socket(socket.AF_UNIX))
            client.connect(address)

        def serve(at: Bench, among: set[Any]) -> ConnectionServer:
            copy = gevent.socket.socket(fileno=os.dup(bound.fileno()))
            server: ConnectionServer
            if fast:
                server = listener.FastServer(at.context, copy, among, 8)
            else:
                server = GreenletServer(at.server_context, copy, among, 8)
            server.start()
            return server

        server = serve(bench, connections)
        connect()
        while len(balance.asked) < 3:
            gevent.sleep(0.001)
        assert not connections and set(balance.asked) == {0}

        other = serve(others, taken)
        while not taken:
            gevent.sleep(0.001)
        other.close()
        balance.fewer = True
        connect()
        while not connections:
            gevent.sleep(0.001)
        assert bench.server_context.counters.accept_pauses == 0
        server.close()
        for connection in (*connections, *taken):
            connection.cut() if fast else connection.dismiss()
        for served in (server, other):
            served.stop()
    bench.close()
    others.close()
