"""An operator purges streams: what readers are given from then on (L27).

By soft purges the origin confirms first. By hard ones nothing is known any more.
Viewers wait, fetches are under way, and the origin may be away.
"""

from collections.abc import Iterator

import gevent
import pytest

from edge.core.purges import Purge, PurgeBy, PurgeMode, PurgeReport
from edge.core.values import Mode, Partition, Purpose, Read
from edge.live import purger
from edge.live.control import HubControl
from edge.policy.streams.routes import Route
from edge.policy.streams.tags import stream_tag
from origin_adapter.scripted import ScriptedOrigin, data
from tests.live.support import (
    ALICE,
    PATH,
    QUICK,
    Asked,
    House,
    RecordingSink,
    scripted,
    settle,
    warm,
    watch,
)
from tests.live.test_spools import begun, pattern, spooling
from tests.support.options import rules
from tests.support.patience import PATIENCE

SOFT, HARD = PurgeMode.SOFT, PurgeMode.HARD
BOTH = pytest.mark.parametrize("mode", [SOFT, HARD])
ROOMS = Route("/v1/stream/{room}/**", tags=("room-{room}",))


def purge(
    house: House,
    mode: PurgeMode = SOFT,
    by: PurgeBy = PurgeBy.PATH,
    text: str = PATH,
) -> PurgeReport:
    return HubControl(house.hub).purge(Purge(by, text, mode))


def read_pages(house: House, origin: ScriptedOrigin) -> None:
    """The edge holds ``abc`` and ``de`` as two ranges, of which a page is one."""
    warm(house, origin)
    asked = house.ask("0003")
    origin.expect().reply(data(b"de", "0005"))
    assert asked.done().body == b"de"


# -- soft -----------------------------------------------------------------------------


def test_a_soft_purge_has_the_origin_confirm_before_the_next_byte() -> None:
    """By one read, which begins before the end and must match (L7)."""
    house, origin = scripted()
    read(house, origin)
    assert house.ask().done().how == "hit"
    report = purge(house)
    assert (report.matched, report.purged) == (1, 1) and report.bytes > 3

    first, second = house.ask(), house.ask()
    assert first.waits and second.waits
    check = origin.expect()
    assert check.request.target == f"{PATH}?offset=-1"
    check.reply(data(b"abc", "0003", closed=True))
    assert first.done().body == second.done().body == b"abc"
    assert house.ask().done().how == "hit"
    assert house.counters.drops == {}
    assert house.counters.purged == {"soft": 1}


def test_old_pages_wait_for_the_check_too() -> None:
    """What cannot change is confirmed like the rest: it may be another stream's."""
    house, origin = scripted(rules=rules(max_page=3))
    read_pages(house, origin)
    assert house.ask().done().how == "hit"
    purge(house)
    asked = house.ask()
    assert asked.waits
    origin.expect().reply(data(b"de", "0005"))

    assert asked.done().body == b"abc"


def test_a_stream_that_was_made_anew_is_found_by_the_check() -> None:
    house, origin = scripted()
    warm(house, origin)
    purge(house)
    asked = house.ask()
    origin.expect().reply(data(b"xyz", "0003"))
    origin.expect().reply(data(b"xyz", "0003"))

    assert asked.done().body == b"xyz"
    assert house.counters.drops == {"bytes-differ": 1}


def test_an_answer_that_was_on_its_way_at_a_soft_purge_ends_no_doubt() -> None:
    """It was asked for before: what it brought is confirmed before it is shown."""
    house, origin = scripted()
    asked = house.ask()
    before = origin.expect()
    purge(house)
    before.reply(data(b"abc", "0003"))
    settle()
    assert asked.waits
    origin.expect().reply(data(b"abc", "0003"))

    assert asked.done().body == b"abc"


def test_viewers_wait_on_through_a_soft_purge_and_lose_nothing() -> None:
    """What the poll brings that was sent before is shown once a check agrees, which one
    of them asks for."""
    house, origin = scripted()
    warm(house, origin)
    viewer, poll = watch(house, origin)
    event_viewer = house.view("0003")
    settle()
    purge(house)
    assert not poll.closed.is_set() and viewer.waits and event_viewer.waits
    poll.reply(data(b"de", "0005"))
    settle()
    assert viewer.waits
    check = origin.expect(Purpose.CATCH_UP)
    assert check.request.target == f"{PATH}?offset=-1"
    check.reply(data(b"abcde", "0005"))

    assert viewer.done().body == b"de"
    settle()
    assert ("data", "de") in event_viewer.sink.events


def test_who_comes_after_a_soft_purge_is_told_no_claim_from_before() -> None:
    """An armed poll that was sent before vouches for nothing."""
    house, origin = scripted()
    warm(house, origin)
    watch(house, origin)
    assert house.ask().done().header("Stream-Up-To-Date") == "true"
    purge(house)
    asked = house.ask()
    assert asked.waits
    origin.expect(Purpose.CATCH_UP).reply(data(b"abcde", "0005"))

    assert asked.done().body == b"abcde"
    assert asked.sink.header("Stream-Up-To-Date") == "true"


def test_behind_a_soft_purge_stale_bytes_go_out_as_the_route_allows() -> None:
    """An origin that is away confirms nothing (L6, U4)."""
    house, origin = scripted(**QUICK)
    warm(house, origin)
    purge(house)
    asked = house.ask()
    origin.expect().cut()
    sink = asked.done()

    assert (sink.body, sink.how.split()[-1]) == (b"abc", "stale")
    assert sink.header("Stream-Up-To-Date") is None


@BOTH
def test_where_no_stale_bytes_may_go_out_a_purge_shows_none(mode: PurgeMode) -> None:
    routes = (Route(stale_for=0.0),) if mode is SOFT else (Route(),)
    house, origin = scripted(routes=routes, **QUICK)
    warm(house, origin)
    purge(house, mode)
    asked = house.ask()
    origin.expect().cut()

    assert asked.done().error is not None


def test_what_only_a_credential_may_see_is_never_shown_behind_a_soft_purge() -> None:
    house, origin = scripted(**QUICK)
    asked = house.ask(key=house.key(partition=ALICE))
    origin.expect().reply(data(b"abc", "0003"))
    asked.done()
    purge(house)
    again = house.ask(key=house.key(partition=ALICE))
    origin.expect().cut()

    assert again.done().error is not None


def test_what_a_cache_above_repeats_from_before_a_soft_purge_ends_no_doubt() -> None:
    """Who waited has it, for there is nothing better; who comes next asks again, until
    the cache above has asked, too (U9)."""
    house, origin = scripted()
    read(house, origin)
    purge(house)
    for _ in range(2):
        asked = house.ask()
        origin.expect().reply(data(b"abc", "0003", closed=True, age="20"))
        assert asked.done().body == b"abc"
    asked = house.ask()
    origin.expect().reply(data(b"abc", "0003", closed=True, age="0"))
    asked.done()

    assert house.ask().done().how == "hit"


# -- hard -----------------------------------------------------------------------------


def test_a_hard_purge_forgets_and_the_next_reader_asks_for_all() -> None:
    house, origin = scripted()
    warm(house, origin)
    report = purge(house, HARD)
    assert (report.matched, report.purged, report.disk_busy) == (1, 1, False)

    asked = house.ask()
    origin.expect().reply(data(b"xyz", "0003"))
    assert (asked.done().body, asked.sink.how) == (b"xyz", "fwd=miss stored miss")
    assert house.counters.drops == {"forgotten": 1}
    assert house.counters.purged == {"hard": 1}


@BOTH
def test_no_answer_that_is_kept_for_repeats_outlives_a_purge(mode: PurgeMode) -> None:
    house, origin = scripted()
    warm(house, origin)
    watch(house, origin)
    read = Read(house.key(), "-1", Mode.CATCH_UP)
    house.hub.ask(read, RecordingSink(), house.clock.monotonic())
    assert house.hub.answer_cache.peek(read, house.clock.monotonic()) is not None
    purge(house, mode)

    assert house.hub.answer_cache.peek(read, house.clock.monotonic()) is None


def test_a_spool_that_is_on_its_way_at_a_hard_purge_serves_nobody_new() -> None:
    """Who reads it reads on: that answer had begun."""
    house, origin, files = spooling()
    first, call = begun(house, origin)
    call.piece(pattern()[:1000])
    settle()
    purge(house, HARD)
    second = house.ask()
    assert second.waits and second.sink.answer is None
    call.piece(pattern()[1000:])
    call.end()

    assert first.done().whole == pattern()
    origin.expect(Purpose.CATCH_UP).reply(data(b"new", "0003"))
    assert second.done().body == b"new"
    house.pass_time(1.0)
    assert files.held == 0


# -- which ----------------------------------------------------------------------------


@pytest.fixture
def rooms() -> Iterator[tuple[House, ScriptedOrigin]]:
    """Five streams in two rooms, one of them in two partitions."""
    house, origin = scripted(routes=(ROOMS,))
    for path in ("r1/a", "r1/b", "r2/a", "r2/a%2Cb"):
        read(house, origin, f"/v1/stream/{path}")
    read(house, origin, "/v1/stream/r1/a", ALICE)
    yield house, origin


def read(
    house: House,
    origin: ScriptedOrigin,
    path: str = PATH,
    partition: Partition | None = None,
    keys: str = "",
) -> Asked:
    asked = house.ask(key=house.key(path, partition))
    origin.expect().reply(data(b"abc", "0003", closed=True, surrogate_key=keys))
    asked.done()
    return asked


@BOTH
@pytest.mark.parametrize(
    ("by", "text", "matched"),
    [
        (PurgeBy.PATH, "/v1/stream/r1/a", 2),
        (PurgeBy.PATH, "/v1/stream/r1/none", 0),
        (PurgeBy.GLOB, "/v1/stream/r1/*", 3),
        (PurgeBy.GLOB, "/**", 5),
        (PurgeBy.GLOB, "/v1/stream/*", 0),
        (PurgeBy.TAG, "room-r2", 2),
        (PurgeBy.TAG, "room-r", 0),
        (PurgeBy.TAG, stream_tag("/v1/stream/r2/a,b"), 1),
    ],
)
def test_all_that_is_named_is_purged_and_nothing_else(
    rooms: tuple[House, ScriptedOrigin],
    mode: PurgeMode,
    by: PurgeBy,
    text: str,
    matched: int,
) -> None:
    """In every partition. All others are hits as before."""
    house, _ = rooms
    report = purge(house, mode, by, text)
    assert (report.matched, report.purged) == (matched, matched)
    hits = 0
    for row in list(house.hub.streams):
        asked = house.ask(key=row.key)
        hits += not asked.waits

    assert hits == 5 - matched


@BOTH
def test_streams_are_purged_by_a_tag_of_the_origin(mode: PurgeMode) -> None:
    """Where the route keeps the field."""
    route = Route(response_headers=("surrogate-key",))
    house, origin = scripted(routes=(route,))
    for name, keys in (("a", "x y"), ("b", "y z"), ("c", "yy")):
        path = f"/v1/stream/{name}"
        read(house, origin, path, keys=keys)

    assert purge(house, mode, PurgeBy.TAG, "y").purged == 2
    assert purge(house, mode, PurgeBy.TAG, "yy").purged == 1


@BOTH
def test_what_turns_out_to_have_the_tag_was_asked_for_before_the_order(
    mode: PurgeMode,
) -> None:
    """The first answer about a stream is on its way: nobody knows its tags yet. It is
    not shown before the origin was asked again."""
    route = Route(response_headers=("surrogate-key",))
    house, origin = scripted(routes=(route,))
    asked = house.ask()
    before = origin.expect()
    assert purge(house, mode, PurgeBy.TAG, "x").matched == 0
    before.reply(data(b"old", "0003", surrogate_key="x"))
    settle()
    assert asked.waits
    origin.expect().reply(data(b"new", "0003", surrogate_key="x"))
    if mode is SOFT:
        # The bytes differ: another stream is there, which is read from its beginning.
        origin.expect().reply(data(b"new", "0003", surrogate_key="x"))

    assert asked.done().body == b"new"


@BOTH
def test_a_long_walk_lets_others_have_their_turn(
    mode: PurgeMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream that is read for the first time meanwhile is asked for after the order,
    and may be kept."""
    monkeypatch.setattr(purger, "ROWS_AT_ONCE", 1)
    house, origin = scripted(routes=(ROOMS,))
    for number in range(3):
        read(house, origin, f"/v1/stream/r/{number}")
    walk = gevent.spawn(purge, house, mode, PurgeBy.TAG, "room-r")
    gevent.sleep(0)
    assert not walk.ready()
    read(house, origin, "/v1/stream/r/new")

    assert walk.get(timeout=PATIENCE).purged == 3
    new = house.ask(key=house.key("/v1/stream/r/new"))
    assert new.done().how == "hit"
