"""The official conformance suite against five servers, side by side.

Against the embedded origin, directly and through the edge before it, everything passes.
Through the edge before the Node reference server everything must pass that this server
passes directly, and more: only what ``expected_through_edge.yaml`` names, each with its
reason, may fail; the same through an edge of several processes. Through an edge that
judges, with a token on every request and the
edge's own credential upstream, a client notices nothing (B6, B9).

A run mostly waits (for polls that time out, for streams that expire), so all take
hardly longer than one.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import jwt
import pytest

from tests.conformance import run
from tests.support.processes import (
    Edge,
    EmbeddedOrigin,
    edge,
    embedded_origin,
    free_port,
    node_origin,
    service,
)

SHORT = {"long_poll_timeout": f"{run.LONG_POLL_MS}ms"}
"""As the suite wants it."""


def origin_alone() -> AbstractContextManager[EmbeddedOrigin]:
    return embedded_origin(run.LONG_POLL_MS)


def edge_before_it() -> AbstractContextManager[Edge]:
    """One process to start, three that run: supervisor, origin, edge."""
    return service(live=SHORT)


@contextmanager
def edge_before_node(**settings: Any) -> Iterator[Edge]:
    """Webhooks call the edge."""
    listen = f"127.0.0.1:{free_port()}"
    with (
        node_origin(run.LONG_POLL_MS, callbacksAt=f"http://{listen}") as origin,
        edge(origin.url, listen=listen, live=SHORT, **settings) as front,
    ):
        yield front


def node_before_node() -> AbstractContextManager[Edge]:
    """Two fronts and two keepers."""
    return edge_before_node(workers=2, keepers=2)


SECRET = "a secret of the tests, which has 32 bytes"


def edge_that_judges() -> AbstractContextManager[Edge]:
    way = {
        "keys": [{"secret": SECRET}],
        "algorithms": ["HS256"],
        "read_claim": "read",
        "write_claim": "write",
    }
    routes = [{"match": "/v1/stream/**", "access": {"jwt": way}}]
    return service(live=SHORT, routes=routes)


def token() -> str:
    """One that may do everything."""
    said = {"exp": int(time.time()) + 3600, "read": ["/**"], "write": ["/**"]}
    return jwt.encode(said, SECRET, "HS256")


SERVERS: Mapping[str, Callable[[], AbstractContextManager[EmbeddedOrigin | Edge]]] = {
    "embedded": origin_alone,
    "edge-before-embedded": edge_before_it,
    "edge-before-node": edge_before_node,
    "edge-of-several-before-node": node_before_node,
    "edge-that-judges": edge_that_judges,
}


@dataclass(frozen=True, slots=True)
class Judging:
    """A server, and the suite's report of it, which may be still to come."""

    server: EmbeddedOrigin | Edge
    report: "Future[run.Report]"


@pytest.fixture(scope="module")
def judging() -> Iterator[Mapping[str, Judging]]:
    """All servers, with the suite running against each."""
    with ExitStack() as stack:
        # Here, not in the pool: a server dies with the thread that started it.
        up = {name: stack.enter_context(start()) for name, start in SERVERS.items()}
        pool = stack.enter_context(ThreadPoolExecutor(len(up)))
        yield {
            name: Judging(server, pool.submit(_run, name, server.url))
            for name, server in up.items()
        }


def _run(name: str, url: str) -> run.Report:
    said = token() if name == "edge-that-judges" else None
    return run.run_suite(url, token=said)


@pytest.mark.timeout(run.LONGEST_RUN + 20)
@pytest.mark.parametrize("name", SERVERS)
def test_all_passes_but_what_the_origin_itself_is_at_fault_for(
    name: str, judging: Mapping[str, Judging]
) -> None:
    node = name.endswith("before-node")
    expected = run.expected_failures(run.EXPECTED_THROUGH_EDGE) if node else {}
    report = judging[name].report.result()
    faults = run.judge(report, expected)
    if faults:
        log = judging[name].server.process.last_lines()
        pytest.fail("\n".join([report.summary(), *faults, log]), pytrace=False)
