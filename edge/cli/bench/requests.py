"""Requests as bytes, made once for all viewers that ask the same.

A ``RequestTarget`` is where raw connections go: a resolved address, the name that a
server over TLS must prove to have, and the fields of every head.
"""

import base64
import socket
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from edge.cli.bench.viewer_reader import ReadPosition
from edge.cli.streams.address import StreamAddress
from edge.cli.streams.exit_faults import Exit, Fault

Fields = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class RequestTarget:
    """A host that was resolved, the URL's address there, and the user's fields."""

    family: socket.AddressFamily
    at: tuple[str, int]
    address: StreamAddress
    fields: bytes
    """Header lines of every request, ``Host`` first."""
    tls_name: str | None = None
    """For ``Wire.open``."""

    def request(self, method: str, more: bytes = b"", **ours: str | None) -> bytes:
        """A request's head; ``more`` are further header lines."""
        path = urlsplit(self.address.url(**ours))
        line = f"{method} {path.path}{'?' + path.query if path.query else ''} HTTP/1.1"
        return b"%s\r\n%s%s\r\n" % (line.encode(), self.fields, more)


def target(address: StreamAddress, fields: Fields) -> RequestTarget:
    """Where to connect for ``address``. Raises Fault: unknown host."""
    parts = urlsplit(address.url())
    secure = address.scheme == "https"
    port = parts.port or (443 if secure else 80)
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        text = f"{address.place}: the host's name cannot be resolved"
        raise Fault(Exit.UNREACHABLE, text) from None
    family, _, _, _, at = found[0]
    lines = [("Host", address.place), *_credentials(address), *fields]
    text = "".join(f"{name}: {value}\r\n" for name, value in lines)
    # What a field may hold beyond ASCII is Latin-1 on the wire (RFC 9110, 5.5).
    return RequestTarget(
        family,
        (str(at[0]), int(at[1])),
        address,
        text.encode("latin-1"),
        parts.hostname if secure else None,
    )


def _credentials(address: StreamAddress) -> Fields:
    if address.credentials is None:
        return ()
    plain = ":".join(address.credentials).encode()
    return (("Authorization", f"Basic {base64.b64encode(plain).decode()}"),)


class StreamReads:
    """The reads of one stream. Those of two viewers differ by their cursors alone."""

    def __init__(self, target: RequestTarget, mode: str) -> None:
        self._target = target
        self._mode = mode
        self._accept = b"Accept: text/event-stream\r\n" if mode == "sse" else b""
        self._made: dict[tuple[str | None, bytes], bytes] = {}
        self._around: dict[bytes, tuple[bytes, bytes]] = {}

    def catch_up(self, place: ReadPosition) -> bytes:
        """A plain read from ``place``."""
        return self._once(None, place.offset)

    def live(self, place: ReadPosition) -> bytes:
        """The live read that goes on at ``place``."""
        if not place.cursor:
            return self._once(self._mode, place.offset)
        around = self._around.get(place.offset)
        if around is None:
            around = self._around[place.offset] = self._split(place.offset)
        cursor = place.cursor
        if not cursor.isalnum():
            cursor = quote(cursor, safe="").encode()
        return around[0] + cursor + around[1]

    def forget(self) -> None:
        """Drop old positions: nobody reads from them again."""
        self._made.clear()
        self._around.clear()

    def _once(self, live: str | None, offset: bytes) -> bytes:
        known = self._made.get((live, offset))
        if known is None:
            known = self._made[live, offset] = self._make(live, offset, None)
        return known

    def _split(self, offset: bytes) -> tuple[bytes, bytes]:
        """A live read's bytes before its cursor and behind it."""
        before, _, after = self._make(self._mode, offset, _CURSOR).partition(
            b"=" + _CURSOR.encode()
        )
        return before + b"=", after

    def _make(self, live: str | None, offset: bytes, cursor: str | None) -> bytes:
        accept = self._accept if live else b""
        where = {"offset": offset.decode(), "live": live, "cursor": cursor}
        return self._target.request("GET", accept, **where)


_CURSOR = "cursor-of-a-viewer"
"""A placeholder for each viewer's own cursor."""
