"""Readers who wait: woken by data, closure, deletion, or told that time is up."""

from collections.abc import Callable

import gevent
import pytest
from gevent.event import Event

from origin_adapter.embedded.rules.values import StoredStream
from origin_adapter.embedded.serve import RunningOrigin
from tests.origin_adapter.embedded.wire import Reply, Wire
from tests.support.patience import PATIENCE

S = "/v1/stream/s"
TAIL = f"{S}?offset=now&live=long-poll"
Connect = Callable[[RunningOrigin], Wire]
Start = Callable[..., RunningOrigin]


@pytest.fixture
def patient(start: Start) -> RunningOrigin:
    """An origin on which nobody's time runs out."""
    return start(long_poll_timeout=60.0)


def make(wire: Wire, path: str = S, **fields: str) -> Reply:
    return wire.ask("PUT", path, b"", **{"content_type": "text/plain", **fields})


def post(wire: Wire, body: bytes, path: str = S, **fields: str) -> Reply:
    return wire.ask("POST", path, body, **{"content_type": "text/plain", **fields})


def parked(serving: RunningOrigin, count: int) -> None:
    """Wait until so many readers are parked; they go round by ringing no bell."""
    with gevent.Timeout(60):
        while serving.engine.change_events.count() != count:
            gevent.sleep(0.001)


def asking(wire: Wire, target: str) -> "gevent.Greenlet[..., Reply]":
    return gevent.spawn(wire.ask, "GET", target)


def test_an_append_wakes_everybody_with_the_same_bytes(
    patient: RunningOrigin, connect: Connect
) -> None:
    """And the bytes come from memory: no reader asks the disk."""
    writer = connect(patient)
    make(writer)
    readers = [asking(connect(patient), TAIL) for _ in range(50)]
    parked(patient, 50)

    acked = post(writer, b"news")

    gevent.joinall(readers, timeout=PATIENCE, raise_error=True)
    for reply in (reader.get() for reader in readers):
        assert (reply.status, reply.body) == (200, b"news")
        assert reply.offset == acked.offset
        assert reply.headers["stream-up-to-date"] == "true"
        assert reply.headers["stream-cursor"].isdigit()
    assert patient.engine.change_events.count() == 0


def test_an_append_between_the_look_and_the_wait_is_heard(
    patient: RunningOrigin, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader saw nothing yet, and is not asleep yet (E40)."""
    writer = connect(patient)
    make(writer)
    look = patient.engine.same

    def look_and_be_slow(stream: StoredStream) -> StoredStream:
        found = look(stream)
        if not found.tail:
            post(writer, b"in between")
        return found

    monkeypatch.setattr(patient.engine, "same", look_and_be_slow)
    reader = asking(connect(patient), TAIL)
    assert reader.get(timeout=PATIENCE).body == b"in between"


def test_closing_releases_everybody(patient: RunningOrigin, connect: Connect) -> None:
    """204 with the closure, and no cursor to come back with (section 5.7)."""
    writer = connect(patient)
    make(writer)
    reader = asking(connect(patient), TAIL)
    parked(patient, 1)

    writer.ask("POST", S, stream_closed="true")

    reply = reader.get(timeout=PATIENCE)
    assert reply.status == 204
    assert reply.headers["stream-closed"] == "true"
    assert "stream-cursor" not in reply.headers


def test_the_last_message_and_the_closure_come_together(
    patient: RunningOrigin, connect: Connect
) -> None:
    """Append and close are one step for readers too (section 4.1)."""
    writer = connect(patient)
    make(writer)
    reader = asking(connect(patient), TAIL)
    parked(patient, 1)

    post(writer, b"end", stream_closed="true")

    reply = reader.get(timeout=PATIENCE)
    assert (reply.status, reply.body) == (200, b"end")
    assert reply.headers["stream-closed"] == "true"


def test_deleting_releases_everybody(patient: RunningOrigin, connect: Connect) -> None:
    """404, also when another stream is made at once (E5, E6)."""
    writer = connect(patient)
    make(writer)
    reader = asking(connect(patient), TAIL)
    parked(patient, 1)

    writer.ask("DELETE", S)
    make(writer)
    post(writer, b"another life")

    assert reader.get(timeout=PATIENCE).status == 404


def test_a_sources_appends_wake_no_reader_of_its_fork(
    start: Start, connect: Connect
) -> None:
    """Section 5.7: only the fork's own appends count (E9)."""
    origin = start()
    writer = connect(origin)
    make(writer)
    post(writer, b"both")
    make(writer, "/v1/stream/f", stream_forked_from=S)
    reader = asking(connect(origin), "/v1/stream/f?offset=now&live=long-poll")
    parked(origin, 1)

    post(writer, b"source only")

    assert reader.get(timeout=PATIENCE).status == 204


def test_a_forks_reader_below_the_divergence_does_not_wait(
    patient: RunningOrigin, connect: Connect
) -> None:
    """Inherited bytes are there already."""
    wire = connect(patient)
    make(wire)
    post(wire, b"both")
    make(wire, "/v1/stream/f", stream_forked_from=S)

    reply = wire.ask("GET", "/v1/stream/f?offset=-1&live=long-poll")

    assert (reply.status, reply.body) == (200, b"both")


def test_time_is_up(wire: Wire) -> None:
    """204 that may not be stored, from the reader's own offset on (E14)."""
    tail = make(wire).offset
    reply = wire.ask("GET", TAIL)
    assert (reply.status, reply.offset) == (204, tail)
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["stream-up-to-date"] == "true"


def test_a_cursor_always_moves_on(wire: Wire) -> None:
    """Strictly above the client's own, now and far ahead (E13)."""
    make(wire)
    for cursor in (0, 10**9, 10**17):
        reply = wire.ask("GET", f"{TAIL}&cursor={cursor}")
        assert int(reply.headers["stream-cursor"]) > cursor


def test_a_stopping_server_answers_who_waits(
    patient: RunningOrigin, connect: Connect, start: Start
) -> None:
    """No reader is left hanging; the stream is there after the restart (E54)."""
    writer = connect(patient)
    make(writer)
    post(writer, b"kept")
    reader = asking(connect(patient), TAIL)
    parked(patient, 1)

    again = start()

    assert reader.get(timeout=PATIENCE).status == 204
    assert connect(again).ask("GET", S).body == b"kept"


def test_a_parked_reader_keeps_a_stream_with_a_ttl(
    start: Start, connect: Connect
) -> None:
    """Section 5.1: a stream with active live readers does not expire."""
    origin = start(long_poll_timeout=2.0, tick=0.05)
    wire = connect(origin)
    make(wire, stream_ttl="1")
    assert wire.ask("GET", TAIL).status == 204
    assert wire.ask("HEAD", S).status == 200


def events(wire: Wire, count: int) -> list[bytes]:
    """The next events of an SSE answer."""
    text = b""
    while text.count(b"\n\n") < count:
        text += wire.chunk()
    return text.removesuffix(b"\n\n").split(b"\n\n")


def open_events(wire: Wire, target: str) -> dict[str, str]:
    wire.send(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    status, headers = wire.head()
    assert status == 200
    return headers


def test_events_history_first_then_what_comes_then_the_end(
    patient: RunningOrigin, connect: Connect
) -> None:
    """A control event after every data event; the last one closes (section 5.8)."""
    writer, reader = connect(patient), connect(patient)
    make(writer)
    post(writer, b"one")
    headers = open_events(reader, f"{S}?offset=-1&live=sse")
    assert headers["content-type"] == "text/event-stream"
    assert headers["cache-control"] == "no-cache"
    assert "content-length" not in headers

    first = events(reader, 2)
    post(writer, b" two", stream_closed="true")
    second = events(reader, 2)

    assert first[0] == b"event: data\ndata:one"
    assert b'"upToDate":true' in first[1] and b"streamCursor" in first[1]
    assert second[0] == b"event: data\ndata:  two"
    assert b'"streamClosed":true' in second[1] and b"streamCursor" not in second[1]
    assert reader.chunk() == b""


def test_binary_events_are_base64(patient: RunningOrigin, connect: Connect) -> None:
    """And the head says so."""
    writer, reader = connect(patient), connect(patient)
    make(writer, content_type="application/octet-stream")
    post(writer, b"\x00\xff", content_type="application/octet-stream")

    headers = open_events(reader, f"{S}?offset=-1&live=sse")

    assert headers["stream-sse-data-encoding"] == "base64"
    assert events(reader, 1)[0] == b"event: data\ndata:AP8="


def test_an_event_stream_ends_after_a_whole_event(
    start: Start, connect: Connect
) -> None:
    """Section 10.2: connections end by themselves, at an offset to return to."""
    origin = start(sse_lifetime=0.2)
    wire = connect(origin)
    make(wire)
    open_events(wire, f"{S}?offset=-1&live=sse")
    text = b"".join(iter(wire.chunk, b""))
    assert text.endswith(b"\n\n")
    assert b"streamNextOffset" in text


def test_a_reader_that_leaves_is_forgotten(start: Start, connect: Connect) -> None:
    """No bell, no greenlet stays behind (E46)."""
    origin = start(keep_alive=0.05)
    wire, gone = connect(origin), Event()
    make(wire)
    reader = Wire(origin.address)
    open_events(reader, f"{S}?offset=-1&live=sse")
    parked(origin, 1)
    reader.close()
    gone.set()
    parked(origin, 0)


def test_pages_end_between_messages_and_lead_to_the_end(
    start: Start, connect: Connect
) -> None:
    """Section 5.6: no claim on a page that is not the last one."""
    wire = connect(start(max_page=10, max_answer=10))
    make(wire)
    for body in (b"aaaa", b"bbbb", b"c" * 30, b"d"):
        post(wire, body, **({"stream_closed": "true"} if body == b"d" else {}))

    pages: list[Reply] = []
    offset = "-1"
    while not pages or "stream-closed" not in pages[-1].headers:
        pages.append(wire.ask("GET", f"{S}?offset={offset}"))
        offset = pages[-1].offset

    assert [page.body for page in pages] == [b"aaaabbbb", b"c" * 30, b"d"]
    assert ["stream-up-to-date" in page.headers for page in pages] == [
        False,
        False,
        True,
    ]
    assert "max-age=60" in pages[0].headers["cache-control"]


def test_an_etag_hides_neither_growth_nor_closure_nor_another_life(
    wire: Wire,
) -> None:
    """E3, E5: each of them makes another ETag."""
    make(wire)
    post(wire, b"one")
    tags = [wire.ask("GET", S).headers["etag"]]
    post(wire, b"two")
    tags.append(wire.ask("GET", S).headers["etag"])
    wire.ask("POST", S, stream_closed="true")
    tags.append(wire.ask("GET", S).headers["etag"])
    wire.ask("DELETE", S)
    make(wire)
    post(wire, b"one")
    tags.append(wire.ask("GET", S).headers["etag"])

    assert len(set(tags)) == 4
    held = ", ".join(f"W/{tag}" for tag in tags)
    for if_none_match in (tags[3], held, "*"):
        reply = wire.ask("GET", S, if_none_match=if_none_match)
        assert reply.status == 304
        assert reply.headers["etag"] == tags[3]
        assert reply.headers["stream-up-to-date"] == "true"
    assert wire.ask("GET", S, if_none_match=tags[0]).status == 200


def test_below_what_is_retained(start: Start, connect: Connect) -> None:
    """410 for an offset that was trimmed; the beginning is what is left."""
    origin = start(retention_bytes=2, tick=0.01)
    wire = connect(origin)
    make(wire)
    first = post(wire, b"aa").offset
    for body in (b"bb", b"cc", b"dd"):
        post(wire, body)
    with gevent.Timeout(60):
        while wire.ask("GET", S).body != b"dd":
            gevent.sleep(0.01)

    reply = wire.ask("GET", f"{S}?offset={first}")

    assert (reply.status, reply.reason) == (410, "below-retention")
    assert wire.ask("GET", f"{S}?offset=-1").body == b"dd"
