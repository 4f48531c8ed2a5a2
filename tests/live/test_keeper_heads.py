"""A keeper answers a front's HEAD from what it knows, where that is no less (W9)."""

import pytest

from edge.core.values import Mode, Purpose, Read
from edge.live.followers import POLL_PATIENCE_SECONDS
from edge.policy.streams.routes import Route
from origin_adapter.scripted import data, head_answer
from tests.live.node_house import NodeHouse, front, keeper
from tests.live.support import (
    PATH,
    Asked,
    RecordingSink,
    refuse_head,
    settle,
    warm,
    watch,
)


def asks_head(node: NodeHouse) -> int:
    """How many HEADs were sent upstream."""
    return sum(call.method == "HEAD" for call in node.origin.calls)


def test_of_a_stream_that_is_followed_no_head_goes_upstream() -> None:
    node = keeper()
    watch(node.house, node.origin)
    head = node.house.ask(mode=Mode.HEAD).done()

    assert head.status == 200 and head.header("stream-next-offset") == "0003"
    assert head.header("content-type") == "text/plain"
    assert asks_head(node) == 1


def test_it_tells_all_that_the_origins_would() -> None:
    """TTL, and what the route keeps."""
    node = keeper(routes=(Route(response_headers=("x-region",)),))
    warm(node.house, node.origin)
    node.house.poll("0003")
    answer = head_answer("0003", ttl=3600, x_region="eu")
    node.origin.expect(Purpose.CATCH_UP).reply(answer)
    node.origin.expect(Purpose.FOLLOW)
    settle()
    head = node.house.ask(mode=Mode.HEAD).done()

    for name in ("content-type", "stream-next-offset", "stream-ttl", "x-region"):
        assert head.header(name) == answer.get(name)
    assert asks_head(node) == 1


def test_a_front_asks_for_each() -> None:
    node = front()
    watch(node.house, node.origin)
    node.house.ask(mode=Mode.HEAD)
    settle()

    assert asks_head(node) == 2


def test_a_write_is_waited_for_as_long_as_by_a_read() -> None:
    """The armed poll brings it; only then is anybody asked."""
    node = keeper()
    _, poll = watch(node.house, node.origin)
    node.house.wrote("POST", 204, stream_next_offset="0005")
    head = node.house.ask(mode=Mode.HEAD)
    settle()
    assert head.waits and asks_head(node) == 1
    poll.reply(data(b"de", "0005"))

    assert head.done().header("stream-next-offset") == "0005"
    assert asks_head(node) == 1


def test_a_write_that_the_poll_does_not_bring_is_asked_for() -> None:
    node = keeper()
    watch(node.house, node.origin)
    node.house.wrote("POST", 204, stream_next_offset="0005")
    head = node.house.ask(mode=Mode.HEAD)
    node.pass_time(POLL_PATIENCE_SECONDS)
    node.origin.expect(Purpose.CATCH_UP).reply(head_answer("0005"))

    assert head.done().header("stream-next-offset") == "0005"


def not_followed(node: NodeHouse) -> None:
    """It is held, and nobody waits there."""
    warm(node.house, node.origin)


def not_described(node: NodeHouse) -> None:
    """Nothing is known of it."""


def in_doubt(node: NodeHouse) -> None:
    """It may have been deleted in another process."""
    watch(node.house, node.origin)
    node.other.store_life(PATH)


def contact_lost(node: NodeHouse) -> None:
    _, poll = watch(node.house, node.origin)
    poll.cut()
    settle()


@pytest.mark.parametrize("story", [not_followed, not_described, in_doubt, contact_lost])
def test_otherwise_the_origin_answers(story: object) -> None:
    assert callable(story)
    node = keeper()
    story(node)
    before = asks_head(node)
    head = node.house.ask(mode=Mode.HEAD)
    settle()

    assert head.waits and asks_head(node) == before + 1


# Where HEAD tells nothing (U12), and fronts open streams.


def opens(node: NodeHouse) -> Asked:
    """A front opens the stream for its readers: by a HEAD, but no client's."""
    house, sink = node.house, RecordingSink()
    read = Read(house.key(), mode=Mode.HEAD, opens=True)
    return Asked(sink, house.hub.ask(read, sink, house.clock.monotonic()))


@pytest.mark.parametrize("status", [401, 403, 405, 501])
def test_what_was_refused_to_one_front_is_not_asked_for_by_another(status: int) -> None:
    """It asks by GET, as the first one does."""
    node = keeper()
    first = opens(node)
    refuse_head(node.origin, status)
    assert first.done().status == status
    second = opens(node)

    assert second.done().status == 405
    assert asks_head(node) == 1


def test_fronts_that_open_a_stream_at_once_cost_one_head() -> None:
    """Whether they come before it is sent, or while it is on its way."""
    node = keeper()
    early = [opens(node), opens(node)]
    call = node.origin.expect(Purpose.CATCH_UP)
    late = opens(node)
    settle()
    call.answer(401, [])

    assert {one.done().status for one in (*early, late)} <= {401, 405}
    assert asks_head(node) == 1


def test_a_client_that_asks_by_head_is_answered_by_the_origin() -> None:
    """What is refused today may be let in tomorrow."""
    node = keeper()
    opens(node)
    refuse_head(node.origin)
    client = node.house.ask(mode=Mode.HEAD)
    node.origin.expect(Purpose.CATCH_UP).reply(head_answer("0003"))

    assert client.done().status == 200
    assert opens(node).waits


def test_a_front_says_of_a_head_that_no_client_has_asked_for_it() -> None:
    node = front(asks_keepers=True)
    node.house.poll("0003")
    call = node.origin.expect(Purpose.CATCH_UP)

    assert call.request.link is not None and call.request.link.opens


@pytest.mark.parametrize("first", [Mode.HEAD, Mode.LONG_POLL])
def test_a_head_that_a_client_waits_for_is_the_clients(first: Mode) -> None:
    """Whoever came first."""
    node = front(asks_keepers=True)
    for mode in sorted((Mode.HEAD, Mode.LONG_POLL), key=lambda one: one is not first):
        node.house.ask("0003", mode)
    call = node.origin.expect(Purpose.CATCH_UP)

    assert call.request.method == "HEAD"
    assert call.request.link is not None and not call.request.link.opens


def test_a_front_that_is_told_so_opens_the_stream_by_get() -> None:
    node = front(asks_keepers=True)
    viewer = node.house.poll("0003")
    refuse_head(node.origin)
    by_get = node.origin.expect(Purpose.CATCH_UP)
    by_get.reply(data(b"", "0003"))
    settle()

    assert by_get.request.method == "GET" and by_get.request.link is not None
    assert viewer.waits and asks_head(node) == 1
