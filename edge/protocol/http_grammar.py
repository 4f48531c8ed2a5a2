"""The grammar of HTTP that more than one part reads or writes by. Pure.

Tokens, field values, the Host field, hop-by-hop fields, statuses without a body,
lengths, the last chunk, lists, Cache-Control, Age, Retry-After, traceparent: each is
defined here
and nowhere else. A part that needs more (a maximum length, one more name to refuse)
adds it on its own side and says why.

The patterns are compiled once. ``TOKEN`` and the other patterns match a whole string:
use ``fullmatch``.

Sources: RFC 9110 sections 5.5, 5.6, 7.2, 7.6.1 and 10.2.3; RFC 9111 section 5;
RFC 9112 sections 3.2 and 7.1; RFC 8941 sections 3.1 and 3.1.2 (lists, parameters);
W3C Trace Context section 3.2.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import NamedTuple

# Tokens and field values.

TOKEN_CHARS = r"!#$%&'*+\-.^_`|~0-9A-Za-z"
"""The characters of a token, for use between the brackets of a pattern."""

TOKEN = re.compile(f"[{TOKEN_CHARS}]+")
"""A method or the name of a field (RFC 9110 section 5.6.2)."""

FIELD_VALUE_CHARS = r"\t -~\x80-\xff"
"""The characters of a field's value, for use between brackets."""

FIELD_VALUE = re.compile(f"[{FIELD_VALUE_CHARS}]*")
"""A field's value as latin-1 text: no control character but the tab."""

# The Host field.

_HOST = re.compile(
    r"(?:\[[0-9A-Fa-f:.]{2,45}\]|(?:[A-Za-z0-9._~!$&'()*+;=-]|%[0-9A-Fa-f]{2})+)"
    r"(?::[0-9]{0,5})?"
)
"""uri-host [":" port] of RFC 3986, but without the comma: it would join two hosts."""


def is_host(value: str) -> bool:
    """Whether ``value`` may stand in a Host field (RFC 9110 section 7.2)."""
    return _HOST.fullmatch(value) is not None


# Hop-by-hop fields.

HOP_BY_HOP = frozenset(
    {
        "connection",
        "http2-settings",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Fields that end with this connection, beside those that Connection names.

RFC 9110 section 7.6.1, and two more: ``http2-settings`` belongs to an Upgrade (RFC 7540
section 3.2.1), and ``trailer`` announces trailers, which are never passed on. Fields
that a sender frames by itself (``content-length``, ``host``) are not in the set:
modules that write messages add those.
"""

PROXY_AUTHENTICATION = frozenset({"proxy-authenticate", "proxy-authorization"})
"""The fields between a client and its proxy alone (RFC 9110 section 11.7)."""

LAST_CHUNK = b"0\r\n\r\n"
"""The end of a chunked body without trailers (RFC 9112 section 7.1)."""

BODILESS_STATUSES = frozenset({204, 304})
"""Final statuses that never have a body; every interim one (1xx) has none either."""


REDIRECT_STATUSES = frozenset({300, 301, 302, 303, 307, 308})
"""Statuses whose Location leads elsewhere (RFC 9110 section 15.4)."""

# Lengths.

MAX_LENGTH = 2**63 - 1
"""The largest length of a body or a chunk. A larger one does not fit into the signed
64-bit integers of other implementations, which might take it for another length."""

_MAX_LENGTH_DIGITS = len(str(MAX_LENGTH))


def length_of(value: str) -> int | None:
    """The number of a Content-Length field (RFC 9110 section 8.6); None for what is
    no number, or one above ``MAX_LENGTH``."""
    if not (value.isascii() and value.isdecimal()):
        return None
    digits = value.lstrip("0") or "0"
    length = int(digits) if len(digits) <= _MAX_LENGTH_DIGITS else MAX_LENGTH + 1
    return length if length <= MAX_LENGTH else None


# Lists.


def list_members(value: str) -> list[str]:
    """The members of a list field, in order, without the white space around them.

    Empty members, which a sender may leave, are returned as "". Not for fields
    whose members may hold quoted commas (see ``list_items``).
    """
    return [member.strip(" \t") for member in value.split(",")]


def connection_options(values: Iterable[str]) -> frozenset[str]:
    """What the values of all Connection fields of a head name, in lower case."""
    return frozenset(
        option.lower() for value in values for option in list_members(value)
    )


class ListItem(NamedTuple):
    """A member of a list with parameters. ``value`` is as written, with its quotes.

    ``parameters`` have lower-case or odd names as they came. A quoted argument has lost
    its quotes and escapes; one without an argument is "". Of two with one name the last
    one counts.
    """

    value: str
    parameters: dict[str, str]


# A quote that is not closed takes the rest of the field with it.
_LIST_PIECES = re.compile(r'"(?:[^"\\]|\\.)*"?|[,;]|[^",;]+', re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)


def list_items(field: str) -> Iterator[ListItem]:
    """The members of a list whose members have parameters and quoted strings.

    Such are Cache-Status (RFC 9211, a structured field) and CDN-Loop (RFC 8586). Never
    raises: a member that breaks the grammar is given as it stands, and stands for
    nothing. Empty members are left out.
    """
    parts: list[list[str]] = [[]]
    for piece in (*_LIST_PIECES.findall(field), ","):
        if piece == ",":
            value, *parameters = ("".join(part).strip(" \t") for part in parts)
            if value:
                yield ListItem(value, dict(map(_parameter, parameters)))
            parts = [[]]
        elif piece == ";":
            parts.append([])
        else:
            parts[-1].append(piece)


def _parameter(text: str) -> tuple[str, str]:
    name, _, argument = text.partition("=")
    quoted = _QUOTED.fullmatch(argument)
    if quoted is None:
        return name, argument
    return name, re.sub(r"\\(.)", r"\1", quoted[1], flags=re.DOTALL)


# Cache-Control.

# A directive's name, and its argument if there is one. An argument with an unclosed
# quote counts as none, and the rest is read as directives: a broken field can only
# forbid more.
_DIRECTIVE = re.compile(
    rf"([{TOKEN_CHARS}]+)"
    r'(?:[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^",\s]*)))?'
)


def cache_directives(field: str) -> dict[str, str | None]:
    """The directives of a Cache-Control field: lower-case name to argument.

    Quoted arguments lose their quotes and escapes. Never raises. Of two directives
    with one name the last is kept. ``edge.policy.streams.admission`` judges what they
    mean for a stream.
    """
    found: dict[str, str | None] = {}
    for match in _DIRECTIVE.finditer(field):
        name, quoted, token = match.group(1, 2, 3)
        value = token if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        found[name.lower()] = value
    return found


# Age.

MAX_DELTA_SECONDS = 2**31
"""The largest number of seconds that means itself (RFC 9111 section 1.2.2)."""


def age_seconds(field: str | None) -> int:
    """Seconds that Age tells, 0 for what is no age: a cache is to ignore that.

    Of several values the first one counts, and one that is too large is the largest
    (RFC 9111 sections 1.2.2 and 5.1).
    """
    first = "" if field is None else field.partition(",")[0].strip(" \t")
    if not (first.isascii() and first.isdigit()):
        return 0
    digits = first.lstrip("0") or "0"
    if len(digits) > len(str(MAX_DELTA_SECONDS)):
        return MAX_DELTA_SECONDS
    return min(int(digits), MAX_DELTA_SECONDS)


# Retry-After.


def retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds that Retry-After asks for, never below 0; None if nothing readable.

    A number of seconds, or an HTTP-date, which is taken against ``now`` (aware).
    """
    if value is None:
        return None
    if value.isascii() and value.isdigit():
        return float(value)
    then = http_date(value)
    return None if then is None else max(0.0, (then - now).total_seconds())


def http_date(value: str | None) -> datetime | None:
    """An HTTP-date (RFC 9110 section 5.6.7), aware; None if it is none."""
    if value is None:
        return None
    try:
        found = parsedate_to_datetime(value)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


# Traces.

_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})"
    r"-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})"
    r"(?P<more>-.*)?"
)


def trace_parts(traceparent: str | None) -> tuple[str, str, int] | None:
    """The trace id, the parent's id and the flags of a ``traceparent``; None for none
    and for a malformed one.

    Version 00 ends with its flags; later ones may go on (W3C Trace Context, sections
    3.2.2 and 3.2.4).
    """
    match = None if traceparent is None else _TRACEPARENT.fullmatch(traceparent)
    if match is None or (match["more"] and match[0].startswith("00")):
        return None
    return match[1], match[2], int(match[3], 16)


def trace_id(traceparent: str | None) -> str:
    """The trace id of a ``traceparent``, "" for none and for a malformed one."""
    parts = trace_parts(traceparent)
    return "" if parts is None else parts[0]


def via_member(name: str) -> str:
    """A Via member of the intermediary ``name`` (RFC 9110 section 7.6.3)."""
    return f"1.1 {name}"


_PHRASES = {status.value: status.phrase for status in HTTPStatus}


def reason_phrase(status: int) -> str:
    """The standard phrase of a status (RFC 9110 section 15); "Error" without one."""
    return _PHRASES.get(status, "Error")
