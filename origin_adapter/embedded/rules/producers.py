"""Idempotent producers as a table (PROTOCOL.md section 5.2.1).

A claim is compared with what is known of its producer in two ways, and the
pair names the verdict. The table is whole: every pair has its row. Callers
must judge and append under one lock per stream and producer; here the keep's
single writer is that lock.
"""

import enum
from typing import assert_never

from edge.protocol.names import (
    PRODUCER_EPOCH,
    PRODUCER_EXPECTED_SEQ,
    PRODUCER_RECEIVED_SEQ,
)
from origin_adapter.embedded.rules.refusals import Refused, Why, bad_request, conflict
from origin_adapter.embedded.rules.values import Claim, Producer

MAX_INTEGER = 2**53 - 1
"""Largest epoch and sequence number, for clients in JavaScript."""


class Epoch(enum.Enum):
    """How a claim's epoch stands to the one that is known."""

    UNKNOWN = "unknown"
    OLDER = "older"
    SAME = "same"
    NEWER = "newer"


class Seq(enum.Enum):
    """How a claim's sequence number stands to the one that is due."""

    PAST = "past"
    DUE = "due"
    AHEAD = "ahead"


class Verdict(enum.Enum):
    """What becomes of a claim."""

    ACCEPT = "accept"
    DUPLICATE = "duplicate"
    STALE = "stale"
    MUST_START = "must-start"
    GAP = "gap"


TABLE: dict[tuple[Epoch, Seq], Verdict] = {
    (Epoch.UNKNOWN, Seq.PAST): Verdict.GAP,
    (Epoch.UNKNOWN, Seq.DUE): Verdict.ACCEPT,
    (Epoch.UNKNOWN, Seq.AHEAD): Verdict.GAP,
    (Epoch.OLDER, Seq.PAST): Verdict.STALE,
    (Epoch.OLDER, Seq.DUE): Verdict.STALE,
    (Epoch.OLDER, Seq.AHEAD): Verdict.STALE,
    (Epoch.SAME, Seq.PAST): Verdict.DUPLICATE,
    (Epoch.SAME, Seq.DUE): Verdict.ACCEPT,
    (Epoch.SAME, Seq.AHEAD): Verdict.GAP,
    (Epoch.NEWER, Seq.PAST): Verdict.MUST_START,
    (Epoch.NEWER, Seq.DUE): Verdict.ACCEPT,
    (Epoch.NEWER, Seq.AHEAD): Verdict.MUST_START,
}
"""A new epoch, and a producer that is not known, are due to start at 0."""


def judge(claim: Claim, known: Producer | None) -> Verdict:
    """What becomes of ``claim``, given what is known of its producer."""
    return TABLE[_epoch(claim, known), _seq(claim.seq, due(claim, known))]


def due(claim: Claim, known: Producer | None) -> int:
    """The sequence number that the claim's epoch must bring next."""
    if known is None or claim.epoch != known.epoch:
        return 0
    return known.seq + 1


def refusal(verdict: Verdict, claim: Claim, known: Producer | None) -> Refused | None:
    """The refusal that a verdict means; None for an accepted or repeated claim."""
    match verdict:
        case Verdict.ACCEPT | Verdict.DUPLICATE:
            return None
        case Verdict.STALE:
            epoch = known.epoch if known is not None else 0
            return Refused(
                403,
                Why.STALE_EPOCH,
                "a newer epoch of this producer is known",
                ((PRODUCER_EPOCH, str(epoch)),),
            )
        case Verdict.MUST_START:
            return bad_request(Why.EPOCH_START, "a new epoch starts at sequence 0")
        case Verdict.GAP:
            return conflict(
                Why.SEQ_GAP,
                "sequence numbers are missing before this one",
                (
                    (PRODUCER_EXPECTED_SEQ, str(due(claim, known))),
                    (PRODUCER_RECEIVED_SEQ, str(claim.seq)),
                ),
            )
        case _:
            assert_never(verdict)


def _epoch(claim: Claim, known: Producer | None) -> Epoch:
    if known is None:
        return Epoch.UNKNOWN
    if claim.epoch == known.epoch:
        return Epoch.SAME
    return Epoch.OLDER if claim.epoch < known.epoch else Epoch.NEWER


def _seq(seq: int, expected: int) -> Seq:
    if seq == expected:
        return Seq.DUE
    return Seq.PAST if seq < expected else Seq.AHEAD
