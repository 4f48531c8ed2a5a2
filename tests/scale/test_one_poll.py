"""One poll of the origin for each event, however many processes serve its viewers.

Counted by the reference server itself, with real processes on both sides: fronts and
keepers in several numbers, long-polls, event streams and cursors of their own, all on
one stream, written through whatever front comes, and behind the node.
"""

import contextlib
import json
import urllib.request
from collections.abc import Iterator

import pytest

from tests.scale.nodes import Node, node
from tests.support.patience import PATIENCE, until
from tests.support.processes import NodeOrigin, node_origin
from tests.whole.crowd import Crowd, call

EVENTS = 6
EACH = 16
"""Viewers of each kind."""

PATHS = [f"/v1/stream/one-{number}" for number in range(3)]
"""Of several keepers each has some, but by chance."""


@pytest.fixture(scope="module")
def origin() -> Iterator[NodeOrigin]:
    """It holds its polls longer than the test goes on."""
    with node_origin(long_poll_ms=60_000, counts=True) as running:
        yield running


@pytest.fixture(scope="module", params=[(2, 1), (4, 2)], ids=["2+1", "4+2"])
def many(origin: NodeOrigin, request: pytest.FixtureRequest) -> Iterator[Node]:
    fronts, keepers = request.param
    with node(origin.url, fronts, keepers, cache={"memory": "1GiB"}) as running:
        yield running


def gets(origin: NodeOrigin, path: str) -> list[int]:
    """How often the origin was read between two appends to this stream."""
    assert origin.counts is not None
    with urllib.request.urlopen(origin.counts) as told:
        counted: dict[str, list[int]] = json.load(told)
    return counted[path]


@pytest.mark.parametrize("writes", ["through", "behind"])
def test_one_poll_for_each_event(many: Node, origin: NodeOrigin, writes: str) -> None:
    """L20, L22, W1: whoever waits, wherever it waits."""
    base = many.url if writes == "through" else origin.url
    for path in (f"{path}-{writes}-{many.fronts}" for path in PATHS):
        url = base + path
        call("PUT", url)
        offset = call("POST", url, b"<begin>")["stream-next-offset"]
        with contextlib.ExitStack() as leaving:
            crowds = _crowds(many, path, offset, leaving)
            _until_asked(origin, path)
            for number in range(EVENTS):
                call("POST", url, b"<%d>" % number)
                for crowd in crowds:
                    crowd.await_event(number, PATIENCE)

            # One read after each event: the poll that waits for the next one.
            _until_asked(origin, path)
            assert sum(gets(origin, path)[2:]) == EVENTS


def _until_asked(origin: NodeOrigin, path: str) -> None:
    """Wait until the origin was read since the last append."""
    until(lambda: gets(origin, path)[-1] > 0)


def _crowds(
    many: Node, path: str, offset: str, leaving: contextlib.ExitStack
) -> list[Crowd]:
    """Viewers of each kind, on all fronts in turn."""
    kinds = [("long-poll", False), ("long-poll", True), ("sse", False)]
    crowds = list[Crowd]()
    for mode, has_cursor in kinds:
        crowd = Crowd(
            many.url,
            EACH,
            mode,
            offset,
            query_of=_own_cursor if has_cursor else lambda number: "",
            path=path,
            connect=many.connector(EACH),
        )
        leaving.callback(crowd.close)
        crowds.append(crowd)
    return crowds


def _own_cursor(number: int) -> str:
    """Cursors that no two viewers share."""
    return f"&cursor={1000 + number}"
