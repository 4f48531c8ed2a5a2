"""What clients get by a front and its keeper is what one worker gives them.

The corpus of raw requests goes to one worker, and to a front before a keeper: both with
real hubs, before origins that are alike. Whatever comes back must agree, but for what
names the request, and for ages.
"""

import re
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest

from tests.front.edge_process import EdgeProcess
from tests.front.fast.test_same_bytes import CORPUS, LAST, LIMITS, answers
from tests.front.fast.test_same_bytes import _methods as methods_of
from tests.link.node_process import NodeProcess

Seen = tuple[Any, ...]

_CURSOR = re.compile(rb'"streamCursor":"[0-9]+",?')
"""In events; the clock mints it."""

STREAMS = ("hit", "events", "large", "client", "trace", "park", "two-step")
"""Streams that the corpus reads, and that are there."""


@pytest.fixture(scope="module")
def worker() -> Iterator[EdgeProcess]:
    with NodeProcess({"limits": LIMITS}) as edge:
        fill(edge)
        yield edge


@pytest.fixture(scope="module")
def node() -> Iterator[EdgeProcess]:
    with NodeProcess({"limits": LIMITS}, keepers=1) as edge:
        fill(edge)
        yield edge


def fill(edge: EdgeProcess) -> None:
    with edge.connect() as client:
        for name in STREAMS:
            path = f"/v1/stream/{name}"
            client.request("PUT", path, "Content-Type: text/plain")
            assert client.read().status == 201
            client.request("POST", path, "Content-Type: text/plain", body=b"hello\n")
            assert client.read().status in (200, 204)


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_a_node_gives_the_bytes_of_a_worker(
    path: Path, worker: EdgeProcess, node: EdgeProcess
) -> None:
    """W8: what of a head a keeper leaves out, its front adds."""
    data = path.read_bytes() + LAST
    methods = methods_of(data)
    by_node = answers(node, [data], methods)
    by_worker = answers(worker, [data], methods)
    # They tell of each request to their origins, and must not wait for room to do so.
    node.forget()
    worker.forget()
    if path.stem == "write-odd":
        # Here the origin's answer cannot be sent on. A worker closes the connection
        # behind that; a front hears of it by its keeper as of an answer that was lost.
        assert by_node[0][0] == by_worker[0][0] == 500
        return

    for one, other in zip_longest(by_node, by_worker):
        assert differences(one, other) == []


def differences(one: Seen | None, other: Seen | None) -> list[object]:
    """What two answers do not have in common."""
    if one is None or other is None:
        return [one, other]
    pairs = (("", a, b) for a, b in zip_longest(one[:3], other[:3]))
    found: list[object] = [pair for pair in pairs if pair[1] != pair[2]]
    if len(one) > 3:
        found += [field for field in one[3] if field not in other[3]]
        found += [field for field in other[3] if field not in one[3]]
        bodies = [_CURSOR.sub(b"", seen[4]) for seen in (one, other)]
        found += bodies if bodies[0] != bodies[1] else []
    return found
