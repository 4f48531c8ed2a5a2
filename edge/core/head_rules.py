"""What a request's head must be, for every parser that reads one. Pure.

Parsers differ in what they let pass: a missing Host, a transfer coding that nothing
here can undo, a target in absolute-form. These rules hold behind all of them. The edge
calls ``validate`` after gunicorn's parser. The embedded origin has a parser of its own
and calls the rules one by one. Both bring targets into origin-form here. Each parser
keeps the rest: the grammar of lines and fields, Content-Length, limits.

Sources: RFC 9112 sections 3.2, 3.2.2 and 6.1; RFC 9110 section 7.6.1.
"""

import re
from collections.abc import Iterable

from edge.core.errors import ClientFault
from edge.core.reasons import Reason
from edge.core.values import Header
from edge.protocol.http_grammar import is_host, length_of, list_members

Version = tuple[int, int]

_ABSOLUTE = re.compile(r"https?://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)


def validate(version: Version | None, fields: Iterable[Header]) -> bool:
    """Whether the connection may be kept, as far as Connection says.

    The parser must have refused a second Host. Raises ClientFault as ``check_host``,
    ``check_transfer_coding`` and ``check_content_length`` do.
    """
    host = None
    keep = True
    for name, value in fields:
        lower = name.lower()
        if lower == "host":
            host = value
        elif lower == "connection" and "close" in list_members(value.lower()):
            keep = False
        elif lower == "transfer-encoding":
            check_transfer_coding(value)
        elif lower == "content-length":
            check_content_length(value)
    check_host(host, required=version != (1, 0))
    return keep


def check_host(host: str | None, *, required: bool) -> None:
    """Raises ClientFault (bad-host): no Host where one is required, or no valid one."""
    if host is None and required:
        raise ClientFault("A Host field is required.", reason=Reason.BAD_HOST)
    if host is not None and not is_host(host):
        raise ClientFault("The Host field is malformed.", reason=Reason.BAD_HOST)


def check_transfer_coding(value: str) -> None:
    """Raises ClientFault (unsupported-framing) for all but ``chunked`` alone."""
    if value.lower() != "chunked":
        detail = "The only transfer coding understood here is chunked."
        raise ClientFault(detail, reason=Reason.UNSUPPORTED_FRAMING)


def check_content_length(value: str) -> None:
    """Raises ClientFault (unsupported-framing) for a length that a server behind might
    read as another one. The parser must have refused what is no number."""
    if length_of(value) is None:
        detail = "The Content-Length is too large."
        raise ClientFault(detail, reason=Reason.UNSUPPORTED_FRAMING)


def origin_form(target: str) -> tuple[str | None, str]:
    """The authority, if the target has one, and the target in origin-form.

    Servers must accept the absolute-form too. Its authority then replaces Host
    (RFC 9112 section 3.2.2). Raises ClientFault for a bad authority.
    """
    if target.startswith("/") or target == "*":
        return None, target
    match = _ABSOLUTE.fullmatch(target)
    if match is None:
        raise ClientFault("The request-target is malformed.", reason=Reason.BAD_PATH)
    authority, rest = match.groups()
    if not is_host(authority):
        raise ClientFault("The authority is malformed.", reason=Reason.BAD_HOST)
    return authority, rest if rest.startswith("/") else "/" + rest
