"""The edge's own strong entity tags (L17, E3).

A tag covers what a 304 cannot take back: content type, both ends of the range,
its bytes, the content coding, and both claims. An origin's tag is never passed
on: real ones are the same across codings, closure and recreation.

The bytes are digested once per range (``body_digest``); a tag is then made per
variant from the digest.
"""

from base64 import urlsafe_b64encode
from hashlib import blake2b

_DIGEST_SIZE = 24
_TAG_SIZE = 18
"""A multiple of three, so that the tag's base64 has no padding."""


def body_digest(body: bytes) -> bytes:
    """What stands for ``body`` in its tags: kept by whoever keeps the bytes."""
    return blake2b(body, digest_size=_DIGEST_SIZE).digest()


def entity_tag(
    content_type: str,
    start: str,
    next_offset: str,
    digest: bytes,
    coding: str,
    up_to_date: bool,
    closed: bool,
) -> str:
    """The strong entity tag, with its quotes, of one variant of one range.

    ``digest`` is ``body_digest`` of the bytes before coding; ``coding`` is ""
    for identity. Equal inputs give equal tags on every node.
    """
    # Lengths go first, so no two inputs run together into the same text.
    parts = (
        content_type.encode("utf-8", "surrogatepass"),
        start.encode("ascii", "backslashreplace"),
        next_offset.encode("ascii", "backslashreplace"),
        digest,
        coding.encode("ascii", "backslashreplace"),
        b"%d%d" % (up_to_date, closed),
    )
    text = b"".join(b"%d:%b" % (len(part), part) for part in parts)
    tag = blake2b(text, digest_size=_TAG_SIZE).digest()
    return f'"{urlsafe_b64encode(tag).decode("ascii")}"'
