"""Landing: what an admitted answer does to the log.

The step between an answer of the origin and the readers who wait for it:
``absorb`` joins a range, learns the tail, and notices when the stream is another
one than before (L1, L2, L5, L7, L8); ``describe`` does so for a HEAD (L20).
Both change the log they are given and say what they found; replacing the log by
a new incarnation and waking readers is the hub's. No sockets, no greenlets.
"""

import enum
from collections.abc import Container
from datetime import datetime

from edge.core.reasons import Reason
from edge.core.values import OriginAnswer
from edge.policy.streams.admission import Admission
from edge.policy.streams.decide import MAX_PROBE
from edge.policy.streams.routes import Route
from edge.protocol import json_arrays, names
from edge.protocol.offsets import NOW, is_position
from edge.streamlog.stream_log import Joined, StreamLog
from edge.streamlog.tail import RequestSnapshot


class Effect(enum.Enum):
    """What became of an answer."""

    GREW = "grew"  # the log holds more than before
    CONFIRMED = "confirmed"  # nothing new, and the stream is as we knew it
    NOT_KEPT = "not-kept"  # for its own askers only
    WENT_BACK = "went-back"  # the tail seems to have gone back: ask by HEAD
    OTHER_BYTES = "other-bytes"  # another incarnation: the bytes differ
    OTHER_TYPE = "other-type"  # another incarnation: the content type differs


RESET_REASONS = {
    Effect.WENT_BACK: Reason.TAIL_WENT_BACK,
    Effect.OTHER_BYTES: Reason.BYTES_DIFFER,
    Effect.OTHER_TYPE: Reason.TYPE_CHANGED,
}


def absorb(
    log: StreamLog,
    route: Route,
    start: str,
    sent: RequestSnapshot,
    admission: Admission,
    answer: OriginAnswer,
    now: float,
    keep: Container[str] = (),
    max_probe: int = MAX_PROBE,
) -> Effect:
    """Take an admitted answer to a read from ``start`` into the log.

    ``keep``: L10. ``max_probe``: the size of the last range up to which a check
    of the end begins before it (L7).
    """
    known = start == NOW or log.knows(start)
    if _is_other_type(log, answer):
        return Effect.OTHER_TYPE if known else Effect.NOT_KEPT
    if not known:
        return _absorb_guess(log, route, start, sent, admission, answer, now, keep)
    if _tells_all(admission) and log.tail.went_back(sent, admission.next):
        return Effect.WENT_BACK
    proves = _proves(log, start, max_probe)
    if not proves and admission.progress:
        # Joined now, these bytes would be all that a later probe looks at (L7).
        return Effect.NOT_KEPT
    joined = Joined.SAME
    if start != NOW:
        joined = log.join(start, admission.next, admission.data, keep)
    if joined is Joined.DIFFERS:
        return Effect.OTHER_BYTES
    _remember(log, route, answer)
    log.last_read_sent = max(log.last_read_sent, sent.at)
    if proves:
        log.tail.confirm(now, sent)
    _learn(log, sent, admission)
    if joined is Joined.NO_PROOF:
        return Effect.NOT_KEPT
    return Effect.GREW if joined is Joined.GREW else Effect.CONFIRMED


def _learn(log: StreamLog, sent: RequestSnapshot, admission: Admission) -> None:
    """What the answer to a known offset tells of the tail (L3)."""
    log.tail.hear(sent, admission.next, admission.up_to_date)
    if admission.closed:
        log.tail.close(admission.next)
    if not admission.data:
        # Nothing to hold, yet the next reader at this offset must find it known.
        log.note_position(admission.next)


def describe(
    log: StreamLog, answer: OriginAnswer, sent: RequestSnapshot, now: float
) -> Effect:
    """Take in what a HEAD's 200 tells: type, tail, closure, TTL, expiry (5.5)."""
    if _is_other_type(log, answer):
        return Effect.OTHER_TYPE
    offset = answer.get(names.IN_NEXT_OFFSET)
    if offset is None or not is_position(offset):
        return Effect.NOT_KEPT
    if log.tail.went_back(sent, offset):
        return Effect.WENT_BACK
    _remember_type(log, answer)
    log.described = True
    log.ttl = _seconds(answer.get(names.IN_TTL))
    log.expires_at = _instant(answer.get(names.IN_EXPIRES_AT))
    if not log.tail.unverified or not log.holds_bytes:
        log.tail.confirm(now, sent)
    log.tail.hear(sent, offset, log.tail.up_to_date and offset == log.tail.offset)
    if names.is_true(answer.get(names.IN_CLOSED)):
        log.tail.close(offset)
    log.note_position(offset)
    return Effect.CONFIRMED


def _absorb_guess(
    log: StreamLog,
    route: Route,
    start: str,
    sent: RequestSnapshot,
    admission: Admission,
    answer: OriginAnswer,
    now: float,
    keep: Container[str],
) -> Effect:
    """An offset that only a client named: kept if it proves itself, no more (L1)."""
    if not admission.progress:
        return Effect.NOT_KEPT
    joined = log.join(start, admission.next, admission.data, keep)
    if joined not in (Joined.GREW, Joined.SAME):
        return Effect.NOT_KEPT
    _remember(log, route, answer)
    if not log.tail.unverified:
        log.tail.confirm(now, sent)
    return Effect.GREW


def _tells_all(admission: Admission) -> bool:
    """Whether the answer ends where the stream does, as far as its origin knows.

    Others may be pages: where those end says nothing about the tail (L2).
    """
    return admission.up_to_date or admission.closed or not admission.progress


def _proves(log: StreamLog, start: str, max_probe: int) -> bool:
    """Whether an answer from ``start`` shows that this is still the same stream.

    After contact was lost, one that begins at the end proves nothing: a longer
    log of a recreated stream answers it just as well. It has to do where no
    read can begin before the end: that is the documented limit (L7).
    """
    if not log.tail.unverified or not log.holds_bytes:
        return True
    if start == log.end:
        return log.probe_start(max_probe) == start
    return start != NOW


def _is_other_type(log: StreamLog, answer: OriginAnswer) -> bool:
    told = answer.get("content-type")
    return (
        answer.status == 200
        and told is not None
        and log.content_type is not None
        and _plain(told) != _plain(log.content_type)
    )


def _plain(content_type: str) -> str:
    return content_type.replace(" ", "").lower()


def _remember(log: StreamLog, route: Route, answer: OriginAnswer) -> None:
    """What later answers repeat: the type, the origin's cursor, kept headers (L18)."""
    _remember_type(log, answer)
    log.origin_cursor = answer.get(names.IN_CURSOR) or log.origin_cursor
    if route.response_headers and answer.status == 200:
        log.kept_headers = tuple(
            (name, value)
            for name, value in answer.headers
            if name in route.response_headers
        )


def _remember_type(log: StreamLog, answer: OriginAnswer) -> None:
    told = answer.get("content-type")
    if answer.status == 200 and told is not None and log.content_type is None:
        log.content_type = told
        log.is_json = json_arrays.is_json(told)


def _seconds(text: str | None) -> int | None:
    if text is None or not (text.isascii() and text.isdigit()) or len(text) > 12:
        return None
    return int(text)


def _instant(text: str | None) -> float | None:
    """RFC 3339 to Unix seconds; None when it is none."""
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return instant.timestamp() if instant.tzinfo else None
