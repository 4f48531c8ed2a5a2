"""What an operator is shown of the hub, and what becomes of readers when he forgets."""

import pytest

from edge.core.node_counters import GAUGES
from edge.core.values import Mode, Partition, PartitionKind, Purpose
from edge.live.control import HubControl
from origin_adapter.scripted import data, head_answer
from tests.live.support import ALICE, PATH, House, scripted, settle, warm, watch

SECRET = Partition(PartitionKind.CREDENTIAL, "digest", (("authorization", "secret"),))


def control(house: House) -> HubControl:
    return HubControl(house.hub)


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


def test_no_credential_is_shown_nor_its_digest() -> None:
    house, _ = scripted()
    house.ask("0003", key=house.key(partition=SECRET))
    (row,) = control(house).snapshot(1)

    assert row.partition is PartitionKind.CREDENTIAL
    assert "secret" not in repr(row) and "digest" not in repr(row)


@pytest.mark.parametrize("mode", [Mode.LONG_POLL, Mode.SSE])
def test_who_waits_at_a_stream_that_is_forgotten_is_decided_anew(mode: Mode) -> None:
    """A poll waits on at the new log; an event stream ends whole, and comes back."""
    house, origin = scripted()
    warm(house, origin)
    viewer, follow = watch(house, origin, mode=mode)
    settle()
    assert control(house).forget("/v1/stream/**", PATH) == 1
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

    assert control(house).forget("/v1/stream/**", PATH) == 2
    assert control(house).forget("/v1/stream/**", PATH) == 0
    held = {row.path: row.end for row in control(house).snapshot(9)}
    assert held == {PATH: None, "/v1/stream/b": "0003"}


def test_a_row_of_which_nothing_is_held_is_nothing_to_forget() -> None:
    house, _ = scripted()
    house.ask()

    assert control(house).forget("/v1/stream/**", PATH) == 0


def test_an_answer_on_its_way_to_a_stream_that_is_forgotten_is_not_kept() -> None:
    """It was asked for before, be something held or not: its reader asks again."""
    house, origin = scripted()
    reader = house.ask()
    before = origin.expect(Purpose.CATCH_UP)
    control(house).forget("/v1/stream/**", PATH)
    before.reply(data(b"old", "0003"))
    origin.expect(Purpose.CATCH_UP).reply(data(b"new", "0003"))

    assert reader.done().body == b"new"
    assert house.counters.not_stored["old-incarnation"] == 1


def test_every_gauge_has_its_rule_for_a_node_of_several_processes() -> None:
    """One that has none is told for each process, which means little for most."""
    house, _ = scripted()

    assert set(control(house).gauges()) <= set(GAUGES)
