"""What a keeper pushes to fronts, and what a front makes of it (W15)."""

from dataclasses import dataclass, field
from typing import Any

from edge.core.errors import OriginUnreachable
from edge.core.ports import Ready
from edge.core.values import Lineage, Mode, Provenance, Purpose
from edge.live.push_delivery import PushSink
from edge.policy.http.link_frames import Push, push_of, push_payload
from edge.policy.streams.routes import Follow, Route
from origin_adapter.scripted import Call, data, head_answer, no_content
from tests.live.node_house import NodeHouse, front, keeper
from tests.live.support import PATH, Asked, RecordingSink, settle, warm, watch

TEXT = Route(follow=Follow.LONG_POLL)


@dataclass(eq=False)
class FrontSink(RecordingSink, PushSink):
    """What a front is pushed."""

    is_pushed: bool = False
    __hash__ = object.__hash__
    wanted: list[object] = field(default_factory=list)

    def send_whole(self, ready: Ready, pause_reads: bool = False) -> None:
        RecordingSink.send_whole(self, ready, pause_reads)

    @property
    def pushes(self) -> list[Push]:
        return [push_of(payload) for payload in self.written]


def pushed(node: NodeHouse, offset: str = "0003") -> Asked:
    return node.house.ask(offset, Mode.SSE, sink=FrontSink())


def pushes(asked: Asked) -> list[Push]:
    assert isinstance(asked.sink, FrontSink)
    return asked.sink.pushes


# A keeper.


def test_a_keeper_pushes_each_range_with_its_end_and_what_it_claims() -> None:
    node = keeper()
    house, origin = node.house, node.origin
    viewer, poll = watch(house, origin)
    one, other = pushed(node), pushed(node)
    settle()
    assert [push.up_to_date for push in pushes(one)] == [True]
    poll.reply(data(b"de", "0005"))
    settle()
    origin.expect(Purpose.FOLLOW)
    settle()

    for front_ in (one, other):
        last = pushes(front_)[-1]
        assert (last.start, last.next, last.data) == ("0003", "0005", b"de")
        assert last.up_to_date and not last.closed
    assert viewer.done().body == b"de"


def test_a_front_beside_a_viewer_is_given_its_own_form() -> None:
    """A read that is relayed has an event stream of text."""
    node = keeper()
    house, origin = node.house, node.origin
    _, poll = watch(house, origin)
    text, one = house.view("0003"), pushed(node)
    again = house.view("0003")
    settle()
    poll.reply(data(b"de", "0005"))
    settle()

    assert pushes(one)[-1].data == b"de"
    for viewer in (text, again):
        assert "data:de" in viewer.sink.text


def test_a_keeper_that_loses_contact_pushes_no_more() -> None:
    """U8: to a front its silence would be the origin's. Clients go on waiting."""
    node = keeper()
    house, origin = node.house, node.origin
    _, poll = watch(house, origin)
    text, one = house.view("0003"), pushed(node)
    settle()
    poll.fail(OriginUnreachable("gone"))
    settle()

    assert one.done().finished
    assert text.waits


def test_nothing_breaks_a_fronts_silence_and_it_lives_on() -> None:
    """Its channel shows that it is there."""
    node = keeper(sse_lifetime=30.0, sse_keep_alive=5.0)
    house, origin = node.house, node.origin
    watch(house, origin)
    one = pushed(node)
    settle()
    before = len(pushes(one))
    for _ in range(20):
        node.pass_time(5.0)
    assert len(pushes(one)) == before
    assert one.waits


def test_a_front_that_waits_for_an_origin_that_is_away_lives_on() -> None:
    """U2, W5, W15. 1: what is held behind a front that is full may be a dead stream's;
    2: it has drained, and the check fails; 3: in a while it is made again. A channel
    has no end of its own until then."""
    node = keeper()
    house, origin = node.house, node.origin
    _, poll = watch(house, origin)
    one = pushed(node)
    settle()
    one.sink.room = False
    poll.reply(data(b"de", "0005"))
    origin.expect(Purpose.FOLLOW).reply(data(b"f", "0006"))
    origin.expect(Purpose.FOLLOW)
    node.other.store_life(PATH)
    one.sink.room = True
    assert one.pending is not None
    one.pending.drained()
    origin.expect(Purpose.CATCH_UP).fail(OriginUnreachable("away"))
    settle()
    node.pass_time(1.0)

    assert one.waits and not house.counters.internal_errors


def test_a_full_front_is_given_the_rest_when_it_has_drained() -> None:
    node = keeper()
    house, origin = node.house, node.origin
    _, poll = watch(house, origin)
    one = pushed(node)
    settle()
    one.sink.room = False
    poll.reply(data(b"de", "0005"))
    settle()
    origin.expect(Purpose.FOLLOW).reply(data(b"f", "0006"))
    settle()
    origin.expect(Purpose.FOLLOW).reply(data(b"g", "0007"))
    settle()
    assert b"".join(push.data for push in pushes(one)) == b"de"
    one.sink.room = True
    assert one.pending is not None
    one.pending.drained()
    settle()

    assert b"".join(push.data for push in pushes(one)) == b"defg"


# A front.


def following(**options: Any) -> tuple[NodeHouse, Asked, Call]:
    """A front whose viewer waits, and what its follower asks of the keeper."""
    node = front(asks_keepers=True, routes=(TEXT,), **options)
    house, origin = node.house, node.origin
    warm(house, origin)
    viewer = house.poll("0003")
    origin.expect(Purpose.CATCH_UP).reply(head_answer("0003"))
    call = origin.expect(Purpose.EVENTS)
    return node, viewer, call


def told(to: str, body: bytes = b"", start: str = "0003", **more: Any) -> bytes:
    rest = {"up_to_date": True, "closed": False, **more}
    return push_payload(Push(start, to, "77", data=body, **rest))


def begin(call: Call, *pushes: bytes, lineage: Lineage | None = None) -> None:
    """The keeper begins to push, and pushes these."""
    call.head(200, provenance=Provenance(0.0, 0.0, 0.0, lineage))
    for push in (told("0003"), *pushes):
        call.piece(push)
    settle()


def test_a_front_follows_by_pushes_whatever_its_route_says_and_whatever_the_type() -> (
    None
):
    node, viewer, call = following()
    begin(call)
    assert node.house.ask("0003").done().how == "hit", "it vouches for the end"
    call.piece(told("0005", b"\xff\xfe"))

    assert viewer.done().body == b"\xff\xfe"
    assert node.house.ask("0003").done().body == b"\xff\xfe"
    settle()
    node.origin.assert_quiet()


def test_a_front_that_is_pushed_nothing_more_polls_until_something_is_new() -> None:
    """Then it follows by pushes again, from there."""
    node, viewer, call = following()
    begin(call)
    call.end()
    poll = node.origin.expect(Purpose.FOLLOW)
    assert "offset=0003" in poll.request.target
    poll.reply(no_content("0003"))
    settle()
    node.origin.expect(Purpose.FOLLOW).reply(data(b"de", "0005"))
    assert viewer.done().body == b"de"
    settle()
    again = node.origin.expect(Purpose.EVENTS)
    assert "offset=0005" in again.request.target


def test_a_front_whose_channel_breaks_checks_the_end_before_it_goes_on() -> None:
    """L7: its viewer waits, and is told nothing of it."""
    node, viewer, call = following()
    begin(call)
    call.fail(OriginUnreachable("the keeper died"))
    settle()
    node.pass_time(1.0)
    check = node.origin.expect(Purpose.CATCH_UP)
    check.reply(data(b"abcde", "0005"))

    assert viewer.done().body == b"de"


def test_what_is_pushed_of_another_life_is_not_taken() -> None:
    """W8: who follows is told of which life it is before anything is pushed."""
    node, viewer, call = following()
    node.house.hub.streams.obtain(node.house.key()).log.lineage = Lineage(1, 4, 1)
    begin(call, told("0005", b"XX"), lineage=Lineage(1, 5, 1))

    assert viewer.waits
    node.origin.expect(Purpose.CATCH_UP)


def test_a_front_goes_on_where_another_channel_begins_again() -> None:
    """What both bring is taken once: a push from elsewhere is read instead."""
    node, viewer, call = following()
    begin(call, told("0005", b"de"))
    assert viewer.done().body == b"de"
    call.piece(told("0005", b"de"))
    settle()
    read = node.origin.expect(Purpose.CATCH_UP)
    assert "offset=0003" in read.request.target
    read.reply(data(b"de", "0005"))
    settle()
    (row,) = node.house.hub.streams

    assert (row.log.end, row.log.distance("-1")) == ("0005", 5)
