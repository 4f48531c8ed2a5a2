"""What a viewer has received: each event once, wherever its bytes are cut."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.cli.bench.viewer_reader import (
    EventMarkers,
    ParserState,
    ReadPosition,
    Received,
    ViewerReader,
)

MARKERS = EventMarkers("0badcafe")


def answer(*numbers: int, offset: str = "7", status: str = "200 OK") -> bytes:
    """A long-poll's answer."""
    body = b"".join(MARKERS.body(number, 30) for number in numbers)
    return (
        f"HTTP/1.1 {status}\r\nStream-Next-Offset: {offset}\r\nStream-Cursor: c\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def chunk(text: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(text), text)


def event(number: int, offset: str, newline: bytes = b"\n") -> bytes:
    """An event stream's data and control."""
    told = json.dumps({"streamNextOffset": offset, "streamCursor": "c"}).encode()
    lines = [b"event: data", b"data: " + MARKERS.body(number, 30), b""]
    lines += [b"event: control", b"data: " + told, b"", b""]
    return newline.join(lines)


STREAM = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)


def test_an_answer_tells_its_events_and_where_to_go_on() -> None:
    reader = ViewerReader(MARKERS)

    assert reader.feed(answer(3)) == [
        Received((3,), ReadPosition(b"7", b"c"), 200, done=True)
    ]
    assert reader.state is ParserState.ANSWERS


def test_two_events_may_come_in_one_answer() -> None:
    assert ViewerReader(MARKERS).feed(answer(3, 4))[0].numbers == (3, 4)


def test_an_answer_in_pieces_counts_when_it_is_complete() -> None:
    text = answer(3, 4)
    for cut in range(1, len(text)):
        reader = ViewerReader(MARKERS)

        assert reader.feed(text[:cut]) == []
        assert reader.state is None
        assert [received.numbers for received in reader.feed(text[cut:])] == [(3, 4)]
        assert reader.state is ParserState.ANSWERS


def test_events_of_another_run_are_not_counted() -> None:
    others = EventMarkers("deadbeef")
    text = answer(3).replace(MARKERS.body(3, 30), others.body(3, 30))

    assert ViewerReader(MARKERS).feed(text)[0].numbers == ()


def test_an_event_has_the_size_that_was_asked_for_and_its_mark_at_the_end() -> None:
    body = MARKERS.body(12, 100)

    assert len(body) == 100
    assert body.endswith(b".<0badcafe-0000012>")
    assert MARKERS.found(body[:-1]) == ()


def test_no_news_is_an_answer_too() -> None:
    text = (
        b"HTTP/1.1 204 No Content\r\nStream-Next-Offset: 7\r\nStream-Cursor: d\r\n\r\n"
    )

    assert ViewerReader(MARKERS).feed(text) == [
        Received((), ReadPosition(b"7", b"d"), 204, done=True)
    ]


def test_of_a_refusal_its_words_are_kept() -> None:
    text = b"HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 4\r\n\r\nfull"

    assert ViewerReader(MARKERS).feed(text) == [
        Received((), None, 503, done=True, last=True, body=b"full")
    ]


def test_a_closed_stream_is_told() -> None:
    text = answer(3).replace(b"\r\n\r\n", b"\r\nStream-Closed: true\r\n\r\n", 1)

    assert ViewerReader(MARKERS).feed(text)[0].closed


def heard(pieces: list[bytes]) -> tuple[list[int], ReadPosition | None, int]:
    """Events, the last place, and ends, after all ``pieces``."""
    reader, numbers = ViewerReader(MARKERS), list[int]()
    place, ends = None, 0
    for piece in pieces:
        for received in reader.feed(piece):
            numbers += received.numbers
            place = received.place or place
            ends += received.done
    return numbers, place, ends


SSE = (
    STREAM
    + chunk(event(1, "1"))
    + chunk(event(2, "2")[:40])
    + chunk(event(2, "2")[40:] + event(3, "3", b"\r\n") + event(4, "4", b"\r"))
    + b"0\r\n\r\n"
)


def test_an_event_stream_tells_each_event_once_wherever_it_is_cut() -> None:
    for cut in range(1, len(SSE)):
        assert heard([SSE[:cut], SSE[cut:]]) == (
            [1, 2, 3, 4],
            ReadPosition(b"4", b"c"),
            1,
        )


@given(st.lists(st.integers(0, len(SSE)), max_size=12).map(sorted))
def test_however_often_it_is_cut(places: list[int]) -> None:
    cuts = [0, *places, len(SSE)]
    pieces = [SSE[a:b] for a, b in pairwise(cuts)]

    assert heard(pieces) == ([1, 2, 3, 4], ReadPosition(b"4", b"c"), 1)


def test_an_event_stream_is_calm_between_two_events_only() -> None:
    reader = ViewerReader(MARKERS)
    text = event(1, "1")
    state = []
    for piece in (STREAM, chunk(text[:20]), chunk(text[20:]), chunk(text)[:-1]):
        reader.feed(piece)
        state.append(reader.state)

    assert state == [ParserState.EVENTS, None, ParserState.EVENTS, None]


def test_an_event_stream_without_chunks_is_read_and_never_calm() -> None:
    head = STREAM.replace(b"Transfer-Encoding: chunked\r\n", b"")
    reader = ViewerReader(MARKERS)
    reader.feed(head)

    assert [received.numbers for received in reader.feed(event(1, "1"))] == [(1,)]
    assert reader.state is None
    assert reader.end()


def test_after_the_end_of_an_event_stream_comes_another_answer() -> None:
    reader = ViewerReader(MARKERS)
    first = reader.feed(STREAM + chunk(event(1, "1")) + b"0\r\n\r\n" + STREAM)
    second = reader.feed(chunk(event(2, "2")))

    assert [received.done for received in first] == [True, False]
    assert [received.numbers for received in (*first, *second)] == [(1,), (), (2,)]


@pytest.mark.parametrize("told", [b"no JSON", b"[]", b"{}", b'"text"', b"null"])
def test_a_control_event_that_makes_no_sense_tells_no_place(told: bytes) -> None:
    text = b"event: control\ndata: " + told + b"\n\n"

    assert ViewerReader(MARKERS).feed(STREAM + chunk(text))[0].place is None


def test_a_control_event_may_close_the_stream() -> None:
    told = b'event: control\ndata: {"streamNextOffset":"9","streamClosed":true}\n\n'

    assert ViewerReader(MARKERS).feed(STREAM + chunk(told))[0].closed
