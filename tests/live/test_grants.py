"""When a grant ends: nothing is given that came later, and nobody else notices.

B3, B6, B12; A2, A3.
"""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.errors import Refusal
from edge.core.reasons import Reason
from edge.core.values import (
    GRANTED,
    Answer,
    Header,
    Mode,
    OriginAnswer,
    Partition,
    PartitionKind,
    PerResponse,
    Purpose,
)
from edge.live.control import HubControl
from edge.policy.streams.routes import Access, Route
from edge.policy.streams.ways import SignedWay
from origin_adapter.scripted import (
    Call,
    LivingOrigin,
    ScriptedOrigin,
    data,
    head_answer,
)
from tests.live.support import (
    PATH,
    Asked,
    House,
    RecordingSink,
    refuse_head,
    scripted,
    settle,
    watch,
)

ROUTE = Route(access=Access.GRANTED, origin_headers=(("Authorization", "edge"),))
BY_LINK = replace(ROUTE, ways=(SignedWay((("k1", b"x" * 32),), public=True),))


def let_in(**options: object) -> tuple[House, ScriptedOrigin]:
    """A house whose route judges, before a scripted origin."""
    return scripted(routes=(ROUTE,), **options)


def asked(
    house: House, offset: str = "-1", mode: Mode = Mode.CATCH_UP, left: float = 600.0
) -> Asked:
    return house.ask(offset, mode, key=house.key(partition=GRANTED), left=left)


def followed(house: House, origin: ScriptedOrigin) -> tuple[Asked, Call]:
    """A first viewer at the tail, and the poll that is armed for it."""
    first = asked(house, "0003", Mode.LONG_POLL)
    origin.expect(Purpose.CATCH_UP).reply(head_answer("0003"))
    return first, origin.expect(Purpose.FOLLOW)


def ended(house: House) -> int:
    return house.counters.viewers_ended["grant-ended"]


# What ends.


def test_a_parked_poll_ends_where_it_stands_and_claims_nothing() -> None:
    """A 204 without a claim: the client asks again, and hears why."""
    house, origin = let_in()
    first, _ = followed(house, origin)
    short = asked(house, "0003", Mode.LONG_POLL, left=5.0)
    settle()
    house.pass_time(5.0)
    house.pass_time(0.25)

    assert short.done().status == 204
    assert short.sink.header("stream-next-offset") == "0003"
    assert short.sink.header("stream-up-to-date") is None
    assert first.waits
    assert ended(house) == 1


def test_an_event_stream_ends_after_a_whole_event() -> None:
    """Complete, and not cut."""
    house, origin = let_in()
    first, poll = followed(house, origin)
    short = asked(house, "0003", Mode.SSE, left=5.0)
    poll.reply(data(b"de", "0005"))
    origin.expect(Purpose.FOLLOW)
    settle()
    assert ("data", "de") in short.sink.events
    written = short.sink.text
    house.pass_time(5.25)

    assert short.sink.finished and short.sink.text == written
    assert written.endswith("\n\n")
    assert first.done().status == 200
    assert ended(house) == 1


@pytest.mark.parametrize("mode", [Mode.LONG_POLL, Mode.SSE])
def test_what_comes_at_the_end_is_not_given(mode: Mode) -> None:
    """Not a byte: the tick is a quarter second late at most, and an event may come
    before it."""
    house, origin = let_in()
    first, poll = followed(house, origin)
    others = [asked(house, "0003", mode) for _ in range(5)]
    short = asked(house, "0003", mode, left=5.0)
    settle()
    before = short.sink.text
    house.clock.move(5.0)
    poll.reply(data(b"secret", "0009"))
    settle()

    assert short.done().text == before
    assert b"secret" not in short.sink.whole
    assert first.done().body == b"secret"
    for other in others:
        assert b"secret" in other.sink.whole
    assert ended(house) == 1


def test_a_control_event_is_not_given_after_the_end_either() -> None:
    """It would tell that the tail is known, and where it is. Here the grant ends
    between the head of the event stream and the poll by which the tail is known."""
    house, origin = let_in()

    class Slow(RecordingSink):
        def begin(self, answer: Answer, per_response: PerResponse) -> None:
            super().begin(answer, per_response)
            house.clock.move(5.0)

    key = house.key(partition=GRANTED)
    viewer = house.ask("0003", Mode.SSE, Slow(), key, left=5.0)
    origin.expect(Purpose.CATCH_UP).reply(head_answer("0003"))
    origin.expect(Purpose.FOLLOW)
    settle()

    assert viewer.sink.answer is not None and viewer.sink.text == ""
    house.pass_time(0.25)
    assert viewer.done().finished and viewer.sink.text == ""


@pytest.mark.parametrize("mode", [Mode.CATCH_UP, Mode.HEAD, Mode.LONG_POLL, Mode.SSE])
def test_an_answer_that_lands_after_the_end_is_for_the_others(mode: Mode) -> None:
    """They share a flight; one of them is told to ask again."""
    house, origin = let_in()
    short, other = asked(house, mode=mode, left=5.0), asked(house, mode=mode)
    call = origin.expect(Purpose.CATCH_UP)
    house.clock.move(5.0)
    answer = data(b"abc", "0003")
    call.reply(head_answer("0003") if call.request.method == "HEAD" else answer)
    settle()
    if other.waits and not other.sink.written and mode is not Mode.HEAD:
        origin.expect().reply(answer)
        settle()

    error = short.done().error
    assert isinstance(error, Refusal) and error.reason is Reason.GRANT_ENDED
    assert short.sink.answer is None
    assert other.sink.answer is not None and other.sink.answer.status == 200


def test_nobody_comes_in_when_the_end_has_passed() -> None:
    """The front judges again; the hub does not rely on it."""
    house, origin = let_in()
    late = asked(house, left=0.0)

    assert isinstance(late.done().error, Refusal)
    assert not origin.calls


def test_a_viewer_whose_sink_is_full_is_not_written_to_after_the_end() -> None:
    house, origin = let_in()
    first, poll = followed(house, origin)
    sink = RecordingSink(room=False)
    key = house.key(partition=GRANTED)
    slow = house.ask("0003", Mode.SSE, sink, key, left=5.0)
    settle()
    written = sink.text
    poll.reply(data(b"de", "0005"))
    origin.expect(Purpose.FOLLOW)
    settle()
    house.clock.move(5.0)
    assert slow.pending is not None
    slow.pending.drained()
    settle()

    assert sink.finished and sink.text == written
    assert first.done().body == b"de"


# Relays.


def test_a_relayed_read_is_cut_when_its_grant_ends() -> None:
    """And cannot look complete; the upstream request is given up."""
    house, origin = let_in(max_object=4)
    first = asked(house)
    origin.expect().reply(data(b"abcdef", "0006"))
    relay = origin.expect(Purpose.RELAY)
    relay.reply(data(b"abcdef", "0006"))
    assert first.done().whole == b"abcdef"
    short = asked(house, left=0.02)
    relay = origin.expect(Purpose.RELAY)
    relay.head(200, [("stream-next-offset", "0006")])
    relay.piece(b"abc")
    sink = short.done()

    assert isinstance(sink.error, Refusal) and sink.whole == b"abc"
    assert not HubControl(house.hub).gauges()["relays"]


def test_a_relayed_read_that_waits_for_its_head_ends_too() -> None:
    house, origin = let_in(max_object=4)
    first = asked(house)
    origin.expect().reply(data(b"abcdef", "0006"))
    origin.expect(Purpose.RELAY).reply(data(b"abcdef", "0006"))
    first.done()
    short = asked(house, left=0.02)
    origin.expect(Purpose.RELAY)

    error = short.done().error
    assert isinstance(error, Refusal) and error.reason is Reason.GRANT_ENDED


def test_a_relayed_event_stream_ends_between_two_events() -> None:
    house, origin = let_in()
    first = asked(house)
    origin.expect().reply(data(b"x", "0001", vary="*"))
    first.done()
    short = asked(house, "0001", Mode.SSE, left=0.05)
    relay = origin.expect(Purpose.RELAY)
    relay.head(200, [("content-type", "text/event-stream")])
    relay.piece(b"event: data\ndata:a\n\n")
    relay.piece(b'event: control\ndata:{"streamNextOffset":"0002"}\n\n')

    assert short.done().finished
    assert ended(house) == 1


# Who shares, and with what.


def test_all_who_are_let_in_share_one_log_and_one_poll() -> None:
    """A2; with the edge's own credential, and nobody else's (B6)."""
    origin = LivingOrigin()
    origin.create(PATH)
    house = House(origin, routes=(ROUTE,))
    tail = origin.tail(PATH)
    crowd = [
        asked(house, tail, mode, left=60.0 + n)
        for n in range(20)
        for mode in (Mode.SSE, Mode.LONG_POLL)
    ]
    settle()
    origin.append(PATH, b"event")
    settle()

    assert all(b"event" in viewer.sink.whole for viewer in crowd)
    assert origin.requests == {"head": 1, "long-poll": 2}


@pytest.mark.parametrize("first", [True, False])
def test_whose_grant_ends_soon_is_told_to_keep_nothing_and_nobody_else(
    first: bool,
) -> None:
    """B17, L15: though one event wakes them all. By ``no-store`` an edge among them
    would have to pass the stream."""
    house, origin = let_in()
    key = house.key(partition=GRANTED)
    soon = [first, first, not first, not first]
    crowd = [house.ask("0003", Mode.LONG_POLL, key=key, ends_soon=first)]
    origin.expect(Purpose.CATCH_UP).reply(head_answer("0003"))
    poll = origin.expect(Purpose.FOLLOW)
    for one in soon[1:]:
        crowd.append(house.ask("0003", Mode.LONG_POLL, key=key, ends_soon=one))
    settle()
    poll.reply(data(b"de", "0005"))
    settle()

    told = [viewer.done().header("cache-control") for viewer in crowd]
    expected = {True: "no-store", False: "private, max-age=0, must-revalidate"}
    assert told == [expected[one] for one in soon]


@pytest.mark.parametrize("route", [ROUTE, BY_LINK], ids=["private", "public"])
def test_what_took_long_is_not_kept_beyond_the_grant(route: Route) -> None:
    """A6, B17: it came with time enough, and had to wait until a read was sent that
    could tell of a write. Who else waited for the same bytes may keep them."""
    house, origin = scripted(routes=(route,))
    asked(house)
    before_the_write = origin.expect(Purpose.CATCH_UP)
    house.wrote("POST", 204, stream_next_offset="0009")
    viewers = [asked(house, left=left) for left in (60.0, 600.0)]
    settle()
    house.clock.move(31.0)
    before_the_write.reply(data(b"ab", "0002", up_to_date=False))
    settle()
    call = origin.expect(Purpose.CATCH_UP)
    call.reply(data(b"c", "0003", up_to_date=False))
    settle()

    who = "public" if route.is_public else "private"
    told = [viewer.done().header("cache-control") for viewer in viewers]
    assert told == [f"{who}, max-age=0, must-revalidate", f"{who}, max-age=30"]


@pytest.mark.parametrize(
    "partition", [Partition(), Partition(PartitionKind.PUBLIC)], ids=["any", "public"]
)
def test_nobody_else_meets_what_is_granted(partition: Partition) -> None:
    """A2: another partition has a log of its own."""
    house, origin = let_in()
    first = asked(house)
    origin.expect().reply(data(b"abc", "0003"))
    assert first.done().body == b"abc"
    other = house.ask(key=house.key(partition=partition))
    origin.expect().reply(OriginAnswer(401, (), b"no"))

    assert other.done().status == 401


@pytest.mark.parametrize(
    "field", [("cache-control", "private, max-age=60"), ("set-cookie", "a=1")]
)
def test_what_is_private_anyway_is_joined(field: Header) -> None:
    """B6; and the cookie, which is the edge's, goes to nobody."""
    house, origin = let_in()
    crowd = [asked(house) for _ in range(5)]
    head = [("stream-next-offset", "0004"), ("stream-up-to-date", "true"), field]
    origin.expect().answer(200, head, b"them")

    assert {one.done().body for one in crowd} == {b"them"}
    assert crowd[0].sink.header("set-cookie") is None
    assert (
        crowd[0].sink.header("cache-control") == "private, max-age=0, must-revalidate"
    )


def test_what_passes_alone_is_kept_by_nobody_and_brings_no_cookie() -> None:
    """B17: ``private`` for an hour is an hour after the grant."""
    house, origin = let_in()
    one = asked(house)
    head = [("cache-control", "private, max-age=3600"), ("set-cookie", "a=1")]
    origin.expect().answer(403, head, b"no")

    assert one.done().status == 403
    assert one.sink.header("cache-control") == "no-store"
    assert one.sink.header("set-cookie") is None


def test_what_was_granted_goes_out_stale_while_the_origin_is_away() -> None:
    """B6: the edge judged; the origin need not (L14)."""
    house, origin = let_in()
    first = asked(house)
    origin.expect().reply(data(b"abc", "0003"))
    first.done()
    house.clock.move(120)
    again = asked(house)
    origin.expect().answer(503, [], b"")

    assert again.done().body == b"abc"
    assert again.sink.header("cache-control") == "no-store"


def test_a_stream_opened_by_get_ends_its_viewers_too() -> None:
    """U12: where HEAD does not tell."""
    house, origin = let_in()
    short = asked(house, "-1", Mode.LONG_POLL, left=5.0)
    refuse_head(origin)
    call = origin.expect(Purpose.CATCH_UP)
    house.clock.move(5.0)
    call.reply(data(b"abc", "0003"))

    assert isinstance(short.done().error, Refusal)


def test_a_grant_without_an_end_is_never_looked_at_again() -> None:
    """A12: what nothing ends costs nothing."""
    house, origin = scripted()
    viewer, poll = watch(house, origin)
    house.clock.move(1e9)
    poll.reply(data(b"de", "0005"))

    assert viewer.done().body == b"de"


# Whatever happens.


class TimedSink(RecordingSink):
    """Knows when it was given anything, by the house's clock."""

    def __init__(self, house: House) -> None:
        super().__init__()
        self.clock = house.clock
        self.given_at: list[float] = []

    def begin(self, answer: Answer, per_response: PerResponse) -> None:
        super().begin(answer, per_response)
        ends = answer.status == 204 and header_of(answer, "stream-up-to-date") is None
        if not ends:
            self.given_at.append(self.clock.time)

    def write(self, buffers: Sequence[bytes]) -> bool:
        self.given_at.append(self.clock.time)
        return super().write(buffers)


def header_of(answer: Answer, name: str) -> str | None:
    return next((v for k, v in answer.headers if k.lower() == name), None)


_TIMES = st.sampled_from((0.1, 0.25, 0.4, 1.0, 2.5))
_VIEWERS = st.tuples(st.sampled_from(["catch-up", "long-poll", "sse"]), _TIMES)
_ROUNDS = st.tuples(
    st.lists(_VIEWERS, max_size=4),
    _TIMES,
    st.sampled_from(["append", "lapse", "nothing"]),
    st.booleans(),
)


@given(st.lists(_ROUNDS, min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_nobody_is_given_anything_from_its_end_on(
    rounds: list[tuple[list[tuple[str, float]], float, str, bool]],
) -> None:
    """B3, B12: in each round some come, time goes by, something happens before any tick
    has come, and then perhaps one does. Everybody is released in the end."""
    origin = LivingOrigin()
    origin.create(PATH)
    house = House(origin, routes=(ROUTE,))
    key = house.key(partition=GRANTED)
    readers: list[tuple[TimedSink, float]] = []
    for viewers, seconds, event, ticks in rounds:
        for mode, left in viewers:
            sink = TimedSink(house)
            house.ask(origin.tail(PATH), Mode(mode), sink, key, left=left)
            readers.append((sink, house.clock.time + left))
        settle()
        house.clock.move(seconds)
        if event == "append":
            origin.append(PATH, b"event")
        elif event == "lapse":
            origin.lapse()
        settle()
        if ticks:
            house.pass_time(0.0)
    for _ in range(3):
        house.pass_time(1.25)

    for sink, end in readers:
        assert all(moment < end for moment in sink.given_at)
        assert sink.ended.is_set()
    house.hub.stop()
    settle()
