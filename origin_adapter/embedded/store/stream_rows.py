"""Rows of ``stream`` and the values they stand for.

The only place that knows the order of columns. A lineage is written as
``id:low:high`` with semicolons, a closing claim as JSON.
"""

import json
from typing import Any

from origin_adapter.embedded.rules import lifetimes
from origin_adapter.embedded.rules.values import (
    Fork,
    ForkRequest,
    Lifetime,
    ProducerClaim,
    Span,
    StoredStream,
)

_COLUMNS = (
    "path, tag, content_type, ttl, expires_at, expires, inherited, touched, "
    "deadline, base, floor, tail, closed, closed_by, last_seq, source, diverged, "
    "fork_source, fork_offset, fork_sub, lineage, refs, soft_deleted"
)
_MARKS = ", ".join("?" * 23)

SELECT_BY_PATH = f"SELECT id, {_COLUMNS} FROM stream WHERE path = ?"
SELECT_BY_ID = f"SELECT id, {_COLUMNS} FROM stream WHERE id = ?"
INSERT = f"INSERT INTO stream ({_COLUMNS}) VALUES ({_MARKS})"
UPDATE = (
    "UPDATE stream SET touched = ?, deadline = ?, floor = ?, tail = ?, closed = ?, "
    "closed_by = ?, last_seq = ?, refs = ?, soft_deleted = ? WHERE id = ?"
)
REMOVE = "UPDATE stream SET path = NULL WHERE id = ?"

Cells = tuple[Any, ...]


def to_stream(row: Cells) -> StoredStream:
    """The stream that a selected row stands for."""
    (id, path, tag, content_type, ttl, at, expires, inherited, touched, _) = row[:10]
    (base, floor, tail, closed, closed_by, last_seq) = row[10:16]
    (source, diverged, fork_source, fork_offset, fork_sub) = row[16:21]
    (lineage, refs, soft_deleted) = row[21:]
    fork = None
    if source is not None:
        fork = Fork(source, diverged, ForkRequest(fork_source, fork_offset, fork_sub))
    return StoredStream(
        id=id,
        tag=tag,
        path=path,
        content_type=content_type,
        lifetime=Lifetime(ttl, at, expires),
        touched=touched,
        base=base,
        floor=floor,
        tail=tail,
        closed=bool(closed),
        closed_by=None if closed_by is None else ProducerClaim(*json.loads(closed_by)),
        last_seq=last_seq,
        inherited_lifetime=bool(inherited),
        fork=fork,
        lineage=_to_spans(lineage),
        references=refs,
        soft_deleted=bool(soft_deleted),
    )


def to_insert(stream: StoredStream) -> Cells:
    """The cells of a new stream's row."""
    life = stream.lifetime
    return (
        stream.path,
        stream.tag,
        stream.content_type,
        life.ttl,
        life.at,
        life.deadline,
        stream.inherited_lifetime,
        stream.touched,
        lifetimes.deadline(life, stream.touched),
        stream.base,
        stream.floor,
        stream.tail,
        stream.closed,
        _closed_by(stream),
        stream.last_seq,
        *_fork_cells(stream.fork),
        ";".join(f"{s.id}:{s.low}:{s.high}" for s in stream.lineage),
        stream.references,
        stream.soft_deleted,
    )


def to_update(stream: StoredStream) -> Cells:
    """The cells that change during a stream's life, and its id."""
    return (
        stream.touched,
        lifetimes.deadline(stream.lifetime, stream.touched),
        stream.floor,
        stream.tail,
        stream.closed,
        _closed_by(stream),
        stream.last_seq,
        stream.references,
        stream.soft_deleted,
        stream.id,
    )


def _closed_by(stream: StoredStream) -> str | None:
    claim = stream.closed_by
    if claim is None:
        return None
    return json.dumps([claim.producer, claim.epoch, claim.seq])


def _fork_cells(fork: Fork | None) -> Cells:
    if fork is None:
        return (None, None, None, None, None)
    return (
        fork.source_id,
        fork.at,
        fork.request.source,
        fork.request.offset,
        fork.request.sub,
    )


def _to_spans(text: str) -> tuple[Span, ...]:
    return tuple(
        Span(*(int(part) for part in item.split(":")))
        for item in text.split(";")
        if item
    )
