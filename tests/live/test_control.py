"""What an operator may ask of the hub: a snapshot, and to forget a path."""

from edge.core.values import Mode, PartitionKind, Purpose
from edge.live.control import HubControl
from edge.policy.streams.routes import Route
from origin_adapter.scripted import data, head_answer
from tests.live.support import ALICE, PATH, House, scripted, settle, warm, watch

ROUTE = Route().match


def forget(house: House, path: str = PATH) -> int:
    return HubControl(house.hub).forget(ROUTE, path)


def test_streams_are_shown_as_they_are_held() -> None:
    house, origin = scripted()
    warm(house, origin)
    (row,) = HubControl(house.hub).snapshot(10)

    assert (row.route, row.path, row.partition) == (
        ROUTE,
        PATH,
        PartitionKind.ANONYMOUS,
    )
    assert (row.viewers, row.end, row.closed, row.followed) == (0, "0003", False, False)
    assert row.bytes_held > 0


def test_those_with_most_viewers_are_shown_first_and_no_more_than_asked_for() -> None:
    house, origin = scripted()
    warm(house, origin)
    watch(house, origin)
    for number in range(3):
        house.ask(key=house.key(f"/v1/stream/{number}"))
    control = HubControl(house.hub)

    assert [row.path for row in control.snapshot(1)] == [PATH]
    assert len(control.snapshot(10)) == 4
    assert control.snapshot(0) == []
    assert control.gauges()["viewers"] == 1


def test_a_snapshot_tells_no_credential() -> None:
    """Nor a digest of it, nor a header, nor a query."""
    house, _ = scripted()
    house.ask(key=house.key(partition=ALICE, extension="view=secret"))
    (row,) = HubControl(house.hub).snapshot(10)

    assert row.partition is PartitionKind.CREDENTIAL
    assert "alice" not in repr(row) and "secret" not in repr(row)


def test_a_path_is_forgotten_in_every_partition_and_extension() -> None:
    house, origin = scripted()
    keys = [house.key(), house.key(partition=ALICE), house.key(extension="view=1")]
    for key in [*keys, house.key("/v1/stream/other")]:
        asked = house.ask(key=key)
        origin.expect().reply(data(b"old", "0003"))
        asked.done()

    assert forget(house) == 3
    assert forget(house) == 0
    ends = {row.path: row.end for row in HubControl(house.hub).snapshot(10)}
    assert ends == {PATH: None, "/v1/stream/other": "0003"}
    for key in keys:
        asked = house.ask(key=key)
        origin.expect().reply(data(b"new", "0003"))
        assert asked.done().body == b"new"


def test_what_was_never_read_is_not_there_to_be_forgotten() -> None:
    house, _ = scripted()

    assert forget(house) == 0
    assert HubControl(house.hub).forget("/no/route", PATH) == 0


def test_a_poll_that_waits_is_served_on() -> None:
    """Its offset is confirmed anew; then it waits again, and hears the next bytes."""
    house, origin = scripted()
    warm(house, origin)
    poll, _ = watch(house, origin)
    assert forget(house) == 1
    settle()
    origin.expect(Purpose.CATCH_UP).reply(head_answer("0003"))
    settle()
    assert poll.waits
    origin.expect(Purpose.FOLLOW).reply(data(b"d", "0004"))

    assert poll.done().body == b"d"


def test_an_event_stream_ends_whole_so_that_its_client_comes_back() -> None:
    """L5: one event stream never shows two incarnations."""
    house, origin = scripted()
    warm(house, origin)
    stream, _ = watch(house, origin, mode=Mode.SSE)
    assert forget(house) == 1
    settle()
    sink = stream.done()

    assert sink.finished and sink.error is None
    assert sink.events[-1][0] == "control"
    assert sink.events[-1][1]["streamNextOffset"] == "0003"
