"""What a request's head must be, beyond what the parser checks. Pure.

gunicorn's parser is strict about lines, field grammar and framing; it accepts a
missing Host, looks at one member of Connection, and lets transfer codings pass
that nothing here can undo. Every entrance calls ``judge`` after its parser, so
that all judge alike.
"""

import re
from collections.abc import Iterable

from edge.core.errors import ClientFault
from edge.core.reasons import Reason
from edge.core.values import Header

Version = tuple[int, int]

_HOST = re.compile(
    r"(?:\[[0-9A-Fa-f:.]{2,45}\]|(?:[A-Za-z0-9._~!$&'()*+;=-]|%[0-9A-Fa-f]{2})+)"
    r"(?::[0-9]{0,5})?"
)
"""uri-host [":" port] of RFC 3986 without the comma, which would join two."""

_ABSOLUTE = re.compile(r"https?://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)


def judge(version: Version | None, fields: Iterable[Header]) -> bool:
    """Whether the connection may be kept, as far as Connection says.

    Raises ClientFault: no Host in HTTP/1.1 or one that is none (RFC 9112
    section 3.2), transfer codings other than chunked alone (section 6.1).
    """
    host = None
    keep = True
    for name, value in fields:
        lower = name.lower()
        if lower == "host":
            host = value
        elif lower == "connection" and "close" in _options(value):
            keep = False
        elif lower == "transfer-encoding" and value.lower() != "chunked":
            detail = "The only transfer coding understood here is chunked."
            raise ClientFault(detail, reason=Reason.UNSUPPORTED_FRAMING)
    _judge_host(version, host)
    return keep


def is_host(value: str) -> bool:
    """Whether ``value`` may stand in a Host field."""
    return _HOST.fullmatch(value) is not None


def _judge_host(version: Version | None, host: str | None) -> None:
    if host is None and version != (1, 0):
        raise ClientFault("A Host field is required.", reason=Reason.BAD_HOST)
    if host is not None and not is_host(host):
        raise ClientFault("The Host field is malformed.", reason=Reason.BAD_HOST)


def _options(value: str) -> list[str]:
    return [option.strip(" \t").lower() for option in value.split(",")]


def origin_form(target: str) -> tuple[str | None, str]:
    """The authority, if the target brings one, and the target in origin-form.

    Servers must take the absolute-form too, and its authority then stands in
    for Host (RFC 9112 section 3.2.2). Raises ClientFault for a bad authority.
    """
    if target.startswith("/") or target == "*":
        return None, target
    match = _ABSOLUTE.fullmatch(target)
    if match is None:
        raise ClientFault("The request-target is malformed.", reason=Reason.BAD_PATH)
    if not _HOST.fullmatch(match[1]):
        raise ClientFault("The authority is malformed.", reason=Reason.BAD_HOST)
    rest = match[2]
    return match[1], rest if rest.startswith("/") else "/" + rest
