"""AnswerFacts: what an answer tells of its stream beside the range that it brings.

The content type, the TTL and the expiry, the origin's cursor, and the fields that the
route keeps. ``edge.live.ingest`` takes in the rest. This module changes logs alone.
"""

from datetime import datetime

from edge.core.values import Framing, OriginAnswer, Provenance
from edge.policy.streams.admission import stale_limit
from edge.policy.streams.routes import Route
from edge.protocol import names
from edge.streamlog.stream_log import UNKNOWN_TTL, StreamLog

MAX_TTL_DIGITS = 12


NO_HEAD = OriginAnswer(405, ())
"""A keeper's word to a front that HEAD tells nothing of a stream (U12)."""


def is_other_type(log: StreamLog, answer: OriginAnswer) -> bool:
    told = answer.get("content-type")
    return (
        answer.status == 200
        and told is not None
        and log.content_type is not None
        and _plain(told) != _plain(log.content_type)
    )


def _plain(content_type: str) -> str:
    return content_type.replace(" ", "").lower()


def head_of(log: StreamLog, offset: str, now: float) -> OriginAnswer:
    """What a HEAD of the stream would be answered with, as far as is known (W9): all
    that ``describe`` takes from one, with the age of that knowledge."""
    told = (
        ("content-type", log.content_type),
        (names.IN_NEXT_OFFSET, offset),
        (names.IN_CLOSED, "true" if log.tail.closed else None),
        (names.IN_TTL, None if log.ttl is None else str(log.ttl)),
        (names.IN_EXPIRES_AT, log.expires_told),
    )
    fields = tuple((name, value) for name, value in told if value is not None)
    age = Provenance(confirmed_ago=log.tail.age(now))
    return OriginAnswer(200, fields + log.kept_headers, b"", Framing.NONE, age)


def remember(log: StreamLog, route: Route, answer: OriginAnswer) -> None:
    """Keep what later answers repeat: type, origin's cursor, kept headers (L18)."""
    remember_head(log, route, answer)
    log.origin_cursor = answer.get(names.IN_CURSOR) or log.origin_cursor
    if answer.status == 200 and answer.body:
        log.stale_limit = stale_limit(answer)


def remember_head(log: StreamLog, route: Route, answer: OriginAnswer) -> None:
    told = answer.get("content-type")
    if answer.status != 200:
        return
    if told is not None and log.content_type is None:
        log.content_type = told
        log.is_json = names.is_json(told, route.json_types)
    if route.response_headers:
        log.kept_headers = route.kept(answer.headers)


def seconds(text: str | None) -> int | None:
    if text is None or not (text.isascii() and text.isdigit()):
        return None
    return int(text) if len(text) <= MAX_TTL_DIGITS else None


def instant(text: str | None) -> float | None:
    """RFC 3339 to Unix seconds; None when it is none."""
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return instant.timestamp() if instant.tzinfo else None


def describe_by_get(log: StreamLog, answer: OriginAnswer) -> None:
    """Let a GET's answer, which the log has taken in, stand for a HEAD's (U12).

    It tells type, tail and closure. Few origins tell TTL and expiry on it; a stream has
    one of the two at most (5.1).
    """
    if log.ttl_told:
        return
    ttl = seconds(answer.get(names.IN_TTL))
    log.expires_at = instant(answer.get(names.IN_EXPIRES_AT))
    log.described = True
    log.ttl_told = ttl is not None or log.expires_at is not None
    log.ttl = ttl if log.ttl_told else UNKNOWN_TTL
