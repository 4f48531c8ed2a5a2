"""One request's head, read strictly (RFC 9112). Pure; called by ``server``.

A head that two parsers could read in two ways is refused, because this server may stand
behind another one: bare LF, folded lines, spaces before a colon, a repeated or odd
Content-Length, both framings at once. ``edge.core.head_rules`` judges Host, transfer
codings and the form of the target, as it does for the edge. Fields that come twice are
noted; ``requests`` refuses those that matter.

Every refusal is a ClientFault with its status: 400, or 501 for a transfer coding
that is not understood.
"""

import re
from dataclasses import dataclass

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

_REQUEST_LINE = re.compile(rf"([{TOKEN_CHARS}]{{1,32}}) ([!-~]+) HTTP/1\.([0-9])\r\n")
_FIELD = re.compile(rf"([{TOKEN_CHARS}]+):[ \t]*([{FIELD_VALUE_CHARS}]*?)[ \t]*\r\n")
_LENGTH = re.compile(r"[0-9]{1,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class StartLine:
    """The first line. ``target`` is in origin-form, or ``*``.

    ``authority`` is what an absolute target named; it then replaces Host.
    A version of HTTP/1 above 1.1 is read as 1.1 (RFC 9110 section 2.5).
    """

    method: str
    target: str
    authority: str | None
    http11: bool


@dataclass(frozen=True, slots=True)
class HeardHead:
    """A whole head. Field names are lower-case; ``repeated`` came more than once.

    ``length`` is the announced length of the body; None: none, or ``chunked``.
    """

    line: StartLine
    fields: dict[str, str]
    repeated: frozenset[str]
    length: int | None
    chunked: bool

    @property
    def keep_alive(self) -> bool:
        """Whether the client keeps the connection (RFC 9112 section 9.3)."""
        options = connection_options([self.fields.get("connection", "")])
        return "close" not in options if self.line.http11 else "keep-alive" in options


def parse_line(raw: bytes) -> StartLine:
    """The request line with its CRLF. Raises ClientFault."""
    found = _REQUEST_LINE.fullmatch(raw.decode("latin-1"))
    if found is None:
        raise ClientFault("malformed request line")
    method, target, minor = found.groups()
    authority, target = head_rules.origin_form(target)
    return StartLine(method, target, authority, minor != "0")


def parse(line: StartLine, lines: list[bytes]) -> HeardHead:
    """The head of ``line`` and these field lines, CRLF included. Raises ClientFault."""
    fields: dict[str, str] = {}
    repeated: set[str] = set()
    for raw in lines:
        found = _FIELD.fullmatch(raw.decode("latin-1"))
        if found is None:
            raise ClientFault("malformed header field")
        name, value = found[1].lower(), found[2]
        if name in fields:
            repeated.add(name)
            value = f"{fields[name]}, {value}"
        fields[name] = value
    if "host" in repeated:
        raise ClientFault("a request has one Host", reason=Reason.BAD_HOST)
    head_rules.check_host(fields.get("host"), required=line.http11)
    length, chunked = _framing(line, fields, repeated)
    return HeardHead(line, fields, frozenset(repeated), length, chunked)


def _framing(
    line: StartLine, fields: dict[str, str], repeated: set[str]
) -> tuple[int | None, bool]:
    """How the body ends (RFC 9112 section 6.3, without its tolerances)."""
    length = fields.get("content-length")
    coding = fields.get("transfer-encoding")
    if coding is not None:
        if length is not None or not line.http11:
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
