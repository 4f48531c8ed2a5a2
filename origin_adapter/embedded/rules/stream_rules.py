"""What a command does to a stream (sections 4 and 5). Pure.

``store.operations`` looks up what a rule needs, calls it, and writes what it
returns; ``http.writes`` calls ``check_append`` early to choose between two
refusals. A rule that raises Refused has changed nothing.

Precedence of refusals for an append (section 5.2): gone, closed, content type,
producer, ``Stream-Seq``. A producer's retry is answered as a duplicate before
``Stream-Seq`` could call it a regression.
"""

from dataclasses import replace

from edge.protocol.names import CLOSED, NEXT_OFFSET, TRUE, is_json, media_type
from origin_adapter.embedded.rules import lifetimes, offsets, producers
from origin_adapter.embedded.rules.producers import ProducerVerdict
from origin_adapter.embedded.rules.refusals import RefusalReason, Refused, conflict
from origin_adapter.embedded.rules.values import (
    AppendToStream,
    CreateStream,
    Fork,
    ProducerClaim,
    ProducerState,
    Span,
    StoredStream,
    StreamAppended,
)

DEFAULT_TYPE = "application/octet-stream"


def living(stream: StoredStream | None) -> StoredStream:
    """The stream if it answers to its URL; raises Refused (not-found, gone)."""
    if stream is None:
        raise Refused(404, RefusalReason.NOT_FOUND, "no such stream")
    if stream.soft_deleted:
        raise Refused(
            410, RefusalReason.GONE, "the stream was deleted; forks still read it"
        )
    return stream


def confirm(stream: StoredStream, command: CreateStream) -> None:
    """Raise Refused unless a PUT describes the stream as it is (section 5.1)."""
    if stream.soft_deleted:
        raise conflict(RefusalReason.BLOCKED, "deleted, but forks still read it")
    matches = (
        _same_type(stream, command)
        and _same_lifetime(stream, command)
        and stream.closed == command.closed
        and _same_fork(stream, command)
    )
    if not matches:
        raise conflict(
            RefusalReason.EXISTS, "a stream with another configuration exists"
        )


def fork_source(source: StoredStream | None, command: CreateStream) -> StoredStream:
    """The stream to fork. Raises Refused if it may not be forked."""
    if source is None:
        raise Refused(404, RefusalReason.SOURCE_NOT_FOUND, "no such source stream")
    if source.soft_deleted:
        raise conflict(RefusalReason.SOURCE_GONE, "the source was deleted")
    if command.content_type is not None and media_type(
        command.content_type
    ) != media_type(source.content_type):
        raise conflict(
            RefusalReason.TYPE_MISMATCH, "the source has another content type"
        )
    return source


def draft(command: CreateStream, tag: str, now: float) -> StoredStream:
    """A new stream without bytes, not a fork. It gets its id when it is stored."""
    return StoredStream(
        id=0,
        tag=tag,
        path=command.path,
        content_type=command.content_type or DEFAULT_TYPE,
        lifetime=command.lifetime,
        touched=now,
        closed=command.closed,
    )


def draft_fork(
    command: CreateStream,
    source: StoredStream,
    at: int,
    spans: tuple[Span, ...],
    tag: str,
    now: float,
) -> StoredStream:
    """A new fork of ``source`` that diverges at ``at``, open unless asked closed."""
    if command.fork is None:
        raise ValueError("a fork is asked for as one")
    return replace(
        draft(command, tag, now),
        content_type=command.content_type or source.content_type,
        lifetime=lifetimes.for_fork(command.lifetime, source.lifetime),
        inherited_lifetime=command.lifetime.endless,
        base=at,
        floor=source.floor,
        tail=at,
        fork=Fork(source.id, at, command.fork),
        lineage=spans,
    )


def check_batch(stream: StoredStream, command: CreateStream) -> None:
    """Raise Refused (type-mismatch) if the first bytes were read as another type.

    That happens when, after the body was read, a fork's source was replaced by a stream
    of another type.
    """
    if command.batch is not None and command.batch.json != is_json(stream.content_type):
        raise conflict(
            RefusalReason.TYPE_MISMATCH, "the source changed its content type"
        )


def check_append(stream: StoredStream, command: AppendToStream) -> bool:
    """Whether an append may go on to its producer's check; False: a duplicate close.

    Raises Refused (closed, type-mismatch).
    """
    if stream.closed:
        if _repeats_close(stream, command):
            return False
        raise conflict(
            RefusalReason.CLOSED,
            "the stream is closed",
            ((CLOSED, TRUE), (NEXT_OFFSET, offsets.to_text(stream.tail))),
        )
    if command.batch is not None and media_type(command.content_type) != media_type(
        stream.content_type
    ):
        raise conflict(
            RefusalReason.TYPE_MISMATCH, "the stream has another content type"
        )
    return True


def append(
    stream: StoredStream,
    command: AppendToStream,
    known: ProducerState | None,
    now: float,
) -> StreamAppended:
    """The stream after an append or a close; raises Refused.

    ``known`` is what is known of the claim's producer. Unless the outcome is a
    duplicate, the batch and the claim have to be written with the stream.
    """
    if not check_append(stream, command):
        return StreamAppended(stream, duplicate=True, claim=command.claim)
    if command.claim is not None:
        verdict = producers.judge(command.claim, known)
        refusal = producers.refusal(verdict, command.claim, known)
        if refusal is not None:
            raise refusal
        if verdict is ProducerVerdict.DUPLICATE and known is not None:
            return StreamAppended(
                stream, duplicate=True, claim=_highest(command.claim, known)
            )
    return StreamAppended(_grown(stream, command, now), claim=command.claim)


def trimmed(stream: StoredStream, floor: int) -> StoredStream:
    """The stream after retention dropped its bytes below ``floor``."""
    return replace(stream, floor=max(stream.floor, floor))


def _grown(stream: StoredStream, command: AppendToStream, now: float) -> StoredStream:
    size = 0 if command.batch is None else len(command.batch.body)
    seq = stream.last_seq
    if command.seq is not None and command.batch is not None:
        if seq is not None and command.seq.encode() <= seq.encode():
            raise conflict(
                RefusalReason.SEQ_REGRESSION,
                "sequence conflict: Stream-Seq must be above the last one",
            )
        seq = command.seq
    return replace(
        stream,
        tail=stream.tail + size,
        last_seq=seq,
        closed=command.close,
        closed_by=command.claim if command.close else None,
        touched=max(now, stream.touched),
    )


def _repeats_close(stream: StoredStream, command: AppendToStream) -> bool:
    """Whether it closes again without a producer, or repeats the closing request."""
    if command.claim is not None:
        return stream.closed_by == command.claim
    return command.close and command.batch is None


def _highest(claim: ProducerClaim, known: ProducerState) -> ProducerClaim:
    return ProducerClaim(claim.producer, known.epoch, known.seq)


def _same_type(stream: StoredStream, command: CreateStream) -> bool:
    if command.content_type is None and command.fork is not None:
        return True
    asked = media_type(command.content_type or DEFAULT_TYPE)
    return asked == media_type(stream.content_type)


def _same_lifetime(stream: StoredStream, command: CreateStream) -> bool:
    if command.lifetime.endless and command.fork is not None:
        return stream.inherited_lifetime
    same_ttl = command.lifetime.ttl == stream.lifetime.ttl
    return same_ttl and command.lifetime.deadline == stream.lifetime.deadline


def _same_fork(stream: StoredStream, command: CreateStream) -> bool:
    """Same source and sub-offset, and the same offset if one is given.

    Without an offset a PUT meant the source's tail at creation. Wherever the tail is
    now, a repeated PUT without an offset is therefore the same request.
    """
    if command.fork is None or stream.fork is None:
        return command.fork is None and stream.fork is None
    known = stream.fork.request
    if (command.fork.source, command.fork.sub) != (known.source, known.sub):
        return False
    return command.fork.offset is None or command.fork.offset == _anchor_text(
        stream.fork
    )


def _anchor_text(fork: Fork) -> str:
    """The offset of a divergence, as a client could have written it."""
    if fork.request.offset is not None:
        return fork.request.offset
    return offsets.to_text(fork.at)
