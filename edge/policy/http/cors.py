"""CORS and the browser's security fields, set by the edge alone (L18).

An origin's own CORS fields are dropped, so its ``Vary: Origin`` never splits a key
(E29). Callers give what the route allows: a ``CorsPolicy``. Everybody gets the same
fields then, and without credentials mode they give away nothing that a plain client
could not fetch; or there is a list, and each request gets the fields for the page that
it says it came from. Those depend on who asks, and so are put in per request and never
kept with an answer that is shared (B23). ``route_fields`` are what all answers of a
route have, ``request_fields`` what one request gets beside them.

A web origin is compared as browsers write it (RFC 6454 section 6.2: lower case, without
a default port), octet by octet. Whatever is written otherwise is on no list, ``null``
among it. In a list, ``https://*.example`` stands for one or more labels in place of
``*``, with exactly that scheme and port, and not for ``https://example`` itself.

Sources: the Fetch standard, section "CORS protocol"; RFC 6454; PROTOCOL.md section
12.7.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address
from urllib.parse import urlsplit

from edge.core.values import Header, Headers
from edge.protocol import names
from edge.protocol.http_grammar import TOKEN_CHARS

EVERYBODY = "*"
"""In a list, alone: every page, without credentials."""

VARY: Header = ("Vary", "Origin")
"""On every answer where there is a list, whoever asks: also on 204, 304, refusals."""

_CORP = "Cross-Origin-Resource-Policy"
_SECURITY: Headers = (("X-Content-Type-Options", "nosniff"),)
"""On every answer, also on errors and on answers that the edge itself makes."""

_DEFAULT_PORTS = {"http": 80, "https": 443}

_MAX_ORIGIN = 300
"""Characters of the longest web origin: a host name has 253 at most."""

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


@dataclass(frozen=True, slots=True)
class CorsPolicy:
    """Which pages a route lets read, and how.

    ``origins`` are web origins as ``serialised`` writes them, with ``*.`` or without;
    or EVERYBODY alone; () switches CORS off. ``credentials``: pages may send cookies;
    never with EVERYBODY. ``kept`` are further fields that scripts may read. ``embeds``:
    whether a page elsewhere may embed an answer without asking, as in an image.
    """

    origins: tuple[str, ...] = (EVERYBODY,)
    credentials: bool = False
    kept: tuple[str, ...] = ()
    embeds: bool = True

    @property
    def by_list(self) -> bool:
        """Whether the fields depend on who asks."""
        return bool(self.origins) and EVERYBODY not in self.origins


def is_listed(origins: tuple[str, ...], origin: str | None) -> bool:
    """Whether a list names this origin. EVERYBODY names nobody."""
    if not origin or len(origin) > _MAX_ORIGIN or "*" in origin:
        return False
    return origin in origins or any(
        "*." in one and _wildcard(one).fullmatch(origin) for one in origins
    )


@lru_cache(maxsize=256)
def _wildcard(listed: str) -> re.Pattern[str]:
    before, _, after = listed.partition("*")
    labels = r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*"
    return re.compile(f"{re.escape(before)}{labels}{re.escape(after)}")


def serialised(url: str) -> str:
    """The web origin of an http or https URL, as browsers write it.

    Raises ValueError when its port or IPv6 address is none.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{IPv6Address(host)}]"
    if parts.port in (None, _DEFAULT_PORTS.get(parts.scheme)):
        return f"{parts.scheme}://{host}"
    return f"{parts.scheme}://{host}:{parts.port}"


def route_fields(policy: CorsPolicy) -> Headers:
    """What every answer under this policy carries, whoever asks."""
    fields = _SECURITY
    if policy.embeds or not policy.by_list:
        fields += (_embedding(policy.embeds),)
    if not policy.origins:
        return fields
    if not policy.by_list:
        fields += (_allow_origin(EVERYBODY),)
    return (*fields, _expose(policy.kept))


def request_fields(policy: CorsPolicy, origin: str | None) -> Headers:
    """What the answer to a request from a page of ``origin`` carries beside that, where
    there is a list. None: the request has no Origin."""
    listed = is_listed(policy.origins, origin)
    fields: Headers = ()
    if listed and origin:
        fields += (_allow_origin(origin),)
        if policy.credentials:
            fields += (("Access-Control-Allow-Credentials", "true"),)
    if not policy.embeds:
        fields += (_embedding(listed),)
    return fields


def preflight(
    policy: CorsPolicy,
    sent: tuple[str, ...],
    origin: str | None,
    request_method: str | None,
    request_headers: str | None,
) -> Headers:
    """The fields of the answer to an OPTIONS request, for its 204, beside those that
    every answer has.

    ``sent`` are the fields that a route sends upstream. ``origin``, ``request_method``
    and ``request_headers`` are the raw values of Origin and of
    Access-Control-Request-Method and -Headers. Beyond the protocol's own names,
    well-formed names that the browser asks for are allowed too: extensions bring their
    own, and unknown methods pass through to the origin. A page that is not listed is
    told nothing.
    """
    if not policy.origins:
        return ()
    asked_by: Header = (
        "Vary",
        "Access-Control-Request-Method, Access-Control-Request-Headers",
    )
    if policy.by_list and not is_listed(policy.origins, origin):
        return (asked_by,)
    methods = _distinct((*_METHODS, *_asked_method(request_method)))
    allowed = (*_ALLOWED, *sent, *_asked_names(request_headers))
    return (
        ("Access-Control-Allow-Methods", methods),
        ("Access-Control-Allow-Headers", _distinct(allowed)),
        ("Access-Control-Max-Age", str(MAX_AGE)),
        asked_by,
    )


def _embedding(allowed: bool) -> Header:
    return (_CORP, "cross-origin" if allowed else "same-origin")


def _allow_origin(origin: str) -> Header:
    return ("Access-Control-Allow-Origin", origin)


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
