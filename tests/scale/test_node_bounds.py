"""The bounds on viewers are the node's, exactly, over real processes (W13).

A burst comes to two fronts at once. Who takes the last at the same moment may be
refused; so those who were ask again, one by one, until the node has all that it may.
"""

import os
import signal
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from itertools import cycle
from urllib.parse import urlsplit

from tests.chaos.reader import call
from tests.front.edge_process import Client
from tests.scale.nodes import Node, node
from tests.support.patience import until
from tests.support.processes import node_origin

PATHS = [f"/v1/stream/bounded-{number}" for number in range(4)]
MOST, MOST_OF_STREAM = 10, 4
EACH = 12
"""Clients of each front."""

LIMITS = {"viewers": MOST, "viewers_per_stream": MOST_OF_STREAM}


class Viewers:
    """Clients that ask for event streams, and which of them were let in."""

    def __init__(self) -> None:
        self.let_in: dict[Client, str] = {}

    def ask(self, client: Client, path: str) -> bool:
        """Whether it was let in; if not, it may ask again."""
        client.get(f"{path}?offset=now&live=sse")
        head = client.sock.recv(12, socket.MSG_PEEK | socket.MSG_WAITALL)
        if head == b"HTTP/1.1 200":
            self.let_in[client] = path
            return True
        told = client.read()
        assert told.status == 503 and b"limit-viewers" in told.body
        return False

    def all_are_in_bounds(self) -> bool:
        by_stream = Counter(self.let_in.values())
        return len(self.let_in) <= MOST and all(
            number <= MOST_OF_STREAM for number in by_stream.values()
        )

    def fill(self, clients: Iterator[Client]) -> None:
        """One after the other asks, for each stream in turn, until the node is full."""
        refused = 0
        for path, client in zip(cycle(PATHS), clients, strict=False):
            refused = 0 if self.ask(client, path) else refused + 1
            if refused == len(PATHS):
                return
        raise AssertionError("there is no end")


def test_a_burst_over_two_fronts_lets_in_as_many_as_the_node_may_have() -> None:
    """And what a front had that was killed is free again."""
    with (
        node_origin() as origin,
        node(origin.url, 2, 1, limits=LIMITS) as one,
        ExitStack() as held,
    ):
        for path in PATHS:
            assert call("PUT", one.url, path)[0] == 201
        first, second = one.front_pids()
        fronts = {
            front: [
                Client.over(held.enter_context(closing(sock)))
                for sock in one.sockets(front, EACH)
            ]
            for front in (first, second)
        }
        viewers = Viewers()
        burst = [
            threading.Thread(target=viewers.ask, args=(client, path))
            for clients in zip(fronts[first], fronts[second], strict=True)
            for client, path in zip(clients, cycle(PATHS[:3]), strict=False)
        ]
        for thread in burst:
            thread.start()
        for thread in burst:
            thread.join()
        assert viewers.all_are_in_bounds()

        waiting = [c for c in fronts[first] + fronts[second] if c not in viewers.let_in]
        viewers.fill(iter(waiting))
        assert viewers.all_are_in_bounds()
        assert len(viewers.let_in) == MOST

        os.kill(first, signal.SIGKILL)
        until(lambda: first not in one.pids() and one.is_whole())
        for client in fronts[first]:
            viewers.let_in.pop(client, None)
        viewers.fill(newcomers(one, held))
        assert viewers.all_are_in_bounds()
        assert len(viewers.let_in) == MOST


def newcomers(one: Node, held: ExitStack) -> Iterator[Client]:
    """Whichever front takes them."""
    address = urlsplit(one.url)
    while True:
        yield held.enter_context(Client((address.hostname, address.port)))
