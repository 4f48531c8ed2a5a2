"""Tags on answers: all that a cache below may keep has them, and nothing else (L28)."""

from dataclasses import replace

import pytest

from edge.core.values import Mode, Partition, PartitionKind, Purpose
from edge.policy.streams.routes import Route, TagHeader
from edge.policy.streams.tags import stream_tag
from origin_adapter.scripted import ScriptedOrigin, data, head_answer
from tests.live.support import ALICE, PATH, House, RecordingSink, scripted, warm, watch

BOTH = (TagHeader.SURROGATE_KEY, TagHeader.CACHE_TAG)
ROUTE = Route(
    "/v1/stream/{room}",
    tags=("room-{room}",),
    tag_headers=BOTH,
    response_headers=("surrogate-key",),
)
TAG = stream_tag(PATH)
GRANTED = Partition(PartitionKind.GRANTED)


def tagged(route: Route = ROUTE) -> tuple[House, ScriptedOrigin]:
    return scripted(routes=(route,))


def of(sink: RecordingSink) -> tuple[str | None, str | None]:
    return sink.header("Surrogate-Key"), sink.header("Cache-Tag")


def test_whatever_all_may_keep_has_its_tags() -> None:
    """A page, a tail, a live answer, a HEAD, and what tells that nothing changed."""
    house, origin = tagged()
    first = house.ask()
    origin.expect().reply(data(b"abc", "0003", surrogate_key="x y"))
    sinks = [first.done()]
    viewer = house.poll("0003")
    origin.expect(Purpose.CATCH_UP).reply(head_answer("0003", surrogate_key="x y"))
    poll = origin.expect(Purpose.FOLLOW)
    sinks.append(house.ask().done())
    etag = sinks[-1].header("ETag")
    sinks.append(house.ask(if_none_match=etag).done())
    poll.reply(data(b"de", "0005", surrogate_key="x y"))
    sinks.append(viewer.done())
    origin.expect(Purpose.FOLLOW)
    head = house.ask(mode=Mode.HEAD)
    origin.expect(Purpose.CATCH_UP).reply(head_answer("0005", surrogate_key="x y"))
    sinks.append(head.done())

    assert [sink.status for sink in sinks] == [200, 200, 304, 200, 200]
    all_tags = (TAG, "room-a", "x", "y")
    assert {of(sink) for sink in sinks} == {(" ".join(all_tags), ",".join(all_tags))}


def test_what_one_may_keep_or_nobody_has_none() -> None:
    """Not even the origin's: a credential's answer, an event stream, an end."""
    house, origin = tagged()
    asked = house.ask(key=house.key(partition=ALICE))
    origin.expect().reply(data(b"abc", "0003", surrogate_key="x y"))
    sinks = [asked.done()]
    head = house.ask(mode=Mode.HEAD, key=house.key(partition=ALICE))
    origin.expect().reply(head_answer("0003", surrogate_key="x y"))
    sinks.append(head.done())
    asked = house.ask()
    origin.expect().reply(data(b"abc", "0003", surrogate_key="x y"))
    asked.done()
    _, poll = watch(house, origin)
    sinks += [house.ask("0003").done(), house.view("-1").sink]

    assert {of(sink) for sink in sinks} == {(None, None)}
    assert [sink.status for sink in sinks] == [200] * 4
    poll.cut()


def test_an_answer_that_waits_for_nobody_else_tells_no_tags_of_what_was_granted() -> (
    None
):
    """Only a link that its operator calls public is for all (A6)."""
    house, origin = tagged(replace(ROUTE, response_headers=()))
    asked = house.ask(key=house.key(partition=GRANTED))
    origin.expect().reply(data(b"abc", "0003"))

    assert of(asked.done()) == (None, None)
    assert (asked.sink.header("Cache-Control") or "").startswith("private")


@pytest.mark.parametrize("headers", [(), BOTH[:1], BOTH[1:]])
def test_only_the_fields_that_the_settings_name_go_out(
    headers: tuple[TagHeader, ...],
) -> None:
    house, origin = tagged(
        replace(ROUTE, tag_headers=headers, response_headers=(), tags=())
    )
    warm(house, origin)
    watch(house, origin)
    sink = house.ask().done()

    assert sink.header("Surrogate-Key") == (TAG if BOTH[0] in headers else None)
    assert sink.header("Cache-Tag") == (TAG if BOTH[1] in headers else None)


def test_a_keeper_tells_no_tags_of_its_own_and_all_of_the_origins() -> None:
    """Its front makes them (W8)."""
    house, origin = tagged(ROUTE.made_lean())
    asked = house.ask()
    origin.expect().reply(data(b"abc", "0003", surrogate_key="x"))

    assert of(asked.done()) == ("x", None)
