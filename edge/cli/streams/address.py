"""Where a command asks: the URL of a stream and the user's header fields, checked.

Query parameters of the user stay as written. The command's own join them, sorted by
name, as section 10.1 advises for caches. Nothing here opens a socket.
"""

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, unquote, urlsplit

from edge.cli.streams.exit_faults import wrong
from edge.protocol.http_grammar import FIELD_VALUE, HOP_BY_HOP, TOKEN
from edge.protocol.offsets import BEGIN, NOW, is_safe

OURS = frozenset({"offset", "live", "cursor"})
"""Parameters that the commands set themselves."""

_FRAMING = HOP_BY_HOP | {"content-length", "expect", "host"}


@dataclass(frozen=True, slots=True)
class StreamAddress:
    """A stream's URL without its credentials and its fragment."""

    scheme: str
    place: str
    """Host and port, as in the URL; fit to be shown."""
    path: str
    query: tuple[str, ...]
    """The user's own parameters, each as it was written."""
    credentials: tuple[str, str] | None = None

    def url(self, **ours: str | None) -> str:
        """The URL to ask, with our parameters; those that are None are left out."""
        added = [f"{k}={quote(v, safe='')}" for k, v in ours.items() if v is not None]
        query = "&".join(sorted((*self.query, *added), key=_name))
        base = f"{self.scheme}://{self.place}{self.path}"
        return f"{base}?{query}" if query else base


def address(url: str, reserved: frozenset[str] = OURS) -> StreamAddress:
    """The address that ``url`` names. Raises Fault (WRONG).

    ``reserved`` are parameters that the command sets and the user leaves out.
    """
    parts = _split(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise wrong("URL", "expected http://HOST/PATH or https://HOST/PATH")
    if parts.fragment:
        raise wrong("URL", "a stream has no fragment (#)")
    query = tuple(pair for pair in parts.query.split("&") if pair)
    if taken := reserved.intersection(map(_name, query)):
        raise wrong("URL", f"leave out {', '.join(sorted(taken))}: options set that")
    place = parts.netloc.rpartition("@")[2]
    return StreamAddress(
        parts.scheme, place, parts.path or "/", query, _credentials(parts)
    )


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        # Read for its judgement: a port that is no number raises.
        _ = parts.port
    except ValueError as error:
        raise wrong("URL", str(error)) from None
    if re.search(r"[\x00-\x20\x7f]", url):
        raise wrong("URL", "blanks and control characters must be percent-encoded")
    return parts


def _credentials(parts: SplitResult) -> tuple[str, str] | None:
    if parts.username is None:
        return None
    return unquote(parts.username), unquote(parts.password or "")


def _name(pair: str) -> str:
    return unquote(pair.partition("=")[0])


def fields(given: list[str]) -> tuple[tuple[str, str], ...]:
    """Header fields from ``Name: value`` each. Raises Fault (WRONG)."""
    return tuple(_field(one) for one in given)


def _field(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    value = value.strip(" \t")
    # The text itself is not repeated: it may hold a credential.
    if not colon or not TOKEN.fullmatch(name):
        raise wrong("--header", "expected 'Name: value'")
    if not FIELD_VALUE.fullmatch(value):
        raise wrong("--header", f"{name} has characters that no header may have")
    if name.lower() in _FRAMING:
        raise wrong("--header", f"{name} is set by the connection itself")
    return name, value


def offset_of(text: str, option: str = "--offset") -> str:
    """``text``, if it may be asked for (section 8). Raises Fault (WRONG)."""
    if text not in (BEGIN, NOW) and not is_safe(text):
        raise wrong(option, "no offset has such characters, or such a length")
    return text


def source_path(given: str, target: StreamAddress) -> str:
    """The path for ``Stream-Forked-From``: from a path, or a URL of that server."""
    if given.startswith("/"):
        return given
    source = address(given)
    if (source.scheme, source.place) != (target.scheme, target.place):
        raise wrong("--fork-from", "a fork lives on the server of its source")
    return source.path
