"""The living origin: small, conforming, and as odd as the Node server is."""

import gevent
import pytest

from edge.core.errors import OriginUnreachable
from edge.core.values import Framing, Headers, OriginRequest
from origin_adapter.scripted import LivingOrigin
from tests.support.patience import PATIENCE

TEXT = (("content-type", "text/plain"),)
START = "0000000000000000_0000000000000000"


def ask(
    origin: LivingOrigin,
    method: str,
    target: str,
    headers: Headers = (),
    body: bytes | None = None,
) -> tuple[int, dict[str, str], bytes]:
    """One call: status, fields, body."""
    pieces = None if body is None else iter([body])
    exchange = origin.open(OriginRequest(method, target, headers, body=pieces))
    fields = dict(exchange.headers)
    return exchange.status, fields, b"".join(iter(exchange.read, b""))


@pytest.fixture
def origin() -> LivingOrigin:
    return LivingOrigin(hold=5)


def test_a_stream_is_created_written_and_read(origin: LivingOrigin) -> None:
    status, fields, _ = ask(origin, "PUT", "/s", TEXT)
    assert (status, fields["stream-next-offset"]) == (201, START)

    status, fields, _ = ask(origin, "POST", "/s", TEXT, b"hello ")
    tail = "0000000000000000_0000000000000011"
    assert (status, fields["stream-next-offset"]) == (204, tail)

    status, fields, body = ask(origin, "GET", "/s?offset=-1")
    assert (status, body) == (200, b"hello ")
    assert fields == {
        "content-type": "text/plain",
        "stream-next-offset": tail,
        "stream-up-to-date": "true",
    }
    counted = {"create": 1, "append": 1, "catch-up": 1}
    assert dict(origin.requests) == counted


def test_creating_again(origin: LivingOrigin) -> None:
    ask(origin, "PUT", "/s", TEXT)

    assert ask(origin, "PUT", "/s", TEXT)[0] == 200
    assert ask(origin, "PUT", "/s", (("content-type", "image/png"),))[0] == 409


def test_pages_end_between_messages(origin: LivingOrigin) -> None:
    origin.page = 4
    origin.create("/s")
    for message in (b"aa", b"bb", b"cccccc", b"d"):
        origin.append("/s", message)

    bodies, offset, done = [], "-1", False
    while not done:
        _, fields, body = ask(origin, "GET", f"/s?offset={offset}")
        bodies.append(body)
        offset = fields["stream-next-offset"]
        done = "stream-up-to-date" in fields

    assert bodies == [b"aabb", b"cccccc", b"d"]


def test_json_is_an_array_of_messages(origin: LivingOrigin) -> None:
    origin.create("/j", "application/json")
    assert ask(origin, "GET", "/j")[2] == b"[]"

    origin.append("/j", b'[{"a": 1}, 2]')
    middle = origin.append("/j", b'"three"')
    origin.append("/j", b"[4]")

    assert ask(origin, "GET", "/j")[2] == b'[{"a":1},2,"three",4]'
    assert ask(origin, "GET", f"/j?offset={middle}")[2] == b"[4]"


def test_offsets_that_it_never_minted(origin: LivingOrigin) -> None:
    """L1: inside a message the whole message, beyond the tail the real tail."""
    origin.create("/s")
    tail = origin.append("/s", b"hello")

    inside = ask(origin, "GET", "/s?offset=0000000000000000_0000000000000003")
    beyond = ask(origin, "GET", "/s?offset=9000000000000000_0000000000000000")

    assert inside[2] == b"hello"
    assert (beyond[0], beyond[2]) == (200, b"")
    assert beyond[1]["stream-next-offset"] == tail
    assert ask(origin, "GET", "/s?offset=bogus")[0] == 400


@pytest.mark.parametrize("offset", ["-1", "now", START])
def test_a_long_poll_waits_for_data(origin: LivingOrigin, offset: str) -> None:
    origin.create("/s")
    poll = gevent.spawn(ask, origin, "GET", f"/s?offset={offset}&live=long-poll")
    gevent.idle()
    assert not poll.ready()

    tail = origin.append("/s", b"news")

    status, fields, body = poll.get(timeout=PATIENCE)
    assert (status, body) == (200, b"news")
    assert (fields["stream-next-offset"], fields["stream-cursor"]) == (tail, "1")


def test_a_held_poll_times_out_when_the_test_says_so(origin: LivingOrigin) -> None:
    origin.create("/s")
    poll = gevent.spawn(ask, origin, "GET", "/s?offset=now&live=long-poll&cursor=41")
    gevent.idle()

    origin.lapse()

    status, fields, body = poll.get(timeout=PATIENCE)
    assert (status, body) == (204, b"")
    assert fields == {
        "stream-next-offset": START,
        "stream-up-to-date": "true",
        "stream-cursor": "42",
    }


def test_a_held_poll_times_out_by_itself() -> None:
    origin = LivingOrigin(hold=0.01)
    origin.create("/s")

    assert ask(origin, "GET", "/s?offset=now&live=long-poll")[0] == 204


def test_closing_wakes_and_ends(origin: LivingOrigin) -> None:
    origin.create("/s")
    poll = gevent.spawn(ask, origin, "GET", "/s?offset=now&live=long-poll")
    gevent.idle()

    ask(origin, "POST", "/s", (("stream-closed", "true"),))

    status, fields, _ = poll.get(timeout=PATIENCE)
    assert (status, fields["stream-closed"]) == (204, "true")
    assert "stream-cursor" not in fields
    again = ask(origin, "GET", "/s?offset=now&live=long-poll")
    assert (again[0], again[1]["stream-closed"]) == (204, "true")
    assert ask(origin, "GET", "/s")[1]["stream-closed"] == "true"
    refused = ask(origin, "POST", "/s", TEXT, b"late")
    assert (refused[0], refused[1]["stream-closed"]) == (409, "true")
    assert ask(origin, "POST", "/s", (("stream-closed", "true"),))[0] == 204


@pytest.mark.parametrize("recreated", [False, True])
def test_deleting_wakes_with_404(origin: LivingOrigin, recreated: bool) -> None:
    origin.create("/s")
    poll = gevent.spawn(ask, origin, "GET", "/s?offset=now&live=long-poll")
    gevent.idle()

    if recreated:
        origin.create("/s")
    else:
        assert ask(origin, "DELETE", "/s")[0] == 204

    assert poll.get(timeout=PATIENCE)[0] == 404


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
def test_what_is_not_there(origin: LivingOrigin, method: str) -> None:
    assert ask(origin, method, "/none")[0] == 404


def test_head_tells_the_state_without_an_etag(origin: LivingOrigin) -> None:
    ask(origin, "PUT", "/s", (*TEXT, ("stream-ttl", "60")), b"x")

    exchange = origin.open(OriginRequest("HEAD", "/s"))

    assert (exchange.framing, exchange.read()) == (Framing.NONE, b"")
    assert dict(exchange.headers) == {
        "content-type": "text/plain",
        "stream-next-offset": origin.tail("/s"),
        "cache-control": "no-store",
        "stream-ttl": "60",
    }


def test_other_methods_and_being_down(origin: LivingOrigin) -> None:
    assert ask(origin, "PATCH", "/s")[0] == 405

    origin.down = True
    with pytest.raises(OriginUnreachable):
        ask(origin, "GET", "/s")
    assert dict(origin.requests) == {"other": 1, "down": 1}


def test_what_a_test_does_behind_the_edge_is_not_counted(origin: LivingOrigin) -> None:
    origin.create("/s")
    origin.append("/s", b"x")
    origin.finish("/s")
    origin.remove("/s")

    assert origin.requests.total() == 0
