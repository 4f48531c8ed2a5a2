"""One connection to the origin: making it, and waiting on it.

``dial`` connects within one deadline: addresses, connect, TLS. If a name has several
addresses, each gets an equal part of the time that is left: an address that swallows
packets does not keep the next one from being tried. Every failure is an OriginFault,
and leaves no socket open.

The socket of an ``UpstreamConnection`` is non-blocking. Only ``wait`` switches
greenlets for it, with one watcher that ``close`` can cancel from any other greenlet.
Plain, unix and TLS sockets differ only in which errors mean "not yet". A connection is
used by one call at a time. It does not parse: bytes in, bytes out. Every failure of the
socket becomes ``ConnectionLost``; the caller knows what that means at its point of the
exchange.
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
from origin_adapter.http.options import OriginAddress

READ = 1
WRITE = 2
"""Events of the loop's io watchers."""

RECEIVE_SIZE = 64 * 1024
MAX_MOVED = 1024 * 1024
"""Bytes that a connection may move before it lets other greenlets run."""

_NOT_YET = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

SocketAddress = tuple[int, tuple[Any, ...] | str]
"""An address family, and what ``connect`` takes in it."""

FULL_BACKLOG_PAUSE = 0.01
"""Seconds between tries at a socket file whose backlog is full."""


class ConnectionLost(OriginUnreachable):
    """The connection ended, by a reset or before anything could be read."""


class UpstreamConnection:
    """A connected socket. ``reused`` is set from its second call on.

    ``idle_since`` is monotonic seconds, for the pool.
    """

    __slots__ = ("_moved", "_received", "_socket", "_waiting", "idle_since", "reused")

    def __init__(self, connected: Socket) -> None:
        self.reused = False
        self.idle_since = 0.0
        self._socket: Socket | None = connected
        # A watcher of the loop; gevent gives its type no public name.
        self._waiting: Any = None
        self._received: bytes | None = None
        self._moved = 0

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._socket is None

    def try_send(self, data: memoryview) -> int:
        """Send what the socket takes now; 0 when it is full.

        Raises ConnectionLost.
        """
        try:
            sent = self._open().send(data)
        except _NOT_YET:
            return 0
        except OSError as error:
            raise _lost("sending", error) from error
        self._share(sent)
        return sent

    def receive(self, deadline: float) -> bytes:
        """The next bytes, after a wait if need be; b"" once the origin has ended.

        Raises ConnectionLost, and OriginTimeout at ``deadline`` (monotonic).
        """
        if time.monotonic() >= deadline:
            # An origin that sends without pause has no longer than any other.
            raise _TooLate
        while not self.arrived():
            self.wait(READ, deadline)
        received, self._received = self._received or b"", None
        self._share(len(received))
        return received

    def arrived(self) -> bool:
        """Whether bytes or the origin's end are here. Never waits.

        The bytes are kept for ``receive``. A TLS session's own records are not
        bytes. Raises ConnectionLost.
        """
        if self._received is None:
            try:
                self._received = self._open().recv(RECEIVE_SIZE)
            except _NOT_YET:
                return False
            except OSError as error:
                raise _lost("receiving", error) from error
        return True

    def wait(self, events: int, deadline: float) -> None:
        """Block until the socket is ready for one of ``events``.

        Raises OriginTimeout at ``deadline``, and ConnectionLost when ``close``
        is called meanwhile.
        """
        timeout = deadline - time.monotonic()
        if timeout <= 0:
            raise _TooLate
        watcher = get_hub().loop.io(self._open().fileno(), events)
        self._waiting = watcher
        self._moved = 0
        try:
            socket.wait(watcher, timeout, _TooLate)
        except OSError as error:
            raise ConnectionLost("the connection was closed here") from error
        finally:
            self._waiting = None
            watcher.close()

    def _share(self, moved: int) -> None:
        """Let other greenlets run: a fast peer must not hold the event loop."""
        self._moved += moved
        if self._moved >= MAX_MOVED:
            self._moved = 0
            gevent.sleep(0)

    def _open(self) -> Socket:
        if self._socket is None:
            raise ConnectionLost("the connection was closed here")
        return self._socket

    def is_stale(self) -> bool:
        """Whether an idle connection is dead, or the origin sent unasked bytes."""
        try:
            return self.arrived()
        except ConnectionLost:
            return True

    def close(self) -> None:
        """Close, and release the greenlet in ``wait``. Never switches, idempotent."""
        if self._socket is None:
            return
        connected, self._socket = self._socket, None
        if self._waiting is None:
            connected.close()
            return
        # The event loop must release the descriptor before it is closed.
        get_hub().cancel_waits_close_and_then(
            (self._waiting,), _closed_here(), connected.close
        )


class _TooLate(OriginTimeout):
    """A wait that ended at its deadline. A class is given to the time-out, not an
    instance: a wait that ends earlier then makes none. It takes its text as all errors
    do: who tells it again, with another Retry-After, copies it."""

    def __init__(self, detail: str = "the origin took too long") -> None:
        super().__init__(detail)


def _lost(doing: str, error: OSError) -> ConnectionLost:
    return ConnectionLost(
        "the connection to the origin failed", cause=f"{doing}: {error}"
    )


def _closed_here() -> OSError:
    return OSError(errno.EBADF, "closed by another greenlet")


# Making one.


_OUR_LIMITS = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL}
)
_OUR_LOOKUP_FAILURES = frozenset({socket.EAI_SYSTEM, socket.EAI_MEMORY})


def dial(
    address: OriginAddress, timeout: float, context: ssl.SSLContext | None = None
) -> UpstreamConnection:
    """Connect within ``timeout`` seconds; with TLS when ``context`` is given.

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
) -> UpstreamConnection:
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
    return UpstreamConnection(connected)


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
