"""One upstream request per event, whatever the crowd does.

E13, E14, E21, E39, E41, E42; PROTOCOL.md section 10.1.
"""

import pytest

from edge.core.values import Mode, Purpose
from origin_adapter.scripted import LivingOrigin, data, head_answer, no_content
from tests.live.support import ALICE, BOB, PATH, House, scripted, settle, warm, watch


def test_a_crowd_that_catches_up_costs_one_request() -> None:
    """E41: a cold start is collapsed like everything else."""
    house, origin = scripted()
    crowd = [house.ask() for _ in range(50)]
    origin.expect(Purpose.CATCH_UP).reply(data(b"abc", "0003"))

    assert {asked.done().body for asked in crowd} == {b"abc"}
    assert len(origin.calls) == 1


def test_long_polls_and_event_streams_of_any_cursor_share_one_poll() -> None:
    """L22: a cursor is in no key; section 10.1's crowd is one crowd."""
    house, origin = scripted()
    first, poll = watch(house, origin)
    polls = [first, *(house.poll("0003", cursor=n * 7) for n in range(20))]
    views = [house.view("0003", cursor=n) for n in range(20)]
    poll.reply(data(b"de", "0005"))

    assert {asked.done().body for asked in polls} == {b"de"}
    origin.expect(Purpose.FOLLOW)
    settle()
    assert {view.sink.events[1] for view in views if view.sink.events[1:]} == {
        ("data", "de")
    }
    assert [call.split("&cursor")[0] for call in origin.targets()] == [
        f"HEAD {PATH}",
        f"GET {PATH}?offset=0003&live=long-poll",
        f"GET {PATH}?offset=0005&live=long-poll",
    ]


def test_one_request_per_event_while_viewers_come_and_go() -> None:
    """E42: a viewer that leaves, the first one too, changes nothing for others."""
    origin = LivingOrigin()
    origin.create(PATH)
    house = House(origin)
    tail = origin.tail(PATH)
    crowd = [house.view(tail) for _ in range(10)]
    settle()
    for event in range(5):
        leaver = crowd.pop(0)
        assert leaver.pending is not None
        leaver.pending.gone()
        crowd.append(house.view(origin.tail(PATH)))
        settle()
        origin.append(PATH, b"event %d" % event)
        settle()

    assert all(("data", "event 4") in view.sink.events for view in crowd)
    # The HEAD, one poll for each event, and the one that waits now.
    assert origin.requests == {"head": 1, "long-poll": 6}


def test_those_who_come_back_after_an_event_find_the_next_poll_armed() -> None:
    """E39, E40: the follower asks again at once; nobody opens another flight."""
    house, origin = scripted()
    first, poll = watch(house, origin)
    poll.reply(data(b"de", "0005"))
    first.done()
    again = [house.poll("0005") for _ in range(10)]
    late = house.poll("0003")

    assert late.done().body == b"de" and late.sink.how == "hit"
    origin.expect(Purpose.FOLLOW).reply(data(b"f", "0006"))
    assert {asked.done().body for asked in again} == {b"f"}


def test_an_idle_204_of_the_origin_ends_nobody_and_asks_once_more() -> None:
    """E14, E15: time-outs are each viewer's own, not the shared poll's."""
    house, origin = scripted(hold=30.0)
    viewers = [watch(house, origin)[0]]
    viewers += [house.poll("0003") for _ in range(9)]
    settle()
    assert len(origin.calls) == 2
    # The poll was taken by ``watch``; its answer comes after the origin's hold.
    house.clock.move(20)
    house.hub.tick(house.clock.monotonic())

    assert all(viewer.waits for viewer in viewers)


def test_viewers_time_out_by_their_own_clock_without_any_request() -> None:
    """E14: a 204 is shared by nobody and stored by nobody; the edge makes it."""
    house, origin = scripted(long_poll_timeout=10.0)
    first, _ = watch(house, origin)
    others = [house.poll("0003") for _ in range(9)]
    house.pass_time(10.5)

    for viewer in (first, *others):
        sink = viewer.done()
        assert sink.status == 204
        assert sink.header("Stream-Next-Offset") == "0003"
        assert sink.header("Stream-Up-To-Date") == "true"
        assert sink.header("Cache-Control") == "no-store"
        assert sink.per_response is not None and sink.per_response.cursor is not None
    assert len(origin.calls) == 2


def test_after_an_idle_204_the_follower_polls_once_for_everybody() -> None:
    house, origin = scripted()
    first, poll = watch(house, origin)
    others = [house.view("0003") for _ in range(5)]
    house.clock.move(25)
    poll.reply(no_content("0003"))
    origin.expect(Purpose.FOLLOW)
    settle()

    assert first.waits and all(viewer.waits for viewer in others)
    assert len(origin.calls) == 3


def test_a_cold_start_of_a_crowd_costs_one_head_and_one_poll() -> None:
    """L20: a Node 204 has no content type, so the type is asked for first."""
    house, origin = scripted()
    crowd = [house.poll("0003") for _ in range(20)]
    crowd += [house.view("0003") for _ in range(20)]
    origin.expect(Purpose.CATCH_UP).reply(head_answer("0003"))
    origin.expect(Purpose.FOLLOW)
    settle()

    origin.assert_quiet()
    assert all(asked.waits for asked in crowd)
    assert origin.targets()[0] == f"HEAD {PATH}" and len(origin.calls) == 2


def test_a_head_is_shared_only_by_those_who_came_before_it_was_sent() -> None:
    """E21: never answered from what is held, never kept."""
    house, origin = scripted()
    early = [house.ask(mode=Mode.HEAD) for _ in range(3)]
    call = origin.expect()
    late = [house.ask(mode=Mode.HEAD) for _ in range(3)]
    call.reply(head_answer("0003"))
    assert {a.done().header("Stream-Next-Offset") for a in early} == {"0003"}
    origin.expect().reply(head_answer("0005"))

    assert {a.done().header("Stream-Next-Offset") for a in late} == {"0005"}
    assert {a.sink.header("Cache-Control") for a in early + late} == {"no-store"}


def test_catch_up_now_never_misses_an_append_acknowledged_before_it() -> None:
    """E11, L4: it joins a fetch under way only as far as that can know of it."""
    house, origin = scripted()
    early = [house.ask("now") for _ in range(3)]
    call = origin.expect()
    house.wrote("POST", 204, stream_next_offset="0004")
    late = house.ask("now")
    call.reply(data(b"", "0003"))

    assert {a.done().header("Stream-Next-Offset") for a in early} == {"0003"}
    assert early[0].sink.header("Cache-Control") == "no-store"
    origin.expect(Purpose.CATCH_UP).reply(data(b"", "0004"))
    assert late.done().header("Stream-Next-Offset") == "0004"


def test_catch_up_now_of_a_followed_stream_costs_nothing() -> None:
    house, origin = scripted()
    watch(house, origin)
    now = house.ask("now").done()

    assert (now.status, now.body) == (200, b"")
    assert now.header("Stream-Next-Offset") == "0003"
    assert now.header("Stream-Up-To-Date") == "true" and now.how == "hit"


def test_a_reader_behind_the_tail_costs_only_what_lies_beyond() -> None:
    """E1: history crosses the wire once per node."""
    house, origin = scripted()
    warm(house, origin)
    asked = [house.ask() for _ in range(10)]
    origin.expect().reply(data(b"de", "0005"))

    assert {a.done().body for a in asked} == {b"abcde"}
    assert origin.targets()[1] == f"GET {PATH}?offset=0003"


@pytest.mark.parametrize("mode", [Mode.CATCH_UP, Mode.LONG_POLL, Mode.SSE])
def test_two_credentials_never_meet(mode: Mode) -> None:
    """E26, L13, P10: nothing is shared: not the flight, the poll, nor the log."""
    house, origin = scripted()
    one = house.ask("0003", mode, key=house.key(partition=ALICE))
    two = house.ask("0003", mode, key=house.key(partition=BOB))
    anybody = house.ask("0003", mode)
    sent = [origin.expect() for _ in range(3)]

    who = [dict(call.request.headers).get("authorization") for call in sent]
    assert sorted(who, key=str) == [None, "alice", "bob"]
    for asked in (one, two, anybody):
        assert asked.waits
