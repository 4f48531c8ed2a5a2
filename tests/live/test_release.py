"""Every waiter is always released, whatever happens to whom it waits for.

E6, E42 to E44, E54.
"""

from collections.abc import Callable
from typing import Any

import gevent
import pytest
from gevent.event import Event

from edge.core.errors import EdgeError
from edge.core.ports import Exchange
from edge.core.reasons import Reason
from edge.core.values import Answer, Mode, OriginRequest, PerResponse, Purpose
from edge.live.control import HubControl
from edge.live.rows import Reader, State
from edge.live.waiters import BATCH_SIZE
from origin_adapter.blocking import BeginsByOpen
from origin_adapter.scripted import data, head_answer
from tests.live.support import (
    PATH,
    QUICK,
    Asked,
    House,
    RecordingSink,
    scripted,
    settle,
    warm,
    watch,
)
from tests.support.hub_errors import HubError
from tests.support.patience import PATIENCE

LIVE = [Mode.LONG_POLL, Mode.SSE]


class Broken(Exception):
    """A defect, as far as the hub can tell."""


class BrokenOrigin(BeginsByOpen):
    """Raises what no origin may raise."""

    def open(
        self, request: OriginRequest, on_sent: Callable[[], None] | None = None
    ) -> Exchange:
        raise Broken


class BrokenSink(RecordingSink):
    """A front with a defect."""

    def begin(self, answer: Answer, per_response: PerResponse) -> None:
        raise Broken


def kinds_of(errors: list[HubError]) -> list[type[BaseException]]:
    return [error.kind for error in errors]


def flight_of(house: House) -> Any:
    (flight,) = house.hub.flights._all
    return flight


def follower_of(house: House) -> Any:
    (follower,) = house.hub.followers._all
    return follower


def break_call(row: Any) -> None:
    """The call of a flight or a follower breaks, as no call may."""
    row.call._inner._greenlet.kill(block=False)


def ended_well(asked: Asked) -> bool:
    return asked.sink.finished or asked.sink.error is not None


@pytest.mark.parametrize("mode", list(Mode))
def test_a_flight_that_raises_a_defect_releases_everybody(
    mode: Mode, hub_errors: list[HubError]
) -> None:
    house = House(BrokenOrigin(), long_poll_timeout=2.0)
    crowd = [house.ask("0003", mode) for _ in range(3)]
    for _ in range(4):
        house.pass_time(1.5)

    for asked in crowd:
        assert asked.done().error is not None
    assert Broken in kinds_of(hub_errors)


@pytest.mark.parametrize("mode", list(Mode))
def test_a_flight_whose_call_breaks_releases_everybody(mode: Mode) -> None:
    house, origin = scripted(long_poll_timeout=1.0)
    crowd = [house.ask("0003", mode) for _ in range(3)]
    call = origin.expect()
    break_call(flight_of(house))
    assert call.closed.wait(PATIENCE)
    house.pass_time(2)

    for asked in crowd:
        error = asked.done().error
        assert error is not None and error.status == 502


def test_a_body_that_ends_early_is_given_to_nobody() -> None:
    """E44: nothing of it is stored, and who waited is told."""
    house, origin = scripted()
    crowd = [house.ask() for _ in range(3)]
    call = origin.expect()
    call.head(200, [("stream-next-offset", "0003")], content_length=3)
    call.piece(b"ab")
    call.cut()

    for asked in crowd:
        error = asked.done().error
        assert error is not None and error.reason.value == "origin-body-cut"
    assert house.counters.stores == 0


@pytest.mark.parametrize("mode", LIVE)
def test_a_follower_that_is_ended_is_replaced_and_nobody_starves(mode: Mode) -> None:
    house, origin = scripted(**QUICK)
    viewer, poll = watch(house, origin, mode=mode)
    house.wrote("POST", 204, stream_next_offset="0005")
    reader = house.ask("0003")
    settle()
    house.hub.followers.stop(follower_of(house).stream)
    assert poll.closed.wait(PATIENCE)
    origin.expect(Purpose.CATCH_UP).reply(data(b"de", "0005"))
    settle()

    assert reader.done().body == b"de"
    assert viewer.sink.whole.count(b"de") == 1


def test_viewers_without_a_follower_are_followed_again() -> None:
    """The ticker looks after those whose follower has ended."""
    house, origin = scripted()
    viewer, _ = watch(house, origin)
    house.hub.followers.stop(follower_of(house).stream)
    settle()
    assert len(house.hub.followers) == 0
    house.pass_time(0.25)
    origin.expect(Purpose.FOLLOW).reply(data(b"de", "0005"))

    assert viewer.done().body == b"de"


def test_a_defect_in_a_polls_answer_starves_nobody(
    monkeypatch: pytest.MonkeyPatch, hub_errors: list[HubError]
) -> None:
    house, origin = scripted()
    viewer, poll = watch(house, origin)
    with monkeypatch.context() as broken:
        broken.setattr("edge.live.poll_results.judge", _break)
        poll.reply(data(b"de", "0005"))
        settle()
    house.pass_time(0.25)
    origin.expect(Purpose.FOLLOW).reply(data(b"de", "0005"))

    assert viewer.done().body == b"de"
    assert kinds_of(hub_errors) == [Broken]


def test_a_defect_in_a_landing_ends_those_who_waited_for_it(
    monkeypatch: pytest.MonkeyPatch, hub_errors: list[HubError]
) -> None:
    house, origin = scripted()
    crowd = [house.ask("now") for _ in range(2)]
    call = origin.expect()
    late = house.ask("now")
    monkeypatch.setattr("edge.live.fetch_results.judge", _break)
    call.reply(data(b"", "0003"))

    for asked in (*crowd, late):
        error = asked.done().error
        assert error is not None and error.reason.value == "internal"
    assert kinds_of(hub_errors) == [Broken] and house.counters.internal_errors == 1
    assert len(house.hub.flights) == 0


def _break(*args: object, **more: object) -> object:
    raise Broken


@pytest.mark.parametrize("mode", [Mode.CATCH_UP, *LIVE])
def test_a_sink_with_a_defect_harms_nobody_else(
    mode: Mode, hub_errors: list[HubError]
) -> None:
    house, origin = scripted()
    asked = [
        house.ask("0003", mode, BrokenSink() if n == 1 else None) for n in range(3)
    ]
    while asked[2].waits and not asked[2].sink.written:
        call = origin.expect()
        head = call.request.method == "HEAD"
        call.reply(head_answer("0003") if head else data(b"de", "0005"))
        settle()

    for n in (0, 2):
        assert asked[n].sink.status == 200
    assert Broken in kinds_of(hub_errors)
    assert house.counters.internal_errors == len(hub_errors)


def test_ask_never_raises_and_the_ticker_never_stops(
    monkeypatch: pytest.MonkeyPatch, hub_errors: list[HubError]
) -> None:
    house, origin = scripted()
    warm(house, origin)
    monkeypatch.setattr("edge.live.hub.decide", _break)
    sink = house.ask().done()
    assert sink.error is not None and sink.error.status == 500
    assert house.hub.viewers == 0

    monkeypatch.undo()
    viewers = [house.view("0003"), house.view("0003")]
    origin.expect().reply(head_answer("0003"))
    origin.expect()
    settle()
    viewers[0].sink.write = _break  # type: ignore[method-assign, assignment]
    house.pass_time(16)

    assert viewers[1].sink.written[1:] == [b": keep-alive\n\n"]
    assert set(kinds_of(hub_errors)) == {Broken}


@pytest.mark.parametrize("mode", list(Mode))
def test_a_client_that_leaves_while_its_flight_is_out_harms_nobody(mode: Mode) -> None:
    """E42: the first one, for whom it was begun."""
    house, origin = scripted()
    leaver, other = house.ask("0003", mode), house.ask("0003", mode)
    call = origin.expect()
    assert leaver.pending is not None
    leaver.pending.gone()
    leaver.pending.gone()
    leaver.pending.drained()
    call.reply(
        head_answer("0003") if call.request.method == "HEAD" else data(b"d", "4")
    )
    settle()

    assert leaver.sink.answer is None and leaver.waits
    assert other.pending is not None
    assert other.sink.answer is not None or mode is Mode.LONG_POLL


@pytest.mark.parametrize("mode", LIVE)
def test_a_client_that_leaves_while_parked_is_forgotten(mode: Mode) -> None:
    house, origin = scripted()
    viewer, poll = watch(house, origin, mode=mode)
    written = len(viewer.sink.written)
    assert house.hub.viewers == 1 and viewer.pending is not None
    viewer.pending.gone()
    assert house.hub.viewers == 0
    poll.reply(data(b"de", "0005"))
    settle()
    house.pass_time(100)

    assert len(viewer.sink.written) == written
    assert viewer.waits
    assert house.counters.viewers_ended["client-gone"] == 1


def test_a_client_that_leaves_its_relay_ends_the_origins_request() -> None:
    house, origin = scripted()
    first = house.ask()
    origin.expect().reply(data(b"x", "0001", vary="*"))
    first.done()
    viewer = house.view("0001")
    relay = origin.expect(Purpose.RELAY)
    relay.head(200, [("content-type", "text/event-stream")])
    relay.piece(b": hello\n\n")
    assert viewer.sink.wrote.wait(PATIENCE) and viewer.pending is not None
    viewer.pending.gone()

    assert relay.closed.wait(PATIENCE)
    assert len(house.hub.relays) == 0


def test_a_client_that_leaves_while_it_waits_to_ask_again_is_forgotten() -> None:
    house, origin = scripted()
    viewer = house.poll("0003")
    origin.expect().cut()
    settle()
    assert viewer.pending is not None
    viewer.pending.gone()
    house.pass_time(5)

    assert len(origin.calls) == 1


def test_what_a_relay_is_sent_when_its_client_has_left_is_for_nobody(
    hub_errors: list[HubError],
) -> None:
    """The piece and the news that the client left come in one turn of the loop."""
    house, origin = scripted()
    reader = house.ask(expires_at=house.clock.wall() - 1)
    relay = origin.expect(Purpose.RELAY)
    relay.head(200, (), content_length=6)
    relay.piece(b"abc")
    assert reader.sink.wrote.wait(PATIENCE) and reader.pending is not None
    relay.piece(b"def")
    relay.end()
    reader.pending.gone()
    settle()

    assert (reader.sink.written, reader.sink.finished) == ([b"abc"], False)
    assert relay.closed.is_set() and house.counters.delivered == 0
    assert not hub_errors


def test_no_relay_begins_for_a_client_that_left_before_its_head_came(
    hub_errors: list[HubError],
) -> None:
    house, origin = scripted()
    reader = house.ask(expires_at=house.clock.wall() - 1)
    relay = origin.expect(Purpose.RELAY)
    relay.answer(200, (), b"abc")
    assert reader.pending is not None
    reader.pending.gone()
    settle()

    assert reader.sink.answer is None and house.counters.answers == {}
    assert not hub_errors


def test_what_must_be_passed_on_after_the_stop_is_refused() -> None:
    """Its fetch ends with the stop, and its credential has expired meanwhile."""
    house, origin = scripted()
    reader = house.ask(expires_at=house.clock.wall() + 5)
    origin.expect(Purpose.CATCH_UP)
    house.clock.move(6)
    house.hub.stop()

    error = reader.done().error
    assert error is not None and error.reason is Reason.DRAINING
    assert len(house.hub.relays) == 0


def test_a_relay_whose_origin_breaks_off_is_cut() -> None:
    """E44: a body that was not sent whole must not look whole."""
    house, origin = scripted()
    first = house.ask()
    origin.expect().reply(data(b"x", "0001", vary="*"))
    first.done()
    reader = house.ask()
    relay = origin.expect(Purpose.RELAY)
    relay.head(200, (), content_length=9)
    relay.piece(b"abc")
    assert reader.sink.wrote.wait(PATIENCE)
    relay.cut()

    assert reader.done().error is not None and not reader.sink.finished


def test_a_relay_waits_for_a_sink_that_is_full() -> None:
    house, origin = scripted()
    first = house.ask()
    origin.expect().reply(data(b"x", "0001", vary="*"))
    first.done()
    reader = house.ask(sink=RecordingSink(room=False))
    relay = origin.expect(Purpose.RELAY)
    relay.head(200)
    for piece in (b"a", b"b"):
        relay.piece(piece)
    relay.end()
    assert reader.sink.wrote.wait(PATIENCE)
    settle()
    assert reader.sink.written == [b"a"]
    for _ in range(2):
        assert reader.pending is not None
        reader.pending.drained()
        settle()

    assert reader.done().written == [b"a", b"b"]


def test_a_drain_ends_polls_with_204_and_streams_after_a_whole_event() -> None:
    """E54: also those who come meanwhile."""
    house, origin = scripted()
    poll, _ = watch(house, origin)
    view = house.view("0003")
    settle()
    house.hub.drain(0.0)

    assert (poll.done().status, poll.sink.header("Stream-Next-Offset")) == (204, "0003")
    assert view.done().finished and view.sink.text.endswith("\n\n")
    late = house.poll("0003")
    assert late.done().status == 204
    assert house.counters.viewers_ended["draining"] == 3


def test_a_crowd_that_is_woken_while_it_drains_leaves_one_by_one() -> None:
    """E54: news must not send every event stream away at once. Each is given it, and
    stays until its own turn; a poll is answered, which is what it asked for."""
    house, origin = scripted()
    view, follow = watch(house, origin, mode=Mode.SSE)
    views = [view, *(house.view("0003") for _ in range(3))]
    poll = house.poll("0003")
    settle()
    house.hub.begin_drain()
    follow.reply(data(b"d", "0004"))
    assert (poll.done().status, poll.sink.body) == (200, b"d")
    origin.expect(Purpose.FOLLOW).reply(data(b"e", "0005"))
    origin.expect(Purpose.FOLLOW)
    settle()

    for one in views:
        assert one.waits
        assert [text for name, text in one.sink.events if name == "data"] == ["d", "e"]
    late = house.view("0005")
    assert late.done().finished
    assert late.sink.events[-1][0] == "control"
    house.hub.drain(0.0)
    assert all(one.done().events[-1][0] == "control" for one in views)
    assert house.counters.viewers_ended["draining"] == 5


def test_when_the_grace_is_over_all_that_are_left_are_released_at_once() -> None:
    """E54: a drain that came late cut those whose turn had not come."""
    house, origin = scripted()
    view, _ = watch(house, origin, mode=Mode.SSE)
    views = [view, *(house.view("0003") for _ in range(3))]
    poll = house.poll("0003")
    settle()
    house.hub.begin_drain()
    drain = gevent.spawn(house.hub.drain, 3600.0)
    settle()
    assert [one.waits for one in (*views, poll)] == [False, True, True, True, True]
    house.hub.let_go()
    settle()

    for one in views:
        assert one.done().finished and one.sink.events[-1][0] == "control"
    assert poll.done().status == 204
    assert house.counters.viewers_ended["draining"] == 5
    drain.kill()


def test_an_event_stream_that_heard_nothing_yet_ends_after_a_control_event() -> None:
    """E54: it says where the viewer stands, though no poll is armed to say more."""
    house, origin = scripted(backoff_first=1000.0, backoff_max=1000.0)
    _, follow = watch(house, origin)
    follow.cut()
    settle()
    view = house.view("0003")
    origin.expect(Purpose.CATCH_UP).cut()
    settle()
    assert view.waits and view.sink.events == []
    house.hub.drain(0.0)

    ((name, control),) = view.done().events
    assert (name, control["streamNextOffset"]) == ("control", "0003")
    assert "upToDate" not in control and view.sink.finished


def test_whose_turn_comes_while_news_are_on_their_way_is_given_them() -> None:
    """It is not parked at its turn; when it would be, it ends."""
    house, origin = scripted()
    poll = house.poll("0003")
    head = origin.expect(Purpose.CATCH_UP)
    house.hub.drain(0.0)
    assert poll.waits
    head.reply(head_answer("0003"))

    assert (poll.done().status, poll.sink.header("Stream-Next-Offset")) == (204, "0003")


def test_while_draining_nobody_new_waits_for_an_origin_that_is_away() -> None:
    house, origin = scripted()
    house.hub.begin_drain()
    viewer = house.poll("0003")
    origin.expect().cut()

    error = viewer.done().error
    assert error is not None and error.status == 502


@pytest.mark.parametrize("known", [False, True])
def test_who_waits_for_an_origin_that_is_away_waits_until_its_turn(known: bool) -> None:
    """L21: a poll at an offset that is known to be the end then gets its 204."""
    house, origin = scripted()
    if known:
        warm(house, origin)
        house.clock.move(3600.0)
    viewer = house.poll("0003")
    house.hub.begin_drain()
    origin.expect().cut()
    settle()
    assert viewer.waits
    house.hub.drain(0.0)

    sink, error = viewer.done(), viewer.sink.error
    assert sink.status == 204 if known else error is not None and error.status == 502


@pytest.mark.parametrize("begun", [False, True])
def test_stop_releases_everybody_wherever_they_are(begun: bool) -> None:
    """A flight that was not sent yet never will be: its readers are told as well."""
    house, origin = scripted()
    parked, _ = watch(house, origin)
    view = house.view("0003")
    passing = house.ask(key=house.key("/v1/stream/b"))
    origin.expect().reply(data(b"x", "0001", vary="*"))
    passing.done()
    relayed = house.ask(key=house.key("/v1/stream/b"))
    away = house.poll("0009")
    origin.expect(Purpose.RELAY).head(200)
    fetch = house.ask(key=house.key("/v1/stream/c"))
    live = house.ask("0003", Mode.SSE, key=house.key("/v1/stream/d"))
    lost = house.ask("0003", Mode.SSE, key=house.key("/v1/stream/e"))
    if begun:
        settle()
    house.hub.stop()

    for asked in (parked, view, relayed, away, fetch, live, lost):
        asked.done()
        assert ended_well(asked), asked.pending
    assert house.hub.viewers == 0
    gauges = HubControl(house.hub).gauges()
    assert gauges["flights_under_way"] == gauges["relays"] == gauges["followers"] == 0


def test_after_stop_nobody_waits() -> None:
    house, origin = scripted()
    house.hub.stop()
    reader = house.ask()

    error = reader.done().error
    assert error is not None and error.reason.value == "draining"
    assert not origin.calls


def test_stop_finds_those_whom_a_tick_had_in_hand() -> None:
    """The ticker is killed between two batches of those who are due."""
    house, origin = scripted()
    first, _ = watch(house, origin)
    polls = [first] + [house.poll("0003") for _ in range(3 * BATCH_SIZE)]
    house.clock.move(house.options.long_poll_timeout)
    ticking = gevent.spawn(house.hub.tick, house.clock.monotonic())
    polls[0].done()
    ticking.kill()
    assert any(asked.waits for asked in polls)
    house.hub.stop()
    settle()

    assert not any(asked.waits for asked in polls)


def test_a_pass_over_a_large_crowd_yields_and_serves_all_of_it() -> None:
    """E47: in batches; what comes meanwhile is served by one more pass."""
    house, origin = scripted()
    viewer, poll = watch(house, origin)
    views = [house.view("0003") for _ in range(600)]
    polls = [viewer] + [house.poll("0003") for _ in range(600)]
    poll.reply(data(b"d", "0004"))
    origin.expect().reply(data(b"e", "0005"))
    origin.expect()
    settle()

    assert all(asked.done().body in (b"d", b"de") for asked in polls)
    for view in views:
        assert "".join(e for kind, e in view.sink.events if kind == "data") == "de"


def test_the_ticker_runs_by_itself() -> None:
    house, _ = scripted()
    ticked = Event()
    house.hub.tick = lambda now: ticked.set()  # type: ignore[method-assign]
    house.hub.start()

    assert ticked.wait(PATIENCE)
    house.hub.stop()


def test_a_reader_that_is_done_stays_so() -> None:
    """A move that the table does not have is a defect, and raises."""
    house, origin = scripted()
    reader = house.ask().pending
    assert isinstance(reader, Reader)
    origin.expect().reply(data(b"abc", "0003"))
    settle()
    assert reader.state is State.DONE
    with pytest.raises(RuntimeError, match="cannot become parked"):
        reader.move(State.PARKED)
    assert PATH in repr(reader.stream) and EdgeError().status == 500
