"""Edges before edges, with real processes: whose name is whose, and what is a loop."""

import http.client
from collections.abc import Iterator
from contextlib import contextmanager

from tests.chaos.reader import call
from tests.support.processes import Edge, edge, embedded_origin, free_port

PATH = "/v1/stream/chained"


@contextmanager
def circle() -> Iterator[tuple[Edge, Edge]]:
    """Two edges, each of which is the other's origin."""
    first, second = (f"127.0.0.1:{free_port()}" for _ in range(2))
    with (
        edge(f"http://{second}", listen=first) as one,
        edge(f"http://{first}", listen=second) as other,
    ):
        yield one, other


def asked(base: str, method: str, query: str = "") -> tuple[int, dict[str, str]]:
    """Status and fields of an answer without a retry."""
    connection = http.client.HTTPConnection(base.removeprefix("http://"), timeout=20)
    try:
        body = b"x" if method == "POST" else None
        connection.request(method, PATH + query, body)
        answer = connection.getresponse()
        answer.read()
        return answer.status, {name.lower(): v for name, v in answer.getheaders()}
    finally:
        connection.close()


def test_two_nodes_of_one_name_are_no_loop() -> None:
    """U10: two pods of one name, in two clusters. Reads and writes go through both."""
    name = {"node": {"name": "edge-0"}}
    with (
        embedded_origin() as origin,
        edge(origin.url, **name) as shield,
        edge(shield.url, **name) as pop,
    ):
        assert call("PUT", pop.url, PATH)[0] == 201
        call("POST", pop.url, PATH, b"abc")
        status, _, body = call("GET", pop.url, f"{PATH}?offset=-1")
        _, fields = asked(pop.url, "HEAD")

    assert (status, body) == (200, b"abc")
    assert fields["via"] == "1.1 edge-0"
    assert fields["cache-status"].startswith("ds-edge/edge-0; ")


def test_a_circle_of_two_edges_is_a_loop_to_whatever_is_asked() -> None:
    """U10, L26: at once, by the id of the first, which a built read takes along."""
    with circle() as (one, other):
        for base in (one.url, other.url):
            for method, query in (
                ("GET", "?offset=-1"),
                ("GET", "?offset=now&live=long-poll"),
                ("GET", "?offset=now&live=sse"),
                ("GET", "?offset=-1&live=unheard-of"),
                ("HEAD", ""),
                ("POST", ""),
            ):
                status, fields = asked(base, method, query)

                assert status == 508, (method, query)
                assert "loop" in fields["cache-status"] or method != "POST"
