"""What the lineage of an answer means for a row, whoever asked (W8)."""

from dataclasses import replace

import pytest

from edge.core.reasons import Reason
from edge.core.values import Lineage, OriginAnswer, Provenance, Purpose
from edge.live.rows import Stream
from edge.policy.streams.routes import Follow, Route
from origin_adapter.scripted import Call, ScriptedOrigin, data, head_answer, no_content
from tests.live.support import QUICK, House, scripted, settle

FIRST = Lineage(boot=5, incarnation=None, row=1)
NEXT = Lineage(boot=5, incarnation=9, row=1)
AFTER = Lineage(boot=5, incarnation=12, row=1)
MADE_ANEW = Lineage(boot=5, incarnation=None, row=2)
RESTARTED = Lineage(boot=6, incarnation=None, row=1)


def of(lineage: Lineage, answer: OriginAnswer) -> OriginAnswer:
    """The answer, as a keeper gives it of this life."""
    told = Provenance(confirmed_ago=0.0, read_ago=0.0, lineage=lineage)
    return replace(answer, provenance=told)


def held(house: House, origin: ScriptedOrigin, lineage: Lineage = NEXT) -> Stream:
    """The front holds ``abc``, of this life."""
    asked = house.ask()
    origin.expect(Purpose.CATCH_UP).reply(of(lineage, data(b"abc", "0003")))
    assert asked.done().body == b"abc"
    (stream,) = house.hub.streams
    return stream


def test_an_answer_of_the_same_life_is_judged_like_any_other() -> None:
    house, origin = scripted()
    held(house, origin)
    reader = house.ask("0003")
    origin.expect().reply(of(NEXT, data(b"de", "0005")))

    assert reader.done().body == b"de"
    assert not house.counters.drops and not house.counters.not_stored


def test_an_answer_of_a_newer_life_begins_it_and_is_asked_for_again() -> None:
    """It was asked for as if it were the old one's: from an offset that means nothing
    in the new one."""
    house, origin = scripted()
    stream = held(house, origin)
    reader = house.ask("0003")
    origin.expect().reply(of(AFTER, data(b"DE", "0005")))
    settle()
    assert house.counters.drops[Reason.NEW_LINEAGE.value] == 1
    origin.expect().reply(of(AFTER, data(b"DE", "0005")))

    assert reader.done().body == b"DE"
    assert stream.log.lineage == AFTER


def test_an_answer_of_an_older_life_is_thrown_away_and_asked_for_again() -> None:
    """A keeper that is about to end has answered, and its successor knew better."""
    house, origin = scripted()
    stream = held(house, origin)
    reader = house.ask("0003")
    origin.expect().reply(of(FIRST, data(b"xx", "0005")))
    settle()
    assert reader.waits
    origin.expect().reply(of(NEXT, data(b"de", "0005")))

    assert reader.done().body == b"de"
    assert stream.log.lineage == NEXT and not house.counters.drops


@pytest.mark.parametrize("lineage", [MADE_ANEW, RESTARTED])
def test_an_answer_of_an_unknown_life_must_prove_itself(lineage: Lineage) -> None:
    """The keeper forgot the row, or is another process: bytes tell (L7)."""
    house, origin = scripted()
    held(house, origin)
    reader = house.ask("0003")
    origin.expect().reply(of(lineage, data(b"de", "0005")))
    probe = origin.expect()
    assert probe.request.target.endswith("offset=-1")
    probe.reply(of(lineage, data(b"abcde", "0005")))

    assert reader.done().body == b"de"
    assert not house.counters.drops


def test_bytes_that_differ_after_an_unknown_life_are_of_another_stream() -> None:
    house, origin = scripted()
    held(house, origin)
    reader = house.ask("0003")
    origin.expect().reply(of(MADE_ANEW, data(b"de", "0005")))
    origin.expect().reply(of(MADE_ANEW, data(b"ABCDE", "0005")))
    settle()
    assert house.counters.drops[Reason.BYTES_DIFFER.value] == 1
    origin.expect().reply(of(MADE_ANEW, data(b"DE", "0005")))

    assert reader.done().body == b"DE"


def test_what_came_from_the_origin_itself_is_proven_to_the_keeper_that_is_back() -> (
    None
):
    """The front went round it for a while (W7)."""
    house, origin = scripted()
    asked = house.ask()
    origin.expect().reply(data(b"abc", "0003"))
    asked.done()
    reader = house.ask("0003")
    origin.expect().reply(of(FIRST, data(b"", "0003")))
    origin.expect().reply(of(FIRST, data(b"abc", "0003")))

    assert reader.done().status == 200
    assert not house.counters.drops


def test_an_answer_of_the_origin_itself_is_judged_by_its_bytes_alone() -> None:
    """W1."""
    house, origin = scripted()
    stream = held(house, origin)
    reader = house.ask("0003")
    origin.expect().reply(data(b"de", "0005"))

    assert reader.done().body == b"de"
    assert stream.log.lineage == NEXT


def test_a_head_goes_by_it_too() -> None:
    house, origin = scripted()
    held(house, origin)
    viewer = house.poll("0003")
    head = origin.expect(Purpose.CATCH_UP)
    assert head.request.method == "HEAD"
    head.reply(of(AFTER, head_answer("0003")))
    settle()

    assert house.counters.drops[Reason.NEW_LINEAGE.value] == 1
    assert viewer.waits


def followed(house: House, origin: ScriptedOrigin) -> Stream:
    """The front holds ``abc``, and somebody is parked there."""
    stream = held(house, origin)
    house.poll("0003")
    origin.expect(Purpose.CATCH_UP).reply(of(NEXT, head_answer("0003")))
    return stream


def test_a_poll_of_a_newer_life_ends_the_old_one_for_its_viewers() -> None:
    house, origin = scripted(**QUICK)
    followed(house, origin)
    origin.expect(Purpose.FOLLOW).reply(of(AFTER, data(b"DE", "0005")))
    settle()

    assert house.counters.drops[Reason.NEW_LINEAGE.value] == 1
    opens = origin.expect(Purpose.CATCH_UP)
    assert opens.request.method == "HEAD"


def test_a_poll_of_an_older_life_tells_nothing_and_is_sent_again() -> None:
    house, origin = scripted(**QUICK)
    stream = followed(house, origin)
    origin.expect(Purpose.FOLLOW).reply(of(FIRST, data(b"xx", "0005")))
    origin.expect(Purpose.FOLLOW).reply(of(NEXT, data(b"de", "0005")))
    settle()

    assert stream.log.end == "0005" and not house.counters.drops


def test_a_poll_of_an_unknown_life_is_followed_by_a_probe() -> None:
    house, origin = scripted(**QUICK)
    stream = followed(house, origin)
    origin.expect(Purpose.FOLLOW).reply(of(RESTARTED, no_content("0003")))
    probe = origin.expect(Purpose.CATCH_UP)
    assert probe.request.target.endswith("offset=-1")
    probe.reply(of(RESTARTED, data(b"abc", "0003")))
    origin.expect(Purpose.FOLLOW)

    assert not stream.log.tail.unverified and not house.counters.drops


def heard_by_events(lineage: Lineage) -> tuple[House, Stream, Call]:
    """A front that asks for an event stream, whose head is of this life."""
    route = Route(follow=Follow.SSE)
    house, origin = scripted(routes=(route,), **QUICK)
    kind = "application/json"
    house.ask()
    whole = data(b"[1]", "0001", content_type=kind)
    origin.expect().reply(of(NEXT, whole))
    house.poll("0001")
    origin.expect().reply(of(NEXT, head_answer("0001", content_type=kind)))
    call = origin.expect(Purpose.EVENTS)
    told = Provenance(confirmed_ago=0.0, lineage=lineage)
    call.head(200, [("content-type", "text/event-stream")], provenance=told)
    settle()
    (stream,) = house.hub.streams
    return house, stream, call


def test_an_event_stream_of_the_same_life_is_heard() -> None:
    house, stream, call = heard_by_events(NEXT)

    assert not call.closed.is_set() and not house.counters.drops
    assert stream.follower is not None and stream.follower.events is not None


def test_an_event_stream_of_a_newer_life_begins_it() -> None:
    house, stream, call = heard_by_events(AFTER)

    assert call.closed.is_set() and stream.log.lineage == AFTER
    assert house.counters.drops[Reason.NEW_LINEAGE.value] == 1


@pytest.mark.parametrize("lineage", [FIRST, MADE_ANEW])
def test_an_event_stream_of_another_life_is_not_heard(lineage: Lineage) -> None:
    house, _, call = heard_by_events(lineage)

    assert call.closed.is_set() and not house.counters.drops


def test_a_tail_that_went_back_is_asked_of_the_origin_itself() -> None:
    """L2, W9: not of the keeper that said so."""
    house, origin = scripted()
    stream = held(house, origin)
    house.ask("0003")
    origin.expect().reply(of(NEXT, data(b"", "0002")))
    head = origin.expect()
    (flight,) = stream.flights.values()

    assert head.request.method == "HEAD" and flight.passes_keepers


def test_a_head_that_opens_a_stream_is_asked_of_the_keeper() -> None:
    house, origin = scripted()
    stream = held(house, origin)
    house.poll("0003")
    origin.expect()
    (flight,) = stream.flights.values()

    assert not flight.passes_keepers
