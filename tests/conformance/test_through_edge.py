"""The official conformance suite through the edge before the Node reference server.

Everything that the server passes directly must pass, and more: only what
``expected_through_edge.yaml`` names, each with its reason, may fail.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.conformance import run
from tests.support.processes import Edge, edge, free_port, node_origin


@contextmanager
def edge_before_node() -> Iterator[Edge]:
    """Both with a short long-poll, as the suite wants it; webhooks call the edge."""
    listen = f"127.0.0.1:{free_port()}"
    live = {"long_poll_timeout": f"{run.LONG_POLL_MS}ms"}
    with (
        node_origin(run.LONG_POLL_MS, callbacksAt=f"http://{listen}") as origin,
        edge(origin.url, listen=listen, live=live) as front,
    ):
        yield front


@pytest.mark.timeout(run.LONGEST_RUN + 20)
def test_the_suite_fails_only_where_the_origin_itself_is_at_fault() -> None:
    expected = run.expected_failures(run.EXPECTED_THROUGH_EDGE)
    with edge_before_node() as front:
        report = run.run_suite(front.url)
        faults = run.judge(report, expected)
        if faults:
            pytest.fail("\n".join([report.summary(), *faults]), pytrace=False)
