"""JSON mode's arrays, joined and cut without parsing (PROTOCOL.md section 9.1).

Every answer of a JSON stream is one array of all messages in its range. The
log keeps a range as its *fragment*: nothing for an empty array, otherwise a comma and
the inner bytes. Fragments of adjoining ranges are joined by concatenation, and may be
cut wherever a fragment began (L8).

A fragment is whole only if the brackets and strings inside it end there: otherwise it
would swallow what it is joined with, for everybody. So that is looked at, exactly, with
escapes; an error page, half of a body, two arrays are no array. What this does not
promise: nothing else is looked at, so ``[1,,2]`` and ``[tru]`` pass. The origin
validated the messages (section 9.1.4).
"""

import json
from itertools import islice

_SPACE = b" \t\n\r"
"""RFC 8259 section 2: no other white space surrounds a value."""


def fragment(body: bytes) -> bytes:
    """What the log keeps of an answer's array.

    Raises ValueError unless the body, white space aside, is one pair of brackets, and
    all that begins between them ends there.
    """
    array = body.strip(_SPACE)
    if not (array.startswith(b"[") and array.endswith(b"]")):
        raise ValueError("a body in JSON mode is one array")
    inner = array[1:-1].strip(_SPACE)
    if inner[:1] == b"," or inner[-1:] == b"," or not is_balanced(inner):
        raise ValueError("a body in JSON mode is one array, and whole")
    return b"," + inner if inner else b""


def whole(fragment: bytes | memoryview) -> bytes:
    """The array of all messages in ``fragment``, or in several joined ones."""
    return b"".join((b"[", fragment[1:], b"]"))


MAX_COMPARED = 1024 * 1024
"""Fragments above this size are not read for their values."""


def agree(one: bytes, other: bytes) -> bool:
    """Whether two fragments that begin at one place hold equal messages, as far as the
    shorter one goes, though perhaps written differently (U16).

    False if either cannot be read, or is too large to be. Never raises.
    """
    if max(len(one), len(other)) > MAX_COMPARED:
        return False
    try:
        first, second = json.loads(whole(one)), json.loads(whole(other))
    except (ValueError, RecursionError):
        return False
    shorter = min(len(first), len(second))
    return bool(first[:shorter] == second[:shorter])


# Whether something is left open.

_BRACKETS = b"[]{}"
_ESCAPED = b"\0"
_LEFT_OUT = bytes(set(range(256)) - set(_BRACKETS + b'"\\' + _ESCAPED))
_OPENED_BY = {ord("]"): ord("["), ord("}"): ord("{")}
_ROUNDS = 8


def is_balanced(text: bytes) -> bool:
    """Whether all brackets and strings that begin in this JSON text end in it.

    Two milliseconds for a mebibyte of small objects. Never raises, and takes time in
    proportion to the text, however deep it is.
    """
    brackets = _outside_of_strings(text)
    return brackets is not None and _is_nested(brackets)


def _outside_of_strings(text: bytes) -> bytes | None:
    """The brackets that are in no string; None if a string does not end.

    Also the backslashes that are in none, where none may be.
    """
    if b"\\" in text:
        # In this order: what follows an even number of backslashes is not escaped.
        text = text.replace(b"\\\\", _ESCAPED).replace(b'\\"', _ESCAPED)
    # Quotes take turns to begin and to end a string. Two that have nothing left between
    # them can go, whichever they are: whatever else is there stays where it was.
    left = text.translate(None, _LEFT_OUT).replace(b'""', b"")
    pieces = left.split(b'"')
    if len(pieces) % 2 == 0:
        return None
    return b"".join(islice(pieces, 0, None, 2))


def _is_nested(brackets: bytes) -> bool:
    """Whether they match in pairs. Most texts are not deep, and vanish from within."""
    for _ in range(_ROUNDS):
        if not brackets:
            return True
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    opened: list[int] = []
    for bracket in brackets:
        opener = _OPENED_BY.get(bracket)
        if opener is None:
            opened.append(bracket)
        elif not opened or opened.pop() != opener:
            return False
    return not opened
