"""The follower: what it hides, when it begins and when it ends (L20, L21, L23, L24)."""

import pytest

from edge.core.values import Mode, Purpose
from origin_adapter.scripted import data, head_answer, no_content
from tests.live.support import ALICE, PATH, QUICK, scripted, settle, warm, watch
from tests.support.patience import PATIENCE


def test_now_becomes_an_offset_before_anybody_waits_there() -> None:
    """L20: ``now`` is never sent upstream with ``live``."""
    house, origin = scripted()
    viewers = [house.poll("now"), house.view("now")]
    origin.expect().reply(head_answer("0003"))
    poll = origin.expect(Purpose.FOLLOW)
    poll.reply(data(b"de", "0005"))
    settle()

    assert viewers[0].done().body == b"de"
    assert ("data", "de") in viewers[1].sink.events
    assert origin.targets()[:2] == [
        f"HEAD {PATH}",
        f"GET {PATH}?offset=0003&live=long-poll",
    ]


def test_now_on_a_closed_stream_is_answered_at_once() -> None:
    """E11: in all three ways."""
    house, origin = scripted()
    poll, view, read = house.poll("now"), house.view("now"), house.ask("now")
    for _ in range(2):
        call = origin.expect()
        if call.request.method == "HEAD":
            call.reply(head_answer("0003", closed=True))
        else:
            call.reply(data(b"", "0003", closed=True))

    assert (poll.done().status, poll.sink.header("Stream-Closed")) == (204, "true")
    assert view.done().events[-1][1]["streamClosed"] is True
    assert read.done().header("Stream-Closed") == "true"


def test_an_empty_stream_is_followed_at_the_offset_that_its_origin_minted() -> None:
    """L20: 204s and control events never say ``-1``."""
    house, origin = scripted(long_poll_timeout=10.0)
    poll, view = house.poll("-1"), house.view("-1")
    origin.expect().reply(head_answer("0000"))
    origin.expect(Purpose.CATCH_UP).reply(data(b"", "0000"))
    follow = origin.expect(Purpose.FOLLOW)
    assert follow.request.target == f"{PATH}?offset=0000&live=long-poll"
    house.pass_time(10.5)

    assert poll.done().header("Stream-Next-Offset") == "0000"
    assert view.sink.events[0][1]["streamNextOffset"] == "0000"


def test_a_live_read_behind_the_end_is_served_at_once_without_asking() -> None:
    """L20: with no claim, for nobody knows the tail now."""
    house, origin = scripted()
    warm(house, origin)
    sink = house.poll("-1").done()

    assert (sink.body, sink.how) == (b"abc", "hit")
    assert sink.header("Cache-Control") == "public, max-age=20"
    assert sink.header("Stream-Up-To-Date") is None
    assert len(origin.calls) == 1


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_failing_origin_is_hidden_from_those_who_wait(status: int) -> None:
    """L21: retried with back-off; the end is read again before it waits."""
    house, origin = scripted(**QUICK)
    viewer, poll = watch(house, origin)
    stream = house.view("0003")
    poll.answer(status, [("retry-after", "0")], b"sorry")
    origin.expect().answer(status, (), b"sorry")
    origin.expect().reply(data(b"", "0003"))
    origin.expect(Purpose.FOLLOW).reply(data(b"de", "0005"))

    assert viewer.done().body == b"de"
    settle()
    assert ("data", "de") in stream.sink.events
    assert house.counters.origin_faults["origin-status"] == 2


def test_broken_connections_and_broken_answers_are_hidden_too() -> None:
    house, origin = scripted(**QUICK)
    viewer, poll = watch(house, origin)
    poll.cut()
    half = origin.expect()
    half.head(200, [("stream-next-offset", "0005")], content_length=9)
    half.piece(b"de")
    half.cut()
    origin.expect().answer(200, (), b"no offset")
    origin.expect().reply(data(b"de", "0005"))

    assert viewer.done().body == b"de"
    assert house.counters.stores == 1
    assert dict(house.counters.origin_faults) == {
        "origin-unreachable": 1,
        "origin-body-cut": 1,
        "origin-no-next-offset": 1,
    }


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451])
def test_another_4xx_is_final_and_goes_to_all(status: int) -> None:
    """L21."""
    house, origin = scripted()
    viewer, poll = watch(house, origin)
    stream = house.view("0003")
    poll.answer(status, [("content-type", "text/plain")], b"no")

    assert (viewer.done().status, viewer.sink.body) == (status, b"no")
    assert stream.done().finished
    house.pass_time(1)
    assert len(origin.calls) == 2


def test_a_crowd_that_arrives_does_not_shorten_the_back_off() -> None:
    """L21: the origin is spared while it is down, whoever comes."""
    house, origin = scripted(backoff_first=1000.0, backoff_max=1000.0)
    _, poll = watch(house, origin)
    poll.cut()
    settle()
    house.poll("0003")
    origin.expect(Purpose.CATCH_UP).cut()
    settle()
    viewers = [house.poll("0003") for _ in range(5)]
    settle()

    assert all(viewer.waits for viewer in viewers)
    assert house.counters.follower_polls == 1
    origin.assert_quiet()


def test_once_the_origin_was_heard_again_the_follower_asks_at_once() -> None:
    house, origin = scripted(backoff_first=1000.0, backoff_max=1000.0)
    first, poll = watch(house, origin)
    poll.cut()
    settle()
    second = house.poll("0003")
    origin.expect(Purpose.CATCH_UP).reply(data(b"", "0003"))
    origin.expect(Purpose.FOLLOW).reply(data(b"de", "0005"))

    assert {first.done().body, second.done().body} == {b"de"}


def test_an_origin_that_does_not_hold_a_poll_is_not_asked_in_a_spin() -> None:
    """L21: it takes ``live`` for an unknown word, or holds nothing."""
    house, origin = scripted(backoff_first=1000.0, backoff_max=1000.0)
    viewer, poll = watch(house, origin)
    poll.reply(data(b"", "0003"))
    settle()
    origin.assert_quiet()

    assert viewer.waits
    assert house.counters.origin_faults["origin-spin"] == 1


def test_at_the_deadline_with_the_origin_away_it_is_204_without_the_claim() -> None:
    """L21: at the viewer's own offset."""
    house, origin = scripted(backoff_first=1000.0, long_poll_timeout=10.0)
    viewer, poll = watch(house, origin)
    poll.cut()
    settle()
    house.pass_time(10.5)

    assert viewer.done().status == 204
    assert viewer.sink.header("Stream-Next-Offset") == "0003"
    assert viewer.sink.header("Stream-Up-To-Date") is None


def test_a_poll_that_never_returns_keeps_nobody_beyond_the_deadline() -> None:
    """E16: and while it is armed, the claim is true."""
    house, origin = scripted(long_poll_timeout=10.0)
    viewer, _ = watch(house, origin)
    house.pass_time(10.5)

    assert viewer.done().header("Stream-Up-To-Date") == "true"


def test_one_who_waits_for_a_check_that_hangs_is_released_at_its_deadline() -> None:
    """L2, L21: it stands at a known offset; a 204 there is always true."""
    house, origin = scripted(long_poll_timeout=10.0)
    warm(house, origin)
    viewer, poll = watch(house, origin)
    poll.reply(no_content("0002"))
    check = origin.expect(Purpose.CATCH_UP)
    house.pass_time(10.5)

    assert viewer.done().status == 204
    assert viewer.sink.header("Stream-Next-Offset") == "0003"
    assert viewer.sink.header("Stream-Up-To-Date") is None
    check.reply(data(b"abc", "0003"))
    settle()
    assert len(origin.calls) == 4


def test_a_poll_older_than_the_origin_ever_held_one_proves_nothing() -> None:
    """L3: armed is no longer than the observed hold plus 5 s."""
    house, origin = scripted(hold=20.0, long_poll_timeout=30.0)
    viewer, _ = watch(house, origin)
    house.pass_time(31)

    assert viewer.done().status == 204
    assert viewer.sink.header("Stream-Up-To-Date") is None


def test_nobody_is_told_that_it_is_up_to_date_with_a_write_still_to_come() -> None:
    """E2: an ack beyond its offset is known by then."""
    house, origin = scripted(long_poll_timeout=10.0)
    viewer, _ = watch(house, origin)
    house.wrote("POST", 204, stream_next_offset="0005")
    house.pass_time(10.5)

    assert viewer.done().header("Stream-Up-To-Date") is None


def test_a_live_reader_outwaits_an_origin_that_is_down_when_it_comes() -> None:
    """L21: a retry within its own time-out hides the failure."""
    house, origin = scripted(**QUICK)
    viewer = house.poll("0003")
    origin.expect().cut()
    settle()
    assert viewer.waits
    house.pass_time(2)
    origin.expect().reply(head_answer("0003"))
    origin.expect(Purpose.FOLLOW).reply(data(b"de", "0005"))

    assert viewer.done().body == b"de"


@pytest.mark.parametrize("mode", [Mode.LONG_POLL, Mode.SSE])
def test_it_hears_of_the_failure_when_its_own_time_is_up(mode: Mode) -> None:
    house, origin = scripted(long_poll_timeout=5.0, sse_lifetime=5.0)
    viewer = house.ask("0003", mode)
    while viewer.waits:
        origin.expect().cut()
        settle()
        house.pass_time(2)

    error = viewer.sink.error
    assert error is not None and (error.status, error.retry_after) == (502, 1)
    assert len(origin.calls) <= 4


def test_a_short_ttl_is_not_kept_alive_by_re_arming_alone() -> None:
    """L23: followed only for parked viewers; a lingering poll is not re-armed."""
    house, origin = scripted()
    viewer = house.poll("0003")
    origin.expect().reply(head_answer("0003", ttl=30))
    # A HEAD renews nothing; the read that does goes first.
    origin.expect().reply(data(b"", "0003"))
    poll = origin.expect(Purpose.FOLLOW)
    assert viewer.pending is not None
    viewer.pending.gone()
    poll.reply(no_content("0003"))
    settle()

    origin.assert_quiet()
    assert len(origin.calls) == 3


def test_a_poll_under_a_ttl_outlasts_the_moment_in_which_its_crowd_comes_back() -> None:
    """L23: 1: its only viewer is served; 2: the next poll is on the wire, and the clock
    goes on; 3: the viewer comes back, and waits for that very poll."""
    house, origin = scripted(linger=5.0)
    viewer = house.poll("0003")
    origin.expect().reply(head_answer("0003", ttl=30))
    # A HEAD renews nothing; the read that does goes first.
    origin.expect().reply(data(b"", "0003"))
    origin.expect(Purpose.FOLLOW).reply(data(b"abc", "0006"))
    assert viewer.done().body == b"abc"
    poll = origin.expect(Purpose.FOLLOW)
    house.pass_time(0.3)
    again = house.poll("0006")
    poll.reply(data(b"def", "0009"))

    assert again.done().body == b"def"
    # Nobody comes back any more: it lingers, and is not sent again.
    last = origin.expect(Purpose.FOLLOW)
    house.pass_time(5.5)
    assert last.closed.wait(PATIENCE)
    settle()
    assert len(origin.calls) == 5


def test_reads_of_a_sliding_ttl_renew_it_at_the_origin() -> None:
    """L23, E7: at most a third of the TTL without an upstream read."""
    house, origin = scripted()
    viewer = house.poll("-1")
    origin.expect().reply(head_answer("0003", ttl=30))
    origin.expect().reply(data(b"abc", "0003"))
    assert viewer.done().header("Cache-Control") == "public, max-age=20"
    house.clock.move(9)
    first = house.ask()
    origin.expect().reply(data(b"", "0003"))
    assert first.done().body == b"abc"
    house.clock.move(11)
    reader = house.poll("-1")
    call = origin.expect(Purpose.CATCH_UP)
    assert "live" not in call.request.target
    call.reply(data(b"abc", "0003"))

    assert reader.done().body == b"abc"


def test_a_tail_read_often_is_followed_though_nobody_waits() -> None:
    """L24: 4 reads within a second; from then on its reads cost nothing."""
    house, origin = scripted()
    warm(house, origin)
    for _ in range(3):
        reader = house.ask()
        origin.expect(Purpose.CATCH_UP).reply(data(b"", "0003"))
        reader.done()
    poll = origin.expect(Purpose.FOLLOW)
    settle()
    readers = [house.ask().done() for _ in range(20)]

    assert {reader.how for reader in readers} == {"hit"}
    assert len(origin.calls) == 5
    house.pass_time(5.5)
    assert poll.closed.wait(PATIENCE)


def test_slow_reading_does_not_make_following() -> None:
    house, origin = scripted()
    warm(house, origin)
    for _ in range(8):
        house.clock.move(0.5)
        reader = house.ask()
        origin.expect(Purpose.CATCH_UP).reply(data(b"", "0003"))
        reader.done()
    settle()

    assert house.counters.follower_polls == 0


def test_a_credentials_tail_is_never_followed_for_reads_alone() -> None:
    """L24."""
    house, origin = scripted()
    for _ in range(8):
        reader = house.ask("0003", key=house.key(partition=ALICE))
        origin.expect(Purpose.CATCH_UP).reply(data(b"", "0003"))
        reader.done()
    settle()

    assert house.counters.follower_polls == 0


def test_a_follower_lingers_and_then_ends() -> None:
    house, origin = scripted(linger=5.0)
    viewer, poll = watch(house, origin)
    assert viewer.pending is not None
    viewer.pending.gone()
    house.pass_time(4)
    assert not poll.closed.is_set()
    assert house.poll("0003").waits and len(origin.calls) == 2

    house, origin = scripted(linger=5.0)
    viewer, poll = watch(house, origin)
    assert viewer.pending is not None
    viewer.pending.gone()
    house.pass_time(5.5)
    assert poll.closed.wait(PATIENCE)
    assert len(house.hub.followers) == 0


@pytest.mark.parametrize("mode", [Mode.LONG_POLL, Mode.SSE])
def test_above_the_cap_followers_without_viewers_go_first(mode: Mode) -> None:
    """L24: then a live read is refused; it is never shared silently less. An event
    stream, too: before its head, and with a Retry-After."""
    house, origin = scripted(max_followers=1)
    viewer, poll = watch(house, origin)
    for refusals in (1, 2):
        refused = house.ask("0003", mode, key=house.key("/v1/stream/b"))
        if refusals == 1:
            origin.expect().reply(head_answer("0003"))
        error = refused.done().error
        assert error is not None and error.status == 503 and error.retry_after
        assert error.reason.value == "limit-followers"
        assert refused.sink.answer is None
        assert house.counters.refusals["limit-followers"] == refusals

    assert viewer.pending is not None
    viewer.pending.gone()
    other = house.ask("0003", Mode.LONG_POLL, key=house.key("/v1/stream/b"))
    settle()
    assert poll.closed.is_set()
    origin.expect(Purpose.FOLLOW).reply(data(b"de", "0005"))
    assert other.done().body == b"de"


def test_above_the_cap_a_read_costs_a_delta_and_is_not_refused() -> None:
    house, origin = scripted(max_followers=0)
    warm(house, origin)
    for _ in range(8):
        reader = house.ask()
        origin.expect(Purpose.CATCH_UP).reply(data(b"", "0003"))
        assert reader.done().body == b"abc"

    assert not house.counters.refusals


def test_polls_echo_the_origins_last_cursor() -> None:
    """L22: never a client's."""
    house, origin = scripted()
    viewer, poll = watch(house, origin)
    house.poll("0003", cursor=999)
    poll.reply(data(b"de", "0005", cursor=42))
    viewer.done()

    target = origin.expect(Purpose.FOLLOW).request.target
    assert target == f"{PATH}?offset=0005&live=long-poll&cursor=42"
