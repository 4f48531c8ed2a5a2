"""Transports: one contract, held by the socket, by TLS and by the list of bytes.

And nothing above them imports a socket.
"""

import ast
import gc
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Protocol

import gevent
import pytest

from edge.front.tls import TlsTransport
from edge.front.transport import PlainTransport, Transport
from tests.front.fake_transport import FakeTransport
from tests.front.tls_client import NAME, identity, listener
from tests.test_floors import MODULES, imported, tree_of

LARGE = bytes(range(256)) * (1 << 14)
SOCKETS = {"socket", "_socket", "struct", "ssl", "select", "selectors"}
THEIRS = {
    "edge.front.transport",
    "edge.front.tls",
    "edge.front.tls_faults",
    "edge.front.fast.listener",
    "edge.front.log",
    "edge.front.log_output",
}
"""The transport itself, what accepts, and what writes the log, since standard error may
be a socket. (gevent's StreamServer accepts for the GreenletServer, which imports no
socket.)"""


class Ends(Protocol):
    """A transport and the client at its other end."""

    transport: Transport

    def client_sends(self, data: bytes) -> None: ...
    def client_ends(self) -> None: ...
    def client_takes(self) -> bytes:
        """What came so far. Raises ConnectionResetError."""

    def turn(self) -> None:
        """One iteration of the event loop."""


class PlainEnds:
    """Over TCP, as clients come."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.client = socket.create_connection(server.getsockname())
            accepted, _ = server.accept()
        for each in (self.client, accepted):
            # As the listeners of the product: nothing small waits for more.
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.client.setblocking(False)
        self.transport: Transport = PlainTransport.of(gevent.get_hub().loop, accepted)

    def client_sends(self, data: bytes) -> None:
        self.client.sendall(data)

    def client_ends(self) -> None:
        self.client.shutdown(socket.SHUT_WR)

    def client_takes(self) -> bytes:
        taken = b""
        with suppress(BlockingIOError):
            while data := self.client.recv(1 << 20):
                taken += data
        return taken

    def turn(self) -> None:
        # A timer that is due at once comes with the sockets, or before them.
        hub: Any = gevent.get_hub()
        for _ in range(2):
            hub.wait(hub.loop.timer(0))

    def close(self) -> None:
        self.transport.close()
        self.client.close()


class TlsEnds(PlainEnds):
    """Over TLS over TCP."""

    def __init__(self) -> None:
        super().__init__()
        assert isinstance(self.transport, PlainTransport)
        secured = TlsTransport(listener(identity().settings()), self.transport, set())
        context = identity().context()
        self.tls = context.wrap_socket(
            self.client,
            server_hostname=NAME,
            do_handshake_on_connect=False,
            suppress_ragged_eofs=False,
        )
        self.client = self.tls
        while not self._shaken(secured):
            pass
        self.transport = secured

    def _shaken(self, secured: TlsTransport) -> bool:
        with suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
        try:
            secured.shake()
        except BlockingIOError:
            return False
        return True

    def client_ends(self) -> None:
        with suppress(ssl.SSLWantReadError):
            self.tls.unwrap()

    def client_takes(self) -> bytes:
        taken = b""
        try:
            while data := self.client.recv(1 << 20):
                taken += data
        except ssl.SSLWantReadError:
            return taken
        except ssl.SSLEOFError:
            # An end without an alert.
            raise ConnectionResetError from None
        return taken


class FakeEnds:
    """A list of bytes, of small capacity."""

    def __init__(self) -> None:
        self.fake = FakeTransport(capacity=100_000)
        self.transport = self.fake

    def client_sends(self, data: bytes) -> None:
        self.fake.feed(data)

    def client_ends(self) -> None:
        self.fake.finish()

    def client_takes(self) -> bytes:
        if self.fake.state == "reset":
            raise ConnectionResetError
        self.fake.capacity = 100_000
        return self.fake.take()

    def turn(self) -> None:
        self.fake.turn()

    def close(self) -> None:
        self.transport.close()


@pytest.fixture(params=[PlainEnds, TlsEnds, FakeEnds], ids=["plain", "tls", "fake"])
def ends(request: pytest.FixtureRequest) -> Iterator[Ends]:
    made: Any = request.param()
    yield made
    made.close()


@pytest.fixture
def end(ends: Ends) -> Transport:
    return ends.transport


def test_what_has_not_come_is_not_waited_for(ends: Ends, end: Transport) -> None:
    with pytest.raises(BlockingIOError):
        end.recv(10)
    ends.client_sends(b"hello")

    assert end.recv(3) == b"hel"
    assert end.recv(10) == b"lo"
    with pytest.raises(BlockingIOError):
        end.recv(10)


def test_the_end_is_read_again_and_again(ends: Ends, end: Transport) -> None:
    ends.client_sends(b"last")
    ends.client_ends()

    assert [end.recv(10) for _ in range(3)] == [b"last", b"", b""]


def test_a_peek_takes_nothing(ends: Ends, end: Transport) -> None:
    """And tells nothing yet from the end."""
    assert end.peek() is None
    ends.client_sends(b"hello")
    assert end.peek() == b"h"
    assert end.recv(10) == b"hello"
    ends.client_ends()
    assert end.peek() == b""


def test_what_does_not_fit_is_not_taken(ends: Ends, end: Transport) -> None:
    """Each byte that was counted arrives, in order, and no other."""
    taken = 0
    with pytest.raises(BlockingIOError):
        while True:
            taken += end.send(memoryview(LARGE)[taken % len(LARGE) :])
    received = b""
    while len(received) < taken:
        received += ends.client_takes()
        ends.turn()

    assert received == (LARGE * (taken // len(LARGE) + 1))[:taken]
    assert end.send(b"more") == 4


def test_several_buffers_go_out_in_order(ends: Ends, end: Transport) -> None:
    assert end.sendmsg((b"head ", memoryview(b"body"))) == 9
    assert ends.client_takes() == b"head body"


def test_reading_calls_back_as_long_as_something_is_unread(
    ends: Ends, end: Transport
) -> None:
    """Not once for each arrival: a reader may leave some of it."""
    read: list[bytes] = []
    end.reading.start(lambda: read.append(end.recv(2)))
    ends.turn()
    assert read == []
    ends.client_sends(b"12345")
    for _ in range(5):
        ends.turn()

    assert read == [b"12", b"34", b"5"]


def test_reading_tells_of_the_end(ends: Ends, end: Transport) -> None:
    read: list[bytes] = []
    end.reading.start(lambda: read.append(end.recv(2)))
    ends.client_ends()
    ends.turn()

    assert read and not any(read)


def test_a_watch_that_is_stopped_does_not_call_back(ends: Ends, end: Transport) -> None:
    """Until it is started again; what came meanwhile is told then."""
    told: list[str] = []
    end.reading.start(told.append, "first")
    active = [end.reading.active]
    end.reading.stop()
    active.append(end.reading.active)
    assert active == [True, False]
    ends.client_sends(b"x")
    ends.turn()
    assert told == []
    end.reading.start(told.append, "second")
    ends.turn()

    assert set(told) == {"second"}


def test_writing_calls_back_when_there_is_room(ends: Ends, end: Transport) -> None:
    told: list[str] = []
    with suppress(BlockingIOError):
        while True:
            end.send(LARGE)
    end.writing.start(told.append, "room")
    ends.turn()
    assert told == []
    while ends.client_takes():
        pass
    ends.turn()

    assert "room" in told


def test_what_came_before_reading_was_shut_down_is_still_read(
    ends: Ends, end: Transport
) -> None:
    """An idle connection is dismissed so: a request on its way is still answered."""
    ends.client_sends(b"last")
    end.shutdown_reading()

    assert [end.recv(10), end.recv(10)] == [b"last", b""]
    assert end.send(b"answer") == 6


def test_nothing_is_sent_after_writing_was_shut_down(
    ends: Ends, end: Transport
) -> None:
    """What the client sends can still be read."""
    end.send(b"all")
    end.shutdown_writing()
    ends.client_sends(b"heard")

    with pytest.raises(OSError):
        end.send(b"more")
    assert (end.recv(10), ends.client_takes()) == (b"heard", b"all")


def test_what_is_closed_raises_and_calls_nobody_back(
    ends: Ends, end: Transport
) -> None:
    """It may be closed twice, and a peek says that it is at its end."""
    reading, writing = end.reading, end.writing
    told: list[str] = []
    reading.start(told.append, "bytes")
    writing.start(told.append, "room")
    end.send(b"all")
    end.close()
    end.close()
    ends.turn()

    assert not told and not reading.active and not writing.active
    assert end.peek() == b""
    for call in (lambda: end.recv(1), lambda: end.send(b"x")):
        with pytest.raises(OSError):
            call()
    assert ends.client_takes() == b"all"


def test_a_connection_that_is_aborted_is_reset(ends: Ends, end: Transport) -> None:
    """A body framed by the connection's end must not look complete."""
    end.send(b"half")
    end.abort()
    end.close()

    with pytest.raises(ConnectionResetError):
        ends.client_takes()


def test_a_plain_transport_lets_go_of_its_callbacks_when_it_is_closed() -> None:
    """Connection and watch hold each other; nobody waits for a collection."""

    class Owner:
        gone = False

        def readable(self) -> None: ...

        def __del__(self) -> None:
            Owner.gone = True

    ends, owner = PlainEnds(), Owner()
    ends.transport.reading.start(owner.readable)
    gc.disable()
    try:
        ends.close()
        del owner
        assert Owner.gone
    finally:
        gc.enable()


# The seam.


def sockets(name: str, tree: ast.Module) -> list[str]:
    """What of sockets and descriptors a module imports."""
    parts = (target.split(".") for target in imported(name, tree))
    return [".".join(words) for words in parts if not SOCKETS.isdisjoint(words)]


@pytest.mark.parametrize(
    "name", [name for name in MODULES if name.startswith("edge.front")]
)
def test_nothing_above_the_transport_imports_a_socket(name: str) -> None:
    """Another transport could stand in for it otherwise in words alone."""
    assert bool(sockets(name, tree_of(name))) == (name in THEIRS)


@pytest.mark.parametrize(
    "statement",
    [
        "import socket",
        "import _socket as s",
        "from gevent import socket",
        "from socket import socketpair",
        "from gevent.socket import wait_read",
        "def late():\n    import struct",
    ],
)
def test_no_way_of_writing_it_hides_a_socket(statement: str) -> None:
    assert sockets("edge.front.somewhere", ast.parse(statement))
