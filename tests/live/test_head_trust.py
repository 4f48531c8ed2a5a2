"""What a HEAD was worth is remembered: for a while for its key, of a 404 for its route.

U12. What is asked instead of a HEAD stands in test_opened_by_get.
"""

import pytest

from edge.core.values import Mode, Purpose, StreamKey
from edge.live.rows import Stream
from edge.policy.streams.routes import Route
from origin_adapter.scripted import (
    Call,
    LivingOrigin,
    ScriptedOrigin,
    data,
    head_answer,
    no_content,
)
from tests.live.support import ALICE, PATH, Asked, House, scripted, settle, warm

OTHER = "/v1/stream/b"
NOT_FOUND = (("content-type", "text/plain"),)
WORKS = head_answer("0003", ttl=3600)
SHORTLY, LATER = 59.0, 61.0
"""Before and after the 60 s for which a key is remembered."""


def miss(origin: ScriptedOrigin) -> None:
    """The next call is a HEAD, and finds nothing."""
    call = origin.expect(Purpose.CATCH_UP)
    assert call.request.method == "HEAD"
    call.answer(404, NOT_FOUND)


def asks_now(origin: ScriptedOrigin, tail: str, path: str = PATH) -> None:
    """The next call is a GET of ``now``."""
    call = origin.expect(Purpose.CATCH_UP)
    assert (call.request.method, call.request.target) == ("GET", f"{path}?offset=now")
    call.reply(data(b"", tail))


def agree(house: House, origin: ScriptedOrigin, key: StreamKey | None = None) -> Asked:
    """A live read of a stream that neither HEAD nor GET finds."""
    viewer = house.ask("0003", Mode.LONG_POLL, key=key or house.key(OTHER))
    miss(origin)
    origin.expect(Purpose.CATCH_UP).answer(404, NOT_FOUND, b"Stream not found")
    assert viewer.done().status == 404
    return viewer


def status_of(viewer: Asked) -> int:
    """A 404 without a text becomes the edge's own words."""
    sink = viewer.done()
    return sink.error.status if sink.error else sink.status


def follow(house: House, origin: ScriptedOrigin, poll: Call, seconds: float) -> Call:
    """So long the stream is followed, and nothing comes; the poll that waits then."""
    for _ in range(3):
        house.clock.move(seconds / 3)
        poll.reply(no_content("0003"))
        poll = origin.expect(Purpose.FOLLOW)
    return poll


def row(house: House) -> Stream:
    return house.hub.streams.obtain(house.key())


# The key


@pytest.mark.parametrize("status", [401, 403, 404, 405, 501])
def test_head_is_not_asked_again_for_a_minute(status: int) -> None:
    """Readers of ``now`` need the tail each time; a 404 that a GET belied counts."""
    house, origin = scripted()
    house.poll("now")
    origin.expect().answer(status, NOT_FOUND)
    asks_now(origin, "0003")
    follow(house, origin, origin.expect(Purpose.FOLLOW), SHORTLY)
    # Its ack has no offset: the tail is unknown.
    house.wrote("POST", 204)
    house.poll("now")
    asks_now(origin, "0003")

    assert [call.method for call in origin.calls].count("HEAD") == 1


def test_after_a_minute_who_comes_asks_by_head_and_its_word_counts() -> None:
    """The TTL is known from then on."""
    house, origin = scripted()
    house.view("0003")
    origin.expect().answer(403)
    asks_now(origin, "0003")
    poll = follow(house, origin, origin.expect(Purpose.FOLLOW), LATER)
    viewer = house.view("0003")
    head = origin.expect(Purpose.CATCH_UP)
    assert head.request.method == "HEAD"
    head.reply(WORKS)
    settle()

    assert row(house).log.ttl == 3600
    assert viewer.waits
    follow(house, origin, poll, LATER)
    house.view("0003")
    origin.assert_quiet()


def test_a_head_that_is_refused_again_costs_one_request_a_minute() -> None:
    """And no GET: the stream is open. A crowd asks once."""
    house, origin = scripted()
    house.view("0003")
    origin.expect().answer(405)
    asks_now(origin, "0003")
    follow(house, origin, origin.expect(Purpose.FOLLOW), LATER)
    crowd = [house.view("0003") for _ in range(10)]
    head = origin.expect(Purpose.CATCH_UP)
    crowd += [house.view("0003") for _ in range(10)]
    head.answer(405)
    settle()
    crowd += [house.view("0003") for _ in range(10)]
    settle()

    origin.assert_quiet()
    assert all(viewer.sink.answer is not None and viewer.waits for viewer in crowd)


def test_nobody_who_waits_already_asks_by_head_after_a_minute() -> None:
    """They are woken, served, and wait again."""
    origin = LivingOrigin(hold=1000.0)
    origin.head_status = 405
    house = House(origin)
    tail = origin.create(PATH)
    views = [house.view(tail) for _ in range(10)]
    settle()
    house.clock.move(LATER)
    for word in (b"one", b"two"):
        origin.append(PATH, word)
        settle()

    assert all(("data", "two") in view.sink.events for view in views)
    assert origin.requests["head"] == 1


def test_a_clients_own_head_is_asked_each_time_and_tells_for_all() -> None:
    house, origin = scripted()
    for _ in range(2):
        asked = house.ask(mode=Mode.HEAD)
        origin.expect().answer(405)
        assert asked.done().status == 405
    asked = house.ask(mode=Mode.HEAD)
    origin.expect().reply(head_answer("0003"))
    assert asked.done().status == 200
    house.poll("0003")
    origin.expect(Purpose.FOLLOW)

    assert len(origin.calls) == 4


def test_what_is_remembered_of_a_key_is_not_of_another_one() -> None:
    house, origin = scripted()
    asked = house.ask(mode=Mode.HEAD)
    origin.expect().answer(401)
    asked.done()
    for key in (house.key(OTHER), house.key(partition=ALICE)):
        house.ask("0003", Mode.LONG_POLL, key=key)
        call = origin.expect(Purpose.CATCH_UP)
        assert call.request.method == "HEAD"


# A 404, and the route


def test_a_404_to_a_head_is_believed_once_a_get_has_agreed() -> None:
    """On that route: from then on one HEAD tells a crowd."""
    house, origin = scripted()
    first = agree(house, origin)
    assert first.sink.body == b"Stream not found"
    crowd = [house.poll("0003") for _ in range(5)]
    miss(origin)

    assert {status_of(viewer) for viewer in crowd} == {404}
    assert len(origin.calls) == 3


def test_another_route_has_to_agree_for_itself() -> None:
    routes = (Route(), Route(match="/other/**"))
    house, origin = scripted(routes=routes)
    agree(house, origin)
    agree(house, origin, StreamKey("/other/**", "/other/a"))

    assert len(origin.calls) == 4


def test_where_a_get_differs_from_a_404_the_get_decides() -> None:
    house, origin = scripted()
    viewer = house.poll("0003")
    miss(origin)
    asks_now(origin, "0003")
    origin.expect(Purpose.FOLLOW).reply(data(b"de", "0005"))

    assert viewer.done().body == b"de"
    assert not house.counters.drops


@pytest.mark.parametrize("status", [401, 501, 429])
def test_an_error_to_the_get_does_not_agree(status: int) -> None:
    """It says nothing of the stream."""
    house, origin = scripted()
    viewer = house.poll("0003")
    miss(origin)
    origin.expect().answer(status, NOT_FOUND, b"no")
    assert viewer.done().status == status
    late = house.ask("0003", Mode.LONG_POLL, key=house.key(OTHER))
    miss(origin)
    asks_now(origin, "0003", OTHER)

    assert late.waits


def test_an_error_to_a_get_does_not_differ_either() -> None:
    """The route goes on agreeing."""
    house, origin = scripted()
    agree(house, origin)
    asked = house.ask(mode=Mode.HEAD)
    miss(origin)
    asked.done()
    reader = house.ask()
    origin.expect().answer(403, NOT_FOUND, b"no")
    assert reader.done().status == 403
    viewer = house.poll("0003")
    miss(origin)

    assert status_of(viewer) == 404


def test_a_route_that_agreed_is_asked_again_once_a_get_has_differed() -> None:
    house, origin = scripted()
    agree(house, origin)
    viewer = house.poll("0003")
    miss(origin)
    assert status_of(viewer) == 404
    # It is there all the same.
    warm(house, origin)
    late = house.ask("0003", Mode.LONG_POLL, key=house.key("/v1/stream/c"))
    miss(origin)
    asks_now(origin, "0003", "/v1/stream/c")

    assert late.waits


def test_a_stream_that_a_get_has_brought_is_not_dropped_for_a_head() -> None:
    """L5, L6: but the GET goes before the next byte. The route agreed before."""
    house, origin = scripted()
    agree(house, origin)
    warm(house, origin)
    viewer = house.poll("0003")
    miss(origin)
    probe = origin.expect(Purpose.CATCH_UP)
    assert probe.request.target == f"{PATH}?offset=-1"
    probe.reply(data(b"abc", "0003"))
    origin.expect(Purpose.FOLLOW)

    assert viewer.waits
    assert not house.counters.drops


def test_a_stream_that_is_gone_for_a_head_is_gone_when_the_get_says_so() -> None:
    house, origin = scripted()
    warm(house, origin)
    asked = house.ask(mode=Mode.HEAD)
    miss(origin)
    assert asked.done().status == 404
    reader = house.ask()
    probe = origin.expect(Purpose.CATCH_UP)
    assert probe.request.target == f"{PATH}?offset=-1"
    probe.answer(404, NOT_FOUND, b"Stream not found")

    assert reader.done().status == 404
    assert house.counters.drops == {"gone": 1}


def test_a_client_that_always_hears_404_makes_nobody_ask_for_ever() -> None:
    """The first of its HEADs is a sign, the others are not."""
    house, origin = scripted()
    warm(house, origin)
    for _ in range(2):
        house.ask(mode=Mode.HEAD)
        miss(origin)
        settle()
        reader = house.ask()
        answer = origin.expect(Purpose.CATCH_UP)
        answer.reply(data(b"abc" if "-1" in answer.request.target else b"", "0003"))
        reader.done()

    assert origin.targets()[-1] == f"GET {PATH}?offset=0003"


def test_a_stream_that_was_created_after_the_head_is_no_contradiction() -> None:
    """StreamFS looks for a stream by HEAD, creates it, and follows it (O7)."""
    house, origin = scripted()
    agree(house, origin)
    asked = house.ask(mode=Mode.HEAD)
    miss(origin)
    assert asked.done().status == 404
    house.wrote("PUT", 201)
    viewer = house.poll("now")
    origin.expect(Purpose.CATCH_UP).reply(WORKS)
    origin.expect(Purpose.FOLLOW)

    assert viewer.waits
    assert row(house).log.ttl == 3600
    late = house.ask("0003", Mode.LONG_POLL, key=house.key("/v1/stream/c"))
    miss(origin)
    assert status_of(late) == 404


def test_a_stream_created_while_the_get_decides_is_asked_of_head_again() -> None:
    """1: HEAD finds nothing; 2: a GET is sent; 3: PUT; 4: the 404 of 2 comes late."""
    house, origin = scripted()
    viewer = house.poll("0003")
    miss(origin)
    old = origin.expect(Purpose.CATCH_UP)
    house.wrote("PUT", 201)
    old.answer(404, NOT_FOUND)
    head = origin.expect(Purpose.CATCH_UP)
    assert head.request.method == "HEAD"
    head.reply(WORKS)
    origin.expect(Purpose.FOLLOW)

    assert viewer.waits


def test_a_lost_stream_costs_its_crowd_two_requests_and_later_ones_one() -> None:
    """Whatever offsets the viewers stand at."""
    origin = LivingOrigin()
    house = House(origin)
    for requests in ({"head": 1, "catch-up": 1}, {"head": 2, "catch-up": 1}):
        crowd = [house.poll(f"{n:016d}_{n:016d}") for n in range(500)]
        crowd += [house.view(f"{n:016d}_{n:016d}") for n in range(500)]
        assert {status_of(viewer) for viewer in crowd} == {404}
        assert origin.requests == requests
