"""People edit one document by the Yjs server's own client, through the edge.

That server has two streams at one path: the document, and who is there just now
(``?awareness=default``), which is written at every move. ``tests/node/yjs.mjs`` serves,
and lives through the stories once per run; each test here judges one.
"""

import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support import node
from tests.support.processes import NodeOrigin, edge, node_origin

MOVES = 100
WORDS = 20
POLL_MS = 300_000
"""No poll of the edge ends by itself while the stories last."""

STORIES_WITHIN = 120.0
DOCUMENTS = [{"match": "/**"}]

Stories = dict[str, Any]


@contextmanager
def yjs_server() -> Iterator[NodeOrigin]:
    """The Yjs server; ``counts`` tells which requests it had."""
    with node_origin(POLL_MS, script="yjs.mjs") as server:
        yield server


def tell(url: str, log: str | None) -> Stories:
    """What people saw at this address, while the server's ``log`` was read."""
    found = node.install()
    asked = {"url": url, "log": log, "moves": MOVES, "words": WORDS}
    done = subprocess.run(
        [str(found.binary), str(node.FOLDER / "yjs.mjs"), json.dumps(asked)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=STORIES_WITHIN,
    )
    assert done.returncode == 0, done.stderr
    stories: Stories = json.loads(done.stdout)
    return stories


@pytest.fixture(scope="module")
def stories() -> Iterator[Stories]:
    with yjs_server() as server, edge(server.url, routes=DOCUMENTS) as front:
        yield tell(front.url, server.counts)


@pytest.mark.parametrize("live", ["sse", "long-poll"])
def test_people_see_each_other_type_and_who_comes_late_sees_it_all(
    stories: Stories, live: str
) -> None:
    told = stories[f"typing by {live}"]

    assert told == {"texts": ["Hello, you"] * 3, "errors": []}


def test_moves_are_seen_and_cost_no_read_of_the_document(stories: Stories) -> None:
    """U13: each was acknowledged, and seen by five others, who follow the document
    too. Then somebody asked for the document's end."""
    told = stories["presence"]
    asked = Counter(
        (method, "awareness=" in target) for method, target in told["meanwhile"]
    )

    assert told["errors"] == []
    # Each says every 15 s that he is there: on a slow machine there are more.
    events = asked["POST", True]
    assert events >= MOVES
    assert asked["GET", True] <= events + 1, "one read for each event"
    # A proof lasts a minute. On a slow machine it is renewed, by one read.
    assert asked["GET", False] <= 2
    assert told["hits"] >= MOVES - 2


def test_what_is_typed_among_moves_is_read_once_it_is_acknowledged(
    stories: Stories,
) -> None:
    """L4: what is ignored is the other stream's writes alone."""
    assert stories["presence"]["readBack"] == [True] * WORDS
