"""What a retired keeper answers to its successor, and to fronts that wait (W2, W8)."""

from dataclasses import replace

import pytest

from edge.core.errors import NotHeld, OriginUnreachable
from edge.core.values import Lineage, Mode, Purpose, Read
from origin_adapter.scripted import data, head_answer
from tests.live.node_house import NodeHouse, keeper
from tests.live.support import QUICK, Asked, RecordingSink, settle, warm, watch
from tests.live.test_lineage_results import of

BOOT = 7


def old() -> NodeHouse:
    """A keeper that has a successor, or will have one."""
    return keeper(boot=BOOT, **QUICK)


def heir(node: NodeHouse, offset: str = "-1", mode: Mode = Mode.CATCH_UP) -> Asked:
    """The successor asks."""
    house, sink = node.house, RecordingSink()
    read = Read(house.key(), offset, mode, only_held=True)
    return Asked(sink, house.hub.ask(read, sink, house.clock.monotonic()))


def lineage_handed(asked: Asked) -> Lineage | None:
    fault = asked.done().error
    assert isinstance(fault, NotHeld)
    return fault.lineage


def go_by(node: NodeHouse, seconds: float) -> None:
    """So much time passes, while all beat."""
    for _ in range(int(seconds)):
        node.pass_time(1.0)


def test_what_is_held_is_answered_and_what_is_not_is_handed() -> None:
    """The origin is asked for neither."""
    node = old()
    empty = heir(node)
    assert lineage_handed(empty) is None
    warm(node.house, node.origin)
    calls = len(node.origin.calls)
    range_, behind = heir(node), heir(node, "0003")

    assert range_.done().body == b"abc"
    assert range_.done().header("stream-up-to-date") is None
    (stream,) = node.house.hub.streams
    assert lineage_handed(behind) == stream.log.told_lineage(BOOT)
    assert len(node.origin.calls) == calls


def test_a_poll_waits_where_one_is_on_the_wire_and_is_answered_by_it() -> None:
    node = old()
    front, poll = watch(node.house, node.origin)
    successor = heir(node, "0003", Mode.LONG_POLL)
    node.house.hub.begin_drain()
    settle()
    assert successor.waits
    poll.reply(data(b"de", "0005"))

    assert successor.done().body == b"de" and front.done().body == b"de"


def test_a_retired_keeper_arms_nothing_and_hands_over_with_the_life_it_held() -> None:
    node = old()
    watch(node.house, node.origin)[1].reply(data(b"de", "0005"))
    settle()
    node.origin.expect(Purpose.FOLLOW).reply(data(b"f", "0006"))
    settle()
    poll = node.origin.expect(Purpose.FOLLOW)
    node.house.hub.begin_drain()
    poll.reply(data(b"g", "0007"))
    settle()
    successor = heir(node, "0007", Mode.LONG_POLL)
    (stream,) = node.house.hub.streams

    assert lineage_handed(successor) == stream.log.told_lineage(BOOT)
    assert stream.follower is None
    node.origin.assert_quiet()


def test_who_lost_contact_hands_no_life_over() -> None:
    """L7: it may have been made anew behind the cut."""
    node = old()
    _, poll = watch(node.house, node.origin)
    node.house.hub.begin_drain()
    poll.fail(OriginUnreachable("cut"))
    settle()

    assert lineage_handed(heir(node, "0003", Mode.LONG_POLL)) is None
    node.origin.assert_quiet()


def test_what_needs_a_check_is_handed_without_a_life_and_shown_to_nobody() -> None:
    """L6: it was confirmed long ago, and may be another stream by now."""
    node = old()
    warm(node.house, node.origin)
    go_by(node, node.house.options.rules.verify - 1.0)
    assert heir(node).done().body == b"abc"
    go_by(node, 2.0)

    assert lineage_handed(heir(node)) is None


def test_a_stream_that_lives_by_being_read_is_handed_to_be_read() -> None:
    """L23: an answer from here would not renew it."""
    node = old()
    house, origin = node.house, node.origin
    opened = house.ask(mode=Mode.HEAD)
    origin.expect().reply(head_answer("0003", ttl=30))
    opened.done()
    warm(house, origin)
    assert heir(node).done().body == b"abc"
    go_by(node, 9.0)
    assert heir(node).done().body == b"abc"
    go_by(node, 2.0)

    handed = heir(node).done()
    assert isinstance(handed.error, NotHeld)


def test_the_end_of_the_grace_hands_over_whoever_waits() -> None:
    node = old()
    watch(node.house, node.origin)
    successor = heir(node, "0003", Mode.LONG_POLL)
    node.house.hub.begin_drain()
    settle()
    assert successor.waits
    node.house.hub.let_go()

    assert lineage_handed(successor) is not None


# The successor.


def succeeding(lineage: Lineage) -> NodeHouse:
    """A keeper that holds what the one before it answered, and polls there."""
    node = keeper(boot=BOOT + 1, asks_keepers=True, **QUICK)
    asked = node.house.ask()
    node.origin.expect(Purpose.CATCH_UP).reply(of(lineage, data(b"abc", "0003")))
    asked.done()
    node.house.poll("0003")
    settle()
    node.origin.expect(Purpose.CATCH_UP).reply(of(lineage, head_answer("0003")))
    return node


@pytest.mark.parametrize("is_told", [True, False])
def test_a_poll_that_is_handed_goes_on_without_doubt_if_its_life_is_told(
    is_told: bool,
) -> None:
    lineage = Lineage(BOOT, None, 1)
    node = succeeding(lineage)
    told = lineage if is_told else None
    node.origin.expect(Purpose.FOLLOW).fail(NotHeld(lineage=told))
    if not is_told:
        probe = node.origin.expect(Purpose.CATCH_UP)
        assert probe.request.target.endswith("offset=-1")
        probe.reply(data(b"abc", "0003"))

    node.origin.expect(Purpose.FOLLOW)
    (stream,) = node.house.hub.streams
    assert stream.log.told_lineage(BOOT + 1) == lineage


def test_who_has_a_life_of_its_own_asks_the_one_before_for_nothing() -> None:
    """W8: fronts were told of it, and the word of the one before is of another one. Its
    poll would be thrown away again and again."""
    node = keeper(boot=BOOT + 1, asks_keepers=True, **QUICK)
    first = node.house.ask()
    call = node.origin.expect(Purpose.CATCH_UP)
    assert call.request.link is not None
    call.reply(data(b"abc", "0003"))
    first.done()
    node.house.poll("0003")
    opened = node.origin.expect(Purpose.CATCH_UP)
    assert opened.request.link is None
    opened.reply(head_answer("0003"))

    assert node.origin.expect(Purpose.FOLLOW).request.link is None


def test_a_successor_bounds_what_it_passes_on() -> None:
    """Only a front leaves that to its keeper (W11)."""
    bounds = {"max_relays": 1, "max_object": 8}
    node = keeper(boot=BOOT + 1, asks_keepers=True, **bounds)
    readers = [node.house.ask(), node.house.ask()]
    node.origin.expect(Purpose.CATCH_UP).reply(data(b"far too large", "0013"))
    relay = node.origin.expect(Purpose.RELAY)
    settle()

    assert relay.request.link is None
    assert [one.sink.error is not None for one in readers] == [False, True]


def test_a_life_that_began_here_is_later_than_any_that_the_one_before_knows() -> None:
    """W8: fronts were told of it, and would throw away what is said of an older one."""
    node = keeper(boot=BOOT + 1, asks_keepers=True, **QUICK)
    warm(node.house, node.origin)
    (stream,) = node.house.hub.streams
    node.house.hub.streams.renew(stream)
    asked = node.house.ask()
    node.origin.expect().reply(data(b"ABC", "0003"))
    asked.done()
    told = stream.log.told_lineage(BOOT + 1)
    again = node.house.ask("0003")
    before = replace(told, boot=BOOT)
    node.origin.expect().reply(of(before, data(b"xx", "0005")))
    settle()
    assert again.waits
    node.origin.expect().reply(data(b"DE", "0005"))

    assert again.done().body == b"DE"
    assert stream.log.told_lineage(BOOT + 1) == told
