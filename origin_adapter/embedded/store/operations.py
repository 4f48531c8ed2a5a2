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
    Append,
    Appended,
    Create,
    Created,
    Delete,
    ForkAsk,
    Producer,
    Stream,
)
from origin_adapter.embedded.store.transaction import Transaction

Grew = Callable[[Transaction, Stream], None]
"""Called inside the transaction for a stream that got new bytes."""


def create(unit: Transaction, ask: Create, grew: Grew) -> Created:
    """PUT: make a stream or a fork, or confirm the one that is there."""
    existing = unit.current(ask.path)
    if existing is not None:
        stream_rules.confirm(existing, ask)
        return Created(existing, new=False)
    stream = _plain(unit, ask) if ask.fork is None else _fork(unit, ask, ask.fork)
    if ask.batch is not None:
        stream = replace(stream, tail=stream.tail + len(ask.batch.body))
        unit.put(stream)
        unit.append_row(stream, ask.batch.body)
        grew(unit, stream)
    return Created(stream, new=True)


def append(unit: Transaction, ask: Append, grew: Grew) -> Appended:
    """POST: append, close, or both; data, producer and closure in one."""
    stream = stream_rules.living(unit.current(ask.path))
    known = None
    if ask.claim is not None:
        known = unit.producer(stream, ask.claim.producer)
    done = stream_rules.append(stream, ask, known, unit.now)
    if done.duplicate:
        return done
    unit.put(done.stream)
    if ask.claim is not None:
        state = Producer(ask.claim.epoch, ask.claim.seq)
        unit.put_producer(stream, ask.claim.producer, state)
    if ask.batch is not None:
        unit.append_row(done.stream, ask.batch.body)
        grew(unit, done.stream)
    return done


def delete(unit: Transaction, ask: Delete) -> Stream:
    """DELETE: end a stream; returns it as it was."""
    stream = stream_rules.living(unit.current(ask.path))
    unit.end(stream)
    return stream


def _plain(unit: Transaction, ask: Create) -> Stream:
    draft = stream_rules.draft(ask, _tag(), unit.now)
    stream_rules.check_batch(draft, ask)
    return unit.add(draft)


def _fork(unit: Transaction, ask: Create, fork: ForkAsk) -> Stream:
    source = stream_rules.fork_source(unit.current(fork.source), ask)
    at = lineage.divergence(
        source, fork, partial(unit.row_after, source), is_json(source.content_type)
    )
    spans = lineage.inherited(source, at)
    draft = stream_rules.draft_fork(ask, source, at, spans, _tag(), unit.now)
    stream_rules.check_batch(draft, ask)
    unit.put(replace(source, references=source.references + 1))
    return unit.add(draft)


def _tag() -> str:
    """What sets an incarnation apart from every other one, in ETags."""
    return secrets.token_hex(8)
