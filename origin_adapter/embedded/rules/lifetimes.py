"""Lifetimes: parsing, expiry and what a fork inherits (sections 4.2 and 5.1).

A ``Stream-TTL`` slides with every read and write but not with HEAD; a
``Stream-Expires-At`` is a fixed moment. Both at once is refused.
"""

import re
from datetime import datetime

from origin_adapter.embedded.rules.refusals import RefusalReason, Refused, bad_request
from origin_adapter.embedded.rules.values import ENDLESS, Lifetime, StoredStream

_TTL = re.compile(r"0|[1-9][0-9]{0,11}", re.ASCII)
_RFC3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)


def parse(ttl: str | None, expires_at: str | None) -> Lifetime:
    """The lifetime that a PUT asks for. Raises Refused (bad-lifetime)."""
    if ttl is not None and expires_at is not None:
        raise _bad("Stream-TTL and Stream-Expires-At exclude each other")
    if ttl is not None:
        if _TTL.fullmatch(ttl) is None:
            raise _bad("Stream-TTL is a whole number of seconds in plain decimal")
        return Lifetime(ttl=int(ttl))
    if expires_at is not None:
        return Lifetime(at=expires_at, deadline=_moment(expires_at))
    return ENDLESS


def deadline(lifetime: Lifetime, touched: float) -> float | None:
    """Unix seconds at which a stream ends that was last touched then; None: never."""
    if lifetime.ttl is not None:
        return touched + lifetime.ttl
    return lifetime.deadline


def expired(stream: StoredStream, touched: float, now: float) -> bool:
    """Whether the stream's time is over. ``touched`` may be later than its own."""
    end = deadline(stream.lifetime, max(touched, stream.touched))
    return end is not None and now >= end


def for_fork(asked: Lifetime, source: Lifetime) -> Lifetime:
    """A fork's lifetime: what it asked for, otherwise its source's (section 4.2)."""
    return source if asked.endless else asked


def _moment(text: str) -> float:
    if _RFC3339.fullmatch(text) is None:
        raise _bad("Stream-Expires-At is an RFC 3339 timestamp")
    try:
        return datetime.fromisoformat(text.upper().replace(" ", "T")).timestamp()
    except (ValueError, OverflowError):
        raise _bad("Stream-Expires-At is no moment in time") from None


def _bad(detail: str) -> Refused:
    return bad_request(RefusalReason.BAD_LIFETIME, detail)
