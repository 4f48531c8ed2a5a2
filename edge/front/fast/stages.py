"""Stages: where a fast connection is, and what follows what.

A table, so that a move nobody thought of is found where it is made.
"""

import enum


class Stage(enum.StrEnum):
    """Where a connection is."""

    IDLE = "idle"  # nothing of a request has come
    READING = "reading"  # part of a head has come, and may still be plain
    PARKED = "parked"  # the hub holds its sink
    SENDING = "sending"  # the socket is full; reading waits
    HANDED = "handed"  # a greenlet serves one request the whole way
    CLOSED = "closed"  # over


_MOVES = {
    Stage.IDLE: {Stage.READING, Stage.PARKED, Stage.SENDING, Stage.HANDED},
    Stage.READING: {Stage.PARKED, Stage.SENDING, Stage.HANDED},
    Stage.PARKED: {Stage.IDLE, Stage.SENDING, Stage.HANDED},
    Stage.SENDING: {Stage.IDLE, Stage.PARKED, Stage.HANDED},
    Stage.HANDED: {Stage.IDLE},
    Stage.CLOSED: set(),
}


def check(before: Stage, after: Stage) -> Stage:
    """``after``; RuntimeError when the table has no such move. All may close."""
    allowed = after in _MOVES[before] or after is Stage.CLOSED
    if not allowed or before is Stage.CLOSED:
        raise RuntimeError(f"a connection that is {before.value}: {after.value}?")
    return after
