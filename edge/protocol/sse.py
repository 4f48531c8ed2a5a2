"""Server-sent events: what goes out to a viewer (PROTOCOL.md section 5.8, L25).

Three frames and nothing else: ``data`` carries a range of the stream,
``control`` follows it and says where the viewer stands, and a comment keeps
the connection alive. Each is whole bytes that end in a blank line, so all viewers share
the frames, and frames can be concatenated.

No space follows ``data:``. A client strips one space there, so a line that begins with
a space (as the tokens of a language model do) gets one more; no other line does. CR, LF
and CRLF all end a line; a client joins lines with LF. The caller joins adjoining ranges
before it makes an event: a character whose UTF-8 bytes are cut in two would be replaced
at both ends.
"""

import base64
import enum
import json

from edge.protocol.names import is_json, media_type
from edge.protocol.offsets import is_safe

KEEP_ALIVE = b": keep-alive\n\n"
"""A comment: no event, no offset. It tells both ends that the other one is alive."""

_JSON = json.JSONEncoder(separators=(",", ":"))


TAIL = 1024
"""Bytes of a stream by which ``may_end_behind`` tells what its last event was."""


class Encoding(enum.Enum):
    """How a range travels in a data event."""

    TEXT = "text"
    JSON = "json"
    BASE64 = "base64"


def encoding_for(content_type: str | None) -> Encoding:
    """How streams of this type travel: text and JSON as they are, the rest base64.

    With BASE64 the answer's head carries ``stream-sse-data-encoding: base64``.
    """
    if is_json(content_type):
        return Encoding.JSON
    if media_type(content_type).startswith("text/"):
        return Encoding.TEXT
    return Encoding.BASE64


def data_event(payload: bytes, encoding: Encoding) -> bytes:
    """The data event that carries ``payload``.

    For JSON the payload is the text of the whole array. Bytes of text and JSON that
    are not UTF-8 become U+FFFD.
    """
    if encoding is Encoding.BASE64:
        return b"event: data\ndata:%b\n\n" % base64.b64encode(payload)
    return b"event: data%b\n\n" % _data_lines(_utf8(payload))


def control_event(
    next_offset: str, cursor: str | None, up_to_date: bool, closed: bool
) -> bytes:
    """The control event that says where the viewer stands.

    A closed stream has no cursor, because no viewer may reconnect, and its viewer is up
    to date by definition (sections 5.8 and 8).
    """
    if not closed and is_safe(next_offset) and _is_number(cursor):
        # Nothing in it needs an escape: the same text, without an encoder.
        told = "" if cursor is None else f',"streamCursor":"{cursor}"'
        told += ',"upToDate":true' if up_to_date else ""
        text = f'event: control\ndata:{{"streamNextOffset":"{next_offset}"{told}}}\n\n'
        return text.encode("ascii")
    said: dict[str, str | bool] = {"streamNextOffset": next_offset}
    if cursor is not None and not closed:
        said["streamCursor"] = cursor
    if up_to_date or closed:
        said["upToDate"] = True
    if closed:
        said["streamClosed"] = True
    return b"event: control\ndata:%b\n\n" % _compact(said)


def may_end_behind(tail: bytes) -> bool:
    """Whether a stream of somebody else may end here: behind a whole event that is no
    data event, for the control event that belongs to one says where to go on.

    ``tail`` are the last ``TAIL`` bytes of the stream, or all if it has fewer.
    """
    lines = _lines(tail)
    if lines and not lines.endswith(b"\n\n"):
        return False
    *later, first = reversed(lines.split(b"\n\n"))
    for event in later:
        kind = _kind_of(event)
        if kind is not None:
            return kind != b"data"
    # What is missing of an event as long as this may say that it is a data event.
    return len(tail) < TAIL and _kind_of(first) != b"data"


def tail_behind(tail: bytes, piece: bytes) -> bytes:
    """The tail of a stream when ``piece`` has come behind ``tail``. Comments that come
    alone between two events do not count: a thousand bytes of them would displace the
    event that tells whether the stream may end."""
    if piece.startswith(b":") and (not tail or _lines(tail).endswith(b"\n\n")):
        lines = _lines(piece)
        comments = all(line[:1] in (b":", b"") for line in lines.split(b"\n"))
        if comments and lines.endswith(b"\n\n"):
            return tail
    return (tail + piece[-TAIL:])[-TAIL:]


def _lines(text: bytes) -> bytes:
    """The same with one kind of line ends."""
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _kind_of(event: bytes) -> bytes | None:
    """The type of an event; None for comments alone, which are none."""
    kind = None
    for line in event.split(b"\n"):
        name, _, value = line.partition(b":")
        if name == b"event":
            return value.removeprefix(b" ")
        kind = b"message" if name else kind
    return kind


def _utf8(payload: bytes) -> bytes:
    """``payload`` with U+FFFD for what is not UTF-8."""
    if payload.isascii():
        return payload
    return payload.decode("utf-8", "replace").encode()


def _data_lines(text: bytes) -> bytes:
    """A line feed and ``data:`` before every line of ``text``."""
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if b"\n" not in text and not text.startswith(b" "):
        return b"\ndata:" + text
    lines = b"\n" + text
    # Spaces first: once ``data:`` is in place, no line begins with its own text.
    return lines.replace(b"\n ", b"\n  ").replace(b"\n", b"\ndata:")


def _is_number(cursor: str | None) -> bool:
    """Whether it is digits alone, or there is none."""
    return cursor is None or (cursor.isascii() and cursor.isdigit())


def _compact(said: dict[str, str | bool]) -> bytes:
    """JSON on one line, in ASCII."""
    return _JSON.encode(said).encode("ascii")
