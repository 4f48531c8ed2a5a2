"""Admission: what an answer of the origin may become.

Sharing and storing are two decisions (L15). ``judge`` makes both for an answer to a
catch-up read or a poll, and to a HEAD that did not succeed. The answer may join the
log, be shared by all who wait, go to one asker alone, switch the whole key to passing,
be a fault, or say that the stream is gone. ``judge`` only reads the answer;
``edge.live`` acts.
"""

import enum
from dataclasses import dataclass

from edge.core.errors import OriginFault
from edge.core.reasons import Reason
from edge.core.values import Framing, OriginAnswer, Partition, PartitionKind, StreamKey
from edge.policy.streams.routes import OriginNoStore, Route
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
    SHARE = "share"  # all who wait may see it as it is (a read's 5xx too); never kept
    ONE_READER = "one-reader"  # for the asker whose request it was; others ask again
    BYPASS_KEY = "bypass-key"  # as ONE_READER, and the key passes for a while
    FAULT = "fault"  # the origin broke the protocol: 502
    GONE = "gone"  # 404 or 410: as SHARE, and the stream is not there


@dataclass(frozen=True, slots=True)
class Admission:
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


def judge(answer: OriginAnswer, start: str, key: StreamKey, route: Route) -> Admission:
    """What the answer to a read from ``start`` may become."""
    if answer.status == 204:
        return _judge_no_content(answer, start)
    if answer.status != 200:
        return _judge_status(answer)
    unshared = _not_shareable(answer, key, route)
    if unshared is not None:
        return unshared
    return _judge_range(answer, start)


def fault_of(admission: Admission) -> OriginFault:
    """The error that a FAULT verdict stands for."""
    return OriginFault(
        "the origin's answer breaks the protocol", reason=admission.reason
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
    # A read's 5xx comes here. A poll's does not: its follower backs off before (L21).
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


def _judge_range(answer: OriginAnswer, start: str) -> Admission:
    end = answer.get(names.IN_NEXT_OFFSET)
    if end is None:
        return Admission(Verdict.FAULT, Reason.ORIGIN_NO_NEXT_OFFSET)
    if not is_position(end):
        return Admission(Verdict.FAULT, Reason.ORIGIN_GARBAGE)
    data = answer.body
    if names.is_json(answer.get("content-type")):
        try:
            data = json_arrays.fragment(data)
        except ValueError:
            return Admission(Verdict.FAULT, Reason.ORIGIN_BAD_JSON)
    if data and order(end) <= order(start) and start != NOW:
        return Admission(Verdict.FAULT, Reason.ORIGIN_ECHO)
    return _admit(answer, start, end, data)


def _judge_no_content(answer: OriginAnswer, start: str) -> Admission:
    """A long-poll's 204: nothing new; its offset is the tail's (section 5.7)."""
    end = answer.get(names.IN_NEXT_OFFSET)
    if end is None:
        return Admission(Verdict.FAULT, Reason.ORIGIN_NO_NEXT_OFFSET)
    if not is_position(end):
        return Admission(Verdict.FAULT, Reason.ORIGIN_GARBAGE)
    return _admit(answer, start, end, b"")


def _admit(answer: OriginAnswer, start: str, end: str, data: bytes) -> Admission:
    up_to_date = answer.status == 204 or names.is_true(answer.get(names.IN_UP_TO_DATE))
    return Admission(
        Verdict.ADMIT,
        None,
        end,
        data,
        up_to_date,
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


def origin_forbids(
    answer: OriginAnswer, partition: Partition, route: Route
) -> Reason | None:
    """Why this answer must never be joined or kept, or None (L15).

    With a reason, the caller lets the key pass for a while. Errors, and the empty
    answers that the protocol itself marks ``no-store`` (``now``, HEAD), are no reason:
    they are shared, and never stored in any case.
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


def _selects_nothing(vary_field: str, route: Route) -> bool:
    """Whether everything that Vary names is the same for all of a partition.

    Headers that go upstream are in the partition (L13). With any other name, or ``*``
    anywhere in the list, the origin chose by something that no key holds.
    """
    keyed = {*route.request_headers, *route.credential_headers, *_ANSWERED_HERE}
    named = {name.lower() for name in list_members(vary_field)}
    return named - {""} <= keyed


def _is_data(answer: OriginAnswer) -> bool:
    """Whether the answer brings messages: not empty, and in JSON mode not ``[]``."""
    if answer.status != 200 or not answer.body:
        return False
    if not names.is_json(answer.get("content-type")):
        return True
    return answer.body.translate(None, b" \t\r\n") != b"[]"


def _honours_no_store(route: Route) -> bool:
    return route.origin_no_store is OriginNoStore.HONOUR
