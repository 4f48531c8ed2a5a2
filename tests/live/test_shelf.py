"""What a disk keeps is not read from the origin again, if the origin vouches (S2).

A disk outlives the houses of a story: each of them is a process that begins with
nothing in memory.
"""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import pytest

from edge.core.purges import Purge, PurgeBy, PurgeMode
from edge.core.values import Framing, Purpose
from edge.files.disk_folder import DiskFolder
from edge.live import purger, quiet_logs, shelf, shelf_copies
from edge.live.control import HubControl
from edge.live.spool import DISK_SECONDS
from edge.policy.streams.routes import OriginNoStore, Recreate, Route
from edge.policy.streams.tags import stream_tag
from origin_adapter.scripted import Call, ScriptedOrigin, data, head_answer
from tests.files.disk_talk import until, until_idle
from tests.live.memory_files import MemoryFiles
from tests.live.support import ALICE, PATH, Asked, House, settle
from tests.support.options import rules
from tests.support.patience import PATIENCE

NEVER = Route(recreate=Recreate.NEVER)
SIZE = 1 << 20
LARGE = b"".join(b"%07d\n" % number for number in range(SIZE // 8))
TYPE = ("content-type", "application/octet-stream")

Open = Callable[..., tuple[House, ScriptedOrigin]]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "disk"


@pytest.fixture(autouse=True)
def a_disk_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy this machine is. Tests of a slow disk say how long themselves."""
    monkeypatch.setattr(shelf_copies, "PATIENCE", PATIENCE)


@pytest.fixture
def house(place: Path) -> Iterator[Open]:
    """Opens a house with that disk; the one before ends, as a process that drains."""
    opened: list[tuple[House, DiskFolder]] = []

    def close() -> None:
        for old, disk in opened:
            old.hub.begin_drain()
            until_idle(disk)
            old.hub.stop()
            disk.stop()
            for lock in disk._locks.values():
                os.close(lock)
        opened.clear()

    def new(**options: object) -> tuple[House, ScriptedOrigin]:
        close()
        disk, origin = DiskFolder(str(place), 64 << 20, "http://o"), ScriptedOrigin()
        until_idle(disk)
        options = {"max_object": SIZE // 4, **options}
        made = House(origin, MemoryFiles(), disk, **options)
        opened.append((made, disk))
        return made, origin

    yield new
    close()


def wait(asked: Asked) -> Asked:
    """Threads are on its behalf: let them end."""
    until(lambda: not asked.waits)
    return asked


def call(origin: ScriptedOrigin) -> Call:
    """The next call, for which a thread may have to end first."""
    until(lambda: origin._waiting)
    return origin.expect()


def written(house: House, origin: ScriptedOrigin) -> None:
    """Two answers that follow each other: ``abc``, and ``de`` behind it."""
    first = house.ask()
    call(origin).reply(data(b"abc", "0003"))
    wait(first)
    house.clock.move(0.1)
    second = house.ask("0003")
    call(origin).reply(data(b"de", "0005"))
    assert wait(second).sink.body == b"de"


def spooled(house: House, origin: ScriptedOrigin, *more: tuple[str, str]) -> None:
    """A large answer that is kept once it has come."""
    asked = house.ask()
    one = call(origin)
    fields = (TYPE, ("stream-next-offset", "9000"), *more)
    one.head(200, fields, framing=Framing.LENGTH, content_length=SIZE)
    one.piece(LARGE)
    one.end()
    assert wait(asked).sink.whole == LARGE
    stores = house.counters
    if not more:
        until(lambda: stores.disk_stores)


# What a log held


def test_after_a_restart_a_short_read_proves_all_that_was_held(house: Open) -> None:
    """L7: it begins one boundary before the end, and the rest comes from the disk."""
    written(*house())
    later, origin = house()
    asked = later.ask()
    probe = call(origin)
    assert probe.request.target == f"{PATH}?offset=0003"
    probe.reply(data(b"de", "0005"))

    assert wait(asked).sink.body == b"abcde"
    assert later.counters.disk_loads == 1 and len(origin.calls) == 1


def test_who_comes_back_in_the_middle_is_served_too(house: Open) -> None:
    written(*house())
    later, origin = house()
    asked = later.ask("0003")
    call(origin).reply(data(b"de", "0005"))

    assert wait(asked).sink.body == b"de" and len(origin.calls) == 1


def test_all_who_ask_meanwhile_wait_for_one_look(house: Open) -> None:
    written(*house())
    later, origin = house()
    crowd = [later.ask() for _ in range(5)]
    gone = later.ask()
    assert gone.pending is not None
    gone.pending.gone()
    call(origin).reply(data(b"de", "0005"))

    assert {wait(asked).sink.body for asked in crowd} == {b"abcde"}
    assert [one.purpose for one in origin.calls].count(Purpose.CATCH_UP) == 1
    assert later.counters.disk_loads == 1


def test_a_stream_that_was_made_anew_is_read_anew(house: Open) -> None:
    """L5: while the edge was away. What the disk has of it is deleted."""
    written(*house())
    later, origin = house()
    asked = later.ask()
    call(origin).reply(data(b"XY", "0005"))
    call(origin).reply(data(b"vwxXY", "0005"))
    assert wait(asked).sink.body == b"vwxXY"

    third, origin = house(long_poll_timeout=1)
    asked = third.ask()
    call(origin).reply(data(b"vwxXY", "0005"))
    assert wait(asked).sink.body == b"vwxXY"
    assert [one.target for one in origin.calls] == [f"{PATH}?offset=-1"]


def test_a_stream_that_is_gone_is_not_shown(house: Open) -> None:
    written(*house())
    later, origin = house()
    asked = later.ask()
    call(origin).answer(404, (), b"no such stream")

    assert wait(asked).sink.status == 404


def test_with_the_origin_away_nothing_unproven_is_shown(house: Open) -> None:
    written(*house())
    later, origin = house()
    asked = later.ask()
    call(origin).cut()

    assert wait(asked).sink.error is not None


def test_without_a_boundary_near_the_end_it_is_read_again(house: Open) -> None:
    """L7: nothing short enough could prove it."""
    first, origin = house(rules=rules(max_probe=2))
    asked = first.ask()
    call(origin).reply(data(b"abc", "0003"))
    wait(asked)
    later, origin = house(rules=rules(max_probe=2))
    later.ask()

    assert call(origin).request.target == f"{PATH}?offset=-1"
    assert not later.counters.disk_loads


def test_where_no_stream_is_made_again_its_end_is_enough(house: Open) -> None:
    options = {"routes": [NEVER], "rules": rules(max_probe=2)}
    first, origin = house(**options)
    asked = first.ask()
    call(origin).reply(data(b"abc", "0003"))
    wait(asked)
    later, origin = house(**options)
    asked = later.ask()
    delta = call(origin)
    assert delta.request.target == f"{PATH}?offset=0003"
    delta.reply(data(b"de", "0005"))

    assert wait(asked).sink.body == b"abcde"


def test_a_live_reader_finds_it_as_well(house: Open) -> None:
    written(*house())
    later, origin = house()
    asked = later.poll("0003")
    call(origin).reply(head_answer("0005"))
    call(origin).reply(data(b"de", "0005"))

    assert wait(asked).sink.body == b"de"


def test_a_tail_before_what_is_kept_is_another_stream(house: Open) -> None:
    written(*house())
    later, origin = house()
    asked = later.poll("0003")
    call(origin).reply(head_answer("0004"))
    read = call(origin)
    assert read.request.target.startswith(f"{PATH}?offset=0003")
    read.reply(data(b"x", "0004"))

    assert wait(asked).sink.body == b"x"


def test_json_is_whole_again(house: Open) -> None:
    first, origin = house()
    for start, end, body in (("-1", "0003", b"[1,2]"), ("0003", "0005", b"[3]")):
        asked = first.ask(start)
        call(origin).reply(data(body, end, content_type="application/json"))
        wait(asked)
    later, origin = house()
    asked = later.ask()
    call(origin).reply(data(b"[3]", "0005", content_type="application/json"))

    assert wait(asked).sink.body == b"[1,2,3]"
    assert asked.sink.header("content-type") == "application/json"


def test_a_log_that_is_evicted_is_kept(house: Open) -> None:
    """U15: the memory is full; the origin is asked for the end alone."""
    one, origin = house(max_streams=1)
    written(one, origin)
    other = one.ask(key=one.key("/v1/stream/b"))
    call(origin).reply(data(b"x", "0001"))
    wait(other)
    until(lambda: one.counters.disk_stores)
    asked = one.ask()
    probe = call(origin)

    assert probe.request.target == f"{PATH}?offset=0003"
    probe.reply(data(b"de", "0005"))
    assert wait(asked).sink.body == b"abcde"


def test_a_write_that_makes_or_deletes_a_stream_deletes_what_is_kept(
    house: Open,
) -> None:
    """Also where no row knows of it."""
    written(*house())
    later, origin = house()
    later.wrote("DELETE", 204)
    later.ask()

    assert call(origin).request.target == f"{PATH}?offset=-1"


@pytest.mark.parametrize("why", ["credential", "ttl", "no-store"])
def test_what_may_not_be_kept_is_not(why: str, house: Open, place: Path) -> None:
    ignores = Route(origin_no_store=OriginNoStore.IGNORE)
    one, origin = house(**({"routes": [ignores]} if why == "no-store" else {}))
    key = one.key(partition=ALICE if why == "credential" else None)
    if why == "ttl":
        opened = one.poll("-1")
        call(origin).reply(head_answer("0003", stream_ttl="60"))
        call(origin).reply(data(b"abc", "0003"))
        wait(opened)
    for start, end, body in (("-1", "0003", b"abc"), ("0003", "0005", b"de")):
        if why != "ttl":
            asked = one.ask(start, key=key)
            call(origin).reply(data(body, end))
            wait(asked)
    house()

    assert not list(place.glob("??/*.0"))


# Large answers


def test_a_history_read_later_does_not_cross_again(house: Open) -> None:
    """One after the other, long after the spool has gone: once the origin has
    confirmed the stream (L6), it comes from the disk."""
    one, origin = house()
    spooled(one, origin)
    one.pass_time(100)
    assert len(one.hub.spools) == 0
    for number in range(3):
        asked = one.ask()
        if number == 0:
            check = call(origin)
            assert check.request.target == f"{PATH}?offset=9000"
            check.reply(data(b"", "9000", content_type=TYPE[1]))
        assert wait(asked).sink.whole == LARGE and asked.sink.finished
        assert asked.sink.header("stream-next-offset") == "9000"
    assert asked.sink.how == "hit from-disk"
    assert one.counters.disk_hits == 3 and len(origin.calls) == 2


def test_after_a_restart_it_is_believed_where_no_stream_is_made_again(
    house: Open,
) -> None:
    spooled(*house(routes=[NEVER]))
    later, origin = house(routes=[NEVER])
    asked = later.ask()
    check = call(origin)
    assert check.request.target == f"{PATH}?offset=9000"
    check.reply(data(b"", "9000", content_type=TYPE[1]))

    assert wait(asked).sink.whole == LARGE
    assert later.counters.bytes_from_origin == 0


def test_after_a_restart_nothing_else_proves_it(house: Open) -> None:
    spooled(*house())
    later, origin = house()
    later.ask()

    assert call(origin).request.target == f"{PATH}?offset=-1"


@pytest.mark.parametrize("what", ["deleted", "in doubt", "gone"])
def test_a_history_that_may_be_another_now_is_read_anew(what: str, house: Open) -> None:
    one, origin = house()
    spooled(one, origin)
    one.pass_time(100)
    if what == "deleted":
        one.wrote("DELETE", 204)
    elif what == "in doubt":
        [row] = one.hub.streams
        row.log.tail.mark_unverified(one.clock.monotonic())
    asked = one.ask()
    if what == "gone":
        call(origin).answer(404, (), b"no such stream")
        assert wait(asked).sink.status == 404
        one.clock.move(5)
        one.ask()

    assert call(origin).request.target == f"{PATH}?offset=-1"


def test_an_answer_that_lives_for_a_time_is_not_kept(house: Open, place: Path) -> None:
    spooled(*house(), ("stream-ttl", "60"))
    house()

    assert not list(place.glob("??/*.0"))


def test_a_damaged_piece_costs_one_answer_and_one_request(
    house: Open, place: Path
) -> None:
    """It is cut, never shown; the next reader is served by the origin, and it is kept
    again."""
    one, origin = house(routes=[NEVER])
    spooled(one, origin)
    one.pass_time(100)
    [piece] = place.glob("??/*.0")
    octets = bytearray(piece.read_bytes())
    octets[-SIZE // 2] ^= 1
    piece.write_bytes(octets)
    unlucky = one.ask()
    call(origin).reply(data(b"", "9000", content_type=TYPE[1]))
    error = wait(unlucky).sink.error
    assert error is not None and not unlucky.sink.finished
    assert LARGE.startswith(unlucky.sink.whole)
    assert one.counters.disk_faults == {"disk-damaged": 1}

    asked = one.ask()
    again = call(origin)
    assert again.request.target == f"{PATH}?offset=-1"
    fields = (TYPE, ("stream-next-offset", "9000"))
    again.head(200, fields, framing=Framing.LENGTH, content_length=SIZE)
    again.piece(LARGE)
    again.end()
    assert wait(asked).sink.whole == LARGE
    until(lambda: one.counters.disk_stores == 2)


# Disks that fail


def test_a_disk_that_does_not_answer_is_not_waited_for(
    house: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After three in a row it is left alone for a minute."""
    monkeypatch.setattr(shelf_copies, "PATIENCE", 0.001)
    one, origin = house()
    hangs = threading.Event()
    disk = one.hub.shelf
    assert disk is not None
    folder = disk._disk
    assert isinstance(folder, DiskFolder)
    folder._index.run(lambda: hangs.wait(20), lambda told: None)
    for number in range(4):
        asked = one.ask(key=one.key(f"/v1/stream/{number}"))
        call(origin).reply(data(b"abc", "0003"))
        assert wait(asked).sink.body == b"abc"
    assert one.counters.disk_faults == {"disk-slow": 3}
    assert one.counters.disk_pauses == 1
    hangs.set()


def test_a_disk_that_cannot_be_written_costs_nobody_anything(
    house: Open, place: Path
) -> None:
    one, origin = house()
    for folder in place.iterdir():
        (folder / "lock").unlink()
        folder.rmdir()
    asked = one.ask()
    head_of_large = call(origin)
    fields = (TYPE, ("stream-next-offset", "9000"))
    head_of_large.head(200, fields, framing=Framing.LENGTH, content_length=SIZE)
    head_of_large.piece(LARGE)
    head_of_large.end()

    assert wait(asked).sink.whole == LARGE
    until(lambda: one.counters.disk_faults)
    assert one.counters.disk_faults == {"disk-failed": 1}
    assert one.ask().done().whole == LARGE


def test_a_house_without_a_disk_asks_none() -> None:
    origin = ScriptedOrigin()
    house = House(origin, MemoryFiles())
    house.ask()
    settle()

    assert origin.expect(Purpose.CATCH_UP) and house.hub.shelf is None


# Many at once, and what is no failure


def many_written(house: House, origin: ScriptedOrigin, paths: list[str]) -> None:
    """Two ranges at each of these paths: ``abc``, and ``de`` behind it."""
    for start, body, end in (("-1", b"abc", "0003"), ("0003", b"de", "0005")):
        for path in paths:
            asked = house.ask(start, key=house.key(path))
            call(origin).reply(data(body, end))
            assert wait(asked).sink.body == body
        house.clock.move(0.1)


PATHS = [f"/v1/stream/{number}" for number in range(5)]


def test_what_waits_for_its_turn_is_kept_and_loaded_too(
    house: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory bounds how much is under way at a time, and never what is kept."""
    monkeypatch.setattr(shelf, "MAX_COPIES", 1)
    monkeypatch.setattr(shelf, "MAX_LOADING", 1)
    many_written(*house(), PATHS)
    later, origin = house()
    asked = [later.ask(key=later.key(path)) for path in PATHS]
    for _ in PATHS:
        call(origin).reply(data(b"de", "0005"))

    assert [wait(one).sink.body for one in asked] == [b"abcde"] * len(PATHS)
    assert later.counters.disk_loads == len(PATHS)


def test_a_disk_that_hangs_in_the_middle_of_a_log_is_not_waited_for(
    house: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits for its turn behind it is asked of the origin, too."""
    monkeypatch.setattr(shelf, "MAX_LOADING", 1)
    many_written(*house(), PATHS)
    later, origin = house()
    monkeypatch.setattr(shelf_copies, "PATIENCE", 0.05)
    assert later.hub.shelf is not None
    disk, hangs = later.hub.shelf._disk, threading.Event()
    assert isinstance(disk, DiskFolder)
    for _ in range(2):
        disk.readers.run(lambda: hangs.wait(20), lambda told: None)
    asked = [later.ask(key=later.key(path)) for path in PATHS]
    for _ in PATHS:
        one = call(origin)
        assert one.request.target.endswith("offset=-1")
        one.reply(data(b"other", "0005"))

    assert [wait(one).sink.body for one in asked] == [b"other"] * len(PATHS)
    assert later.counters.disk_faults == {"disk-slow": 3}
    assert later.counters.disk_pauses == 1
    hangs.set()


def test_what_does_not_fit_is_no_failure_of_the_disk(place: Path) -> None:
    """It goes on to be asked, however often that happens."""
    disk, origin = DiskFolder(str(place), SIZE // 2, "http://o"), ScriptedOrigin()
    until_idle(disk)
    one = House(origin, MemoryFiles(), disk, max_object=SIZE // 4)
    for number in range(shelf.MAX_STRIKES):
        asked = one.ask(key=one.key(PATHS[number]))
        fields = (TYPE, ("stream-next-offset", "9000"))
        large = call(origin)
        large.head(200, fields, framing=Framing.LENGTH, content_length=SIZE)
        large.piece(LARGE)
        large.end()
        assert wait(asked).sink.whole == LARGE
    until(lambda: sum(one.counters.disk_faults.values()) == shelf.MAX_STRIKES)

    assert one.counters.disk_faults == {"disk-no-room": shelf.MAX_STRIKES}
    assert one.counters.disk_pauses == 0
    one.hub.stop()
    until_idle(disk)
    disk.stop()


def test_what_is_forgotten_before_its_turn_is_not_kept(
    house: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf, "MAX_COPIES", 1)
    one, origin = house()
    paths = [*PATHS[:4], PATH]
    many_written(one, origin, paths)
    one.hub.begin_drain()
    one.wrote("DELETE", 204)
    later, origin = house()
    asked = [later.ask(key=later.key(path)) for path in paths]
    for _ in paths:
        probe = call(origin)
        if probe.request.target.endswith("=-1"):
            assert probe.request.target == f"{PATH}?offset=-1"
            probe.reply(data(b"anew!", "0005"))
        else:
            probe.reply(data(b"de", "0005"))

    took = [wait(one).sink.body for one in asked]
    assert took == [b"abcde"] * 4 + [b"anew!"]


@pytest.mark.parametrize(
    ("by", "text"),
    [(PurgeBy.PATH, PATH), (PurgeBy.GLOB, PATH), (PurgeBy.TAG, stream_tag(PATH))],
)
def test_what_is_purged_is_not_on_the_disk_any_more(
    house: Open, by: PurgeBy, text: str
) -> None:
    """Though no row knows of it (L27). All else is."""
    one, origin = house()
    many_written(one, origin, [PATH, PATHS[0]])
    later, origin = house()
    purge = Purge(by, text, PurgeMode.HARD)
    report = HubControl(later.hub).purge(purge, 20.0)
    assert (report.matched, report.ranges, report.disk_busy) == (0, 1, False)
    asked, other = later.ask(), later.ask(key=later.key(PATHS[0]))
    for _ in range(2):
        probe = call(origin)
        if probe.request.target == f"{PATH}?offset=-1":
            probe.reply(data(b"anew!", "0005"))
        else:
            probe.reply(data(b"de", "0005"))

    assert wait(asked).sink.body == b"anew!"
    assert wait(other).sink.body == b"abcde"


def test_what_a_row_has_from_the_disk_is_purged_with_it(house: Open) -> None:
    """And is not written there again, however soon the row goes."""
    one, origin = house()
    many_written(one, origin, [PATH])
    later, origin = house()
    asked = later.ask()
    call(origin).reply(data(b"de", "0005"))
    assert wait(asked).sink.body == b"abcde"
    report = HubControl(later.hub).purge(
        Purge(PurgeBy.GLOB, "/**", PurgeMode.HARD), 20.0
    )
    assert report.purged == 1
    last, origin = house()
    asked = last.ask()
    call(origin).reply(data(b"anew!", "0005"))

    assert wait(asked).sink.body == b"anew!"


def test_a_row_that_goes_while_a_walk_is_on_is_not_written_to_the_disk(
    house: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1: the walk has begun; 2: a row that it has not come to goes; 3: it is read anew.
    At 3 nothing old is on the disk."""
    monkeypatch.setattr(purger, "ROWS_AT_ONCE", 1)
    one, origin = house()
    many_written(one, origin, [PATHS[0], PATH])
    purge = Purge(PurgeBy.GLOB, "/**", PurgeMode.HARD)
    walk = gevent.spawn(HubControl(one.hub).purge, purge, 20.0)
    gevent.sleep(0)
    assert not walk.ready()
    row = next(row for row in one.hub.streams if row.key.path == PATH)
    assert row.log.holds_bytes
    one.hub.streams._forget(row)
    asked = one.ask()
    call(origin).reply(data(b"anew!", "0005"))

    assert wait(asked).sink.body == b"anew!"
    assert walk.get(timeout=PATIENCE).purged == 1
    assert one.counters.disk_loads == 0


def test_a_soft_purge_leaves_the_disk_alone_and_the_origin_is_asked(
    house: Open,
) -> None:
    """As it is of all that comes from there (L7)."""
    one, origin = house()
    many_written(one, origin, [PATH])
    later, origin = house()
    report = HubControl(later.hub).purge(Purge(PurgeBy.GLOB, "/**"), 20.0)
    assert (report.matched, report.ranges) == (0, 0)
    asked = later.ask()
    assert asked.waits
    call(origin).reply(data(b"de", "0005"))

    assert wait(asked).sink.body == b"abcde"


def test_what_nobody_could_believe_is_not_written(house: Open) -> None:
    """No boundary lies before its end: the time of a drain is for the others."""
    one, origin = house()
    asked = one.ask()
    call(origin).reply(data(b"abc", "0003"))
    wait(asked)
    one.hub.begin_drain()
    assert one.hub.shelf is not None
    disk = one.hub.shelf._disk
    assert isinstance(disk, DiskFolder)
    until_idle(disk)

    assert one.counters.disk_stores == 0 and disk.used == 0


def test_what_has_hardly_grown_is_not_written_again(house: Open) -> None:
    """A successor reads the little that is missing."""
    one, origin = house()
    for start, body, end in (("-1", b"a" * 500, "0500"), ("0500", b"b" * 500, "1000")):
        asked = one.ask(start)
        call(origin).reply(data(body, end))
        wait(asked)
        one.clock.move(0.1)
    for number, last in enumerate((b"", b"c")):
        later, origin = house()
        asked = later.ask()
        call(origin).reply(data(b"b" * 500 + last, f"{1000 + len(last):04}"))
        assert wait(asked).sink.body == b"a" * 500 + b"b" * 500 + last
        assert later.counters.disk_loads == 1, number
        later.hub.begin_drain()
        until_idle_of(later)
        assert later.counters.disk_stores == 0


def until_idle_of(house: House) -> None:
    assert house.hub.shelf is not None
    disk = house.hub.shelf._disk
    assert isinstance(disk, DiskFolder)
    until_idle(disk)


# What is written while it is in use


QUIET = 2 * quiet_logs.QUIET_SECONDS + 1
"""A log is found to have changed, and then to have not."""


def stores_of(house: House) -> int:
    return house.counters.disk_stores


def time_passes(house: House, seconds: float) -> None:
    """In ticks, and all that is on its way to the disk gets there."""
    for _ in range(int(seconds)):
        house.clock.move(1.0)
        house.hub.ticker.tick()
        until_idle_of(house)
        settle()


def grown(house: House, origin: ScriptedOrigin, start: int, size: int) -> int:
    """The log grows by so many bytes; where it ends now."""
    asked = house.ask("-1" if not start else f"{start:04}")
    call(origin).reply(data(b"x" * size, f"{start + size:04}"))
    assert len(wait(asked).sink.body) == size
    return start + size


def test_a_log_that_is_quiet_is_kept_and_a_killed_process_leaves_it(
    house: Open, place: Path
) -> None:
    """Nothing is left to do for who drains, and no drain is needed."""
    one, origin = house()
    written(one, origin)
    time_passes(one, QUIET)
    assert stores_of(one) == 1
    assert list(place.glob("??/*.0"))
    one.hub.begin_drain()
    until_idle_of(one)
    assert stores_of(one) == 1

    later, origin = house()
    asked = later.ask()
    call(origin).reply(data(b"de", "0005"))
    assert wait(asked).sink.body == b"abcde"
    assert later.counters.disk_loads == 1


def test_what_was_loaded_and_has_not_grown_is_not_written_again(house: Open) -> None:
    one, origin = house()
    written(one, origin)
    later, origin = house()
    asked = later.ask()
    call(origin).reply(data(b"de", "0005"))
    wait(asked)
    time_passes(later, QUIET)

    assert later.counters.disk_loads == 1 and not stores_of(later)


def test_a_log_that_never_rests_is_written_once_a_minute(house: Open) -> None:
    one, origin = house()
    end, stores = 0, []
    for _ in range(200):
        end = grown(one, origin, end, 2)
        time_passes(one, 1)
        stores.append(stores_of(one))

    assert stores[30] == 0 and 1 <= stores[90] <= 2 and 2 <= stores[-1] <= 4


def test_a_log_in_doubt_is_not_written_before_it_is_proven(house: Open) -> None:
    """L7: what is on the disk was proven when it was written."""
    one, origin = house()
    written(one, origin)
    [row] = one.hub.streams
    row.log.tail.mark_unverified(one.clock.monotonic())
    time_passes(one, QUIET)
    assert not stores_of(one)
    asked = one.ask()
    call(origin).reply(data(b"de", "0005"))
    assert wait(asked).sink.body == b"abcde"
    time_passes(one, QUIET)

    assert stores_of(one) == 1


def test_a_stream_made_anew_while_it_is_written_is_not_found(
    house: Open, place: Path
) -> None:
    one, origin = house()
    written(one, origin)
    for _ in range(2):
        one.clock.move(QUIET)
        one.hub.ticker.tick()
    one.wrote("DELETE", 204)
    until_idle_of(one)
    settle()
    until_idle_of(one)

    assert not list(place.glob("??/*.0"))
    assert one.hub.shelf is not None and not len(one.hub.shelf._quiet)


def test_what_a_tick_writes_is_bounded_and_all_get_their_turn(
    house: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quiet_logs, "LOGS_PER_TICK", 2)
    one, origin = house()
    many_written(one, origin, PATHS)
    one.clock.move(QUIET)
    # They are found to have changed.
    for _ in range(3):
        one.hub.ticker.tick()
    one.clock.move(QUIET)
    stores = []
    for _ in range(4):
        one.hub.ticker.tick()
        until_idle_of(one)
        settle()
        until_idle_of(one)
        stores.append(stores_of(one))

    assert stores == [2, 4, 5, 5]


def test_while_the_disk_is_left_alone_nothing_is_written(house: Open) -> None:
    one, origin = house()
    written(one, origin)
    assert one.hub.shelf is not None
    one.hub.shelf._off_until = one.clock.monotonic() + shelf.OFF_SECONDS
    time_passes(one, QUIET)
    assert not stores_of(one)
    time_passes(one, shelf.OFF_SECONDS)

    assert stores_of(one) == 1


def test_a_row_that_is_forgotten_waits_for_nothing(house: Open) -> None:
    one, origin = house(max_streams=1)
    written(one, origin)
    other = one.ask(key=one.key("/v1/stream/b"))
    call(origin).reply(data(b"x", "0001"))
    wait(other)
    time_passes(one, QUIET)

    assert one.hub.shelf is not None
    assert len(one.hub.shelf._quiet) == 0 and len(one.hub.shelf._notes) <= 1


def test_a_disk_that_hangs_in_the_middle_of_an_answer_cuts_it_after_a_while(
    house: Open, request: pytest.FixtureRequest
) -> None:
    """And the next one is served by the origin. What the disk says then is late."""
    one, origin = house(routes=[NEVER])
    spooled(one, origin)
    one.pass_time(100)
    assert one.hub.shelf is not None
    disk, hangs = one.hub.shelf._disk, threading.Event()
    assert isinstance(disk, DiskFolder)
    request.addfinalizer(hangs.set)
    for _ in range(2):
        disk.readers.run(lambda: hangs.wait(300), lambda told: None)
    asked = one.ask()
    call(origin).reply(data(b"", "9000", content_type=TYPE[1]))
    until(lambda: len(one.hub.spools))
    settle()
    one.pass_time(1)
    one.pass_time(DISK_SECONDS - 1)
    assert asked.waits
    one.pass_time(2)
    error = asked.done().error
    assert error is not None and error.reason.value == "disk-slow"
    assert one.counters.disk_faults == {"disk-slow": 1}
    hangs.set()
    until_idle(disk)
    one.ask()

    assert call(origin).request.target == f"{PATH}?offset=-1"
