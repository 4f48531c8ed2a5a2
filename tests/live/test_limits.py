"""Limits are counted and visible, and nothing degrades silently (E48; L11)."""

import pytest

from edge.core.errors import EdgeError
from edge.core.values import Framing, Mode, Purpose
from edge.live.registry import MAX_ROWS_OF_PATH
from edge.live.rows import Stream
from origin_adapter.scripted import data, head_answer
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
from tests.support.patience import PATIENCE


def refusal(house: House, asked: Asked) -> EdgeError:
    error = asked.done().error
    assert error is not None and error.status == 503 and error.retry_after == 1
    assert house.counters.refusals[error.reason.value] == 1
    return error


@pytest.mark.parametrize("limit", ["max_viewers", "max_viewers_per_stream"])
def test_one_live_reader_too_many_is_told_so(limit: str) -> None:
    house, origin = scripted(**{limit: 2})
    first, _ = watch(house, origin)
    house.view("0003")
    error = refusal(house, house.poll("0003"))
    assert error.reason.value == "limit-viewers"
    assert house.ask("0003").done().status == 200

    assert first.pending is not None
    first.pending.gone()
    assert house.poll("0003").waits


def test_one_fetch_too_many_is_told_so() -> None:
    house, origin = scripted(max_flights=1)
    first = house.ask()
    error = refusal(house, house.ask(key=house.key("/v1/stream/b")))
    assert error.reason.value == "limit-flights"
    joined = house.ask()
    origin.expect().reply(data(b"abc", "0003"))

    assert first.done().body == joined.done().body == b"abc"


def test_a_landing_flight_makes_room_before_its_readers_ask_again() -> None:
    house, origin = scripted(max_flights=1)
    warm(house, origin, b"abcdef")
    reader = house.ask("0006")
    origin.expect().reply(data(b"", "0002"))
    origin.expect().reply(head_answer("0006"))

    assert reader.done().status == 200


HERE, THERE = "192.0.2.1", "192.0.2.2"
OTHER = "/v1/stream/b"


@pytest.mark.parametrize(
    ("limit", "path", "client"),
    [
        ("max_relays", OTHER, THERE),
        ("max_relays_per_stream", PATH, THERE),
        ("max_relays_per_client", OTHER, HERE),
    ],
)
def test_one_relay_too_many_is_told_so(limit: str, path: str, client: str) -> None:
    """L15: of all, of one stream with whatever parameters, and of one client. Who is
    within all bounds is not starved by it, and there is room again behind each."""
    house, origin = scripted(**{limit: 1})
    for key in (house.key(), house.key(OTHER), house.key(path, extension="x=1")):
        opened = house.ask(key=key)
        origin.expect().reply(data(b"x", "0001", vary="*"))
        opened.done()
    first = house.ask(sink=RecordingSink(client=HERE))
    relay = origin.expect(Purpose.RELAY)

    key = house.key(path, extension="x=1")
    late = house.ask(sink=RecordingSink(client=client), key=key)
    assert refusal(house, late).reason.value == "limit-relays"
    if limit != "max_relays":
        house.ask(sink=RecordingSink(client=THERE), key=house.key(OTHER))
        origin.expect(Purpose.RELAY).reply(data(b"y", "0001"))
    relay.reply(data(b"x", "0001"))
    first.done()
    house.ask(sink=RecordingSink(client=client), key=key)
    origin.expect(Purpose.RELAY)


def test_what_a_keeper_is_asked_for_takes_no_place_of_what_passes() -> None:
    """W11: a crowd reads a large history by its front, and the origin is asked once."""
    bounds = ("max_relays", "max_relays_per_stream", "max_relays_per_client")
    house, origin = scripted(
        max_object=8, asks_keepers=True, **dict.fromkeys(bounds, 1)
    )
    crowd = [house.ask(sink=RecordingSink(client=HERE)) for _ in range(3)]
    origin.expect().reply(data(b"far too large", "0013"))
    for reader in crowd:
        origin.expect(Purpose.RELAY).reply(data(b"far too large", "0013"))
        reader.done()

    assert not house.counters.refusals
    assert house.counters.passes == {"too-large": 3}


def test_one_client_leaves_others_room_to_be_relayed_from_the_same_stream() -> None:
    """L15: as the edge is by default, however often that client asks."""
    house, origin = scripted()
    opened = house.ask()
    origin.expect().reply(data(b"x", "0001", vary="*"))
    opened.done()
    for _ in range(100):
        house.ask(sink=RecordingSink(client=HERE))
    other = house.ask(sink=RecordingSink(client=THERE))

    assert other.waits
    assert house.counters.refusals["limit-relays"] > 0


def test_clients_of_one_network_of_ipv6_share_their_bound() -> None:
    """B18: each of them has as many addresses as it likes."""
    house, origin = scripted(max_relays_per_client=1)
    opened = house.ask(sink=RecordingSink(client="2001:db8:0:1::1"))
    origin.expect().reply(data(b"x", "0001", vary="*"))
    opened.done()
    for address in ("2001:db8:0:1::1", "2001:db8:0:2::1"):
        house.ask(sink=RecordingSink(client=address))
        origin.expect(Purpose.RELAY)
    house.ask(sink=RecordingSink(client="2001:db8:0:1:ffff::2"))

    assert house.counters.refusals == {"limit-relays": 1}


def test_clients_without_an_address_are_not_one_client() -> None:
    """They come by a socket of this machine: who they are, nobody knows."""
    house, origin = scripted(max_relays_per_client=1)
    opened = house.ask()
    origin.expect().reply(data(b"x", "0001", vary="*"))
    opened.done()
    for _ in range(2):
        house.ask()
        origin.expect(Purpose.RELAY)

    assert not house.counters.refusals


def test_an_event_stream_under_way_ends_whole_at_a_limit() -> None:
    """It comes back where it stands; a cut would look like a failure."""
    house, origin = scripted(max_flights=1)
    view, poll = watch(house, origin, mode=Mode.SSE)
    settle()
    house.ask(key=house.key("/v1/stream/b"))
    busy = origin.expect()
    poll.reply(data(b"de", "0005"))
    origin.expect(Purpose.FOLLOW)
    settle()
    house.wrote("POST", 204)
    house.clock.move(61)
    house.hub._wakeup.wake(view_stream(house))
    settle()

    assert view.done().finished and view.sink.error is None
    assert house.counters.refusals["limit-flights"] == 1
    assert not busy.closed.is_set()


def view_stream(house: House) -> Stream:
    return house.hub.streams.obtain(house.key())


def test_rows_that_nobody_waits_on_make_room_for_new_streams() -> None:
    house, origin = scripted(max_streams=2)
    for name in ("b", "c", "d", "e"):
        asked = house.ask(key=house.key(f"/v1/stream/{name}"))
        origin.expect().reply(data(b"abc", "0003"))
        asked.done()

    assert len(house.hub.streams) == 2
    assert house.counters.evictions == {"probation": 2}


def test_when_all_rows_are_in_use_a_new_stream_is_refused() -> None:
    house, origin = scripted(max_streams=2)
    viewer, _ = watch(house, origin)
    house.ask(key=house.key("/v1/stream/b"))
    error = refusal(house, house.ask(key=house.key("/v1/stream/c")))

    assert error.reason.value == "limit-streams"
    assert viewer.waits and house.poll("0003").waits


def test_invented_parameters_do_not_make_a_write_look_at_ever_more_rows() -> None:
    """A write acts on all rows of its path (L5): they are bounded, but for those
    that somebody waits on."""
    house, origin = scripted()
    viewer, _ = watch(house, origin)
    for number in range(MAX_ROWS_OF_PATH + 20):
        asked = house.ask(key=house.key(extension=f"x={number}"))
        origin.expect().reply(data(b"abc", "0003"))
        asked.done()

    path = house.key()
    assert len(house.hub.streams.of_path(path.route, path.path)) == MAX_ROWS_OF_PATH
    assert viewer.waits


def test_the_least_recently_read_stream_goes_when_memory_is_full() -> None:
    house, origin = scripted(memory=40_000)
    body = b"x" * 10_000
    for name in ("a", "b", "a", "c", "a"):
        key = house.key(f"/v1/stream/{name}")
        asked = house.ask(key=key)
        call = origin.expect()
        begins = call.request.target.endswith("-1")
        call.reply(data(body if begins else b"", "9000"))
        assert asked.done().body == body

    assert house.hub.streams.cost <= 30_000
    assert len(origin.calls) == 5
    house.ask(key=house.key("/v1/stream/b"))
    assert origin.expect().request.target == "/v1/stream/b?offset=-1"


def test_a_stream_that_viewers_stand_on_loses_its_oldest_bytes_alone() -> None:
    """E48: logs are evicted, viewers are not."""
    house, origin = scripted(memory=24_000)
    viewer, poll = watch(house, origin, "5000")
    # A piece that does not adjoin the tail: it is the oldest of this log.
    old = house.ask()
    origin.expect().reply(data(b"x" * 9000, "0100", up_to_date=False))
    old.done()
    poll.reply(data(b"y" * 9000, "9000"))
    assert viewer.done().body == b"y" * 9000
    origin.expect(Purpose.FOLLOW)
    again = house.poll("9000")

    assert again.waits
    assert sum(house.counters.evictions.values()) >= 1
    house.ask()
    assert origin.expect().request.target == f"{PATH}?offset=-1"


def test_an_evicted_stream_that_grows_is_not_forgotten_under_its_readers() -> None:
    """Its own growth is what fills the budget; its readers still ask by it."""
    house, origin = scripted(memory=8_000)
    first = house.ask()
    call = origin.expect()
    house.wrote("POST", 204, stream_next_offset="9005")
    reader = house.ask()
    call.reply(data(b"x" * 9000, "9000"))
    assert len(first.done().body) == 9000
    delta = origin.expect()
    assert delta.request.target == f"{PATH}?offset=9000"
    house.wrote("DELETE", 204)
    delta.reply(data(b"old", "9005"))
    origin.expect().reply(data(b"new", "0003"))

    assert reader.done().body == b"new"
    assert len(house.hub.streams) == 1


@pytest.mark.parametrize("announced", [True, False])
def test_an_answer_too_large_to_hold_passes_one_by_one(announced: bool) -> None:
    """L11: and that is counted."""
    house, origin = scripted(max_object=8)
    crowd = [house.ask() for _ in range(2)]
    call = origin.expect(Purpose.CATCH_UP)
    if announced:
        call.head(200, (), framing=Framing.LENGTH, content_length=9)
    else:
        call.head(200)
        call.piece(b"x" * 9)
    assert call.closed.wait(PATIENCE)
    crowd.append(house.ask())
    for _ in crowd:
        origin.expect(Purpose.RELAY).reply(data(b"x" * 9, "0009"))

    assert {asked.done().whole for asked in crowd} == {b"x" * 9}
    assert house.counters.passes["too-large"] == 3
    assert house.counters.not_stored["too-large"] == 1
    house.clock.move(61)
    house.ask()
    assert origin.expect().request.purpose is Purpose.CATCH_UP


def test_an_event_too_large_to_hold_is_fetched_by_its_viewers_one_by_one() -> None:
    house, origin = scripted(max_object=8)
    poll, call = watch(house, origin)
    view = house.view("0003")
    call.reply(data(b"x" * 9, "0012"))
    origin.expect(Purpose.RELAY).reply(data(b"x" * 9, "0012"))

    assert poll.done().whole == b"x" * 9
    assert view.done().finished
    assert house.counters.viewers_ended["too-large"] == 1


def test_a_heads_length_is_that_of_a_body_which_does_not_come() -> None:
    house, origin = scripted(max_object=8)
    viewer = house.poll("0003")
    origin.expect().reply(head_answer("0003", content_length="20000000"))

    assert origin.expect().request.purpose is Purpose.FOLLOW
    assert viewer.waits


def test_the_ticker_looks_only_at_streams_that_somebody_is_parked_at() -> None:
    """100,000 rows must cost a tick nothing."""
    house, origin = scripted()
    for n in range(50):
        house.ask("now", key=house.key(f"/v1/stream/{n}"))
        origin.expect().reply(data(b"", "0000"))
    settle()
    viewer, _ = watch(house, origin)
    assert list(house.hub._waiters._crowded) == [view_stream(house)]

    assert viewer.pending is not None
    viewer.pending.gone()
    assert not house.hub._waiters._crowded
    assert len(house.hub.streams) == 51
