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
