"""The bytes of a request. Pure: it connects to nothing.

A request is built here, never forwarded. Its parts are checked once more, although the
floors above have checked them: a line break in a field's value would be a second
request. Whatever is wrong came from a client: it raises ClientFault, and nothing is
sent.

The connection is kept (HTTP/1.1 needs no field to say so), and the origin is
never asked for 100-continue.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from edge.core.errors import ClientBodyCut, ClientFault
from edge.core.reasons import Reason
from edge.core.values import Headers, OriginRequest
from edge.protocol.http_grammar import FIELD_VALUE, HOP_BY_HOP, LAST_CHUNK, TOKEN

_TARGET = re.compile(r"/[!-\"$-~]*", re.ASCII)
# The Host that an operator may have sent. It is wider than a client's: the grammar has
# no scope ("[fe80::1%eth0]"), and a neighbour is reached by one.
_HOST = re.compile(r"[!-.0-~]+", re.ASCII)

# Fields that concern one connection, or decide where a message ends (RFC 9112 section
# 6): only this module writes them.
_RESERVED = HOP_BY_HOP | {"content-length", "expect", "host"}
# Methods whose missing body has to be announced (RFC 9110 section 8.6).
_EXPECT_BODY = frozenset({"POST", "PUT", "PATCH"})
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE"})

MAX_NAMES = 256
MAX_NAME = 64
"""Names of fields that are remembered, and how long one may be."""


def checked_host(host: str) -> str:
    """``host`` if it can be sent as a Host field; else ValueError."""
    if not _HOST.fullmatch(host):
        raise ValueError(f"{host!r} cannot be a Host field")
    return host


def request_head(request: OriginRequest, host: str, prefix: str = "") -> bytes:
    """The request line and the fields, Host first, with the empty line.

    Raises ClientFault.
    """
    target = prefix + request.target
    if request.method not in _METHODS and not TOKEN.fullmatch(request.method):
        raise _bad(f"the method {request.method!r} is no token")
    if not _TARGET.fullmatch(target):
        raise _bad("the target must be a path in visible ASCII")
    lines = [f"{request.method} {target} HTTP/1.1", f"Host: {host}"]
    lines.extend(_field_lines(request.headers))
    lines.extend(_framing_line(request))
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _field_lines(headers: Headers) -> Iterator[str]:
    for name, value in headers:
        if name not in _names and not _is_sendable(name):
            raise _bad(f"the field {name!r} cannot be sent")
        if not FIELD_VALUE.fullmatch(value):
            raise _bad(f"the value of {name!r} holds a control character")
        yield f"{name}: {value}"


_names: set[str] = set()
"""Names that may be sent, as far as they were met: they are few."""


def _is_sendable(name: str) -> bool:
    if not TOKEN.fullmatch(name) or name.lower() in _RESERVED:
        return False
    if len(_names) < MAX_NAMES and len(name) <= MAX_NAME:
        _names.add(name)
    return True


def _framing_line(request: OriginRequest) -> Iterator[str]:
    if request.body is None:
        if request.method in _EXPECT_BODY:
            yield "Content-Length: 0"
    elif isinstance(request.body, bytes):
        yield f"Content-Length: {len(request.body)}"
    elif request.content_length is None:
        yield "Transfer-Encoding: chunked"
    else:
        yield f"Content-Length: {request.content_length}"


class Piece(NamedTuple):
    """A part of a body on the wire, never empty; ``last``: the message is complete."""

    octets: bytes
    last: bool


def framed(body: Iterator[bytes], content_length: int | None) -> Iterator[Piece]:
    """The body as it goes on the wire, in pieces.

    What completes the message comes only after ``body`` has ended by itself:
    a body that raises at its last moment is never complete on the wire.
    Raises whatever ``body`` raises, and ClientFault for a wrong length.
    """
    pieces = (piece for piece in body if piece)
    return (
        _chunked(pieces) if content_length is None else _counted(pieces, content_length)
    )


def _chunked(pieces: Iterator[bytes]) -> Iterator[Piece]:
    for piece in pieces:
        yield Piece(b"%x\r\n%b\r\n" % (len(piece), piece), last=False)
    yield Piece(LAST_CHUNK, last=True)


def _counted(pieces: Iterator[bytes], length: int) -> Iterator[Piece]:
    left = length
    held = b""
    for piece in pieces:
        left -= len(piece)
        if left < 0:
            raise ClientFault(
                "the body is longer than its Content-Length",
                reason=Reason.BODY_TOO_LARGE,
            )
        if left == 0:
            held = piece
        else:
            yield Piece(piece, last=False)
    if left:
        raise ClientBodyCut(f"the body ended {left} bytes early")
    if held:
        yield Piece(held, last=True)


@dataclass(slots=True)
class EncodedRequest:
    """A request ready to be sent: the first bytes, and the rest as an iterator.

    ``first`` holds the head and the first piece of the body: a body that fails at once
    thus costs no connection. ``whole``: that is all. ``resendable``: sending it twice
    is possible and does no harm.
    """

    first: bytes
    whole: bool
    rest: Iterator[Piece]
    resendable: bool

    @classmethod
    def prepare(
        cls, request: OriginRequest, host: str, prefix: str
    ) -> "EncodedRequest":
        """Check the request and read its body's first piece. May block on it."""
        head = request_head(request, host, prefix)
        if request.body is None:
            return cls(head, True, _NOTHING, request.method in ("GET", "HEAD"))
        if isinstance(request.body, bytes):
            return cls(head + request.body, True, _NOTHING, False)
        rest = framed(request.body, request.content_length)
        first = next(rest, Piece(b"", last=True))
        return cls(head + first.octets, first.last, rest, False)


_NOTHING: Iterator[Piece] = iter(())


def _bad(detail: str) -> ClientFault:
    return ClientFault(detail, reason=Reason.BAD_HEAD)
