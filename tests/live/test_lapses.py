"""Leases that end earlier than they were to: whoever holds one is let go at once.

A10, A20, B12, B13. An order, or keys that have changed, move the end of a lease.
Nothing is given from then on, whatever is under way, and nobody else notices.
"""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.errors import Refusal
from edge.core.reasons import Reason
from edge.core.values import GRANTED, Lease, Mode, Purpose, Read
from edge.live.control import HubControl
from edge.policy.streams.routes import Access, Route
from origin_adapter.scripted import (
    Call,
    LivingOrigin,
    ScriptedOrigin,
    data,
    head_answer,
)
from tests.live.support import PATH, Asked, House, RecordingSink, scripted, settle

ROUTE = Route(access=Access.GRANTED, origin_headers=(("Authorization", "edge"),))


def let_in(**options: object) -> tuple[House, ScriptedOrigin]:
    """A house whose route judges, before a scripted origin."""
    return scripted(routes=(ROUTE,), **options)


def asked(
    house: House,
    lease: Lease,
    offset: str = "-1",
    mode: Mode = Mode.CATCH_UP,
    sink: RecordingSink | None = None,
) -> Asked:
    """A read of whoever holds the lease."""
    sink = sink or RecordingSink()
    read = Read(house.key(partition=GRANTED), offset, mode)
    return Asked(sink, house.hub.ask(read, sink, house.clock.monotonic(), lease))


def lasting(house: House) -> Lease:
    return Lease(house.clock.monotonic() + 600.0)


def followed(house: House, origin: ScriptedOrigin) -> tuple[Asked, Call]:
    """A first viewer at the tail, and the poll that is armed for it."""
    first = asked(house, lasting(house), "0003", Mode.LONG_POLL)
    origin.expect(Purpose.CATCH_UP).reply(head_answer("0003"))
    return first, origin.expect(Purpose.FOLLOW)


def revoke(house: House, lease: Lease) -> None:
    lease.end(house.clock.monotonic(), Reason.REVOKED)


def order(house: House, lease: Lease) -> None:
    """What an order does, and all that follows from it."""
    revoke(house, lease)
    house.hub.lapses.look()
    settle()


def ended(house: House) -> int:
    return house.counters.viewers_ended["revoked"]


# Viewers.


def test_a_parked_poll_ends_where_it_stands_and_claims_nothing() -> None:
    """No time passes. Another holder of the lease ends, too; nobody else does."""
    house, origin = let_in()
    first, poll = followed(house, origin)
    lease = lasting(house)
    crowd = [asked(house, lease, "0003", Mode.LONG_POLL) for _ in range(3)]
    settle()
    order(house, lease)

    for one in crowd:
        assert one.done().status == 204
        assert one.sink.header("stream-next-offset") == "0003"
        assert one.sink.header("stream-up-to-date") is None
    assert first.waits and ended(house) == 3
    poll.reply(data(b"de", "0005"))
    assert first.done().body == b"de"


def test_an_event_stream_ends_after_a_whole_event() -> None:
    house, origin = let_in()
    first, poll = followed(house, origin)
    lease = lasting(house)
    viewer = asked(house, lease, "0003", Mode.SSE)
    poll.reply(data(b"de", "0005"))
    origin.expect(Purpose.FOLLOW)
    settle()
    written = viewer.sink.text
    order(house, lease)

    assert viewer.sink.finished and viewer.sink.text == written
    assert ("data", "de") in viewer.sink.events and written.endswith("\n\n")
    assert first.done().status == 200 and ended(house) == 1


def test_an_event_stream_whose_client_is_slow_ends_too() -> None:
    """It waits for its sink alone, and is not written to again."""
    house, origin = let_in()
    first, poll = followed(house, origin)
    lease = lasting(house)
    viewer = asked(house, lease, "0003", Mode.SSE, RecordingSink(room=False))
    settle()
    poll.reply(data(b"de", "0005"))
    origin.expect(Purpose.FOLLOW)
    settle()
    written = viewer.sink.text
    order(house, lease)
    assert viewer.pending is not None
    viewer.pending.drained()
    settle()

    assert viewer.sink.finished and viewer.sink.text == written
    assert first.done().body == b"de"


@pytest.mark.parametrize("mode", [Mode.LONG_POLL, Mode.SSE])
def test_an_event_that_comes_with_the_order_is_not_given(mode: Mode) -> None:
    """1: the order ends the lease; 2: an event wakes the crowd; 3: the walk comes."""
    house, origin = let_in()
    first, poll = followed(house, origin)
    lease = lasting(house)
    viewer = asked(house, lease, "0003", mode)
    settle()
    before = viewer.sink.text
    revoke(house, lease)
    poll.reply(data(b"secret", "0009"))
    settle()
    house.hub.lapses.look()
    settle()

    assert viewer.done().text == before and b"secret" not in viewer.sink.whole
    assert first.done().body == b"secret"
    assert ended(house) == 1


@pytest.mark.parametrize("mode", [Mode.CATCH_UP, Mode.HEAD, Mode.LONG_POLL, Mode.SSE])
def test_a_flight_under_way_is_for_the_others(mode: Mode) -> None:
    """Whoever began it: it is theirs as well."""
    house, origin = let_in()
    lease = lasting(house)
    one, other = asked(house, lease, mode=mode), asked(house, lasting(house), mode=mode)
    call = origin.expect(Purpose.CATCH_UP)
    order(house, lease)
    answer = data(b"abc", "0003")
    call.reply(head_answer("0003") if call.request.method == "HEAD" else answer)
    settle()
    if other.waits and not other.sink.written and mode is not Mode.HEAD:
        origin.expect().reply(answer)
        settle()

    error = one.done().error
    assert isinstance(error, Refusal) and error.reason is Reason.REVOKED
    assert one.sink.answer is None
    assert other.sink.answer is not None and other.sink.answer.status == 200


@pytest.mark.parametrize("mode", [Mode.CATCH_UP, Mode.HEAD, Mode.LONG_POLL, Mode.SSE])
def test_whoever_holds_an_ended_lease_is_not_let_in_again(mode: Mode) -> None:
    """As a head that was remembered would; also where it is known of such a read that
    it has to wait."""
    house, origin = let_in()
    followed(house, origin)
    read = Read(house.key(partition=GRANTED), "0003", mode)
    sinks = [RecordingSink() for _ in range(4)]
    lease = lasting(house)
    for sink in sinks:
        if sink is sinks[-1]:
            revoke(house, lease)
        house.hub.ask(read, sink, house.clock.monotonic(), lease)
        settle()
    error = sinks[-1].error

    assert isinstance(error, Refusal) and error.reason is Reason.REVOKED
    assert sinks[-1].answer is None and not sinks[-1].written


# Keys that have changed.


@pytest.mark.parametrize("mode", [Mode.LONG_POLL, Mode.SSE])
def test_an_end_that_came_nearer_is_kept_to_the_tick(mode: Mode) -> None:
    """A20: the wheel was set to a later time."""
    house, origin = let_in(long_poll_timeout=600.0, sse_lifetime=600.0)
    first, _ = followed(house, origin)
    lease = lasting(house)
    viewer = asked(house, lease, "0003", mode)
    settle()
    lease.end(house.clock.monotonic() + 10.0)
    house.hub.lapses.look()
    settle()
    waits = []
    for seconds in (9.5, 0.5, 0.25):
        house.pass_time(seconds)
        waits.append((viewer.waits, first.waits))

    assert waits[0] == (True, True) and waits[2] == (False, True)
    assert house.counters.viewers_ended["grant-ended"] == 1


def test_a_walk_changes_nothing_for_whoever_has_time() -> None:
    house, origin = let_in()
    first, poll = followed(house, origin)
    viewer = asked(house, lasting(house), "0003", Mode.SSE)
    plain = asked(house, Lease(), "0003", Mode.LONG_POLL)
    settle()
    house.hub.lapses.look()
    house.hub.lapses.look()
    settle()
    poll.reply(data(b"de", "0005"))
    settle()

    assert ("data", "de") in viewer.sink.events and viewer.waits
    assert first.done().body == plain.done().body == b"de"


# Relays.


def relayed(house: House, origin: ScriptedOrigin, lease: Lease) -> tuple[Asked, Call]:
    """A read that is passed through, since what it asks for is too large to hold."""
    first = asked(house, lasting(house))
    origin.expect().reply(data(b"abcdef", "0006"))
    origin.expect(Purpose.RELAY).reply(data(b"abcdef", "0006"))
    first.done()
    one = asked(house, lease)
    return one, origin.expect(Purpose.RELAY)


def test_a_relayed_body_is_cut() -> None:
    """And cannot look complete; the upstream request is given up. The pump waits for
    its next piece, by a time-out of ten minutes."""
    house, origin = let_in(max_object=4)
    lease = lasting(house)
    one, relay = relayed(house, origin, lease)
    relay.head(200, [("stream-next-offset", "0006")])
    relay.piece(b"abc")
    settle()
    order(house, lease)
    error = one.done().error

    assert isinstance(error, Refusal) and error.reason is Reason.REVOKED
    assert one.sink.whole == b"abc"
    assert not HubControl(house.hub).gauges()["relays"]


def test_a_relay_that_waits_for_its_head_ends_too() -> None:
    house, origin = let_in(max_object=4)
    lease = lasting(house)
    one, _ = relayed(house, origin, lease)
    order(house, lease)

    assert isinstance(one.done().error, Refusal) and one.sink.answer is None


def test_a_relay_whose_client_takes_nothing_ends_too() -> None:
    """Its pump waits for the sink, which no time-out ends."""
    house, origin = let_in(max_object=4)
    lease = lasting(house)
    first = asked(house, lasting(house))
    origin.expect().reply(data(b"abcdef", "0006"))
    origin.expect(Purpose.RELAY).reply(data(b"abcdef", "0006"))
    first.done()
    one = asked(house, lease, sink=RecordingSink(room=False))
    relay = origin.expect(Purpose.RELAY)
    relay.head(200, [("stream-next-offset", "0006")])
    relay.piece(b"abc")
    settle()
    order(house, lease)

    assert isinstance(one.done().error, Refusal) and one.sink.whole == b"abc"


@pytest.mark.parametrize(
    ("piece", "whole"),
    [(b"event: data\ndata:a\n\n", False), (b"", True)],
    ids=["in the middle of an event", "between two"],
)
def test_a_relayed_event_stream_ends_where_it_may_and_is_cut_elsewhere(
    piece: bytes, whole: bool
) -> None:
    """Not a byte after the order, not even to end an event."""
    house, origin = let_in()
    first = asked(house, lasting(house))
    origin.expect().reply(data(b"x", "0001", vary="*"))
    first.done()
    lease = lasting(house)
    one = asked(house, lease, "0001", Mode.SSE)
    relay = origin.expect(Purpose.RELAY)
    relay.head(200, [("content-type", "text/event-stream")])
    relay.piece(b"event: data\ndata:a\n\n")
    relay.piece(b'event: control\ndata:{"streamNextOffset":"0002"}\n\n')
    if piece:
        relay.piece(piece)
    settle()
    written = one.sink.text
    order(house, lease)

    assert one.done().finished is whole and one.sink.text == written
    assert ended(house) == whole


def test_a_relay_whose_end_came_nearer_is_cut_then() -> None:
    """Its own time-out is set to the old end."""
    house, origin = let_in(max_object=4)
    lease = lasting(house)
    one, relay = relayed(house, origin, lease)
    relay.head(200, [("stream-next-offset", "0006")])
    settle()
    lease.end(house.clock.monotonic() + 0.01)
    house.hub.lapses.look()
    settle()
    house.clock.move(0.01)
    error = one.done().error

    assert isinstance(error, Refusal) and error.reason is Reason.GRANT_ENDED


# Whatever happens.


class TimedSink(RecordingSink):
    """Knows how often it was given anything."""

    given = 0

    def write(self, buffers: Sequence[bytes]) -> bool:
        self.given += 1
        return super().write(buffers)


_VIEWERS = st.tuples(
    st.sampled_from(["catch-up", "long-poll", "sse"]), st.integers(0, 2)
)
_ROUNDS = st.tuples(
    st.lists(_VIEWERS, max_size=4),
    st.sampled_from(["append", "lapse", "nothing"]),
    st.sampled_from([None, 0, 1, 2]),
    st.booleans(),
)


@given(st.lists(_ROUNDS, min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_nothing_is_given_by_a_lease_that_was_revoked(
    rounds: list[tuple[list[tuple[str, int]], str, int | None, bool]],
) -> None:
    """B13: three tokens, each held by many. In each round some come, one token may be
    revoked, and something happens before the walk or after it. Who holds another token
    is served; everybody is released in the end."""
    origin = LivingOrigin()
    origin.create(PATH)
    house = House(origin, routes=(ROUTE,))
    leases = [lasting(house) for _ in range(3)]
    readers: list[tuple[TimedSink, Lease]] = []
    for viewers, event, revoked, walks in rounds:
        for mode, number in viewers:
            sink = TimedSink()
            asked(house, leases[number], origin.tail(PATH), Mode(mode), sink)
            readers.append((sink, leases[number]))
        settle()
        if revoked is not None:
            revoke(house, leases[revoked])
        before = [(sink.given, sink.answer) for sink, _ in readers]
        if walks:
            house.hub.lapses.look()
        if event == "append":
            origin.append(PATH, b"event")
        elif event == "lapse":
            origin.lapse()
        settle()
        for (sink, lease), (given_before, answer) in zip(readers, before, strict=True):
            if lease.why is Reason.REVOKED:
                assert sink.given == given_before
                empty = sink.answer is not None and sink.answer.status == 204
                assert sink.answer is answer or empty
                assert not walks or sink.ended.is_set()
    house.pass_time(61.0)
    house.pass_time(61.0)

    assert all(sink.ended.is_set() for sink, _ in readers)
    house.hub.stop()
    settle()
