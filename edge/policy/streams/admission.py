"""Admission: what an answer of the origin may become.

Sharing and storing are two decisions (L15). ``judge`` makes both for an answer to a
catch-up read or a poll, and to a HEAD that did not succeed. The answer may join the
log, be shared by all who wait, go to one asker alone, switch the whole key to passing,
be a fault, or say that the stream is gone, or that the origin is away. The last comes
first, whatever fields the answer carries (U1); next what an edge above serves while its
own origin is away (U9). ``judge`` only reads the answer;
``edge.live`` acts.
"""

import enum
from dataclasses import replace
from typing import NamedTuple

from edge.core.errors import OriginAway, OriginFault
from edge.core.reasons import Reason
from edge.core.values import (
    Framing,
    Headers,
    OriginAnswer,
    Partition,
    PartitionKind,
    StreamKey,
)
from edge.policy.http import cache_status
from edge.policy.http.forwarding import cache_members
from edge.policy.streams.routes import OriginNoStore, Route, UpstreamCredential
from edge.protocol import json_arrays, names
from edge.protocol.http_grammar import cache_directives, list_members
from edge.protocol.offsets import NOW, is_position, order

ONE_READER_STATUSES = frozenset({401, 403, 407, 429})
"""Statuses that are about the asker, not the stream (L15)."""

_NEVER_ASKED_FOR = frozenset({206, 304})
"""Answers to ranges and conditionals, which no built read carries (E31)."""


class Verdict(enum.Enum):
    """What an answer may become. All but ADMIT leave the log as it is."""

    ADMIT = "admit"  # its range may join the log, and all who wait may see it
    SHARE = "share"  # all who wait may see it as it is; never kept
    ONE_READER = "one-reader"  # for the asker whose request it was; others ask again
    BYPASS_KEY = "bypass-key"  # as ONE_READER, and the key passes for a while
    FAULT = "fault"  # the origin broke the protocol: 502
    AWAY = "away"  # the origin is away (U1): what is held goes out stale
    STALE = "stale"  # as AWAY, and its bytes may join: an edge above holds them (U9)
    GONE = "gone"  # 404 or 410: as SHARE, and the stream is not there


class Admission(NamedTuple):
    """A verdict with its reason, and the range where there is one.

    ``data`` is a fragment for JSON streams. ``progress`` is False when the answer ends
    at the offset that was asked for.
    """

    verdict: Verdict
    reason: Reason | None = None
    next: str = ""
    data: bytes = b""
    up_to_date: bool = False
    closed: bool = False
    progress: bool = False


def judge(
    answer: OriginAnswer,
    start: str,
    key: StreamKey,
    route: Route,
    *,
    held: bool = False,
) -> Admission:
    """What the answer to a read from ``start`` may become.

    ``held``: it answers a check, a delta or a poll of a stream that is known here.
    """
    gone = is_away(answer, route, held)
    if gone is not None:
        return Admission(Verdict.AWAY, gone)
    if is_edges_stale(answer):
        return _judge_stale(answer, start, key, route)
    if answer.status == 204:
        return _judge_no_content(answer, start)
    if answer.status != 200:
        return _judge_status(answer)
    unshared = _not_shareable(answer, key, route)
    if unshared is not None:
        return unshared
    return _judge_range(answer, start, route)


class LargeRange(NamedTuple):
    """What the head of an answer tells of a range that is too large to hold (S1).
    ``headers`` are the origin's."""

    next: str
    content_type: str | None
    up_to_date: bool
    closed: bool
    headers: Headers


def judge_large(
    head: OriginAnswer, start: str, key: StreamKey, route: Route, *, held: bool = False
) -> LargeRange | None:
    """The range of an answer of which the head alone is here, if all who wait for it
    may share it as it comes: by ``judge``, without the body. None: they may not."""
    # It is large, so it brings messages, whatever they are.
    head = replace(head, body=b"[0]")
    refused = (
        head.status != 200
        or is_away(head, route, held) is not None
        or is_edges_stale(head)
        or _not_shareable(head, key, route) is not None
    )
    end = head.get(names.IN_NEXT_OFFSET)
    if refused or start == NOW or end is None or not is_position(end):
        return None
    if order(end) <= order(start):
        return None
    return LargeRange(
        end,
        head.get("content-type"),
        names.is_true(head.get(names.IN_UP_TO_DATE)),
        names.is_true(head.get(names.IN_CLOSED)),
        head.headers,
    )


def is_away(answer: OriginAnswer, route: Route, held: bool) -> Reason | None:
    """Why this answer counts as that of an origin that is away, or None (U1).

    ``held``: it answers a check, a delta or a poll of a stream that is known here.
    What an origin of a known stream never answers then counts too: a redirect, or a 200
    that names no offset. So does a status below 500, if the route lists it.
    """
    status = answer.status
    if status in route.stale_if_error and (held or status >= 500):
        return Reason.ORIGIN_STATUS
    if held and 300 <= status < 400 and status != 304:
        return Reason.ORIGIN_STATUS
    if held and status == 200 and answer.get(names.IN_NEXT_OFFSET) is None:
        return Reason.ORIGIN_NO_NEXT_OFFSET
    return None


def is_edges_stale(answer: OriginAnswer) -> bool:
    """Whether an edge above, however far up, serves what it holds while its own origin
    is away (U9)."""
    by_caches = answer.get(cache_status.FIELD) is not None
    return by_caches and answer.status < 300 and cache_status.is_stale(answer.headers)


def fault_of(admission: Admission) -> OriginFault:
    """The error that a FAULT verdict stands for."""
    return OriginFault(
        "the origin's answer breaks the protocol", reason=admission.reason
    )


def away(answer: OriginAnswer, reason: Reason) -> OriginAway:
    """The error that an AWAY, STALE or FAULT verdict stands for. A status of an error
    may be shown to who cannot be served otherwise (U2)."""
    upstream = cache_members(answer.headers)
    if answer.status < 400:
        detail = "the origin answered as one that is away"
        return OriginAway(detail, reason=reason, upstream=upstream)
    detail = f"the origin answered {answer.status}"
    return OriginAway(
        detail, answer, reason=reason, status=answer.status, upstream=upstream
    )


def _judge_status(answer: OriginAnswer) -> Admission:
    if answer.status in ONE_READER_STATUSES:
        return Admission(Verdict.ONE_READER, Reason.STATUS)
    if answer.status in _NEVER_ASKED_FOR:
        return Admission(Verdict.FAULT, Reason.ORIGIN_GARBAGE)
    if answer.status in (404, 410):
        return Admission(Verdict.GONE, Reason.GONE)
    if 300 <= answer.status < 400 or answer.get("set-cookie") is not None:
        return Admission(Verdict.ONE_READER, Reason.STATUS)
    # Another 5xx of a read, too. A poll's does not come here: its follower backs off
    # before (L21).
    return Admission(Verdict.SHARE, Reason.STATUS)


def _not_shareable(
    answer: OriginAnswer, key: StreamKey, route: Route
) -> Admission | None:
    """What keeps a 200 from being shared at all (L15)."""
    forbidden = origin_forbids(answer, key.partition, route)
    if forbidden is not None:
        return Admission(Verdict.BYPASS_KEY, forbidden)
    if answer.framing is Framing.CLOSE:
        return Admission(Verdict.ONE_READER, Reason.CLOSE_FRAMED)
    coding = (answer.get("content-encoding") or "identity").strip().lower()
    if coding not in ("", "identity"):
        return Admission(Verdict.ONE_READER, Reason.CODED)
    return None


def _judge_stale(
    answer: OriginAnswer, start: str, key: StreamKey, route: Route
) -> Admission:
    """An edge's stale answer says ``no-store``, as all of them do: that is no reason to
    let the key pass (L15)."""
    lenient = replace(route, origin_no_store=OriginNoStore.IGNORE)
    if answer.status == 200 and _not_shareable(answer, key, lenient) is None:
        held = _judge_range(answer, start, route)
        if held.verdict is Verdict.ADMIT:
            stale, why = Verdict.STALE, Reason.ORIGIN_STALE
            return Admission(stale, why, held.next, held.data, progress=held.progress)
    return Admission(Verdict.AWAY, Reason.ORIGIN_STALE)


def _judge_range(answer: OriginAnswer, start: str, route: Route) -> Admission:
    end = answer.get(names.IN_NEXT_OFFSET)
    if end is None:
        return Admission(Verdict.FAULT, Reason.ORIGIN_NO_NEXT_OFFSET)
    if not is_position(end):
        return Admission(Verdict.FAULT, Reason.ORIGIN_GARBAGE)
    data = answer.body
    if names.is_json(answer.get("content-type"), route.json_types):
        try:
            data = json_arrays.fragment(data)
        except ValueError:
            return Admission(Verdict.FAULT, Reason.ORIGIN_BAD_JSON)
    if data and order(end) <= order(start) and start != NOW:
        return Admission(Verdict.FAULT, Reason.ORIGIN_ECHO)
    return _admit(answer, start, end, data)


def _judge_no_content(answer: OriginAnswer, start: str) -> Admission:
    """A long-poll's 204: nothing new; its offset is the tail's (section 5.7), if it
    says that it is (U8)."""
    end = answer.get(names.IN_NEXT_OFFSET)
    if end is None:
        return Admission(Verdict.FAULT, Reason.ORIGIN_NO_NEXT_OFFSET)
    if not is_position(end):
        return Admission(Verdict.FAULT, Reason.ORIGIN_GARBAGE)
    return _admit(answer, start, end, b"")


def _admit(answer: OriginAnswer, start: str, end: str, data: bytes) -> Admission:
    return Admission(
        Verdict.ADMIT,
        None,
        end,
        data,
        names.is_true(answer.get(names.IN_UP_TO_DATE)),
        names.is_true(answer.get(names.IN_CLOSED)),
        progress=start != NOW and order(end) > order(start),
    )


# What an origin forbids.

# The edge does CORS and coding itself: these fields select nothing at an origin.
_ANSWERED_HERE = frozenset(
    {
        "accept-encoding",
        "access-control-request-headers",
        "access-control-request-method",
        "origin",
    }
)

_CREDENTIALS = frozenset({"authorization", "cookie"})


def origin_forbids(
    answer: OriginAnswer, partition: Partition, route: Route
) -> Reason | None:
    """Why this answer must never be joined or kept, or None (L15).

    With a reason, the caller lets the key pass for a while. Errors, and the empty
    answers that the protocol itself marks ``no-store`` (``now``, HEAD), are no reason:
    they are shared, and never stored in any case.
    """
    directives = cache_directives(answer.get_all("cache-control"))
    # What the edge itself lets in is private already. It is asked for in the edge's own
    # name: a cookie is the edge's then, and goes to nobody. But where a reader's
    # credential was lent, it is that reader's (B6).
    granted = partition.kind is PartitionKind.GRANTED
    edges_own = granted and route.upstream is UpstreamCredential.OWN
    if answer.get("set-cookie") is not None and not edges_own:
        return Reason.SET_COOKIE
    if not _selects_nothing(answer.get_all("vary"), route, granted):
        return Reason.VARY_STAR
    own = granted or partition.kind is PartitionKind.CREDENTIAL
    if "private" in directives and not own:
        return Reason.PRIVATE
    if (
        "no-store" in directives
        and _is_data(answer, route)
        and _honours_no_store(route)
    ):
        return Reason.NO_STORE
    return None


def _selects_nothing(vary_field: str, route: Route, granted: bool) -> bool:
    """Whether everything that Vary names is the same for all of a partition.

    Headers that go upstream are in the partition (L13). With any other name, or ``*``
    anywhere in the list, the origin chose by something that no key holds. ``granted``:
    no client's credential went upstream, or all who may read are given the same.
    """
    if not vary_field:
        return True
    keyed = {*route.request_headers, *route.credential_headers, *_ANSWERED_HERE}
    if granted:
        keyed |= _CREDENTIALS
    named = {name.lower() for name in list_members(vary_field)}
    return named - {""} <= keyed


def _is_data(answer: OriginAnswer, route: Route) -> bool:
    """Whether the answer brings messages: not empty, and in JSON mode not ``[]``."""
    if answer.status != 200 or not answer.body:
        return False
    if not names.is_json(answer.get("content-type"), route.json_types):
        return True
    return answer.body.translate(None, b" \t\r\n") != b"[]"


def _honours_no_store(route: Route) -> bool:
    return route.origin_no_store is OriginNoStore.HONOUR


_FORBID_STALE = frozenset({"must-revalidate", "proxy-revalidate", "no-cache"})

MAX_DELTA_DIGITS = 12
"""Digits of a delta-seconds that is read; a longer one is no limit."""


def stale_limit(answer: OriginAnswer) -> float | None:
    """Seconds that the origin lets its answer go out stale after an error; None: it
    says nothing of that (RFC 5861 section 4; RFC 9111 section 5.2.2).

    What an edge above says there is its own word, for caches (L16): it forbids nothing
    here (U4). The edge next to the origin keeps to the origin's.
    """
    by_caches = answer.get(cache_status.FIELD) is not None
    # A keeper of this node hands on the origin's.
    by_edge = by_caches and cache_status.is_from_an_edge(answer.headers)
    if by_edge and not answer.provenance.by_keeper:
        return None
    directives = cache_directives(answer.get_all("cache-control"))
    if directives.keys() & _FORBID_STALE:
        return 0.0
    told = directives.get("stale-if-error")
    if told is None or not (told.isascii() and told.isdigit()):
        return None
    return float(told) if len(told) <= MAX_DELTA_DIGITS else None
