"""JSON mode's arrays, joined and cut without parsing (PROTOCOL.md section 9.1).

Every answer of a JSON stream is one array of all messages in its range. The
log keeps a range as its *fragment*: nothing for an empty array, otherwise a comma and
the inner bytes. Fragments of adjoining ranges are joined by concatenation, and may be
cut wherever a fragment began (L8).

What this does not promise: the inside is never looked at, so ``[1,,2]`` and ``[1],[2]``
pass. The origin validated the messages (section 9.1.4), and the framing told whether
they arrived whole. Only an answer that is no array at all is caught: an error page, an
object, half of a body.
"""

_SPACE = b" \t\n\r"
"""RFC 8259 section 2: no other white space surrounds a value."""


def fragment(body: bytes) -> bytes:
    """What the log keeps of an answer's array.

    Raises ValueError unless the body, white space aside, has its outer
    brackets.
    """
    array = body.strip(_SPACE)
    if not (array.startswith(b"[") and array.endswith(b"]")):
        raise ValueError("a body in JSON mode is one array")
    inner = array[1:-1].strip(_SPACE)
    return b"," + inner if inner else b""


def whole(fragment: bytes | memoryview) -> bytes:
    """The array of all messages in ``fragment``, or in several joined ones."""
    return b"".join((b"[", fragment[1:], b"]"))
