"""How bytes are cut for TLS: what goes into one record, and out by one call.

``edge.front.tls`` encrypts what ``pieces`` gives. Pure.
"""

from collections.abc import Iterable, Iterator

RECORD = 16 * 1024
"""Bytes of ours in one record (RFC 8446 section 5.1)."""

BATCH = 4 * RECORD
"""Bytes of ours from which on no more are encrypted until these are in the socket.
Record by record, the calls cost more than the cipher; and more than four at once gain
little, and would all wait in memory for a client that does not read."""


def pieces(buffers: Iterable[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    """The bytes of all buffers in order, at most ``BATCH`` at once. What is small is
    joined, so that a head and the begin of its body share a record; what is large is
    not copied."""
    held: list[bytes | memoryview] = []
    room = RECORD
    for buffer in buffers:
        view = memoryview(buffer)
        if view and (held or len(view) < RECORD):
            held.append(view[:room])
            view, room = view[room:], room - len(held[-1])
            if room:
                continue
            yield b"".join(held)
            held, room = [], RECORD
        while len(view) >= RECORD:
            yield view[:BATCH]
            view = view[BATCH:]
        if view:
            held, room = [view], RECORD - len(view)
    if held:
        yield b"".join(held)
