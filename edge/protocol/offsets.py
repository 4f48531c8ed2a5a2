"""Offsets: opaque, comparable, and never made up here (PROTOCOL.md section 8).

The edge does not interpret an offset. It checks that one is safe to put into a URL and
a header, and compares it with others. ``-1`` (the beginning) comes before all others;
the rest compare bytewise. ``now`` is a question, not a position.
Words of extensions (``snapshot``) pass as offsets that the edge does not know.
"""

import re

BEGIN = "-1"
NOW = "now"
MAX_LENGTH = 256
"""Longest offset taken from a client or an origin; section 8 says under 256."""

# Visible ASCII, without the five characters that section 8 forbids and those that need
# escaping inside a quoted JSON string or a header.
SAFE = r"[!#-%'-+\-.0-9:;<>@A-Z\[\]^_`a-z{|}~$*]"
"""One of its characters, as an expression."""

SENTINELS = frozenset({BEGIN, NOW})
"""Offsets that no origin mints."""

_SAFE = re.compile(SAFE + "{1,256}", re.ASCII)


def is_safe(offset: str) -> bool:
    """Whether ``offset`` is a single token of section 8's alphabet, 1 to 256 long."""
    return _SAFE.fullmatch(offset) is not None


def is_position(offset: str) -> bool:
    """Whether an origin may mint ``offset``: a safe token that is no sentinel."""
    return offset != BEGIN and offset != NOW and is_safe(offset)


def order(offset: str) -> str:
    """A key that sorts offsets of one stream: bytewise, the beginning first.

    Safe offsets are ASCII, so comparing text compares bytes.
    """
    return "" if offset == BEGIN else offset
