"""CORS and the browser's security fields, set by the edge alone (L18).

On a route an origin's own CORS fields are dropped, so its ``Vary: Origin`` never splits
a key (E29). Off the routes its answers go through with them. Callers give the route's
allowed origin. It is ``*`` unless the route says otherwise; "" switches CORS off.
Credentials mode is never allowed, so ``*`` gives away nothing that a plain client could
not fetch.

Sources: the Fetch standard, section "CORS protocol"; PROTOCOL.md section 12.7.
"""

import re
from functools import lru_cache

from edge.core.values import Header, Headers
from edge.protocol import names
from edge.protocol.http_grammar import TOKEN_CHARS

SECURITY_HEADERS: Headers = (
    ("X-Content-Type-Options", "nosniff"),
    ("Cross-Origin-Resource-Policy", "cross-origin"),
)
"""On every answer, also on errors and on answers that the edge itself makes."""

NO_SNIFFING: Headers = SECURITY_HEADERS[:1]
"""On answers of the origin off the routes: who may embed them is the origin's word."""

SAME_ORIGIN_HEADERS: Headers = (
    ("X-Content-Type-Options", "nosniff"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
"""The same, where a browser's cookie lets in: no other site may embed the answer."""

MAX_AGE = 7200
"""Seconds that a browser may keep a preflight: the most that every browser honours."""

_METHODS = ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH")
_FORBIDDEN_METHODS = frozenset({"CONNECT", "TRACE", "TRACK"})

_ALLOWED = (
    "Authorization",
    "Content-Type",
    "If-None-Match",
    names.SEQ,
    names.TTL,
    names.EXPIRES_AT,
    names.CLOSED,
    names.CURSOR,
    names.FORKED_FROM,
    names.FORK_OFFSET,
    names.FORK_SUB_OFFSET,
    names.PRODUCER_ID,
    names.PRODUCER_EPOCH,
    names.PRODUCER_SEQ,
)

_EXPOSED = (
    names.NEXT_OFFSET,
    names.CURSOR,
    names.UP_TO_DATE,
    names.CLOSED,
    names.TTL,
    names.EXPIRES_AT,
    names.SSE_ENCODING,
    names.PRODUCER_EPOCH,
    names.PRODUCER_SEQ,
    names.PRODUCER_EXPECTED_SEQ,
    names.PRODUCER_RECEIVED_SEQ,
    "ETag",
    "Age",
    "Cache-Status",
    "Location",
    "Retry-After",
    "Content-Type",
    "Content-Encoding",
    "Vary",
    "X-Request-Id",
)

_ECHOED = re.compile(rf"[{TOKEN_CHARS}]{{1,64}}")
"""A name that a preflight may ask for, and get back: a token, not too long."""
_MAX_ECHOED = 32


def answer_headers(allow_origin: str, kept: tuple[str, ...]) -> Headers:
    """What every answer carries for a script in a browser.

    ``kept`` are the origin's own fields that a route keeps: scripts may read them.
    """
    if not allow_origin:
        return ()
    return (_allow_origin(allow_origin), _expose(kept))


def preflight(
    allow_origin: str,
    sent: tuple[str, ...],
    request_method: str | None,
    request_headers: str | None,
) -> Headers:
    """The fields of the answer to an OPTIONS request, for its 204.

    ``sent`` are the fields that a route sends upstream. ``request_method`` and
    ``request_headers`` are the raw values of Access-Control-Request-Method and
    -Headers. Beyond the protocol's own names, well-formed names that the browser asks
    for are allowed too: extensions bring their own, and unknown methods pass through
    to the origin.
    """
    if not allow_origin:
        return ()
    methods = _distinct((*_METHODS, *_asked_method(request_method)))
    allowed = (*_ALLOWED, *sent, *_asked_names(request_headers))
    return (
        _allow_origin(allow_origin),
        ("Access-Control-Allow-Methods", methods),
        ("Access-Control-Allow-Headers", _distinct(allowed)),
        ("Access-Control-Max-Age", str(MAX_AGE)),
        ("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers"),
    )


def _allow_origin(allow_origin: str) -> Header:
    return ("Access-Control-Allow-Origin", allow_origin)


@lru_cache(maxsize=256)
def _expose(kept: tuple[str, ...]) -> Header:
    return ("Access-Control-Expose-Headers", _distinct((*_EXPOSED, *kept)))


def _asked_method(request_method: str | None) -> tuple[str, ...]:
    method = request_method or ""
    if method.upper() in _FORBIDDEN_METHODS or not _ECHOED.fullmatch(method):
        return ()
    return (method,)


def _asked_names(request_headers: str | None) -> list[str]:
    """The well-formed names of a list, a bounded number of them."""
    pieces = (request_headers or "").split(",", _MAX_ECHOED)[:_MAX_ECHOED]
    stripped = (piece.strip(" \t") for piece in pieces)
    # A lone "*" would allow every name, and the browser asked for none of them.
    return [name for name in stripped if name != "*" and _ECHOED.fullmatch(name)]


def _distinct(words: tuple[str, ...]) -> str:
    """A list field of the words, the first spelling of each kept."""
    seen = {word.lower(): word for word in reversed(words)}
    return ", ".join(seen[key] for key in dict.fromkeys(w.lower() for w in words))
