"""Who the client is: the one place that decides it.

A connection comes from a peer. Most often that is the client. A peer that the operator
trusts (``trusted_proxies``) may speak for others: it tells address, scheme and host in
``X-Forwarded-For``, ``-Proto`` and ``-Host``, or in ``Forwarded``. Nobody else is
believed, and what was told is read from the right: each proxy adds its own peer at the
end, so an entry counts only if all behind it are trusted. The first that is not trusted
is the client. What stands before it is the client's own text.

Where both kinds of field came, one of them may be the client's that a proxy handed on.
So only what both say is believed then. A ``Forwarded`` that breaks its grammar tells
nothing: an open quote could swallow what the proxy added.

Pure. Called by both ways through the front for each connection, and for a request only
if its peer is trusted.

Sources: RFC 7239 sections 4 to 7; RFC 4291 section 2.5.2 (mapped addresses).
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import NamedTuple

from edge.protocol.http_grammar import TOKEN_CHARS, is_host

UNIX = "unix"
"""The word that trusts the peers of unix sockets, which have no address."""

MAX_PROXIES = 16
"""Entries that are read of a chain, from the right; the last one is the client then."""

MAX_FORWARDED = 2048
"""Characters of a ``Forwarded`` that are read; a longer one tells nothing."""

Lookup = Callable[[str], str | None]
Network = IPv4Network | IPv6Network

_NODE = re.compile(
    r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([0-9.]{7,15}))(?::(?:[0-9]{1,5}|_[\w.-]+))?"
    r"|([0-9A-Fa-f:.]{2,45})",
    re.ASCII,
)
# Possessive: a client's text must not be tried in more than one way.
_PAIR = re.compile(
    rf"[ \t]*+(?:([{TOKEN_CHARS}]++)="
    rf'(?:([{TOKEN_CHARS}:\[\]]++)|"((?:[^"\\]|\\.)*+)"))?+[ \t]*+([;,]|\Z)',
    re.DOTALL,
)
_SCHEMES = frozenset({"http", "https"})


class Peer(NamedTuple):
    """The other end of a connection. ``address`` is "" where it has none.

    ``believed``: it may say for whom it speaks. ``scheme`` is "https" where it speaks
    TLS with the edge itself, and ``certificate`` is whom its certificate names then;
    "" if it does not, or showed none.
    """

    address: str = ""
    believed: bool = False
    scheme: str = ""
    certificate: str = ""


class Caller(NamedTuple):
    """Who sent a request. ``scheme`` and ``host`` are those by which it was called, if
    a trusted proxy told them; "" if none did. The scheme is also known where the edge
    itself speaks TLS."""

    address: str = ""
    scheme: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """The peers that are believed: networks, and those of unix sockets."""

    networks: tuple[Network, ...] = ()
    unix: bool = False

    @classmethod
    def of(cls, names: Iterable[str]) -> "TrustedProxies":
        """From networks as they are written, and ``unix``. Raises ValueError."""
        listed = tuple(names)
        networks = tuple(ip_network(name) for name in listed if name != UNIX)
        return cls(networks, UNIX in listed)

    @property
    def any(self) -> bool:
        """Whether there are any."""
        return self.unix or bool(self.networks)

    def trusts(self, address: str) -> bool:
        """Whether an address is one of theirs; "" is a unix socket's."""
        if not address:
            return self.unix
        if not self.networks:
            return False
        parsed = ip_address(address)
        return any(parsed in network for network in self.networks)

    def peer(self, name: object) -> Peer:
        """The peer with this socket name (as ``getpeername`` has it)."""
        address = _plain(str(name[0])) if isinstance(name, tuple) and name else ""
        return Peer(address or "", self.any and self.trusts(address or ""))

    def client(self, peer: Peer, lookup: Lookup) -> Caller:
        """Who sent the request with these fields through ``peer``."""
        told = self._told(peer, lookup) if peer.believed else Caller(peer.address)
        return told._replace(scheme=peer.scheme) if not told.scheme else told

    def _told(self, peer: Peer, lookup: Lookup) -> Caller:
        """As a peer tells that is believed."""
        old, new = self._by_x(peer, lookup), self._by_forwarded(peer, lookup)
        if old is None or new is None:
            return old or new or Caller(peer.address)
        return Caller(
            old.address if old.address == new.address else peer.address,
            old.scheme if old.scheme == new.scheme else "",
            old.host if old.host == new.host else "",
        )

    def _by_x(self, peer: Peer, lookup: Lookup) -> Caller | None:
        """As the X-Forwarded fields tell; None if there are none."""
        told = [lookup(f"x-forwarded-{part}") for part in ("for", "proto", "host")]
        if told == [None, None, None]:
            return None
        entries, schemes, hosts = (
            [] if text is None else text.rsplit(",", MAX_PROXIES)[::-1][:MAX_PROXIES]
            for text in told
        )
        address, last = self._walk(peer.address, entries)
        return Caller(
            address,
            _scheme(schemes[min(last, len(schemes) - 1)] if schemes else ""),
            _host(hosts[min(last, len(hosts) - 1)] if hosts else ""),
        )

    def _by_forwarded(self, peer: Peer, lookup: Lookup) -> Caller | None:
        """As ``Forwarded`` tells; None without one."""
        field = lookup("forwarded")
        if field is None:
            return None
        elements = (_elements(field) or [])[::-1][:MAX_PROXIES]
        entries = [element.get("for", "") for element in elements]
        address, last = self._walk(peer.address, entries)
        # The element of the client, or the nearest one behind it that tells.
        believed = elements[last::-1]
        schemes = (found for e in believed if (found := _scheme(e.get("proto", ""))))
        hosts = (found for e in believed if (found := _host(e.get("host", ""))))
        return Caller(address, next(schemes, ""), next(hosts, ""))

    def _walk(self, address: str, entries: Sequence[str]) -> tuple[str, int]:
        """The client's address, and which entry is its own; the nearest is the first.

        An entry that is no address (``unknown``, ``_hidden``, garbage) ends the walk:
        the proxy that wrote it is the last one known.
        """
        for place, entry in enumerate(entries):
            found = _node(entry)
            address = found or address
            if found is None or not self.trusts(found):
                return address, place
        return address, max(0, len(entries) - 1)


NOBODY = TrustedProxies()
"""No peer is believed."""


def _plain(text: str) -> str | None:
    """One spelling for each address, without a zone; None for what is none.

    IPv4 that came through a socket of IPv6 is IPv4.
    """
    try:
        found: IPv4Address | IPv6Address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return str(found)


def _node(text: str) -> str | None:
    """The address in an entry, which may have a port, brackets and quotes."""
    match = _NODE.fullmatch(text.strip(' \t"'))
    return None if match is None else _plain(match[1] or match[2] or match[3])


def _scheme(text: str) -> str:
    scheme = text.strip(' \t"').lower()
    return scheme if scheme in _SCHEMES else ""


def _host(text: str) -> str:
    host = text.strip(' \t"').lower()
    return host if is_host(host) else ""


def _elements(field: str) -> list[dict[str, str]] | None:
    """The elements of a ``Forwarded``, parameters by lower-case name; None if it
    breaks the grammar anywhere, or is too long."""
    if len(field) > MAX_FORWARDED:
        return None
    elements: list[dict[str, str]] = [{}]
    place = 0
    while (match := _PAIR.match(field, place)) is not None:
        name, token, quoted, separator = match.groups()
        if name is not None:
            if name.lower() in elements[-1]:
                return None
            value = re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL) if quoted else ""
            elements[-1][name.lower()] = token or value
        if not separator:
            return [element for element in elements if element]
        if separator == ",":
            elements.append({})
        place = match.end()
    return None
