"""U12: the judge of a GET is a GET. Where HEAD does not tell, a GET opens the stream.

What is remembered of HEADs, and for how long, stands in test_head_trust.
"""

import pytest

from edge.core.values import Mode, OriginAnswer, Purpose
from edge.policy.streams.routes import Recreate, Route
from edge.streamlog.stream_log import UNKNOWN_TTL
from origin_adapter.scripted import (
    Call,
    LivingOrigin,
    ScriptedOrigin,
    data,
    head_answer,
    no_content,
)
from tests.live.support import (
    ALICE,
    PATH,
    Asked,
    House,
    refuse_head,
    scripted,
    settle,
    warm,
)

LIVE = pytest.mark.parametrize("mode", [Mode.LONG_POLL, Mode.SSE])
UNTYPED = head_answer("0003", content_type=None)
WITHOUT_OFFSET = OriginAnswer(200, (("content-type", "text/html"),))
DAY = 86_400


def opened(
    origin: ScriptedOrigin, answer: OriginAnswer, start: str = "now", status: int = 405
) -> Call:
    """HEAD is refused, the GET from ``start`` brings this; the poll that comes then."""
    refuse_head(origin, status)
    call = origin.expect(Purpose.CATCH_UP)
    assert call.request.target == f"{PATH}?offset={start}"
    call.reply(answer)
    return origin.expect(Purpose.FOLLOW)


def parked_by_get() -> tuple[House, ScriptedOrigin, Asked, Call]:
    """A viewer of ``abc``, which a GET has opened."""
    house, origin = scripted()
    warm(house, origin)
    viewer = house.poll("0003")
    poll = opened(origin, data(b"", "0003"), "0003")
    return house, origin, viewer, poll


# The GET that stands in


@LIVE
@pytest.mark.parametrize("status", [401, 403, 405, 501])
def test_the_readers_get_decides_when_the_edges_head_is_refused(
    mode: Mode, status: int
) -> None:
    house, origin = scripted()
    viewer = house.ask("-1", mode)
    refuse_head(origin, status)
    origin.expect(Purpose.CATCH_UP).reply(data(b"abc", "0003"))
    settle()

    assert b"abc" in viewer.sink.whole
    assert viewer.sink.status == 200
    assert viewer.sink.how == "fwd=miss stored head-refused"
    assert origin.targets()[:2] == [f"HEAD {PATH}", f"GET {PATH}?offset=-1"]
    assert not house.counters.passes


@LIVE
def test_a_reader_at_the_tail_of_a_cold_edge_waits_there(mode: Mode) -> None:
    """Its offset is a guess (L1), so the tail is asked for."""
    house, origin = scripted()
    viewer = house.ask("0003", mode)
    poll = opened(origin, data(b"", "0003"))
    assert poll.request.target == f"{PATH}?offset=0003&live=long-poll"
    poll.reply(data(b"de", "0005"))
    settle()

    assert b"de" in viewer.sink.whole
    assert not house.counters.passes


def test_a_reader_behind_the_tail_of_a_cold_edge_is_served() -> None:
    house, origin = scripted()
    viewer = house.poll("0003")
    refuse_head(origin)
    origin.expect().reply(data(b"", "0005"))
    call = origin.expect(Purpose.CATCH_UP)
    assert call.request.target == f"{PATH}?offset=0003"
    call.reply(data(b"de", "0005"))

    assert viewer.done().body == b"de"


def test_now_is_asked_by_get_and_never_with_live() -> None:
    """L20, L4: and anew for a reader that came after a write."""
    house, origin = scripted()
    first = house.view("now")
    refuse_head(origin)
    asked = origin.expect(Purpose.CATCH_UP)
    assert asked.request.target == f"{PATH}?offset=now"
    house.wrote("POST", 204, stream_next_offset="0003")
    second = house.view("now")
    asked.reply(data(b"", "0002"))
    poll, again = origin.expect(Purpose.FOLLOW), origin.expect(Purpose.CATCH_UP)
    assert again.request.target == f"{PATH}?offset=now"
    again.reply(data(b"", "0003"))
    poll.reply(data(b"c", "0003"))
    settle()

    assert ("data", "c") in first.sink.events
    assert second.sink.events[0][1]["streamNextOffset"] == "0003"


def test_an_origin_that_echoes_offsets_does_not_move_the_tail() -> None:
    """L1, O22: what one client made up is asked of ``now``, and goes to nobody else."""
    house, origin = scripted()
    liar, viewer = house.poll("0009"), house.poll("0003")
    refuse_head(origin)
    origin.expect().reply(data(b"", "0003"))
    guess, poll = origin.expect(Purpose.CATCH_UP), origin.expect(Purpose.FOLLOW)
    assert guess.request.target == f"{PATH}?offset=0009"
    guess.reply(data(b"", "0009"))
    assert poll.request.target == f"{PATH}?offset=0003&live=long-poll"
    poll.reply(data(b"de", "0005"))

    assert viewer.done().body == b"de"
    assert liar.waits


@LIVE
def test_a_closed_stream_is_told_closed(mode: Mode) -> None:
    house, origin = scripted()
    viewer = house.ask("0003", mode)
    refuse_head(origin)
    origin.expect().reply(data(b"", "0003", closed=True))

    sink = viewer.done()
    if mode is Mode.SSE:
        assert sink.events[-1][1]["streamClosed"] is True
    else:
        assert (sink.status, sink.header("Stream-Closed")) == (204, "true")


@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream"])
def test_an_event_stream_is_framed_by_the_type_that_the_get_told(kind: str) -> None:
    house, origin = scripted()
    view = house.view("0003")
    poll = opened(origin, data(b"", "0003", content_type=kind))
    poll.reply(data(b"de", "0005", content_type=kind))
    settle()
    encoding = view.sink.header("stream-sse-data-encoding")

    expected = (None, "de") if kind == "text/plain" else ("base64", "ZGU=")
    assert (encoding, view.sink.events[1][1]) == expected


@pytest.mark.parametrize("head", [UNTYPED, WITHOUT_OFFSET])
def test_a_head_that_describes_no_stream_is_no_description(head: OriginAnswer) -> None:
    """The type would be missing when an event stream begins. A client's own HEAD gets
    it as it is."""
    house, origin = scripted()
    asked, view = house.ask(mode=Mode.HEAD), house.view("0003")
    origin.expect().reply(head)
    origin.expect().reply(data(b"", "0003"))
    origin.expect(Purpose.FOLLOW).reply(data(b"de", "0005"))
    settle()

    assert asked.done().status == 200
    assert view.sink.header("stream-sse-data-encoding") is None
    assert ("data", "de") in view.sink.events


def test_a_page_in_place_of_a_head_drops_nothing_that_is_held() -> None:
    """It is of another type than the stream, and no description of another one."""
    house, origin = scripted()
    warm(house, origin)
    viewer = house.poll("0003")
    origin.expect().reply(WITHOUT_OFFSET)
    call = origin.expect(Purpose.CATCH_UP)
    assert call.request.target == f"{PATH}?offset=0003"
    call.reply(data(b"", "0003"))
    origin.expect(Purpose.FOLLOW)

    assert viewer.waits
    assert not house.counters.drops


@pytest.mark.parametrize("status", [307, 400, 416])
def test_an_origin_that_does_not_take_now_is_asked_by_each_reader(status: int) -> None:
    """The error is no answer to what they asked."""
    house, origin = scripted()
    viewer, asked_now = house.poll("0003"), house.poll("now")
    refuse_head(origin)
    origin.expect().answer(status, [("location", "/x")])
    relay = origin.expect(Purpose.RELAY)
    assert relay.request.target == f"{PATH}?offset=0003&live=long-poll"
    relay.reply(data(b"de", "0005"))

    assert viewer.done().whole == b"de"
    assert asked_now.done().status == status


@pytest.mark.parametrize("status", [404, 410, 501])
def test_an_error_of_the_stream_goes_to_all(status: int) -> None:
    house, origin = scripted()
    crowd = [house.poll("0003") for _ in range(3)]
    refuse_head(origin)
    origin.expect().answer(status, [("content-type", "text/plain")], b"sorry")

    assert {viewer.done().status for viewer in crowd} == {status}
    assert crowd[0].sink.body == b"sorry"
    assert len(origin.calls) == 2


# Crowds


@pytest.mark.parametrize("start", ["-1", "tail", "now"])
def test_a_cold_crowd_costs_one_head_one_get_and_one_poll(start: str) -> None:
    origin = LivingOrigin()
    origin.head_status = 405
    origin.create(PATH)
    tail = origin.append(PATH, b"abc")
    house = House(origin)
    offset = tail if start == "tail" else start
    crowd = [house.view(offset) for _ in range(1000)]
    polls = [house.poll(offset) for _ in range(1000)]
    settle()
    assert origin.requests["head"] == origin.requests["catch-up"] == 1
    again = [house.poll(tail) for _ in polls if start == "-1"]
    settle()

    assert origin.requests == {"head": 1, "catch-up": 1, "long-poll": 1}
    assert house.hub.viewers == 2000
    tail = origin.append(PATH, b"de")
    settle()
    assert all(("data", "de") in view.sink.events for view in crowd)
    assert {poll.done().body for poll in again or polls} == {b"de"}
    assert not house.counters.passes


def test_what_a_catch_up_read_brought_meanwhile_will_do() -> None:
    """Nothing more is asked of a stream that a GET has shown."""
    house, origin = scripted()
    asked = house.ask(mode=Mode.HEAD)
    refuse_head(origin)
    assert asked.done().status == 405
    warm(house, origin)
    viewer = house.poll("0003")
    origin.expect(Purpose.FOLLOW)

    assert viewer.waits
    assert len(origin.calls) == 3


# Who hears of the refusal


@pytest.mark.parametrize("status", [405, 501])
def test_a_client_that_asks_by_head_gets_the_origins_status(status: int) -> None:
    """And an origin without HEAD is followed like others."""
    house, origin = scripted()
    viewer = house.poll("0003")
    heads = [house.ask(mode=Mode.HEAD) for _ in range(2)]
    poll = opened(origin, data(b"", "0003"), status=status)
    poll.reply(data(b"de", "0005"))

    assert {asked.done().status for asked in heads} == {status}
    assert viewer.done().body == b"de"
    assert origin.targets()[0] == f"HEAD {PATH}"


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_goes_to_one_of_those_who_asked_by_head(status: int) -> None:
    """L15: the other one asks for itself."""
    house, origin = scripted()
    viewer = house.poll("-1")
    heads = [house.ask(mode=Mode.HEAD) for _ in range(2)]
    origin.expect().answer(status, (), b"")
    assert heads[0].done().status == status
    assert heads[1].waits and viewer.waits
    origin.expect(Purpose.CATCH_UP).reply(data(b"abc", "0003"))
    origin.expect(Purpose.CATCH_UP).reply(head_answer("0003"))

    assert viewer.done().body == b"abc"
    assert heads[1].done().status == 200


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_head_ends_neither_a_credentials_log_nor_its_viewers(
    status: int,
) -> None:
    """L14 speaks of reads."""
    house, origin = scripted()
    key = house.key(partition=ALICE)
    reader = house.ask(key=key)
    origin.expect().reply(data(b"abc", "0003"))
    reader.done()
    viewer = house.ask("0003", Mode.LONG_POLL, key=key)
    poll = opened(origin, data(b"", "0003"), "0003", status)
    asked = house.ask(mode=Mode.HEAD, key=key)
    refuse_head(origin, status)

    assert asked.done().status == status
    assert viewer.waits and not house.counters.drops
    assert house.ask(key=key).done().body == b"abc"
    poll.reply(data(b"de", "0005"))
    assert viewer.done().body == b"de"


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_get_ends_them(status: int) -> None:
    """L14."""
    house, origin = scripted()
    key = house.key(partition=ALICE)
    reader = house.ask(key=key)
    origin.expect().reply(data(b"abc", "0003"))
    reader.done()
    viewer = house.ask("0003", Mode.LONG_POLL, key=key)
    refuse_head(origin, status)
    origin.expect().answer(status, (), b"no")

    assert (viewer.done().status, viewer.sink.body) == (status, b"no")
    assert house.counters.drops["refused"] == 1


# The TTL that nobody told (L23)


def test_a_stream_of_unknown_ttl_is_followed_for_parked_viewers_only() -> None:
    _, origin, viewer, poll = parked_by_get()
    assert viewer.pending is not None
    viewer.pending.gone()
    poll.reply(no_content("0003"))
    settle()

    origin.assert_quiet()
    assert len(origin.calls) == 4


def test_a_stream_of_unknown_ttl_is_read_at_the_origin_now_and_then() -> None:
    """Though its poll is armed: from a third of the TTL on that is assumed."""
    house, origin, _, _ = parked_by_get()
    house.clock.move(UNKNOWN_TTL / 3)
    assert house.ask().done().how == "hit"
    house.clock.move(1)
    reader = house.ask()
    origin.expect(Purpose.CATCH_UP).reply(data(b"abc", "0003"))

    assert reader.done().body == b"abc"


def test_what_of_an_unknown_ttl_goes_downstream_does_not_live_long() -> None:
    """Not for a year, where the route says that it never changes."""
    house, origin = scripted(routes=(Route(recreate=Recreate.NEVER),))
    house.ask(mode=Mode.HEAD)
    refuse_head(origin)
    reader = house.ask()
    origin.expect().reply(data(b"abc", "0003", closed=True))

    lives = UNKNOWN_TTL * 2 // 3
    kept = reader.done().header("Cache-Control")
    assert kept == f"public, max-age={lives}, immutable"


@pytest.mark.parametrize(
    ("answer", "ttl", "expires_at"),
    [
        (data(b"", "0003", stream_ttl=str(DAY)), DAY, None),
        # The wall clock of the tests, and ten minutes.
        (
            data(b"", "0003", stream_expires_at="2027-01-15T08:10:00Z"),
            None,
            1_800_000_600.0,
        ),
    ],
)
def test_what_the_get_tells_of_ttl_and_expiry_is_taken(
    answer: OriginAnswer, ttl: int | None, expires_at: float | None
) -> None:
    house, origin = scripted()
    viewer = house.poll("now")
    opened(origin, answer)
    (stream,) = house.hub.streams

    assert viewer.waits
    assert (stream.log.ttl, stream.log.expires_at) == (ttl, expires_at)


# A stream that HEAD described


def test_a_head_that_is_refused_later_takes_nothing_back() -> None:
    """The TTL that a HEAD told stays the stream's."""
    house, origin = scripted()
    viewer = house.poll("0003")
    origin.expect().reply(head_answer("0003", ttl=DAY))
    origin.expect(Purpose.FOLLOW)
    house.clock.move(20)
    house.wrote("POST", 204)
    late = house.view("now")
    refuse_head(origin)
    origin.expect(Purpose.CATCH_UP).reply(data(b"", "0003"))
    settle()
    (stream,) = house.hub.streams

    assert viewer.waits and late.waits
    assert stream.log.ttl == DAY


def test_a_warm_stream_is_opened_from_its_end() -> None:
    house, origin = scripted()
    warm(house, origin)
    viewer = house.poll("0003")
    opened(origin, data(b"", "0003"), "0003", 401).reply(data(b"de", "0005"))

    assert viewer.done().body == b"de"
    assert house.counters.stores == 2


def test_a_poll_that_went_back_is_confirmed_by_get_for_who_is_parked() -> None:
    """L2: their own read goes first, and finds the same."""
    house, origin, viewer, poll = parked_by_get()
    other = house.poll("0003")
    poll.reply(no_content("0002"))
    for start in ("-1", "now", "now"):
        call = origin.expect(Purpose.CATCH_UP)
        assert call.request.target == f"{PATH}?offset={start}"
        call.reply(data(b"xy" if start == "-1" else b"", "0002"))
    # They stand above the new stream's end: the origin itself shall say (U14).
    guess = origin.expect(Purpose.CATCH_UP)
    assert guess.request.target == f"{PATH}?offset=0003"
    guess.reply(data(b"", "0002"))
    for waits in (viewer, other):
        assert waits.done().status == 204
        assert waits.sink.header("stream-next-offset") == "0002"

    assert house.counters.drops == {"tail-went-back": 1}
    assert origin.targets().count(f"HEAD {PATH}") == 1
