"""The official TypeScript client, reading, tailing and writing through the edge.

``tests/node/client.mjs`` lives through the stories, all at once and once per run,
against a real edge before the real reference server, of one worker and of two; each
test here judges one.
"""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import node
from tests.support.processes import edge, node_origin

JSON = [{"n": 1}, {"n": 2, "s": " é\r\n"}, [{"n": 3}, {"n": 4}]]
TEXT = "first  two spacesé\n\nlast"
BYTES = [0, 10, 13, 255, 254, 128]
CONTENT = {"json": JSON, "text": TEXT, "bytes": BYTES}

STORIES_WITHIN = 120.0

Stories = dict[str, dict[str, Any]]


def tell(url: str) -> Stories:
    """What each story saw at this server; prints nothing, raises when Node does."""
    found = node.install()
    script = str(node.FOLDER / "client.mjs")
    done = subprocess.run(
        [str(found.binary), script, url],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=STORIES_WITHIN,
    )
    assert done.returncode == 0, done.stderr
    stories: Stories = json.loads(done.stdout)
    return stories


@pytest.fixture(scope="module", params=[1, 2], ids=["one-worker", "two-workers"])
def stories(request: pytest.FixtureRequest) -> Iterator[Stories]:
    with node_origin() as origin, edge(origin.url, workers=request.param) as front:
        yield tell(front.url)


@pytest.mark.parametrize("live", ["long-poll", "sse"])
@pytest.mark.parametrize("kind", CONTENT)
def test_a_tail_sees_every_byte_and_then_the_end(
    stories: Stories, kind: str, live: str
) -> None:
    """It never falls back to another mode; leading spaces survive SSE (L25)."""
    assert stories[f"tail {kind} by {live}"] == {
        "seen": CONTENT[kind],
        "closed": True,
        "asked": ["catch-up", live],
    }


@pytest.mark.parametrize("live", ["long-poll", "sse"])
def test_at_an_offset_that_was_lost_a_reader_follows_from_the_end(
    stories: Stories, live: str
) -> None:
    """U14: it is told where the end is, and goes on from there."""
    assert stories[f"lost offset by {live}"] == {"seen": "er"}


def test_catch_up_reads_everything_in_one_request(stories: Stories) -> None:
    assert stories["catch-up json"] == {
        "seen": JSON,
        "upToDate": True,
        "atTheEnd": True,
        "asked": ["catch-up"],
    }


@pytest.mark.parametrize("kind", ["text", "bytes"])
def test_catch_up_keeps_every_byte(stories: Stories, kind: str) -> None:
    assert stories[f"catch-up {kind}"] == {"seen": CONTENT[kind]}


def test_a_reader_resumes_where_it_stopped(stories: Stories) -> None:
    assert stories["resume at an offset"] == {"seen": [{"n": 2}]}


def test_a_reader_at_the_tail_sees_nothing_and_is_up_to_date(stories: Stories) -> None:
    assert stories["resume at the tail"] == {"seen": [], "upToDate": True}


def test_a_writer_reads_its_own_writes(stories: Stories) -> None:
    """L4: the very next read after an acknowledged append shows it."""
    assert stories["read what was just written"] == {"counts": [1, 2, 3, 4, 5]}


def test_a_producer_that_repeats_itself_is_heard_once(stories: Stories) -> None:
    assert stories["idempotent producer"] == {"seen": list(range(1, 21))}


def test_a_closed_stream_ends_a_catch_up_read(stories: Stories) -> None:
    assert stories["close ends a catch-up read"] == {
        "seen": [{"n": 1}, {"n": 2}],
        "closed": True,
        "atTheEnd": True,
    }


def test_a_closed_stream_refuses_appends(stories: Stories) -> None:
    assert stories["append after close"] == {"refused": 409}


def test_a_deleted_stream_is_gone_at_once(stories: Stories) -> None:
    assert stories["delete"] == {"refused": 404}


def test_readers_of_every_mode_see_the_same(stories: Stories) -> None:
    assert stories["many tails of one stream"] == {"seen": [[1, 2]] * 4}
