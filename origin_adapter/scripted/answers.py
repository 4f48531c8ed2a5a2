"""Answers of a conforming origin, made in one line.

For tests that care about a single field: all others are as PROTOCOL.md sections 5.5 to
5.7 want them. Further keyword arguments
become header fields (``cache_control="private"`` is ``cache-control: private``).
"""

from edge.core.values import Framing, Headers, OriginAnswer


def data(
    body: bytes,
    next: str,
    *,
    up_to_date: bool = True,
    closed: bool = False,
    content_type: str | None = "text/plain",
    cursor: str | int | None = None,
    framing: Framing = Framing.LENGTH,
    **headers: str,
) -> OriginAnswer:
    """A 200 with a body that ends at offset ``next`` (sections 5.6 and 5.7)."""
    fields = _fields(
        headers,
        content_type=content_type,
        stream_next_offset=next,
        stream_up_to_date="true" if up_to_date else None,
        stream_closed="true" if closed else None,
        stream_cursor=None if cursor is None else str(cursor),
    )
    return OriginAnswer(200, fields, body, framing)


def no_content(
    next: str,
    *,
    up_to_date: bool = True,
    closed: bool = False,
    cursor: str | int | None = "1",
    **headers: str,
) -> OriginAnswer:
    """A long-poll's 204: nothing came, the tail is ``next`` (section 5.7)."""
    fields = _fields(
        headers,
        stream_next_offset=next,
        stream_up_to_date="true" if up_to_date else None,
        stream_closed="true" if closed else None,
        stream_cursor=None if cursor is None else str(cursor),
    )
    return OriginAnswer(204, fields, b"", Framing.NONE)


def head_answer(
    next: str,
    *,
    closed: bool = False,
    content_type: str | None = "text/plain",
    ttl: int | None = None,
    **headers: str,
) -> OriginAnswer:
    """The answer to a HEAD of an existing stream (section 5.5)."""
    fields = _fields(
        headers,
        content_type=content_type,
        stream_next_offset=next,
        cache_control="no-store",
        stream_closed="true" if closed else None,
        stream_ttl=None if ttl is None else str(ttl),
    )
    return OriginAnswer(200, fields, b"", Framing.NONE)


def _fields(extra: dict[str, str], **named: str | None) -> Headers:
    """Fields in order. A field that the test gave replaces the one of its name."""
    merged = {key: value for key, value in named.items() if value is not None}
    merged.update(extra)
    return tuple((key.replace("_", "-"), value) for key, value in merged.items())
