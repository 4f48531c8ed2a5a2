"""An origin that is away: what is held goes out, who waits keeps waiting (U1 to U7)."""

from typing import Any

import pytest

from edge.core.errors import NotAsked, OriginUnreachable
from edge.core.reasons import Reason
from edge.core.values import Mode, Purpose
from edge.live.contacts import PollLog
from edge.live.waiters import RETRY_SECONDS
from edge.policy.streams.routes import Route
from origin_adapter.scripted import Call, ScriptedOrigin, data, head_answer
from tests.live.support import (
    ALICE,
    PATH,
    QUICK,
    Asked,
    House,
    RecordingSink,
    TestClock,
    scripted,
    settle,
    warm,
    watch,
)
from tests.support.options import rules

SLOW = {"backoff_first": 1000.0, "backoff_max": 1000.0}
"""A back-off that does not end within a story."""

PAGE = [("content-type", "text/html"), ("set-cookie", "lb=1; path=/")]
AWAY = [
    *((status, PAGE) for status in (500, 502, 503, 504, 522)),
    (302, [("location", "/maintenance")]),
    (200, PAGE),
]
"""What comes for an origin that is away: statuses, a redirect, a page with 200."""

every_outage = pytest.mark.parametrize(("status", "fields"), AWAY)


def held_and_doubted(**options: object) -> tuple[House, ScriptedOrigin]:
    """``abc`` is held, and the next read must ask first."""
    house, origin = scripted(**options)
    warm(house, origin)
    house.clock.move(61)
    return house, origin


def is_stale(asked: Asked, body: bytes = b"abc") -> bool:
    sink = asked.done()
    claims = ("Stream-Up-To-Date", "Stream-Closed", "ETag")
    assert (sink.status, sink.body) == (200, body)
    assert sink.header("Cache-Control") == "no-store"
    assert [name for name in claims if sink.header(name)] == []
    return sink.how.endswith("stale")


# -- what counts as away (U1) ---------------------------------------------------------


@every_outage
def test_whatever_stands_in_for_the_origin_held_bytes_go_out_stale(
    status: int, fields: list[tuple[str, str]]
) -> None:
    """To the crowd that waited, and to who comes next; nothing is dropped."""
    house, origin = held_and_doubted(**SLOW)
    crowd = [house.ask() for _ in range(3)]
    origin.expect().answer(status, fields, b"back soon")

    assert all(is_stale(asked) for asked in crowd)
    assert is_stale(house.ask())
    assert house.counters.answers["stale"] == 4
    assert sum(house.counters.drops.values()) == 0
    assert sum(house.counters.origin_faults.values()) == 1


@every_outage
def test_viewers_stay_parked_whatever_answers_their_poll(
    status: int, fields: list[tuple[str, str]]
) -> None:
    house, origin = scripted(**QUICK)
    viewer, poll = watch(house, origin)
    view = house.view("0003")
    poll.answer(status, fields, b"back soon")
    origin.expect().answer(status, fields, b"back soon")
    origin.expect().reply(data(b"", "0003"))
    assert viewer.waits and view.waits
    origin.expect(Purpose.FOLLOW).reply(data(b"de", "0005"))

    assert viewer.done().body == b"de"
    settle()
    assert ("data", "de") in view.sink.events
    assert sum(house.counters.drops.values()) == 0


def test_the_operator_is_told_once_that_polls_fail(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No request has a line that would: viewers wait and hear nothing (L21)."""
    caplog.set_level("INFO", "edge.live")
    house, origin = scripted(**QUICK)
    viewer, poll = watch(house, origin)
    cause = "o:1: [Errno 111] Connection refused"
    poll.fail(OriginUnreachable("it cannot be called", cause=cause))
    for _ in range(2):
        origin.expect().answer(503, (), b"no")
    origin.expect().reply(data(b"", "0003"))
    origin.expect(Purpose.FOLLOW).reply(data(b"de", "0005"))

    assert viewer.done().body == b"de"
    settle()
    first, last = caplog.messages
    told = f"polls of the origin fail, of {PATH}: origin-unreachable: {cause}"
    assert first == told
    assert last.startswith("polls of the origin are answered again, after")


def test_an_origin_that_comes_and_goes_is_told_of_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "edge.live")
    clock = TestClock()
    log = PollLog(clock)
    for seconds in (0, 1, 58, 59):
        clock.move(seconds)
        log.failed("/a", "first")
        log.failed("/b", "second")
        log.worked()
        log.worked()

    again = "polls of the origin are answered again, after 0.0 s"
    assert caplog.messages == 2 * ["polls of the origin fail, of /a: first", again]


def test_an_outage_whose_end_nobody_saw_does_not_hide_the_next(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """All its viewers left. What goes on failing is one outage, however long."""
    clock = TestClock()
    log = PollLog(clock)
    for _ in range(10):
        log.failed("/a", "first")
        clock.move(59)
    clock.move(1)
    log.failed("/b", "second")

    assert [text.rpartition(" of ")[2] for text in caplog.messages] == [
        "/a: first",
        "/b: second",
    ]


def test_statuses_are_counted_each_by_itself() -> None:
    house, origin = held_and_doubted(**QUICK)
    for status in (503, 502):
        asked = house.ask("0003")
        origin.expect().answer(status, (), b"no")
        asked.done()
        house.clock.move(1)

    assert dict(house.counters.origin_statuses) == {"503": 1, "502": 1}
    assert house.counters.origin_faults["origin-status"] == 2


def test_an_outage_with_a_cookie_is_shared_by_who_waits_without_the_cookie() -> None:
    """Where nothing is held; nobody asks for itself alone."""
    house, origin = scripted()
    crowd = [house.ask() for _ in range(12)]
    origin.expect().answer(503, PAGE, b"back soon")

    for asked in crowd:
        assert (asked.done().status, asked.sink.body) == (503, b"back soon")
        assert asked.sink.header("set-cookie") is None
        assert asked.sink.header("cache-control") == "no-store"
        assert asked.sink.header("retry-after") == "1"
    origin.assert_quiet()


def test_a_404_that_a_route_calls_an_outage_drops_nothing() -> None:
    route = Route(stale_if_error=frozenset({404}))
    house, origin = held_and_doubted(routes=(route,))
    asked = house.ask()
    origin.expect().answer(404, (), b"not found")

    assert is_stale(asked)
    unheld = house.ask(key=house.key("/v1/stream/b"))
    origin.expect().answer(404, (), b"not found")
    assert unheld.done().status == 404


def test_a_404_that_a_route_calls_an_outage_makes_the_pause_longer_each_time() -> None:
    route = Route(stale_if_error=frozenset({404}))
    house, origin = held_and_doubted(routes=(route,))
    for failures in (1, 2, 3):
        asked = house.ask("0003")
        origin.expect().answer(404, (), b"not found")
        asked.done()
        contact = house.hub.streams.obtain(house.key()).contact
        assert contact is not None and contact.read_failures == failures
        house.clock.move(61)


# -- what goes out (U2) ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("offset", "mode"),
    [("0003", Mode.CATCH_UP), ("now", Mode.CATCH_UP), ("-1", Mode.HEAD)],
)
def test_who_asks_for_the_end_is_told_the_status_and_when_to_come_back(
    offset: str, mode: Mode
) -> None:
    """Never an empty 200 without a claim: clients would ask again at once."""
    house, origin = held_and_doubted(**SLOW)
    first = house.ask(offset, mode)
    origin.expect().answer(503, [("content-type", "text/plain")], b"sorry")
    first.done()
    second = house.ask(offset, mode)

    for asked in (first, second):
        assert asked.done().status == 503
        after = asked.sink.header("retry-after")
        assert after is not None and 500 <= int(after) <= 1000
    assert first.sink.how.startswith("fwd=") and second.sink.how == "origin-status"
    origin.assert_quiet()


def test_a_live_reader_at_a_known_offset_is_parked_though_the_origin_is_away() -> None:
    house, origin = scripted(long_poll_timeout=10.0, **SLOW)
    _, poll = watch(house, origin)
    poll.answer(503, (), b"no")
    settle()
    late = house.poll("0003")
    origin.expect(Purpose.CATCH_UP).answer(503, (), b"no")
    later = house.poll("0003")
    settle()
    assert late.waits and later.waits
    origin.assert_quiet()
    house.pass_time(10.5)

    for asked in (late, later):
        assert asked.done().status == 204
        assert asked.sink.header("Stream-Up-To-Date") is None


@pytest.mark.parametrize("mode", [Mode.LONG_POLL, Mode.SSE])
def test_a_live_reader_of_an_unknown_stream_waits_two_seconds_for_the_status(
    mode: Mode,
) -> None:
    house, origin = scripted()
    asked = house.ask("-1", mode)
    for _ in range(2):
        origin.expect().answer(503, [("content-type", "text/plain")], b"")
        settle()
        assert asked.waits
        house.pass_time(RETRY_SECONDS + 0.25)
    origin.expect().answer(503, (), b"")

    error = asked.done().error
    assert error is not None and error.status == 503
    assert error.reason is Reason.ORIGIN_STATUS and error.retry_after


def test_an_event_stream_that_has_begun_waits_too_before_it_ends() -> None:
    """Three that end within a second make the official client give SSE up."""
    house, origin = scripted(rules=rules(max_page=3))
    key = house.key(partition=ALICE)
    for offset, body, end in (("-1", b"abc", "0003"), ("0003", b"de", "0005")):
        asked = house.ask(offset, key=key)
        origin.expect().reply(data(body, end))
        asked.done()
    sink = RecordingSink(room=False)
    view = house.ask("-1", Mode.SSE, sink, key=key)
    assert view.sink.events[0] == ("data", "abc") and view.pending is not None
    house.clock.move(31)
    view.pending.drained()
    for _ in range(2):
        origin.expect(Purpose.CATCH_UP).answer(503, (), b"")
        settle()
        assert view.waits
        house.pass_time(RETRY_SECONDS + 0.25)
    origin.expect(Purpose.CATCH_UP).answer(503, (), b"")

    assert view.done().finished
    assert house.counters.viewers_ended["origin-status"] == 1


# -- how fast (U3) --------------------------------------------------------------------


def test_once_an_origin_is_known_to_be_away_nobody_waits_for_it() -> None:
    """One request a step decides, and even the reader that began it does not wait."""
    house, origin = held_and_doubted()
    first = house.ask()
    origin.expect().answer(503, (), b"no")
    first.done()
    at_once = [house.ask() for _ in range(5)]
    assert all(is_stale(asked) for asked in at_once)
    origin.assert_quiet()

    house.clock.move(6)
    next_step = [house.ask() for _ in range(5)]
    assert all(is_stale(asked) for asked in next_step)
    probe = origin.expect()
    origin.assert_quiet()
    probe.reply(data(b"abc", "0003"))
    settle()
    back = house.ask()
    origin.expect().reply(data(b"", "0003"))

    assert back.done().header("Stream-Up-To-Date") == "true"
    assert back.sink.how == "fwd=stale tail-unknown"


def test_a_followers_own_check_ends_the_outage_of_reads() -> None:
    """Its next poll is held for long, and nobody may be shown stale bytes meanwhile."""
    house, origin = scripted(**QUICK)
    warm(house, origin)
    _, poll = watch(house, origin)
    poll.answer(503, (), b"no")
    origin.expect(Purpose.CATCH_UP).answer(503, (), b"no")
    origin.expect(Purpose.CATCH_UP).reply(data(b"abc", "0003"))
    origin.expect(Purpose.FOLLOW)
    house.clock.move(61)
    reader = house.ask()
    origin.expect(Purpose.CATCH_UP).reply(data(b"abc", "0003"))

    assert reader.done().header("Stream-Up-To-Date") == "true"


FINAL = pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
"""What an origin answers that is there, and does not give the stream."""


@FINAL
def test_a_final_status_ends_the_outage_as_bytes_do(status: int) -> None:
    """Else a stream that is gone would be told in turns, as gone to the one reader who
    asks at each step, and as an origin that is away to all others; for ever."""
    house, origin = held_and_doubted(**SLOW)
    first = house.ask()
    origin.expect().answer(503, (), b"no")
    first.done()
    house.clock.move(1001)
    assert is_stale(house.ask())
    origin.expect().answer(status, [("content-type", "text/plain")], b"no")
    settle()

    for _ in range(2):
        asked = house.ask("-1", Mode.HEAD)
        origin.expect().answer(status, (), b"")
        assert asked.done().status == status


@FINAL
def test_a_final_status_to_the_follower_ends_the_outage_too(status: int) -> None:
    house, origin = scripted(**QUICK)
    warm(house, origin)
    viewer, poll = watch(house, origin)
    poll.answer(503, (), b"no")
    origin.expect(Purpose.CATCH_UP).answer(503, (), b"no")
    origin.expect(Purpose.CATCH_UP).answer(status, (), b"no")
    assert viewer.done().status == status

    asked = house.ask("-1", Mode.HEAD)
    origin.expect().reply(head_answer("0003"))
    assert asked.done().status == 200


@pytest.mark.parametrize("status", [302, 408, 425, 429, 500, 503])
def test_a_status_that_is_no_word_of_the_stream_does_not_end_the_outage(
    status: int,
) -> None:
    """A redirect may be a maintenance page, and some refuse the work alone."""
    house, origin = held_and_doubted(**SLOW)
    first = house.ask()
    origin.expect().answer(503, (), b"no")
    first.done()
    house.clock.move(1001)
    assert is_stale(house.ask())
    origin.expect().answer(status, [("location", "/elsewhere")], b"no")
    settle()

    house.ask("-1", Mode.HEAD).done()
    origin.assert_quiet()


def test_the_end_is_told_by_the_request_that_decides() -> None:
    house, origin = held_and_doubted()
    first = house.ask("0003")
    origin.expect().answer(503, (), b"no")
    assert first.done().error is None or first.sink.error is not None
    house.clock.move(6)
    asker, other = house.ask("0003"), house.ask("0003")
    assert asker.waits and not other.waits
    origin.expect().reply(data(b"abcde", "0005"))

    assert asker.done().body == b"de"


def test_nobody_with_held_bytes_waits_long_for_a_silent_origin() -> None:
    """At most the route's ``stale_after``; and then the origin counts as away."""
    route = Route(stale_after=1.0)
    house, origin = held_and_doubted(routes=(route,), **SLOW)
    crowd = [house.ask() for _ in range(3)]
    silent = origin.expect()
    house.pass_time(0.5)
    assert all(asked.waits for asked in crowd)
    house.pass_time(1.0)

    assert all(is_stale(asked) for asked in crowd)
    assert is_stale(house.ask())
    silent.reply(data(b"abcde", "0005"))
    settle()
    fresh = house.ask()
    origin.expect().reply(data(b"", "0005"))
    assert (fresh.done().body, fresh.sink.how) == (b"abcde", "fwd=stale tail-unknown")


def test_who_waits_for_a_write_is_not_given_the_time_before_it() -> None:
    """L4: the origin has just answered the writer; it is there."""
    house, origin = scripted()
    warm(house, origin)
    house.wrote("POST", 204, Stream_Next_Offset="0005")
    reader = house.ask()
    slow = origin.expect()
    house.pass_time(3)
    assert reader.waits
    slow.reply(data(b"de", "0005"))

    assert reader.done().body == b"abcde"


def test_nobody_is_given_the_time_before_a_write_after_a_while_either() -> None:
    """U3, L4: though the read must check what is held, too."""
    house, origin = held_and_doubted()
    house.wrote("POST", 204, Stream_Next_Offset="0005")
    reader = house.ask()
    slow = origin.expect()
    house.pass_time(3)
    assert reader.waits
    slow.reply(data(b"abcde", "0005"))

    assert reader.done().body == b"abcde"


def test_whose_write_is_held_does_not_wait_long_either() -> None:
    """U3."""
    house, origin = scripted()
    warm(house, origin)
    house.wrote("POST", 204, Stream_Next_Offset="0003")
    house.clock.move(61)
    reader = house.ask()
    origin.expect()
    house.pass_time(3)

    assert is_stale(reader)


def away_for_long(**options: object) -> tuple[House, ScriptedOrigin]:
    """``abc`` is held, and the origin was found to be away; it is not asked again."""
    house, origin = held_and_doubted(**SLOW, **options)
    asked = house.ask()
    origin.expect().answer(503, (), b"no")
    assert is_stale(asked) and is_stale(house.ask())
    origin.assert_quiet()
    return house, origin


def test_an_acknowledged_write_ends_the_pause_of_reads_too() -> None:
    """U7: without a follower, too. L4: who comes after it sees it, and is not told the
    time before it for the rest of the pause."""
    house, origin = away_for_long()
    house.wrote("POST", 204, Stream_Next_Offset="0005")
    crowd = [house.ask() for _ in range(3)]
    assert all(asked.waits for asked in crowd)
    origin.expect().reply(data(b"abcde", "0005"))

    assert [asked.done().body for asked in crowd] == [b"abcde"] * 3
    assert crowd[0].sink.header("Stream-Up-To-Date") == "true"
    origin.assert_quiet()


def test_a_write_ends_the_pause_of_reads_and_not_the_outage() -> None:
    """U7: an origin that takes writes and refuses reads is asked once for each write,
    and its pauses get longer."""
    house, origin = away_for_long()
    contact = house.hub.streams.obtain(house.key()).contact
    for failures in (2, 3):
        house.wrote("POST", 204, Stream_Next_Offset="0005")
        asked = house.ask()
        origin.expect().answer(503, (), b"no")
        assert is_stale(asked) and is_stale(house.ask())
        assert contact is not None and contact.read_failures == failures
    origin.assert_quiet()


@pytest.mark.parametrize(("method", "status"), [("PUT", 201), ("DELETE", 204)])
def test_a_create_or_a_delete_ends_the_pause_of_reads_too(
    method: str, status: int
) -> None:
    """U7: nobody is told that the origin is away, which has just done that."""
    house, origin = away_for_long()
    house.wrote(method, status)
    asked = house.ask("-1", Mode.HEAD)
    origin.expect().reply(head_answer("0000"))

    assert asked.done().status == 200


@pytest.mark.parametrize(
    ("method", "status", "extension"),
    [
        ("POST", None, ""),
        ("POST", 503, ""),
        ("POST", 204, "awareness=x"),
        ("PUT", None, ""),
        ("DELETE", 503, ""),
    ],
)
def test_a_write_that_shows_nothing_of_this_stream_ends_no_pause(
    method: str, status: int | None, extension: str
) -> None:
    """U5, U13."""
    house, origin = away_for_long()
    house.wrote(method, status, extension, Stream_Next_Offset="0900")
    house.ask("-1", Mode.HEAD).done()

    origin.assert_quiet()


# -- how long (U4) --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stale_for", "fields"),
    [
        (0.0, {}),
        (60.0, {}),
        (3600.0, {"cache_control": "must-revalidate"}),
        (3600.0, {"cache_control": "stale-if-error=60"}),
    ],
)
def test_what_may_not_go_out_stale_is_answered_by_the_status(
    stale_for: float, fields: dict[str, Any]
) -> None:
    route = Route(stale_for=stale_for)
    house, origin = scripted(routes=(route,))
    asked = house.ask()
    origin.expect().reply(data(b"abc", "0003", **fields))
    asked.done()
    house.clock.move(61)
    late = house.ask()
    origin.expect().answer(503, [("content-type", "text/plain")], b"sorry")

    assert (late.done().status, late.sink.body) == (503, b"sorry")


def test_a_credential_is_never_shown_stale_bytes() -> None:
    """U4, L14."""
    house, origin = scripted()
    key = house.key(partition=ALICE)
    asked = house.ask(key=key)
    origin.expect().reply(data(b"abc", "0003"))
    asked.done()
    house.clock.move(31)
    late = house.ask(key=key)
    origin.expect().answer(503, [("content-type", "text/plain")], b"sorry")

    assert (late.done().status, late.sink.body) == (503, b"sorry")


# -- followers slow down (U6, U7) -----------------------------------------------------


def fail_polls(
    origin: ScriptedOrigin, times: int, status: int, *fields: tuple[str, str]
) -> None:
    """The follower's polls fail, its reads before them work."""
    for _ in range(times):
        origin.expect(Purpose.CATCH_UP).reply(data(b"abc", "0003"))
        origin.expect(Purpose.FOLLOW).answer(status, fields, b"no")
        settle()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_only_a_poll_that_worked_ends_the_back_off_of_polls(status: int) -> None:
    """U6: the reads that check the end work each time, and prove nothing of polls."""
    house, origin = scripted(**QUICK)
    warm(house, origin)
    _, poll = watch(house, origin)
    poll.answer(status, (), b"no")
    fail_polls(origin, 4, status)
    stream = house.hub.streams.obtain(house.key())
    assert stream.contact is not None and stream.contact.poll_failures == 5
    origin.expect(Purpose.CATCH_UP).reply(data(b"abc", "0003"))
    origin.expect(Purpose.FOLLOW).reply(data(b"de", "0005"))
    settle()

    assert stream.contact is None


@pytest.mark.parametrize("status", [429, 503])
def test_nobody_who_comes_shortens_a_retry_after(status: int) -> None:
    """U7: no poll and no read of the end is sent; a crowd parks and is not told."""
    house, origin = scripted(**QUICK)
    warm(house, origin)
    viewer, poll = watch(house, origin)
    poll.answer(status, [("retry-after", "3600")], b"later")
    settle()
    crowd = [house.poll("0003") for _ in range(20)]
    tails = [house.ask("0003") for _ in range(20)]
    house.wrote("POST", 204, Stream_Next_Offset="0005")
    settle()

    assert viewer.waits and all(asked.waits for asked in crowd)
    for asked in tails:
        error = asked.done().error
        assert error is not None and error.status == 503
        assert error.reason is Reason.RETRY_AFTER and error.retry_after == 60
    assert is_stale(house.ask())
    origin.assert_quiet()


def test_a_retry_after_binds_neither_cold_reads_nor_other_streams() -> None:
    """U7: nor other partitions of the same stream."""
    house, origin = scripted()
    warm(house, origin)
    _, poll = watch(house, origin)
    poll.answer(429, [("retry-after", "3600")], b"later")
    settle()
    other = house.ask("0003", key=house.key("/v1/stream/b"))
    hers = house.ask("0003", key=house.key(partition=ALICE))
    for asked in (other, hers):
        origin.expect(Purpose.CATCH_UP).reply(data(b"", "0003"))
        assert asked.done().header("Stream-Up-To-Date") == "true"


def test_a_write_ends_a_back_off_once_for_each_pause() -> None:
    """U7."""
    house, origin = scripted(**SLOW)
    warm(house, origin)
    _, poll = watch(house, origin)
    poll.answer(503, (), b"no")
    settle()
    for _ in range(2):
        house.wrote("POST", 204, Stream_Next_Offset="0003")
        house.wrote("POST", 204, Stream_Next_Offset="0003")
        origin.expect(Purpose.CATCH_UP).answer(503, (), b"no")
        settle()
        origin.assert_quiet()


def test_a_follower_that_is_begun_anew_waits_for_what_the_last_one_waited_for() -> None:
    house, origin = scripted(linger=0.0, **SLOW)
    warm(house, origin)
    viewer, poll = watch(house, origin)
    poll.answer(503, (), b"no")
    settle()
    assert viewer.pending is not None
    viewer.pending.gone()
    house.pass_time(1)
    assert len(house.hub.followers) == 0
    house.hub.streams.obtain(house.key()).log.tail.confirm(house.clock.time)
    again = house.poll("0003")
    settle()

    assert again.waits
    origin.assert_quiet()


def test_a_call_that_was_never_made_says_nothing_of_the_origin() -> None:
    """U6: it casts no doubt on the stream (L7), and makes no pause longer."""
    house, origin = scripted(**QUICK)
    warm(house, origin)
    viewer, poll = watch(house, origin)
    poll.fail(NotAsked("no descriptor is left", reason=Reason.LIMIT_DESCRIPTORS))
    stream = house.hub.streams.obtain(house.key())
    settle()

    assert viewer.waits and not stream.log.tail.unverified
    assert stream.contact is not None and stream.contact.poll_failures == 0
    late = house.ask("0003")
    origin.expect(Purpose.CATCH_UP).fail(
        NotAsked("all connections are taken", reason=Reason.LIMIT_ORIGIN)
    )
    error = late.done().error
    assert error is not None
    assert (error.status, error.reason) == (503, Reason.LIMIT_ORIGIN)
    assert stream.contact.fault is None


def test_a_check_that_proves_nothing_is_not_repeated_at_once() -> None:
    """The follower would spin: its check was answered, and the doubt stands."""
    house, origin = scripted(**SLOW)
    warm(house, origin)
    viewer, poll = watch(house, origin)
    poll.cut()
    settle()
    house.wrote("POST", 204, Stream_Next_Offset="0003")
    call: Call = origin.expect(Purpose.CATCH_UP)
    assert call.request.target == f"{PATH}?offset=-1"
    call.reply(data(b"", "0000", up_to_date=False))
    settle()

    origin.assert_quiet()
    assert viewer.waits
