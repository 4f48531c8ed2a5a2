"""An edge before an edge: how old its answers are, what its silence says (U8, U9)."""

from typing import Any

import pytest

from edge.core.errors import NotAsked
from edge.core.reasons import Reason
from edge.core.values import Mode, OriginAnswer, Purpose
from edge.policy.streams.routes import Route
from origin_adapter.scripted import ScriptedOrigin, data, head_answer, no_content
from tests.live.support import (
    ALICE,
    PATH,
    QUICK,
    Asked,
    House,
    scripted,
    settle,
    warm,
    watch,
)
from tests.support.options import rules

SLOW = {"backoff_first": 1000.0, "backoff_max": 1000.0}
"""A back-off that does not end within a story."""


def age_of(asked: Asked) -> int | None:
    per_response = asked.done().per_response
    assert per_response is not None
    return per_response.age


def behind(house: House, origin: ScriptedOrigin) -> None:
    """The edge holds ``abc`` and ``de`` as two ranges, and a page is one of them."""
    warm(house, origin)
    asked = house.ask("0003")
    origin.expect().reply(data(b"de", "0005"))
    asked.done()


# -- ages count through tiers (L6, L16, U9) -------------------------------------------


def test_an_age_counts_on_from_where_the_tier_above_began() -> None:
    house, origin = scripted(rules=rules(max_page=3))
    asked = house.ask()
    origin.expect().reply(data(b"abc", "0003", up_to_date=False, age="50"))
    asked.done()
    asked = house.ask("0003")
    origin.expect().reply(data(b"de", "0005", age="40"))
    assert age_of(asked) == 40
    house.clock.move(19)

    first = house.ask()
    assert (age_of(first), first.sink.how) == (59, "hit")
    house.clock.move(2)
    house.ask()
    assert origin.expect().request.target == f"{PATH}?offset=0003"


def test_a_stale_answer_tells_its_true_age() -> None:
    house, origin = scripted(**SLOW)
    warm(house, origin)
    house.clock.move(100)
    first = house.ask()
    origin.expect().cut()

    assert age_of(first) == 100
    house.clock.move(5)
    assert age_of(house.ask()) == 105


def test_an_answer_that_is_older_than_it_may_be_kept_is_fresh_to_nobody() -> None:
    """L16: Age stays below max-age, and is the true one."""
    house, origin = scripted(rules=rules(max_page=3))
    behind(house, origin)
    house.clock.move(45)
    live = house.poll("-1")
    asked = house.ask(key=house.key("/v1/stream/b"))
    origin.expect().reply(data(b"abc", "0003", up_to_date=False, age="300"))
    again = house.ask("0003", key=house.key("/v1/stream/b"))
    origin.expect().reply(data(b"de", "0005"))
    again.done()
    old = house.ask(key=house.key("/v1/stream/c"))
    origin.expect().reply(data(b"abcde", "0005", closed=True, age="300"))

    assert age_of(live) == 45
    expired = "public, max-age=0, must-revalidate"
    assert live.sink.header("Cache-Control") == expired
    assert age_of(asked) == 300
    assert age_of(old) == 300
    assert old.sink.header("Cache-Control") == expired


def test_the_end_of_a_closed_stream_tells_its_age_too() -> None:
    """A tier below must not take it for said just now. In doubt nobody keeps it."""
    house, origin = scripted()
    asked = house.ask()
    origin.expect().reply(data(b"abc", "0003", closed=True, age="20"))
    asked.done()
    assert age_of(house.ask("0003")) == 20
    assert age_of(house.ask("0003")) == 20
    house.clock.move(1)
    assert age_of(house.ask("0003")) == 21
    head = house.ask(mode=Mode.HEAD)
    origin.expect().reply(head_answer("0003", closed=True, age="7"))
    assert age_of(head) == 7


def test_an_answer_for_its_asker_alone_has_its_own_age() -> None:
    """L1: it is not the log's."""
    house, origin = scripted()
    warm(house, origin)
    guess = house.ask("0001")
    origin.expect().reply(data(b"bc", "0002", up_to_date=False, age="9"))

    assert (guess.done().body, age_of(guess)) == (b"bc", 9)


@pytest.mark.parametrize("age", ["-5", "soon", "", "1.5"])
def test_an_age_that_is_none_is_passed_over(age: str) -> None:
    house, origin = scripted()
    asked = house.ask()
    origin.expect().reply(data(b"abc", "0003", age=age))

    assert age_of(asked) == 0


def test_a_huge_age_is_the_largest_there_is() -> None:
    house, origin = scripted()
    asked = house.ask()
    origin.expect().reply(data(b"abc", "0003", age="9" * 40))

    assert age_of(asked) == 2**31


def test_at_an_age_of_verify_only_who_asked_is_served_without_asking_again() -> None:
    """U9."""
    house, origin = scripted(rules=rules(max_page=3))
    behind(house, origin)
    house.clock.move(61)
    crowd = [house.ask() for _ in range(3)]
    origin.expect().reply(data(b"de", "0005", age="60"))
    assert [asked.done().body for asked in crowd] == [b"abc"] * 3
    assert age_of(crowd[0]) == 60
    house.clock.move(0.5)
    late = house.ask()
    origin.expect().reply(data(b"de", "0005", age="0"))

    assert (late.done().body, age_of(late)) == (b"abc", 0)


def test_a_statement_from_before_a_doubt_serves_who_asked_and_ends_no_doubt() -> None:
    """U9: what a tier heard before contact was lost says nothing of the time since."""
    house, origin = scripted(rules=rules(max_page=3), linger=0.0, **SLOW)
    behind(house, origin)
    viewer, poll = watch(house, origin, "0005")
    poll.cut()
    settle()
    house.clock.move(2)
    asker = house.ask()
    origin.expect(Purpose.CATCH_UP).reply(data(b"de", "0005", age="10"))
    assert (asker.done().body, age_of(asker)) == (b"abc", 2)
    # News for the follower, which asks once for itself.
    origin.expect(Purpose.CATCH_UP).reply(data(b"de", "0005", age="10"))
    settle()
    later = house.ask()
    origin.expect(Purpose.CATCH_UP).reply(data(b"de", "0005", age="1"))
    assert (later.done().body, age_of(later)) == (b"abc", 1)

    assert house.ask().done().how == "hit"
    assert viewer.waits


def test_a_follower_whose_check_brings_an_old_statement_does_not_spin() -> None:
    """It backs off, and polls again once the doubt is over."""
    house, origin = scripted(**QUICK)
    behind(house, origin)
    viewer, poll = watch(house, origin, "0005")
    poll.cut()
    for age in ("10", "5"):
        check = origin.expect(Purpose.CATCH_UP)
        assert check.request.target == f"{PATH}?offset=0003"
        check.reply(data(b"de", "0005", age=age))
    stream = house.hub.streams.obtain(house.key())
    settle()
    assert stream.contact is not None and stream.contact.poll_failures == 3
    origin.expect(Purpose.CATCH_UP).reply(data(b"de", "0005"))
    origin.expect(Purpose.FOLLOW).reply(data(b"f", "0006"))

    assert viewer.done().body == b"f"


# -- a 204 without a claim (U8) -------------------------------------------------------

SHIELD = "ds-edge/shield; fwd=miss; collapsed; detail=followed"


def silence(end: str, **fields: Any) -> OriginAnswer:
    """How a poll ends at an origin that does not know whether that is all."""
    return no_content(end, up_to_date=False, **fields)


def claims(asked: Asked) -> bool:
    return asked.done().header("Stream-Up-To-Date") is not None


def test_a_silence_is_no_claim_confirms_nothing_and_does_not_arm() -> None:
    """The next poll is on the wire, and still each read of the end asks."""
    house, origin = scripted()
    behind(house, origin)
    viewer, poll = watch(house, origin, "0005")
    house.clock.move(30)
    assert claims(house.ask("0005"))
    poll.reply(silence("0005"))
    poll = origin.expect(Purpose.FOLLOW)
    house.clock.move(20)
    tail = house.ask()
    origin.expect(Purpose.CATCH_UP).reply(data(b"", "0005", up_to_date=False))

    assert tail.done().body == b"abcde" and not claims(tail)
    assert viewer.waits
    house.clock.move(61)
    house.ask()
    assert origin.expect(Purpose.CATCH_UP).request.target == f"{PATH}?offset=0003"


@pytest.mark.parametrize("word", [no_content("0005"), data(b"f", "0006")])
def test_a_claim_or_data_arms_again(word: OriginAnswer) -> None:
    house, origin = scripted()
    behind(house, origin)
    _, poll = watch(house, origin, "0005")
    house.view("0005")
    for answer in (silence("0005"), silence("0005"), word):
        house.clock.move(20)
        poll.reply(answer)
        poll = origin.expect(Purpose.FOLLOW)

    assert claims(house.ask())


def test_viewers_of_an_origin_that_never_claims_are_followed_without_claims() -> None:
    """Event streams too: where they stand is told, and no more."""
    house, origin = scripted(long_poll_timeout=10.0)
    behind(house, origin)
    viewer, poll = watch(house, origin, "0005")
    house.clock.move(5)
    poll.reply(silence("0005"))
    origin.expect(Purpose.FOLLOW)
    view = house.view("0005")
    house.pass_time(5)

    assert viewer.done().status == 204 and not claims(viewer)
    (kind, control), *more = view.sink.events
    assert kind == "control" and "upToDate" not in control and not more
    assert house.counters.origin_requests["catch-up"] == 3


def test_a_closure_is_a_claim_by_itself() -> None:
    house, origin = scripted()
    behind(house, origin)
    viewer, poll = watch(house, origin, "0005")
    poll.reply(silence("0005", stream_closed="true"))

    assert viewer.done().header("Stream-Closed") == "true"


def test_a_silent_edge_may_have_lost_its_origin_and_found_another_stream() -> None:
    """L7: so the end is checked before the next poll. Only of an edge: other origins
    that never claim are polled on."""
    house, origin = scripted()
    behind(house, origin)
    viewer, poll = watch(house, origin, "0005")
    house.clock.move(30)
    poll.reply(silence("0005", cache_status=SHIELD))
    check = origin.expect(Purpose.CATCH_UP)
    assert check.request.target == f"{PATH}?offset=0003"
    check.reply(data(b"XYZ", "0006", cache_status="ds-edge/shield; fwd=miss"))
    settle()

    assert house.counters.drops["bytes-differ"] == 1
    assert viewer.waits


def test_an_edge_that_is_silent_at_once_is_not_asked_in_a_spin() -> None:
    house, origin = scripted(**SLOW)
    warm(house, origin)
    viewer, poll = watch(house, origin)
    poll.reply(silence("0003", cache_status=SHIELD))
    settle()

    origin.assert_quiet()
    assert viewer.waits
    assert house.counters.origin_faults[Reason.ORIGIN_STALE.value] == 1


def test_a_read_that_is_answered_by_a_silence_was_not_answered() -> None:
    house, origin = scripted()
    warm(house, origin)
    asked = house.ask("0003")
    origin.expect(Purpose.CATCH_UP).reply(silence("0003"))

    error = asked.done().error
    assert error is not None and error.reason is Reason.ORIGIN_GARBAGE


# -- what an edge serves while its own origin is away (U9) ----------------------------

BY_SHIELD = "ds-edge/shield; hit; detail=stale"


def stale(body: bytes, end: str, age: str = "90", **fields: Any) -> OriginAnswer:
    """As the tier above answers while its own origin is away."""
    fields = {"cache_control": "no-store", "cache_status": BY_SHIELD, **fields}
    return data(body, end, up_to_date=False, age=age, **fields)


def is_stale(asked: Asked, body: bytes) -> bool:
    sink = asked.done()
    said = ("Stream-Up-To-Date", "Stream-Closed", "ETag")
    assert (sink.status, sink.body) == (200, body)
    assert sink.header("Cache-Control") == "no-store"
    assert [name for name in said if sink.header(name)] == []
    return sink.how.endswith("stale") and sink.above == BY_SHIELD


def test_held_bytes_go_out_stale_below_an_edge_that_lost_its_origin() -> None:
    """Everybody at once: nobody asks a second time, and the age is the true one."""
    house, origin = scripted(rules=rules(max_page=3), **SLOW)
    behind(house, origin)
    house.clock.move(90)
    crowd = [house.ask() for _ in range(3)]
    origin.expect().reply(stale(b"de", "0005"))
    late = house.ask("0003")

    assert all(is_stale(asked, b"abc") for asked in crowd)
    assert is_stale(late, b"de")
    assert [age_of(asked) for asked in (*crowd, late)] == [90] * 4
    assert house.counters.origin_faults["origin-stale"] == 1
    assert sum(house.counters.drops.values()) == 0
    origin.assert_quiet()


def test_what_only_the_tier_above_holds_goes_out_stale_too() -> None:
    """A cold read: its bytes are held here from then on, and are as old as there."""
    house, origin = scripted(**SLOW)
    crowd = [house.ask() for _ in range(3)]
    origin.expect().reply(stale(b"abc", "0003"))
    assert all(is_stale(asked, b"abc") for asked in crowd)
    house.clock.move(5)
    late = house.ask()

    assert is_stale(late, b"abc") and age_of(late) == 95
    origin.assert_quiet()


def test_it_may_grow_the_log_and_confirms_nothing() -> None:
    """Its bytes join by proof. Viewers get them, and are told nothing of the end."""
    house, origin = scripted(rules=rules(max_page=3), **QUICK)
    behind(house, origin)
    viewer, poll = watch(house, origin, "0005")
    idle = house.poll("0005")
    poll.cut()
    origin.expect(Purpose.CATCH_UP).reply(stale(b"def", "0006"))
    stream = house.hub.streams.obtain(house.key())

    assert is_stale(viewer, b"f") and is_stale(idle, b"f")
    assert stream.log.tail.unverified and stream.log.tail.offset == "0005"
    end = house.poll("0006")
    for _ in range(2):
        origin.expect(Purpose.CATCH_UP).reply(stale(b"f", "0006"))
    settle()
    assert end.waits
    origin.expect(Purpose.CATCH_UP).reply(data(b"f", "0006"))
    origin.expect(Purpose.FOLLOW).reply(data(b"g", "0007"))

    assert end.done().body == b"g" and not end.sink.how.endswith("stale")


def test_what_was_fresh_a_moment_ago_is_in_doubt_from_then_on() -> None:
    """As after a poll that failed: also where a reader need not have asked."""
    house, origin = scripted(rules=rules(max_page=3), **SLOW)
    behind(house, origin)
    end = house.ask("0003")
    origin.expect().reply(stale(b"", "0005", age="2"))

    assert is_stale(end, b"de") and age_of(end) == 0
    assert is_stale(house.ask(), b"abc")


def test_in_doubt_a_range_from_the_end_does_not_join() -> None:
    """L7: a later check would look at these bytes alone.

    1: a read is sent from the end; 2: contact is lost; 3: it is answered.
    """
    house, origin = scripted(rules=rules(max_page=3), linger=0.0, **SLOW)
    behind(house, origin)
    stream = house.hub.streams.obtain(house.key())
    asked = house.ask("0003")
    delta = origin.expect()
    stream.log.tail.mark_unverified(house.clock.time)
    delta.reply(stale(b"f", "0006"))

    assert is_stale(asked, b"de") and stream.log.end == "0005"


def test_a_poll_that_is_answered_stale_makes_nobody_ask() -> None:
    """Viewers get what the tier above holds; the follower pauses."""
    house, origin = scripted(**SLOW)
    warm(house, origin)
    viewer, poll = watch(house, origin)
    poll.reply(stale(b"de", "0005"))

    assert is_stale(viewer, b"de")
    assert is_stale(house.ask(), b"abcde")
    settle()
    origin.assert_quiet()


@pytest.mark.parametrize("answer", [stale(b"XY", "0005"), stale(b"dX", "0005")])
def test_other_bytes_end_no_incarnation(answer: OriginAnswer) -> None:
    """Who is right, the origin alone knows: each goes on with its own."""
    house, origin = scripted(rules=rules(max_page=3), **SLOW)
    behind(house, origin)
    house.clock.move(90)
    asked, end = house.ask(), house.ask("0003")
    origin.expect().reply(answer)

    assert is_stale(asked, b"abc") and is_stale(end, b"de")
    assert sum(house.counters.drops.values()) == 0


def test_what_cannot_be_joined_serves_its_asker_stale() -> None:
    """L1: from an offset that nothing here holds."""
    house, origin = scripted(**SLOW)
    warm(house, origin)
    guess = house.ask("0001")
    origin.expect().reply(stale(b"Z", "0002"))

    assert is_stale(guess, b"Z") and age_of(guess) == 90
    assert house.hub.streams.obtain(house.key()).log.page("-1", 99) is not None


def test_bytes_beyond_a_closed_end_are_another_streams() -> None:
    """L4: and they are not taken for a moment."""
    house, origin = scripted(**SLOW)
    asked = house.ask()
    origin.expect().reply(data(b"abc", "0003", closed=True))
    asked.done()
    house.clock.move(61)
    late = house.ask()
    origin.expect().reply(stale(b"abcde", "0005"))
    stream = house.hub.streams.obtain(house.key())

    assert is_stale(late, b"abc") and stream.log.end == "0003"


def test_a_credential_is_not_shown_what_an_edge_serves_stale() -> None:
    """L14: to whomever that edge shows it."""
    house, origin = scripted()
    key = house.key(partition=ALICE)
    for offset, body, end in (("-1", b"abc", "0003"), ("0001", b"Z", "0002")):
        asked = house.ask(offset, key=key)
        origin.expect().reply(stale(body, end))
        error = asked.done().error
        assert error is not None and error.status == 502
        assert error.reason is Reason.ORIGIN_STALE


def test_what_is_too_old_here_is_not_shown_however_long_the_tier_above_would() -> None:
    """U4: the route's own ``stale_for``."""
    house, origin = scripted(routes=(Route(stale_for=60.0),))
    asked, guess = house.ask(), house.ask("0001")
    for body, end in ((b"abc", "0003"), (b"Z", "0002")):
        origin.expect().reply(stale(body, end))

    for refused in (asked, guess):
        error = refused.done().error
        assert error is not None and error.reason is Reason.ORIGIN_STALE


def test_below_an_edge_its_own_must_revalidate_forbids_nothing() -> None:
    """U4: so it says of each tail (L16). Of another origin it does forbid."""
    house, origin = scripted(**SLOW)
    forbids = "public, max-age=0, must-revalidate"
    shield = "ds-edge/shield; hit"
    asked = house.ask()
    origin.expect().reply(
        data(b"abc", "0003", cache_control=forbids, cache_status=shield)
    )
    asked.done()
    house.clock.move(61)
    late = house.ask()
    origin.expect().answer(503, [("cache-status", BY_SHIELD)], b"no")

    assert is_stale(late, b"abc")


# -- edges below are told (U8, U9) ----------------------------------------------------

POP = ("a1",)


def a_pop(house: House, at: str) -> Asked:
    """The poll of an edge below."""
    return house.ask(at, Mode.LONG_POLL, hops=POP)


def is_silent(asked: Asked) -> bool:
    return asked.done().status == 204 and not claims(asked)


def fails_by(origin: ScriptedOrigin) -> list[Any]:
    return [
        lambda poll: poll.cut(),
        lambda poll: poll.answer(503, (), b"no"),
        lambda poll: poll.answer(429, [("retry-after", "60")], b"no"),
        lambda poll: poll.fail(NotAsked("the origin is down")),
        lambda poll: poll.reply(no_content("0003")),
    ]


@pytest.mark.parametrize("way", range(5))
def test_an_edge_that_polls_is_told_when_no_poll_waits_for_it_above(way: int) -> None:
    """Its own claims hang on this silence. Clients and event streams go on waiting."""
    house, origin = scripted(**SLOW)
    warm(house, origin)
    client, poll = watch(house, origin)
    pop, view = a_pop(house, "0003"), house.ask("0003", Mode.SSE, hops=POP)
    assert pop.waits
    fails_by(origin)[way](poll)

    assert is_silent(pop)
    assert pop.sink.header("Stream-Next-Offset") == "0003"
    assert client.waits and view.waits
    assert house.counters.viewers_ended["contact-lost"] == 1


def test_an_edge_that_polls_is_not_parked_while_the_origin_is_away() -> None:
    house, origin = scripted(**SLOW)
    warm(house, origin)
    house.clock.move(61)
    first, pop = house.ask("0003"), a_pop(house, "0003")
    origin.expect(Purpose.CATCH_UP).answer(503, (), b"no")
    first.done()
    assert is_silent(pop)

    assert is_silent(a_pop(house, "0003"))
    assert house.poll("0003").waits


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_an_edge_that_polls_is_told_when_another_stream_begins(method: str) -> None:
    """L5, L7: it would join the new one's tail to what it holds."""
    house, origin = scripted()
    warm(house, origin)
    client, _ = watch(house, origin)
    pop = a_pop(house, "0003")
    house.wrote(method, 201 if method == "PUT" else 204)

    assert is_silent(pop) and client.waits


def test_in_the_good_times_an_edge_waits_like_a_client() -> None:
    house, origin = scripted()
    warm(house, origin)
    client, poll = watch(house, origin)
    pop = a_pop(house, "0003")
    house.clock.move(30)
    poll.reply(no_content("0003"))
    origin.expect(Purpose.FOLLOW).reply(data(b"de", "0005"))

    assert pop.done().body == client.done().body == b"de"
    assert claims(pop)
