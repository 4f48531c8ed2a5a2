"""Writes: what a write that passed through this edge says of the keys of its path.

A write is judged by its method and its answer alone, once for all keys of its path:

========= ===================================== =======================================
means     the write                             the keys
--------- ------------------------------------- ---------------------------------------
REPLACED  PUT 201, DELETE 2xx, either one lost  all begin a new incarnation (L5)
DOUBTED   PUT or DELETE 5xx                     all confirm before the next byte (U5)
APPENDED  POST 2xx                              equal: its offset counts (L4)
                                                others: asked again once (U13)
UNSURE    POST lost or 5xx                      equal, others: asked again once
CLOSED    POST 409 that names the closed end    equal: closed there
NOTHING   all else: refused, or nothing to do   as they were
========= ===================================== =======================================

A key is equal if its extension parameters are the writer's, whatever the credentials
of both (``edge.policy.streams.classify.plain_extension``). An origin that took a write
is there: reads of the keys that it means are not held back any longer (U7).

This module changes rows, and yields steps for everything else. It never asks the origin
and never switches greenlets.
"""

import enum
from typing import assert_never

from edge.core.ports import Board
from edge.core.reasons import Reason
from edge.core.values import WriteOutcome
from edge.live.registry import StreamRegistry
from edge.live.rows import Stream
from edge.live.steps import Kick, Replace, Steps, Wake
from edge.protocol import names
from edge.protocol.offsets import is_position


class Meaning(enum.Enum):
    """What a write says of its path; see the module."""

    REPLACED = "replaced"
    DOUBTED = "doubted"
    APPENDED = "appended"
    UNSURE = "unsure"
    CLOSED = "closed"
    NOTHING = "nothing"


def written(
    streams: StreamRegistry, write: WriteOutcome, now: float, board: Board | None = None
) -> Steps:
    """A write was answered, or its answer was lost. ``now`` is monotonic seconds.

    Called before the writer gets its answer. The other processes of the node are told
    by the ``board``, unless a keeper has heard the answer, and told them (W4).
    """
    fields = {name.lower(): value for name, value in write.headers}
    offset = fields.get(names.IN_NEXT_OFFSET)
    if offset is not None and not is_position(offset):
        offset = None
    closed = names.is_true(fields.get(names.IN_CLOSED))
    meaning = _meaning(write, closed and offset is not None)
    if board is not None and not write.by_keeper:
        _store(board, write.path, meaning, None if closed else offset)
    status = write.status
    accepted = write.method != "DELETE" and status is not None and status < 300
    for stream in streams.of_path(write.route, write.path):
        equal = stream.plain_extension == write.extension
        if accepted and equal:
            # What is written to is worth keeping (U15).
            streams.promote(stream)
        if meaning is Meaning.REPLACED:
            if write.status is not None:
                _end_pause(stream)
            yield Replace(stream, Reason.REWRITTEN)
        elif meaning is Meaning.DOUBTED:
            doubt(stream, now)
        elif equal:
            yield from _equal(stream, meaning, offset, closed, write.begun_at)
        elif meaning in (Meaning.APPENDED, Meaning.UNSURE):
            # What a 5xx names is no place of a write.
            named = offset if meaning is Meaning.APPENDED else None
            stream.log.tail.acknowledge_foreign(
                write.extension, named, write.begun_at, now
            )
            streams.weigh(stream)


def doubt(stream: Stream, now: float) -> None:
    """Another stream may be there: the origin confirms it before the next byte. Nor may
    a poll from before now vouch for the end."""
    stream.log.tail.mark_unverified(now)
    stream.log.tail.acknowledge(None, closed=False)


def _equal(
    stream: Stream,
    meaning: Meaning,
    offset: str | None,
    closed: bool,
    begun_at: float,
) -> Steps:
    """The write was to this key's own stream. One that was begun before this life of
    the stream was known here may have been to another one, whose offsets mean nothing
    (L5): of an append only what is asked from now on tells, and of an end nothing."""
    tail = stream.log.tail
    if begun_at < stream.log.began_at:
        offset, closed = None, False
    if meaning in (Meaning.APPENDED, Meaning.CLOSED):
        _end_pause(stream)
    match meaning:
        case Meaning.APPENDED:
            tail.acknowledge(offset, closed)
        case Meaning.CLOSED if offset is not None:
            tail.close(offset)
        case Meaning.UNSURE:
            # No news of an origin that is well: a follower that backs off goes on so.
            tail.acknowledge(None, closed=False)
            return
        case _:
            return
    yield Kick(stream)
    if tail.closed and tail.offset == stream.log.end:
        # The end is held: only the closure is new. Else the poll brings data and it.
        yield Wake(stream)


def _store(board: Board, path: str, meaning: Meaning, offset: str | None) -> None:
    """Let all processes of the node know. ``offset``: what a row has reached that shows
    the write; None: nothing that a row holds shows it."""
    match meaning:
        case Meaning.REPLACED | Meaning.DOUBTED:
            board.store_life(path)
        case Meaning.APPENDED:
            board.store_write(path, offset)
        case Meaning.UNSURE | Meaning.CLOSED:
            board.store_write(path, None)
        case Meaning.NOTHING:
            return
        case _:
            assert_never(meaning)


def _end_pause(stream: Stream) -> None:
    """The origin took a write: reads are not held back any longer (U7)."""
    if stream.contact is not None:
        stream.contact.write_worked()


def _meaning(write: WriteOutcome, tells_end: bool) -> Meaning:
    """``tells_end``: the answer says where the stream is closed."""
    status = write.status
    lost = status is None
    succeeded = status is not None and 200 <= status < 300
    failed = status is not None and status >= 500
    match write.method:
        case "POST":
            if succeeded:
                return Meaning.APPENDED
            if lost or failed:
                return Meaning.UNSURE
            return Meaning.CLOSED if status == 409 and tells_end else Meaning.NOTHING
        case "PUT" | "DELETE" if failed:
            return Meaning.DOUBTED
        case "PUT":
            return Meaning.REPLACED if lost or status == 201 else Meaning.NOTHING
        case "DELETE":
            return Meaning.REPLACED if lost or succeeded else Meaning.NOTHING
    return Meaning.NOTHING
