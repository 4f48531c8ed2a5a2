"""A keeper hands over to its successor, under load and by counts.

Viewers of each kind and a writer that numbers what it appends, before
an origin whose requests are counted on its wire. Nothing is lost, nothing comes twice,
no request fails; for each event the origin is polled once, and once more at most. Where
one of the two is killed meanwhile, no byte is lost or comes twice.
"""

import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.scale.nodes import Node, node, until
from tests.scale.test_outages import Company
from tests.support.processes import node_origin
from tests.whole.counting_proxy import CountingProxy, counting_proxy
from tests.whole.test_rollover import Load

GRACE: dict[str, Any] = {"shutdown": {"grace": "1s"}}


@contextmanager
def counted(keepers: int) -> Iterator[tuple[Node, CountingProxy]]:
    """A node of two fronts, and what is on the wire between it and its origin."""
    with node_origin(long_poll_ms=60_000) as origin, counting_proxy() as proxy:
        proxy.lead_to(origin.url)
        memory = {"cache": {"memory": "1GiB"}}
        with node(proxy.url, 2, keepers, **GRACE, **memory) as running:
            yield running, proxy


def hang_up(running: Node) -> None:
    running.edge.process.handle.send_signal(signal.SIGHUP)


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


def test_a_reload_costs_no_request_and_the_origin_an_idle_poll() -> None:
    """W2, W8: what the streams had before, their successors ask nobody for again."""
    with counted(keepers=2) as (running, proxy):
        load = Load(running.url)
        load.begin()
        asked, written = proxy.asked.copy(), load.writer.written
        before = running.pids()
        hang_up(running)
        await_all_replaced(running, before)
        load.end()
        cost = proxy.asked - asked
        events = load.writer.written - written + 1
    load.judge()
    # One more poll may have been answered, and one waits at the end.
    assert cost["live"] <= events + 2
    assert cost["GET"] + cost["HEAD"] <= 4


def test_whoever_is_killed_while_a_stream_is_handed_over_loses_no_byte() -> None:
    """First the old keeper, then a successor. And a second HUP waits for the first."""
    with (
        tempfile.TemporaryDirectory() as name,
        node_origin(long_poll_ms=60_000) as origin,
        node(origin.url, **GRACE, run_folder=name) as running,
    ):
        folder = Path(name)
        company = Company(running.url)
        company.begin()
        for turn in (0, -1):
            before = running.pids()
            hang_up(running)
            until(lambda: hands_over(folder))
            os.kill(running.keeper_pids()[turn], signal.SIGKILL)
            company.goes_on()
        await_all_replaced(running, before)
        company.goes_on()
        company.end(origin.url)
