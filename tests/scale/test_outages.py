"""Processes of a node that are killed, stand still or are replaced, under load.

W3, W6, W7: viewers of each kind on both fronts and a writer that numbers what it
appends. Nothing may be lost or come twice, whatever is done to whom. What happens to
who is replaced is told by ``test_hand_over``.
"""

import http.client
import json
import os
import signal
import time
from collections.abc import Iterator
from itertools import count

import pytest

from tests.chaos.reader import call
from tests.scale.nodes import Node, node, stopped
from tests.support.patience import PATIENCE, until
from tests.support.processes import NodeOrigin, node_origin
from tests.whole.following import Following
from tests.whole.test_rollover import Writing

PATH = "/v1/stream/outage"
END = b"<end>"
EACH_MODE = 10
SOME = 10
"""Writes before and after what befalls the node."""

FROZEN = 2.2
"""Seconds for which a keeper stands still: longer than its word counts (W6)."""


@pytest.fixture(scope="module")
def origin() -> Iterator[NodeOrigin]:
    with node_origin(long_poll_ms=30_000) as running:
        yield running


@pytest.fixture
def two(origin: NodeOrigin) -> Iterator[Node]:
    call("DELETE", origin.url, PATH)
    with node(origin.url, shutdown={"grace": "2s"}) as running:
        yield running


class Enduring(Following):
    """A viewer who comes back after whatever befell it; ``lapses`` counts that."""

    lapses = 0

    def ask(self) -> None:
        try:
            super().ask()
        except (OSError, ValueError, AssertionError):
            self._data = None
            self.lapses += 1
            self.part()


class Persisting(Writing):
    """A writer who says it again until it is acknowledged, with the same number."""

    def _append(self, number: int) -> None:
        names = {"producer_id": "w", "producer_epoch": "0", "producer_seq": str(number)}
        while True:
            try:
                status, _, _ = call("POST", self._base, PATH, b"<%d>" % number, **names)
            except (OSError, http.client.HTTPException):
                continue
            if status in (200, 204):
                self.written += 1
                return


class Company:
    """Those viewers and that writer."""

    def __init__(self, base: str) -> None:
        assert call("PUT", base, PATH)[0] == 201
        offset = call("POST", base, PATH, b"<begin>")[1]
        self.base = base
        self.writer = Persisting(base)
        self.viewers = [
            Enduring(base, PATH, mode, offset, END)
            for mode in ("long-poll", "sse")
            for _ in range(EACH_MODE)
        ]

    def begin(self) -> None:
        """When it returns, all viewers have seen something."""
        for thread in (self.writer, *self.viewers):
            thread.start()
        for viewer in self.viewers:
            assert viewer.begun.wait(PATIENCE)
        self.goes_on()

    def goes_on(self) -> None:
        """Wait until some more was written."""
        enough = self.writer.written + SOME
        until(lambda: self.writer.written >= enough, PATIENCE)

    def end(self, origin: str) -> None:
        """The last word is written, and everybody has seen all of it, once."""
        self.writer.stop.set()
        self.writer.join(PATIENCE)
        assert call("POST", self.base, PATH, END)[0] in (200, 204)
        for viewer in self.viewers:
            viewer.join(PATIENCE)
        every = b"".join(b"<%d>" % number for number in range(self.writer.written))
        assert {viewer.seen for viewer in self.viewers} == {every + END}
        assert call("GET", origin, PATH + "?offset=-1")[2] == b"<begin>" + every + END

    @property
    def lapses(self) -> int:
        return sum(viewer.lapses for viewer in self.viewers)


def test_a_killed_keeper_is_noticed_by_no_viewer(two: Node, origin: NodeOrigin) -> None:
    company = Company(two.url)
    company.begin()
    [killed] = two.keeper_pids()
    os.kill(killed, signal.SIGKILL)
    until(lambda: killed not in two.pids() and two.is_whole())
    company.goes_on()
    company.end(origin.url)

    assert company.lapses == 0


def test_a_killed_front_takes_its_own_viewers_with_it_and_no_byte(
    two: Node, origin: NodeOrigin
) -> None:
    company = Company(two.url)
    company.begin()
    killed = two.front_pids()[0]
    os.kill(killed, signal.SIGKILL)
    until(lambda: killed not in two.pids() and two.is_whole())
    company.goes_on()
    company.end(origin.url)

    assert company.lapses <= len(company.viewers)


@pytest.mark.parametrize("role", ["keeper", "front"])
def test_a_process_that_stood_still_goes_on_with_the_truth(
    two: Node, origin: NodeOrigin, role: str
) -> None:
    company = Company(two.url)
    company.begin()
    pids = two.keeper_pids() if role == "keeper" else two.front_pids()
    with stopped(pids[0]):
        ends = time.monotonic() + FROZEN
        until(lambda: time.monotonic() >= ends)
    company.goes_on()
    company.end(origin.url)


def test_where_the_master_died_a_keeper_serves_until_its_fronts_have_left(
    origin: NodeOrigin,
) -> None:
    """They drain; what they are asked meanwhile still goes by the keeper."""
    with node(origin.url, shutdown={"grace": "20s"}) as one:
        clients = [one.client(front) for front in one.front_pids() for _ in range(2)]
        os.kill(one.edge.process.pid, signal.SIGKILL)
        statuses = set[int]()
        for number in count():
            if not clients:
                break
            for client in tuple(clients):
                # Nobody has asked for it before.
                client.get(f"{PATH}-{number}-{clients.index(client)}?offset=-1")
                answered = client.read()
                statuses.add(answered.status)
                if answered.all("connection") == ["close"]:
                    clients.remove(client)
                    client.close()
        assert statuses == {404}
        log = one.edge.process.log
        until(lambda: draining(log.read_text())[-1:] == ["keeper-0"])
        assert draining(log.read_text()) == ["front-0", "front-1", "keeper-0"]


def draining(log: str) -> list[str]:
    """Who began to drain: the fronts by name, for they may begin in any order, then
    the keeper if that came last."""
    lines = [json.loads(line) for line in log.splitlines() if '"draining ' in line]
    names = [line["process"] for line in lines]
    return [*sorted(names[:2]), *names[2:]]


def test_a_frozen_keepers_word_counts_no_more_nor_does_it_when_it_wakes(
    two: Node, origin: NodeOrigin
) -> None:
    """W6: written behind the node meanwhile, so that no write tells of it."""
    assert call("PUT", origin.url, PATH)[0] == 201
    offset = call("POST", origin.url, PATH, b"<begin>")[1]
    clients = [two.client(front) for front in two.front_pids()]
    for one in clients:
        # From now on its tail is followed.
        for _ in range(5):
            one.get(f"{PATH}?offset={offset}")
            assert one.read()["stream-up-to-date"] == "true"
    with stopped(*two.keeper_pids()):
        assert call("POST", origin.url, PATH, b"<missed>")[0] in (200, 204)
        ends = time.monotonic() + FROZEN
        until(lambda: time.monotonic() >= ends)
        for one in clients:
            one.get(f"{PATH}?offset={offset}")
            told = one.read()
            assert told.body == b"<missed>" or not told.all("stream-up-to-date")
    for one in clients:
        one.get(f"{PATH}?offset={offset}")
        assert one.read().body == b"<missed>"
        one.close()
