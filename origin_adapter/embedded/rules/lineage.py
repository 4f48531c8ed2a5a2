"""Lineage: where a fork diverges and whose bytes it reads (section 4.2).

A fork copies nothing. It remembers the spans that it inherits, oldest first and without
gaps, each kept under the stream that wrote it. A fork of a fork remembers the spans of
both. A sub-offset is a position inside one of the source's rows, so a span may end
within a row; a read is cut there.
"""

from collections.abc import Callable
from typing import NamedTuple

from origin_adapter.embedded.rules import messages, offsets
from origin_adapter.embedded.rules.refusals import RefusalReason, Refused, bad_request
from origin_adapter.embedded.rules.values import ForkRequest, Span, StoredStream


class Row(NamedTuple):
    """The bytes of one append, at ``[start, end)``, perhaps cut at a divergence.

    A tuple, because a page of small messages makes ten thousand of them.
    """

    start: int
    end: int
    body: bytes


def divergence(
    source: StoredStream,
    request: ForkRequest,
    row_after: Callable[[int], Row | None],
    is_json: bool,
) -> int:
    """The position at which a fork of ``source`` begins.

    ``row_after`` gives the first row of the source that ends after a position.
    Raises Refused (bad-fork) when the offset is beyond the tail, was never
    minted, is below what is retained, or the sub-offset passes the next boundary.
    """
    anchor = source.tail if request.offset is None else _anchor(source, request.offset)
    row = row_after(anchor)
    if row is not None and row.start != anchor:
        raise _bad("Stream-Fork-Offset was never returned by this server")
    if request.sub == 0:
        return anchor
    if row is None:
        raise _bad("sub-offset past the source's end")
    if is_json:
        return anchor + messages.prefix(row.body, request.sub)
    if request.sub > len(row.body):
        raise _bad("sub-offset past the next boundary")
    return anchor + request.sub


def inherited(source: StoredStream, at: int) -> tuple[Span, ...]:
    """The spans of ``source`` up to a divergence."""
    return tuple(
        Span(span.id, span.low, min(span.high, at))
        for span in source.spans
        if span.low < at
    )


def cut(row: Row, high: int) -> Row:
    """The part of a row that lies below ``high``."""
    if row.end <= high:
        return row
    return Row(row.start, high, row.body[: high - row.start])


def _anchor(source: StoredStream, offset: str) -> int:
    try:
        anchor = offsets.parse(offset)
    except Refused:
        raise _bad("malformed Stream-Fork-Offset") from None
    if anchor > source.tail:
        raise _bad("Stream-Fork-Offset is beyond the source's tail")
    if anchor < source.floor:
        raise _bad("Stream-Fork-Offset is before what is retained")
    return anchor


def _bad(detail: str) -> Refused:
    return bad_request(RefusalReason.BAD_FORK, detail)
