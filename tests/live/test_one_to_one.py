"""What goes through one to one keeps what it was answered with (O9, L18).

And of what the edge makes itself: which answers carry an entity tag (L17), and where
the fields go that a route keeps.
"""

import pytest

from edge.core.values import Mode, Purpose, StreamKey
from edge.policy.streams.routes import Route
from origin_adapter.scripted import ScriptedOrigin, data, head_answer, no_content
from tests.live.support import (
    PATH,
    Asked,
    House,
    RecordingSink,
    scripted,
    settle,
    warm,
    watch,
)

TAG = '"0:3"'
KEEPING = Route(response_headers=("x-tenant",))


def test_a_read_that_passes_asks_by_the_readers_own_tag() -> None:
    """Section 10.1: the 304 comes back, and the tag with a 200."""
    house, origin = scripted()
    leader = house.ask()
    origin.expect().reply(data(b"abc", "0003", cache_control="private", etag=TAG))
    assert leader.done().header("etag") == TAG
    again = house.ask(if_none_match=TAG)
    relay = origin.expect(Purpose.RELAY)
    assert dict(relay.request.headers)["if-none-match"] == TAG
    relay.answer(304, [("etag", TAG), ("cache-control", "private")])

    sink = again.done()
    assert (sink.status, sink.whole, sink.header("etag")) == (304, b"", TAG)


@pytest.mark.parametrize("held", [TAG, f'W/{TAG}, "other"', "*"])
def test_who_has_it_already_gets_no_body_a_second_time(held: str) -> None:
    """Its shared read went without conditionals, but the answer is this reader's."""
    house, origin = scripted()
    leader = house.ask(if_none_match=held)
    call = origin.expect(Purpose.CATCH_UP)
    assert "if-none-match" not in dict(call.request.headers)
    call.reply(data(b"abc", "0003", cache_control="private, max-age=9", etag=TAG))

    sink = leader.done()
    assert (sink.status, sink.body) == (304, b"")
    assert sink.header("stream-next-offset") == "0003"
    assert sink.header("cache-control") == "private, max-age=9"


def test_an_answer_with_a_cookie_is_given_whole() -> None:
    """Only the origin's own 304 may leave the cookie out."""
    house, origin = scripted()
    leader = house.ask(if_none_match=TAG)
    origin.expect().reply(data(b"abc", "0003", set_cookie="a=b", etag=TAG))

    sink = leader.done()
    assert (sink.status, sink.body, sink.header("set-cookie")) == (200, b"abc", "a=b")


@pytest.mark.parametrize("mode", [Mode.LONG_POLL, Mode.SSE])
def test_live_reads_that_pass_ignore_conditionals(mode: Mode) -> None:
    """L17, as everywhere: there is nothing to be told that has not changed."""
    house, origin = scripted()
    first = house.ask()
    origin.expect().reply(data(b"abc", "0003", vary="*", etag=TAG))
    first.done()
    viewer = house.ask("0003", mode, if_none_match=TAG)
    relay = origin.expect(Purpose.RELAY)

    assert "if-none-match" not in dict(relay.request.headers)
    relay.reply(no_content("0003"))
    viewer.done()


def test_a_relayed_event_stream_is_not_to_be_buffered() -> None:
    """A proxy below of nginx's kind would keep each event back."""
    house, origin = scripted()
    first = house.ask()
    origin.expect().reply(data(b"abc", "0003", vary="*"))
    first.done()
    viewers = [house.view("0003") for _ in range(2)]
    relays = [origin.expect(Purpose.RELAY) for _ in viewers]
    relays[0].head(200, [("content-type", "text/event-stream")])
    relays[1].head(
        200, [("content-type", "text/event-stream"), ("x-accel-buffering", "yes")]
    )
    settle()

    assert [v.sink.header("x-accel-buffering") for v in viewers] == ["no", "yes"]
    for relay in relays:
        relay.end()


# Entity tags of the edge's own


def tag_of(sink: RecordingSink) -> str | None:
    return sink.header("ETag")


def test_an_answer_about_now_has_no_tag() -> None:
    """Section 10.1: what ``now`` stands for is another range each time. The same answer
    to who asked for it by its offset has one."""
    house, origin = scripted()
    viewer, _ = watch(house, origin, "0003")
    by_name, by_offset = house.ask("now"), house.ask("0003")

    assert by_name.done().header("stream-next-offset") == "0003"
    assert tag_of(by_name.sink) is None
    assert tag_of(by_offset.done()) is not None
    assert tag_of(house.ask("now").done()) is None
    assert viewer.waits


def test_polls_that_began_at_now_have_none_either() -> None:
    """Though they wait with others at one offset, and are woken with them."""
    house, origin = scripted()
    first, poll = watch(house, origin, "0003")
    crowd = [house.poll(offset) for offset in ("now", "0003", "now", "0003")]
    settle()
    poll.reply(data(b"def", "0006"))

    tags = [asked.done().header("ETag") for asked in crowd]
    assert tags[0] is None and tags[2] is None
    assert tags[1] is not None and tags[1] == tags[3] == tag_of(first.done())
    assert {asked.sink.body for asked in crowd} == {b"def"}


def test_a_head_has_the_tag_that_a_get_would_have() -> None:
    """RFC 9110 section 9.3.2, as long as the edge could answer that GET itself."""
    house, origin = scripted()
    warm(house, origin)
    watch(house, origin)
    got = house.ask().done()
    asked = house.ask(mode=Mode.HEAD)
    origin.expect(Purpose.CATCH_UP).reply(head_answer("0003", etag='"its"'))

    sink = asked.done()
    assert tag_of(got) is not None
    assert (sink.status, tag_of(sink), sink.body) == (200, tag_of(got), b"")
    assert sink.header("Cache-Control") == "no-store"


def test_a_head_about_something_else_has_none() -> None:
    """L17: a GET of ``?offset=0003`` or ``?offset=now`` is answered another range."""
    house, origin = scripted()
    warm(house, origin)
    watch(house, origin)
    tag = tag_of(house.ask().done())
    asked = house.ask("now", mode=Mode.HEAD, if_none_match=tag)
    origin.expect(Purpose.CATCH_UP).reply(head_answer("0003", etag='"its"'))

    sink = asked.done()
    assert (sink.status, tag_of(sink)) == (200, None)


def test_a_head_with_that_tag_is_not_modified() -> None:
    """And still tells the tail. The origin was asked all the same (E21)."""
    house, origin = scripted()
    warm(house, origin)
    watch(house, origin)
    tag = tag_of(house.ask().done())
    asked = house.ask(mode=Mode.HEAD, if_none_match=tag)
    origin.expect(Purpose.CATCH_UP).reply(head_answer("0003"))

    sink = asked.done()
    assert (sink.status, tag_of(sink)) == (304, tag)
    assert sink.header("stream-next-offset") == "0003"
    assert sink.header("content-type") is None


@pytest.mark.parametrize(("tail", "rest"), [("0003", b""), ("0009", b"defghi")])
def test_a_get_that_follows_has_the_heads_tag(tail: str, rest: bytes) -> None:
    """Nobody follows the stream, and what is held may have grown."""
    house, origin = scripted()
    warm(house, origin)
    asked = house.ask(mode=Mode.HEAD)
    origin.expect(Purpose.CATCH_UP).reply(head_answer(tail))
    asked.done()
    got = house.ask()
    settle()
    if got.waits:
        origin.expect().reply(data(rest, tail))

    assert tag_of(asked.sink) == tag_of(got.done()) is not None


def test_a_head_has_none_where_nothing_is_held() -> None:
    """The origin's would be another one than the GET's (L17)."""
    house, origin = scripted()
    asked = house.ask(mode=Mode.HEAD, if_none_match="*")
    origin.expect(Purpose.CATCH_UP).reply(head_answer("0003", etag='"its"'))

    assert (asked.done().status, tag_of(asked.sink)) == (200, None)


# Fields that a route keeps


def test_kept_fields_are_on_heads_and_event_streams_too() -> None:
    """L18: an event stream repeats what the HEAD told by which it was opened."""
    house, origin = scripted(routes=(KEEPING,))
    asked = house.ask(mode=Mode.HEAD)
    origin.expect().reply(head_answer("0003", x_tenant="t", x_other="o"))
    viewer = opened(house, origin, "t")

    for sink in (asked.done(), viewer.sink):
        assert (sink.header("x-tenant"), sink.header("x-other")) == ("t", None)


def opened(
    house: House, origin: ScriptedOrigin, tenant: str, key: StreamKey | None = None
) -> Asked:
    """An event stream whose head was sent."""
    viewer = house.ask("0003", Mode.SSE, key=key)
    settle()
    while viewer.sink.answer is None:
        call = origin.expect()
        if call.request.method == "HEAD":
            call.reply(head_answer("0003", x_tenant=tenant, x_other="o"))
        else:
            call.reply(data(b"", "0003", x_tenant=tenant, x_other="o"))
        settle()
    return viewer


def test_kept_fields_of_one_stream_are_on_no_other() -> None:
    """Though the heads of event streams are shared by all that are the same."""
    house, origin = scripted(routes=(KEEPING,))
    hers = opened(house, origin, "t")
    his = opened(house, origin, "u", house.key(PATH + "b"))

    assert [v.sink.header("x-tenant") for v in (hers, his)] == ["t", "u"]


# JSON


JSON = "application/json; charset=utf-8"
API = "application/vnd.api+json"


def read_pages(
    house: House, origin: ScriptedOrigin, kind: str, nothing: bytes = b"[]"
) -> RecordingSink:
    """Two pages of one message each, and the beginning again."""
    for offset, end, body in (("-1", "0001", b'[{"a":1}]'), ("0001", "0002", b"[2]")):
        asked = house.ask(offset)
        origin.expect().reply(data(body, end, content_type=kind))
        asked.done()
    asked = house.ask()
    settle()
    while asked.waits:
        origin.expect().reply(data(nothing, "0002", content_type=kind))
        settle()
    return asked.sink


@pytest.mark.parametrize(
    ("kind", "types", "body"),
    [
        (JSON, (), b'[{"a":1},2]'),
        (API, ("application/*+json",), b'[{"a":1},2]'),
        (API.upper(), ("application/vnd.api+json",), b'[{"a":1},2]'),
    ],
)
def test_pages_are_joined_as_json_where_that_is_what_they_are(
    kind: str, types: tuple[str, ...], body: bytes
) -> None:
    house, origin = scripted(routes=(Route(json_types=types),))

    sink = read_pages(house, origin, kind)

    assert (sink.status, sink.body) == (200, body)


def test_other_json_types_are_bytes() -> None:
    """PROTOCOL.md names application/json alone: what another type means is the
    origin's, and a byte of it is never lost."""
    house, origin = scripted(routes=(Route(json_types=("text/*",)),))

    assert read_pages(house, origin, API, b"").body == b'[{"a":1}][2]'


@pytest.mark.parametrize("body", [b'[{"a":1]', b'["]', b"[1],[2]", b'["\\"]', b"[1,]"])
def test_json_that_is_not_whole_is_the_origins_fault_and_not_kept(body: bytes) -> None:
    """L8: the reason word says so, and the next read asks again."""
    house, origin = scripted()
    asked = house.ask()
    origin.expect().reply(data(body, "0001", content_type=JSON))
    error = asked.done().error
    assert error is not None
    assert (error.status, error.reason.value) == (502, "origin-bad-json")
    assert house.counters.stores == 0
    again = house.ask()
    origin.expect().reply(data(b"[1]", "0001", content_type=JSON))

    assert again.done().body == b"[1]"
