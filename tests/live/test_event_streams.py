"""Event streams: what a viewer is told, and when it ends (L25; E17 to E19, E45)."""

from typing import Any

from edge.core.errors import OriginUnreachable
from edge.core.values import Mode, Purpose
from edge.live.waiters import FIRST_CONTROL_SECONDS
from edge.protocol.sse import KEEP_ALIVE
from origin_adapter.scripted import data, head_answer
from tests.live.support import (
    QUICK,
    Asked,
    House,
    RecordingSink,
    scripted,
    settle,
    warm,
    watch,
)
from tests.support.options import rules


def control(offset: str, up_to_date: bool = True) -> dict[str, Any]:
    said: dict[str, Any] = {"streamNextOffset": offset}
    return said | ({"upToDate": True} if up_to_date else {})


def told(asked: Asked) -> list[tuple[str, Any]]:
    """The events so far, without the cursors."""
    events = asked.sink.events
    for kind, event in events:
        if kind == "control":
            event.pop("streamCursor", None)
    return events


def narrow(house: House, offset: str) -> Asked:
    """A viewer whose socket takes one write and is full then."""
    return house.ask(offset, Mode.SSE, RecordingSink(room=False))


def drain(asked: Asked) -> None:
    assert asked.pending is not None
    asked.pending.drained()


def test_the_head_says_what_it_is_and_is_kept_by_nobody() -> None:
    house, origin = scripted()
    view, _ = watch(house, origin, mode=Mode.SSE)
    settle()

    assert view.sink.header("Content-Type") == "text/event-stream"
    assert view.sink.header("Cache-Control") == "no-cache"
    assert view.sink.header("X-Accel-Buffering") == "no"
    assert view.sink.header("stream-sse-data-encoding") is None


def test_up_to_date_is_told_once_the_poll_is_on_the_wire() -> None:
    """L3: between the HEAD and the poll the tail is unknown."""
    house, origin = scripted()
    view = house.view("0003")
    head = origin.expect()
    head.reply(head_answer("0003"))
    origin.expect(Purpose.FOLLOW)

    assert told(view) == [("control", control("0003"))]


def test_a_viewer_whose_poll_cannot_be_armed_is_told_where_it_stands() -> None:
    """After a second without the claim; and with it as soon as that is true."""
    house, origin = scripted(backoff_first=1000.0, backoff_max=1000.0)
    first, poll = watch(house, origin)
    poll.cut()
    settle()
    view = house.view("0003")
    origin.expect(Purpose.CATCH_UP).cut()
    settle()
    assert told(view) == []
    house.pass_time(FIRST_CONTROL_SECONDS + 0.5)
    assert told(view) == [("control", control("0003", up_to_date=False))]

    house.wrote("POST", 204, Stream_Next_Offset="0003")
    origin.expect(Purpose.FOLLOW)
    assert told(view)[1:] == [("control", control("0003"))]
    assert first.waits


def test_nobody_is_told_up_to_date_while_the_next_event_is_on_its_way() -> None:
    """E2: the poll is armed again before the pass has come to the viewer."""
    house, origin = scripted(**QUICK)
    warm(house, origin)
    first, poll = watch(house, origin)
    poll.cut()
    probe = origin.expect(Purpose.CATCH_UP)
    view = house.view("0003")
    origin.expect(Purpose.CATCH_UP).cut()
    settle()
    probe.reply(data(b"abcde", "0005", up_to_date=False))
    origin.expect(Purpose.FOLLOW)
    settle()

    stands = [e for kind, e in told(view) if kind == "control" and "upToDate" in e]
    assert [e["streamNextOffset"] for e in stands] == ["0005"]
    assert first.done().body == b"de"


def test_a_control_event_follows_every_data_event() -> None:
    """Section 5.8: the offset in it is where the viewer comes back."""
    house, origin = scripted()
    view, poll = watch(house, origin, mode=Mode.SSE)
    for body, end in ((b"d", "0004"), (b"e\nf", "0007")):
        poll.reply(data(body, end))
        poll = origin.expect()
        settle()

    assert told(view) == [
        ("control", control("0003")),
        ("data", "d"),
        ("control", control("0004")),
        ("data", "e\nf"),
        ("control", control("0007")),
    ]


def test_history_goes_out_page_by_page_each_with_its_control_event() -> None:
    house, origin = scripted(rules=rules(max_page=3))
    warm(house, origin)
    for start, body, end in (("0003", b"de", "0005"), ("0005", b"fg", "0007")):
        asked = house.ask(start)
        origin.expect().reply(data(body, end))
        asked.done()
    view = house.view("-1")
    origin.expect().reply(head_answer("0007"))
    origin.expect(Purpose.FOLLOW)

    events = told(view)
    assert [event for kind, event in events if kind == "data"] == ["abc", "de", "fg"]
    assert events[1] == ("control", control("0003", up_to_date=False))
    assert events[-1] == ("control", control("0007"))
    assert [kind for kind, _ in events][:6] == ["data", "control"] * 3


def test_binary_streams_travel_as_base64() -> None:
    house, origin = scripted()
    view = house.view("0003")
    binary = "application/octet-stream"
    origin.expect().reply(head_answer("0003", content_type=binary))
    origin.expect().reply(data(b"\x00\xff", "0005", content_type=binary))
    origin.expect()
    settle()

    assert view.sink.header("stream-sse-data-encoding") == "base64"
    assert ("data", "AP8=") in view.sink.events


def test_json_travels_as_one_array_per_event() -> None:
    house, origin = scripted()
    view = house.view("-1")
    json = "application/json"
    origin.expect().reply(head_answer("0002", content_type=json))
    origin.expect().reply(data(b'[{"a":1},{"b":2}]', "0002", content_type=json))
    origin.expect()
    settle()

    assert view.sink.events[0] == ("data", '[{"a":1},{"b":2}]')


def test_silence_is_broken_by_a_comment() -> None:
    house, origin = scripted(sse_keep_alive=15.0, sse_lifetime=100.0)
    view, _ = watch(house, origin, mode=Mode.SSE)
    settle()
    house.pass_time(14)
    assert len(view.sink.written) == 1
    house.pass_time(2)
    assert view.sink.written[1:] == [KEEP_ALIVE]
    house.pass_time(16)
    assert view.sink.written[1:] == [KEEP_ALIVE, KEEP_ALIVE]


def test_a_response_ends_after_its_lifetime_and_after_a_whole_event() -> None:
    """E19: about 60 s, so that viewers come back and share again."""
    house, origin = scripted(sse_lifetime=60.0)
    view, _ = watch(house, origin, mode=Mode.SSE)
    for _ in range(5):
        house.pass_time(10)
    assert view.waits
    house.pass_time(11)

    assert view.done().finished
    assert view.sink.text.endswith("\n\n")
    assert house.counters.viewers_ended["lifetime"] == 1


def test_the_end_of_the_stream_ends_the_response() -> None:
    house, origin = scripted()
    view, poll = watch(house, origin, mode=Mode.SSE)
    poll.reply(data(b"de", "0005", closed=True))

    assert view.done().finished
    assert told(view)[-2:] == [
        ("data", "de"),
        (
            "control",
            {"streamNextOffset": "0005", "upToDate": True, "streamClosed": True},
        ),
    ]
    assert house.counters.viewers_ended["closed"] == 1


def test_a_slow_viewer_keeps_an_offset_and_finds_everything_in_the_log() -> None:
    """E45: no buffer of its own; what came meanwhile is one event."""
    house, origin = scripted()
    view = narrow(house, "0003")
    origin.expect().reply(head_answer("0003"))
    poll = origin.expect(Purpose.FOLLOW)
    for n, letter in enumerate((b"d", b"e", b"f"), 4):
        poll.reply(data(letter, f"{n:04d}"))
        poll = origin.expect(Purpose.FOLLOW)
        settle()
    assert told(view) == [("control", control("0003"))]
    drain(view)

    assert told(view)[1:] == [("data", "def"), ("control", control("0006"))]
    assert len(origin.calls) == 5


def test_a_full_sink_is_written_to_only_when_it_has_drained() -> None:
    """Section Sink of the ports: False means no more until then."""
    house, origin = scripted(rules=rules(max_page=3))
    warm(house, origin)
    asked = house.ask("0003")
    origin.expect().reply(data(b"de", "0005"))
    asked.done()
    view = narrow(house, "-1")
    assert len(view.sink.written) == 1
    drain(view)
    assert len(view.sink.written) == 2
    drain(view)
    origin.expect().reply(head_answer("0005"))
    origin.expect(Purpose.FOLLOW)
    settle()

    assert len(view.sink.written) == 3
    assert [e for kind, e in told(view) if kind == "data"] == ["abc", "de"]


def test_draining_is_told_at_odd_times_and_changes_nothing() -> None:
    """The front may say so while the viewer waits for a flight."""
    house, origin = scripted()
    view = house.view("0003")
    for _ in range(10):
        drain(view)
    origin.expect().reply(head_answer("0003"))
    origin.expect(Purpose.FOLLOW).reply(data(b"de", "0005"))
    origin.expect()
    settle()
    for _ in range(3):
        drain(view)

    assert [e for kind, e in told(view) if kind == "data"] == ["de"]
    assert len(origin.calls) == 3


def test_one_that_falls_too_far_behind_is_ended_and_comes_back() -> None:
    """E45: past viewer_lag, after a whole event."""
    house, origin = scripted(viewer_lag=4, sse_lifetime=1000.0, sse_keep_alive=15.0)
    slow, quick = narrow(house, "0003"), narrow(house, "0003")
    origin.expect().reply(head_answer("0003"))
    poll = origin.expect(Purpose.FOLLOW)
    settle()
    poll.reply(data(b"defgh", "0008"))
    origin.expect()
    settle()
    drain(quick)
    house.pass_time(16)

    assert slow.done().finished and quick.waits
    assert house.counters.viewers_ended["viewer-lag"] == 1


def test_a_poll_just_sent_does_not_say_that_a_write_before_it_is_not_there() -> None:
    """L4, U13: the write may be to this very stream, and its bytes on the way. The read
    that would have brought them failed, so its viewer was parked."""
    house, origin = scripted(**QUICK)
    warm(house, origin)
    house.wrote("POST", 204, extension="x=1", stream_next_offset="0006")
    view = house.view("0003")
    origin.expect(Purpose.CATCH_UP).fail(OriginUnreachable("cut"))
    poll = origin.expect(Purpose.FOLLOW)
    settle()

    assert view.sink.events == []
    poll.reply(data(b"def", "0006"))
    settle()
    (_, text), (_, control) = view.sink.events
    assert (text, control["streamNextOffset"]) == ("def", "0006")
    assert control["upToDate"] is True
