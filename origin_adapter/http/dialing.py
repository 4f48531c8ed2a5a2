"""Making one connection to the origin: addresses, connect, TLS. In a greenlet.

``dial`` connects within one deadline. If a name has several addresses, each gets an
equal part of the time that is left: an address that swallows packets does not keep the
next one from being tried. Every failure is an OriginFault, and leaves no socket open;
so does a kill. It is the only part of a call that blocks a greenlet (U24): a call over
a kept connection never comes here. ``pool`` calls it, and makes an
``UpstreamConnection`` of the socket.
"""

import errno
import ipaddress
import os
import ssl
import time
from collections.abc import Container
from socket import socket as Socket
from typing import Any

import gevent
from gevent import socket
from gevent.hub import get_hub

from edge.core.errors import NotAsked, OriginFault, OriginTimeout, OriginUnreachable
from edge.core.reasons import Reason
from origin_adapter.http.connection import READ, WRITE
from origin_adapter.http.options import OriginAddress

SocketAddress = tuple[int, tuple[Any, ...] | str]
"""An address family, and what ``connect`` takes in it."""

FULL_BACKLOG_PAUSE = 0.01
"""Seconds between tries at a socket file whose backlog is full."""

_OUR_LIMITS = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL}
)
_OUR_LOOKUP_FAILURES = frozenset({socket.EAI_SYSTEM, socket.EAI_MEMORY})


def dial(
    address: OriginAddress, timeout: float, context: ssl.SSLContext | None = None
) -> Socket:
    """A socket that was connected within ``timeout`` seconds, by TLS if ``context`` is
    given. It does not block.

    Raises OriginUnreachable or OriginTimeout; NotAsked when this process or this
    machine has nothing left to call with (U6).
    """
    deadline = time.monotonic() + timeout
    addresses = _addresses(address, timeout)
    fault: OriginFault = OriginUnreachable("the origin's name has no address")
    for tried, reachable in enumerate(addresses):
        share = (deadline - time.monotonic()) / (len(addresses) - tried)
        try:
            return _reach(address, reachable, time.monotonic() + share, context)
        except OriginFault as error:
            fault = error
    raise fault


def _addresses(address: OriginAddress, timeout: float) -> list[SocketAddress]:
    if address.unix_path is not None:
        return [(socket.AF_UNIX, address.unix_path)]
    return _literal(address) or _resolved(address, timeout)


def _literal(address: OriginAddress) -> list[SocketAddress]:
    """The address itself if the url names one: no resolver, no thread."""
    try:
        version = ipaddress.ip_address(address.host).version
    except ValueError:
        return []
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    return [(family, (address.host, address.port))]


def _resolved(address: OriginAddress, timeout: float) -> list[SocketAddress]:
    late = OriginTimeout("the origin's name was not resolved in time")
    try:
        with gevent.Timeout(timeout, late):
            found = socket.getaddrinfo(
                address.host, address.port, type=socket.SOCK_STREAM
            )
    except OSError as error:
        raise _fault_of(error, address.place, _OUR_LOOKUP_FAILURES) from error
    return [(family, name) for family, _, _, _, name in found]


def _reach(
    address: OriginAddress,
    reachable: SocketAddress,
    deadline: float,
    context: ssl.SSLContext | None,
) -> Socket:
    """Connect to one address of the name."""
    family, name = reachable
    try:
        connected: Socket = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise _fault_of(error, address.place) from error
    try:
        connected.setblocking(False)
        _connect(connected, name, deadline)
        if family != socket.AF_UNIX:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            connected = _wrapped(connected, address.certified_name, context)
            _shake_hands(connected, deadline)
    except OSError as error:
        connected.close()
        raise _fault_of(error, f"{address.place} at {name}") from error
    except BaseException:
        connected.close()
        raise
    return connected


def _fault_of(
    error: OSError, place: str, ours: Container[int | None] = _OUR_LIMITS
) -> OriginFault:
    """What a call that could not be made says: nothing of the origin, if it is this
    process or this machine that has no descriptor, port or memory left (U6).

    Where it was to be made, and what the system says, is for the operator alone.
    """
    cause = f"{place}: {error}"
    if error.errno in ours:
        detail = "nothing is left here to call the origin with"
        return NotAsked(detail, reason=Reason.LIMIT_DESCRIPTORS, cause=cause)
    return OriginUnreachable("the origin cannot be called", cause=cause)


def _connect(connecting: Socket, name: tuple[Any, ...] | str, deadline: float) -> None:
    code = connecting.connect_ex(name)
    while code == errno.EAGAIN:
        # A socket file with a full backlog: no event tells when there is room.
        _still_time(deadline)
        gevent.sleep(FULL_BACKLOG_PAUSE)
        code = connecting.connect_ex(name)
    if code == errno.EINPROGRESS:
        _ready(connecting, WRITE, deadline)
        code = connecting.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, os.strerror(code))


def _wrapped(connected: Socket, host: str, context: ssl.SSLContext) -> ssl.SSLSocket:
    # An end without TLS's close_notify may be a cut: it has to be an error.
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
        socket.wait(watcher, _still_time(deadline), _too_late())
    finally:
        watcher.close()


def _still_time(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise _too_late()
    return left


def _too_late() -> OriginTimeout:
    return OriginTimeout("no connection was made in time")
