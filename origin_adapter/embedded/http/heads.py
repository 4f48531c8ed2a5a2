"""Heads: one request's head, read strictly (RFC 9112).

Pure. What two parsers could read in two ways is refused, because this server
may stand behind another one: bare LF, folded lines, spaces before a colon, a
repeated or odd Content-Length, both framings at once, a missing or repeated
Host. Fields that come twice are noted; the front refuses those that matter.
"""

import re
from dataclasses import dataclass

MAX_HEAD = 65536
MAX_FIELDS = 128

_REQUEST_LINE = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}) (/[!-~]*) HTTP/1\.([01])\r\n"
)
_FIELD = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t -~\x80-\xff]*?)[ \t]*\r\n"
)
_LENGTH = re.compile(r"[0-9]{1,18}", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9.\-_~\[\]:]{1,255}", re.ASCII)


class BadHead(ValueError):
    """Not a request that can be read in one way only. ``status`` is the answer."""

    def __init__(self, detail: str, status: int = 400) -> None:
        super().__init__(detail)
        self.status = status


@dataclass(frozen=True, slots=True)
class RequestLine:
    """Method, target in origin-form, and whether it is HTTP/1.1."""

    method: str
    target: str
    http11: bool


@dataclass(frozen=True, slots=True)
class Head:
    """A whole head. Field names are lower-case; ``repeated`` came more than once."""

    line: RequestLine
    fields: dict[str, str]
    repeated: frozenset[str]
    length: int | None
    chunked: bool

    @property
    def keep_alive(self) -> bool:
        """Whether the client keeps the connection (RFC 9112 section 9.3)."""
        options = self.fields.get("connection", "").lower()
        tokens = {token.strip() for token in options.split(",")}
        if self.line.http11:
            return "close" not in tokens
        return "keep-alive" in tokens


def parse_line(line: bytes) -> RequestLine:
    """The request line. Raises BadHead."""
    found = _REQUEST_LINE.fullmatch(line)
    if found is None:
        raise BadHead("malformed request line")
    return RequestLine(found[1].decode(), found[2].decode(), found[3] == b"1")


def parse(line: RequestLine, lines: list[bytes]) -> Head:
    """The head that consists of ``line`` and these field lines. Raises BadHead."""
    fields: dict[str, str] = {}
    repeated: set[str] = set()
    for raw in lines:
        found = _FIELD.fullmatch(raw)
        if found is None:
            raise BadHead("malformed header field")
        name = found[1].decode().lower()
        value = found[2].decode("latin-1")
        if name in fields:
            repeated.add(name)
            value = f"{fields[name]}, {value}"
        fields[name] = value
    _check_host(line, fields, repeated)
    length, chunked = _framing(line, fields, repeated)
    return Head(line, fields, frozenset(repeated), length, chunked)


def _check_host(line: RequestLine, fields: dict[str, str], repeated: set[str]) -> None:
    host = fields.get("host")
    if "host" in repeated or (host is None and line.http11):
        raise BadHead("a request has one Host")
    if host and _HOST.fullmatch(host) is None:
        raise BadHead("malformed Host")


def _framing(
    line: RequestLine, fields: dict[str, str], repeated: set[str]
) -> tuple[int | None, bool]:
    length = fields.get("content-length")
    coding = fields.get("transfer-encoding")
    if coding is not None:
        if length is not None or not line.http11:
            raise BadHead("Transfer-Encoding where it cannot be trusted")
        if coding.lower() != "chunked":
            raise BadHead("only the chunked transfer coding", status=501)
        return None, True
    if length is None:
        return None, False
    if "content-length" in repeated or _LENGTH.fullmatch(length) is None:
        raise BadHead("malformed Content-Length")
    return int(length), False
