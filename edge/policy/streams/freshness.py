"""Freshness: how long downstream caches may keep an answer, and by what it varies.

The table stands in docs/rules.md (L12, L16). Freshness is the edge's own, never the
origin's. No log and no clock is looked at: the caller says how many seconds an answer
has left (TTL, expiry, L14).

Sources: RFC 9111 sections 3 and 5.2, RFC 5861, RFC 8246; PROTOCOL.md 10.1.
"""

import enum
from dataclasses import dataclass
from typing import NamedTuple

from edge.core.values import PartitionKind
from edge.policy.streams.routes import Recreate, Route


class Kind(enum.Enum):
    """What goes out, as far as freshness is concerned."""

    CLOSED_RANGE = "closed-range"
    TAIL = "tail"
    LIVE = "live"
    EMPTY = "empty"
    SSE = "sse"
    ERROR = "error"
    STALE = "stale"


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshnessOptions:
    """Seconds of freshness downstream."""

    closed_max_age: int
    stale_while_revalidate: int
    immutable_max_age: int
    live_max_age: int


_NO_STORE = "no-store"
_FIXED = {
    Kind.EMPTY: _NO_STORE,
    Kind.SSE: "no-cache",
    Kind.ERROR: _NO_STORE,
    Kind.STALE: _NO_STORE,
}


class Freshness(NamedTuple):
    """A Cache-Control value, and the seconds of freshness that it gives: 0 for none."""

    cache_control: str
    max_age: int = 0


def freshness_of(
    kind: Kind,
    partition_kind: PartitionKind,
    route: Route,
    *,
    cap: int | None = None,
    options: FreshnessOptions,
) -> Freshness:
    """How fresh an answer of this kind is downstream (L12, L16).

    ``cap`` is how many seconds the answer may live at most, None without a
    limit; nothing outlives it, not even as stale (E7), and none left means
    ``no-store``. Only shared partitions are ``public`` (L12).
    """
    if cap is not None and cap <= 0:
        return Freshness(_NO_STORE)
    fixed = _FIXED.get(kind)
    if fixed is not None:
        return Freshness(fixed)
    shared = partition_kind is not PartitionKind.CREDENTIAL
    who = "public" if shared else "private"
    if kind is Kind.TAIL:
        return Freshness(f"{who}, max-age=0, must-revalidate")
    if kind is Kind.LIVE:
        max_age = _least(options.live_max_age, cap)
        return Freshness(f"{who}, max-age={max_age}", max_age)
    if route.recreate is Recreate.NEVER:
        max_age = _least(options.immutable_max_age, cap)
        return Freshness(f"{who}, max-age={max_age}, immutable", max_age)
    return _closed_range(who, options, cap)


def vary(route: Route) -> str:
    """The Vary value of a read's answer on this route.

    The edge chooses by coding, and by the client headers that the route sends
    upstream: they are in the partition here, so caches below must tell them
    apart too.
    """
    return ", ".join(("Accept-Encoding", *route.request_headers))


def _closed_range(who: str, options: FreshnessOptions, cap: int | None) -> Freshness:
    max_age = _least(options.closed_max_age, cap)
    left = None if cap is None else cap - max_age
    stale = _least(options.stale_while_revalidate, left)
    value = f"{who}, max-age={max_age}"
    if stale > 0:
        value += f", stale-while-revalidate={stale}"
    return Freshness(value, max_age)


def _least(seconds: int, cap: int | None) -> int:
    return seconds if cap is None else min(seconds, cap)
