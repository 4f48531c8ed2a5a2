"""Acts: what each command does inside a transaction.

The rules decide; here is looked up what they need and written what they return.
An act that raises Refused has written nothing but, perhaps, the end of a stream
whose time was over anyway.
"""

import secrets
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from edge.protocol.json_arrays import is_json
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


def create(transaction: Transaction, ask: CreateStream, grew: Grew) -> StreamCreated:
    """PUT: make a stream or a fork, or confirm the one that is there."""
    existing = transaction.current(ask.path)
    if existing is not None:
        stream_rules.confirm(existing, ask)
        return StreamCreated(existing, new=False)
    stream = (
        _plain(transaction, ask)
        if ask.fork is None
        else _fork(transaction, ask, ask.fork)
    )
    if ask.batch is not None:
        stream = replace(stream, tail=stream.tail + len(ask.batch.body))
        transaction.put(stream)
        transaction.append_row(stream, ask.batch.body)
        grew(transaction, stream)
    return StreamCreated(stream, new=True)


def append(transaction: Transaction, ask: AppendToStream, grew: Grew) -> StreamAppended:
    """POST: append, close, or both; data, producer and closure in one."""
    stream = stream_rules.living(transaction.current(ask.path))
    known = None
    if ask.claim is not None:
        known = transaction.producer(stream, ask.claim.producer)
    done = stream_rules.append(stream, ask, known, transaction.now)
    if done.duplicate:
        return done
    transaction.put(done.stream)
    if ask.claim is not None:
        state = ProducerState(ask.claim.epoch, ask.claim.seq)
        transaction.put_producer(stream, ask.claim.producer, state)
    if ask.batch is not None:
        transaction.append_row(done.stream, ask.batch.body)
        grew(transaction, done.stream)
    return done


def delete(transaction: Transaction, ask: DeleteStream) -> StoredStream:
    """DELETE: end a stream; returns it as it was."""
    stream = stream_rules.living(transaction.current(ask.path))
    transaction.end(stream)
    return stream


def _plain(transaction: Transaction, ask: CreateStream) -> StoredStream:
    draft = stream_rules.draft(ask, _tag(), transaction.now)
    stream_rules.check_batch(draft, ask)
    return transaction.add(draft)


def _fork(
    transaction: Transaction, ask: CreateStream, fork: ForkRequest
) -> StoredStream:
    source = stream_rules.fork_source(transaction.current(fork.source), ask)
    at = lineage.divergence(
        source,
        fork,
        partial(transaction.row_after, source),
        is_json(source.content_type),
    )
    spans = lineage.inherited(source, at)
    draft = stream_rules.draft_fork(ask, source, at, spans, _tag(), transaction.now)
    stream_rules.check_batch(draft, ask)
    transaction.put(replace(source, references=source.references + 1))
    return transaction.add(draft)


def _tag() -> str:
    """What sets an incarnation apart from every other one, in ETags."""
    return secrets.token_hex(8)
