"""Messages: what of a body is stored, and how stored bytes become an answer.

Bytes are stored as they came. In JSON mode (PROTOCOL.md section 9.1) a body is
checked and one level of array is flattened; every value keeps its own bytes, so
numbers are never rounded and white space inside a value stays. The values of
one body are stored with commas between them and nothing else, which makes an
answer a join and two brackets.
"""

import json
import re
from collections.abc import Iterator

from edge.protocol.json_arrays import is_json
from origin_adapter.embedded.rules.refusals import Why, bad_request
from origin_adapter.embedded.rules.values import Batch

MAX_DEPTH = 256
"""Deepest nesting of arrays and objects in a JSON body."""

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_SPACE = re.compile(r"[ \t\n\r]*")


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


# Numbers are checked by the decoder's grammar and never converted: no rounding,
# and no quadratic time for a number of a million digits.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_no_constant)


def batch(body: bytes, content_type: str, creating: bool = False) -> Batch | None:
    """What a body becomes in a stream of this type; None: no message at all.

    An empty JSON array is no message when ``creating`` (section 9.1.3) and is
    refused otherwise. Raises Refused (bad-json, json-too-deep).
    """
    if not body:
        return None
    if not is_json(content_type):
        return Batch(body)
    text = _decode(body)
    stored = ",".join(text[low:high] for low, high in values(text))
    if stored:
        return Batch(stored.encode(), json=True)
    if creating:
        return None
    raise bad_request(Why.BAD_JSON, "an empty array holds no message")


def values(text: str) -> Iterator[tuple[int, int]]:
    """Where the messages of a JSON body lie: its elements, or the whole value.

    Raises Refused (bad-json) on anything that RFC 8259 does not allow.
    """
    start = _skip(text, 0)
    if text[start : start + 1] != "[":
        end = _value(text, start)
        _expect_end(text, end)
        yield start, end
        return
    index = _skip(text, start + 1)
    if text[index : index + 1] == "]":
        _expect_end(text, index + 1)
        return
    while True:
        end = _value(text, index)
        yield index, end
        after = _skip(text, end)
        match text[after : after + 1]:
            case ",":
                index = _skip(text, after + 1)
            case "]":
                _expect_end(text, after + 1)
                return
            case _:
                raise bad_request(Why.BAD_JSON, "an array's elements need commas")


def prefix(stored: bytes, count: int) -> int:
    """How many bytes of a stored JSON batch its first ``count`` values take.

    ``count`` is at least 1. Raises Refused (bad-fork) when there are fewer.
    """
    text = stored.decode()
    end = -1
    for _ in range(count):
        start = end + 1
        if start >= len(text):
            raise bad_request(Why.BAD_FORK, "sub-offset past the next boundary")
        end = _value(text, start)
    return len(text[:end].encode())


def answer(parts: list[bytes], content_type: str) -> bytes:
    """The body that carries these stored batches (section 9.1.5)."""
    if is_json(content_type):
        return b"".join((b"[", b",".join(parts), b"]"))
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _decode(body: bytes) -> str:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise bad_request(Why.BAD_JSON, "the body is not UTF-8") from None
    if _depth_above(text, MAX_DEPTH):
        raise bad_request(Why.JSON_TOO_DEEP, f"nested deeper than {MAX_DEPTH}")
    return text


def _depth_above(text: str, limit: int) -> bool:
    """Whether brackets nest deeper than ``limit``; strings do not count."""
    if text.count("[") + text.count("{") <= limit:
        return False
    depth = 0
    for token in _TOKEN.finditer(text):
        match token[0]:
            case "[" | "{":
                depth += 1
                if depth > limit:
                    return True
            case "]" | "}":
                depth -= 1
    return False


def _value(text: str, index: int) -> int:
    """Where the JSON value that begins at ``index`` ends."""
    try:
        _, end = _DECODER.raw_decode(text, index)
    except ValueError:
        raise bad_request(Why.BAD_JSON, "the body is not JSON") from None
    return end


def _skip(text: str, index: int) -> int:
    found = _SPACE.match(text, index)
    return found.end() if found is not None else index


def _expect_end(text: str, index: int) -> None:
    if _skip(text, index) != len(text):
        raise bad_request(Why.BAD_JSON, "something follows the JSON value")
