"""The PROXY protocol: what a balancer says in front of a connection's first byte.

A balancer that only hands bytes on cannot add a field to a request. It writes one
header before them: a line (version 1) or a binary block (version 2) with the address of
its own client. ``parse`` takes what has come so far. It reads no more than it must, and
knows after ``MAX_HEADER`` bytes at the latest whether there is a header.

A header may tell no address: the balancer's own connection (``LOCAL``), ``UNKNOWN``, a
family other than TCP over IP. What else a header of version 2 carries is skipped. Pure;
both ways into the edge call it for listeners that say ``proxy_protocol: true``.

Source: the PROXY protocol, versions 1 and 2 (HAProxy, 2020), sections 2.1 and 2.2.
"""

import re
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from edge.core.errors import ClientFault
from edge.core.reasons import Reason

MAX_HEADER = 4096
"""Bytes of a header that are taken. Addresses need 52, and balancers add a few hundred:
names, ids and the facts of TLS."""

_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_FIXED = len(_SIGNATURE) + 4
_LINE = b"PROXY "
_MAX_LINE = 107
"""With its end: what version 1 allows."""

_LOCAL, _PROXY = 0x20, 0x21
_TCP4, _TCP6 = 0x11, 0x21
_SIZES = {_TCP4: 12, _TCP6: 36}
"""Bytes of both addresses and ports, by family."""

_TELLS = re.compile(
    rb"PROXY TCP(?:4 ([0-9.]{7,15})|6 ([0-9A-Fa-f:.]{2,45})) [0-9A-Fa-f:.]{2,45}"
    rb" (?:0|[1-9][0-9]{0,4}) (?:0|[1-9][0-9]{0,4})"
)


class ProxyHeader(NamedTuple):
    """A header of so many bytes. ``address``: the client's; None if it tells none."""

    size: int
    address: str | None


def parse(held: bytes) -> ProxyHeader | None:
    """The header at the beginning of ``held``; None: the rest of it must come first.

    Raises ClientFault: no-proxy-header for other bytes, bad-proxy-header for a header
    that is malformed or too long.
    """
    if held.startswith(_SIGNATURE):
        return _binary(held)
    if held.startswith(_LINE):
        return _line(held)
    if _SIGNATURE.startswith(held) or _LINE.startswith(held):
        return None
    detail = "The connection does not begin with a header of the PROXY protocol."
    raise ClientFault(detail, reason=Reason.NO_PROXY_HEADER)


def _line(held: bytes) -> ProxyHeader | None:
    line, end, _ = held[:_MAX_LINE].partition(b"\r\n")
    if not end:
        if len(held) >= _MAX_LINE:
            raise _malformed("its line has no end")
        return None
    size = len(line) + 2
    if re.match(rb"PROXY UNKNOWN(?: |\Z)", line):
        return ProxyHeader(size, None)
    match = _TELLS.fullmatch(line)
    if match is None:
        raise _malformed("its line is not understood")
    try:
        if match[1] is not None:
            return ProxyHeader(size, str(IPv4Address(match[1].decode())))
        return ProxyHeader(size, str(IPv6Address(match[2].decode())))
    except ValueError:
        raise _malformed("its address is none") from None


def _binary(held: bytes) -> ProxyHeader | None:
    if len(held) < _FIXED:
        return None
    command, family = held[12], held[13]
    length = int.from_bytes(held[14:_FIXED])
    if command not in (_LOCAL, _PROXY):
        raise _malformed("its version or command is unknown")
    if _FIXED + length > MAX_HEADER:
        raise _malformed("it is too long")
    told = command == _PROXY and family in _SIZES
    if told and length < _SIZES[family]:
        raise _malformed("it is too short for its addresses")
    if len(held) < _FIXED + length:
        return None
    if not told:
        return ProxyHeader(_FIXED + length, None)
    if family == _TCP4:
        return ProxyHeader(_FIXED + length, str(IPv4Address(held[16:20])))
    return ProxyHeader(_FIXED + length, str(IPv6Address(held[16:32])))


def _malformed(why: str) -> ClientFault:
    detail = f"The header of the PROXY protocol is malformed: {why}."
    return ClientFault(detail, reason=Reason.BAD_PROXY_HEADER)
