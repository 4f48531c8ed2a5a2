"""Connections on one epoll: whoever has bytes is told of them, with the time.

Descriptors are edge-triggered: a level-triggered one is looked at once more after each
wait. An end, proper or not, is told as no bytes.
"""

import os
import select
import socket
import time
from collections.abc import Callable

Heard = Callable[[bytes, float], None]
Address = tuple[str, int]

PIECE = 64 * 1024
MAX_READY = 64
CONNECT_WITHIN = 10.0
_LISTEN = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET


class Loop:
    """The connections of a run; only ``turn`` waits."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._heard: dict[int, Heard] = {}
        self._sockets: dict[int, socket.socket] = {}

    def connect(self, at: Address, heard: Heard) -> int:
        """A new connection: its descriptor. Raises OSError."""
        made = socket.create_connection(at, CONNECT_WITHIN)
        made.setblocking(False)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        number = made.fileno()
        self._sockets[number], self._heard[number] = made, heard
        self._epoll.register(number, _LISTEN)
        return number

    def drop(self, number: int) -> None:
        """Close this connection."""
        self._heard.pop(number)
        self._sockets.pop(number).close()

    def close(self) -> None:
        """Close all."""
        for one in self._sockets.values():
            one.close()
        self._epoll.close()

    def turn(self, patience: float) -> None:
        """Wait for bytes, at most ``patience`` seconds, and tell of what is there."""
        read, clock, heard = os.read, time.monotonic, self._heard
        for number, mask in self._epoll.poll(max(0.0, patience), MAX_READY):
            one = heard.get(number)
            while one is not None:
                try:
                    data = read(number, PIECE)
                except BlockingIOError:
                    break
                except OSError:
                    data = b""
                one(data, clock())
                if not data or (len(data) < PIECE and mask == select.EPOLLIN):
                    break
                one = heard.get(number)


def send(number: int, data: bytes) -> None:
    """Send a request, which always fits; reading tells if a connection broke."""
    try:
        sent = os.write(number, data)
    except (BrokenPipeError, ConnectionResetError):
        return
    # A socket's buffer holds more than a request of the largest size here.
    assert sent == len(data), "a request did not fit into its socket"
