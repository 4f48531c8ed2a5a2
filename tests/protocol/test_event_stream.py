"""An origin's event stream, read strictly (U16, U22; PROTOCOL.md section 5.8)."""

import base64
import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge.protocol.event_stream import (
    MAX_CURSOR,
    ControlEvent,
    DataEvent,
    Event,
    EventReader,
    Inexact,
    OddEvent,
    base64_bytes,
    json_fragment,
)
from edge.protocol.json_arrays import fragment, whole
from edge.protocol.sse import Encoding, control_event, data_event

law = settings(deadline=None)
LARGE = 1024 * 1024
messages = st.lists(st.integers() | st.text(max_size=8) | st.none(), max_size=4)
raw = st.lists(
    st.sampled_from([b"\r", b"\n", b"\r\n", b": c", b"data:", b"event: data", b" "])
    | st.sampled_from([b"event: control", b'data: {"streamNextOffset":"1"}'])
    | st.binary(max_size=4)
).map(b"".join)
"""Bytes that are rich in what the reader could trip over."""


def events(*pieces: bytes, largest: int = LARGE) -> list[Event]:
    reader = EventReader(largest)
    return [event for piece in pieces for event in reader.feed(piece)]


def told(found: list[Event]) -> list[Event]:
    """Without what is skipped: how often a comment counts hangs on the pieces."""
    return [event for event in found if event is not OddEvent.SKIPPED]


def control(**said: Any) -> Event:
    text = json.dumps({"streamNextOffset": "7", **said}).encode()
    (event,) = events(b"event: control\ndata: " + text + b"\n\n")
    return event


# Events are found.


def test_data_and_its_control_are_read_as_they_were_written() -> None:
    stream = data_event(b'[{"a":1}]', Encoding.JSON) + control_event(
        "0_7", "41", up_to_date=True, closed=False
    )

    assert events(stream) == [
        DataEvent((b'[{"a":1}]',)),
        ControlEvent("0_7", "41", up_to_date=True, closed=False),
    ]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_line_may_end_in_three_ways(end: bytes) -> None:
    """WHATWG HTML section 9.2.6."""
    stream = b"event: data\ndata: a\n\nevent: data\ndata:b\n\n".replace(b"\n", end)

    assert events(stream) == [DataEvent((b"a",)), DataEvent((b"b",))]


def test_a_carriage_return_ends_its_line_before_it_is_known_what_follows() -> None:
    """No event waits for the line feed, which may never come."""
    reader = EventReader(LARGE)

    assert reader.feed(b"event: data\r\ndata: a\r\n\r") == [DataEvent((b"a",))]
    assert reader.feed(b"\nevent: data\r\ndata: b\r\n\r\n") == [DataEvent((b"b",))]


def test_one_space_behind_the_colon_is_not_of_the_value() -> None:
    assert events(b"event:data\ndata:  a\ndata:b\n\n") == [DataEvent((b" a", b"b"))]


def test_an_event_without_data_lines_is_none() -> None:
    """And one with an empty line is one: an append of no bytes in base64."""
    assert events(b"event: data\n\n") == [OddEvent.SKIPPED]
    assert events(b"event: data\ndata\n\n") == [DataEvent((b"",))]


@pytest.mark.parametrize(
    "skipped",
    [
        b": keep-alive\n\n",
        b"data: unnamed\n\n",
        b"event: ping\ndata: {}\n\n",
        b"event: Data\ndata: []\n\n",
        b"id: 7\nretry: 10\n\n",
        b"\xef\xbb\xbfevent: data\ndata: []\n\n",
    ],
)
def test_what_is_neither_data_nor_control_is_counted_and_skipped(
    skipped: bytes,
) -> None:
    after = b"event: data\ndata: a\n\n"

    found = events(skipped + after)

    assert found[-1] == DataEvent((b"a",))
    assert OddEvent.SKIPPED in found
    assert len(told(found)) == 1


def test_comments_inside_an_event_are_no_part_of_it() -> None:
    assert events(b"event: data\n: a\ndata: a\n:b\n\n") == [DataEvent((b"a",))]


def test_an_event_that_is_not_whole_is_not_given_out() -> None:
    assert events(b"event: data\ndata: a\n") == []


@law
@given(raw, st.lists(st.integers(0, 40), max_size=8))
@example(b"event: data\r\ndata: a\r\n\r\n", [13, 22])
def test_pieces_may_be_cut_anywhere(stream: bytes, cuts: list[int]) -> None:
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    pieces = [stream[a:b] for a, b in pairwise(places)]

    assert told(events(*pieces)) == told(events(stream))


@law
@given(raw)
def test_an_event_is_one_only_behind_its_blank_line(stream: bytes) -> None:
    """Nothing is ever made of what is held: a cut stream shows whole events alone."""
    reader = EventReader(LARGE)
    found = reader.feed(stream)

    assert told(found) == told(events(stream, b""))
    if reader.is_within:
        more = reader.feed(b"\n\n")
        assert len(more) >= 1


def test_an_event_has_begun_with_its_first_byte_and_a_comment_never() -> None:
    """U17: the byte that begins an event ends what the last control vouched for."""
    reader = EventReader(LARGE)
    pieces = (b": still here", b"\ne", b"vent: data\ndata: a\n\n")
    within = []
    for piece in pieces:
        reader.feed(piece)
        within.append(reader.is_within)

    assert within == [False, True, False]


# Bounds.


def test_a_line_that_does_not_end_is_given_up() -> None:
    """U22: 64 MiB without a line end are held up to the bound, and no further."""
    reader = EventReader(LARGE)
    found: list[Event] = []
    pieces = 0
    while not found:
        found = reader.feed(b"x" * 65536)
        pieces += 1

    assert found == [OddEvent.TOO_LONG]
    assert pieces == LARGE // 65536 + 1


@pytest.mark.parametrize(
    "stream",
    [
        b"event: data\n" + b"data: 1234567\n" * 10 + b"\n",
        b"event: data\ndata: " + b"1" * 100 + b"\n\n",
        b": " + b"c" * 200,
    ],
)
def test_an_event_above_the_bound_is_not_read(stream: bytes) -> None:
    assert events(stream, largest=99) == [OddEvent.TOO_LONG]


def test_events_before_one_that_is_too_long_are_given_out() -> None:
    stream = b"event: data\ndata: a\n\nevent: data\ndata: " + b"x" * 99 + b"\n\n"

    assert events(stream, largest=50) == [DataEvent((b"a",)), OddEvent.TOO_LONG]


def test_comments_without_blank_lines_do_not_pile_up() -> None:
    reader = EventReader(99)

    found = [event for _ in range(100) for event in reader.feed(b": still here\n")]

    assert found == [OddEvent.SKIPPED] * 100


# Control events.


def test_a_control_event_says_no_more_than_it_says() -> None:
    assert control() == ControlEvent("7", None, up_to_date=False, closed=False)
    assert control(streamCursor="3", upToDate=True) == ControlEvent(
        "7", "3", True, False
    )


def test_a_closed_stream_is_up_to_date() -> None:
    """Section 5.8."""
    assert control(streamClosed=True) == ControlEvent("7", None, True, True)


@pytest.mark.parametrize("claim", ["true", 1, None, [True], "yes"])
def test_a_claim_is_true_and_nothing_like_it(claim: object) -> None:
    event = control(upToDate=claim, streamClosed=claim)

    assert event == ControlEvent("7", None, up_to_date=False, closed=False)


@pytest.mark.parametrize("cursor", [3, None, "1" * (MAX_CURSOR + 1)])
def test_a_cursor_is_a_short_text_or_none(cursor: object) -> None:
    assert control(streamCursor=cursor) == ControlEvent("7", None, False, False)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b"[]",
        b"7",
        b"{",
        b"[" * 100_000,
        b'{"streamNextOffset":7}',
        b'{"streamNextOffset":""}',
        b'{"streamNextOffset":"-1"}',
        b'{"streamNextOffset":"now"}',
        b'{"streamNextOffset":"a b"}',
        b'{"streamNextOffset":"\xff"}',
    ],
)
def test_a_control_event_without_an_offset_says_nothing(text: bytes) -> None:
    found = events(b"event: control\ndata: " + text + b"\n\n")

    assert found == [OddEvent.MALFORMED]


odd_texts = st.sampled_from(["-1", "now", "", "a b", "é", '"', "\\", "1" * 300, "²"])


@law
@given(
    st.from_regex(r"[0-9A-Za-z_\-.~!$]{1,8}", fullmatch=True) | odd_texts,
    st.none() | st.from_regex(r"[0-9]{1,66}", fullmatch=True) | odd_texts,
    st.sampled_from([{}, {"upToDate": True}, {"upToDate": False}, {"more": 1}]),
)
def test_a_control_event_says_the_same_however_its_json_is_written(
    offset: str, cursor: str | None, more: dict[str, object]
) -> None:
    """Most servers write it without a space, and that is read without a parser."""
    said = {"streamNextOffset": offset}
    said |= {} if cursor is None else {"streamCursor": cursor}

    def read(separators: tuple[str, str], *, ascii_only: bool) -> list[Event]:
        text = json.dumps(said | more, separators=separators, ensure_ascii=ascii_only)
        return events(b"event: control\ndata: " + text.encode() + b"\n\n")

    spaced = read((", ", ": "), ascii_only=True)
    assert read((",", ":"), ascii_only=True) == spaced
    assert read((",", ":"), ascii_only=False) == spaced


# Exactly which bytes.


@law
@given(messages)
def test_an_array_on_one_line_is_the_bytes_of_catch_up(value: list[Any]) -> None:
    """U16: fragments of events join those of catch-up answers byte for byte."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    (event,) = events(data_event(body, Encoding.JSON))

    assert isinstance(event, DataEvent)
    assert json_fragment(event.lines) == fragment(body)


@law
@given(messages, messages)
def test_two_events_are_the_array_of_both(one: list[Any], two: list[Any]) -> None:
    joined = b"".join(
        json_fragment((json.dumps(value).encode(),)) for value in (one, two)
    )

    assert json.loads(whole(joined)) == one + two


@pytest.mark.parametrize(
    "lines",
    [
        (b"[", b'{"a":1}', b"]"),
        (b"[1]", b""),
        (b'{"a":1}',),
        (b"",),
        (b"[1] [2]",),
        (b"[1",),
        (b'["\xef\xbf\xbd"]',),
        (b'["\xff"]',),
        (b'["\xed\xa0\x80"]',),
    ],
)
def test_what_may_be_the_trace_of_other_bytes_is_inexact(
    lines: tuple[bytes, ...],
) -> None:
    with pytest.raises(Inexact):
        json_fragment(lines)


def test_an_escaped_replacement_character_is_what_the_writer_wrote() -> None:
    assert json_fragment((b'["\\ufffd"]',)) == b',"\\ufffd"'


@law
@given(st.binary(max_size=64), st.lists(st.integers(1, 80), max_size=3))
def test_base64_is_decoded_whatever_its_lines(data: bytes, cuts: list[int]) -> None:
    text = base64.b64encode(data)
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    lines = tuple(text[a:b] for a, b in pairwise(places))

    assert base64_bytes(lines or (b"",)) == data


@pytest.mark.parametrize(
    "text",
    [b"QQ=", b"QUJD=", b"QQ==QQ==", b"Q Q=", b"-_-_", b"====", b"=QQQ", b"QQ==\t"],
)
def test_anything_but_strict_base64_is_inexact(text: bytes) -> None:
    """RFC 4648 section 4: no other alphabet, no white space, padding at the end."""
    with pytest.raises(Inexact):
        base64_bytes((text,))
