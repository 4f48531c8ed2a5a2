"""What an answer may claim downstream, and what an origin forbids.

``freshness_of`` is the table of docs/rules.md, L12 and L16: freshness
is the edge's own, never the origin's. ``origin_forbids`` reads the origin's
fields for what must not be joined (L15). Neither looks at a log or a clock:
the caller says how many seconds an answer has left (TTL, expiry, L14).

Sources: RFC 9111 sections 3 and 5.2, RFC 5861, RFC 8246; PROTOCOL.md 10.1.
"""

import enum
from dataclasses import dataclass
from typing import NamedTuple

from edge.core.reasons import Reason
from edge.core.values import OriginAnswer, Partition, PartitionKind
from edge.policy.streams.routes import OriginNoStore, Recreate, Route
from edge.protocol import json_arrays
from edge.protocol.http_grammar import cache_directives, list_members


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

# The edge does CORS and coding itself, so these select nothing of an origin's.
_ANSWERED_HERE = frozenset(
    {
        "accept-encoding",
        "access-control-request-headers",
        "access-control-request-method",
        "origin",
    }
)


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


def origin_forbids(
    answer: OriginAnswer, partition: Partition, route: Route
) -> Reason | None:
    """Why this answer must never be joined or kept, or None (L15).

    The caller lets the key pass for a while when there is a reason. The empty
    answers that the protocol itself marks ``no-store`` (``now``, HEAD) and
    errors are no reason: they are shared and not stored in any case.
    """
    directives = cache_directives(answer.get_all("cache-control"))
    if answer.get("set-cookie") is not None:
        return Reason.SET_COOKIE
    if not _selects_nothing(answer.get_all("vary"), route):
        return Reason.VARY_STAR
    if "private" in directives and partition.kind is not PartitionKind.CREDENTIAL:
        return Reason.PRIVATE
    if "no-store" in directives and _is_data(answer) and _honours_no_store(route):
        return Reason.NO_STORE
    return None


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


def _selects_nothing(vary_field: str, route: Route) -> bool:
    """Whether everything that Vary names is the same for all of a partition.

    Headers that go upstream are in the partition (L13). Another name, or ``*``
    anywhere in the list, means that the origin chose by something unkept.
    """
    keyed = {*route.request_headers, *route.credential_headers, *_ANSWERED_HERE}
    named = {name.lower() for name in list_members(vary_field)}
    return named - {""} <= keyed


def _is_data(answer: OriginAnswer) -> bool:
    """Whether the answer brings messages: not empty, and in JSON mode not ``[]``."""
    if answer.status != 200 or not answer.body:
        return False
    if not json_arrays.is_json(answer.get("content-type")):
        return True
    return answer.body.translate(None, b" \t\r\n") != b"[]"


def _honours_no_store(route: Route) -> bool:
    return route.origin_no_store is OriginNoStore.HONOUR
