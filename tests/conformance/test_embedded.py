"""The official conformance suite against the embedded origin, directly and through
the edge before it: everything passes, and nothing is expected to fail."""

import pytest

from tests.conformance import run
from tests.support.processes import embedded_origin, service

within = pytest.mark.timeout(run.LONGEST_RUN + 20)


def judge(url: str) -> None:
    """Fail with every fault of the server at ``url``."""
    report = run.run_suite(url)
    faults = run.judge(report, {})
    if faults:
        pytest.fail("\n".join([report.summary(), *faults]), pytrace=False)


@within
def test_the_origin_passes_the_whole_suite() -> None:
    with embedded_origin(run.LONG_POLL_MS) as origin:
        judge(origin.url)


@within
def test_the_edge_before_it_passes_the_whole_suite() -> None:
    """One process to start, three that run: supervisor, origin, edge."""
    with service(live={"long_poll_timeout": f"{run.LONG_POLL_MS}ms"}) as front:
        judge(front.url)
