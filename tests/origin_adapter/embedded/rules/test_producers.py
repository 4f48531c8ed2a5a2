"""The producers' table against the validation logic of PROTOCOL.md section 5.2.1."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from origin_adapter.embedded.rules import producers
from origin_adapter.embedded.rules.producers import Epoch, ProducerVerdict, Seq, judge
from origin_adapter.embedded.rules.refusals import RefusalReason
from origin_adapter.embedded.rules.values import ProducerClaim, ProducerState

small = st.integers(0, 4)


def said(epoch: int, seq: int) -> ProducerClaim:
    return ProducerClaim("p", epoch, seq)


def test_the_table_has_a_row_for_every_pair() -> None:
    """No pair of findings is left to chance."""
    assert set(producers.TABLE) == set(itertools.product(Epoch, Seq))


@pytest.mark.parametrize(
    ("known", "claim", "verdict"),
    [
        (None, said(0, 0), ProducerVerdict.ACCEPT),
        (None, said(7, 0), ProducerVerdict.ACCEPT),
        (None, said(0, 3), ProducerVerdict.GAP),
        (ProducerState(1, 4), said(1, 5), ProducerVerdict.ACCEPT),
        (ProducerState(1, 4), said(1, 4), ProducerVerdict.DUPLICATE),
        (ProducerState(1, 4), said(1, 0), ProducerVerdict.DUPLICATE),
        (ProducerState(1, 4), said(1, 6), ProducerVerdict.GAP),
        (ProducerState(1, 4), said(2, 0), ProducerVerdict.ACCEPT),
        (ProducerState(1, 4), said(2, 1), ProducerVerdict.MUST_START),
        (ProducerState(1, 4), said(0, 5), ProducerVerdict.STALE),
        (ProducerState(1, 4), said(0, 0), ProducerVerdict.STALE),
    ],
)
def test_verdicts(
    known: ProducerState | None, claim: ProducerClaim, verdict: ProducerVerdict
) -> None:
    """The cases that the protocol's text names."""
    assert judge(claim, known) is verdict


@given(epoch=small, seq=small, known=st.none() | st.builds(ProducerState, small, small))
def test_the_protocols_own_pseudocode_agrees(
    epoch: int, seq: int, known: ProducerState | None
) -> None:
    """Section 5.2.1, line by line."""
    if known is None:
        expected = ProducerVerdict.ACCEPT if seq == 0 else ProducerVerdict.GAP
    elif epoch < known.epoch:
        expected = ProducerVerdict.STALE
    elif epoch > known.epoch:
        expected = ProducerVerdict.ACCEPT if seq == 0 else ProducerVerdict.MUST_START
    elif seq <= known.seq:
        expected = ProducerVerdict.DUPLICATE
    else:
        expected = (
            ProducerVerdict.ACCEPT if seq == known.seq + 1 else ProducerVerdict.GAP
        )

    assert judge(said(epoch, seq), known) is expected


def test_refusals_say_what_was_expected() -> None:
    """A client can recover from what the refusal's fields say."""
    gap = producers.refusal(ProducerVerdict.GAP, said(1, 9), ProducerState(1, 4))
    stale = producers.refusal(ProducerVerdict.STALE, said(0, 0), ProducerState(3, 4))

    assert gap is not None and stale is not None
    assert (gap.status, gap.reason) == (409, RefusalReason.SEQ_GAP)
    assert gap.headers == (
        ("Producer-Expected-Seq", "5"),
        ("Producer-Received-Seq", "9"),
    )
    assert (stale.status, stale.headers) == (403, (("Producer-Epoch", "3"),))
