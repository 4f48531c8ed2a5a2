"""The official conformance suite against the embedded origin, directly and through
the edge before it: everything passes, and nothing is expected to fail."""

import time

import jwt
import pytest

from tests.conformance import run
from tests.support.processes import embedded_origin, service

within = pytest.mark.timeout(run.LONGEST_RUN + 20)


def judge(url: str, token: str | None = None) -> None:
    """Fail with every fault of the server at ``url``."""
    report = run.run_suite(url, token=token)
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


@within
def test_an_edge_that_judges_passes_the_whole_suite() -> None:
    """B6, B9: with a token on every request and the edge's own credential upstream, a
    client notices nothing."""
    secret = "a secret of the tests, which has 32 bytes"
    way = {
        "keys": [{"secret": secret}],
        "algorithms": ["HS256"],
        "read_claim": "read",
        "write_claim": "write",
    }
    said = {"exp": int(time.time()) + 3600, "read": ["/**"], "write": ["/**"]}
    live = {"long_poll_timeout": f"{run.LONG_POLL_MS}ms"}
    routes = [{"match": "/v1/stream/**", "access": {"jwt": way}}]
    with service(live=live, routes=routes) as front:
        judge(front.url, jwt.encode(said, secret, "HS256"))
