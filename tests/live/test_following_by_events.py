"""A stream that is followed by an event stream of its origin (U16 to U23).

Offsets count messages: a stream of two messages has its tail at ``0002``.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from edge.core.errors import NotAsked
from edge.core.reasons import Reason
from edge.core.values import Framing, Headers, Mode, Purpose, StreamKey
from edge.live.event_streams import EventStream
from edge.policy.streams.followed_events import (
    PROOF_SECONDS,
    QUIET_SECONDS,
    SPIN_EVENTS,
)
from edge.policy.streams.routes import Access, Follow, Route, UpstreamCredential
from edge.protocol.sse import Encoding, control_event, data_event
from origin_adapter.scripted import (
    Call,
    ScriptedOrigin,
    data,
    head_answer,
    no_content,
)
from tests.live.support import ALICE, QUICK, Asked, House, scripted, settle
from tests.support.hub_errors import HubError
from tests.support.options import rules

JSON = "application/json"
SSE = Route(follow=Follow.SSE)
EVENTS: Headers = (("content-type", "text/event-stream"), ("cache-control", "no-cache"))


def body(*messages: Any) -> bytes:
    return json.dumps(list(messages), separators=(",", ":")).encode()


def event(*messages: Any) -> bytes:
    return data_event(body(*messages), Encoding.JSON)


def control(offset: str, *, claims: bool = True, closed: bool = False) -> bytes:
    return control_event(offset, "77", claims, closed)


def batch(offset: str, *messages: Any) -> bytes:
    return event(*messages) + control(offset)


def house_of(route: Route = SSE, **options: Any) -> tuple[House, ScriptedOrigin]:
    return scripted(routes=(route,), **{**QUICK, **options})


def hold(
    house: House, origin: ScriptedOrigin, kind: str = JSON, key: StreamKey | None = None
) -> None:
    """The edge holds the first message, or the bytes of one."""
    asked = house.ask(key=key)
    first = body("a") if kind == JSON else b"a"
    origin.expect(Purpose.CATCH_UP).reply(data(first, "0001", content_type=kind))
    assert asked.done().status == 200


def begin(
    house: House,
    origin: ScriptedOrigin,
    kind: str = JSON,
    key: StreamKey | None = None,
    mode: Mode = Mode.SSE,
    **head: Any,
) -> tuple[Asked, Call]:
    """A viewer at the end of what is held, and the request of its follower."""
    hold(house, origin, kind, key)
    viewer = house.ask("0001", mode, key=key)
    origin.expect(Purpose.CATCH_UP).reply(
        head_answer("0001", content_type=kind, **head)
    )
    return viewer, live_read(origin)


def answered(call: Call, *more: bytes, fields: Headers = EVENTS) -> None:
    """It is an event stream, which repeats what is held."""
    call.head(200, fields)
    for piece in (batch("0001", "a"), *more):
        call.piece(piece)
    settle()


def follow(house: House, origin: ScriptedOrigin, **more: Any) -> tuple[Asked, Call]:
    """A viewer, and the event stream that it is followed by."""
    viewer, call = begin(house, origin, **more)
    assert is_for_events(call)
    answered(call)
    assert ended(house) == {}
    return viewer, call


def live_read(origin: ScriptedOrigin) -> Call:
    """The next call, which is the follower's: a long-poll, or for an event stream."""
    call = origin.expect()
    assert "live=" in call.request.target, f"{call!r} came instead"
    return call


def brings(origin: ScriptedOrigin, *messages: Any) -> None:
    """The next call reads, from wherever, a stream that holds ``a`` and these."""
    call = origin.expect(Purpose.CATCH_UP)
    offset = call.request.target.partition("offset=")[2]
    held = ("a", *messages)
    end = f"{len(held):04}"
    rest = held[0 if offset == "-1" else int(offset) :]
    call.reply(data(body(*rest), end, content_type=JSON))


def checked(origin: ScriptedOrigin, start: str, end: str, *messages: Any) -> None:
    """The next call reads from before the end, and finds this."""
    call = origin.expect(Purpose.CATCH_UP)
    assert call.request.target == f"/v1/stream/a?offset={start}"
    call.reply(data(body(*messages), end, content_type=JSON))


def is_for_events(call: Call) -> bool:
    return "live=sse" in call.request.target


def ended(house: House) -> dict[str, int]:
    return dict(house.counters.event_streams_ended)


def seen(viewer: Asked) -> list[Any]:
    """The messages that the viewer was given."""
    texts = [text for kind, text in viewer.sink.events if kind == "data"]
    return [message for text in texts for message in json.loads(text)]


@pytest.fixture(autouse=True)
def one_live_read(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """U20: there are never two live reads of a stream."""
    calls: list[Call] = []
    expect = ScriptedOrigin.expect

    def watched(origin: ScriptedOrigin, purpose: Purpose | None = None) -> Call:
        call = expect(origin, purpose)
        if "live=" in call.request.target:
            open_calls = [c for c in calls if not (c.closed.is_set() or is_done(c))]
            assert open_calls == [], "a second live read"
            calls.append(call)
        return call

    monkeypatch.setattr(ScriptedOrigin, "expect", watched)
    yield


def is_done(call: Call) -> bool:
    exchange = call._exchange
    return (exchange is not None and exchange.ended.is_set()) or _whole(call)


def _whole(call: Call) -> bool:
    exchange = call._exchange
    return call._fault is not None or (exchange is not None and exchange._over)


# By events.


def test_many_events_cost_one_request() -> None:
    house, origin = house_of()
    viewer, call = follow(house, origin)
    for n in range(2, 50):
        call.piece(batch(f"{n:04}", n))
        settle()

    assert seen(viewer) == list(range(2, 50))
    assert [c.method for c in origin.calls] == ["GET", "HEAD", "GET"]
    assert house.counters.event_streams == 1
    assert house.counters.events_heard == 49


def test_the_request_asks_for_an_event_stream_from_before_the_end() -> None:
    """U20: so that the first events prove themselves."""
    house, origin = house_of()
    _, call = begin(house, origin)

    assert call.request.target == "/v1/stream/a?offset=-1&live=sse"
    assert ("accept", "text/event-stream") in call.request.headers


def test_bytes_are_followed_in_base64() -> None:
    house, origin = house_of()
    viewer, call = begin(house, origin, kind="application/octet-stream")
    call.head(200, (*EVENTS, ("stream-sse-data-encoding", "base64")))
    call.piece(data_event(b"a", Encoding.BASE64) + control("0001"))
    call.piece(data_event(b"\xff\r", Encoding.BASE64))
    call.piece(data_event(b"\n", Encoding.BASE64) + control("0004"))
    settle()
    reader = house.ask("0001")

    assert reader.done().body == b"\xff\r\n"
    assert ("data", "/w0K") in viewer.sink.events


def test_text_is_followed_by_long_polls() -> None:
    """U16: an event makes one of CR, CRLF and LF."""
    house, origin = house_of()
    _, call = begin(house, origin, kind="text/plain")

    assert not is_for_events(call)


def test_a_stream_of_long_polls_stays_one() -> None:
    house, origin = house_of(Route(follow=Follow.LONG_POLL))
    _, call = begin(house, origin)
    for n in range(2, 12):
        assert not is_for_events(call)
        call.reply(data(body(n), f"{n:04}", content_type=JSON))
        call = live_read(origin)


def test_what_came_by_events_joins_what_catch_up_brings() -> None:
    """U16: byte for byte."""
    house, origin = house_of()
    _, call = follow(house, origin)
    call.piece(batch("0003", "b", {"c": [1, 2]}))
    call.piece(event("d") + batch("0005", "e"))
    settle()
    reader = house.ask("-1")

    assert reader.done().body == body("a", "b", {"c": [1, 2]}, "d", "e")
    assert origin.calls[-1] is call.request


# Up and down.


def busy(house: House, origin: ScriptedOrigin, call: Call, first: int = 2) -> Call:
    """Five polls bring something within a second; the request that comes then."""
    for n in range(first, first + 5):
        assert not is_for_events(call)
        house.clock.move(0.2)
        call.reply(data(body(n), f"{n:04}", content_type=JSON))
        call = live_read(origin)
    return call


def test_frequent_events_make_it_go_up_and_rare_ones_down() -> None:
    """U20: ``auto``."""
    house, origin = house_of(Route())
    viewer, poll = begin(house, origin)
    call = busy(house, origin, poll)
    assert call.request.target == "/v1/stream/a?offset=0005&live=sse"
    call.head(200, EVENTS)
    call.piece(batch("0006", 6))
    call.piece(batch("0007", 7))
    settle()
    for _ in range(4):
        house.pass_time(1.2)
    call.piece(batch("0008", 8))
    settle()
    house.pass_time(0.5)

    checked(origin, "0007", "0008", 8)
    poll = live_read(origin)
    assert not is_for_events(poll)
    assert poll.request.target.startswith("/v1/stream/a?offset=0008&live=long-poll")
    assert ended(house) == {"events-slow": 1}
    assert seen(viewer) == [2, 3, 4, 5, 6, 7, 8]
    assert is_for_events(busy(house, origin, poll, 9))


def test_rare_polls_do_not_make_it_go_up() -> None:
    house, origin = house_of(Route())
    _, call = begin(house, origin)
    for n in range(2, 12):
        house.clock.move(0.3)
        call.reply(data(body(n), f"{n:04}", content_type=JSON))
        call = live_read(origin)
        assert not is_for_events(call)


def test_polls_that_bring_nothing_do_not_make_it_go_up() -> None:
    house, origin = house_of(Route())
    _, call = begin(house, origin)
    for _ in range(8):
        house.clock.move(0.25)
        call.reply(no_content("0001"))
        call = live_read(origin)
        assert not is_for_events(call)


def test_a_quiet_one_is_closed_and_a_long_poll_takes_over_at_the_same_end() -> None:
    """U17, U20."""
    house, origin = house_of()
    viewer, call = follow(house, origin)
    call.piece(batch("0002", "b"))
    settle()
    house.pass_time(QUIET_SECONDS)

    checked(origin, "0001", "0002", "b")
    poll = live_read(origin)
    assert poll.request.target == "/v1/stream/a?offset=0002&live=long-poll&cursor=77"
    assert call.closed.is_set()
    assert ended(house) == {"events-quiet": 1}
    poll.reply(data(body("c"), "0003", content_type=JSON))
    assert is_for_events(live_read(origin))
    assert seen(viewer) == ["b", "c"]


def test_a_stream_that_is_no_more_is_found_by_the_long_poll() -> None:
    """U17: its event stream stays mute for good."""
    house, origin = house_of()
    viewer, _ = follow(house, origin)
    house.pass_time(QUIET_SECONDS)
    origin.expect(Purpose.CATCH_UP).answer(404, (), b"Stream not found")
    settle()

    assert viewer.done().finished
    assert house.counters.drops["gone"] == 1


def test_its_life_ends_at_a_control_and_the_next_one_follows_at_once() -> None:
    """U21."""
    house, origin = house_of()
    viewer, call = follow(house, origin)
    for n in range(2, 16):
        house.pass_time(4.0)
        if call.closed.is_set():
            break
        call.piece(batch(f"{n:04}", n))
        settle()
    again = live_read(origin)

    assert 13 <= n <= 15
    assert is_for_events(again)
    assert ended(house) == {"lifetime": 1}
    assert seen(viewer) == list(range(2, n))


# It has to prove itself.


@pytest.mark.parametrize(
    "fields",
    [
        (("content-type", JSON),),
        (("content-type", "text/html"),),
        (*EVENTS, ("content-encoding", "gzip")),
        (*EVENTS, ("stream-sse-data-encoding", "base64")),
        (*EVENTS, ("set-cookie", "a=b")),
        (*EVENTS, ("vary", "*")),
    ],
)
def test_an_answer_that_cannot_be_followed_makes_way_for_long_polls(
    fields: Headers,
) -> None:
    house, origin = house_of()
    viewer, call = begin(house, origin)
    call.head(200, fields)
    poll = live_read(origin)

    assert not is_for_events(poll)
    assert call.closed.is_set()
    assert ended(house) == {"events-refused": 1}
    poll.reply(data(body("b"), "0002", content_type=JSON))
    assert not is_for_events(live_read(origin))
    assert seen(viewer) == ["b"]


def test_one_that_the_end_of_its_connection_ends_is_not_followed() -> None:
    """U21: a cut could not be told from the end."""
    house, origin = house_of()
    _, call = begin(house, origin)
    call.head(200, EVENTS, framing=Framing.CLOSE)

    assert not is_for_events(live_read(origin))
    assert ended(house) == {"events-refused": 1}


@pytest.mark.parametrize("status", [400, 404, 406, 429, 500, 503])
def test_another_status_is_heard_by_a_long_poll(status: int) -> None:
    house, origin = house_of()
    viewer, call = begin(house, origin)
    call.answer(status, (), b"no")
    poll = live_read(origin)
    poll.reply(data(body("b"), "0002", content_type=JSON))
    settle()

    assert not is_for_events(poll)
    assert seen(viewer) == ["b"]
    assert ended(house) == {"events-status": 1}
    assert not house.counters.drops


def test_a_first_event_that_is_late_makes_way_for_long_polls() -> None:
    """U20: a proxy that collects answers, or compresses."""
    house, origin = house_of()
    viewer, call = begin(house, origin)
    call.head(200, EVENTS)
    call.piece(batch("0001", "a")[:20])
    settle()
    house.pass_time(PROOF_SECONDS)
    poll = live_read(origin)
    poll.reply(data(body("b"), "0002", content_type=JSON))

    assert not is_for_events(poll)
    assert not is_for_events(live_read(origin))
    assert ended(house) == {"events-late": 1}
    assert seen(viewer) == ["b"]


def test_the_same_messages_written_differently_are_inexact() -> None:
    """U16: the stream stays what it is, and its viewers stay."""
    house, origin = house_of()
    viewer, call = begin(house, origin)
    call.head(200, EVENTS)
    call.piece(data_event(b'[ "\\u0061" ]', Encoding.JSON) + control("0001"))
    settle()
    poll = live_read(origin)

    assert not is_for_events(poll)
    assert viewer.waits
    assert ended(house) == {"events-inexact": 1}
    assert not house.counters.drops
    poll.reply(data(body("b"), "0002", content_type=JSON))
    house.pass_time(100_000.0)
    settle()
    assert not any("live=sse" in c.target for c in origin.calls[3:])


def test_other_messages_are_another_incarnation() -> None:
    """L7."""
    house, origin = house_of()
    viewer, call = begin(house, origin)
    call.head(200, EVENTS)
    call.piece(batch("0001", "another"))
    settle()

    assert dict(house.counters.drops) == {"bytes-differ": 1}
    assert call.closed.is_set()
    assert viewer.done().finished


def test_inexact_bytes_that_were_held_are_dropped_and_read_again() -> None:
    """U16: a catch-up read shows that they were."""
    house, origin = house_of()
    viewer, call = follow(house, origin)
    call.piece(data_event(b'["\\u0062"]', Encoding.JSON) + control("0002"))
    settle()
    incarnation = next(iter(house.hub.streams)).log.incarnation
    call.piece(b"e")
    settle()
    house.wrote("POST", 204)
    reader = house.ask("0002")
    checked(origin, "0001", "0002", "b")
    assert reader.done().body == b"[]"
    call.cut()
    checked(origin, "0001", "0002", "b")
    poll = live_read(origin)

    log = next(iter(house.hub.streams)).log
    assert not is_for_events(poll)
    assert log.incarnation == incarnation
    assert not house.counters.drops
    assert viewer.waits
    assert house.ask("0001").done().body == body("b")
    again = house.ask("-1")
    origin.expect(Purpose.CATCH_UP).reply(
        data(body("a", "b"), "0002", content_type=JSON)
    )
    assert again.done().body == body("a", "b")


def test_what_comes_behind_another_incarnation_is_not_taken_into_the_new_log() -> None:
    """L5: in one piece with the event that differs."""
    house, origin = house_of()
    _, call = begin(house, origin)
    call.head(200, EVENTS)
    call.piece(batch("0001", "another") + batch("0002", "ghost"))
    settle()
    log = next(iter(house.hub.streams)).log

    assert not log.holds_bytes
    assert log.tail.offset is None
    assert not log.tail.is_armed(house.clock.monotonic())


def test_an_event_stream_that_was_found_inexact_by_a_read_ends() -> None:
    house, origin = house_of()
    viewer, call = follow(house, origin)
    call.piece(data_event(b'["\\u0062"]', Encoding.JSON) + control("0002"))
    settle()
    house.wrote("DELETE", 503)
    reader = house.ask("0002")
    check = origin.expect(Purpose.CATCH_UP)
    assert check.request.target == "/v1/stream/a?offset=0001"
    check.reply(data(body("b"), "0002", content_type=JSON))
    settle()
    call.piece(batch("0003", "c"))

    assert not is_for_events(live_read(origin))
    assert ended(house) == {"events-inexact": 1}
    assert reader.done().body == b"[]"
    assert viewer.waits and not house.counters.drops


# What it vouches for.


def test_a_reader_at_the_end_is_told_so_without_a_request() -> None:
    """U17, L3."""
    house, origin = house_of()
    _, call = follow(house, origin)
    call.piece(batch("0002", "b"))
    settle()
    house.clock.move(QUIET_SECONDS - 0.1)
    reader = house.ask("0002")

    assert reader.done().header("Stream-Up-To-Date") == "true"
    assert len(origin.calls) == 3


@pytest.mark.parametrize("piece", [b"e", event("b"), control("0001", claims=False)])
def test_within_an_event_and_without_a_claim_the_end_is_not_known(
    piece: bytes,
) -> None:
    """U17: from the first byte on."""
    house, origin = house_of()
    _, call = follow(house, origin)
    call.piece(piece)
    settle()
    reader = house.ask("0001")

    brings(origin)
    assert reader.done().body == b"[]"


def test_comments_leave_it_armed_and_do_not_prolong_it() -> None:
    house, origin = house_of()
    _, call = follow(house, origin)
    house.clock.move(4.0)
    call.piece(b": keep-alive\n\n")
    settle()
    assert house.ask("0001").done().header("Stream-Up-To-Date") == "true"
    house.clock.move(QUIET_SECONDS - 4.0)
    house.ask("0001")

    origin.expect(Purpose.CATCH_UP)
    assert house.counters.events_skipped == 1


def test_a_viewer_that_waits_to_be_told_is_told_with_the_control() -> None:
    house, origin = house_of()
    viewer, _ = follow(house, origin)

    assert viewer.sink.events[-1][1]["upToDate"] is True


def test_an_end_that_another_answer_moved_is_not_vouched_for() -> None:
    """A delta overtook the event."""
    house, origin = house_of()
    viewer, call = follow(house, origin)
    call.piece(b"e")
    settle()
    reader = house.ask("0001")
    brings(origin, "b")
    assert reader.done().body == body("b")
    call.piece(batch("0002", "b")[1:])
    settle()

    assert seen(viewer) == ["b"]
    assert house.ask("0002").done().header("Stream-Up-To-Date") == "true"


def test_a_control_event_at_an_end_that_is_none_any_more_vouches_for_nothing() -> None:
    """It was sent before the append that a delta has brought since."""
    house, origin = house_of()
    _, call = follow(house, origin)
    call.piece(b"e")
    settle()
    reader = house.ask("0001")
    brings(origin, "b")
    reader.done()
    call.piece(control("0001")[1:])
    settle()
    house.ask("0002")

    origin.expect(Purpose.CATCH_UP)


def test_a_stream_that_was_made_anew_behind_a_mute_one_is_not_joined() -> None:
    """U17, L7: a write to the new one is acknowledged; a delta would join its bytes."""
    house, origin = house_of()
    viewer, call = follow(house, origin)
    house.wrote("POST", 204, stream_next_offset="0003")
    reader = house.ask("0001")
    house.pass_time(0.3)
    checked(origin, "-1", "0003", "other", "bytes", "more")
    settle()

    assert dict(house.counters.drops) == {"bytes-differ": 1}
    assert seen(viewer) == [] and viewer.done().finished
    assert call.closed.is_set()
    assert reader.waits or b'"a"' not in reader.sink.body


# Writes.


def test_a_reader_of_a_write_waits_for_its_event() -> None:
    """U18: an acknowledgement's offset is proof."""
    house, origin = house_of()
    viewer, call = follow(house, origin)
    house.wrote("POST", 204, stream_next_offset="0002")
    readers = [house.ask("0001") for _ in range(3)]
    settle()
    assert len(origin.calls) == 3
    call.piece(batch("0002", "b"))

    assert {reader.done().body for reader in readers} == {body("b")}
    assert seen(viewer) == ["b"]
    assert len(origin.calls) == 3


def test_a_reader_whose_event_does_not_come_in_time_asks_by_itself() -> None:
    house, origin = house_of()
    _, call = follow(house, origin)
    house.wrote("POST", 204, stream_next_offset="0002")
    reader = house.ask("0001")
    house.pass_time(0.3)
    brings(origin, "b")

    assert reader.done().body == body("b")
    assert not call.closed.is_set()


def test_three_events_that_come_late_make_way_for_long_polls() -> None:
    """U20."""
    house, origin = house_of()
    viewer, call = follow(house, origin)
    for n in (2, 3, 4):
        assert not call.closed.is_set()
        house.wrote("POST", 204, stream_next_offset=f"{n:04}")
        house.pass_time(0.3)
        house.pass_time(0.3)
        call.piece(batch(f"{n:04}", n))
        settle()
    checked(origin, "0002", "0004", 3, 4)
    poll = live_read(origin)

    assert not is_for_events(poll)
    assert ended(house) == {"events-behind": 1}
    assert seen(viewer) == [2, 3, 4]
    poll.reply(data(body(5), "0005", content_type=JSON))
    assert not is_for_events(live_read(origin))


def test_a_write_without_an_offset_disarms_until_a_delta_ends_where_it_stands() -> None:
    """U18."""
    house, origin = house_of()
    _, _ = follow(house, origin)
    house.wrote("POST", 204)
    reader = house.ask("0001")
    house.ask("0001")
    brings(origin)

    assert reader.done().header("Stream-Up-To-Date") == "true"
    count = len(origin.calls)
    assert house.ask("0001").done().header("Stream-Up-To-Date") == "true"
    assert len(origin.calls) == count


def test_an_event_does_not_show_a_write_without_an_offset() -> None:
    """U18: events never raise what writes were heard."""
    house, origin = house_of()
    _, call = follow(house, origin)
    house.wrote("POST", 204)
    call.piece(batch("0002", "b"))
    settle()
    reader = house.ask("0001")

    checked(origin, "0001", "0003", "b", "c")
    assert reader.done().body == body("b", "c")


@pytest.mark.parametrize(("method", "status"), [("DELETE", 204), ("PUT", 201)])
def test_a_stream_that_is_made_anew_through_this_edge_ends_it(
    method: str, status: int
) -> None:
    house, origin = house_of()
    viewer, call = follow(house, origin)
    house.wrote(method, status, stream_next_offset="0000")
    settle()

    assert call.closed.is_set()
    assert viewer.done().finished
    call.piece(batch("0002", "ghost"))
    settle()
    assert seen(viewer) == []


# How it ends.


def test_a_clean_end_is_followed_by_the_next_one() -> None:
    """U21: no doubt arises."""
    house, origin = house_of()
    viewer, call = follow(house, origin)
    call.piece(batch("0002", "b"))
    house.clock.move(2.0)
    call.end()
    again = live_read(origin)

    assert again.request.target == "/v1/stream/a?offset=0001&live=sse&cursor=77"
    assert ended(house) == {"events-ended": 1}
    assert viewer.waits and not house.counters.origin_faults


def test_an_origin_that_closes_after_each_event_is_asked_by_long_polls() -> None:
    """U20: three event streams shorter than a second."""
    house, origin = house_of()
    _, call = begin(house, origin)
    for _ in range(3):
        assert is_for_events(call)
        answered(call)
        call.end()
        call = live_read(origin)

    assert not is_for_events(call)
    assert ended(house) == {"events-ended": 3}


@pytest.mark.parametrize("way", ["cut", "end within", "stall"])
def test_lost_contact_is_followed_by_a_check(way: str) -> None:
    """U21, L7."""
    house, origin = house_of()
    viewer, call = follow(house, origin)
    call.piece(batch("0002", "b"))
    if way != "cut":
        call.piece(event("half")[:-1])
    settle()
    if way == "stall":
        house.pass_time(QUIET_SECONDS)
    else:
        getattr(call, way.partition(" ")[0])()
    check = origin.expect(Purpose.CATCH_UP)

    assert check.request.target == "/v1/stream/a?offset=0001"
    assert ended(house) == {"contact-lost": 1}
    check.reply(data(body("b"), "0002", content_type=JSON))
    assert not is_for_events(live_read(origin))
    assert viewer.waits


def test_a_control_that_moved_without_data_is_no_alias() -> None:
    """U19: ask by GET."""
    house, origin = house_of()
    viewer, call = follow(house, origin)
    call.piece(control("0002"))
    checked(origin, "-1", "0002", "a", "b")
    settle()

    assert call.closed.is_set()
    assert is_for_events(live_read(origin))
    assert seen(viewer) == ["b"]
    assert ended(house) == {"events-moved": 1}


def test_a_control_before_the_last_one_may_be_a_tail_that_went_back() -> None:
    """U18, L2: one HEAD tells."""
    house, origin = house_of()
    viewer, call = follow(house, origin)
    call.piece(batch("0002", "b"))
    call.piece(control("0001"))
    check = origin.expect(Purpose.CATCH_UP)
    check.reply(data(body("b"), "0002", content_type=JSON))
    settle()

    assert ended(house) == {"tail-went-back": 1}
    assert viewer.waits and not house.counters.drops


def test_a_flood_of_nothing_is_a_spin() -> None:
    """U22: 58,000 empty events in a second."""
    house, origin = house_of()
    _, call = follow(house, origin)
    call.piece(event() * SPIN_EVENTS)
    poll = live_read(origin)

    assert not is_for_events(poll)
    assert ended(house) == {"origin-spin": 1}


def test_a_line_without_an_end_is_not_read_for_ever() -> None:
    """U22."""
    house, origin = house_of(max_object=100_000)
    viewer, call = follow(house, origin)
    for _ in range(3):
        call.piece(b"x" * 50_000)
    poll = live_read(origin)

    assert not is_for_events(poll)
    assert ended(house) == {"too-large": 1}
    assert viewer.waits


def test_the_closure_ends_follower_and_viewers() -> None:
    house, origin = house_of()
    viewer, call = follow(house, origin)
    call.piece(event("b") + control("0002", closed=True))
    call.end()
    settle()

    assert seen(viewer) == ["b"]
    assert viewer.sink.events[-1][1]["streamClosed"] is True
    assert viewer.done().finished
    assert len(house.hub.followers) == 0
    assert ended(house) == {"closed": 1}
    assert house.ask("0002").done().header("Stream-Closed") == "true"


def test_a_closure_without_data_wakes_the_viewers() -> None:
    house, origin = house_of()
    viewer, call = follow(house, origin)
    call.piece(control("0001", closed=True))
    settle()

    assert viewer.sink.events[-1][1]["streamClosed"] is True
    assert viewer.done().finished


def test_what_was_not_asked_says_nothing_of_the_stream() -> None:
    """U6: a limit of this edge is no doubt."""
    house, origin = house_of()
    _, call = begin(house, origin)
    call.fail(NotAsked("full", reason=Reason.LIMIT_ORIGIN))
    settle()
    house.pass_time(1.0)
    stream = next(iter(house.hub.streams))

    assert not stream.log.tail.unverified
    assert stream.event_trust is None


def test_an_origin_that_is_being_polled_with_a_pause_is_not_asked_for_events() -> None:
    """First a long-poll has to work again."""
    house, origin = house_of()
    _, call = begin(house, origin)
    call.cut()
    check = origin.expect(Purpose.CATCH_UP)
    check.reply(data(body("a"), "0001", content_type=JSON))
    poll = live_read(origin)

    assert not is_for_events(poll)
    poll.reply(data(body("b"), "0002", content_type=JSON))
    assert is_for_events(live_read(origin))


def test_nor_is_one_whose_reads_fail() -> None:
    house, origin = house_of()
    _, call = follow(house, origin)
    call.piece(b"e")
    settle()
    house.ask("0001")
    origin.expect(Purpose.CATCH_UP).cut()
    settle()
    call.piece(control("0001")[1:])
    call.end()
    settle()

    assert not is_for_events(live_read(origin))


def test_what_comes_while_the_stream_is_in_doubt_proves_nothing() -> None:
    """L7: a DELETE that was answered 5xx may have happened (U5)."""
    house, origin = house_of()
    viewer, call = follow(house, origin)
    house.wrote("DELETE", 503)
    call.piece(batch("0002", "b"))
    check = origin.expect(Purpose.CATCH_UP)

    assert check.request.target == "/v1/stream/a?offset=-1"
    assert ended(house) == {"unconfirmed": 1}
    assert seen(viewer) == []
    check.reply(data(body("a", "b"), "0002", content_type=JSON))
    assert is_for_events(live_read(origin))
    assert seen(viewer) == ["b"]


def test_an_edge_that_lost_its_origin_is_heard_by_a_long_poll() -> None:
    """U9: it serves what it holds."""
    house, origin = house_of()
    _, call = begin(house, origin)
    call.head(200, (*EVENTS, ("cache-status", "ds-edge/shield; hit; detail=stale")))

    assert not is_for_events(live_read(origin))
    assert ended(house) == {"events-status": 1}


# For whom.


def test_a_credentials_event_stream_lives_no_longer_than_it_is_believed() -> None:
    """U23."""
    house, origin = house_of(rules=rules(trust=3.0))
    viewer, call = follow(house, origin, key=house.key(partition=ALICE))
    assert ("authorization", "alice") in call.request.headers
    for n in (2, 3):
        house.pass_time(1.0)
        call.piece(batch(f"{n:04}", n))
        settle()
    assert not call.closed.is_set()
    house.pass_time(1.0)

    assert seen(viewer) == [2, 3]
    assert call.closed.is_set()
    assert ended(house) == {"lifetime": 1}


def test_events_do_not_confirm_a_credential() -> None:
    """U23, L14."""
    house, origin = house_of(rules=rules(trust=10.0))
    key = house.key(partition=ALICE)
    _, call = follow(house, origin, key=key)
    house.clock.move(4.0)
    call.piece(batch("0002", "b"))
    settle()
    log = next(iter(house.hub.streams)).log

    assert log.tail.confirmed_at == 1000.0


def test_events_confirm_a_shared_stream() -> None:
    house, origin = house_of()
    _, call = follow(house, origin)
    house.clock.move(4.0)
    call.piece(batch("0002", "b"))
    settle()
    log = next(iter(house.hub.streams)).log

    assert log.tail.confirmed_at == 1004.0
    assert log.last_read_sent == 1000.0


def test_a_credential_that_is_never_believed_is_followed_by_long_polls() -> None:
    """U23: ``trust: 0``."""
    house, origin = house_of(rules=rules(trust=0.0))
    hold(house, origin, key=house.key(partition=ALICE))
    house.ask("0001", Mode.SSE, key=house.key(partition=ALICE))
    for _ in range(3):
        call = origin.expect()
        assert not is_for_events(call)
        if "live=" in call.request.target:
            return
        head = call.request.method == "HEAD"
        call.reply(
            head_answer("0001", content_type=JSON)
            if head
            else data(b"[]", "0001", content_type=JSON)
        )
    raise AssertionError("nobody follows it")


def test_a_stream_with_a_ttl_is_not_followed_once_its_viewers_left() -> None:
    """U23, L23."""
    house, origin = house_of(linger=60.0)
    viewer, call = follow(house, origin, ttl=600)
    assert viewer.pending is not None
    viewer.pending.gone()
    house.pass_time(0.3)

    assert call.closed.is_set()
    assert len(house.hub.followers) == 0


def test_a_stream_without_one_is_followed_for_a_while() -> None:
    house, origin = house_of(linger=60.0)
    viewer, call = follow(house, origin)
    for _ in range(4):
        house.ask("0001").done()
    assert viewer.pending is not None
    viewer.pending.gone()
    house.pass_time(0.3)
    call.piece(batch("0002", "b"))
    settle()

    assert not call.closed.is_set()
    assert house.ask("0001").done().body == body("b")


def test_where_credentials_are_lent_it_is_followed_by_long_polls() -> None:
    """B7: each request goes by the credential of one who is there."""
    route = Route(
        access=Access.GRANTED, upstream=UpstreamCredential.LENT, follow=Follow.SSE
    )
    house, _ = house_of(route)
    stream = house.hub.streams.obtain(house.key())
    stream.log.content_type, stream.log.is_json = JSON, True
    stream.log.note_position("0001")
    house.hub.followers.ensure(stream)
    follower = stream.follower
    assert follower is not None

    assert not house.hub.followers._events.begin(follower)


# The end of all.


def test_stopping_gives_it_up() -> None:
    house, origin = house_of()
    viewer, call = follow(house, origin)
    house.hub.stop()
    settle()

    assert call.closed.is_set()
    assert not viewer.waits
    assert house.hub.followers.by_events == 0


def test_draining_ends_the_viewers_and_then_the_event_stream() -> None:
    house, origin = house_of(linger=0.0)
    viewer, call = follow(house, origin)
    house.hub.begin_drain()
    house.hub.let_go()
    house.pass_time(0.3)

    assert not viewer.waits
    assert call.closed.is_set()


def test_a_defect_ends_that_follower_alone(
    monkeypatch: pytest.MonkeyPatch, hub_errors: list[HubError]
) -> None:
    house, origin = house_of()
    viewer, call = follow(house, origin)

    def broken(one: EventStream, heard: object, now: float) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(EventStream, "_take", broken)
    call.piece(batch("0002", "b"))
    settle()

    assert call.closed.is_set()
    assert [error.kind for error in hub_errors] == [RuntimeError]
    assert viewer.waits


def test_it_is_counted_while_it_is_open() -> None:
    house, origin = house_of()
    assert house.hub.followers.by_events == 0
    _, call = follow(house, origin)
    assert house.hub.followers.by_events == 1
    call.end()
    settle()
    assert house.hub.followers.by_events == 1
    house.hub.stop()
    assert house.hub.followers.by_events == 0
