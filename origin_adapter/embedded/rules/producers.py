"""Idempotent producers as a table (PROTOCOL.md section 5.2.1).

A claim is compared with the known state of its producer in two ways, and the pair of
results names the verdict. The table is complete: every pair has its row. Callers must
judge and append under one lock per stream and producer; here the store's single writer
is that lock.
"""

import enum
from typing import assert_never

from edge.protocol.names import (
    PRODUCER_EPOCH,
    PRODUCER_EXPECTED_SEQ,
    PRODUCER_RECEIVED_SEQ,
)
from origin_adapter.embedded.rules.refusals import (
    RefusalReason,
    Refused,
    bad_request,
    conflict,
)
from origin_adapter.embedded.rules.values import ProducerClaim, ProducerState

MAX_INTEGER = 2**53 - 1
"""Largest epoch and sequence number, for clients in JavaScript."""


class Epoch(enum.Enum):
    """How a claim's epoch compares with the known one."""

    UNKNOWN = "unknown"
    OLDER = "older"
    SAME = "same"
    NEWER = "newer"


class Seq(enum.Enum):
    """How a claim's sequence number compares with the next one due."""

    PAST = "past"
    DUE = "due"
    AHEAD = "ahead"


class ProducerVerdict(enum.Enum):
    """What happens to a claim."""

    ACCEPT = "accept"
    DUPLICATE = "duplicate"
    STALE = "stale"
    MUST_START = "must-start"
    GAP = "gap"


TABLE: dict[tuple[Epoch, Seq], ProducerVerdict] = {
    (Epoch.UNKNOWN, Seq.PAST): ProducerVerdict.GAP,
    (Epoch.UNKNOWN, Seq.DUE): ProducerVerdict.ACCEPT,
    (Epoch.UNKNOWN, Seq.AHEAD): ProducerVerdict.GAP,
    (Epoch.OLDER, Seq.PAST): ProducerVerdict.STALE,
    (Epoch.OLDER, Seq.DUE): ProducerVerdict.STALE,
    (Epoch.OLDER, Seq.AHEAD): ProducerVerdict.STALE,
    (Epoch.SAME, Seq.PAST): ProducerVerdict.DUPLICATE,
    (Epoch.SAME, Seq.DUE): ProducerVerdict.ACCEPT,
    (Epoch.SAME, Seq.AHEAD): ProducerVerdict.GAP,
    (Epoch.NEWER, Seq.PAST): ProducerVerdict.MUST_START,
    (Epoch.NEWER, Seq.DUE): ProducerVerdict.ACCEPT,
    (Epoch.NEWER, Seq.AHEAD): ProducerVerdict.MUST_START,
}
"""A new epoch, and an unknown producer, must start at 0."""


def judge(claim: ProducerClaim, known: ProducerState | None) -> ProducerVerdict:
    """What happens to ``claim``, given what is known of its producer."""
    return TABLE[_epoch(claim, known), _seq(claim.seq, due(claim, known))]


def due(claim: ProducerClaim, known: ProducerState | None) -> int:
    """The next sequence number that the claim's epoch must bring."""
    if known is None or claim.epoch != known.epoch:
        return 0
    return known.seq + 1


def refusal(
    verdict: ProducerVerdict, claim: ProducerClaim, known: ProducerState | None
) -> Refused | None:
    """The refusal for a verdict; None for an accepted or repeated claim."""
    match verdict:
        case ProducerVerdict.ACCEPT | ProducerVerdict.DUPLICATE:
            return None
        case ProducerVerdict.STALE:
            epoch = known.epoch if known is not None else 0
            return Refused(
                403,
                RefusalReason.STALE_EPOCH,
                "a newer epoch of this producer is known",
                ((PRODUCER_EPOCH, str(epoch)),),
            )
        case ProducerVerdict.MUST_START:
            return bad_request(
                RefusalReason.EPOCH_START, "a new epoch starts at sequence 0"
            )
        case ProducerVerdict.GAP:
            return conflict(
                RefusalReason.SEQ_GAP,
                "sequence numbers are missing before this one",
                (
                    (PRODUCER_EXPECTED_SEQ, str(due(claim, known))),
                    (PRODUCER_RECEIVED_SEQ, str(claim.seq)),
                ),
            )
        case _:
            assert_never(verdict)


def _epoch(claim: ProducerClaim, known: ProducerState | None) -> Epoch:
    if known is None:
        return Epoch.UNKNOWN
    if claim.epoch == known.epoch:
        return Epoch.SAME
    return Epoch.OLDER if claim.epoch < known.epoch else Epoch.NEWER


def _seq(seq: int, expected: int) -> Seq:
    if seq == expected:
        return Seq.DUE
    return Seq.PAST if seq < expected else Seq.AHEAD
