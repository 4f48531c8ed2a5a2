"""A keeper's end of a channel, on a transport in the test's hand."""

from typing import Any

import pytest

from edge.core.reasons import Reason
from edge.front.fast import channel
from edge.front.fast.channel import ChannelSink, PushChannel
from edge.policy.http.link_frames import Frame, FrameKind, FrameReader
from tests.front.fake_transport import FakeTransport
from tests.front.fast.test_connection import Bench


class FakePending:
    """Implements ``PendingRead``: counts what its front does."""

    brought_by: None = None

    def __init__(self) -> None:
        self.drains = self.leaves = 0

    def drained(self) -> None:
        self.drains += 1

    def gone(self) -> None:
        self.leaves += 1


class Ends:
    """A channel with some who follow, and its transport."""

    def __init__(self, followed: int, capacity: int | None = None) -> None:
        self.bench = Bench()
        self.bench.close()
        self.transport = FakeTransport(capacity)
        self.among: set[Any] = set()
        self.channels: set[PushChannel] = set()
        given: Any = self.transport
        ours = self.among, self.channels
        self.channel = PushChannel(self.bench.context, given, *ours)
        self.channel.begin(b"")
        self.pending = [FakePending() for _ in range(followed)]
        self.sinks: list[ChannelSink] = []
        for number, pending in enumerate(self.pending):
            plain: Any = None
            sink = ChannelSink(self.bench.context, self.channel, number, plain)
            sink.is_pushed, sink.pending = True, pending
            self.channel.adopt(sink)
            self.sinks.append(sink)

    def frames(self) -> list[Frame]:
        return FrameReader(1 << 20).feed(self.transport.take())

    def turn(self) -> None:
        self.bench.catch_up()
        self.transport.turn()
        self.bench.catch_up()

    @property
    def refused(self) -> int:
        counters = self.bench.context.server_context.counters
        return counters.refusals[Reason.CHANNEL_SLOW.value]


def test_what_is_pushed_in_one_turn_goes_out_at_once() -> None:
    ends = Ends(2)
    for sink in ends.sinks:
        assert sink.write((b"<1>",)) and sink.write((b"<2>",))
    assert not ends.transport.sent
    ends.turn()

    told = [(one.number, one.payload) for one in ends.frames()]
    assert told == [(0, b"<1>"), (0, b"<2>"), (1, b"<1>"), (1, b"<2>")]


def test_readers_of_a_slow_front_are_full_until_its_channel_has_drained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(channel, "HIGH_WATER", 100)
    ends = Ends(2, capacity=50)
    assert ends.sinks[0].write((bytes(60),))
    assert not ends.sinks[1].write((bytes(60),))
    ends.turn()
    assert [one.drains for one in ends.pending] == [0, 0]
    ends.transport.capacity = None
    for _ in range(3):
        ends.turn()

    assert [one.drains for one in ends.pending] == [0, 1]
    assert [one.number for one in ends.frames()] == [0, 1]


def test_a_front_that_takes_nothing_has_its_channel_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever is pushed to how many: what waits has a bound."""
    monkeypatch.setattr(channel, "MOST", 1000)
    ends = Ends(3, capacity=0)
    for _ in range(5):
        for sink in ends.sinks:
            sink.write((bytes(60),))
        ends.turn()

    assert ends.refused == 1
    assert ends.transport.state != "open"
    assert [one.leaves for one in ends.pending] == [1, 1, 1]
    assert not ends.among and not ends.channels


def test_a_drain_is_told_once_and_those_who_follow_go_on() -> None:
    """W12."""
    ends = Ends(1)
    ends.channel.leave()
    ends.channel.leave()
    assert ends.sinks[0].write((b"<1>",))
    ends.turn()
    assert [one.kind for one in ends.frames()] == [FrameKind.LEAVING, FrameKind.PUSH]
    ends.channel.dismiss()
    assert ends.channel.idle_since is None
    ends.transport.finish()
    ends.turn()

    assert ends.pending[0].leaves == 1
