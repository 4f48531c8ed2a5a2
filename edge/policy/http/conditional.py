"""If-None-Match, judged at the edge for each client (E3, E31).

The origin never sees a client's conditionals. Callers ask only once the tail
is known (L17) and never for live reads.

Source: RFC 9110 sections 8.8.3 and 13.1.2.
"""

import re

# One list member with what may stand around it; empty members are legal
# (RFC 9110 section 5.6.1.2). Every step is deterministic, so a long field
# costs time in proportion to its length.
_MEMBER = re.compile(
    r'[ \t,]*(?:W/)?("[^\x00-\x20"\x7f]*")[ \t]*(?:,[ \t,]*|\Z)',
)


def matches(if_none_match: str, etag: str) -> bool:
    """Whether the client holds what ``etag`` names: then a 304 is right.

    ``if_none_match`` is the whole field: ``*``, or a list of entity tags,
    compared weakly (CDNs weaken strong tags on their way). A field that is malformed
    anywhere matches nothing, because a full answer is never wrong.
    """
    field = if_none_match.strip(" \t")
    if field == "*":
        return True
    opaque = etag.removeprefix("W/")
    if opaque not in field:
        return False
    return opaque in _opaque_tags(field)


def _opaque_tags(field: str) -> set[str]:
    """The quoted parts of a list of entity tags; nothing if any is malformed."""
    tags = set()
    position = 0
    while position < len(field):
        member = _MEMBER.match(field, position)
        if member is None:
            return set()
        tags.add(member[1])
        position = member.end()
    return tags
