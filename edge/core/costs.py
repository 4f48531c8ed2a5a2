"""What things cost in memory, in bytes: the estimates by which tables are bounded.

Every table that clients, or what they name, can fill counts by these (U15). They are
sizes of CPython objects, with what dictionaries and lists allocate ahead. Texts count
besides, by their characters. ``tests/live/test_costs.py`` measures each of them.

The parts that hold the tables count; here is only what each thing costs.
"""

from edge.core.values import StreamKey

LOG = 1024
"""A log that holds nothing, with its tail."""

SEGMENT = 512
"""A segment that holds nothing."""

BOUNDARY = 80
"""A boundary beside its offset's characters (L10): the header of the str, a slot in
each of two lists, and what lists allocate ahead."""

FOREIGN = 256
"""Noted writes with the same parameters (U13), beside these."""

ROW = 2048
"""A row, its key, and its places in the tables, beside their texts."""

LARGE_START = 192
"""A start whose answer was too large to hold (L11)."""

NOTED_LENDER = 256
"""A credential that was refused, or rests (B7): its digest, and a time."""

CONTACT = 1024
"""What failed at an origin lately (U6), beside the answer that told so."""

EVENT_TRUST = 512
"""What is remembered of following a stream by events (U20)."""

FIELD = 160
"""A header field beside its characters: two strings and a pair."""

PREPARED = 1024
"""An answer that was prepared for all who get it, beside its body."""

EVENT = 512
"""A data event that was prepared for all who get it, beside its bytes."""

KEPT_ANSWER = 4096
"""An answer that is given again, beside its body: the read that it was given to, its
encoded head, and what it depends on. That is a row, which may be forgotten since."""

MAX_ENCODED_BODY = 32 * 1024
"""A body up to this size is held once more, behind its encoded head."""

PARK_HINT = 4096
"""The place where a live read waits: the read, and a row, which may be forgotten."""


def of_key(key: StreamKey) -> int:
    """What a row costs beside all that it notes: clients can make up long keys."""
    texts = len(key.path) + len(key.extension)
    sent = sum(FIELD + len(k) + len(v) for k, v in key.partition.headers)
    return ROW + texts + sent
