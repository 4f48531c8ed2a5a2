"""Requests as bytes: made once for everybody who asks the same.

A ``Target`` is where raw connections go: an address that was looked up once, and
what each head says. Only plain HTTP: the load generator reads descriptors.
"""

import base64
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from edge.cli.bench.reception import Place
from edge.cli.streams.address import Address
from edge.cli.streams.faults import Exit, Fault, wrong

Fields = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Target:
    """A host that was resolved, the URL's address there, and the user's fields."""

    family: socket.AddressFamily
    at: tuple[str, int]
    address: Address
    fields: bytes
    """Header lines of every request, ``Host`` first."""

    def request(self, method: str, more: bytes = b"", **ours: str | None) -> bytes:
        """A head without its empty line's body; ``more`` are further lines."""
        path = urlsplit(self.address.url(**ours))
        line = f"{method} {path.path}{'?' + path.query if path.query else ''} HTTP/1.1"
        return b"%s\r\n%s%s\r\n" % (line.encode(), self.fields, more)


def target(address: Address, fields: Fields) -> Target:
    """Where to connect for ``address``. Raises Fault: wrong scheme, unknown host."""
    if address.scheme != "http":
        raise wrong("URL", "expected http://: raw connections speak no TLS")
    parts = urlsplit(address.url())
    try:
        found = socket.getaddrinfo(
            parts.hostname, parts.port or 80, type=socket.SOCK_STREAM
        )
    except (socket.gaierror, UnicodeError):
        text = f"{address.place}: the host's name cannot be resolved"
        raise Fault(Exit.UNREACHABLE, text) from None
    family, _, _, _, at = found[0]
    lines = [("Host", address.place), *_credentials(address), *fields]
    text = "".join(f"{name}: {value}\r\n" for name, value in lines)
    # What a field may hold beyond ASCII is Latin-1 on the wire (RFC 9110, 5.5).
    return Target(family, (str(at[0]), int(at[1])), address, text.encode("latin-1"))


def _credentials(address: Address) -> Fields:
    if address.credentials is None:
        return ()
    plain = ":".join(address.credentials).encode()
    return (("Authorization", f"Basic {base64.b64encode(plain).decode()}"),)


class Reads:
    """The reads of one stream: catch-up, then live, each made once for a place."""

    def __init__(self, target: Target, mode: str) -> None:
        self._target = target
        self._mode = mode
        self._accept = b"Accept: text/event-stream\r\n" if mode == "sse" else b""
        self._live: dict[Place, bytes] = {}

    def catch_up(self, place: Place) -> bytes:
        """A plain read from ``place``."""
        return self._target.request("GET", offset=place.offset.decode())

    def live(self, place: Place) -> bytes:
        """The live read that goes on at ``place``."""
        known = self._live.get(place)
        if known is None:
            known = self._live[place] = self._target.request(
                "GET",
                self._accept,
                offset=place.offset.decode(),
                live=self._mode,
                cursor=place.cursor.decode() or None,
            )
        return known

    def forget(self) -> None:
        """Old places: nobody comes back to them."""
        self._live.clear()
