"""What a server's error answer means: a sentence, an exit code, whether to retry.

The sentence is the server's own if it sent one: RFC 9457's detail, an error in JSON, or
the first line of a text. Control characters never reach the terminal.
"""

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from http import HTTPStatus

from edge.cli.streams.exit_faults import Exit, Fault, RequestOutcome
from edge.protocol import names
from edge.protocol.http_grammar import retry_after

MAX_BODY = 16 * 1024
"""Bytes of an error's body that are read."""
MAX_SHOWN = 300
"""Characters of it that are shown."""

Get = Callable[[str], str | None]

_EXITS = {
    401: Exit.REFUSED,
    403: Exit.REFUSED,
    404: Exit.NOT_FOUND,
    407: Exit.REFUSED,
    408: Exit.UNREACHABLE,
    409: Exit.CONFLICT,
    410: Exit.GONE,
    429: Exit.UNREACHABLE,
}

_KNOWN = {
    408: RequestOutcome.UNKNOWN,
    429: RequestOutcome.NOT_DONE,
    500: RequestOutcome.UNKNOWN,
    502: RequestOutcome.UNKNOWN,
    503: RequestOutcome.UNKNOWN,
    504: RequestOutcome.UNKNOWN,
}


def refused(status: int, get: Get, pieces: Iterable[bytes]) -> Fault:
    """The Fault for an answer of 300 or above."""
    default = Exit.UNREACHABLE if status >= 500 else Exit.FAILED
    fenced = status == 403 and get(names.PRODUCER_EPOCH) is not None
    return Fault(
        Exit.CONFLICT if fenced else _EXITS.get(status, default),
        _sentence(status, get, pieces),
        known=_KNOWN.get(status, RequestOutcome.FINAL),
        status=status,
        retry_after=retry_after(get("Retry-After"), datetime.now(UTC)),
    )


def _sentence(status: int, get: Get, pieces: Iterable[bytes]) -> str:
    known = _from_head(status, get)
    said = known or shown(_detail(get("Content-Type"), _some(pieces)))
    try:
        first = f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        first = str(status)
    return f"{first}: {said}" if said else first


def _from_head(status: int, get: Get) -> str | None:
    """What the protocol's own fields say (sections 5.2 and 5.2.1)."""
    if 300 <= status < 400:
        return "the stream is elsewhere, and only reads follow"
    if status == 409 and names.is_true(get(names.CLOSED)):
        return f"the stream is closed at {shown(get(names.NEXT_OFFSET) or '?')}"
    if expected := get(names.PRODUCER_EXPECTED_SEQ):
        received = get(names.PRODUCER_RECEIVED_SEQ) or "?"
        return (
            f"a gap in the producer's sequence: {shown(expected)} comes next, "
            f"{shown(received)} was sent"
        )
    if status == 403 and (epoch := get(names.PRODUCER_EPOCH)):
        return f"the producer's epoch is over: it is {shown(epoch)} now"
    return None


def _some(pieces: Iterable[bytes]) -> bytes:
    """The beginning of a body, as far as it can be read."""
    body = b""
    try:
        for piece in pieces:
            body += piece
            if len(body) >= MAX_BODY:
                break
    except Fault:
        return body
    return body[:MAX_BODY]


def _detail(content_type: str | None, body: bytes) -> str:
    kind = names.media_type(content_type)
    text = body.decode("utf-8", "replace")
    if kind == "application/json" or kind.endswith("+json"):
        return _in_json(text) or text
    return "" if kind == "text/html" else text


def _in_json(text: str) -> str:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    for name in ("detail", "title", "message", "error"):
        found = data.get(name) if isinstance(data, dict) else None
        if isinstance(found, dict):
            found = found.get("message")
        if isinstance(found, str) and found:
            return found
    return ""


def shown(text: str) -> str:
    """``text`` fit for one line of a terminal."""
    line = " ".join(text.split())
    line = "".join(c if c.isprintable() else "\ufffd" for c in line)
    return line if len(line) <= MAX_SHOWN else line[:MAX_SHOWN] + "…"
