"""The grammar of a request-target: path, parameters, and their canonical form.

``edge.policy.streams.classify`` reads targets through this module. The path is taken as
received and never normalised (L26): Node takes ``a%2Fb`` and ``a%2fb`` for two streams.
A path that an origin's URL parser would normalise is refused, for writes too: otherwise
a write under one spelling of a stream would not invalidate the other (P3).

Names of parameters are decoded as Node's URLSearchParams does it (``+`` is a space,
only ``&`` separates). Thus no spelling of ``offset`` passes for an extension. Values
keep their octets.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import unquote_plus

from edge.core.errors import ClientFault
from edge.core.reasons import Reason
from edge.protocol import names

PROTOCOL = frozenset({names.PARAM_OFFSET, names.PARAM_LIVE, names.PARAM_CURSOR})
"""The parameters that the protocol defines; all others are extensions."""


class Parameter(NamedTuple):
    """One query parameter: its decoded name, and its octets as received."""

    name: str
    raw: str

    def value(self) -> str:
        """The decoded value; a parameter without ``=`` has an empty one."""
        return _decoded(self.raw.partition("=")[2])


# RFC 3986's path characters, and a few more that browsers leave as they are. Characters
# that URL parsers rewrite ("<>`{}, a leading //) would give a stream two names.
_PATH = re.compile(r"/(?!/)(?:[!$&-;=@A-Z\[\]^_a-z|~]|%[0-9A-Fa-f]{2})*")
_QUERY = re.compile(r'(?:[!"$&-~]|%[0-9A-Fa-f]{2})*')
_CONTROL_OR_BACKSLASH = re.compile(r"%(?:[01][0-9A-Fa-f]|7[Ff]|5[Cc])")

# A slash may be encoded, and servlet containers cut a segment at its ";".
_START = r"(?:/|%2[Ff])"
_END = r"(?=/|;|%2[Ff]|%3[Bb]|\Z)"
_DOT_SEGMENT = re.compile(_START + r"(?:\.|%2[Ee]){1,2}" + _END)
_DS_SEGMENT = re.compile(_START + r"(?:_|%5[Ff]){2}(?:d|%64)(?:s|%73)" + _END)


def split(target: str) -> tuple[str, str]:
    """The path and the query of an origin-form target, both checked, both raw.

    Raises ClientFault (bad-path): not beginning with one slash, bytes that may
    not stand there, broken percent-encoding, a fragment, and, plain or encoded,
    a dot segment, a backslash or a control byte. Raises ClientFault (bad-query)
    for such bytes, broken percent-encoding, a fragment or a NUL.
    """
    path, _, query = target.partition("?")
    encoded = "%" in path
    if (
        _PATH.fullmatch(path) is None
        or (encoded and _CONTROL_OR_BACKSLASH.search(path))
        or ((encoded or "." in path) and _DOT_SEGMENT.search(path))
    ):
        raise ClientFault("the path is malformed or ambiguous", reason=Reason.BAD_PATH)
    if _QUERY.fullmatch(query) is None or "%00" in query:
        raise ClientFault("the query is malformed", reason=Reason.BAD_QUERY)
    return path, query


def join(path: str, query: str) -> str:
    """The origin-form target of a raw path and a raw query, which may be empty."""
    return f"{path}?{query}" if query else path


def is_control(path: str) -> bool:
    """Whether a segment of the raw path is ``__ds`` (PROTOCOL.md section 6)."""
    # Most paths have neither: to see that costs less than to look at each place.
    may_be = "__ds" in path or "%" in path
    return may_be and _DS_SEGMENT.search(path) is not None


def before_control(path: str) -> str:
    """What of a control path lies in front of its first ``__ds``, in any spelling."""
    found = _DS_SEGMENT.search(path)
    return path if found is None else path[: found.start()]


def parameters(query: str) -> list[Parameter]:
    """The parameters of a raw query, in order; empty pieces are none."""
    pieces = [piece for piece in query.split("&") if piece]
    return [Parameter(_decoded(piece.partition("=")[0]), piece) for piece in pieces]


def extension(given: Iterable[Parameter]) -> str:
    """The canonical query string of what the protocol does not define (E25).

    Sorted by decoded names. The sort is stable: ``a=1&%61=2`` gives ``a`` twice, and an
    origin that takes the first must still see the same one first.
    """
    own = [parameter for parameter in given if parameter.name not in PROTOCOL]
    own.sort(key=lambda parameter: parameter.name)
    return "&".join(parameter.raw for parameter in own)


def _decoded(text: str) -> str:
    """Form-decoded as the WHATWG URL standard does it."""
    if "%" not in text and "+" not in text:
        return text
    return unquote_plus(text, errors="replace")
