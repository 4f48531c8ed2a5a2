"""BlockingStream: waits for a transport, and no longer than it may."""

from collections.abc import Callable
from typing import Any

import gevent
import pytest

from edge.front.transport import BlockingStream
from tests.front.fake_transport import FakeTransport
from tests.support.patience import PATIENCE

SOON = 0.01


@pytest.fixture
def transport() -> FakeTransport:
    return FakeTransport()


@pytest.fixture
def stream(transport: FakeTransport) -> BlockingStream:
    return BlockingStream(transport)


def waiting(transport: FakeTransport, act: Callable[[], object]) -> Any:
    """A greenlet that has begun to wait in ``act``; its value is what came of it,
    be it an error."""

    def tried() -> object:
        try:
            return act()
        except OSError as error:
            return error

    greenlet: Any = gevent.spawn(tried)
    transport.turn()
    assert not greenlet.dead
    return greenlet


def test_recv_waits_for_the_first_bytes(
    transport: FakeTransport, stream: BlockingStream
) -> None:
    greenlet = waiting(transport, lambda: stream.recv(100))
    transport.feed(b"one", b"two")
    transport.turn()

    assert greenlet.get(timeout=PATIENCE) == b"one"
    assert not transport.reading.active
    assert stream.recv(100) == b"two"


def test_sendall_waits_for_room_as_often_as_it_must(
    transport: FakeTransport, stream: BlockingStream
) -> None:
    transport.capacity = 2
    greenlet = waiting(transport, lambda: stream.sendall(b"hello world"))
    for _ in range(5):
        assert len(transport.sent) < 11
        transport.capacity = 2
        transport.turn()

    assert greenlet.get(timeout=PATIENCE) is None
    assert transport.take() == b"hello world"
    assert not transport.writing.active


def test_what_gunicorn_sends_before_a_body_goes_out_when_that_is_waited_for(
    transport: FakeTransport, stream: BlockingStream
) -> None:
    """Whole, before the first byte is read, and once."""
    transport.capacity = 2
    assert stream.send(b"continue") == 8
    assert not transport.sent
    greenlet = waiting(transport, lambda: stream.recv(100))
    for _ in range(5):
        transport.capacity = 2
        transport.turn()
    transport.feed(b"body")
    transport.turn()

    assert greenlet.get(timeout=PATIENCE) == b"body"
    assert bytes(transport.sent) == b"continue"


def test_a_body_is_not_asked_for_after_the_answer(
    transport: FakeTransport, stream: BlockingStream
) -> None:
    """B9: what the head alone refuses."""
    stream.send(b"continue")
    stream.sendall(b"no")
    transport.feed(b"body")

    assert stream.recv(100) == b"body"
    assert bytes(transport.sent) == b"no"


@pytest.mark.parametrize(
    "act",
    [lambda stream: stream.recv(1), lambda stream: stream.sendall(b"x")],
    ids=["recv", "sendall"],
)
@pytest.mark.parametrize("seconds", [SOON, 0.0])
def test_a_call_that_takes_too_long_raises(
    transport: FakeTransport,
    stream: BlockingStream,
    act: Callable[[BlockingStream], object],
    seconds: float,
) -> None:
    """And leaves no watch behind."""
    transport.capacity = 0
    stream.settimeout(seconds)
    assert stream.gettimeout() == seconds

    with pytest.raises(TimeoutError):
        act(stream)
    assert not transport.reading.active and not transport.writing.active


def test_the_time_of_sendall_is_for_all_of_it(
    transport: FakeTransport, stream: BlockingStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that takes a little now and then is not waited for longer."""
    now = [1000.0]
    monkeypatch.setattr("edge.front.transport.time.monotonic", lambda: now[0])
    transport.capacity = 1
    stream.settimeout(5.0)
    greenlet = waiting(transport, lambda: stream.sendall(b"hello"))
    for _ in range(3):
        assert not greenlet.dead
        now[0] += 2.0
        transport.capacity = 1
        transport.turn()

    assert isinstance(greenlet.get(timeout=PATIENCE), TimeoutError)
    assert len(transport.sent) == 4


@pytest.mark.parametrize("call", ["recv", "send"])
def test_a_failure_while_it_waits_is_raised(
    transport: FakeTransport, stream: BlockingStream, call: str
) -> None:
    transport.capacity = 0
    act = {"recv": lambda: stream.recv(1), "send": lambda: stream.sendall(b"x")}[call]
    greenlet = waiting(transport, act)
    transport.fail[call] = ConnectionResetError()
    transport.turn()

    assert isinstance(greenlet.get(timeout=PATIENCE), ConnectionResetError)


def test_a_greenlet_that_is_killed_leaves_no_watch_behind(
    transport: FakeTransport, stream: BlockingStream
) -> None:
    greenlet = waiting(transport, lambda: stream.recv(1))
    greenlet.kill()

    assert not transport.reading.active


# Closing gracefully.


def test_a_graceful_close_waits_for_the_client_to_close(
    transport: FakeTransport, stream: BlockingStream
) -> None:
    """What it still sends is read, or a reset would take its answer away."""
    transport.feed(b"rest of", b" a body")
    greenlet = waiting(transport, lambda: stream.close_gracefully(5.0, 1000))
    assert transport.state == "half closed"
    assert transport.peek() is None
    transport.finish()
    transport.turn()
    greenlet.get(timeout=PATIENCE)

    assert transport.state == "closed"


def test_a_graceful_close_does_not_wait_for_ever(
    transport: FakeTransport, stream: BlockingStream
) -> None:
    stream.close_gracefully(SOON, 1000)

    assert transport.state == "closed"


def test_a_graceful_close_does_not_read_for_ever(
    transport: FakeTransport, stream: BlockingStream
) -> None:
    transport.feed(*[b"x" * 100] * 20)
    stream.close_gracefully(5.0, 1000)

    assert transport.state == "closed" and transport.unread == 1000


@pytest.mark.parametrize("call", ["shutdown_writing", "recv"])
def test_a_client_that_is_gone_is_not_waited_for(
    transport: FakeTransport, stream: BlockingStream, call: str
) -> None:
    transport.fail[call] = ConnectionResetError()
    stream.close_gracefully(5.0, 1000)

    assert transport.state == "closed"
