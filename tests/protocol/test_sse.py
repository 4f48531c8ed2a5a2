"""SSE frames, judged by a parser written after the WHATWG HTML standard (L25)."""

import base64
import json
import re
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.protocol.sse import (
    KEEP_ALIVE,
    TAIL,
    Encoding,
    control_event,
    data_event,
    encoding_for,
    may_end_behind,
    tail_behind,
)

law = settings(deadline=None)
raw = st.lists(
    st.sampled_from([b"\r", b"\n", b"\r\n", b" ", b"data:", b":", b"\xc3", b"\x00"])
    | st.binary(max_size=4)
    | st.text(max_size=4).map(str.encode)
).map(b"".join)
"""Bytes that are rich in what framing could trip over."""


@dataclass(frozen=True, slots=True)
class Event:
    """What a client's code is handed."""

    kind: str
    data: str


def parsed(stream: bytes) -> list[Event]:
    """WHATWG HTML section 9.2.6, for the two fields that are in use here."""
    text = stream.decode("utf-8", "replace").removeprefix("\ufeff")
    events: list[Event] = []
    kind, data = "", ""
    for line in re.split("\r\n|\r|\n", text)[:-1]:
        if line == "":
            if data:
                events.append(Event(kind or "message", data.removesuffix("\n")))
            kind, data = "", ""
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            kind = value
        elif name == "data":
            data += value + "\n"
    return events


def normalised(payload: bytes) -> str:
    """What text arrives as: UTF-8, with every kind of line end made LF."""
    text = payload.decode("utf-8", "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")


# How a stream travels.


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("text/plain", Encoding.TEXT),
        ("TEXT/Markdown; charset=utf-8", Encoding.TEXT),
        ("text/event-stream", Encoding.TEXT),
        ("application/json", Encoding.JSON),
        ("Application/JSON; charset=utf-8", Encoding.JSON),
        ("application/json ; a=b", Encoding.JSON),
        ("application/x-ndjson", Encoding.BASE64),
        ("application/ndjson", Encoding.BASE64),
        ("application/ld+json", Encoding.BASE64),
        ("application/jsonx", Encoding.BASE64),
        ("application/octet-stream", Encoding.BASE64),
        ("application/x; a=text/plain", Encoding.BASE64),
        ("text", Encoding.BASE64),
        ("", Encoding.BASE64),
        (None, Encoding.BASE64),
    ],
)
def test_text_and_json_travel_as_they_are_and_the_rest_in_base64(
    content_type: str | None, expected: Encoding
) -> None:
    """PROTOCOL.md sections 5.8 and 9."""
    assert encoding_for(content_type) is expected


# Data events, byte by byte.


@pytest.mark.parametrize(
    ("payload", "lines"),
    [
        (b"hello", b"data:hello\n"),
        (b"hello world", b"data:hello world\n"),
        (b" world", b"data:  world\n"),
        (b"  two", b"data:   two\n"),
        (b"\tx", b"data:\tx\n"),
        (b"", b"data:\n"),
        (b"a\nb", b"data:a\ndata:b\n"),
        (b"a\rb", b"data:a\ndata:b\n"),
        (b"a\r\nb", b"data:a\ndata:b\n"),
        (b"a\n\rb", b"data:a\ndata:\ndata:b\n"),
        (b"a\n", b"data:a\ndata:\n"),
        (b"\n b\n ", b"data:\ndata:  b\ndata:  \n"),
        (b"data: x\n\nevent: control", b"data:data: x\ndata:\ndata:event: control\n"),
        ("é\u2028\x85".encode(), "data:é\u2028\x85\n".encode()),
        (b"a\xffb\xe2\x82", "data:a\ufffdb\ufffd\n".encode()),
    ],
)
def test_text_is_framed_line_by_line(payload: bytes, lines: bytes) -> None:
    """L25: a second space only before a line's own, and only CR and LF end lines."""
    assert data_event(payload, Encoding.TEXT) == b"event: data\n" + lines + b"\n"


def test_a_token_stream_keeps_its_leading_spaces() -> None:
    """L25: clients strip one space, and tokens begin with one."""
    tokens = [b"Once", b" upon", b" a", b"  time"]

    events = parsed(b"".join(data_event(token, Encoding.TEXT) for token in tokens))

    assert "".join(event.data for event in events) == "Once upon a  time"


def test_a_json_array_is_one_event() -> None:
    """PROTOCOL.md section 5.8: messages of one range may share an event."""
    frame = data_event(b'[{"a":1},{"b":2}]', Encoding.JSON)

    assert frame == b'event: data\ndata:[{"a":1},{"b":2}]\n\n'


def test_an_indented_json_array_stays_the_same_json() -> None:
    """An origin may answer over several lines, some of which begin with spaces."""
    messages = [{"a": " b"}, ["\u2028", None]]
    body = json.dumps(messages, indent=2, ensure_ascii=False).encode()

    (event,) = parsed(data_event(body, Encoding.JSON))

    assert event == Event("data", body.decode())
    assert json.loads(event.data) == messages


@pytest.mark.parametrize(
    ("payload", "text"), [(b"", b""), (b"\x00", b"AA=="), (b"\xfb\xff\n", b"+/8K")]
)
def test_base64_is_the_standard_alphabet_with_padding(
    payload: bytes, text: bytes
) -> None:
    """PROTOCOL.md section 5.8: RFC 4648 section 4; nothing is the empty string."""
    assert data_event(payload, Encoding.BASE64) == b"event: data\ndata:%b\n\n" % text


# Data events, as a client sees them.


@law
@given(raw)
def test_any_text_arrives_as_it_was_but_for_its_line_ends(payload: bytes) -> None:
    """L25: nothing in a payload can end its event, begin another or lose a space."""
    stream = data_event(payload, Encoding.TEXT) + control_event("1", "2", True, False)

    data, control = parsed(stream)

    assert data == Event("data", normalised(payload))
    assert control.kind == "control"


@law
@given(st.binary())
def test_any_bytes_arrive_through_base64(payload: bytes) -> None:
    """PROTOCOL.md section 5.8: joined, without line ends, a multiple of 4 long."""
    (event,) = parsed(data_event(payload, Encoding.BASE64))
    text = re.sub("[\r\n]", "", event.data)

    assert event.kind == "data"
    assert len(text) % 4 == 0
    assert base64.b64decode(text, validate=True) == payload


@law
@given(st.lists(raw))
def test_frames_sent_one_behind_the_other_stay_apart(payloads: list[bytes]) -> None:
    """Frames are shared by viewers, each of whom may have another one before it."""
    frames = [KEEP_ALIVE + data_event(payload, Encoding.TEXT) for payload in payloads]

    events = parsed(b"".join(frames) + KEEP_ALIVE)

    assert [event.data for event in events] == [normalised(p) for p in payloads]


def test_the_keep_alive_is_no_event() -> None:
    """A comment; alone it gives a client nothing."""
    assert KEEP_ALIVE.startswith(b":")
    assert parsed(KEEP_ALIVE) == []


# Control events.


@pytest.mark.parametrize(
    ("cursor", "up_to_date", "closed", "expected"),
    [
        ("7", False, False, '{"streamNextOffset":"0_9","streamCursor":"7"}'),
        (
            "7",
            True,
            False,
            '{"streamNextOffset":"0_9","streamCursor":"7","upToDate":true}',
        ),
        (None, False, False, '{"streamNextOffset":"0_9"}'),
        (
            "7",
            True,
            True,
            '{"streamNextOffset":"0_9","upToDate":true,"streamClosed":true}',
        ),
        (
            None,
            False,
            True,
            '{"streamNextOffset":"0_9","upToDate":true,"streamClosed":true}',
        ),
    ],
)
def test_a_control_event_says_where_the_viewer_stands(
    cursor: str | None, up_to_date: bool, closed: bool, expected: str
) -> None:
    """PROTOCOL.md sections 5.8 and 8: closed means up to date, and no cursor."""
    frame = control_event("0_9", cursor, up_to_date, closed)

    assert frame == f"event: control\ndata:{expected}\n\n".encode()


@law
@given(st.text(), st.none() | st.text())
def test_a_control_event_is_one_line_of_json_whatever_it_carries(
    offset: str, cursor: str | None
) -> None:
    """Offsets are checked before; framing does not depend on that."""
    frame = control_event(offset, cursor, False, False)

    (event,) = parsed(frame)
    said = json.loads(event.data)

    assert frame.count(b"\n") == 3
    assert said["streamNextOffset"] == offset
    assert said.get("streamCursor") == cursor


@law
@given(
    st.from_regex(r"[0-9A-Za-z_\-.~\"\\/%&é]{1,12}", fullmatch=True),
    st.none() | st.integers(0, 10**18).map(str) | st.sampled_from(["", "٣", "1\n"]),
    st.booleans(),
)
def test_a_control_event_is_written_in_one_way(
    offset: str, cursor: str | None, up_to_date: bool
) -> None:
    """With an encoder of JSON or without one: the same bytes."""
    said: dict[str, object] = {"streamNextOffset": offset}
    said |= {} if cursor is None else {"streamCursor": cursor}
    said |= {"upToDate": True} if up_to_date else {}
    text = json.dumps(said, separators=(",", ":")).encode()

    frame = control_event(offset, cursor, up_to_date, closed=False)

    assert frame == b"event: control\ndata:" + text + b"\n\n"


CONTROL = b"event: control\ndata:{}\n\n"
DATA = b"event: data\ndata:a\n\n"


@pytest.mark.parametrize(
    ("sent", "may"),
    [
        (b"", True),
        (KEEP_ALIVE, True),
        (CONTROL, True),
        (DATA + CONTROL, True),
        (DATA + CONTROL + KEEP_ALIVE, True),
        (CONTROL.replace(b": ", b":"), True),
        (CONTROL.replace(b"\n", b"\r\n"), True),
        (CONTROL.replace(b"\n", b"\r"), True),
        (b"data:whatever\n\n", True),
        (DATA, False),
        (DATA.replace(b": ", b":"), False),
        (DATA.replace(b"\n", b"\r\n"), False),
        (DATA + KEEP_ALIVE, False),
        (DATA + b"\n", False),
        (DATA + CONTROL[:-1], False),
        (b"event: data\ndata:event: control\n\n", False),
    ],
)
def test_anothers_stream_may_end_where_nothing_waits_for_its_control_event(
    sent: bytes, may: bool
) -> None:
    """E54: a client goes on from its last control event; other data comes twice."""
    assert may_end_behind(sent) is may


@law
@given(st.lists(st.binary(max_size=3 * TAIL), min_size=1, max_size=4), st.booleans())
def test_the_last_bytes_of_a_stream_tell_as_much_as_all_of_it(
    payloads: list[bytes], controlled: bool
) -> None:
    """However large its events are."""
    events = [data_event(payload, Encoding.TEXT) + CONTROL for payload in payloads]
    stream = b"".join(events)
    if not controlled:
        stream = stream.removesuffix(CONTROL)

    assert may_end_behind(stream[-TAIL:]) is controlled


@law
@given(
    st.lists(st.sampled_from([KEEP_ALIVE, b":\r\r", b": a\r\n\r\n"]), max_size=300),
    st.sampled_from([b"", CONTROL, DATA + CONTROL, DATA, DATA[:-1]]),
)
def test_comments_do_not_displace_what_tells_whether_a_stream_may_end(
    comments: list[bytes], sent: bytes
) -> None:
    """An origin that breaks its silence would never be let go."""
    tail = sent
    for comment in comments:
        tail = tail_behind(tail, comment)

    assert len(tail) <= TAIL
    if sent != DATA[:-1]:
        assert may_end_behind(tail) is may_end_behind(sent)


@law
@given(
    st.lists(st.sampled_from([KEEP_ALIVE, CONTROL, DATA, b"x" * 700, b"\n"])),
    st.lists(st.integers(0, 4000)),
)
def test_a_stream_in_pieces_tells_the_same(parts: list[bytes], cuts: list[int]) -> None:
    stream, tail = b"".join(parts), b""
    ends = [*sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    for start, end in pairwise([0, *ends]):
        tail = tail_behind(tail, stream[start:end])

    if may_end_behind(stream[-TAIL:]):
        assert may_end_behind(tail)
