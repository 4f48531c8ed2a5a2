"""Making a connection: addresses, connect, TLS, within one deadline.

A name with several addresses gets an equal part of what is left of the time
for each, so that one that swallows packets does not keep the next from being
tried. Everything that goes wrong is OriginUnreachable or OriginTimeout, and
leaves no socket behind.
"""

import errno
import ipaddress
import os
import ssl
import time
from socket import socket as Socket
from typing import Any

import gevent
from gevent import socket
from gevent.hub import get_hub

from edge.core.errors import OriginFault, OriginTimeout, OriginUnreachable
from origin_adapter.http.connection import READ, WRITE, Connection
from origin_adapter.http.options import Address

Place = tuple[int, tuple[Any, ...] | str]
"""An address family, and what ``connect`` takes in it."""

FULL_BACKLOG_PAUSE = 0.01
"""Seconds between tries at a socket file whose backlog is full."""


def dial(
    address: Address, timeout: float, context: ssl.SSLContext | None = None
) -> Connection:
    """Connect within ``timeout`` seconds; with TLS when ``context`` is given.

    Raises OriginUnreachable or OriginTimeout.
    """
    deadline = time.monotonic() + timeout
    places = _places(address, timeout)
    fault: OriginFault = OriginUnreachable(f"{address.host} has no address")
    for tried, place in enumerate(places):
        share = (deadline - time.monotonic()) / (len(places) - tried)
        try:
            return _reach(address, place, time.monotonic() + share, context)
        except OriginFault as error:
            fault = error
    raise fault


def _places(address: Address, timeout: float) -> list[Place]:
    if address.unix_path is not None:
        return [(socket.AF_UNIX, address.unix_path)]
    return _literal(address) or _resolved(address, timeout)


def _literal(address: Address) -> list[Place]:
    """The place itself where the url names one: no resolver, no thread."""
    try:
        version = ipaddress.ip_address(address.host).version
    except ValueError:
        return []
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    return [(family, (address.host, address.port))]


def _resolved(address: Address, timeout: float) -> list[Place]:
    late = OriginTimeout(f"the name {address.host} was not resolved in time")
    try:
        with gevent.Timeout(timeout, late):
            found = socket.getaddrinfo(
                address.host, address.port, type=socket.SOCK_STREAM
            )
    except OSError as error:
        raise OriginUnreachable(f"{address.host}: {error}") from error
    return [(family, place) for family, _, _, _, place in found]


def _reach(
    address: Address, place: Place, deadline: float, context: ssl.SSLContext | None
) -> Connection:
    """Connect to one place."""
    family, name = place
    connected: Socket = socket.socket(family, socket.SOCK_STREAM)
    try:
        connected.setblocking(False)
        _connect(connected, name, deadline)
        if family != socket.AF_UNIX:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            connected = _wrapped(connected, address.host, context)
            _shake_hands(connected, deadline)
    except OSError as error:
        connected.close()
        raise OriginUnreachable(f"{address.authority}: {error}") from error
    except BaseException:
        connected.close()
        raise
    return Connection(connected)


def _connect(connecting: Socket, name: tuple[Any, ...] | str, deadline: float) -> None:
    code = connecting.connect_ex(name)
    while code == errno.EAGAIN:
        # A socket file with a full backlog; there is no event to wait for.
        _still_time(deadline)
        gevent.sleep(FULL_BACKLOG_PAUSE)
        code = connecting.connect_ex(name)
    if code == errno.EINPROGRESS:
        _ready(connecting, WRITE, deadline)
        code = connecting.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))


def _wrapped(connected: Socket, host: str, context: ssl.SSLContext) -> ssl.SSLSocket:
    # An end without TLS's own farewell may be a cut: it has to be an error.
    return context.wrap_socket(
        connected,
        server_hostname=host,
        do_handshake_on_connect=False,
        suppress_ragged_eofs=False,
    )


def _shake_hands(connected: ssl.SSLSocket, deadline: float) -> None:
    while True:
        try:
            return connected.do_handshake()
        except ssl.SSLWantReadError:
            _ready(connected, READ, deadline)
        except ssl.SSLWantWriteError:
            _ready(connected, WRITE, deadline)


def _ready(connecting: Socket, events: int, deadline: float) -> None:
    watcher = get_hub().loop.io(connecting.fileno(), events)
    try:
        socket.wait(watcher, _still_time(deadline), _late())
    finally:
        watcher.close()


def _still_time(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise _late()
    return left


def _late() -> OriginTimeout:
    return OriginTimeout("no connection was made in time")
