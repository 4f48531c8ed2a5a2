"""DisconnectWatch: a look at what came that takes nothing of it."""

import socket
from collections.abc import Iterator

import gevent
import pytest
from gevent import socket as gevent_socket
from gevent.event import Event

from edge.front.transport import DisconnectWatch, PlainTransport
from tests.support.patience import PATIENCE


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, PlainTransport]]:
    """A client's end and the edge's."""
    client, edge = gevent_socket.socketpair()
    transport = PlainTransport.of(gevent.get_hub().loop, edge)
    with client:
        yield client, transport
    transport.close()


def test_a_client_that_closes_is_noticed(
    pair: tuple[socket.socket, PlainTransport],
) -> None:
    """E46; told once."""
    client, edge = pair
    gone = Event()
    watch = DisconnectWatch(edge, gone.set)
    watch.start()
    client.close()

    assert gone.wait(PATIENCE)
    watch.close()


def test_a_client_that_sends_is_there_and_its_bytes_stay(
    pair: tuple[socket.socket, PlainTransport],
) -> None:
    """They are its next request. The watch ends: it would spin."""
    client, edge = pair
    looked = Event()
    watch = DisconnectWatch(edge, looked.set)
    watch.start()
    client.sendall(b"GET ")
    while watch._watching:
        gevent.idle()

    assert edge.recv(16) == b"GET "
    client.close()
    assert not looked.wait(0.01)
    watch.close()


def test_a_paused_watch_is_blind_until_it_goes_on(
    pair: tuple[socket.socket, PlainTransport],
) -> None:
    """While the edge itself is writing, errors tell."""
    client, edge = pair
    gone = Event()
    watch = DisconnectWatch(edge, gone.set)
    watch.start()
    watch.pause()
    client.close()
    assert not gone.wait(0.01)
    watch.start()

    assert gone.wait(PATIENCE)


def test_a_closed_watch_never_starts_again(
    pair: tuple[socket.socket, PlainTransport],
) -> None:
    """And may be closed twice: every exit closes it."""
    client, edge = pair
    gone = Event()
    watch = DisconnectWatch(edge, gone.set)
    watch.close()
    watch.close()
    watch.start()
    client.close()

    assert not gone.wait(0.01)
