"""One request's head, read strictly (RFC 9112). Pure; called by ``connection``.

A head that two parsers could read in two ways is refused, because this server may stand
behind another one: bare LF, folded lines, spaces before a colon, a repeated or odd
Content-Length, both framings at once. ``edge.core.head_rules`` judges Host, transfer
codings and the form of the target, as it does for the edge. Fields that come twice are
noted; ``requests`` refuses those that matter.

Every refusal is a ClientFault with its status: 400, or 501 for a transfer coding
that is not understood.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from edge.core import head_rules
from edge.core.errors import ClientFault
from edge.core.reasons import Reason
from edge.protocol.http_grammar import (
    FIELD_VALUE_CHARS,
    TOKEN_CHARS,
    connection_options,
)

MAX_HEAD = 80 * 1024
MAX_FIELDS = 4096
"""What an edge of default settings takes, and what it adds, is taken here too."""

MAX_REMEMBERED = 1024
"""Characters of field lines that are worth remembering."""

_REQUEST_LINE = re.compile(rf"([{TOKEN_CHARS}]{{1,32}}) ([!-~]+) HTTP/1\.([0-9])")
_FIELD = re.compile(rf"([{TOKEN_CHARS}]+):[ \t]*([{FIELD_VALUE_CHARS}]*?)[ \t]*")
_LENGTH = re.compile(r"[0-9]{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class HeardHead:
    """A whole head. ``target`` is in origin-form, or ``*``; ``authority`` is what an
    absolute target named, and then replaces Host. A version of HTTP/1 above 1.1 is read
    as 1.1 (RFC 9110 section 2.5).

    Field names are lower-case; ``repeated`` came more than once. ``length`` is the
    announced length of the body; None: none, or ``chunked``.
    """

    method: str
    target: str
    authority: str | None
    http11: bool
    fields: Mapping[str, str]
    repeated: frozenset[str]
    length: int | None
    chunked: bool

    @property
    def keep_alive(self) -> bool:
        """Whether the client keeps the connection (RFC 9112 section 9.3)."""
        said = self.fields.get("connection")
        if said is None:
            return self.http11
        options = connection_options([said])
        return "close" not in options if self.http11 else "keep-alive" in options


def parse(text: str) -> HeardHead:
    """The head in ``text``, without the CRLFs that end it. Raises ClientFault."""
    line, _, block = text.partition("\r\n")
    check_size(len(line), 0)
    check_size(len(block), 1)
    method, target, authority, http11 = parse_line(line)
    known = len(block) <= MAX_REMEMBERED
    fields, repeated = _remembered(block) if known else _fields(block)
    if "host" in repeated:
        raise ClientFault("a request has one Host", reason=Reason.BAD_HOST)
    head_rules.check_host(fields.get("host"), required=http11)
    length, chunked = _framing(http11, fields, repeated)
    return HeardHead(
        method, target, authority, http11, fields, repeated, length, chunked
    )


def check_size(size: int, lines: int) -> None:
    """Refuse a request line, or a head of so many lines, that is too large."""
    if lines > 1 + MAX_FIELDS or (lines and size >= MAX_HEAD):
        raise ClientFault("the head is too large", status=431)
    if size >= MAX_HEAD:
        raise ClientFault("the request line is too long", status=414)


def parse_line(line: str) -> tuple[str, str, str | None, bool]:
    """Method, target, authority, and whether it is HTTP/1.1. Raises ClientFault."""
    found = _REQUEST_LINE.fullmatch(line)
    if found is None:
        raise ClientFault("malformed request line")
    method, target, minor = found.groups()
    authority, target = head_rules.origin_form(target)
    return method, target, authority, minor != "0"


def _fields(block: str) -> tuple[Mapping[str, str], frozenset[str]]:
    """The fields in these lines, and the names that came twice. Raises ClientFault."""
    fields: dict[str, str] = {}
    repeated: set[str] = set()
    lines = block.split("\r\n") if block else []
    if len(lines) > MAX_FIELDS:
        raise ClientFault("the head is too large", status=431)
    for line in lines:
        found = _FIELD.fullmatch(line)
        if found is None:
            raise ClientFault("malformed header field")
        name, value = found[1].lower(), found[2]
        if name in fields:
            repeated.add(name)
            value = f"{fields[name]}, {value}"
        fields[name] = value
    return fields, frozenset(repeated)


_remembered = lru_cache(maxsize=512)(_fields)
"""The same client sends the same lines again and again. Nobody changes the values."""


def _framing(
    http11: bool, fields: Mapping[str, str], repeated: frozenset[str]
) -> tuple[int | None, bool]:
    """How the body ends (RFC 9112 section 6.3, without its tolerances)."""
    length = fields.get("content-length")
    coding = fields.get("transfer-encoding")
    if coding is not None:
        if length is not None or not http11:
            raise _misframed("Transfer-Encoding where it cannot be trusted")
        try:
            head_rules.check_transfer_coding(coding)
        except ClientFault as fault:
            # RFC 9112 section 6.1 asks this of a server that does not know the coding.
            fault.status = 501
            raise
        return None, True
    if length is None:
        return None, False
    if "content-length" in repeated or _LENGTH.fullmatch(length) is None:
        raise _misframed("malformed Content-Length")
    return int(length), False


def _misframed(detail: str) -> ClientFault:
    return ClientFault(detail, reason=Reason.UNSUPPORTED_FRAMING)
