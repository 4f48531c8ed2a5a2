"""The scripted origin: the test decides, call by call, and nobody sleeps."""

from collections.abc import Callable, Iterator

import gevent
import pytest

from edge.core.errors import (
    ClientBodyCut,
    OriginBodyCut,
    OriginFault,
    OriginTimeout,
    OriginUnreachable,
)
from edge.core.ports import Exchange
from edge.core.values import Framing, OriginRequest, Purpose
from origin_adapter.scripted import Call, ScriptedOrigin, data, head_answer, no_content
from tests.support.patience import PATIENCE

GET = OriginRequest("GET", "/s?offset=-1")
FOLLOW = OriginRequest("GET", "/s?offset=1&live=long-poll", purpose=Purpose.FOLLOW)


@pytest.fixture
def origin() -> Iterator[ScriptedOrigin]:
    """A script whose calls have all been taken at the end."""
    origin = ScriptedOrigin(patience=1)
    yield origin
    origin.assert_quiet()


def whole(exchange: Exchange) -> bytes:
    return b"".join(iter(exchange.read, b""))


def test_a_whole_answer(origin: ScriptedOrigin) -> None:
    caller = gevent.spawn(origin.open, GET)

    call = origin.expect()
    call.reply(data(b"hello", "5", closed=True, cursor=7, etag='"x"'))

    exchange = caller.get(timeout=PATIENCE)
    assert call.request is GET
    assert (exchange.status, exchange.content_length) == (200, 5)
    assert exchange.headers == (
        ("content-type", "text/plain"),
        ("stream-next-offset", "5"),
        ("stream-up-to-date", "true"),
        ("stream-closed", "true"),
        ("stream-cursor", "7"),
        ("etag", '"x"'),
    )
    assert (whole(exchange), exchange.read()) == (b"hello", b"")
    assert not call.closed.is_set()


def test_an_answer_in_pieces(origin: ScriptedOrigin) -> None:
    caller = gevent.spawn(origin.open, GET)
    call = origin.expect()

    call.head(200, [("Content-Type", "text/plain")])
    exchange = caller.get(timeout=PATIENCE)
    reader = gevent.spawn(whole, exchange)
    call.piece(b"he")
    gevent.idle()
    call.piece(b"llo")
    call.end()

    assert reader.get(timeout=PATIENCE) == b"hello"
    assert exchange.headers == (("content-type", "text/plain"),)
    assert exchange.framing is Framing.CHUNKED


def test_calls_are_taken_in_order_and_remembered(origin: ScriptedOrigin) -> None:
    callers = [gevent.spawn(origin.open, request) for request in (GET, FOLLOW)]

    first, second = origin.expect(Purpose.CATCH_UP), origin.expect(Purpose.FOLLOW)
    second.reply(no_content("5"))
    first.reply(head_answer("5", ttl=60))

    gevent.joinall(callers, raise_error=True)
    assert origin.calls == [GET, FOLLOW]
    assert origin.targets()[0] == "GET /s?offset=-1"


def test_a_call_that_does_not_come_fails_the_test() -> None:
    with pytest.raises(AssertionError, match="no call came"):
        ScriptedOrigin(patience=0.01).expect()


def test_a_call_that_nobody_expected_fails_the_test() -> None:
    origin = ScriptedOrigin()
    caller = gevent.spawn(origin.open, GET)
    gevent.idle()

    with pytest.raises(AssertionError, match="unexpected"):
        origin.assert_quiet()

    caller.kill()
    origin.assert_quiet()


@pytest.mark.usefixtures("hub_errors")
@pytest.mark.parametrize(
    ("play", "fault"),
    [
        (lambda call: call.cut(), OriginUnreachable),
        (lambda call: call.fail(OriginTimeout("slow")), OriginTimeout),
    ],
)
def test_a_failure_before_the_head(
    origin: ScriptedOrigin, play: Callable[[Call], object], fault: type[OriginFault]
) -> None:
    caller = gevent.spawn(origin.open, GET)

    call = origin.expect()
    play(call)

    with pytest.raises(fault):
        caller.get(timeout=PATIENCE)
    assert not call.closed.is_set()


def test_a_failure_within_the_body_comes_after_what_was_sent(
    origin: ScriptedOrigin,
) -> None:
    caller = gevent.spawn(origin.open, GET)
    call = origin.expect()
    call.head(200)
    call.piece(b"he")

    call.cut()

    exchange = caller.get(timeout=PATIENCE)
    assert exchange.read() == b"he"
    for _ in range(2):
        with pytest.raises(OriginBodyCut):
            exchange.read()


@pytest.mark.usefixtures("hub_errors")
def test_a_closed_exchange_releases_its_reader_and_shows_it(
    origin: ScriptedOrigin,
) -> None:
    caller = gevent.spawn(origin.open, GET)
    call = origin.expect()
    call.head(200)
    exchange = caller.get(timeout=PATIENCE)
    reader = gevent.spawn(exchange.read)
    gevent.idle()

    exchange.close()

    assert call.closed.is_set()
    with pytest.raises(OriginBodyCut):
        reader.get(timeout=PATIENCE)
    with pytest.raises(OriginBodyCut):
        exchange.read()


def test_a_caller_that_is_killed_shows_it(origin: ScriptedOrigin) -> None:
    caller = gevent.spawn(origin.open, GET)
    call = origin.expect()

    caller.kill()

    assert call.closed.is_set()


def test_the_body_is_read_and_then_on_sent_is_told(origin: ScriptedOrigin) -> None:
    told = []
    request = OriginRequest("POST", "/s", body=iter([b"a", b"b"]))
    caller = gevent.spawn(origin.open, request, lambda: told.append("sent"))

    call = origin.expect()
    assert (call.body, told) == (b"ab", ["sent"])
    call.answer(204, [("Stream-Next-Offset", "2")])

    assert caller.get(timeout=PATIENCE).framing is Framing.NONE


def test_a_body_that_fails_never_becomes_an_answer(origin: ScriptedOrigin) -> None:
    def body() -> Iterator[bytes]:
        yield b"a"
        raise ClientBodyCut("gone")

    with pytest.raises(ClientBodyCut):
        origin.open(OriginRequest("POST", "/s", body=body()))


@pytest.mark.parametrize("framing", [Framing.CLOSE, Framing.CHUNKED])
def test_the_framing_can_be_said(origin: ScriptedOrigin, framing: Framing) -> None:
    caller = gevent.spawn(origin.open, GET)

    origin.expect().reply(data(b"x", "1", framing=framing))

    exchange = caller.get(timeout=PATIENCE)
    assert (exchange.framing, exchange.content_length) == (framing, None)
    assert whole(exchange) == b"x"
