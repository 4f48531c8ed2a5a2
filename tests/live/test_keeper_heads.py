"""A keeper answers a front's HEAD from what it knows, where that is no less (W9)."""

import pytest

from edge.core.values import Mode, Purpose
from edge.live.followers import POLL_PATIENCE_SECONDS
from edge.policy.streams.routes import Route
from origin_adapter.scripted import data, head_answer
from tests.live.node_house import NodeHouse, front, keeper
from tests.live.support import PATH, settle, warm, watch


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
