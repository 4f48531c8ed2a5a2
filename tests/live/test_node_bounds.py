"""The bounds of a node, as the hubs of two of its fronts keep them (W13)."""

import pytest

from edge.board.bounds import LaneBounds
from edge.core.values import Mode, Purpose
from origin_adapter.scripted import ScriptedOrigin, data
from tests.live.node_house import NodeHouse, front
from tests.live.support import PATH, Asked, House, RecordingSink, watch

OTHER = "/v1/stream/b"
HERE, THERE = "192.0.2.1", "192.0.2.2"


def two_fronts(**options: object) -> tuple[NodeHouse, House, ScriptedOrigin]:
    """A front, and another one beside it with an origin of its own."""
    node, origin = front(**options), ScriptedOrigin()
    options |= {"board": node.other, "bounds": LaneBounds(node.other)}
    return node, House(origin, **options), origin


def reason(asked: Asked) -> str:
    error = asked.done().error
    assert error is not None and error.status == 503
    return error.reason.value


def gone(asked: Asked) -> None:
    """Its client has left."""
    assert asked.pending is not None
    asked.pending.gone()


@pytest.mark.parametrize("how", ["gone", "answered", "ended"])
@pytest.mark.parametrize("mode", [Mode.LONG_POLL, Mode.SSE])
def test_viewers_of_all_fronts_are_bounded_together(how: str, mode: Mode) -> None:
    """However one ends, another front has its place at once."""
    node, other, origin = two_fronts(max_viewers=2)
    first, poll = watch(node.house, node.origin, mode=mode)
    second, _ = watch(other, origin, mode=mode)
    assert reason(node.house.ask("0003", mode)) == "limit-viewers"
    assert reason(other.ask("0003", mode)) == "limit-viewers"
    assert node.house.ask("0003").done().status == 200

    if how == "gone":
        gone(first)
    elif how == "ended":
        node.house.hub.drain(0.0)
        first.done()
    else:
        poll.reply(data(b"def", "0006", closed=True))
        first.done()
    third = other.ask("0003", mode)
    assert third.waits and second.waits
    assert reason(other.ask("0003", mode)) == "limit-viewers"


def test_viewers_of_one_stream_are_bounded_over_all_fronts() -> None:
    """At another stream there is room; and who is refused takes no place of all."""
    node, other, origin = two_fronts(max_viewers=2, max_viewers_per_stream=1)
    first, _ = watch(node.house, node.origin)
    for _ in range(3):
        assert reason(other.poll("0003")) == "limit-viewers"
        assert reason(node.house.poll("0003")) == "limit-viewers"
    elsewhere = other.ask("0003", Mode.LONG_POLL, key=other.key(OTHER))
    origin.expect(Purpose.CATCH_UP)
    assert elsewhere.waits

    gone(first)
    for _ in range(3):
        key = node.house.key(OTHER)
        late = node.house.ask("0003", Mode.LONG_POLL, key=key)
        assert reason(late) == "limit-viewers"
    assert other.poll("0003").waits
    gone(elsewhere)
    assert reason(node.house.poll("0003")) == "limit-viewers"
    key = node.house.key("/v1/stream/c")
    assert node.house.ask("0003", Mode.LONG_POLL, key=key).waits


def test_a_crowd_that_is_answered_leaves_room_for_as_many() -> None:
    node, other, origin = two_fronts(max_viewers=4, max_viewers_per_stream=3)
    first, poll = watch(node.house, node.origin)
    crowd = [first, node.house.poll("0003"), node.house.poll("0003")]
    assert reason(other.poll("0003")) == "limit-viewers"
    poll.reply(data(b"def", "0006"))
    for viewer in crowd:
        assert viewer.done().body == b"def"

    third, _ = watch(other, origin, "0006")
    assert third.waits and other.poll("0006").waits and other.poll("0006").waits
    assert reason(other.poll("0006")) == "limit-viewers"
    assert other.ask("-1", Mode.LONG_POLL, key=other.key(OTHER)).waits


@pytest.mark.parametrize(
    ("limit", "path", "client"),
    [
        ("max_relays", OTHER, THERE),
        ("max_relays_per_stream", PATH, THERE),
        ("max_relays_per_client", OTHER, HERE),
    ],
)
def test_relays_of_all_fronts_are_bounded_together(
    limit: str, path: str, client: str
) -> None:
    """L15: as those of one are. Who is refused takes no place of the others."""
    bounds = {"max_relays": 2, "max_relays_per_stream": 1, limit: 1}
    node, other, origin = two_fronts(**bounds)
    for house, its in ((node.house, node.origin), (other, origin)):
        for key in (house.key(), house.key(OTHER), house.key(path, extension="x=1")):
            opened = house.ask(key=key)
            its.expect().reply(data(b"x", "0001", vary="*"))
            opened.done()
    first = node.house.ask(sink=RecordingSink(client=HERE))
    relay = node.origin.expect(Purpose.RELAY)

    key = other.key(path, extension="x=1")
    for _ in range(2):
        late = other.ask(sink=RecordingSink(client=client), key=key)
        assert reason(late) == "limit-relays"
    if limit != "max_relays":
        key_within = node.house.key(OTHER)
        within = node.house.ask(sink=RecordingSink(client=THERE), key=key_within)
        node.origin.expect(Purpose.RELAY).reply(data(b"y", "0001"))
        within.done()
    relay.reply(data(b"x", "0001"))
    first.done()
    other.ask(sink=RecordingSink(client=client), key=key)
    origin.expect(Purpose.RELAY)


def test_clients_without_an_address_are_bounded_by_streams_alone() -> None:
    """They come by a unix socket, and are not one client."""
    node, other, origin = two_fronts(max_relays_per_client=1)
    for house, its in ((node.house, node.origin), (other, origin)):
        opened = house.ask()
        its.expect().reply(data(b"x", "0001", vary="*"))
        opened.done()
        for _ in range(2):
            relayed = house.ask(sink=RecordingSink(client=""))
            its.expect(Purpose.RELAY)
            assert relayed.waits
