"""What is never joined, and never kept (L15; E26, E28, E29, E33, E38, E50)."""

from typing import Any

import pytest

from edge.core.values import Framing, Header, Mode, OriginAnswer, Purpose
from edge.policy.streams.routes import OriginNoStore, Route
from origin_adapter.scripted import Call, data, head_answer
from tests.live.support import ALICE, PATH, Asked, House, scripted, settle, warm, watch
from tests.support.patience import PATIENCE

FORBIDDING = [
    ("private", ("cache-control", "private, max-age=60")),
    ("no-store", ("cache-control", "no-store")),
    ("set-cookie", ("set-cookie", "a=1")),
    ("vary-star", ("vary", "*")),
    ("vary-star", ("vary", "Accept-Language")),
]


@pytest.mark.parametrize(("reason", "field"), FORBIDDING)
def test_what_must_not_be_shared_goes_to_its_asker_and_the_key_passes(
    reason: str, field: Header
) -> None:
    head = [("stream-next-offset", "0004"), field]
    house, origin = scripted()
    leader, other = house.ask(), house.ask()
    origin.expect().answer(200, head, b"hers")
    assert leader.done().body == b"hers"
    assert leader.sink.header("stream-next-offset") == "0004"

    origin.expect(Purpose.RELAY).answer(200, head, b"his")
    assert other.done().whole == b"his"
    assert house.counters.passes[reason] == 1
    assert house.counters.not_stored[reason] == 1
    assert house.counters.stores == 0


def test_a_passing_key_joins_again_after_its_time() -> None:
    """60 s, each read on its own; then it is tried again."""
    house, origin = scripted()
    first = house.ask()
    origin.expect().reply(data(b"x", "0001", cache_control="private"))
    first.done()
    for _ in range(2):
        passed = house.ask()
        origin.expect(Purpose.RELAY).reply(data(b"x", "0001"))
        passed.done()
        assert passed.sink.how == "fwd=bypass private"
    house.clock.move(61)
    crowd = [house.ask() for _ in range(5)]
    origin.expect(Purpose.CATCH_UP).reply(data(b"x", "0001"))

    assert {asked.done().body for asked in crowd} == {b"x"}
    assert house.counters.passes["private"] == 2


@pytest.mark.parametrize("mode", [Mode.LONG_POLL, Mode.SSE])
def test_live_reads_of_a_passing_key_are_streamed_one_to_one(mode: Mode) -> None:
    """With the client's own cursor, for nobody shares its answer."""
    house, origin = scripted()
    first = house.ask()
    origin.expect().reply(data(b"x", "0001", vary="*"))
    first.done()
    viewers = [house.ask("0001", mode, cursor=n) for n in (7, 8)]
    relays = [origin.expect(Purpose.RELAY) for _ in viewers]

    word = mode.value
    assert [relay.request.target for relay in relays] == [
        f"{PATH}?offset=0001&live={word}&cursor=7",
        f"{PATH}?offset=0001&live={word}&cursor=8",
    ]
    for relay, viewer in zip(relays, viewers, strict=True):
        relay.head(200, [("content-type", "text/event-stream")])
        relay.piece(b"event: data\ndata:a\n\n")
        assert viewer.sink.wrote.wait(PATIENCE)
        relay.end()
        assert viewer.done().finished


def relayed_view(**options: Any) -> tuple[House, Asked, Call]:
    """An event stream that is passed through, its head sent."""
    house, origin = scripted(**options)
    first = house.ask()
    origin.expect().reply(data(b"x", "0001", vary="*"))
    first.done()
    viewer = house.view("0001")
    relay = origin.expect(Purpose.RELAY)
    relay.head(200, [("content-type", "text/event-stream; charset=utf-8")])
    settle()
    return house, viewer, relay


def give(relay: Call, viewer: Asked, piece: bytes) -> None:
    """Let the viewer be sent one more piece."""
    viewer.sink.wrote.clear()
    relay.piece(piece)
    assert viewer.sink.wrote.wait(PATIENCE)
    settle()


def test_a_relayed_event_stream_ends_with_its_life_after_a_whole_event() -> None:
    """E19, E46: the life-times are the edge's own. No data is left without its control
    event, which says where to go on."""
    house, viewer, relay = relayed_view(sse_lifetime=60.0)
    give(relay, viewer, b"event: data\ndata:a\n")
    house.clock.move(60.0)
    give(relay, viewer, b"\n")
    assert viewer.waits
    relay.piece(b"event: control\ndata:{}\n\n")

    assert viewer.done().finished
    assert viewer.sink.whole == b"event: data\ndata:a\n\nevent: control\ndata:{}\n\n"
    assert relay.closed.wait(PATIENCE)
    assert house.counters.viewers_ended["lifetime"] == 1


@pytest.mark.parametrize(
    "sent", [b"", b"event: control\ndata:{}\n\n", b"event: control\ndata:{}\n\n:\n\n"]
)
def test_a_drain_ends_a_relayed_event_stream_that_is_silent(sent: bytes) -> None:
    """E54: it used to go on until it was cut."""
    house, viewer, relay = relayed_view()
    if sent:
        give(relay, viewer, sent)
    house.hub.drain(0.0)

    assert viewer.done().finished and viewer.sink.whole == sent
    assert relay.closed.wait(PATIENCE)
    assert house.counters.viewers_ended["draining"] == 1


def test_comments_do_not_keep_a_relayed_event_stream_beyond_its_life() -> None:
    """E19: of an origin that often breaks its silence."""
    house, viewer, relay = relayed_view(sse_lifetime=60.0)
    give(relay, viewer, b"event: control\ndata:{}\n\n")
    for _ in range(100):
        give(relay, viewer, b": keep-alive\n\n")
    house.clock.move(60.0)
    give(relay, viewer, b": keep-alive\n\n")

    assert viewer.done().finished
    assert house.counters.viewers_ended["lifetime"] == 1


def test_a_drain_ends_a_relayed_event_stream_behind_its_control_event() -> None:
    """E54: not between the data and the event that says where to go on."""
    house, viewer, relay = relayed_view()
    give(relay, viewer, b"event: data\ndata:a\n\n")
    house.hub.drain(0.0)
    settle()
    assert viewer.waits
    relay.piece(b"event: control\ndata:{}\n\n")

    assert viewer.done().whole.endswith(b"event: control\ndata:{}\n\n")
    assert viewer.sink.finished
    assert house.counters.viewers_ended["draining"] == 1


def test_when_the_grace_is_over_no_relayed_event_stream_waits_for_its_turn() -> None:
    """E54: a drain that came late cut those whose turn had not come."""
    house, viewer, relay = relayed_view()
    give(relay, viewer, b"event: control\ndata:{}\n\n")
    house.hub.begin_drain()
    settle()
    assert viewer.waits
    house.hub.let_go()

    assert viewer.done().finished
    assert house.counters.viewers_ended["draining"] == 1


def test_an_event_stream_that_is_relayed_while_draining_ends_at_once() -> None:
    """E54: its client comes back to another worker. Other answers are finished."""
    house, origin = scripted()
    first = house.ask()
    origin.expect().reply(data(b"x", "0001", vary="*"))
    first.done()
    poll, viewer, failed = house.poll("0001"), house.view("0001"), house.view("0001")
    relays = [origin.expect(Purpose.RELAY) for _ in range(3)]
    house.hub.drain(0.0)
    relays[1].head(200, [("content-type", "text/event-stream")])
    assert viewer.done().finished and viewer.sink.whole == b""
    relays[0].reply(data(b"y", "0002"))
    assert poll.done().whole == b"y"
    relays[2].head(404, [("content-type", "application/problem+json")])
    give(relays[2], failed, b"{")
    relays[2].piece(b"}")
    relays[2].end()

    assert failed.done().whole == b"{}"


def test_a_silent_relayed_event_stream_ends_too() -> None:
    house, origin = scripted(sse_lifetime=0.01)
    first = house.ask()
    origin.expect().reply(data(b"x", "0001", vary="*"))
    first.done()
    viewer = house.view("0001")
    relay = origin.expect(Purpose.RELAY)
    relay.head(200, [("content-type", "text/event-stream")])

    assert viewer.done().finished
    assert relay.closed.wait(PATIENCE)


def test_a_poll_that_must_not_be_shared_turns_its_viewers_over_to_the_origin() -> None:
    house, origin = scripted()
    viewer, poll = watch(house, origin)
    stream = house.view("0003")
    poll.reply(data(b"de", "0005", set_cookie="a=1"))
    relay = origin.expect(Purpose.RELAY)
    relay.reply(data(b"de", "0005"))

    assert viewer.done().whole == b"de"
    assert stream.done().finished
    assert house.counters.viewers_ended["set-cookie"] == 1


def test_one_who_asked_for_now_is_relayed_from_where_it_stands() -> None:
    """L20: ``now`` never goes upstream for one that has waited already."""
    house, origin = scripted()
    viewer = house.poll("now")
    origin.expect().reply(head_answer("0003"))
    origin.expect(Purpose.FOLLOW).reply(data(b"de", "0005", vary="*"))
    relay = origin.expect(Purpose.RELAY)

    assert relay.request.target == f"{PATH}?offset=0003&live=long-poll"
    relay.reply(data(b"de", "0005"))
    viewer.done()


def test_private_is_kept_inside_a_credential_partition() -> None:
    house, origin = scripted()
    key = house.key(partition=ALICE)
    crowd = [house.ask(key=key) for _ in range(3)]
    origin.expect().reply(data(b"abc", "0003", cache_control="private"))

    assert {asked.done().body for asked in crowd} == {b"abc"}
    assert len(origin.calls) == 1


def test_a_route_may_ignore_no_store() -> None:
    house, origin = scripted(routes=(Route(origin_no_store=OriginNoStore.IGNORE),))
    crowd = [house.ask() for _ in range(3)]
    origin.expect().reply(data(b"abc", "0003", cache_control="no-store"))

    assert {asked.done().body for asked in crowd} == {b"abc"}


def test_no_store_on_an_empty_answer_is_the_protocols_own() -> None:
    """``now`` is marked so by section 10.1; that keeps nobody from sharing it."""
    house, origin = scripted()
    crowd = [house.ask("now") for _ in range(3)]
    origin.expect().reply(data(b"", "0003", cache_control="no-store"))

    assert {asked.done().header("Stream-Next-Offset") for asked in crowd} == {"0003"}
    assert not house.counters.passes


@pytest.mark.parametrize("status", [401, 403, 407, 429])
def test_a_verdict_on_the_asker_is_for_the_asker(status: int) -> None:
    """E28: the others ask for themselves."""
    house, origin = scripted()
    leader, other = house.ask(), house.ask()
    origin.expect().answer(status, [("retry-after", "7")], b"no")
    assert leader.done().status == status
    assert leader.sink.header("retry-after") == "7"
    assert other.waits
    origin.expect().reply(data(b"abc", "0003"))

    assert other.done().body == b"abc"


def test_each_of_many_asks_in_turn_and_then_for_itself() -> None:
    """Nobody waits for ever behind the refusals of others."""
    house, origin = scripted()
    crowd = [house.ask() for _ in range(10)]
    while any(asked.waits for asked in crowd):
        origin.expect().answer(429, (), b"slow down")
        settle()

    assert {asked.done().status for asked in crowd} == {429}
    assert len(origin.calls) == 10


@pytest.mark.parametrize("status", [400, 500, 502, 503])
def test_other_errors_are_shared_by_those_who_wait_and_not_remembered(
    status: int,
) -> None:
    """E38: statuses pass on, no retry of theirs."""
    house, origin = scripted()
    crowd = [house.ask() for _ in range(5)]
    origin.expect().answer(status, [("content-type", "text/plain")], b"sorry")
    assert {asked.done().status for asked in crowd} == {status}
    reader = house.ask()
    origin.expect().reply(data(b"abc", "0003"))

    assert reader.done().body == b"abc"


@pytest.mark.parametrize(
    ("reason", "answer"),
    [
        ("close-framed", data(b"abc", "0003", framing=Framing.CLOSE)),
        ("coded", data(b"abc", "0003", content_encoding="gzip")),
    ],
)
def test_a_body_that_cannot_be_trusted_is_passed_on_and_not_kept(
    reason: str, answer: OriginAnswer
) -> None:
    """L15: framed by the connection's end; coded though not asked."""
    house, origin = scripted()
    leader, other = house.ask(), house.ask()
    origin.expect().reply(answer)
    assert leader.done().body == b"abc"
    origin.expect(Purpose.RELAY).reply(answer)
    assert other.done().whole == b"abc"

    assert house.counters.stores == 0
    assert house.counters.passes[reason] == 1


def test_a_redirect_is_for_its_asker_alone() -> None:
    """``offset=snapshot`` of an extension is a 307 (O7)."""
    house, origin = scripted()
    reader = house.ask("snapshot")
    origin.expect().answer(
        307, [("location", "/x"), ("cache-control", "private, max-age=5")]
    )

    assert reader.done().status == 307
    assert reader.sink.header("location") == "/x"


@pytest.mark.parametrize("mode", [Mode.CATCH_UP, Mode.LONG_POLL])
def test_what_a_status_asks_its_reader_to_do_is_kept(mode: Mode) -> None:
    """L21, O17: with no body, too."""
    house, origin = scripted()
    busy, unknown = (
        house.ask("0003", mode),
        house.ask("0003", mode, key=house.key("/b")),
    )
    origin.expect().answer(503, [("retry-after", "7"), ("content-type", "text/plain")])
    origin.expect().answer(401, [("www-authenticate", "Bearer")])
    if mode.live:
        # That was a HEAD, and the reader asked by GET (U12).
        origin.expect().answer(401, [("www-authenticate", "Bearer")])

    assert busy.done().status == 503
    assert busy.sink.header("retry-after") == "7"
    assert unknown.done().status == 401
    assert unknown.sink.header("www-authenticate") == "Bearer"


@pytest.mark.parametrize("status", [204, 206])
def test_a_head_that_tells_of_no_stream_is_the_origins_fault(status: int) -> None:
    house, origin = scripted()
    asked = house.ask(mode=Mode.HEAD)
    origin.expect().answer(status, [("stream-next-offset", "0005")])

    error = asked.done().error
    assert error is not None and error.status == 502
    assert house.counters.origin_faults["origin-garbage"] == 1
    assert house.counters.internal_errors == 0


@pytest.mark.parametrize("status", [206, 304])
def test_an_answer_to_what_was_never_asked_is_a_502(status: int) -> None:
    """E31: the built read has neither a range nor a condition."""
    house, origin = scripted()
    asked = house.ask()
    origin.expect().answer(status, [("stream-next-offset", "0005")])

    error = asked.done().error
    assert error is not None and error.status == 502


@pytest.mark.parametrize(
    ("reason", "fields", "body"),
    [
        ("origin-no-next-offset", {}, b"abc"),
        ("origin-garbage", {"stream-next-offset": "a,b"}, b"abc"),
        ("origin-echo", {"stream-next-offset": "0001"}, b"abc"),
    ],
)
def test_an_answer_that_breaks_the_protocol_is_a_502_and_not_kept(
    reason: str, fields: dict[str, str], body: bytes
) -> None:
    house, origin = scripted()
    crowd = [house.ask("0003") for _ in range(3)]
    origin.expect().answer(200, fields.items(), body)

    for asked in crowd:
        error = asked.done().error
        assert error is not None and error.status == 502
        assert error.reason.value == reason and error.retry_after == 1
    assert house.counters.origin_faults[reason] == 1
    assert house.counters.stores == 0


def test_what_was_held_is_not_shown_while_the_key_passes() -> None:
    house, origin = scripted()
    warm(house, origin)
    first = house.ask()
    origin.expect().reply(data(b"", "0003", vary="*"))
    first.done()
    reader = house.ask()
    origin.expect(Purpose.RELAY).reply(data(b"fresh", "0005"))

    assert reader.done().whole == b"fresh"
