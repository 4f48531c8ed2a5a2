"""What goes out, and how it says that it came about (L12, L16 to L19; E2, E3, E55)."""

import pytest
from gevent.event import Event

from edge.core.values import PUBLIC, Mode, Partition, Purpose
from edge.live.control import HubControl
from edge.policy.streams.routes import Access, Recreate, Route
from origin_adapter.scripted import data, head_answer
from tests.live.support import (
    ALICE,
    House,
    scripted,
    settle,
    warm,
    watch,
)
from tests.support.options import rules

LONG = b"the same words again and again, " * 100


def compressed(house: House) -> None:
    """Wait until the thread that compresses has come back."""
    while not house.counters.compressions:
        Event().wait(0.001)


# Compression


def test_a_tail_is_compressed_from_its_second_read_on() -> None:
    """L19: off the event loop; who asks meanwhile gets plain bytes."""
    house, origin = scripted()
    watch(house, origin, f"{len(LONG):04d}")
    first = house.ask(codings=("gzip",))
    origin.expect().reply(data(LONG, f"{len(LONG):04d}"))
    assert first.done().header("Content-Encoding") is None
    for _ in range(2):
        again = house.ask(codings=("gzip",)).done()
        assert again.header("Content-Encoding") is None
        assert again.header("Vary") == "Accept-Encoding"
    compressed(house)
    coded = house.ask(codings=("gzip",)).done()
    plain = house.ask().done()

    assert coded.header("Content-Encoding") == "gzip"
    assert len(coded.body) < len(plain.body) == len(LONG)
    assert coded.header("ETag") != plain.header("ETag")
    assert house.counters.compressions == 1


def test_a_closed_page_is_compressed_from_its_first_read_on() -> None:
    house, origin = scripted(rules=rules(max_page=len(LONG)))
    warm(house, origin, LONG)
    asked = house.ask(f"{len(LONG):04d}")
    origin.expect().reply(data(b"more", "9999"))
    asked.done()
    page = house.ask(codings=("zstd",)).done()
    assert page.header("Cache-Control") == (
        "public, max-age=60, stale-while-revalidate=300"
    )
    compressed(house)

    assert house.ask(codings=("zstd",)).done().header("Content-Encoding") == "zstd"


@pytest.mark.parametrize("private", [True, False])
def test_live_answers_and_those_to_credentials_are_never_compressed(
    private: bool,
) -> None:
    """L19."""
    house, origin = scripted()
    key = house.key(partition=ALICE) if private else house.key()
    mode = Mode.CATCH_UP if private else Mode.LONG_POLL
    tail = f"{len(LONG):04d}"
    for _ in range(3):
        asked = house.ask("-1", mode, key=key, codings=("gzip",))
        settle()
        while asked.waits:
            call = origin.expect()
            if call.request.method == "HEAD":
                call.reply(head_answer(tail))
            else:
                call.reply(data(b"" if tail in call.request.target else LONG, tail))
            settle()
        assert asked.sink.body == LONG
        assert asked.sink.header("Content-Encoding") is None

    assert house.counters.compressions == 0


# Conditionals


def test_a_304_comes_only_once_the_tail_is_known() -> None:
    """L17, E3: it repeats what the client cannot take from its old answer."""
    house, origin = scripted()
    warm(house, origin)
    first = house.ask()
    origin.expect().reply(data(b"", "0003"))
    tag = first.done().header("ETag")
    again = house.ask(if_none_match=f'"x", W/{tag}')
    assert again.waits
    origin.expect().reply(data(b"", "0003"))
    sink = again.done()

    assert (sink.status, sink.body, sink.header("ETag")) == (304, b"", tag)
    for name in ("Stream-Next-Offset", "Stream-Up-To-Date", "Cache-Control", "Vary"):
        assert sink.header(name) == first.sink.header(name)
    assert house.counters.answers["not-modified"] == 1


def test_growth_closure_and_recreation_change_the_tag() -> None:
    """E3, E5: even where the origin's own tag stays the same."""
    house, origin = scripted()
    tags: set[str] = set()

    def read(body: bytes, tail: str, closed: bool = False) -> None:
        asked = house.ask(if_none_match=", ".join(tags) or None)
        settle()
        while asked.waits:
            call = origin.expect()
            begins = call.request.target.endswith("-1")
            rest = body if begins else body[int(call.request.target[-4:]) :]
            call.reply(data(rest, tail, closed=closed))
            settle()
        assert asked.sink.status == 200 and asked.sink.body == body
        tags.add(asked.sink.header("ETag") or "")

    read(b"abc", "0003")
    read(b"abcd", "0004")
    read(b"abcd", "0004", closed=True)
    house.wrote("DELETE", 204)
    read(b"wxyz", "0004", closed=True)

    assert len(tags) == 4


def test_live_reads_and_now_ignore_conditionals() -> None:
    house, origin = scripted()
    warm(house, origin)
    assert house.ask("-1", Mode.LONG_POLL, if_none_match="*").done().status == 200
    watch(house, origin)

    assert house.ask("now", if_none_match="*").done().status == 200


# What it may be kept for


@pytest.mark.parametrize(
    ("route", "partition", "control"),
    [
        (Route(), None, "public, max-age=60, stale-while-revalidate=300"),
        (Route(), ALICE, "private, max-age=30"),
        (
            Route(access=Access.PUBLIC),
            PUBLIC,
            "public, max-age=60, stale-while-revalidate=300",
        ),
        (
            Route(recreate=Recreate.NEVER),
            None,
            "public, max-age=31536000, immutable",
        ),
    ],
)
def test_a_closed_range_is_fresh_for_those_who_may_see_it(
    route: Route, partition: Partition | None, control: str
) -> None:
    """L12, L14, L16."""
    house, origin = scripted(routes=(route,), rules=rules(max_page=3))
    key = house.key(partition=partition)
    for start, body, end in (("-1", b"abc", "0003"), ("0003", b"de", "0005")):
        asked = house.ask(start, key=key)
        origin.expect().reply(data(body, end))
        asked.done()
    page = house.ask(key=key).done()

    assert page.header("Cache-Control") == control
    assert page.header("Stream-Up-To-Date") is None


def test_a_closed_streams_last_range_says_so_for_ever() -> None:
    """E10."""
    house, origin = scripted()
    first = house.ask()
    origin.expect().reply(data(b"abc", "0003", closed=True))
    for sink in (first.done(), house.ask().done()):
        assert sink.header("Stream-Closed") == "true"
        assert sink.header("Cache-Control") == (
            "public, max-age=60, stale-while-revalidate=300"
        )
    end = house.ask("0003").done()

    assert (end.status, end.body, end.header("Stream-Closed")) == (200, b"", "true")
    assert end.header("Cache-Control") == "no-store"
    assert len(origin.calls) == 1


def test_json_pages_are_whole_arrays() -> None:
    """E20: spliced, never cut."""
    house, origin = scripted()
    json = "application/json"
    first = house.ask()
    origin.expect().reply(data(b"[1,2]", "0002", content_type=json))
    assert first.done().body == b"[1,2]"
    both = house.ask()
    origin.expect().reply(data(b"[3]", "0003", content_type=json))
    assert both.done().body == b"[1,2,3]"
    end = house.ask("0003")
    origin.expect().reply(data(b"[]", "0003", content_type=json))

    assert end.done().body == b"[]"


# How it came about


def test_cache_status_tells_miss_collapsed_stored_hit_and_stale_apart() -> None:
    """RFC 9211, E55: header and counter cannot disagree."""
    house, origin = scripted()
    leader, other = house.ask(), house.ask()
    origin.expect().reply(data(b"abc", "0003"))
    assert leader.done().how == "fwd=miss stored miss"
    assert other.done().how == "fwd=miss collapsed stored miss"
    delta = house.ask()
    origin.expect().reply(data(b"", "0003"))
    assert delta.done().how == "fwd=stale tail-unknown"
    viewer, poll = watch(house, origin)
    assert house.ask().done().how == "hit"
    poll.reply(data(b"de", "0005"))
    assert viewer.done().how == "fwd=miss collapsed followed"
    origin.expect()
    house.pass_time(1)
    assert house.poll("0003").done().how == "hit"

    assert dict(house.counters.answers) == {
        "miss": 2,
        "collapsed": 2,
        "hit": 2,
    }
    assert house.counters.delivered == 6
    assert dict(house.counters.origin_requests) == {"catch-up": 3, "follow": 2}


def test_who_waited_for_an_answer_is_told_by_which_caches_it_came() -> None:
    """RFC 9211 section 2: readers of a flight, a raw status, a relay, a poll. Not a
    hit: the caches above were not asked."""
    house, origin = scripted()
    crowd = [house.ask() for _ in range(2)]
    origin.expect().reply(data(b"abc", "0003", cache_status="a; hit"))
    assert [asked.done().above for asked in crowd] == ["a; hit"] * 2
    viewer, poll = watch(house, origin)
    assert (house.ask().done().how, house.ask().done().above) == ("hit", "")
    poll.reply(data(b"de", "0005", cache_status='"b c"; fwd=miss'))
    assert viewer.done().above == '"b c"; fwd=miss'

    status = house.ask("0009", key=house.key(partition=ALICE))
    origin.expect(Purpose.FOLLOW)
    origin.expect().answer(429, [("cache-status", "c; fwd=stale")], b"later")
    assert (status.done().status, status.sink.above) == (429, "c; fwd=stale")
    odd = house.ask(key=house.key("/v1/stream/b"))
    origin.expect().reply(data(b"x", "0001", vary="*", cache_status="d; hit"))
    assert odd.done().above == "d; hit"
    odd = house.ask(key=house.key("/v1/stream/b"))
    origin.expect(Purpose.RELAY).reply(data(b"x", "0001", cache_status="e; hit"))
    assert odd.done().above == "e; hit"
    assert odd.sink.header("Cache-Status") is None, "it is in its PerResponse"


def test_a_field_that_is_no_list_is_not_handed_on() -> None:
    """It is the origin's text, and this edge's own member stands behind it."""
    house, origin = scripted()
    asked = house.ask()
    origin.expect().reply(data(b"abc", "0003", cache_status='a; key="open'))

    assert asked.done().above == ""


def test_a_read_that_asked_twice_tells_of_the_answer_that_it_got() -> None:
    house, origin = scripted()
    first = house.ask()
    before = origin.expect()
    house.wrote("POST", 204, stream_next_offset="0005")
    late = house.ask()
    before.reply(data(b"abc", "0003", cache_status="a; hit"))
    origin.expect().reply(data(b"de", "0005"))

    assert (first.done().above, late.done().above) == ("a; hit", "")


def test_one_who_waited_for_another_and_then_asked_itself_is_not_collapsed() -> None:
    house, origin = scripted()
    first = house.ask("now")
    call = origin.expect()
    house.wrote("POST", 204, stream_next_offset="0005")
    second = house.ask("now")
    call.reply(data(b"", "0003"))
    origin.expect().reply(data(b"", "0005"))

    assert first.done().how == "fwd=stale tail-unknown"
    assert second.done().how == "fwd=stale tail-unknown"


def test_what_reads_cost_is_counted_by_purpose() -> None:
    house, origin = scripted()
    asked = house.ask()
    origin.expect().reply(data(b"x", "0001", vary="*"))
    asked.done()
    asked = house.ask()
    origin.expect(Purpose.RELAY).reply(data(b"x", "0001"))
    asked.done()

    assert dict(house.counters.origin_requests) == {"catch-up": 1, "relay": 1}
    assert dict(house.counters.reads) == {"catch-up": 2}
    assert house.counters.bytes_from_origin == 1
    assert house.counters.bytes_out == 2


def test_a_crowd_at_an_unknown_offset_shares_one_prepared_answer() -> None:
    """E47: the bytes are made once, and hashed once."""
    house, origin = scripted()
    crowd = [house.ask("0003") for _ in range(5)]
    origin.expect().reply(data(b"de", "0005"))

    assert len({id(asked.done().answer) for asked in crowd}) == 1


def test_gauges_show_what_is_alive() -> None:
    house, origin = scripted()
    watch(house, origin)
    gauges = HubControl(house.hub).gauges()

    assert (gauges["viewers"], gauges["streams"], gauges["followers"]) == (1, 1, 1)
    assert gauges["flights_under_way"] == gauges["relays"] == 0
    assert gauges["bytes_held"] > 0
