"""Catch-up: one answer of several pages, and what its head says of them."""

import json
import time
from collections.abc import Callable

import gevent
import pytest

from origin_adapter.embedded.engine.engine import READER_THREADS
from origin_adapter.embedded.rules.values import AppendToStream, MessageBatch
from origin_adapter.embedded.serve import RunningOrigin
from tests.origin_adapter.embedded.wire import Reply, Wire
from tests.support.patience import PATIENCE

S = "/v1/stream/s"
MB = 1_000_000
Connect = Callable[[RunningOrigin], Wire]
Start = Callable[..., RunningOrigin]


def fill(wire: Wire, bodies: list[bytes], kind: str = "text/plain") -> None:
    wire.ask("PUT", S, content_type=kind)
    for body in bodies:
        assert wire.ask("POST", S, body, content_type=kind).status == 204


def whole(wire: Wire, kind: str) -> list[Reply]:
    """All answers up to the end."""
    replies = [wire.ask("GET", f"{S}?offset=-1")]
    while "stream-up-to-date" not in replies[-1].headers:
        assert replies[-1].headers["content-type"] == kind
        replies.append(wire.ask("GET", f"{S}?offset={replies[-1].offset}"))
    return replies


@pytest.mark.parametrize("memory", [0, MB], ids=["from disk", "from memory"])
def test_several_pages_are_one_answer(
    start: Start, connect: Connect, memory: int
) -> None:
    """Its offset, its claim and its ETag are those of its end."""
    wire = connect(start(max_page=2_000, max_answer=MB, recent_memory=memory))
    bodies = [bytes([65 + number]) * 30_000 for number in range(9)]
    fill(wire, bodies)
    tail = wire.ask("HEAD", S).offset

    (reply,) = whole(wire, "text/plain")

    assert reply.body == b"".join(bodies)
    assert reply.headers["content-length"] == str(len(reply.body))
    assert reply.offset == tail
    tag = reply.headers["etag"]
    again = wire.ask("GET", f"{S}?offset=-1", if_none_match=tag)
    assert (again.status, again.offset, again.body) == (304, tail, b"")


@pytest.mark.parametrize("size", [10, 40_000], ids=["many small", "few large"])
def test_json_of_several_pages_is_one_array(
    start: Start, connect: Connect, size: int
) -> None:
    """Its length is known before the pages behind the first one are read."""
    wire = connect(start(max_page=90_000, max_answer=MB))
    rows = [[f"{number}" * size] for number in range(10)]
    many = ["a"] * 9_000
    fill(wire, [json.dumps(row).encode() for row in (*rows, many)], "application/json")

    (reply,) = whole(wire, "application/json")

    assert reply.json == [row[0] for row in rows] + many
    assert reply.headers["content-length"] == str(len(reply.body))


def test_an_answer_is_bounded_and_the_next_one_goes_on(
    start: Start, connect: Connect
) -> None:
    """A message that is larger than the bound comes alone. What is not the end may be
    kept, and claims nothing."""
    wire = connect(start(max_page=20_000, max_answer=100_000))
    bodies = [b"a" * 40_000, b"b" * 40_000, b"c" * 40_000, b"d" * 150_000, b"e"]
    fill(wire, bodies)

    replies = whole(wire, "text/plain")

    assert [reply.body for reply in replies] == [
        bodies[0] + bodies[1],
        bodies[2],
        bodies[3],
        bodies[4],
    ]
    assert all("max-age=60" in r.headers["cache-control"] for r in replies[:-1])
    assert all("stream-closed" not in reply.headers for reply in replies)


@pytest.mark.parametrize("kind", ["text/plain", "application/json"])
def test_a_read_between_a_commit_and_its_publishing_is_whole(
    start: Start, connect: Connect, kind: str
) -> None:
    """1: the writer's thread commits a message; 2: a reader sees the new tail, while
    memory holds the rows before it; 3: the loop puts the new row there. What comes
    at 2 is all that its offset says."""
    origin = start(recent_memory=MB)
    wire = connect(origin)
    fill(wire, [b'"before"'], kind)
    engine, is_json = origin.engine, kind == "application/json"
    late = MessageBatch(b'"late"', is_json)
    append = AppendToStream(S, kind, late)
    before = engine.living(S).tail

    engine.writer.apply(lambda: engine.store.commit([append], time.time()))
    reply = wire.ask("GET", f"{S}?offset=-1")

    assert engine.living(S).tail == before + len(late.body)
    assert reply.body == (b'["before","late"]' if is_json else b'"before""late"')
    assert reply.headers["content-length"] == str(len(reply.body))
    assert reply.offset == wire.ask("HEAD", S).offset


def slow_reader(origin: RunningOrigin, connect: Connect) -> Wire:
    """A client that asked for more than fits between the two, and takes nothing yet."""
    reader = connect(origin)
    reader.send(f"GET {S}?offset=-1 HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    assert reader.file.peek(1)
    return reader


def test_a_stream_that_is_replaced_in_the_middle_is_never_mixed(
    start: Start, connect: Connect
) -> None:
    """The connection ends early, or all of the old bytes come (E5)."""
    origin = start(max_answer=64 * MB, recent_memory=0, tick=0.01)
    writer = connect(origin)
    fill(writer, [b"o" * MB] * 24)
    reader = slow_reader(origin, connect)

    writer.ask("DELETE", S)
    fill(writer, [b"n" * MB] * 24)
    with gevent.Timeout(PATIENCE):
        counted = origin.engine.store.db.execute
        while counted("SELECT count(*) FROM message").fetchone()[0] > 24:
            gevent.sleep(0.01)
    status, headers = reader.head()
    body = reader.file.read(int(headers["content-length"]))

    assert (status, headers["content-length"]) == (200, str(24 * MB))
    assert set(body) == set(b"o")
    assert len(body) < 24 * MB and reader.at_end()


def test_a_reader_that_leaves_in_the_middle_leaves_nothing_behind(
    start: Start, connect: Connect
) -> None:
    """No greenlet, no connection to the disk."""
    origin = start(max_answer=64 * MB, recent_memory=0)
    writer = connect(origin)
    fill(writer, [b"x" * MB] * 24)
    reader = slow_reader(origin, connect)

    reader.close()

    engine = origin.engine
    with gevent.Timeout(PATIENCE):
        while len(origin._server._handlers) > 1:
            gevent.sleep(0.01)
        while len(engine.reader._free) < READER_THREADS:
            gevent.sleep(0.01)
    assert writer.ask("HEAD", S).status == 200
