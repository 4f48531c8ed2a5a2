"""Where a fast connection is, and what may follow: a table.

``edge.front.fast.connection`` moves by it.
"""

import enum

READ_SIZE = 64 * 1024
"""Bytes taken from the transport at once, and kept ahead at most."""

BATCH_SIZE = 32
"""Requests of one client that are answered before other clients are served."""


class Stage(enum.StrEnum):
    """Where a connection is."""

    IDLE = "idle"  # nothing of a request has come
    READING = "reading"  # part of a head has come, and may still be plain
    RECEIVING = "receiving"  # the body of a plain write is coming
    WRITING = "writing"  # a plain write is upstream, and not answered yet
    PARKED = "parked"  # its sink waits for an answer, or for the rest of one
    SENDING = "sending"  # the transport is full; reading waits
    HANDED = "handed"  # a greenlet serves one request the whole way
    CLOSED = "closed"  # over


_ANSWERED = {Stage.IDLE, Stage.SENDING, Stage.HANDED}

MOVES = {
    Stage.IDLE: {
        *(Stage.READING, Stage.RECEIVING, Stage.WRITING),
        *(Stage.PARKED, Stage.SENDING, Stage.HANDED),
    },
    Stage.READING: {
        *(Stage.IDLE, Stage.RECEIVING, Stage.WRITING, Stage.PARKED, Stage.HANDED),
    },
    Stage.RECEIVING: {Stage.WRITING, Stage.HANDED},
    Stage.WRITING: {Stage.PARKED, *_ANSWERED},
    Stage.PARKED: _ANSWERED,
    Stage.SENDING: {Stage.PARKED},
    Stage.HANDED: {Stage.IDLE},
    Stage.CLOSED: set(),
}
"""Which stage may follow which. CLOSED may follow every other one, too."""
