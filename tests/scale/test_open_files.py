"""A node has as many connections as the open files of all its fronts bear (W13).

Each process has the same limit of open files, lowered here; what is asked for does not
fit. The kernel chooses who accepts, so a front is filled while the other stands still.
"""

import os
import signal
import sys
from contextlib import ExitStack, closing
from urllib.parse import urlsplit

import requests

from edge.cli.open_files import RESERVE
from tests.chaos.reader import call
from tests.front.edge_process import Client
from tests.scale.nodes import Node, node
from tests.support.patience import until
from tests.support.processes import node_origin

PATH = "/v1/stream/files"
EACH = 20
"""What the files of one front bear, beside what it needs itself."""

UPSTREAM = {"connections": 16, "max_followers": 8}
FILES = RESERVE + 2 * UPSTREAM["connections"] + EACH
LOWERED = f"""
import resource
from edge.cli import main

resource.setrlimit(resource.RLIMIT_NOFILE, ({FILES}, {FILES}))
main()
"""


def test_all_fronts_are_filled_before_anybody_is_refused() -> None:
    """Nor is the share of one that was killed lost, or had twice."""
    program = (sys.executable, "-c", LOWERED)
    with (
        node_origin() as origin,
        node(origin.url, 2, 1, program, origin=UPSTREAM) as one,
        ExitStack() as held,
    ):
        assert call("PUT", one.url, PATH)[0] == 201
        told = (
            f"limits.connections: {2 * EACH} (of 50000 asked for), {EACH} in one front"
        )
        assert told in one.edge.process.log.read_text()
        full, _ = one.front_pids()
        for sock in one.sockets(full, EACH):
            assert answered(held.enter_context(closing(Client.over(sock)))) == 200
        for _ in range(EACH):
            # The other front stood still: until it beats, it is nobody who has room.
            until(lambda: answered(connected(one, held)) == 200)

        assert refused(one, held)
        told = requests.get(one.admin + "/metrics", timeout=20).text
        assert f"ds_edge_connections_limit {2.0 * EACH}" in told
        assert 'ds_edge_refusals_total{reason="limit-connections"}' in told

        os.kill(full, signal.SIGKILL)
        until(lambda: full not in one.pids() and one.is_whole())
        for _ in range(EACH):
            # Until its successor accepts, the other front is all there is.
            until(lambda: answered(connected(one, held)) == 200)
        assert refused(one, held)


def connected(one: Node, held: ExitStack) -> Client:
    """Whoever accepts it."""
    address = urlsplit(one.url)
    return held.enter_context(Client((address.hostname, address.port)))


def answered(client: Client) -> int:
    """The status of a read; the connection stays if it may."""
    client.get(PATH + "?offset=-1")
    return client.read().status


def refused(one: Node, held: ExitStack) -> bool:
    """Whether one more is told that this is all."""
    client = connected(one, held)
    client.get(PATH + "?offset=-1")
    told = client.read()
    return told.status == 503 and b"limit-connections" in told.body
