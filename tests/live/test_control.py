"""What an operator is shown of the hub, and what becomes of readers when he forgets."""

import pytest

from edge.core.errors import OriginTimeout
from edge.core.node_counters import GAUGES
from edge.core.purges import Purge, PurgeBy, PurgeMode
from edge.core.reasons import Reason
from edge.core.stream_snapshot import (
    FaultNote,
    FollowerSnapshot,
    HeldPiece,
    StreamFilter,
    StreamOrder,
)
from edge.core.values import Mode, Partition, PartitionKind, Purpose, Read
from edge.live.control import HubControl
from origin_adapter.scripted import LivingOrigin, data, head_answer
from tests.live.support import (
    ALICE,
    PATH,
    QUICK,
    House,
    RecordingSink,
    scripted,
    settle,
    warm,
    watch,
)

SECRET = Partition(PartitionKind.CREDENTIAL, "digest", (("authorization", "secret"),))


def control(house: House) -> HubControl:
    return HubControl(house.hub)


def forget(house: House) -> int:
    """Have a hard purge of the path; of how many rows something was held."""
    purge = Purge(PurgeBy.PATH, PATH, PurgeMode.HARD)
    return control(house).purge(purge).purged


def test_a_followed_stream_is_shown_with_all_that_is_alive_about_it() -> None:
    house, origin = scripted()
    warm(house, origin)
    watch(house, origin)
    house.view("0003")
    settle()
    (row,) = control(house).snapshot(10)

    assert (row.route, row.path, row.partition) == ("/v1/stream/**", PATH, "anonymous")
    assert (row.viewers, row.parked, row.flights, row.incarnation) == (2, 2, 0, 1)
    assert (row.end, row.tail, row.closed) == ("0003", "0003", False)
    assert row.followed and row.armed and row.bytes_held > 0
    assert control(house).gauges()["viewers"] == 2


def test_the_streams_with_most_viewers_come_first_and_no_more_than_asked() -> None:
    house, _ = scripted()
    for name, viewers in (("a", 1), ("b", 3), ("c", 2)):
        for _ in range(viewers):
            house.ask("0003", Mode.SSE, key=house.key(f"/v1/stream/{name}"))
    shown = control(house).snapshot(2)

    assert [row.path[-1] for row in shown] == ["b", "c"]
    assert [row.flights for row in shown] == [1, 1]


def test_each_read_counts_at_its_stream_hits_too() -> None:
    """And the stream that is asked for most comes first, if that is asked for."""
    house, origin = scripted()
    warm(house, origin)
    watch(house, origin)
    settle()
    read = Read(house.key(), "-1", Mode.CATCH_UP)
    for _ in range(3):
        now = house.clock.monotonic()
        if house.hub.answer_cache.peek(read, now) is None:
            house.hub.ask(read, RecordingSink(), now)
    for _ in range(2):
        house.ask("0003", Mode.SSE, key=house.key("/v1/stream/b"))
    by_requests = StreamFilter(StreamOrder.REQUESTS)
    rows = control(house).snapshot(10, by_requests)

    assert [(row.path, row.requests) for row in rows] == [
        (PATH, 5),
        ("/v1/stream/b", 2),
    ]
    assert house.counters.answers["hit"] == 3
    assert [row.path[-1] for row in control(house).snapshot(1)] == ["b"]


def test_the_slowest_viewer_tells_how_far_a_stream_lags() -> None:
    """One whose client takes nothing. Who waits at the end is no lag."""
    house, origin = scripted()
    warm(house, origin)
    slow = RecordingSink(room=False)
    house.ask("-1", Mode.SSE, sink=slow)
    _, follow = watch(house, origin, mode=Mode.SSE)
    follow.reply(data(b"defgh", "0008"))
    settle()
    (row,) = control(house).snapshot(1, StreamFilter(StreamOrder.LAG))

    assert (row.viewers, row.viewers_by_events, row.lag) == (2, 2, 5)
    assert control(house).gauges()["viewers_by_events"] == 2


def test_one_stream_is_told_in_full() -> None:
    house, origin = scripted()
    warm(house, origin)
    _, follow = watch(house, origin)
    house.pass_time(2.0)
    follow.reply(data(b"de", "0005"))
    settle()
    house.poll("0005")
    origin.expect(Purpose.FOLLOW)
    house.pass_time(1.5)
    (told,) = control(house).details("/v1/stream/**", PATH)

    assert told.held == (HeldPiece("-1", "0005", 5),) and told.pieces == 1
    assert told.follower == FollowerSnapshot("asking", by_events=False)
    assert (told.age, told.grown) == (0.0, 1.5)
    assert (told.away, told.retry_in, told.faults) == (None, 0.0, ())
    assert (told.row.viewers, told.row.viewers_by_events) == (1, 0)
    assert control(house).details("/v1/stream/**", "/v1/stream/other") == []


def test_what_a_stream_met_is_told_with_its_reason_and_time_also_when_it_is_over() -> (
    None
):
    house, origin = scripted(**QUICK)
    warm(house, origin)
    _, follow = watch(house, origin)
    follow.fail(OriginTimeout("slow", reason=Reason.ORIGIN_TIMEOUT))
    settle()
    (away,) = control(house).details("/v1/stream/**", PATH)
    wall = house.clock.wall()
    house.pass_time(1.0)
    origin.expect().reply(data(b"", "0003"))
    settle()
    (over,) = control(house).details("/v1/stream/**", PATH)

    assert away.follower == FollowerSnapshot("pausing", by_events=False)
    assert away.faults == (FaultNote("origin-timeout", 1, wall),)
    assert over.faults[-1] == FaultNote("origin-timeout", 1, wall)
    assert house.counters.origin_faults["origin-timeout"] == 1


def test_an_origin_that_fails_is_not_up_until_it_answers() -> None:
    """By whatever streams."""
    origin = LivingOrigin()
    house = House(origin)
    for name in "abc":
        origin.create(f"/v1/stream/{name}")

    def read(name: str) -> bool:
        house.ask(key=house.key(f"/v1/stream/{name}")).done()
        return bool(control(house).gauges()["origin_up"])

    origin.down = True
    told = [read(name) for name in "abc"]
    since = control(house).gauges()["origin_changed_timestamp_seconds"]
    house.clock.move(9.0)
    origin.down = False

    assert told == [True, True, False]
    assert since == house.clock.wall() - 9.0
    assert read("a") is True


def test_no_credential_is_shown_nor_its_digest() -> None:
    house, _ = scripted()
    house.ask("0003", key=house.key(partition=SECRET))
    (row,) = control(house).snapshot(1)

    assert row.partition is PartitionKind.CREDENTIAL
    assert "secret" not in repr(row) and "digest" not in repr(row)
    (told,) = control(house).details("/v1/stream/**", PATH)
    assert "secret" not in repr(told) and "digest" not in repr(told)


@pytest.mark.parametrize("mode", [Mode.LONG_POLL, Mode.SSE])
def test_who_waits_at_a_stream_that_is_forgotten_is_decided_anew(mode: Mode) -> None:
    """A poll waits on at the new log; an event stream ends whole, and comes back."""
    house, origin = scripted()
    warm(house, origin)
    viewer, follow = watch(house, origin, mode=mode)
    settle()
    assert forget(house) == 1
    settle()

    assert follow.closed.is_set()
    assert house.counters.drops["forgotten"] == 1
    if mode is Mode.SSE:
        assert viewer.done().finished and viewer.sink.error is None
    else:
        origin.expect(Purpose.CATCH_UP).reply(head_answer("0003"))
        origin.expect(Purpose.FOLLOW).reply(data(b"de", "0005"))
        assert viewer.done().body == b"de"


def test_a_path_is_forgotten_in_every_partition_and_no_other_path() -> None:
    house, origin = scripted()
    keys = [house.key(), house.key(partition=ALICE), house.key("/v1/stream/b")]
    for key in keys:
        house.ask(key=key)
        origin.expect().reply(data(b"abc", "0003"))
    settle()

    assert forget(house) == 2
    assert forget(house) == 0
    held = {row.path: row.end for row in control(house).snapshot(9)}
    assert held == {PATH: None, "/v1/stream/b": "0003"}


def test_a_row_of_which_nothing_is_held_is_nothing_to_forget() -> None:
    house, _ = scripted()
    house.ask()

    assert forget(house) == 0


def test_an_answer_on_its_way_to_a_stream_that_is_forgotten_is_not_kept() -> None:
    """It was asked for before, be something held or not: its reader asks again."""
    house, origin = scripted()
    reader = house.ask()
    before = origin.expect(Purpose.CATCH_UP)
    forget(house)
    before.reply(data(b"old", "0003"))
    origin.expect(Purpose.CATCH_UP).reply(data(b"new", "0003"))

    assert reader.done().body == b"new"
    assert house.counters.not_stored["old-incarnation"] == 1


def test_every_gauge_has_its_rule_for_a_node_of_several_processes() -> None:
    """One that has none is told for each process, which means little for most."""
    house, _ = scripted()

    assert set(control(house).gauges()) <= set(GAUGES)
