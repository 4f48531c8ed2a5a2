"""Nothing is served from a log that nobody confirmed (L6, L7, L14; E5, E27)."""

from dataclasses import replace

import pytest

from edge.core.values import DIRECT, Mode, OriginAnswer, Provenance, Purpose
from origin_adapter.scripted import ScriptedOrigin, data, head_answer, no_content
from tests.live.support import (
    ALICE,
    PATH,
    QUICK,
    House,
    scripted,
    settle,
    warm,
    watch,
)
from tests.support.options import rules


def behind(house: House, origin: ScriptedOrigin) -> None:
    """The edge holds ``abc`` and ``de`` as two ranges."""
    warm(house, origin)
    asked = house.ask("0003")
    origin.expect().reply(data(b"de", "0005"))
    asked.done()


def test_within_verify_a_held_range_is_served_without_asking() -> None:
    house, origin = scripted(rules=rules(max_page=3))
    behind(house, origin)
    house.clock.move(59)
    page = house.ask().done()

    assert (page.body, page.how) == (b"abc", "hit")
    assert page.per_response is not None and page.per_response.age == 59
    assert page.per_response.status.ttl == 1
    assert len(origin.calls) == 2


def test_after_verify_one_shared_read_of_the_end_goes_first() -> None:
    """L7: it begins before the end, so that other bytes would be seen."""
    house, origin = scripted(rules=rules(max_page=3))
    behind(house, origin)
    house.clock.move(61)
    readers = [house.ask() for _ in range(5)]
    probe = origin.expect()
    assert probe.request.target == f"{PATH}?offset=0003"
    probe.reply(data(b"de", "0005"))

    assert {reader.done().body for reader in readers} == {b"abc"}
    assert {r.sink.per_response.age for r in readers if r.sink.per_response} == {0}
    assert readers[0].sink.how == "fwd=stale unconfirmed"
    assert readers[1].sink.how == "fwd=stale collapsed unconfirmed"
    assert len(origin.calls) == 3


def test_a_longer_stream_that_was_created_anew_is_found_by_its_bytes() -> None:
    """L7: a delta from the end would be answered just as well."""
    house, origin = scripted(rules=rules(max_page=3))
    behind(house, origin)
    house.clock.move(61)
    reader = house.ask()
    origin.expect().reply(data(b"YZ!", "0006"))
    again = origin.expect()
    assert again.request.target == f"{PATH}?offset=-1"
    again.reply(data(b"WXYZ!", "0006"))

    assert reader.done().body == b"WXYZ!"
    assert house.counters.drops["bytes-differ"] == 1


def test_after_a_broken_poll_the_follower_reads_the_end_again() -> None:
    """L7: after lost contact; the next poll waits only once it matched."""
    house, origin = scripted(**QUICK)
    behind(house, origin)
    viewer, poll = watch(house, origin, "0005")
    poll.cut()
    probe = origin.expect()
    assert probe.request.target == f"{PATH}?offset=0003"
    probe.reply(data(b"de", "0005"))
    poll = origin.expect(Purpose.FOLLOW)
    poll.reply(data(b"f", "0006"))

    assert viewer.done().body == b"f"


def test_a_stream_recreated_while_contact_was_lost_is_not_joined_to_the_old() -> None:
    house, origin = scripted(**QUICK)
    behind(house, origin)
    viewer, poll = watch(house, origin, "0005")
    poll.cut()
    origin.expect().reply(data(b"DEF", "0006"))
    settle()

    assert house.counters.drops["bytes-differ"] == 1
    assert viewer.waits
    origin.expect().reply(head_answer("0006"))
    # What lies at its offset is the new stream's own answer, not the old log's.
    origin.expect().reply(data(b"F", "0006"))
    assert viewer.done().body == b"F"


def test_while_the_origin_is_away_held_ranges_go_out_without_claims() -> None:
    """L6: as stale, no-store, and saying so."""
    house, origin = scripted()
    warm(house, origin)
    house.clock.move(61)
    readers = [house.ask() for _ in range(3)]
    origin.expect().cut()

    for reader in readers:
        sink = reader.done()
        assert sink.body == b"abc"
        assert sink.header("Cache-Control") == "no-store"
        assert sink.header("Stream-Up-To-Date") is None
        assert sink.header("ETag") is None
        assert "stale" in sink.how
    assert house.counters.answers["stale"] == 3


def test_a_failed_delta_over_a_held_range_hides_the_failure() -> None:
    """L21: the range without claims."""
    house, origin = scripted()
    warm(house, origin)
    reader = house.ask()
    origin.expect().cut()

    assert reader.done().body == b"abc"
    assert reader.sink.header("Stream-Up-To-Date") is None


def test_a_credential_is_shown_nothing_that_the_origin_cannot_confirm() -> None:
    """L14: the origin is the judge there."""
    house, origin = scripted()
    key = house.key(partition=ALICE)
    first = house.ask(key=key)
    origin.expect().reply(data(b"abc", "0003"))
    first.done()
    house.clock.move(31)
    again = house.ask(key=key)
    origin.expect().cut()

    assert again.done().error is not None
    assert again.sink.error is not None and again.sink.error.status == 502
    assert again.sink.error.retry_after == 1


@pytest.mark.parametrize(("trust", "asks"), [(30.0, 0), (5.0, 1), (0.0, 1)])
def test_trust_is_how_long_the_judge_is_believed(trust: float, asks: int) -> None:
    """L14: 0 means to ask always."""
    house, origin = scripted(rules=rules(trust=trust, max_page=3))
    key = house.key(partition=ALICE)
    for offset, body, end in (("-1", b"abc", "0003"), ("0003", b"de", "0005")):
        asked = house.ask(offset, key=key)
        origin.expect().reply(data(body, end))
        asked.done()
    house.clock.move(6)
    reader = house.ask(key=key)
    assert len(origin.calls) - 2 == 0
    settle()
    assert len(origin.calls) - 2 == asks
    if asks:
        origin.expect().reply(data(b"de", "0005"))

    assert reader.done().body == b"abc"
    control = reader.sink.header("Cache-Control")
    assert control is not None
    assert control.startswith("private") or control == "no-store"


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_ends_the_partition_and_its_viewers(status: int) -> None:
    """L14: by a read; the next one begins from nothing."""
    house, origin = scripted(rules=rules(trust=5.0))
    key = house.key(partition=ALICE)
    viewer = house.ask("0003", Mode.LONG_POLL, key=key)
    stream = house.ask("0003", Mode.SSE, key=key)
    other = house.poll("0003")
    for call in (origin.expect(), origin.expect()):
        call.reply(head_answer("0003"))
    polls = [origin.expect(Purpose.FOLLOW), origin.expect(Purpose.FOLLOW)]
    house.clock.move(6)
    reader = house.ask("0003", key=key)
    origin.expect(Purpose.CATCH_UP).answer(status, (), b"no")

    assert (reader.done().status, reader.sink.body) == (status, b"no")
    assert viewer.done().status == status
    assert stream.done().finished
    assert other.waits
    assert [poll.closed.is_set() for poll in polls].count(True) <= 1
    settle()
    assert [poll.closed.is_set() for poll in polls].count(True) == 1
    house.ask("0003", key=key)
    assert origin.expect().request.purpose is Purpose.CATCH_UP


def test_a_poll_that_is_refused_ends_the_partition_too() -> None:
    house, origin = scripted()
    key = house.key(partition=ALICE)
    viewer = house.ask("0003", Mode.LONG_POLL, key=key)
    origin.expect().reply(head_answer("0003"))
    origin.expect(Purpose.FOLLOW).answer(403, (), b"no")

    assert viewer.done().status == 403
    assert house.counters.drops["refused"] == 1


def test_a_refusal_ends_viewers_that_wait_for_the_answer_themselves() -> None:
    """L14: one read, and not one of each viewer's own. A HEAD has no say (U12)."""
    house, origin = scripted()
    key = house.key(partition=ALICE)
    crowd = [house.ask("0003", Mode.LONG_POLL, key=key) for _ in range(3)]
    origin.expect(Purpose.CATCH_UP).reply(head_answer("0003"))
    origin.expect(Purpose.FOLLOW)
    settle()
    house.wrote("PUT", 201)
    for method in ("HEAD", "GET"):
        call = origin.expect(Purpose.CATCH_UP)
        assert call.request.method == method
        call.answer(403, (), b"no")

    assert [viewer.done().status for viewer in crowd] == [403] * 3
    settle()
    origin.assert_quiet()


def test_a_signed_address_that_has_expired_is_the_origins_to_judge() -> None:
    """L14: an expiry caps everything; past it the read passes alone."""
    house, origin = scripted()
    warm(house, origin)
    reader = house.ask(expires_at=house.clock.wall() - 1)
    relay = origin.expect(Purpose.RELAY)
    relay.answer(403, (), b"expired")

    assert reader.done().status == 403
    assert house.counters.passes["expired-credential"] == 1


def test_an_armed_poll_keeps_a_followed_stream_confirmed_and_young() -> None:
    """L6, L16: Age is 0 while followed."""
    house, origin = scripted()
    behind(house, origin)
    viewer, poll = watch(house, origin, "0005")
    house.clock.move(30)
    poll.reply(no_content("0005"))
    origin.expect(Purpose.FOLLOW)
    house.clock.move(30)
    sink = house.ask().done()

    assert sink.body == b"abcde" and sink.how == "hit"
    assert sink.per_response is not None and sink.per_response.age == 0
    assert sink.header("Stream-Up-To-Date") == "true"
    assert viewer.waits


# What answered for the origin


def aged(seconds: float, age: float = 0.0) -> OriginAnswer:
    """``de``, which its origin confirmed so long ago: a tier answered for it."""
    return replace(data(b"de", "0005"), provenance=Provenance(age, seconds))


def test_an_answer_confirmed_before_it_came_is_as_old_here() -> None:
    """L6, L16: Age and ``verify`` count from the origin's own word."""
    house, origin = scripted(rules=rules(max_page=3))
    behind(house, origin)
    house.clock.move(61)
    crowd = [house.ask() for _ in range(2)]
    origin.expect().reply(aged(10.0))
    for page in crowd:
        per_response = page.done().per_response
        assert per_response is not None and per_response.age == 10

    house.clock.move(49)
    hit = house.ask().done()
    assert hit.how == "hit"
    assert hit.per_response is not None and hit.per_response.age == 59
    house.clock.move(2)
    house.ask()
    origin.expect().reply(data(b"de", "0005"))


def test_a_head_confirms_as_of_when_its_origin_did() -> None:
    house, origin = scripted()
    house.ask(mode=Mode.HEAD)
    told = replace(head_answer("0003"), provenance=Provenance(confirmed_ago=10.0))
    origin.expect().reply(told)
    settle()
    (stream,) = house.hub.streams

    assert stream.log.tail.confirmed_at == house.clock.monotonic() - 10


def test_an_older_word_does_not_make_a_newer_one_older() -> None:
    house, origin = scripted(rules=rules(max_page=3))
    behind(house, origin)
    house.clock.move(5)
    reader = house.ask("0005")
    origin.expect().reply(
        replace(data(b"", "0005"), provenance=Provenance(confirmed_ago=30.0))
    )
    reader.done()
    (stream,) = house.hub.streams

    assert stream.log.tail.confirmed_at == house.clock.monotonic() - 5


def test_an_age_alone_stands_for_the_confirmation() -> None:
    """Plain HTTP tells no more; and what comes directly is confirmed just now."""
    assert Provenance(age=7).since_confirmed == 7
    assert Provenance(age=7, confirmed_ago=0.25).since_confirmed == 0.25
    assert DIRECT.since_confirmed == 0
    assert data(b"", "0000").provenance is DIRECT
