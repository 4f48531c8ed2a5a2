"""Messages: what is stored of a body, and how stored bytes become an answer.

Bytes are stored as they came. In JSON mode (PROTOCOL.md section 9.1) a body is checked,
and one level of array is flattened: only the text between its brackets is stored. Thus
numbers are never rounded and every byte of a value stays. The values of one body are
stored with commas between them; an answer is a join and two brackets.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from itertools import chain

from edge.protocol.names import is_json
from origin_adapter.embedded.rules import json_text
from origin_adapter.embedded.rules.refusals import RefusalReason, bad_request
from origin_adapter.embedded.rules.values import MessageBatch

MAX_UNJOINED = 256
"""Batches of a page that are sent as they are."""

_SPACE = " \t\n\r"


def batch(
    body: bytes,
    content_type: str,
    creating: bool = False,
    pause: Callable[[], None] | None = None,
) -> MessageBatch | None:
    """What a body becomes in a stream of this type; None: no message at all.

    An empty JSON array is no message when ``creating`` (section 9.1.3) and is
    refused otherwise. ``pause`` is called at intervals while a large body is walked.
    Raises Refused (bad-json, json-too-deep).
    """
    if not body:
        return None
    if not is_json(content_type):
        return MessageBatch(body)
    stored = _flat(body, pause)
    if stored:
        return MessageBatch(stored, json=True)
    if creating:
        return None
    raise bad_request(RefusalReason.BAD_JSON, "an empty array holds no message")


def _flat(body: bytes, pause: Callable[[], None] | None) -> bytes:
    """The values of a JSON body: an array's elements, or its single value."""
    try:
        text = body.decode("utf-8")
        start = json_text.skip(text, 0)
        end = json_text.value(text, start, pause)
    except UnicodeDecodeError:
        raise bad_request(RefusalReason.BAD_JSON, "the body is not UTF-8") from None
    except json_text.TooDeep:
        deepest = f"nested deeper than {json_text.MAX_DEPTH}"
        raise bad_request(RefusalReason.JSON_TOO_DEEP, deepest) from None
    except json_text.NotJson:
        raise bad_request(RefusalReason.BAD_JSON, "the body is not JSON") from None
    if json_text.skip(text, end) != len(text):
        raise bad_request(RefusalReason.BAD_JSON, "something follows the JSON value")
    if text[start] == "[":
        return text[start + 1 : end - 1].strip(_SPACE).encode()
    return text[start:end].encode()


def prefix(stored: bytes, count: int) -> int:
    """The bytes that the first ``count`` values of a stored JSON batch take.

    ``count`` is at least 1. Raises Refused (bad-fork) when there are fewer.
    """
    text = stored.decode()
    end = json_text.nth_end(text, count)
    if end is None:
        raise bad_request(RefusalReason.BAD_FORK, "sub-offset past the next boundary")
    return len(text[:end].encode())


def length(size: int, rows: int, content_type: str) -> int:
    """How long the body is that carries ``size`` stored bytes, of that many batches."""
    # A comma between two of them, and two brackets.
    return size + rows + 1 if is_json(content_type) else size


def pieces(
    pages: Iterable[list[bytes]], content_type: str
) -> Generator[Sequence[bytes]]:
    """The same body in pieces, one for each page, each as bytes that follow each other.

    Many small batches are joined. Large ones are not copied.
    """
    json = is_json(content_type)
    comma, lead = (b",", b"[") if json else (b"", b"")
    for parts in pages:
        if len(parts) > MAX_UNJOINED:
            joined = comma.join(parts)
            # Thousands of small ones take several times their bytes.
            del parts
            yield [lead, joined]
            del joined
        elif json:
            yield [lead, *chain.from_iterable((part, comma) for part in parts)][:-1]
        else:
            yield parts
        lead = comma
    if json:
        yield [b"]"]


def answer(parts: list[bytes], content_type: str) -> bytes:
    """The body that carries these stored batches (section 9.1.5)."""
    if is_json(content_type):
        return b"".join((b"[", b",".join(parts), b"]"))
    return parts[0] if len(parts) == 1 else b"".join(parts)
