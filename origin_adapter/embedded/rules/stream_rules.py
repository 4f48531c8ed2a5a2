"""The catalogue's rules: what a request does to a stream (sections 4 and 5).

Pure. The keep looks up what a rule needs, calls it, and writes what it returns;
``front`` calls ``check_append`` early to choose between two refusals. A rule
that raises Refused has changed nothing.

Precedence of refusals for an append (section 5.2): gone, closed, content type,
producer, ``Stream-Seq``. A producer's retry is answered as a duplicate before
``Stream-Seq`` could call it a regression.
"""

from dataclasses import replace

from edge.protocol.json_arrays import is_json
from edge.protocol.names import CLOSED, NEXT_OFFSET, TRUE, media_type
from origin_adapter.embedded.rules import lifetimes, offsets, producers
from origin_adapter.embedded.rules.producers import Verdict
from origin_adapter.embedded.rules.refusals import Refused, Why, conflict
from origin_adapter.embedded.rules.values import (
    Append,
    Appended,
    Claim,
    Create,
    Fork,
    Producer,
    Span,
    Stream,
)

DEFAULT_TYPE = "application/octet-stream"


def living(stream: Stream | None) -> Stream:
    """The stream if it answers to its URL; raises Refused (not-found, gone)."""
    if stream is None:
        raise Refused(404, Why.NOT_FOUND, "no such stream")
    if stream.soft_deleted:
        raise Refused(410, Why.GONE, "the stream was deleted; forks still read it")
    return stream


def confirm(stream: Stream, ask: Create) -> None:
    """Whether a PUT names the stream as it is (section 5.1); raises Refused."""
    if stream.soft_deleted:
        raise conflict(Why.BLOCKED, "deleted, but forks still read it")
    matches = (
        _same_type(stream, ask)
        and _same_lifetime(stream, ask)
        and stream.closed == ask.closed
        and _same_fork(stream, ask)
    )
    if not matches:
        raise conflict(Why.EXISTS, "a stream with another configuration exists")


def fork_source(source: Stream | None, ask: Create) -> Stream:
    """The stream that a fork may be made of; raises Refused."""
    if source is None:
        raise Refused(404, Why.SOURCE_NOT_FOUND, "no such source stream")
    if source.soft_deleted:
        raise conflict(Why.SOURCE_GONE, "the source was deleted")
    if ask.content_type is not None and media_type(ask.content_type) != media_type(
        source.content_type
    ):
        raise conflict(Why.TYPE_MISMATCH, "the source has another content type")
    return source


def draft(ask: Create, tag: str, now: float) -> Stream:
    """A new stream without bytes, not a fork. Its id comes with its record."""
    return Stream(
        id=0,
        tag=tag,
        path=ask.path,
        content_type=ask.content_type or DEFAULT_TYPE,
        lifetime=ask.lifetime,
        touched=now,
        closed=ask.closed,
    )


def draft_fork(
    ask: Create, source: Stream, at: int, spans: tuple[Span, ...], tag: str, now: float
) -> Stream:
    """A new fork of ``source`` that diverges at ``at``, open unless asked closed."""
    if ask.fork is None:
        raise ValueError("a fork is asked for as one")
    return replace(
        draft(ask, tag, now),
        content_type=ask.content_type or source.content_type,
        lifetime=lifetimes.for_fork(ask.lifetime, source.lifetime),
        inherited_lifetime=ask.lifetime.endless,
        base=at,
        floor=source.floor,
        tail=at,
        fork=Fork(source.id, at, ask.fork),
        lineage=spans,
    )


def check_batch(stream: Stream, ask: Create) -> None:
    """Whether the first bytes were read as what the stream's type makes of them.

    They were not when a fork's source was replaced by one of another type after
    the body was read. Raises Refused (type-mismatch).
    """
    if ask.batch is not None and ask.batch.json != is_json(stream.content_type):
        raise conflict(Why.TYPE_MISMATCH, "the source changed its content type")


def check_append(stream: Stream, ask: Append) -> bool:
    """Whether an append could go on to its producer; False: a duplicate close.

    Raises Refused (closed, type-mismatch).
    """
    if stream.closed:
        if _repeats_close(stream, ask):
            return False
        raise conflict(
            Why.CLOSED,
            "the stream is closed",
            ((CLOSED, TRUE), (NEXT_OFFSET, offsets.to_text(stream.tail))),
        )
    if ask.batch is not None and media_type(ask.content_type) != media_type(
        stream.content_type
    ):
        raise conflict(Why.TYPE_MISMATCH, "the stream has another content type")
    return True


def append(stream: Stream, ask: Append, known: Producer | None, now: float) -> Appended:
    """The stream after an append or a close; raises Refused.

    ``known`` is what is known of the claim's producer. When the outcome is no
    duplicate, the batch and the claim are to be written with the stream.
    """
    if not check_append(stream, ask):
        return Appended(stream, duplicate=True, claim=ask.claim)
    if ask.claim is not None:
        verdict = producers.judge(ask.claim, known)
        refusal = producers.refusal(verdict, ask.claim, known)
        if refusal is not None:
            raise refusal
        if verdict is Verdict.DUPLICATE and known is not None:
            return Appended(stream, duplicate=True, claim=_highest(ask.claim, known))
    return Appended(_grown(stream, ask, now), claim=ask.claim)


def trimmed(stream: Stream, floor: int) -> Stream:
    """The stream after retention dropped its bytes below ``floor``."""
    return replace(stream, floor=max(stream.floor, floor))


def _grown(stream: Stream, ask: Append, now: float) -> Stream:
    size = 0 if ask.batch is None else len(ask.batch.body)
    seq = stream.last_seq
    if ask.seq is not None and ask.batch is not None:
        if seq is not None and ask.seq.encode() <= seq.encode():
            raise conflict(Why.SEQ_REGRESSION, "Stream-Seq must increase")
        seq = ask.seq
    return replace(
        stream,
        tail=stream.tail + size,
        last_seq=seq,
        closed=ask.close,
        closed_by=ask.claim if ask.close else None,
        touched=max(now, stream.touched),
    )


def _repeats_close(stream: Stream, ask: Append) -> bool:
    """Closing again without a producer, or the very request that closed."""
    if ask.claim is not None:
        return stream.closed_by == ask.claim
    return ask.close and ask.batch is None


def _highest(claim: Claim, known: Producer) -> Claim:
    return Claim(claim.producer, known.epoch, known.seq)


def _same_type(stream: Stream, ask: Create) -> bool:
    if ask.content_type is None and ask.fork is not None:
        return True
    asked = media_type(ask.content_type or DEFAULT_TYPE)
    return asked == media_type(stream.content_type)


def _same_lifetime(stream: Stream, ask: Create) -> bool:
    if ask.lifetime.endless and ask.fork is not None:
        return stream.inherited_lifetime
    same_ttl = ask.lifetime.ttl == stream.lifetime.ttl
    return same_ttl and ask.lifetime.deadline == stream.lifetime.deadline


def _same_fork(stream: Stream, ask: Create) -> bool:
    """Same source and sub-offset, and the same offset where one is said.

    Without an offset the source's tail at creation was meant, whatever it is
    by now, so a repeated PUT without one is the same request.
    """
    if ask.fork is None or stream.fork is None:
        return ask.fork is None and stream.fork is None
    known = stream.fork.ask
    if (ask.fork.source, ask.fork.sub) != (known.source, known.sub):
        return False
    return ask.fork.offset is None or ask.fork.offset == _anchor_text(stream.fork)


def _anchor_text(fork: Fork) -> str:
    """The offset of a divergence as its client could have said it."""
    if fork.ask.offset is not None:
        return fork.ask.offset
    return offsets.to_text(fork.at)
