"""A keeper hands over to its successor, under load and by counts.

Viewers of each kind and a writer that numbers what it appends, before an origin whose
requests are counted on its wire. Nothing is lost, nothing comes twice, no request
fails; the origin is polled once for each event and once for each stream, and no read is
sent again. Where one of the two is killed or stands still meanwhile, no byte is lost or
comes twice.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGHUP, SIGKILL, SIGSTOP
from typing import Any

import yaml

from tests.chaos.reader import call
from tests.scale.nodes import Node, node
from tests.scale.test_outages import PATH, Company
from tests.support.patience import until
from tests.support.processes import node_origin
from tests.whole.counting_proxy import CountingProxy, counting_proxy
from tests.whole.following import Following
from tests.whole.test_rollover import END, Load

GRACE: dict[str, Any] = {"shutdown": {"grace": "1s"}}
IDLE = 10
"""Streams to which nothing is written while the node reloads."""


@contextmanager
def counted() -> Iterator[tuple[Node, CountingProxy]]:
    """A node, and what is on the wire between it and its origin."""
    with node_origin(long_poll_ms=60_000) as origin, counting_proxy() as proxy:
        proxy.lead_to(origin.url)
        with node(proxy.url, **GRACE) as running:
            yield running, proxy


class Idle:
    """Viewers who wait all the time, one at each of some streams, until ``end``."""

    def __init__(self, base: str, proxy: CountingProxy) -> None:
        self._base = base
        self._paths = [f"/v1/stream/idle-{number}" for number in range(IDLE)]
        self.viewers = list[Following]()
        for path in self._paths:
            assert call("PUT", base, path)[0] == 201
            offset = call("POST", base, path, b"<begin>")[1]
            self.viewers.append(Following(base, path, "long-poll", offset, END))
        polls = proxy.asked["live"]
        for viewer in self.viewers:
            viewer.start()
        until(lambda: proxy.asked["live"] >= polls + IDLE)

    def end(self) -> None:
        """Each is written to, and seen through."""
        for path in self._paths:
            assert call("POST", self._base, path, END)[0] in (200, 204)
        for viewer in self.viewers:
            viewer.join(60.0)
        assert [viewer.odd for viewer in self.viewers] == [[]] * IDLE
        assert {viewer.seen for viewer in self.viewers} == {END}


def hang_up(running: Node) -> None:
    running.edge.process.handle.send_signal(SIGHUP)


def await_all_replaced(running: Node, before: set[int]) -> None:
    """Wait until the last one of these has ended."""
    until(lambda: not before & running.pids() and running.is_whole())


def hands_over(folder: Path) -> bool:
    """Whether a successor is connected to the keeper before it: the kernel has the name
    of the old one's socket more than once."""
    lines = Path("/proc/net/unix").read_text().splitlines()
    names = [line.split()[-1] for line in lines]
    ours = [name for name in names if Path(name).parent.parent == folder]
    own = [name for name in ours if Path(name).name.count(".") == 2]
    return len(own) > len({*own})


def test_a_reload_fails_nobody_and_costs_the_origin_one_idle_poll_a_stream() -> None:
    """W2, W8: what is held and armed goes over. What its keeper still has on the wire
    at the end of the grace is polled once more, and hardly anything is read."""
    with counted() as (running, proxy):
        idle, load = Idle(running.url, proxy), Load(running.url)
        load.begin()
        asked, written = proxy.asked.copy(), load.writer.written
        before = running.pids()
        hang_up(running)
        await_all_replaced(running, before)
        cost = proxy.asked - asked
        events = load.writer.written - written + 1
        load.end()
        idle.end()
    load.judge()
    # One more poll may have been answered, and one waits at the end.
    assert cost["live"] <= events + 2 + IDLE
    assert cost["GET"] + cost["HEAD"] <= IDLE


OLD, SUCCESSOR = 0, -1


def strike(running: Node, folder: Path, whom: int, blow: int) -> int:
    """A reload begins, and one of the two keepers is sent this signal while the other
    is connected to it. Who that was."""
    hang_up(running)
    until(lambda: hands_over(folder))
    struck = running.keeper_pids()[whom]
    os.kill(struck, blow)
    return struck


def with_other_settings(running: Node) -> None:
    """From the next reload on they mean another thing by what is read."""
    settings = yaml.safe_load(running.edge.config.read_text("utf-8"))
    settings["routes"] = [{"match": PATH}, {"match": "/v1/stream/**"}]
    running.edge.config.write_text(yaml.safe_dump(settings), "utf-8")


def test_whatever_befalls_a_hand_over_loses_no_byte() -> None:
    """The old keeper is killed. It has other settings than the successor, which is told
    nothing then. The successor is killed. The old one stands still, until the master
    ends it."""
    with (
        tempfile.TemporaryDirectory() as name,
        node_origin(long_poll_ms=60_000) as origin,
        node(origin.url, **GRACE, run_folder=name) as running,
    ):
        company = Company(running.url)
        company.begin()
        strike(running, Path(name), OLD, SIGKILL)
        company.goes_on()
        before = running.pids()
        with_other_settings(running)
        hang_up(running)
        await_all_replaced(running, before)
        strike(running, Path(name), SUCCESSOR, SIGKILL)
        company.goes_on()
        until(running.is_whole)
        stopped = strike(running, Path(name), OLD, SIGSTOP)
        company.goes_on()
        until(lambda: stopped not in running.pids())
        company.end(origin.url)
