"""Offsets of this origin, and what they stand for (PROTOCOL.md section 8).

A position is the number of stored bytes before it, counted over a whole lineage: a fork
shares its source's positions up to the divergence. In JSON mode the messages of one
append are stored with commas between them; the comma between two appends is neither
stored nor counted.

On the wire a position is ``0000000000000000_`` and sixteen digits. The width is
fixed: comparing text compares positions. Clients and tests know the shape from
other servers.
"""

import re

from origin_adapter.embedded.rules.refusals import RefusalReason, Refused, bad_request

_OFFSET = re.compile(r"([0-9]{16})_([0-9]{16})", re.ASCII)
_SPAN = 10**16

ZERO = "0000000000000000_0000000000000000"
"""The offset before the first byte."""


def to_text(position: int) -> str:
    """The offset that names ``position``."""
    return f"0000000000000000_{position:016d}"


def parse(text: str) -> int:
    """The position that an offset names; it may lie beyond every stream's tail.

    Raises Refused (bad-offset) for an offset that this origin cannot have minted for
    any stream, sentinels included.
    """
    found = _OFFSET.fullmatch(text)
    if found is None:
        raise misplaced("malformed offset")
    return int(found[1]) * _SPAN + int(found[2])


def misplaced(detail: str) -> Refused:
    """An offset that this origin never returned for the stream."""
    return bad_request(RefusalReason.BAD_OFFSET, detail)
