"""Addresses that an origin mints, turned into the edge's own (O18).

The Node reference server writes the address that it listens on into ``Location`` and
into the documents below ``__ds``, whatever ``Host`` says. A client behind the edge must
be sent back to the edge. ``OriginAddresses`` takes the origin's addresses out of all
fields of an answer as it arrives, whatever field it is; what is left is relative. So no
part of the edge ever holds one, and none can be told. The front then makes ``Location``
absolute, and rewrites the JSON bodies of control paths. Stream data is never touched.

Bodies that the origin sends itself (webhooks, with their ``callback_url``) do not pass
through the edge, and their signature covers their bytes.
"""

import json
import re
from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from urllib.parse import SplitResult, urljoin, urlsplit

from edge.core.values import Header, Headers

MAX_PLACES = 64
"""Authorities of which it is remembered whether they lead to the origin."""

_DEFAULT_PORTS = {"http": 80, "https": 443}

# In a JSON text, quotes stand only around strings. If the text is valid, this pattern
# finds each string and tells whether it is a member's name.
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"(?P<name>\s*:)?', re.DOTALL)


def public_base(scheme: str, host: str, configured: str | None) -> str:
    """The address that clients know the edge by, without a trailing slash.

    ``configured`` is used if there is one. Otherwise the scheme and the (validated)
    Host of this request; "" when it had no Host.
    """
    if configured:
        return configured.rstrip("/")
    return f"{scheme.lower()}://{host}" if host else ""


# Fields.


class OriginAddresses:
    """Takes URLs that lead to the origin out of fields: only their paths are left.

    Known are its ``bases``, and any host that only the origin's machine can reach, with
    a port of theirs: so servers call themselves that know no better name.
    """

    def __init__(self, bases: Iterable[str]) -> None:
        found = [parts for parts in map(_split, bases) if parts and parts.hostname]
        self._known = {_host_and_port(parts) for parts in found}
        for host, port in tuple(self._known):
            if port in _DEFAULT_PORTS.values():
                # Of a name without a port the scheme may well be another one.
                self._known |= {(host, one) for one in _DEFAULT_PORTS.values()}
        self._ports = {port for _, port in self._known}
        # By scheme and authority as they stand there: most answers name the same.
        self._leads: dict[tuple[str, str], bool] = {}
        hosts = "|".join(re.escape(parts.hostname or "") for parts in found)
        self._domain = re.compile(
            rf";[ \t]*domain=[ \t]*\.?(?:{hosts})[ \t]*(?=;|\Z)", re.IGNORECASE
        )

    def hidden(self, headers: Headers) -> Headers:
        """The fields without them."""
        changed = ((name, self._field(name, value)) for name, value in headers)
        return tuple(field for field in changed if field != _NO_PAGE)

    def _field(self, name: str, value: str) -> str:
        if name == "set-cookie" and self._known:
            # What is left is a cookie for the host that the client asked.
            value = self._domain.sub("", value)
        return _URL.sub(self._left, value) if "//" in value else value

    def _left(self, url: re.Match[str]) -> str:
        place = url["scheme"], url["authority"]
        leads = self._leads.get(place)
        if leads is None:
            if len(self._leads) >= MAX_PLACES:
                self._leads.clear()
            leads = self._leads[place] = self._leads_here(*place)
        return "/" if leads else url[0]

    def _leads_here(self, scheme: str, authority: str) -> bool:
        """Whether a URL leads to the origin."""
        parts = _split(f"{scheme.lower() or 'http:'}//{authority}")
        if parts is None or not parts.hostname:
            return False
        host, port = _host_and_port(parts)
        ports = {port} if scheme or parts.port else set(_DEFAULT_PORTS.values())
        known = any((host, one) in self._known for one in ports)
        return known or (_is_nameless(host) and bool(ports & self._ports))


_NO_PAGE: Header = ("access-control-allow-origin", "/")
"""What is left if only pages at the origin's own address may read an answer. There are
none, and no path can say so."""

# A URL as far as its authority goes, and the slash behind it. Without a scheme it must
# begin where a value or a part of one does: else it is part of a path.
_URL = re.compile(
    r"(?P<scheme>\bhttps?:|(?<![^\s\"'<>(),;=]))//(?P<authority>[^\s/?#\"'<>(),;]+)/?",
    re.IGNORECASE,
)


def rewrite_location(
    value: str,
    request_path: str,
    public_base: str,
    origin_bases: Sequence[str],
    *,
    created: bool = True,
) -> str:
    """A Location field as the client must see it.

    A relative one becomes absolute on the public base. So does one whose authority is
    that of one of the origin's bases. In a 201 (``created``) it names the stream just
    made (PROTOCOL.md section 5.1). If its path is the raw ``request_path``, then its
    authority is the origin's listen address, and is rewritten too. Elsewhere it is not:
    a redirect may well keep the path.
    """
    if public_base and _PATH_ALONE.fullmatch(value):
        return public_base + value
    parts = _split(value.strip(" \t"))
    if parts is None or not public_base:
        return value
    if not parts.scheme and not parts.netloc:
        path = urljoin(request_path, value.strip(" \t"))
        return public_base + path if path.startswith("/") else value
    if parts.scheme not in ("http", "https", ""):
        return value
    if _is_at_one_of(parts, origin_bases) or (created and parts.path == request_path):
        return _on_base(parts, public_base)
    return value


_PATH_ALONE = re.compile(r"(?:/(?!\.)[\w~!$&'()*+,=:@%.-]+)+", re.ASCII)
"""A plain path without dot segments: what is left of most addresses."""


def redirected(headers: Headers, request_path: str, public_base: str) -> Headers:
    """The fields of an answer to a read, with Location absolute, as writes have it."""
    return tuple(
        (
            name,
            rewrite_location(value, request_path, public_base, (), created=False)
            if name.lower() in ADDRESS_FIELDS
            else value,
        )
        for name, value in headers
    )


ADDRESS_FIELDS = frozenset({"location", "content-location"})
"""Fields whose whole value is an address."""


def rewrite_document(
    body: bytes, origin_bases: Sequence[str], public_base: str
) -> bytes:
    """A control path's JSON body with the origin's addresses made the edge's.

    A string value that is an absolute http(s) URL gets the public base in two
    cases: its authority is that of one of the origin's bases, or it lies below
    ``__ds`` and its host is loopback or unspecified: an origin writes that only if it
    knows no better name for itself. All other bytes stay as they are, member names
    included. So does a body that is no JSON.
    """
    if not public_base or b"://" not in body.replace(b"\\/", b"/"):
        return body
    try:
        json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        return body

    def rewritten(match: re.Match[bytes]) -> bytes:
        if match["name"] is not None:
            return match[0]
        return _rewritten_string(match[0], origin_bases, public_base)

    return _STRING.sub(rewritten, body)


def _rewritten_string(
    literal: bytes, origin_bases: Sequence[str], public_base: str
) -> bytes:
    """One JSON string literal, rewritten if it is an address of the origin."""
    text: str = json.loads(literal)
    if not text.startswith(("http://", "https://")):
        return literal
    parts = _split(text)
    if parts is None:
        return literal
    if _is_at_one_of(parts, origin_bases) or _is_own_control_address(parts):
        return json.dumps(_on_base(parts, public_base)).encode("ascii")
    return literal


def _is_own_control_address(parts: SplitResult) -> bool:
    """Whether it is a ``__ds`` address on a host that only the origin can reach."""
    return "/__ds/" in parts.path and _is_nameless(parts.hostname or "")


def _is_nameless(host: str) -> bool:
    """Whether the host stands for the very machine that names it."""
    host = host.rstrip(".")
    if host == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _split(url: str) -> SplitResult | None:
    """A URL's parts, or None for one that is no URL (a bad port, say)."""
    try:
        parts = urlsplit(url)
        _host_and_port(parts)
    except ValueError:
        return None
    return parts


def _host_and_port(parts: SplitResult) -> tuple[str, int | None]:
    """What tells one origin from another. The scheme only gives the default port.

    Raises ValueError for a port that is none.
    """
    return parts.hostname or "", parts.port or _DEFAULT_PORTS.get(parts.scheme)


def _is_at_one_of(parts: SplitResult, bases: Sequence[str]) -> bool:
    """Whether a URL's authority is that of one of the bases."""
    known = (_split(base) for base in bases)
    return any(base and _host_and_port(base) == _host_and_port(parts) for base in known)


def _on_base(parts: SplitResult, public_base: str) -> str:
    """The URL with its scheme and authority replaced by the base."""
    query = f"?{parts.query}" if parts.query else ""
    fragment = f"#{parts.fragment}" if parts.fragment else ""
    return f"{public_base}{parts.path}{query}{fragment}"
