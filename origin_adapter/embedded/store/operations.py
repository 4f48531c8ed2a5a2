"""What each command for a stream does inside a transaction.

The rules decide. This module looks up what they need and writes what they return. An
operation that raises Refused has written nothing, with one exception: it may have ended
a stream whose time was over anyway.
"""

import secrets
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from edge.protocol.names import is_json
from origin_adapter.embedded.rules import lineage, stream_rules
from origin_adapter.embedded.rules.values import (
    AppendToStream,
    CreateStream,
    DeleteStream,
    ForkRequest,
    ProducerState,
    StoredStream,
    StreamAppended,
    StreamCreated,
)
from origin_adapter.embedded.store.transaction import Transaction

Grew = Callable[[Transaction, StoredStream], None]
"""Called inside the transaction for a stream that got new bytes."""


def create(
    transaction: Transaction, command: CreateStream, grew: Grew
) -> StreamCreated:
    """PUT: make a stream or a fork, or confirm the one that is there."""
    existing = transaction.current(command.path)
    if existing is not None:
        stream_rules.confirm(existing, command)
        return StreamCreated(existing, new=False)
    stream = (
        _plain(transaction, command)
        if command.fork is None
        else _fork(transaction, command, command.fork)
    )
    if command.batch is not None:
        stream = replace(stream, tail=stream.tail + len(command.batch.body))
        transaction.put(stream)
        transaction.append_row(stream, command.batch.body)
        grew(transaction, stream)
    return StreamCreated(stream, new=True)


def append(
    transaction: Transaction, command: AppendToStream, grew: Grew
) -> StreamAppended:
    """POST: append, close, or both; data, producer and closure in one."""
    stream = stream_rules.living(transaction.current(command.path))
    known = None
    if command.claim is not None:
        known = transaction.producer(stream, command.claim.producer)
    done = stream_rules.append(stream, command, known, transaction.now)
    if done.duplicate:
        return done
    transaction.put(done.stream)
    if command.claim is not None:
        state = ProducerState(command.claim.epoch, command.claim.seq)
        transaction.put_producer(stream, command.claim.producer, state)
    if command.batch is not None:
        transaction.append_row(done.stream, command.batch.body)
        grew(transaction, done.stream)
    return done


def delete(transaction: Transaction, command: DeleteStream) -> StoredStream:
    """DELETE: end a stream; returns it as it was."""
    stream = stream_rules.living(transaction.current(command.path))
    transaction.end(stream)
    return stream


def _plain(transaction: Transaction, command: CreateStream) -> StoredStream:
    draft = stream_rules.draft(command, _tag(), transaction.now)
    stream_rules.check_batch(draft, command)
    return transaction.add(draft)


def _fork(
    transaction: Transaction, command: CreateStream, fork: ForkRequest
) -> StoredStream:
    source = stream_rules.fork_source(transaction.current(fork.source), command)
    at = lineage.divergence(
        source,
        fork,
        partial(transaction.row_after, source),
        is_json(source.content_type),
    )
    spans = lineage.inherited(source, at)
    draft = stream_rules.draft_fork(command, source, at, spans, _tag(), transaction.now)
    stream_rules.check_batch(draft, command)
    transaction.put(replace(source, references=source.references + 1))
    return transaction.add(draft)


def _tag() -> str:
    """What tells an incarnation from every other one, in ETags."""
    return secrets.token_hex(8)
