"""The protocol's words on the wire: header fields, parameters, ``true``.

This module decides nothing; every floor that reads or writes a head takes its names
from here. A plain name (``NEXT_OFFSET``) is in canonical case, for what goes out. With
``IN_`` in front it is lower-case, for looking into the ``Headers`` of an origin or a
client. Registered in PROTOCOL.md sections
5.2.1 and 13.2.
"""

from fnmatch import fnmatchcase

# What an answer says about the stream (sections 5.5 to 5.8).
NEXT_OFFSET = "Stream-Next-Offset"
UP_TO_DATE = "Stream-Up-To-Date"
CLOSED = "Stream-Closed"
CURSOR = "Stream-Cursor"
TTL = "Stream-TTL"
EXPIRES_AT = "Stream-Expires-At"
SSE_ENCODING = "stream-sse-data-encoding"
"""Written in lower case by section 5.8, so it goes out that way."""
SSE_BASE64 = "base64"

# Fields of writes and their answers (sections 4.2, 5.2 and 5.2.1).
SEQ = "Stream-Seq"
FORKED_FROM = "Stream-Forked-From"
FORK_OFFSET = "Stream-Fork-Offset"
FORK_SUB_OFFSET = "Stream-Fork-Sub-Offset"
PRODUCER_ID = "Producer-Id"
PRODUCER_EPOCH = "Producer-Epoch"
PRODUCER_SEQ = "Producer-Seq"
PRODUCER_EXPECTED_SEQ = "Producer-Expected-Seq"
PRODUCER_RECEIVED_SEQ = "Producer-Received-Seq"

IN_NEXT_OFFSET = NEXT_OFFSET.lower()
IN_UP_TO_DATE = UP_TO_DATE.lower()
IN_CLOSED = CLOSED.lower()
IN_CURSOR = CURSOR.lower()
IN_TTL = TTL.lower()
IN_EXPIRES_AT = EXPIRES_AT.lower()
IN_SSE_ENCODING = SSE_ENCODING.lower()
IN_SEQ = SEQ.lower()
IN_FORKED_FROM = FORKED_FROM.lower()
IN_FORK_OFFSET = FORK_OFFSET.lower()
IN_FORK_SUB_OFFSET = FORK_SUB_OFFSET.lower()
IN_PRODUCER_ID = PRODUCER_ID.lower()
IN_PRODUCER_EPOCH = PRODUCER_EPOCH.lower()
IN_PRODUCER_SEQ = PRODUCER_SEQ.lower()
IN_PRODUCER_EXPECTED_SEQ = PRODUCER_EXPECTED_SEQ.lower()
IN_PRODUCER_RECEIVED_SEQ = PRODUCER_RECEIVED_SEQ.lower()

# The query parameters that the protocol defines; all others are extensions.
PARAM_OFFSET = "offset"
PARAM_LIVE = "live"
PARAM_CURSOR = "cursor"
LIVE_LONG_POLL = "long-poll"
LIVE_SSE = "sse"

TRUE = "true"


def is_true(value: str | None) -> bool:
    """Whether a flag is set: exactly ``true`` in any case (section 4.1).

    Every other value counts as if the field were absent. ``value`` is a field
    value as a parser hands it over, without the white space around it.
    """
    return value is not None and value.lower() == TRUE


def media_type(content_type: str | None) -> str:
    """The lower-case ``type/subtype`` without parameters; "" when absent.

    RFC 9110 section 8.3.1: type and subtype compare without case.
    """
    if content_type is None:
        return ""
    return content_type.partition(";")[0].strip(" \t").lower()


def is_json(content_type: str | None, also: tuple[str, ...] = ()) -> bool:
    """Whether a stream of this type is in JSON mode: application/json, and the types
    that match one of ``also``, in lower case with ``*`` for any text.

    Parameters and case do not matter; other ``+json`` types and ndjson are bytes.
    """
    kind = media_type(content_type)
    return kind == "application/json" or any(fnmatchcase(kind, one) for one in also)
